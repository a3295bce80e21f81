//! Lines to rows.

use super::line::{Line, Parts, text_length, text_value, unescape};
use super::{InfluxOptions, Precision};
use crate::event::bytes::Malformed;
use crate::event::json::{write_string, write_value};
use crate::event::{Batch, Reason, RejectKind, Slot, Span, Unreadable, Value};
use crate::formats::lines::{Lines, MAX_RECORD, too_long};
use crate::formats::{Decoder, Wanted};
use crate::time::Timestamp;
use std::ops::Range;

/// The longest text with line ends in it, in bytes: what is longer is taken for a quote without an end.
const MAX_TEXT: usize = 64 << 10;

/// Reads a line an event: the fields `measurement` and `time`, tags as text, fields as what they are. Empty lines and
/// comments are skipped. A text may hold line ends; a line in which a text has no end is rejected alone.
pub struct InfluxDecoder {
    precision: Precision,
    /// The wanted names and their slots.
    names: Vec<(Box<[u8]>, Slot)>,
    whole: bool,
    parts: Gathered,
    lines: Lines,
}

impl InfluxDecoder {
    /// A decoder of the wanted fields.
    pub fn new(options: &InfluxOptions, wanted: &Wanted) -> InfluxDecoder {
        let direct = wanted.fields.iter().filter(|(path, _)| path.rest().is_empty());
        InfluxDecoder {
            precision: options.precision,
            names: direct.map(|(path, slot)| (path.root().as_bytes().into(), *slot)).collect(),
            whole: wanted.whole,
            parts: Gathered::default(),
            lines: Lines::default(),
        }
    }

    /// Reads the records of whole lines; see [`Lines::decode`].
    fn stretch(
        &mut self,
        batch: &mut Batch,
        lines: Range<usize>,
        (last, limit): (bool, usize),
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let mut at = lines.start;
        while at < lines.end && batch.len() < limit {
            let newline = memchr::memchr(b'\n', &batch.arena[at..lines.end]).map_or(lines.end, |i| at + i);
            if newline - at > MAX_RECORD {
                unreadable.push(too_long(batch, at));
                at = newline + 1;
                continue;
            }
            let end = match record_end(&batch.arena[at..lines.end], newline - at) {
                Some(end) if at + end == newline || end <= MAX_TEXT => at + end,
                None if !last && lines.end - at <= MAX_TEXT => return at,
                _ => newline,
            };
            // A quote need not open a text, so a first line may well stand alone.
            let read = match self.line(batch, at..end) {
                Ok(()) => Ok(end),
                Err(_) if end > newline => self.line(batch, at..newline).map(|()| newline),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = read {
                let raw = trimmed(&batch.arena, at..newline);
                unreadable.push(Unreadable::behind(batch, raw, Reason::new(RejectKind::Decode, reason)));
            }
            at = read.unwrap_or(newline) + 1;
        }
        at.min(lines.end)
    }

    /// Adds the row of a record; nothing for one that is blank or a comment.
    fn line(&mut self, batch: &mut Batch, line: Range<usize>) -> Result<(), &'static str> {
        let span = trimmed(&batch.arena, line);
        let text = &batch.arena[span.range()];
        if text.is_empty() || text[0] == b'#' {
            return Ok(());
        }
        simdutf8::basic::from_utf8(text).map_err(|_| "the line is not UTF-8")?;
        self.parts.start(batch.arena.len());
        Line::new(&batch.arena, span.range()).read(self.precision, &mut self.parts)?;
        batch.arena.append(&mut self.parts.extra);
        let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
        for (name, slot) in &self.names {
            let found =
                self.parts.members.iter().rev().find(|(key, _)| self.parts.names[key.clone()] == **name);
            if let Some((_, value)) = found {
                batch.set(row, *slot, *value);
            }
        }
        if self.whole {
            let mut text = Vec::new();
            self.parts.write(batch, &mut text);
            batch.raw[row.index()] = batch.store(&text);
        }
        Ok(())
    }
}

/// Where the record that starts with `text` ends: at the line's newline, or at a later one where the line ends within a
/// text. None if that text has no end here.
fn record_end(text: &[u8], newline: usize) -> Option<usize> {
    let mut end = newline;
    let mut at = 0;
    // A quote opens a text only where a value begins.
    while let Some(quote) = memchr::memchr(b'"', &text[at..end]).map(|i| at + i) {
        at = quote + 1;
        if quote == 0 || text[quote - 1] != b'=' || (quote > 1 && text[quote - 2] == b'\\') {
            continue;
        }
        at += text_length(&text[at..])? + 1;
        if at > end {
            end = at + memchr::memchr(b'\n', &text[at..])?;
        }
    }
    Some(end)
}

/// A record without blanks before it and line ends behind it.
fn trimmed(arena: &[u8], line: Range<usize>) -> Span {
    let text = &arena[line.clone()];
    let before = text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let behind = text[before..].iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    Span::new(line.start + before, text.len() - before - behind)
}

/// The parts of a line, in order.
#[derive(Default)]
struct Gathered {
    /// All names, one behind the other.
    names: Vec<u8>,
    members: Vec<(Range<usize>, Value)>,
    /// Texts without their escapes, which will stand in the arena from `extra_at` on.
    extra: Vec<u8>,
    extra_at: usize,
}

impl Gathered {
    fn start(&mut self, extra_at: usize) {
        self.names.clear();
        self.members.clear();
        self.extra.clear();
        self.extra_at = extra_at;
    }

    /// Appends the parts as a JSON map; of those with one name the last counts.
    fn write(&self, batch: &Batch, into: &mut Vec<u8>) {
        let mut before = b'{';
        for (i, (name, value)) in self.members.iter().enumerate() {
            let name = &self.names[name.clone()];
            if self.members[i + 1..].iter().any(|(later, _)| self.names[later.clone()] == *name) {
                continue;
            }
            into.push(std::mem::replace(&mut before, b','));
            write_string(name, into);
            into.push(b':');
            write_value(batch, *value, into);
        }
        into.push(b'}');
    }
}

impl Parts for Gathered {
    fn text(&mut self, content: &[u8], at: usize, escaped: bool, escapes: &[u8]) -> Value {
        if !escaped {
            return text_value(content, at);
        }
        let start = self.extra.len();
        unescape(content, escapes, &mut self.extra);
        text_value(&self.extra[start..], self.extra_at + start)
    }

    fn part(&mut self, name: &[u8], value: Value) {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        self.members.push((start..self.names.len(), value));
    }
}

impl Decoder for InfluxDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let mut lines = std::mem::take(&mut self.lines);
        let read = lines.decode(batch, block, last, limit, unreadable, |batch, stretch, unreadable| {
            self.stretch(batch, stretch, (last, limit), unreadable)
        });
        self.lines = lines;
        read
    }

    fn save(&self, into: &mut Vec<u8>) {
        self.lines.save(into);
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        self.lines.load(saved)
    }

    fn another(&self) -> Box<dyn Decoder> {
        Box::new(InfluxDecoder {
            precision: self.precision,
            names: self.names.clone(),
            whole: self.whole,
            parts: Gathered::default(),
            lines: Lines::default(),
        })
    }
}
