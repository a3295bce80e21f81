//! The grammar of a line, after the specification of InfluxDB's line protocol.

use super::Precision;
use crate::event::json::is_plain;
use crate::event::{Span, Value};

/// Why a line is none.
pub(super) type Reason = &'static str;

/// Takes the parts of a line: their names as they mean, and their values.
pub(super) trait Parts {
    /// A text as it stands in the arena, with escapes or without.
    fn text(&mut self, content: &[u8], at: usize, escaped: bool, escapes: &[u8]) -> Value;

    /// A field of the event.
    fn part(&mut self, name: &[u8], value: Value);
}

/// A line being read, from left to right.
pub(super) struct Line<'a> {
    arena: &'a [u8],
    at: usize,
    end: usize,
}

/// What may be escaped in tags and names of fields, and in measurements.
const NAME: &[u8] = b",= ";
const MEASUREMENT: &[u8] = b", ";
const TEXT: &[u8] = b"\"\\";

impl<'a> Line<'a> {
    /// The line at a place of the arena, without its newline.
    pub fn new(arena: &'a [u8], place: std::ops::Range<usize>) -> Line<'a> {
        Line { arena, at: place.start, end: place.end }
    }

    fn peek(&self) -> Option<u8> {
        self.arena[self.at..self.end].first().copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while self.take(b' ') {}
    }

    /// Reads up to one of `ends` that is not escaped: where that text stands, and whether it has escapes.
    fn until(&mut self, ends: &[u8], escapes: &[u8]) -> Result<(Span, bool), Reason> {
        let (start, mut escaped) = (self.at, false);
        while let Some(byte) = self.peek() {
            if ends.contains(&byte) {
                break;
            }
            if byte == b'\n' {
                return Err("a line ends within a name or value");
            }
            let next = self.arena[self.at..self.end].get(1);
            let escape = byte == b'\\' && next.is_some_and(|next| escapes.contains(next));
            escaped |= escape;
            self.at += 1 + usize::from(escape);
        }
        match self.at == start {
            true => Err("a name or value is empty"),
            false => Ok((Span::new(start, self.at - start), escaped)),
        }
    }

    /// Reads the whole line.
    pub fn read(mut self, precision: Precision, parts: &mut impl Parts) -> Result<(), Reason> {
        let mut key = Vec::new();
        let (measurement, escaped) = self.until(b", ", MEASUREMENT)?;
        let value = self.text(measurement, escaped, MEASUREMENT, parts);
        parts.part(super::MEASUREMENT.as_bytes(), value);
        while self.take(b',') {
            self.name(&mut key)?;
            let (tag, escaped) = self.until(b", =", NAME)?;
            let value = self.text(tag, escaped, NAME, parts);
            parts.part(&key, value);
        }
        if !self.take(b' ') {
            return Err("the fields are missing");
        }
        self.blanks();
        loop {
            self.name(&mut key)?;
            let value = self.value(parts)?;
            parts.part(&key, value);
            if !self.take(b',') {
                break;
            }
        }
        let time = self.time(precision)?;
        parts.part(super::TIME.as_bytes(), time);
        Ok(())
    }

    /// Reads a name and the `=` behind it.
    fn name(&mut self, into: &mut Vec<u8>) -> Result<(), Reason> {
        let (name, escaped) = self.until(b"=, ", NAME)?;
        into.clear();
        match escaped {
            true => unescape(&self.arena[name.range()], NAME, into),
            false => into.extend_from_slice(&self.arena[name.range()]),
        }
        if self.take(b'=') { Ok(()) } else { Err("a name has no value") }
    }

    fn text(&self, span: Span, escaped: bool, escapes: &[u8], parts: &mut impl Parts) -> Value {
        parts.text(&self.arena[span.range()], span.start as usize, escaped, escapes)
    }

    /// Reads the value of a field.
    fn value(&mut self, parts: &mut impl Parts) -> Result<Value, Reason> {
        if self.take(b'"') {
            let start = self.at;
            let length = text_length(&self.arena[start..self.end]).ok_or("a text has no end")?;
            self.at += length + 1;
            let span = Span::new(start, length);
            let escaped = memchr::memchr(b'\\', &self.arena[span.range()]).is_some();
            return Ok(self.text(span, escaped, TEXT, parts));
        }
        let (written, _) = self.until(b", ", &[])?;
        scalar(&self.arena[written.range()])
    }

    /// Reads the time, if there is one, up to the end of the line.
    fn time(&mut self, precision: Precision) -> Result<Value, Reason> {
        if self.at < self.end && !self.take(b' ') {
            return Err("something stands behind a value");
        }
        self.blanks();
        let written = self.arena[self.at..self.end].trim_ascii_end();
        if written.is_empty() {
            return Ok(Value::NULL);
        }
        let time = str::from_utf8(written)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or("the time is no integer")?;
        precision.millis_of(time).map(Value::timestamp).ok_or("the time is out of range")
    }
}

/// The length of a text whose opening quote stands before; None if it has no end.
pub(super) fn text_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        // A backslash before anything else stands for itself.
        at += if text.get(at + 1).is_some_and(|next| TEXT.contains(next)) { 2 } else { 1 };
    }
}

/// Appends what escaped text means.
pub(super) fn unescape(text: &[u8], escapes: &[u8], into: &mut Vec<u8>) {
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = if byte == b'\\' { bytes.next_if(|next| escapes.contains(next)) } else { None };
        into.push(escaped.unwrap_or(byte));
    }
}

fn scalar(written: &[u8]) -> Result<Value, Reason> {
    let no_value = "a value is neither a number, a boolean nor a quoted text";
    let text = str::from_utf8(written).map_err(|_| no_value)?;
    match written {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => return Ok(Value::bool(true)),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => return Ok(Value::bool(false)),
        [digits @ .., b'i'] if is_number(digits) => {
            return text[..digits.len()].parse().map(Value::int).map_err(|_| "an integer is out of range");
        }
        [digits @ .., b'u'] if is_number(digits) => {
            let unsigned: Result<u64, _> = text[..digits.len()].parse();
            let unsigned = unsigned.map_err(|_| "an unsigned integer is out of range")?;
            return Ok(i64::try_from(unsigned).map_or(Value::float(unsigned as f64), Value::int));
        }
        _ => {}
    }
    match text.parse::<f64>() {
        Ok(float) if is_number(written) && float.is_finite() => Ok(Value::float(float)),
        Ok(_) if is_number(written) => Err("a number is out of range"),
        _ => Err(no_value),
    }
}

/// Whether it starts as a number does: not as `inf` or `nan`, which are none here.
fn is_number(written: &[u8]) -> bool {
    let unsigned = written.strip_prefix(b"-").or(written.strip_prefix(b"+")).unwrap_or(written);
    unsigned.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// A text that stands in the arena.
pub(super) fn text_value(content: &[u8], at: usize) -> Value {
    let span = Span::new(at, content.len());
    if is_plain(content) { Value::plain_text(span) } else { Value::text(span) }
}
