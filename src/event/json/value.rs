//! Raw JSON text to cells.

use super::escape::{is_plain, unescape};
use super::number::{OutOfRange, number};
use crate::event::{Span, Value};

/// The cell for a raw value, trimmed and valid, which is copied to the arena as far as it has to be.
pub fn to_value(raw: &[u8], arena: &mut Vec<u8>) -> Result<Value, OutOfRange> {
    let start = arena.len();
    match raw.first() {
        Some(b'"') => {
            let content = string_content(raw);
            unescape(content, arena);
            Ok(text(arena, start, memchr::memchr(b'\\', content).is_none()))
        }
        Some(b'[' | b'{') => {
            arena.extend_from_slice(raw);
            Ok(Value::json(Span::new(start, raw.len())))
        }
        _ => scalar(raw),
    }
}

/// The cell for a raw value, trimmed and valid, that lies in the arena already: only strings with escapes
/// add to it.
pub fn value_at(arena: &mut Vec<u8>, raw: Span) -> Result<Value, OutOfRange> {
    let bytes = &arena[raw.range()];
    match bytes.first() {
        Some(b'"') => {
            let content = string_content(bytes);
            if memchr::memchr(b'\\', content).is_none() {
                return Ok(Value::plain_text(Span::new(raw.start as usize + 1, content.len())));
            }
            let mut unescaped = Vec::with_capacity(content.len());
            unescape(content, &mut unescaped);
            let start = arena.len();
            arena.extend_from_slice(&unescaped);
            Ok(text(arena, start, false))
        }
        Some(b'[' | b'{') => Ok(Value::json(raw)),
        _ => scalar(bytes),
    }
}

/// Text from `start` to the arena's end, which is plain if it was so as it was written.
fn text(arena: &[u8], start: usize, plain: bool) -> Value {
    let span = Span::new(start, arena.len() - start);
    if plain || is_plain(&arena[start..]) { Value::plain_text(span) } else { Value::text(span) }
}

fn scalar(raw: &[u8]) -> Result<Value, OutOfRange> {
    match raw {
        b"null" => Ok(Value::NULL),
        b"true" => Ok(Value::bool(true)),
        b"false" => Ok(Value::bool(false)),
        _ => number(raw),
    }
}

fn string_content(raw: &[u8]) -> &[u8] {
    raw.get(1..raw.len() - 1).unwrap_or_default()
}
