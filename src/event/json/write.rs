//! Cells to JSON text, compact.

use crate::event::{Batch, Kind, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How points in time are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timestamps {
    /// A number: milliseconds since the epoch.
    #[default]
    Millis,
    /// A string such as `2026-01-01T00:00:00.250Z`, as far as years have four digits.
    Rfc3339,
}

/// Appends a value as JSON: floats shortest with a decimal point or exponent, bytes as base64, times as
/// milliseconds since the epoch.
#[inline]
pub fn write_value(batch: &Batch, value: Value, into: &mut Vec<u8>) {
    write_value_as(batch, value, Timestamps::Millis, into);
}

/// As [`write_value`], with a choice of how times are written.
#[inline]
pub fn write_value_as(batch: &Batch, value: Value, timestamps: Timestamps, into: &mut Vec<u8>) {
    match value.kind() {
        Kind::Null => into.extend_from_slice(b"null"),
        Kind::Bool => into.extend_from_slice(if value.as_bool() == Some(true) { b"true" } else { b"false" }),
        Kind::Int => write_int(value.as_int().unwrap_or_default(), into),
        Kind::Float => write_float(value.as_float().unwrap_or_default(), into),
        Kind::Timestamp => write_timestamp(value.as_timestamp().unwrap_or_default(), timestamps, into),
        Kind::Text if value.is_plain() => write_quoted(batch.bytes(value), into),
        Kind::Text => write_string(batch.bytes(value), into),
        Kind::Bytes => write_base64(batch.bytes(value), into),
        Kind::Json => into.extend_from_slice(batch.bytes(value)),
    }
}

/// Appends an integer.
#[inline]
pub fn write_int(int: i64, into: &mut Vec<u8>) {
    into.extend_from_slice(itoa::Buffer::new().format(int).as_bytes());
}

/// Appends the shortest text that reads back as the same float, always with a decimal point or exponent. What
/// JSON cannot say (NaN, infinity) becomes `null`, though no cell should hold it.
#[inline]
pub fn write_float(float: f64, into: &mut Vec<u8>) {
    if float.is_finite() {
        into.extend_from_slice(zmij::Buffer::new().format_finite(float).as_bytes());
    } else {
        into.extend_from_slice(b"null");
    }
}

/// Appends UTF-8 text as a string, with the escapes that JSON demands and no more.
pub fn write_string(text: &[u8], into: &mut Vec<u8>) {
    into.push(b'"');
    let mut written = 0;
    for (i, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        into.extend_from_slice(&text[written..i]);
        write_escape(byte, into);
        written = i + 1;
    }
    into.extend_from_slice(&text[written..]);
    into.push(b'"');
}

fn write_escape(byte: u8, into: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            into.extend_from_slice(b"\\u00");
            into.extend_from_slice(&[HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
            return;
        }
    };
    into.extend_from_slice(&[b'\\', letter]);
}

/// Appends plain text between quotes.
#[inline]
fn write_quoted(plain: &[u8], into: &mut Vec<u8>) {
    into.reserve(plain.len() + 2);
    into.push(b'"');
    into.extend_from_slice(plain);
    into.push(b'"');
}

fn write_timestamp(ms: i64, timestamps: Timestamps, into: &mut Vec<u8>) {
    let written = match timestamps {
        Timestamps::Millis => None,
        Timestamps::Rfc3339 => jiff::Timestamp::from_millisecond(ms).ok(),
    };
    match written {
        Some(time) => write_quoted(time.to_string().as_bytes(), into),
        None => write_int(ms, into),
    }
}

/// Appends bytes as a base64 string.
pub fn write_base64(bytes: &[u8], into: &mut Vec<u8>) {
    into.push(b'"');
    base64(bytes, into);
    into.push(b'"');
}

/// Appends bytes as base64 (RFC 4648, standard alphabet, padded).
pub fn base64(bytes: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    let length = base64::encoded_len(bytes.len(), true).unwrap_or_default();
    into.resize(start + length, 0);
    // The room is as long as it has to be.
    let written = STANDARD.encode_slice(bytes, &mut into[start..]).unwrap_or_default();
    into.truncate(start + written);
}
