//! Changes of a text, and where they go.

use crate::config::{Content, Entry, Node, Place, SourceFile, Style};

/// Bytes of a text and what takes their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The first byte.
    pub start: usize,
    /// One beyond the last.
    pub end: usize,
    /// What stands there then.
    pub text: String,
}

impl Edit {
    /// What takes the place of these bytes.
    pub fn new(start: usize, end: usize, text: impl Into<String>) -> Edit {
        Edit { start, end, text: text.into() }
    }

    /// What is put in before a byte.
    pub fn insert(at: usize, text: impl Into<String>) -> Edit {
        Edit::new(at, at, text)
    }
}

/// Whether edits would change the same bytes.
pub fn overlap(some: &[Edit], others: &[Edit]) -> bool {
    let meet =
        |a: &Edit, b: &Edit| a.start < b.end && b.start < a.end || (a.start, a.end) == (b.start, b.end);
    some.iter().any(|a| others.iter().any(|b| meet(a, b)))
}

/// The text with edits that do not overlap; those at one place in the order of the list.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| (edit.start, edit.end));
    let (mut whole, mut done) = (String::new(), 0);
    for edit in sorted {
        whole.push_str(text.get(done..edit.start).unwrap_or_default());
        whole.push_str(&edit.text);
        done = edit.end.max(done);
    }
    whole.push_str(text.get(done..).unwrap_or_default());
    whole
}

/// Where things stand in a file's text.
#[derive(Clone, Copy)]
pub struct Layout<'f> {
    file: &'f SourceFile,
}

impl<'f> Layout<'f> {
    /// Of a file.
    pub fn new(file: &'f SourceFile) -> Layout<'f> {
        Layout { file }
    }

    /// The text.
    pub fn text(self) -> &'f str {
        self.file.text()
    }

    /// What lines end with.
    pub fn newline(self) -> &'static str {
        if self.text().contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// Where a value ends: behind its last character, not at the next one that means something.
    pub fn end(self, node: &Node) -> usize {
        let place = node.place;
        let end = match (&node.content, node.style) {
            (Content::List(items), Style::Block) => items.last().map(|item| self.end(item)),
            (Content::Map(entries), Style::Block) => entries.last().map(|entry| self.entry_end(entry)),
            _ => None,
        };
        let trimmed = || place.start as usize + self.file.slice(place).trim_end().len();
        end.unwrap_or_else(trimmed)
    }

    /// Where an entry of a map ends.
    pub fn entry_end(self, entry: &Entry) -> usize {
        if is_empty(&entry.value) { self.value_start(entry) } else { self.end(&entry.value) }
    }

    /// Where a value that is not written would stand: behind the colon, or behind the key where there is none.
    pub fn value_start(self, entry: &Entry) -> usize {
        let behind_key = entry.place.end as usize;
        let colon = self.text().get(behind_key..).and_then(|rest| rest.find(':'));
        if entry.bare { behind_key } else { behind_key + colon.map_or(0, |at| at + 1) }
    }

    /// The first byte of the line that a byte stands in.
    pub fn line_start(self, at: usize) -> usize {
        self.text()[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// One beyond the line's last byte, without what ends the line.
    pub fn line_end(self, at: usize) -> usize {
        let rest = &self.text()[at..];
        let line = rest.split('\n').next().unwrap_or_default();
        at + line.trim_end_matches('\r').len()
    }

    /// One beyond the line's last byte.
    pub fn next_line(self, at: usize) -> usize {
        self.text()[at..].find('\n').map_or(self.text().len(), |newline| at + newline + 1)
    }

    /// The column of a byte, from 0.
    pub fn column(self, at: usize) -> usize {
        self.file.mark(at as u32).column as usize - 1
    }

    /// The column at which the content of the byte's line starts, behind dashes.
    pub fn indent(self, at: usize) -> usize {
        let line = &self.text()[self.line_start(at)..at];
        line.chars().take_while(|c| matches!(c, ' ' | '-')).count()
    }

    /// Whether all that a value holds stands inside of it; what an alias stands for does not.
    pub fn is_here(self, node: &Node) -> bool {
        let within = |child: Place| node.place.start <= child.start && child.end <= node.place.end;
        match &node.content {
            Content::Scalar(_) => true,
            Content::List(items) => items.iter().all(|item| within(item.place) && self.is_here(item)),
            Content::Map(entries) => entries.iter().all(|entry| {
                let is_empty = is_empty(&entry.value);
                within(entry.place) && (is_empty || within(entry.value.place)) && self.is_here(&entry.value)
            }),
        }
    }
}

/// Whether nothing is written where a value may stand.
pub fn is_empty(node: &Node) -> bool {
    node.style == Style::Plain && node.as_written() == Some("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_meet_where_they_change_the_same() {
        let (a, b) = (Edit::new(2, 5, "x"), Edit::new(5, 7, "y"));
        assert!(!overlap(std::slice::from_ref(&a), std::slice::from_ref(&b)));
        assert!(overlap(std::slice::from_ref(&a), &[Edit::new(4, 6, "")]));
        assert!(overlap(&[Edit::insert(5, "x")], &[Edit::insert(5, "y")]));
        assert_eq!(apply("0123456789", &[b, Edit::insert(9, "z"), a]), "01xy78z9");
    }
}
