//! MessagePack, after its specification (github.com/msgpack/msgpack, `spec.md`, with the timestamp extension).

use super::item::{Fault, Item, Notation, integer, stretch, take, time};

/// The notation.
pub struct Msgpack;

/// The extension type of points in time.
const TIMESTAMP: i8 = -1;

impl Notation for Msgpack {
    const NAME: &'static str = "MessagePack";

    fn item(arena: &[u8], at: usize) -> Result<(Item, usize), Fault> {
        let [first] = take(arena, at)?;
        let at = at + 1;
        Ok(match first {
            0x00..=0x7f => (Item::Int(i64::from(first)), at),
            0x80..=0x8f => (Item::Map(Some(u64::from(first & 15))), at),
            0x90..=0x9f => (Item::List(Some(u64::from(first & 15))), at),
            0xa0..=0xbf => text(arena, at, u64::from(first & 31))?,
            0xc0 => (Item::Null, at),
            0xc1 => return Err(Fault::Broken("the byte 0xc1, which is never used")),
            0xc2 | 0xc3 => (Item::Bool(first == 0xc3), at),
            0xc4..=0xc6 => {
                let (length, at) = length(arena, at, first - 0xc4)?;
                let span = stretch(arena, at, length)?;
                (Item::Bytes(span), span.range().end)
            }
            0xc7..=0xc9 => {
                let (length, at) = length(arena, at, first - 0xc7)?;
                extension(arena, at, length)?
            }
            0xca => (Item::Float(f64::from(f32::from_be_bytes(take(arena, at)?))), at + 4),
            0xcb => (Item::Float(f64::from_be_bytes(take(arena, at)?)), at + 8),
            0xcc => (Item::Int(i64::from(u8::from_be_bytes(take(arena, at)?))), at + 1),
            0xcd => (Item::Int(i64::from(u16::from_be_bytes(take(arena, at)?))), at + 2),
            0xce => (Item::Int(i64::from(u32::from_be_bytes(take(arena, at)?))), at + 4),
            0xcf => (integer(i128::from(u64::from_be_bytes(take(arena, at)?))), at + 8),
            0xd0 => (Item::Int(i64::from(i8::from_be_bytes(take(arena, at)?))), at + 1),
            0xd1 => (Item::Int(i64::from(i16::from_be_bytes(take(arena, at)?))), at + 2),
            0xd2 => (Item::Int(i64::from(i32::from_be_bytes(take(arena, at)?))), at + 4),
            0xd3 => (Item::Int(i64::from_be_bytes(take(arena, at)?)), at + 8),
            0xd4..=0xd8 => extension(arena, at, 1 << (first - 0xd4))?,
            0xd9..=0xdb => {
                let (length, at) = length(arena, at, first - 0xd9)?;
                text(arena, at, length)?
            }
            0xdc | 0xdd => {
                let (length, at) = length(arena, at, first - 0xdb)?;
                (Item::List(Some(length)), at)
            }
            0xde | 0xdf => {
                let (length, at) = length(arena, at, first - 0xdd)?;
                (Item::Map(Some(length)), at)
            }
            0xe0..=0xff => (Item::Int(i64::from(first.cast_signed())), at),
        })
    }

    fn put(item: Item, arena: &[u8], into: &mut Vec<u8>) {
        match item {
            Item::Null | Item::Break | Item::Pieces(_) | Item::Odd(_) => into.push(0xc0),
            Item::Bool(value) => into.push(if value { 0xc3 } else { 0xc2 }),
            Item::Int(value) => put_int(value, into),
            Item::Float(value) => {
                into.push(0xcb);
                into.extend_from_slice(&value.to_be_bytes());
            }
            Item::Timestamp(ms) => put_time(ms, into),
            Item::Text(span) => {
                put_length(span.len, Some((0xa0, 31)), [0xd9, 0xda, 0xdb], into);
                into.extend_from_slice(&arena[span.range()]);
            }
            Item::Bytes(span) => {
                put_length(span.len, None, [0xc4, 0xc5, 0xc6], into);
                into.extend_from_slice(&arena[span.range()]);
            }
            // A list or map in a batch is shorter than 4 GiB, and so has fewer members.
            Item::List(count) => {
                put_length(count.unwrap_or_default() as u32, Some((0x90, 15)), [0xdc, 0xdc, 0xdd], into);
            }
            Item::Map(count) => {
                put_length(count.unwrap_or_default() as u32, Some((0x80, 15)), [0xde, 0xde, 0xdf], into);
            }
        }
    }
}

