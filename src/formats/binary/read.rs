//! A whole record to cells and JSON text.

use super::extent::extent;
use super::item::{Item, Notation};
use super::tree::Tree;
use crate::event::json::{is_plain, write_base64, write_float, write_int, write_string};
use crate::event::{Span, Value};
use std::marker::PhantomData;

/// Why a record is no event.
type Reason = &'static str;

/// Reads a record whose extent is known.
pub(super) struct Read<'a, N> {
    /// The arena up to the record's end.
    arena: &'a [u8],
    /// What will stand in the arena from `extra_at` on.
    extra: &'a mut Vec<u8>,
    extra_at: usize,
    notation: PhantomData<N>,
}

impl<'a, N: Notation> Read<'a, N> {
    /// A reader of what ends where `arena` does.
    pub fn new(arena: &'a [u8], extra: &'a mut Vec<u8>, extra_at: usize) -> Read<'a, N> {
        Read { arena, extra, extra_at, notation: PhantomData }
    }

    /// The item at a place, and the place behind it.
    pub fn item(&self, at: usize) -> Result<(Item, usize), Reason> {
        // Whoever found the extent of the record has seen every item.
        N::item(self.arena, at).map_err(|_| "the record changed while it was read")
    }

    /// The place behind a value.
    pub fn skip(&self, at: usize) -> Result<usize, Reason> {
        extent::<N>(self.arena, at).map_err(|_| "the record changed while it was read")
    }

    /// Puts what is wanted of a value into its cells; returns the place behind it.
    pub fn take(&mut self, at: usize, tree: &Tree, cells: &mut [Value]) -> Result<usize, Reason> {
        if !tree.slots.is_empty() {
            let cell = self.cell(at)?;
            tree.slots.iter().for_each(|slot| cells[slot.0 as usize] = cell);
        }
        match self.item(at)? {
            (Item::Map(count), at) if tree.has_fields() => self.take_fields(at, count, tree, cells),
            (Item::List(count), mut at) if tree.has_elements() => {
                for number in 0.. {
                    let (false, next) = self.is_end(at, count, number)? else { break };
                    at = match tree.element(number) {
                        Some(element) => self.take(next, element, cells)?,
                        None => self.skip(next)?,
                    };
                }
                self.behind_end(at, count)
            }
            _ => self.skip(at),
        }
    }

    fn take_fields(
        &mut self,
        mut at: usize,
        count: Option<u64>,
        tree: &Tree,
        cells: &mut [Value],
    ) -> Result<usize, Reason> {
        let mut key = Vec::new();
        for number in 0.. {
            let (false, next) = self.is_end(at, count, number)? else { break };
            let value = self.key(next, &mut key)?;
            at = match tree.field(&key) {
                Some(field) => {
                    // Of duplicate keys the last wins: what an earlier map of this name left is forgotten.
                    field.each_slot(&mut |slot| cells[slot.0 as usize] = Value::NULL);
                    self.take(value, field, cells)?
                }
                None => self.skip(value)?,
            };
        }
        self.behind_end(at, count)
    }

    /// Whether a list or map of `count` ends before the given one.
    fn is_end(&self, at: usize, count: Option<u64>, number: u64) -> Result<(bool, usize), Reason> {
        match count {
            Some(count) => Ok((number >= count, at)),
            None => Ok((self.item(at)?.0 == Item::Break, at)),
        }
    }

    /// The place behind the end of a list or map that was found at `at`.
    fn behind_end(&self, at: usize, count: Option<u64>) -> Result<usize, Reason> {
        if count.is_some() { Ok(at) } else { Ok(self.item(at)?.1) }
    }

    /// Reads a key; returns the place of its value. An integer stands for its text: CBOR of small devices has such keys.
    pub fn key(&self, at: usize, into: &mut Vec<u8>) -> Result<usize, Reason> {
        into.clear();
        match self.item(at)? {
            (Item::Text(span), behind) => {
                into.extend_from_slice(&self.arena[span.range()]);
                Ok(behind)
            }
            (Item::Int(int), behind) => {
                write_int(int, into);
                Ok(behind)
            }
            (Item::Pieces(true), behind) => self.pieces(behind, into),
            _ => Err("a key is neither text nor an integer"),
        }
    }

    /// Appends text or bytes in pieces; returns the place behind them.
    fn pieces(&self, mut at: usize, into: &mut Vec<u8>) -> Result<usize, Reason> {
        while let (Item::Text(span) | Item::Bytes(span), behind) = self.item(at)? {
            into.extend_from_slice(&self.arena[span.range()]);
            at = behind;
        }
        Ok(self.item(at)?.1)
    }

    /// The cell for a value.
    fn cell(&mut self, at: usize) -> Result<Value, Reason> {
        let (item, behind) = self.item(at)?;
        Ok(match item {
            Item::Null | Item::Break => Value::NULL,
            Item::Bool(value) => Value::bool(value),
            Item::Int(value) => Value::int(value),
            Item::Float(value) => Value::float(finite(value)?),
            Item::Timestamp(ms) => Value::timestamp(ms),
            Item::Text(span) => text(utf8(&self.arena[span.range()])?, span),
            Item::Bytes(span) => Value::bytes(span),
            Item::Odd(reason) => return Err(reason),
            Item::Pieces(is_text) => {
                let mut content = Vec::new();
                self.pieces(behind, &mut content)?;
                let span = Span::new(self.extra_at + self.extra.len(), content.len());
                let value = if is_text { text(utf8(&content)?, span) } else { Value::bytes(span) };
                self.extra.extend_from_slice(&content);
                value
            }
            Item::List(_) | Item::Map(_) => Value::json(self.json(at)?),
        })
    }

    /// Writes a value as JSON; returns where that will stand.
    pub fn json(&mut self, at: usize) -> Result<Span, Reason> {
        let start = self.extra.len();
        match self.write_json(at) {
            Ok(_) => Ok(Span::new(self.extra_at + start, self.extra.len() - start)),
            Err(reason) => {
                self.extra.truncate(start);
                Err(reason)
            }
        }
    }

    /// Appends a value as JSON; returns the place behind it. No deeper than the extent allows.
    fn write_json(&mut self, at: usize) -> Result<usize, Reason> {
        let (item, behind) = self.item(at)?;
        match item {
            Item::Null | Item::Break => self.extra.extend_from_slice(b"null"),
            Item::Bool(value) => self.extra.extend_from_slice(if value { b"true" } else { b"false" }),
            Item::Int(value) | Item::Timestamp(value) => write_int(value, self.extra),
            Item::Float(value) => write_float(finite(value)?, self.extra),
            Item::Text(span) => write_string(utf8(&self.arena[span.range()])?, self.extra),
            Item::Bytes(span) => write_base64(&self.arena[span.range()], self.extra),
            Item::Odd(reason) => return Err(reason),
            Item::Pieces(is_text) => {
                let mut content = Vec::new();
                let end = self.pieces(behind, &mut content)?;
                match is_text {
                    true => write_string(utf8(&content)?, self.extra),
                    false => write_base64(&content, self.extra),
                }
                return Ok(end);
            }
            Item::List(count) => return self.write_list(behind, count),
            Item::Map(count) => return self.write_map(behind, count),
        }
        Ok(behind)
    }

    fn write_list(&mut self, mut at: usize, count: Option<u64>) -> Result<usize, Reason> {
        self.extra.push(b'[');
        for number in 0.. {
            let (false, next) = self.is_end(at, count, number)? else { break };
            if number > 0 {
                self.extra.push(b',');
            }
            at = self.write_json(next)?;
        }
        self.extra.push(b']');
        self.behind_end(at, count)
    }

    fn write_map(&mut self, mut at: usize, count: Option<u64>) -> Result<usize, Reason> {
        let mut key = Vec::new();
        self.extra.push(b'{');
        for number in 0.. {
            let (false, next) = self.is_end(at, count, number)? else { break };
            if number > 0 {
                self.extra.push(b',');
            }
            let value = self.key(next, &mut key)?;
            write_string(utf8(&key)?, self.extra);
            self.extra.push(b':');
            at = self.write_json(value)?;
        }
        self.extra.push(b'}');
        self.behind_end(at, count)
    }
}

fn text(text: &[u8], span: Span) -> Value {
    if is_plain(text) { Value::plain_text(span) } else { Value::text(span) }
}

fn utf8(bytes: &[u8]) -> Result<&[u8], Reason> {
    simdutf8::basic::from_utf8(bytes).map(|_| bytes).map_err(|_| "a text is not UTF-8")
}

fn finite(float: f64) -> Result<f64, Reason> {
    if float.is_finite() { Ok(float) } else { Err("a number is infinite or none at all (NaN)") }
}
