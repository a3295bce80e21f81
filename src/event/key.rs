//! The canonical byte form of a key: what is hashed, compared, and later kept in state.
//!
//! Each value is its kind's byte and its content: scalars as 8 bytes little-endian, text, bytes and
//! JSON (in its canonical form) as a 4-byte length and the bytes. Different kinds are different keys (`1` is not `1.0`), except that
//! `-0.0` is `0.0`; null is a key like any other.

use super::batch::{Batch, Row, Slot};
use super::json::{validate, write_canonical};
use super::value::{Kind, Value};

/// Appends the canonical form of the row's key fields.
#[inline]
pub fn encode_key(batch: &Batch, row: Row, slots: &[Slot], into: &mut Vec<u8>) {
    for &slot in slots {
        encode_value(batch, batch.get(row, slot), into);
    }
}

/// Appends the canonical form of one value.
#[inline]
pub fn encode_value(batch: &Batch, value: Value, into: &mut Vec<u8>) {
    into.push(value.kind() as u8);
    match value.kind() {
        Kind::Null => {}
        Kind::Bool => into.push((value.as_bool() == Some(true)) as u8),
        Kind::Int => into.extend_from_slice(&value.as_int().unwrap_or_default().to_le_bytes()),
        Kind::Timestamp => into.extend_from_slice(&value.as_timestamp().unwrap_or_default().to_le_bytes()),
        Kind::Float => {
            // Adding zero turns -0.0 into 0.0 and leaves all else as it is.
            let float = value.as_float().unwrap_or_default() + 0.0;
            into.extend_from_slice(&float.to_le_bytes());
        }
        Kind::Text | Kind::Bytes => {
            into.extend_from_slice(&value.span().len.to_le_bytes());
            into.extend_from_slice(batch.bytes(value));
        }
        Kind::Json => {
            let start = into.len();
            into.extend_from_slice(&[0; 4]);
            write_canonical(batch.bytes(value), into);
            let length = (into.len() - start - 4) as u32;
            into[start..start + 4].copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Reads back what [`encode_value`] wrote, into `batch`'s arena, and returns the bytes behind it.
/// None if the bytes were not written by it.
pub fn decode_value<'a>(bytes: &'a [u8], batch: &mut Batch) -> Option<(Value, &'a [u8])> {
    let (&kind, rest) = bytes.split_first()?;
    let scalar = |rest: &'a [u8]| rest.split_first_chunk::<8>().map(|(b, rest)| (*b, rest));
    const TEXT: u8 = Kind::Text as u8;
    const BYTES: u8 = Kind::Bytes as u8;
    const JSON: u8 = Kind::Json as u8;
    Some(match kind {
        k if k == Kind::Null as u8 => (Value::NULL, rest),
        k if k == Kind::Bool as u8 => {
            let (&b, rest) = rest.split_first()?;
            (Value::bool(b != 0), rest)
        }
        k if k == Kind::Int as u8 => scalar(rest).map(|(b, r)| (Value::int(i64::from_le_bytes(b)), r))?,
        k if k == Kind::Timestamp as u8 => {
            scalar(rest).map(|(b, r)| (Value::timestamp(i64::from_le_bytes(b)), r))?
        }
        k if k == Kind::Float as u8 => scalar(rest).map(|(b, r)| (Value::float(f64::from_le_bytes(b)), r))?,
        TEXT | BYTES | JSON => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let len = u32::from_le_bytes(*len) as usize;
            let span = batch.store(rest.get(..len)?);
            let value = match kind {
                TEXT => Value::text(span),
                BYTES => Value::bytes(span),
                _ => Value::json(span),
            };
            (value, &rest[len..])
        }
        _ => return None,
    })
}

/// Cuts what [`encode_key`] wrote for so many fields off the bytes; returns it and what lies behind. None if the bytes
/// were not written by it.
pub fn split_key(bytes: &[u8], fields: usize) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    for _ in 0..fields {
        let (&kind, behind) = rest.split_first()?;
        let length = match kind {
            k if k == Kind::Null as u8 => 0,
            k if k == Kind::Bool as u8 => 1,
            k if [Kind::Int, Kind::Timestamp, Kind::Float].iter().any(|kind| *kind as u8 == k) => 8,
            k if [Kind::Text, Kind::Bytes, Kind::Json].iter().any(|kind| *kind as u8 == k) => {
                4 + u32::from_le_bytes(*behind.first_chunk()?) as usize
            }
            _ => return None,
        };
        rest = behind.get(length..)?;
    }
    Some(bytes.split_at(bytes.len() - rest.len()))
}

/// Whether the bytes are what [`encode_key`] writes for so many fields, so that the fields can be used as any others.
pub fn is_key(bytes: &[u8], fields: usize) -> bool {
    let mut rest = bytes;
    for _ in 0..fields {
        let Some((field, behind)) = split_key(rest, 1) else { return false };
        let content = |skip: usize| field.get(skip..).unwrap_or_default();
        let good = match field[0] {
            k if k == Kind::Bool as u8 => field[1] < 2,
            k if k == Kind::Float as u8 => {
                content(1).first_chunk().is_some_and(|bits| f64::from_le_bytes(*bits).is_finite())
            }
            k if k == Kind::Text as u8 => str::from_utf8(content(5)).is_ok(),
            k if k == Kind::Json as u8 => validate(content(5)).is_ok(),
            _ => true,
        };
        if !good {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

/// Bit by bit whether a field of a key is text that needs no escaping in JSON, see [`Value::plain_text`].
pub fn plain_fields(key: &[u8]) -> u32 {
    let (mut rest, mut plain) = (key, 0);
    for field in 0..u32::BITS {
        let Some((value, behind)) = split_key(rest, 1).filter(|(value, _)| !value.is_empty()) else { break };
        let is_text = value[0] == Kind::Text as u8;
        let needs_escape = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
        plain |= u32::from(is_text && !value[5..].iter().any(needs_escape)) << field;
        rest = behind;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_key_is_cut_where_it_ends() {
        let mut batch = Batch::new(6, b"");
        let row = batch.push_row(Timestamp(0), Timestamp(0));
        let (plain, odd) = (batch.store(b"plain"), batch.store(b"o\"dd"));
        let values = [
            Value::NULL,
            Value::bool(true),
            Value::plain_text(plain),
            Value::int(-3),
            Value::text(odd),
            Value::float(0.5),
        ];
        let slots: Vec<Slot> = (0..6).map(Slot).collect();
        slots.iter().zip(values).for_each(|(slot, value)| batch.set(row, *slot, value));
        let mut key = Vec::new();
        encode_key(&batch, row, &slots, &mut key);
        assert_eq!(plain_fields(&key), 0b100);
        let length = key.len();
        key.extend_from_slice(b"part");
        assert!(!is_key(&key, 6) && !is_key(&key[..length - 1], 6) && is_key(&key[..length], 6));
        assert_eq!(split_key(&key, 6), Some((&key[..length], b"part".as_slice())));
        assert_eq!(split_key(&key[..length - 1], 6), None);
        assert_eq!(split_key(b"x", 0), Some((b"".as_slice(), b"x".as_slice())));
    }
}
