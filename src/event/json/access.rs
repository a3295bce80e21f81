//! Finding one's way in validated text without building a tree.

use super::escape::unescape;
use crate::event::Step;
use std::borrow::Cow;

/// The raw text of the value at `steps` inside a value; of duplicate keys the last counts.
/// None if it is not there or something on the way is no list or map.
pub fn get<'a>(text: &'a [u8], steps: &[Step]) -> Option<&'a [u8]> {
    let mut value = trim_start(text);
    for step in steps {
        value = match step {
            Step::Field(name) => {
                entries_written(value).filter(|(key, _)| key_is(key, name)).last().map(|(_, v)| v)?
            }
            Step::Index(n) => elements(value).nth(*n as usize)?,
        };
    }
    Some(&value[..value_end(value)])
}

/// The raw texts of a list's elements in order; none for any other value.
pub fn elements(text: &[u8]) -> Elements<'_> {
    Elements { rest: inside(text, b'[') }
}

/// The keys and raw values of a map in order; none for any other value. Duplicates are all there.
pub fn entries(text: &[u8]) -> Entries<'_> {
    Entries { raw: entries_written(text) }
}

/// How deep lists and maps are inside one another, the outermost counted; 0 for any other value.
pub fn depth(text: &[u8]) -> usize {
    if !matches!(text, [b'[' | b'{', ..]) {
        return 0;
    }
    let (mut at, mut depth, mut deepest) = (0, 0usize, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += string_end(&text[at..]) - 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        at += 1;
    }
    deepest
}

/// See [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (value, rest) = self.rest.split_at(value_end(self.rest));
        self.rest = behind(rest, b',');
        (!value.is_empty()).then_some(value)
    }
}

/// See [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    raw: Written<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Cow<'a, str>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.raw.next()?;
        if memchr::memchr(b'\\', key).is_none() {
            return Some((String::from_utf8_lossy(key), value));
        }
        let mut unescaped = Vec::with_capacity(key.len());
        unescape(key, &mut unescaped);
        let key =
            String::from_utf8(unescaped).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into());
        Some((Cow::Owned(key), value))
    }
}

/// See [`entries_written`].
#[derive(Clone, Debug)]
pub(crate) struct Written<'a> {
    rest: &'a [u8],
}

/// As [`entries`], but keys as they are written, without the quotes.
pub(crate) fn entries_written(text: &[u8]) -> Written<'_> {
    Written { rest: inside(text, b'{') }
}

impl<'a> Iterator for Written<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.rest.split_at(value_end(self.rest));
        let key = key.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let rest = behind(rest, b':');
        let (value, rest) = rest.split_at(value_end(rest));
        self.rest = behind(rest, b',');
        (!value.is_empty()).then_some((key, value))
    }
}

/// Whether a key as it is written means `name`.
pub(super) fn key_is(written: &[u8], name: &str) -> bool {
    if memchr::memchr(b'\\', written).is_none() {
        return written == name.as_bytes();
    }
    let mut unescaped = Vec::with_capacity(written.len());
    unescape(written, &mut unescaped);
    unescaped == name.as_bytes()
}

/// What follows the opening bracket of a list or map; nothing if `text` is something else.
fn inside(text: &[u8], open: u8) -> &[u8] {
    trim_start(text).strip_prefix(&[open]).map(trim_start).unwrap_or_default()
}

/// What follows the separator and white space around it; nothing if it is not there.
fn behind(text: &[u8], separator: u8) -> &[u8] {
    inside(text, separator)
}

/// The text without leading white space.
fn trim_start(text: &[u8]) -> &[u8] {
    let blank = text.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
    &text[blank..]
}

/// The length of the value that `text` starts with; 0 where there is none.
fn value_end(text: &[u8]) -> usize {
    let ends_scalar = |b: &u8| matches!(b, b',' | b':' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
    match text.first() {
        Some(b'"') => string_end(text),
        Some(b'[' | b'{') => container_end(text),
        _ => text.iter().position(ends_scalar).unwrap_or(text.len()),
    }
}

/// The length of the string that `text` starts with, both quotes included.
pub(super) fn string_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The length of the list or map that `text` starts with.
fn container_end(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0usize);
    while at < text.len() {
        match text[at] {
            b'"' => at += string_end(&text[at..]) - 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}
