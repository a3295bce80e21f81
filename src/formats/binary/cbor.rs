//! CBOR (RFC 8949).

use super::item::{Fault, Item, Notation, integer, stretch, take, time};

/// The notation.
pub struct Cbor;

/// Tags around one value.
const MOST_TAGS: usize = 16;

const TEXT_TIME: u64 = 0;
const NUMBER_TIME: u64 = 1;
const POSITIVE_BIGNUM: u64 = 2;
const NEGATIVE_BIGNUM: u64 = 3;

impl Notation for Cbor {
    const NAME: &'static str = "CBOR";

    fn item(arena: &[u8], mut at: usize) -> Result<(Item, usize), Fault> {
        let mut tags = [0; MOST_TAGS];
        let mut count = 0;
        loop {
            let (major, argument, behind) = head(arena, at)?;
            let (6, Some(tag)) = (major, argument) else {
                let (item, end) = untagged(arena, at)?;
                if item == Item::Break && count > 0 {
                    return Err(Fault::Broken("a tag without a value"));
                }
                let item = tags[..count].iter().rev().fold(item, |item, tag| tagged(*tag, item, arena));
                return Ok((item, end));
            };
            if count == MOST_TAGS {
                return Err(Fault::Broken("too many tags around one value"));
            }
            tags[count] = tag;
            (count, at) = (count + 1, behind);
        }
    }

    fn put(item: Item, arena: &[u8], into: &mut Vec<u8>) {
        match item {
            Item::Null | Item::Break | Item::Pieces(_) | Item::Odd(_) => into.push(0xf6),
            Item::Bool(value) => into.push(if value { 0xf5 } else { 0xf4 }),
            Item::Int(value) if value < 0 => put_head(1, !value.cast_unsigned(), into),
            Item::Int(value) => put_head(0, value.cast_unsigned(), into),
            Item::Float(value) => {
                into.push(0xfb);
                into.extend_from_slice(&value.to_be_bytes());
            }
            Item::Timestamp(ms) => {
                put_head(6, NUMBER_TIME, into);
                match ms % 1000 {
                    0 => Cbor::put(Item::Int(ms / 1000), arena, into),
                    _ => Cbor::put(Item::Float(ms as f64 / 1000.0), arena, into),
                }
            }
            Item::Text(span) => {
                put_head(3, u64::from(span.len), into);
                into.extend_from_slice(&arena[span.range()]);
            }
            Item::Bytes(span) => {
                put_head(2, u64::from(span.len), into);
                into.extend_from_slice(&arena[span.range()]);
            }
            Item::List(count) => put_head(4, count.unwrap_or_default(), into),
            Item::Map(count) => put_head(5, count.unwrap_or_default(), into),
        }
    }
}

/// The major type of an item, its argument (none for an indefinite length), and the place behind both.
fn head(arena: &[u8], at: usize) -> Result<(u8, Option<u64>, usize), Fault> {
    let [first] = take(arena, at)?;
    let at = at + 1;
    let (argument, length) = match first & 31 {
        24 => (u64::from(u8::from_be_bytes(take(arena, at)?)), 1),
        25 => (u64::from(u16::from_be_bytes(take(arena, at)?)), 2),
        26 => (u64::from(u32::from_be_bytes(take(arena, at)?)), 4),
        27 => (u64::from_be_bytes(take(arena, at)?), 8),
        28..=30 => return Err(Fault::Broken("a length that is not defined")),
        31 => return Ok((first >> 5, None, at)),
        small => (u64::from(small), 0),
    };
    Ok((first >> 5, Some(argument), at + length))
}

