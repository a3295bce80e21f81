//! Where a stretch of a scalar's text stands in the file: through quotes, escapes, folded lines, the
//! indentation of blocks, and substitutions.
//!
//! YAML changes white space where it folds and indents, and nothing else. So the n-th character of the text
//! that is no white space is the n-th such character of what was written, an escape counting as the character
//! it stands for.

use std::ops::Range;

use super::node::{Content, Node, Style};
use super::source::{Place, SourceFile};

/// Where bytes `range` of the node's text stand. A stretch that was substituted stands at its `${…}`.
pub(super) fn place(file: &SourceFile, node: &Node, range: Range<usize>) -> Place {
    let Content::Scalar(text) = &node.content else { return node.place };
    let (text, range) = match &node.written {
        None => (text.as_str(), range),
        Some(written) => {
            let start = as_written(&written.parts, range.start, false);
            let end = as_written(&written.parts, range.end.max(range.start), true);
            (written.text.as_str(), start..end)
        }
    };
    place_as_written(file, node, text, range)
}

/// Where bytes `range` of the text before substitution stand.
pub(super) fn place_as_written(file: &SourceFile, node: &Node, text: &str, range: Range<usize>) -> Place {
    let solid = Solid::of(file.slice(node.place), node.style);
    let base = node.place.start as usize;
    let end = range.end.max(range.start);
    let start = base + solid.offset(text, range.start);
    // The end of a stretch is one beyond its last character, not the start of the next.
    let end = match text.get(..end).map(|before| before.trim_end().len()) {
        Some(trimmed) if trimmed > range.start => base + solid.end(text, trimmed),
        _ => start,
    };
    file.place(start, end)
}

/// The offset in the text before substitution that a start or end after it goes back to.
fn as_written(parts: &[(Place, Place)], offset: usize, is_end: bool) -> usize {
    let mut before = (0, 0);
    for (written, became) in parts {
        let (start, end) = (became.start as usize, became.end as usize);
        let inside = if is_end { start < offset && offset <= end } else { start <= offset && offset < end };
        match inside {
            true if is_end => return written.end as usize,
            true => return written.start as usize,
            false if offset >= end => before = (written.end as usize, end),
            false => break,
        }
    }
    before.0 + (offset - before.1)
}

/// The characters of a written scalar that are no white space: start and end of each.
struct Solid {
    spans: Vec<Range<usize>>,
}

impl Solid {
    fn of(raw: &str, style: Style) -> Solid {
        let (from, to) = match style {
            Style::SingleQuoted | Style::DoubleQuoted => (1, raw.len().saturating_sub(1)),
            Style::Literal | Style::Folded => (raw.find('\n').map_or(raw.len(), |at| at + 1), raw.len()),
            _ => (0, raw.len()),
        };
        let mut spans = Vec::new();
        let mut at = from;
        while let Some(c) = raw.get(at..to).and_then(|rest| rest.chars().next()) {
            let rest = &raw[at..to];
            let (width, is_space) = match c {
                '\'' if style == Style::SingleQuoted && rest.starts_with("''") => (2, false),
                '\\' if style == Style::DoubleQuoted => escape(rest),
                c => (c.len_utf8(), is_space(c)),
            };
            if !is_space {
                spans.push(at..at + width);
            }
            at += width;
        }
        Solid { spans }
    }

    /// Where the character at a byte of the text starts; for white space, where the character before it ends.
    fn offset(&self, text: &str, at: usize) -> usize {
        let at = boundary(text, at);
        let before = solid_count(&text[..at]);
        let on_space = text[at..].chars().next().is_none_or(is_space);
        match self.spans.get(before) {
            Some(span) if !on_space => span.start,
            _ => self.spans.get(before.wrapping_sub(1)).map_or(0, |span| span.end),
        }
    }

    /// Where the character that ends at a byte of the text ends.
    fn end(&self, text: &str, at: usize) -> usize {
        let count = solid_count(&text[..boundary(text, at)]);
        self.spans.get(count.wrapping_sub(1)).map_or(0, |span| span.end)
    }
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn solid_count(text: &str) -> usize {
    text.chars().filter(|c| !is_space(*c)).count()
}

/// White space that YAML may change.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{a0}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The width of an escape in double quotes, and whether it stands for white space.
fn escape(raw: &str) -> (usize, bool) {
    let Some(kind) = raw[1..].chars().next() else { return (1, true) };
    let digits = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    let width = (1 + kind.len_utf8() + digits).min(raw.len());
    let hex = raw.get(2..width).unwrap_or_default();
    let coded = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
    let is_space = matches!(kind, ' ' | '\t' | '\n' | '\r' | 't' | 'n' | 'r' | 'N' | '_' | 'L' | 'P')
        || coded.is_some_and(is_space);
    (width, is_space)
}

#[cfg(test)]
mod tests {
    use crate::config::{Faults, SourceFile, parse};

    /// What stands in the file for every occurrence of `word` in the value of `a`.
    fn found(text: &str, word: &str) -> Vec<(String, u32, u32)> {
        let faults = Faults::new(SourceFile::new("p", text.as_bytes().to_vec()).unwrap());
        let root = parse(&faults).unwrap();
        let node = &root.get("a").unwrap().value;
        let value = node.scalar().unwrap();
        let file = faults.file();
        let place = |at: usize| super::place(file, node, at..at + word.len());
        value
            .match_indices(word)
            .map(|(at, _)| {
                let mark = file.mark(place(at).start);
                (file.slice(place(at)).to_owned(), mark.line, mark.column)
            })
            .collect()
    }

    #[test]
    fn words_are_found_in_every_style() {
        let word = |line, column| vec![("word".to_owned(), line, column)];
        assert_eq!(found("a: plain word x", "word"), word(1, 10));
        assert_eq!(found("a: plain\n   folded\n\n   word x", "word"), word(4, 4));
        assert_eq!(found("a: 'it''s a word'", "word"), word(1, 13));
        assert_eq!(found("a: \"\\t\\x41\\u00e4\\\" word\"", "word"), word(1, 20));
        assert_eq!(found("a: \"x\\\n  y word\"", "word"), word(2, 5));
        assert_eq!(found("a: |\n  x\n\n    y word\n", "word"), word(4, 7));
        assert_eq!(found("a: >2-\n  x\n  y word\n", "word"), word(3, 5));
        assert_eq!(found("ä: b\na: öä word", "word"), word(2, 7));
        assert_eq!(found("a: { b: 1 }\n".replace("{ b: 1 }", "'word'").as_str(), "word"), word(1, 5));
    }

    #[test]
    fn offsets_at_white_space_and_beyond_the_end_stay_inside() {
        let text = "a: 'x  y'";
        let faults = Faults::new(SourceFile::new("p", text.as_bytes().to_vec()).unwrap());
        let root = parse(&faults).unwrap();
        let node = &root.get("a").unwrap().value;
        let starts: Vec<u32> = (0..7).map(|at| super::place(faults.file(), node, at..at).start).collect();
        assert_eq!(starts, [4, 5, 5, 7, 8, 8, 8]);
    }
}
