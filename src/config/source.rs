//! A text that a person wrote, and places in it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::diagnostic::Diagnostic;

/// The largest file that is read as configuration: 1 MiB.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// One configuration file: its name as people should see it, and its text.
#[derive(Debug)]
pub struct SourceFile {
    name: String,
    text: String,
    /// Offset of the first byte of each line.
    lines: Vec<u32>,
}

/// A position for people: line and column count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
}

/// A stretch of a source file, in bytes; always on character boundaries, `start <= end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The first byte.
    pub start: u32,
    /// One beyond the last byte.
    pub end: u32,
}

impl SourceFile {
    /// A file's text that is at hand. `bytes` must be UTF-8 and at most [`MAX_FILE_BYTES`]; a byte order mark
    /// is dropped.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Result<Arc<SourceFile>, Diagnostic> {
        let name = name.into();
        if bytes.len() > MAX_FILE_BYTES {
            return Err(too_large(name));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Arc::new(SourceFile::of_text(name, text))),
            Err(error) => Err(not_utf8(name, error)),
        }
    }

    /// Reads a file. `name` is how diagnostics call it: the path as the person gave it.
    pub fn read(path: &Path) -> Result<Arc<SourceFile>, Diagnostic> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        let limit = MAX_FILE_BYTES as u64 + 1;
        match File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => SourceFile::new(name, bytes),
            Err(error) => {
                let file = Arc::new(SourceFile::of_text(name, String::new()));
                Err(Diagnostic::of_file(file, format!("cannot be read: {error}")))
            }
        }
    }

    fn of_text(name: String, mut text: String) -> SourceFile {
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at as u32 + 1)).collect();
        SourceFile { name, text, lines }
    }

    /// The name that diagnostics show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a place; empty where the place does not lie in this file.
    pub fn slice(&self, place: Place) -> &str {
        self.text.get(place.start as usize..place.end as usize).unwrap_or_default()
    }

    /// Line and column of a byte offset; an offset beyond the end stands for the end.
    pub fn mark(&self, offset: u32) -> Mark {
        let line = self.line_of(offset);
        let start = self.line_place(line).start as usize;
        let before = &self.text[start..self.boundary(offset as usize)];
        Mark { line, column: before.chars().count() as u32 + 1 }
    }

    /// The line of a byte offset, from 1.
    pub fn line_of(&self, offset: u32) -> u32 {
        // The first line starts at 0, so there is always one that starts at or before the offset.
        self.lines.partition_point(|start| *start <= offset) as u32
    }

    /// A line's text without its line break; lines count from 1.
    pub fn line(&self, number: u32) -> &str {
        let place = self.line_place(number);
        self.slice(place).trim_end_matches(['\n', '\r'])
    }

    /// Where a line lies, its line break included.
    pub fn line_place(&self, number: u32) -> Place {
        let end = self.text.len() as u32;
        let line = (number.max(1) - 1) as usize;
        let start = self.lines.get(line).copied().unwrap_or(end);
        Place { start, end: self.lines.get(line + 1).copied().unwrap_or(end) }
    }

    /// A place from offsets that may lie anywhere.
    pub fn place(&self, start: usize, end: usize) -> Place {
        let start = self.boundary(start);
        let end = self.boundary(end).max(start);
        Place { start: start as u32, end: end as u32 }
    }

    /// The nearest character boundary at or before an offset.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

fn too_large(name: String) -> Diagnostic {
    let file = Arc::new(SourceFile::of_text(name, String::new()));
    Diagnostic::of_file(file, "is larger than 1 MiB, the most that is read as configuration")
}

fn not_utf8(name: String, error: std::string::FromUtf8Error) -> Diagnostic {
    let at = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let file = Arc::new(SourceFile::of_text(name, text));
    let skipped = if error.as_bytes().starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let place = file.place(at - skipped, at - skipped + 1);
    Diagnostic::error(file, place, "this byte is not UTF-8").with_hint("save the file as UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_count_lines_and_characters_from_one() {
        let file = SourceFile::new("f", "aä\r\nbc\n".as_bytes().to_vec()).unwrap();
        assert_eq!(file.mark(0), Mark { line: 1, column: 1 });
        assert_eq!(file.mark(3), Mark { line: 1, column: 3 });
        assert_eq!(file.mark(5), Mark { line: 2, column: 1 });
        assert_eq!(file.mark(99), Mark { line: 3, column: 1 });
        assert_eq!(file.line(1), "aä");
        assert_eq!(file.line(2), "bc");
        assert_eq!(file.line(3), "");
        assert_eq!(file.line(9), "");
    }

    #[test]
    fn an_offset_inside_a_character_stands_for_its_start() {
        let file = SourceFile::new("f", "ä".as_bytes().to_vec()).unwrap();
        assert_eq!(file.mark(1), Mark { line: 1, column: 1 });
        assert_eq!(file.place(1, 1), Place { start: 0, end: 0 });
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let file = SourceFile::new("f", b"\xef\xbb\xbfa: 1".to_vec()).unwrap();
        assert_eq!(file.text(), "a: 1");
    }

    #[test]
    fn what_is_no_text_is_refused_at_its_place() {
        let refused = SourceFile::new("f.yaml", b"a: 1\nb: \xff\n".to_vec()).unwrap_err();
        assert_eq!(refused.mark(), Some(Mark { line: 2, column: 4 }));
        let refused = SourceFile::new("f.yaml", vec![b' '; MAX_FILE_BYTES + 1]).unwrap_err();
        assert_eq!(refused.mark(), None);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let refused = SourceFile::read(Path::new("/nowhere/p.yaml")).unwrap_err();
        assert!(refused.to_string().starts_with("/nowhere/p.yaml: error: cannot be read: "), "{refused}");
    }
}
