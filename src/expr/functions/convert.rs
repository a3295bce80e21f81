//! Values as text, and text as numbers: used by several functions and operators.

use super::context::Failure;
use crate::event::{Batch, Kind, Value, json};
use crate::expr::literal::Literal;
use std::fmt::Write;

/// Appends a scalar as `CAST(… AS TEXT)` gives it: floats shortest with a decimal, times as RFC 3339 in UTC.
pub fn write_scalar(batch: &Batch, value: Value, text: &mut String) -> Result<(), Failure> {
    match value.kind() {
        Kind::Text | Kind::Json => text.push_str(batch.text(value)),
        Kind::Timestamp => {
            match value.as_timestamp().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
                // Writing into a string does not fail.
                Some(time) => _ = write!(text, "{time}"),
                None => return Err("the time is out of range".into()),
            }
        }
        Kind::Bytes => return Err("bytes are not text".into()),
        Kind::Null | Kind::Bool | Kind::Int | Kind::Float => {
            let mut bytes = std::mem::take(text).into_bytes();
            json::write_value(batch, value, &mut bytes);
            // Literals and numbers are ASCII, behind what was a string before.
            *text = String::from_utf8(bytes).map_err(|_| "the value is not text")?;
        }
    }
    Ok(())
}

/// The number that text is, white space around it aside: an integer where it is written as one and fits, else a
/// float. Nothing that no number of ours is, such as infinity.
pub fn parse_number(text: &str) -> Option<Value> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Ok(n) = text.parse::<i64>() {
        return Some(Value::int(n));
    }
    text.parse::<f64>().ok().filter(|x| x.is_finite()).map(Value::float)
}

/// The text of a constant argument.
pub fn constant_text<'a>(constants: &[Option<&'a Literal>], place: usize) -> Option<&'a str> {
    match constants.get(place).copied().flatten() {
        Some(Literal::Text(text)) => Some(text),
        _ => None,
    }
}

/// The beginning of a text, for a reason.
pub fn short(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}
