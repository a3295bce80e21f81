//! How the text of one expectation changes.
//!
//! An event that came as expected keeps its text. One that came differently gets new values where fields differ. What
//! was expected and did not come is taken out, what came unexpectedly is added with the fields that the first expected
//! event names, or with all of them where there is none or `exact` stands beside.

use super::edit::{Edit, Layout, is_empty};
use super::render;
use crate::cli::test::case::Expected;
use crate::cli::test::compare::{Difference, field, value_meets};
use crate::config::{Entry, Node, SourceFile, Style};
use serde_json::{Map, Value};

/// Longer lists do not stand in one line.
const WIDEST: usize = 90;

/// The edits that make an expectation what came.
///
/// # Errors
/// Why it cannot be rewritten.
pub fn edits(
    expected: &Expected,
    difference: &Difference,
    file: &SourceFile,
) -> Result<Vec<Edit>, &'static str> {
    if !difference.actual.iter().all(Value::is_object) {
        return Err("what came is no event that could be written down");
    }
    let layout = Layout::new(file);
    let list = List { expected, difference, layout };
    if !layout.is_here(&expected.node) || overlong(expected, file) {
        return Err("its events stand elsewhere, behind an alias");
    }
    let kept = difference.agreed
        + difference.pairs.len()
        + difference.missing.len().min(difference.unexpected.len());
    match expected.node.items() {
        Some(items) if kept > 0 => list.rows(items),
        None if (kept, difference.actual.len()) == (1, 1) => Ok(list.row(&expected.node, 0)),
        _ => Ok(vec![list.whole()]),
    }
}

/// Whether the value stands before its key, as that of an alias does.
fn overlong(expected: &Expected, file: &SourceFile) -> bool {
    let (key, value) = (expected.place, expected.node.place);
    value.start < key.end
        || !file.text()[key.end as usize..value.start as usize].trim_start().starts_with(':')
}

struct List<'a> {
    expected: &'a Expected,
    difference: &'a Difference,
    layout: Layout<'a>,
}

