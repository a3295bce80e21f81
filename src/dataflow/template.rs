//! Templates: texts with expressions in braces, such as the topic or path that a sink writes an event to.

use super::planning::NodePlanner;
use super::scope::Point;
use crate::config::{Setting, Snippet, read};
use crate::event::{Batch, Kind, Reason, RejectKind, Row, Slot};
use crate::expr::functions::write_scalar;
use std::fmt::{self, Write};

/// The longest text that a template gives, in bytes.
pub const MAX_RENDERED: usize = (64 << 10) - 1;

/// A text that is written anew for each event: `plant/{line}/spend`, `{{` being a brace.
#[derive(Clone)]
pub struct Template {
    /// As it stands in the file, before substitution.
    written: String,
    pieces: Vec<Piece>,
    check: Check,
}

/// Its own texts may hold secrets that were put in place of variables.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.written)
    }
}

/// Whether a rendered text will do; if not, why. It is told how many bytes at the text's beginning are the template's own.
pub type Check = fn(&str, usize) -> Result<(), &'static str>;

/// How a value is written into a text: in a form that fits there.
pub type Escape = fn(&str) -> String;

#[derive(Clone)]
enum Piece {
    Text(String),
    Value(Value),
}

/// The value of an expression.
#[derive(Clone)]
struct Value {
    slot: Slot,
    /// The expression, for messages.
    name: String,
    escape: Option<Escape>,
}

impl Value {
    fn write(&self, batch: &Batch, row: Row, into: &mut String) -> Result<(), &'static str> {
        let (value, start) = (batch.get(row, self.slot), into.len());
        match value.kind() {
            Kind::Null => return Err("is null"),
            Kind::Bytes => return Err("is bytes, not text"),
            Kind::Timestamp => {
                // Writing into a string does not fail.
                let _ = write!(into, "{}", value.as_timestamp().unwrap_or_default());
            }
            _ => write_scalar(batch, value, into).map_err(|_| "is not text")?,
        }
        if let Some(escape) = self.escape {
            let escaped = escape(&into[start..]);
            into.truncate(start);
            into.push_str(&escaped);
        }
        Ok(())
    }
}

/// A piece of a template's text: where it stands there, and the text or expression.
#[derive(Debug, PartialEq)]
enum Part<'t> {
    Text(String),
    Expression(usize, &'t str),
}

impl Template {
    /// Reads a template and compiles its expressions at the point where events enter the node. Values that must be
    /// computed are computed by steps of their own there, behind which the point then stands. `check` is asked of every
    /// text that is made.
    pub fn plan(planner: &mut NodePlanner<'_>, setting: Setting<'_>, check: Check) -> Option<Template> {
        let text = read::text(setting)?;
        let snippet = Snippet { text, node: setting.node, faults: setting.faults };
        let parts = match split(text) {
            Ok(parts) => parts,
            Err((at, message)) => {
                snippet.error(at..at + 1, message).hint("a brace is written `{{`");
                return None;
            }
        };
        let written = setting.node.as_written().unwrap_or_default().to_owned();
        let pieces: Vec<Option<Piece>> =
            parts.into_iter().map(|part| piece(planner, setting, part)).collect();
        let pieces: Vec<Piece> = pieces.into_iter().collect::<Option<_>>()?;
        let template = Template { written, pieces, check };
        if let Some(Err(message)) = template.fixed().map(|text| check(text, text.len())) {
            setting.error(message);
            return None;
        }
        Some(template)
    }

    /// Reads an expression and compiles it in the same way: the text is its value.
    pub fn of_expression(
        planner: &mut NodePlanner<'_>,
        setting: Setting<'_>,
        check: Check,
    ) -> Option<Template> {
        let written = setting.node.as_written().unwrap_or_default().to_owned();
        let text = read::expression(setting)?.text;
        Template::of_text(planner, setting, text, check).map(|template| Template { written, ..template })
    }

    /// The same of an expression that stands for an option that was left away. What is wrong with it is reported at
    /// `setting`, which holds a text.
    pub fn of_text(
        planner: &mut NodePlanner<'_>,
        setting: Setting<'_>,
        text: &str,
        check: Check,
    ) -> Option<Template> {
        let expr = planner.parse_text(setting, text)?;
        let mut entry = planner.entry.take()?;
        let slot = planner.slot_of(&mut entry, setting, &expr, "template");
        planner.entry = Some(entry);
        let pieces = vec![Piece::Value(Value { slot: slot?, name: expr.to_string(), escape: None })];
        Some(Template { written: format!("{{{text}}}"), pieces, check })
    }

    /// The same, but values are written as `escape` says where they stand, which is told all of the template's own text in
    /// front of them.
    pub fn escaped(mut self, escape: fn(&str) -> Option<Escape>) -> Template {
        let mut before = String::new();
        for piece in &mut self.pieces {
            match piece {
                Piece::Text(text) => before.push_str(text),
                Piece::Value(value) => value.escape = escape(&before),
            }
        }
        self
    }

    /// An empty text for every event: room in its address for what only the sink can say.
    pub fn room() -> Template {
        Template { written: String::new(), pieces: Vec::new(), check: |_, _| Ok(()) }
    }