fn untagged(arena: &[u8], at: usize) -> Result<(Item, usize), Fault> {
    let (major, argument, behind) = head(arena, at)?;
    let item = match (major, argument) {
        (0, Some(value)) => integer(i128::from(value)),
        (1, Some(value)) => integer(-1 - i128::from(value)),
        (2 | 3, Some(length)) => {
            let span = stretch(arena, behind, length)?;
            let item = if major == 3 { Item::Text(span) } else { Item::Bytes(span) };
            return Ok((item, span.range().end));
        }
        (2 | 3, None) => Item::Pieces(major == 3),
        (4, count) => Item::List(count),
        (5, count) => Item::Map(count),
        (7, None) => Item::Break,
        (7, Some(value)) => simple(arena[at] & 31, value),
        _ => return Err(Fault::Broken("an indefinite length where there is none")),
    };
    Ok((item, behind))
}

fn simple(form: u8, value: u64) -> Item {
    match (form, value) {
        (25, half) => Item::Float(half_float(half as u16)),
        (26, single) => Item::Float(f64::from(f32::from_bits(single as u32))),
        (27, double) => Item::Float(f64::from_bits(double)),
        (_, 20 | 21) => Item::Bool(value == 21),
        // `undefined` is as good as null here.
        (_, 22 | 23) => Item::Null,
        _ => Item::Odd("a simple value without a meaning"),
    }
}

/// A float of 16 bits (IEEE 754 binary16).
fn half_float(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// What a value means under a tag. Tags that say nothing of what it is for an event are passed over.
fn tagged(tag: u64, item: Item, arena: &[u8]) -> Item {
    match (tag, item) {
        (TEXT_TIME, Item::Text(span)) => text_time(&arena[span.range()]),
        (NUMBER_TIME, Item::Int(seconds)) => time(seconds, 0),
        (NUMBER_TIME, Item::Float(seconds)) => float_time(seconds),
        (POSITIVE_BIGNUM, Item::Bytes(span)) => bignum(&arena[span.range()], false),
        (NEGATIVE_BIGNUM, Item::Bytes(span)) => bignum(&arena[span.range()], true),
        _ => item,
    }
}

fn text_time(text: &[u8]) -> Item {
    let time = str::from_utf8(text).ok().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let ms = time.and_then(|time| i64::try_from(time.as_nanosecond().div_euclid(1_000_000)).ok());
    ms.map_or(Item::Odd("a time that is not written by RFC 3339"), Item::Timestamp)
}

/// Seconds with a fraction. A float holds no more than microseconds of this century, so it is rounded to those
/// before what is finer than a millisecond is floored: 1.001 s is 1001 ms, though the nearest float is below.
fn float_time(seconds: f64) -> Item {
    let micros = (seconds * 1e6).round();
    match micros.abs() < 9e18 {
        true => Item::Timestamp((micros as i64).div_euclid(1000)),
        false => Item::Odd("a time out of range"),
    }
}

/// An integer of any length, as the nearest float where 64 bits do not hold it.
fn bignum(bytes: &[u8], negative: bool) -> Item {
    let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let (top, rest) = digits.split_at(digits.len().min(15));
    let mut value = top.iter().fold(0i128, |sum, byte| sum << 8 | i128::from(*byte));
    if rest.is_empty() {
        return integer(if negative { -1 - value } else { value });
    }
    // What is cut off decides the rounding of a tie only.
    value |= i128::from(rest.iter().any(|byte| *byte != 0));
    let exponent = i32::try_from(rest.len() * 8).unwrap_or(i32::MAX);
    let magnitude = value as f64 * 2f64.powi(exponent);
    Item::Float(if negative { -magnitude } else { magnitude })
}

fn put_head(major: u8, argument: u64, into: &mut Vec<u8>) {
    let major = major << 5;
    if argument < 24 {
        into.push(major | argument as u8);
    } else if let Ok(value) = u8::try_from(argument) {
        into.extend_from_slice(&[major | 24, value]);
    } else if let Ok(value) = u16::try_from(argument) {
        into.push(major | 25);
        into.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(argument) {
        into.push(major | 26);
        into.extend_from_slice(&value.to_be_bytes());
    } else {
        into.push(major | 27);
        into.extend_from_slice(&argument.to_be_bytes());
    }
}
