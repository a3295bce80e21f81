//! What a notation is made of: items, one behind the other.

use crate::event::Span;
use crate::formats::lines::MAX_RECORD;

/// One item: a scalar, or what opens or closes a list or map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer of 64 signed bits.
    Int(i64),
    /// Any other number; it may be NaN or infinite.
    Float(f64),
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// What should be UTF-8, and where it stands.
    Text(Span),
    /// Bytes, and where they stand.
    Bytes(Span),
    /// Text (or bytes, if false) in pieces: items of that kind follow, up to a break.
    Pieces(bool),
    /// A list of so many values, or up to a break.
    List(Option<u64>),
    /// A map of so many keys, each with its value, or up to a break.
    Map(Option<u64>),
    /// The end of a list, map or text whose length was not given.
    Break,
    /// A value that cannot be one of an event's, and why.
    Odd(&'static str),
}

/// Why there is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes are needed.
    Short,
    /// It is none, so nobody knows where the next one starts.
    Broken(&'static str),
}

/// A way to write items down.
pub trait Notation: Send + 'static {
    /// What it is called in messages.
    const NAME: &'static str;

    /// The item at a place of the arena, which ends where the record may be read to, and the place behind it.
    ///
    /// # Errors
    /// Why there is none.
    fn item(arena: &[u8], at: usize) -> Result<(Item, usize), Fault>;

    /// Appends an item. The spans of text and bytes lie in `arena`; lengths are known, and nothing is odd.
    fn put(item: Item, arena: &[u8], into: &mut Vec<u8>);
}

/// The first bytes from a place on.
pub(super) fn take<const N: usize>(arena: &[u8], at: usize) -> Result<[u8; N], Fault> {
    arena.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Fault::Short)
}

/// A stretch of `length` bytes.
pub(super) fn stretch(arena: &[u8], at: usize, length: u64) -> Result<Span, Fault> {
    if length > MAX_RECORD as u64 {
        return Err(Fault::Broken("a text or bytes longer than 16 MiB"));
    }
    match arena.len() - at >= length as usize {
        true => Ok(Span::new(at, length as usize)),
        false => Err(Fault::Short),
    }
}

/// An integer as far as 64 signed bits hold it, else the nearest float.
pub(super) fn integer(value: i128) -> Item {
    i64::try_from(value).map_or(Item::Float(value as f64), Item::Int)
}

/// The time that is some nanoseconds behind some seconds since the epoch; finer than a millisecond is floored.
pub(super) fn time(seconds: i64, nanos: u32) -> Item {
    let ms = seconds.checked_mul(1000).and_then(|ms| ms.checked_add(i64::from(nanos / 1_000_000)));
    match ms {
        Some(ms) if nanos < 1_000_000_000 => Item::Timestamp(ms),
        _ => Item::Odd("a time out of range"),
    }
}