impl List<'_> {
    /// What becomes of an event that was expected.
    fn row(&self, node: &Node, position: usize) -> Vec<Edit> {
        let difference = self.difference;
        if let Some((_, actual)) = difference.pairs.iter().find(|(expected, _)| *expected == position) {
            return self.fields(node, &difference.expected[position], &difference.actual[*actual]);
        }
        let missing = difference.missing.iter().position(|missing| *missing == position);
        let instead = missing.and_then(|at| difference.unexpected.get(at));
        let replaced = |actual: &usize| {
            let text = self.event(*actual, node.style, self.layout.column(node.place.start as usize));
            Edit::new(node.place.start as usize, self.layout.end(node), text)
        };
        instead.map(replaced).into_iter().collect()
    }

    /// The fields of an event that differ.
    fn fields(&self, node: &Node, expected: &Value, actual: &Value) -> Vec<Edit> {
        let (Some(entries), Some(fields)) = (node.entries(), actual.as_object()) else { return Vec::new() };
        let exact = self.expected.exact;
        let mut edits: Vec<Edit> = Vec::new();
        for entry in entries {
            let (before, now) = (&expected[entry.key.as_str()], field(fields, &entry.key));
            if !value_meets(before, now, exact) {
                edits.push(self.field(entry, &named(before, now, exact)));
            }
        }
        let more = fields.iter().filter(|(name, value)| !value.is_null() && node.get(name).is_none());
        let more: Vec<(&String, &Value)> = more.filter(|_| exact).collect();
        match entries.last() {
            _ if more.is_empty() => {}
            None => {
                let all = render::map(
                    &more.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
                );
                edits.push(Edit::new(node.place.start as usize, self.layout.end(node), all));
            }
            Some(last) => edits.push(self.further(node, last, &more)),
        }
        edits
    }

    /// The value of a field.
    fn field(&self, entry: &Entry, value: &Value) -> Edit {
        let text = render::value(value);
        if is_empty(&entry.value) {
            let colon = if entry.bare { ": " } else { " " };
            return Edit::insert(self.layout.value_start(entry), format!("{colon}{text}"));
        }
        Edit::new(entry.value.place.start as usize, self.layout.end(&entry.value), text)
    }

    /// Fields behind the last one of a map.
    fn further(&self, node: &Node, last: &Entry, more: &[(&String, &Value)]) -> Edit {
        let end = self.layout.entry_end(last);
        if node.style == Style::Block {
            let indent = " ".repeat(self.layout.column(last.place.start as usize));
            let line = |(name, value): &(&String, &Value)| {
                format!("{}{indent}{}", self.layout.newline(), render::field(name, value))
            };
            return Edit::insert(self.layout.line_end(end), more.iter().map(line).collect::<String>());
        }
        Edit::insert(
            end,
            more.iter().map(|(name, value)| format!(", {}", render::field(name, value))).collect::<String>(),
        )
    }

    /// The fields of an event that came which are written down.
    fn shown(&self, actual: usize) -> Map<String, Value> {
        let Some(fields) = self.difference.actual[actual].as_object() else { return Map::new() };
        let first = self.difference.expected.first().and_then(Value::as_object);
        match first.filter(|_| !self.expected.exact) {
            Some(first) => first
                .iter()
                .map(|(name, like)| (name.clone(), named(like, field(fields, name), false)))
                .collect(),
            None => fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect(),
        }
    }

    /// An event that came, in the style of its neighbours; `column` is where it starts.
    fn event(&self, actual: usize, style: Style, column: usize) -> String {
        let fields = self.shown(actual);
        if style != Style::Block || fields.is_empty() {
            return render::map(&fields);
        }
        let lines: Vec<String> = fields.iter().map(|(name, value)| render::field(name, value)).collect();
        lines.join(&format!("{}{}", self.layout.newline(), " ".repeat(column)))
    }

    /// A list of which something stays.
    fn rows(&self, items: &[Node]) -> Result<Vec<Edit>, &'static str> {
        let mut edits: Vec<Edit> = items.iter().enumerate().flat_map(|(i, item)| self.row(item, i)).collect();
        let replaced = self.difference.missing.len().min(self.difference.unexpected.len());
        let gone = &self.difference.missing[replaced..];
        let new = &self.difference.unexpected[replaced..];
        if self.expected.node.style == Style::Block {
            for position in gone {
                edits.push(self.without_line(&items[*position])?);
            }
        } else {
            edits.extend(gone.iter().map(|position| self.without(items, *position, gone)));
        }
        if let (Some(last), false) = (items.last(), new.is_empty()) {
            edits.push(self.added(last, new));
        }
        Ok(edits)
    }

    /// An item of a flow list taken out, with the comma to its neighbour that stays.
    fn without(&self, items: &[Node], position: usize, gone: &[usize]) -> Edit {
        let start = |i: usize| items[i].place.start as usize;
        let is_first = (0..position).all(|before| gone.contains(&before));
        match is_first {
            true => Edit::new(start(position), start(position + 1), ""),
            false => Edit::new(self.layout.end(&items[position - 1]), self.layout.end(&items[position]), ""),
        }
    }

    /// An item of a block list taken out with its lines.
    fn without_line(&self, item: &Node) -> Result<Edit, &'static str> {
        let start = item.place.start as usize;
        let line = self.layout.line_start(start);
        if self.layout.text()[line..start].trim() != "-" {
            return Err("its layout is not understood");
        }
        Ok(Edit::new(line, self.layout.next_line(self.layout.end(item)), ""))
    }

    /// Events behind the last one of a list.
    fn added(&self, last: &Node, new: &[usize]) -> Edit {
        let column = self.layout.column(last.place.start as usize);
        let events = new.iter().map(|actual| self.event(*actual, last.style, column));
        let newline = self.layout.newline();
        let start = self.expected.node.place.start as usize;
        if self.expected.node.style == Style::Block {
            let dash = " ".repeat(self.layout.column(start));
            let lines = events.map(|event| format!("{newline}{dash}- {event}")).collect::<String>();
            return Edit::insert(self.layout.line_end(self.layout.end(last)), lines);
        }
        let is_alone = self.layout.text()
            [self.layout.line_start(last.place.start as usize)..last.place.start as usize]
            .trim()
            .is_empty();
        let gap = if is_alone { format!(",{newline}{}", " ".repeat(column)) } else { ", ".to_owned() };
        Edit::insert(self.layout.end(last), events.map(|event| format!("{gap}{event}")).collect::<String>())
    }

    /// The whole value, of which nothing stays.
    fn whole(&self) -> Edit {
        let node = &self.expected.node;
        let count = self.difference.actual.len();
        let (key_end, start, end) =
            (self.expected.place.end as usize, node.place.start as usize, self.layout.end(node));
        let is_close = self.layout.text()[key_end..start].trim() == ":";
        if count == 0 {
            let from = if is_close { key_end } else { start };
            return Edit::new(from, end, if is_close { ": []" } else { "[]" });
        }
        let newline = self.layout.newline();
        let events: Vec<String> = (0..count).map(|actual| render::map(&self.shown(actual))).collect();
        if !node.in_flow && is_close {
            let dash = " ".repeat(self.layout.column(self.expected.place.start as usize) + 2);
            let lines = events.iter().map(|event| format!("{newline}{dash}- {event}")).collect::<String>();
            return Edit::new(key_end, end, format!(":{lines}"));
        }
        let line = format!("[{}]", events.join(", "));
        if self.layout.column(start) + line.chars().count() <= WIDEST {
            return Edit::new(start, end, line);
        }
        let indent = self.layout.indent(start);
        let inner = " ".repeat(indent + 2);
        let lines = events.iter().map(|event| format!("{newline}{inner}{event},")).collect::<String>();
        Edit::new(start, end, format!("[{lines}{newline}{}]", " ".repeat(indent)))
    }
}

/// What of a value is written down: of maps only the fields that were named before, unless all count.
fn named(before: &Value, now: &Value, exact: bool) -> Value {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) if !exact => {
            before.iter().map(|(name, like)| (name.clone(), named(like, field(now, name), exact))).collect()
        }
        (Value::Array(before), Value::Array(now)) if !exact && before.len() == now.len() => {
            before.iter().zip(now).map(|(like, value)| named(like, value, exact)).collect()
        }
        _ => now.clone(),
    }
}