/// A length of 1, 2 or 4 bytes: of `1 << exponent`.
fn length(arena: &[u8], at: usize, exponent: u8) -> Result<(u64, usize), Fault> {
    Ok(match exponent {
        0 => (u64::from(u8::from_be_bytes(take(arena, at)?)), at + 1),
        1 => (u64::from(u16::from_be_bytes(take(arena, at)?)), at + 2),
        _ => (u64::from(u32::from_be_bytes(take(arena, at)?)), at + 4),
    })
}

fn text(arena: &[u8], at: usize, length: u64) -> Result<(Item, usize), Fault> {
    let span = stretch(arena, at, length)?;
    Ok((Item::Text(span), span.range().end))
}

/// An extension: a point in time, or bytes of a type that only its users know.
fn extension(arena: &[u8], at: usize, length: u64) -> Result<(Item, usize), Fault> {
    let [kind] = take(arena, at)?;
    let span = stretch(arena, at + 1, length)?;
    let content = &arena[span.range()];
    let item = match (kind.cast_signed(), length) {
        (TIMESTAMP, 4) => time(i64::from(u32::from_be_bytes(take(content, 0)?)), 0),
        (TIMESTAMP, 8) => {
            let both = u64::from_be_bytes(take(content, 0)?);
            time((both & ((1 << 34) - 1)) as i64, (both >> 34) as u32)
        }
        (TIMESTAMP, 12) => time(i64::from_be_bytes(take(content, 4)?), u32::from_be_bytes(take(content, 0)?)),
        (TIMESTAMP, _) => Item::Odd("a timestamp that is neither 4, 8 nor 12 bytes long"),
        _ => Item::Bytes(span),
    };
    Ok((item, span.range().end))
}

/// An integer in as few bytes as hold it.
fn put_int(value: i64, into: &mut Vec<u8>) {
    if let Ok(small) = i8::try_from(value)
        && small >= -32
    {
        into.push(small.cast_unsigned());
    } else if let Ok(value) = u8::try_from(value) {
        into.extend_from_slice(&[0xcc, value]);
    } else if let Ok(value) = i8::try_from(value) {
        into.extend_from_slice(&[0xd0, value.cast_unsigned()]);
    } else if let Ok(value) = u16::try_from(value) {
        into.push(0xcd);
        into.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        into.push(0xd1);
        into.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        into.push(0xce);
        into.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        into.push(0xd2);
        into.extend_from_slice(&value.to_be_bytes());
    } else {
        into.push(0xd3);
        into.extend_from_slice(&value.to_be_bytes());
    }
}

/// A length: in the first byte up to a limit, if there is such a form, or in 1, 2 or 4 bytes behind one.
fn put_length(length: u32, short: Option<(u8, u32)>, forms: [u8; 3], into: &mut Vec<u8>) {
    match (short, u8::try_from(length), u16::try_from(length)) {
        (Some((base, most)), Ok(byte), _) if length <= most => into.push(base | byte),
        // Lists and maps have no form of one byte: theirs is that of two.
        (_, Ok(byte), _) if forms[0] != forms[1] => into.extend_from_slice(&[forms[0], byte]),
        (_, _, Ok(two)) => {
            into.push(forms[1]);
            into.extend_from_slice(&two.to_be_bytes());
        }
        _ => {
            into.push(forms[2]);
            into.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// A point in time, in the shortest of the three forms.
fn put_time(ms: i64, into: &mut Vec<u8>) {
    let (seconds, nanos) = (ms.div_euclid(1000), ms.rem_euclid(1000) as u32 * 1_000_000);
    let kind = TIMESTAMP.cast_unsigned();
    match (u32::try_from(seconds), u64::try_from(seconds)) {
        (Ok(seconds), _) if nanos == 0 => {
            into.extend_from_slice(&[0xd6, kind]);
            into.extend_from_slice(&seconds.to_be_bytes());
        }
        (_, Ok(seconds)) if seconds < 1 << 34 => {
            into.extend_from_slice(&[0xd7, kind]);
            into.extend_from_slice(&(u64::from(nanos) << 34 | seconds).to_be_bytes());
        }
        _ => {
            into.extend_from_slice(&[0xc7, 12, kind]);
            into.extend_from_slice(&nanos.to_be_bytes());
            into.extend_from_slice(&seconds.to_be_bytes());
        }
    }
}
