//! One rejected event.

use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_signed};
use crate::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What of an event is kept; the rest of a longer one is cut off.
pub const CONTENT_LIMIT: usize = 256 << 10;
/// The longest reason.
const REASON_LIMIT: usize = 4 << 10;
/// The longest name of a node, and of a kind.
const NAME_LIMIT: usize = 1 << 10;
/// The longest record.
const LETTER_LIMIT: usize = CONTENT_LIMIT + REASON_LIMIT + 3 * NAME_LIMIT;
/// What stands before a record: its length, number and checksum.
const HEAD: usize = 20;

/// What was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// The event is not known any more where it was rejected.
    Unknown,
    /// An event, as JSON.
    Event(&'a [u8]),
    /// What came in, or was to go out, as bytes.
    Raw(&'a [u8]),
}

impl<'a> Content<'a> {
    fn parts(self) -> (u8, &'a [u8]) {
        match self {
            Content::Unknown => (0, &[]),
            Content::Event(bytes) => (1, bytes),
            Content::Raw(bytes) => (2, bytes),
        }
    }

    /// Its bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.parts().1
    }
}

/// A rejected event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    /// When it was rejected.
    pub at: Timestamp,
    /// The node that rejected it.
    pub node: &'a str,
    /// The stage of work.
    pub kind: &'a str,
    /// Why.
    pub reason: &'a str,
    /// What was rejected, as far as it is kept.
    pub content: Content<'a>,
    /// Its whole length in bytes.
    pub length: u64,
}

impl<'a> DeadLetter<'a> {
    /// What was rejected; what is beyond the limits of its parts is cut off.
    pub fn new(
        at: Timestamp,
        node: &'a str,
        kind: &'a str,
        reason: &'a str,
        content: Content<'a>,
    ) -> DeadLetter<'a> {
        let cut = |bytes: &'a [u8]| &bytes[..bytes.len().min(CONTENT_LIMIT)];
        let kept = match content {
            Content::Unknown => Content::Unknown,
            Content::Event(bytes) => Content::Event(cut(bytes)),
            Content::Raw(bytes) => Content::Raw(cut(bytes)),
        };
        let text = |text: &'a str, limit| &text[..text.floor_char_boundary(limit)];
        DeadLetter {
            at,
            node: text(node, NAME_LIMIT),
            kind: text(kind, NAME_LIMIT),
            reason: text(reason, REASON_LIMIT),
            content: kept,
            length: content.bytes().len() as u64,
        }
    }

    /// Whether a part of it was cut off.
    pub fn is_cut(&self) -> bool {
        (self.content.bytes().len() as u64) < self.length
    }

    fn encode(&self, into: &mut Vec<u8>) {
        put_signed(into, self.at.0);
        for text in [self.node, self.kind, self.reason] {
            put_bytes(into, text.as_bytes());
        }
        let (form, bytes) = self.content.parts();
        into.push(form);
        put_number(into, self.length);
        into.extend_from_slice(bytes);
    }

    fn decode(bytes: &'a [u8]) -> Result<DeadLetter<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let at = Timestamp(reader.signed()?);
        let node = read_text(&mut reader, NAME_LIMIT)?;
        let kind = read_text(&mut reader, NAME_LIMIT)?;
        let reason = read_text(&mut reader, REASON_LIMIT)?;
        let form = reader.byte()?;
        let length = reader.number()?;
        let bytes = reader.take(reader.remaining())?;
        let content = match form {
            0 if bytes.is_empty() => Content::Unknown,
            1 => Content::Event(bytes),
            2 => Content::Raw(bytes),
            _ => return Err(Malformed("a form that there is not")),
        };
        Ok(DeadLetter { at, node, kind, reason, content, length })
    }
}

fn read_text<'a>(reader: &mut Reader<'a>, limit: usize) -> Result<&'a str, Malformed> {
    std::str::from_utf8(reader.bytes(limit)?).map_err(|_| Malformed("a text that is none"))
}

/// Letters that are gathered before they are written, without a lock for each.
#[derive(Debug, Default)]
pub struct LetterBuffer {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl LetterBuffer {
    /// Adds a letter.
    pub fn push(&mut self, letter: &DeadLetter) {
        letter.encode(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// How many bytes were gathered.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Each letter as bytes.
    pub(super) fn letters(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.bytes[std::mem::replace(&mut start, end)..end])
    }
}

/// Appends a record: a letter with its number.
pub(super) fn put_record(into: &mut Vec<u8>, seed: u64, number: u64, letter: &[u8]) {
    into.extend_from_slice(&(letter.len() as u32).to_le_bytes());
    into.extend_from_slice(&number.to_le_bytes());
    into.extend_from_slice(&checksum(seed, number, letter).to_le_bytes());
    into.extend_from_slice(letter);
}

/// The record at the front, and how long it is. None where none is whole.
pub(super) fn read_record(bytes: &[u8], seed: u64) -> Option<(u64, DeadLetter<'_>, usize)> {
    let head = bytes.first_chunk::<HEAD>()?;
    let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    let length = u32::from_le_bytes(std::array::from_fn(|i| head[i])) as usize;
    if length > LETTER_LIMIT {
        return None;
    }
    let (number, letter) = (long(4), bytes.get(HEAD..HEAD + length)?);
    if checksum(seed, number, letter) != long(12) {
        return None;
    }
    Some((number, DeadLetter::decode(letter).ok()?, HEAD + length))
}

fn checksum(seed: u64, number: u64, letter: &[u8]) -> u64 {
    let head = [(letter.len() as u64).to_le_bytes(), number.to_le_bytes()].concat();
    xxh3_64_with_seed(letter, xxh3_64_with_seed(&head, seed))
}