    /// The text, where it is the same for all events.
    pub fn fixed(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// What all its texts begin with, of its own.
    pub fn beginning(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// As it stands in the file: for `explain`.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Appends the text for a row. Timestamps are epoch milliseconds, lists and maps JSON.
    ///
    /// # Errors
    /// A value is null or no text, or the text becomes too long or does not pass the check; `into` then ends with a part of it.
    #[inline]
    pub fn render(&self, batch: &Batch, row: Row, into: &mut String) -> Result<(), Reason> {
        let start = into.len();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => into.push_str(text),
                Piece::Value(value) => {
                    let written = value.write(batch, row, into);
                    written.map_err(|why| refused(&self.written, &format!("`{}` {why}", value.name)))?;
                }
            }
        }
        if into.len() - start > MAX_RENDERED {
            return Err(refused(&self.written, "the text is longer than 64 KiB"));
        }
        (self.check)(&into[start..], self.beginning().len()).map_err(|why| refused(&self.written, why))
    }
}

#[cold]
fn refused(template: &str, why: &str) -> Reason {
    Reason::new(RejectKind::Encode, format!("the template `{template}` cannot be filled in: {why}"))
}

fn piece(planner: &mut NodePlanner<'_>, setting: Setting<'_>, part: Part<'_>) -> Option<Piece> {
    let (at, text) = match part {
        Part::Text(text) => return Some(Piece::Text(text)),
        Part::Expression(at, text) => (at, text),
    };
    // Blanks in place of what stands before it let faults point to where the expression stands in the template.
    let padded = " ".repeat(at) + text;
    let expr = planner.parse_text(setting, &padded)?;
    let mut entry = planner.entry.take()?;
    let slot = planner.slot_of(&mut entry, setting, &expr, "template");
    planner.entry = Some(entry);
    Some(Piece::Value(Value { slot: slot?, name: expr.to_string(), escape: None }))
}

/// Cuts a template into texts and expressions. A fault is the byte where it is, and what it is.
fn split(template: &str) -> Result<Vec<Part<'_>>, (usize, &'static str)> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while let Some(open) = template[at..].find('{').map(|found| at + found) {
        text.push_str(&template[at..open]);
        if template[open + 1..].starts_with('{') {
            text.push('{');
            at = open + 2;
            continue;
        }
        let start = open + 1;
        let end = start + closing(&template[start..]).ok_or((open, "this brace is not closed"))?;
        if template[start..end].trim().is_empty() {
            return Err((open, "there is no expression in these braces"));
        }
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(Part::Expression(start, &template[start..end]));
        at = end + 1;
    }
    text.push_str(&template[at..]);
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

/// The byte at which an expression's closing brace stands; braces in quotes do not count.
fn closing(expression: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in expression.bytes().enumerate() {
        match (quote, byte) {
            (None, b'}') => return Some(at),
            (None, b'\'' | b'"' | b'`') => quote = Some(byte),
            (Some(open), byte) if byte == open => quote = None,
            _ => {}
        }
    }
    None
}

impl NodePlanner<'_> {
    /// Where events enter this node, behind what its templates compute.
    pub fn entered(&self) -> Option<Point> {
        self.entry.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part<'static> {
        Part::Text(text.to_owned())
    }

    #[test]
    fn a_template_is_texts_and_expressions() {
        assert_eq!(split("plain").unwrap(), [text("plain")]);
        assert_eq!(split("").unwrap(), []);
        let parts = split("a/{b}/{{c}/{upper(d) || '}'}").unwrap();
        let second = Part::Expression(12, "upper(d) || '}'");
        assert_eq!(parts, [text("a/"), Part::Expression(3, "b"), text("/{c}/"), second]);
    }

    #[test]
    fn braces_must_be_closed_and_hold_something() {
        assert_eq!(split("a{b").unwrap_err().0, 1);
        assert_eq!(split("a{b '}").unwrap_err().0, 1);
        assert_eq!(split("{ }").unwrap_err().0, 0);
    }

    #[test]
    fn values_are_written_as_output_has_them() {
        let mut batch = Batch::new(3, b"");
        let row = batch.push_row(crate::time::Timestamp(0), crate::time::Timestamp::MIN);
        let span = batch.store("hä".as_bytes());
        batch.set(row, Slot(0), crate::event::Value::text(span));
        batch.set(row, Slot(1), crate::event::Value::timestamp(1500));
        let value = |slot| Piece::Value(Value { slot: Slot(slot), name: "x".to_owned(), escape: None });
        let pieces = vec![value(0), Piece::Text("/".to_owned()), value(1)];
        let check: Check = |text, _| if text.contains('!') { Err("it is loud") } else { Ok(()) };
        let template = Template { written: "{x}".to_owned(), pieces, check };
        let mut text = String::new();
        template.render(&batch, row, &mut text).unwrap();
        assert_eq!(text, "hä/1500");
        text.clear();
        let escaped = template.escaped(|before| before.is_empty().then_some(|_| "(escaped)".to_owned()));
        escaped.render(&batch, row, &mut text).unwrap();
        assert_eq!(text, "(escaped)/1500");
        assert_eq!(format!("{escaped:?}"), "Template({x})", "its own texts may hold secrets");
        let missing = Template { written: "{x}".to_owned(), pieces: vec![value(2)], check };
        let reason = missing.render(&batch, row, &mut text).unwrap_err();
        assert_eq!(reason.text, "the template `{x}` cannot be filled in: `x` is null");
        let loud = Template { pieces: vec![Piece::Text("a!".to_owned())], ..missing };
        assert!(loud.render(&batch, row, &mut text).unwrap_err().text.ends_with("it is loud"));
    }
}
