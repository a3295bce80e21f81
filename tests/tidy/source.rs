//! A Rust file, taken apart into code and comments far enough for the rules.

use std::fmt;
use std::path::Path;

/// A place where a rule is broken.
#[derive(Debug)]
pub struct Fault {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A file with two views of its text, both as long as the text and with its line breaks.
pub struct Source {
    /// Relative to the project, with forward slashes.
    pub path: String,
    /// The text without comments and without what stands inside literals.
    pub code: String,
    /// The comments alone.
    pub comments: String,
    /// For each line, whether it is compiled for tests only.
    pub test: Vec<bool>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let (code, comments) = split(text);
        let test = if is_test_file(path) { vec![true; lines(&code)] } else { test_lines(&code) };
        Source { path: path.to_string(), code, comments, test }
    }

    /// All Rust files below a folder of the project, by path; none if there is no such folder.
    pub fn read_tree(root: &Path, folder: &str) -> Vec<Source> {
        let mut paths = Vec::new();
        collect(&root.join(folder), &mut paths);
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            Source::new(&name, &std::fs::read_to_string(path).unwrap())
        };
        paths.iter().map(read).collect()
    }

    pub fn fault(&self, line: usize, message: impl Into<String>) -> Fault {
        Fault { file: self.path.clone(), line, message: message.into() }
    }

    /// The line (from 1) of a byte of the code.
    pub fn line_of(&self, offset: usize) -> usize {
        self.code.as_bytes()[..offset].iter().filter(|&&b| b == b'\n').count() + 1
    }

    pub fn code_lines(&self) -> Vec<&str> {
        self.code.split('\n').collect()
    }

    pub fn comment_lines(&self) -> Vec<&str> {
        self.comments.split('\n').collect()
    }

    /// Byte offsets of a word of code that is no part of a longer one.
    pub fn find_word(&self, word: &str) -> Vec<usize> {
        let bytes = self.code.as_bytes();
        let free = |at: &usize| {
            let end = at + word.len();
            let open_left = *at == 0 || !is_name(bytes[at - 1]) || !is_name(word.as_bytes()[0]);
            let open_right =
                bytes.get(end).is_none_or(|&b| !is_name(b) || !is_name(word.as_bytes()[word.len() - 1]));
            open_left && open_right
        };
        self.code.match_indices(word).map(|(at, _)| at).filter(free).collect()
    }
}

/// Whether a byte can be part of a name.
pub fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The offset behind the brace that closes the one at `open`; the end of the code if none does.
pub fn behind_braces(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return i + 1;
        }
    }
    code.len()
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn lines(text: &str) -> usize {
    text.split('\n').count()
}

