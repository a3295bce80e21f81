//! `LIKE`: patterns in which `%` stands for any text and `_` for any one character.

use super::functions::{Cached, Context, Instance, Outcome};
use crate::event::Value;

/// The operator at one place, with the pattern it last met.
#[derive(Clone)]
pub(super) struct Like {
    escape: Option<char>,
    insensitive: bool,
    negated: bool,
    pattern: Cached<Pattern>,
}

impl Like {
    pub(super) fn new(escape: Option<char>, insensitive: bool, negated: bool) -> Like {
        Like { escape, insensitive, negated, pattern: Cached::default() }
    }

    /// Whether a pattern is well formed.
    pub(super) fn check(&self, pattern: &str) -> Result<(), String> {
        Pattern::new(pattern, self.escape, self.insensitive).map(|_| ())
    }
}

impl Instance for Like {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let (escape, insensitive) = (self.escape, self.insensitive);
        let make = |text: &str| Pattern::new(text, escape, insensitive);
        let pattern = self.pattern.get(context.text(args[1]), make)?;
        Ok(Value::bool(pattern.matches(context.text(args[0])) != self.negated))
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(self.clone())
    }
}

/// A pattern, taken apart at its `%`.
#[derive(Clone)]
struct Pattern {
    /// The pieces between the `%`; the first is held to the start of the text, the last to its end.
    pieces: Vec<Piece>,
    insensitive: bool,
}

/// Characters that stand in a row.
#[derive(Clone, Default)]
struct Piece {
    /// None is any one character.
    chars: Vec<Option<char>>,
    /// The piece as plain bytes, unless there is something special about it.
    plain: Option<String>,
}

impl Pattern {
    fn new(text: &str, escape: Option<char>, insensitive: bool) -> Result<Pattern, String> {
        let mut pieces = vec![Piece::default()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let literal = if Some(c) == escape {
                Some(chars.next().ok_or("the escape character escapes nothing")?)
            } else if c == '%' {
                pieces.push(Piece::default());
                continue;
            } else {
                (c != '_').then_some(c)
            };
            if let Some(piece) = pieces.last_mut() {
                piece.chars.push(literal.map(|c| if insensitive { fold(c) } else { c }));
            }
        }
        for piece in &mut pieces {
            piece.plain = if insensitive { None } else { piece.chars.iter().copied().collect() };
        }
        Ok(Pattern { pieces, insensitive })
    }

    fn matches(&self, text: &str) -> bool {
        let [first, rest @ ..] = self.pieces.as_slice() else {
            return false;
        };
        let Some(mut text) = self.strip(first, text) else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return text.is_empty();
        };
        for piece in middle {
            match self.find(piece, text) {
                Some(behind) => text = behind,
                None => return false,
            }
        }
        self.ends(last, text)
    }

    /// The text behind the piece, if it starts with it.
    fn strip<'t>(&self, piece: &Piece, text: &'t str) -> Option<&'t str> {
        if let Some(plain) = &piece.plain {
            return text.strip_prefix(plain.as_str());
        }
        let mut chars = text.chars();
        for wanted in &piece.chars {
            let found = chars.next()?;
            if wanted.is_some_and(|c| c != if self.insensitive { fold(found) } else { found }) {
                return None;
            }
        }
        Some(chars.as_str())
    }

    /// The text behind the first place where the piece stands. The first is as good as any later one.
    fn find<'t>(&self, piece: &Piece, text: &'t str) -> Option<&'t str> {
        if let Some(plain) = &piece.plain {
            let at = memchr::memmem::find(text.as_bytes(), plain.as_bytes())?;
            return Some(&text[at + plain.len()..]);
        }
        text.char_indices().find_map(|(at, _)| self.strip(piece, &text[at..]))
    }

    fn ends(&self, piece: &Piece, text: &str) -> bool {
        if let Some(plain) = &piece.plain {
            return text.ends_with(plain.as_str());
        }
        let length = piece.chars.len();
        let start = match length {
            0 => Some(text.len()),
            _ => text.char_indices().rev().nth(length - 1).map(|(at, _)| at),
        };
        start.and_then(|start| self.strip(piece, &text[start..])).is_some()
    }
}

/// A character without its case; those whose other case is several characters stay as they are.
fn fold(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}