fn collect(folder: &Path, into: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Marks the lines of items behind `#[cfg(test)]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut marks = vec![false; lines(code)];
    for (start, attribute) in code.match_indices("#[cfg(test)]") {
        let body = start + attribute.len();
        let ends_early = code[body..].find([';', '{']).map(|at| body + at);
        let end = match ends_early {
            Some(at) if code.as_bytes()[at] == b'{' => behind_braces(code, at),
            Some(at) => at,
            None => code.len(),
        };
        let first = lines(&code[..start]) - 1;
        let last = lines(&code[..end]) - 1;
        marks[first..=last].fill(true);
    }
    marks
}

/// The code and the comments of a text, each blank where the other stands.
fn split(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let mut code = blank(bytes);
    let mut comments = blank(bytes);
    let mut at = 0;
    while at < bytes.len() {
        let (end, kind) = token(bytes, at);
        match kind {
            Token::Code => code[at..end].copy_from_slice(&bytes[at..end]),
            Token::Comment => comments[at..end].copy_from_slice(&bytes[at..end]),
            // The quotes stay, so that a literal is still seen to be there.
            Token::Literal => (code[at], code[end - 1]) = (b'"', b'"'),
        }
        at = end;
    }
    let ascii = |bytes: Vec<u8>| bytes.iter().map(|&b| if b.is_ascii() { b as char } else { ' ' }).collect();
    (ascii(code), ascii(comments))
}

fn blank(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|&b| if b == b'\n' { b'\n' } else { b' ' }).collect()
}

enum Token {
    Code,
    Comment,
    Literal,
}

/// What starts at a byte outside of comments and literals, and where it ends.
fn token(bytes: &[u8], at: usize) -> (usize, Token) {
    let rest = &bytes[at..];
    let after_name = at > 0 && is_name(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => (at + until(rest, b'\n'), Token::Comment),
        [b'/', b'*', ..] => (at + block_comment(rest), Token::Comment),
        [b'"', ..] => (at + quoted(rest, b'"'), Token::Literal),
        [b'r', b'"' | b'#', ..] if !after_name || raw_prefix(bytes, at) => match raw_string(rest) {
            Some(length) => (at + length, Token::Literal),
            None => (at + 1, Token::Code),
        },
        [b'\'', ..] if is_char(rest) => (at + quoted(rest, b'\''), Token::Literal),
        _ => (at + 1, Token::Code),
    }
}

fn until(rest: &[u8], end: u8) -> usize {
    rest.iter().position(|&b| b == end).unwrap_or(rest.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of a literal that starts with a quote and knows backslash escapes.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Whether the `r` at a byte is the second letter of `br` or `cr`.
fn raw_prefix(bytes: &[u8], at: usize) -> bool {
    matches!(bytes[at - 1], b'b' | b'c') && (at < 2 || !is_name(bytes[at - 2]))
}

/// Length of a raw string; None for a raw identifier.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&b| b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'#'; hashes + 1];
    close[0] = b'"';
    let body = 2 + hashes;
    let end = rest[body..].windows(close.len()).position(|window| window == close);
    Some(end.map_or(rest.len(), |at| body + at + close.len()))
}

/// Tells a character from a lifetime: a character closes after one escape or one code point.
fn is_char(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(&first) => rest.get(1 + utf8_length(first)) == Some(&b'\''),
        None => false,
    }
}

fn utf8_length(first: u8) -> usize {
    match first.leading_ones() {
        0 => 1,
        n => n as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new("src/a.rs", text).code
    }

    #[test]
    fn comments_leave_the_code() {
        assert_eq!(code("a // {\nc /* { /* } */ } */ d"), format!("a     \nc{}d", " ".repeat(19)));
    }

    #[test]
    fn literals_lose_their_content() {
        assert_eq!(code(r#"f("{ \" }", 'x', '{', '\'')"#), r#"f("      ", " ", " ", "  ")"#);
        assert_eq!(code(r##"f(r#"}"}"#, br"}", r#type)"##), r##"f("      ", b"  ", r#type)"##);
        assert_eq!(code("'ä' + 1"), "\"  \" + 1");
    }

    #[test]
    fn lifetimes_are_no_literals() {
        assert_eq!(
            code("fn f<'a>(x: &'a str, y: &'static [u8]) {}"),
            "fn f<'a>(x: &'a str, y: &'static [u8]) {}"
        );
    }

    #[test]
    fn comments_are_kept_apart() {
        let source = Source::new("src/a.rs", "a // why\n\"// no\"");
        assert_eq!(source.comment_lines(), ["  // why", "       "]);
    }

    #[test]
    fn test_code_is_known() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}";
        assert_eq!(Source::new("src/a.rs", text).test, [false, true, true, true, true, false]);
        assert_eq!(Source::new("src/a.rs", "#[cfg(test)]\nmod tests;\nfn a() {}").test, [true, true, false]);
        assert_eq!(Source::new("src/a/tests.rs", "fn a() {}").test, [true]);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(Source::new("src/a.rs", "unsafe_op unsafe my_unsafe").find_word("unsafe"), [10]);
    }
}
