//! Readers of single values, for the accessors of [`Section`]:
//! `section.or("every", Millis(1000), read::duration)`.
//!
//! A reader returns what it read, or reports what it expected and what it found and returns `None`.

use std::fmt::Display;
use std::ops::{Range, RangeBounds, RangeInclusive};

use super::diagnostic::{Faults, Reported};
use super::name;
use super::node::{Meaning, Node};
use super::section::{Keys, Section, Setting};
use super::source::Place;
use super::units;
use super::within;
use super::yaml::scalar;
use crate::time::{Millis, Timestamp};

/// A text, and the node it stands in: an expression, a template, a name.
#[derive(Clone, Copy)]
pub struct Snippet<'a> {
    /// The text, substitutions done.
    pub text: &'a str,
    /// Where it stands.
    pub node: &'a Node,
    /// Where faults go.
    pub faults: &'a Faults,
}

impl<'a> Snippet<'a> {
    /// Where bytes of the text stand in the file.
    pub fn place(&self, range: Range<usize>) -> Place {
        within::place(self.faults.file(), self.node, range)
    }

    /// Reports an error at bytes of the text. Nothing is reported of a text in which a substitution failed.
    pub fn error(&self, range: Range<usize>, message: impl Into<String>) -> Reported<'a> {
        match self.node.is_failed() {
            true => self.faults.nothing(),
            false => self.faults.error(self.place(range), message),
        }
    }
}

impl From<Snippet<'_>> for Place {
    fn from(snippet: Snippet<'_>) -> Place {
        snippet.node.place
    }
}

/// A text that is not empty.
pub fn text(setting: Setting<'_>) -> Option<&str> {
    let text = any_text(setting)?;
    if text.is_empty() {
        setting.error(format!("`{}` is empty", setting.name));
        return None;
    }
    Some(text)
}

/// The name of a pipeline or a node.
pub fn name(setting: Setting<'_>) -> Option<&str> {
    let text = text(setting)?;
    if !name::is_name(text) {
        let expected = "a name (a letter, then letters, digits, `_` or `-`)";
        setting.wrong(expected);
        return None;
    }
    Some(text)
}

/// A text that may be empty.
pub fn any_text(setting: Setting<'_>) -> Option<&str> {
    if let (true, Some(text)) = (setting.node.is_whole(), setting.node.scalar()) {
        return Some(text);
    }
    match setting.node.meaning() {
        Meaning::Text(text) => return Some(text),
        Meaning::Bool(_) | Meaning::Int(_) | Meaning::Float(_) => {
            let written = setting.node.as_written().unwrap_or_default();
            setting.wrong("a text").hint(format!("quote it: `\"{written}\"`"));
        }
        Meaning::Map(entries) if setting.node.in_flow || entries.iter().all(|entry| entry.bare) => {
            setting.wrong("a text").hint("quote a text that starts with `{`: `\"{name}\"`");
        }
        Meaning::List(_) if setting.node.items().is_some_and(|items| items.len() == 1) => {
            setting.wrong("a text").hint("it takes one: leave the brackets away");
        }
        _ => {
            setting.wrong("a text");
        }
    }
    None
}

/// An expression or other text in which a bare number, `true` or `null` is text as well.
pub fn expression(setting: Setting<'_>) -> Option<Snippet<'_>> {
    match setting.node.scalar() {
        Some(text) if !text.trim().is_empty() => {
            Some(Snippet { text, node: setting.node, faults: setting.faults })
        }
        Some(_) if setting.bare => {
            setting.error(format!("`{}` has no value", setting.name)).hint("write `name: expression`");
            None
        }
        Some(_) => {
            setting.error(format!("expected an expression for `{}`, found nothing", setting.name));
            None
        }
        None => {
            let hint = "quote an expression that starts with `{` or `[`";
            setting.wrong("an expression").hint(hint);
            None
        }
    }
}

/// `true` or `false`.
pub fn boolean(setting: Setting<'_>) -> Option<bool> {
    match setting.node.meaning() {
        Meaning::Bool(value) => Some(value),
        _ => {
            setting.wrong("`true` or `false`");
            None
        }
    }
}

/// A whole number within bounds: `integer(1..=65_535)`.
pub fn integer<R: RangeBounds<i64>>(bounds: R) -> impl Fn(Setting<'_>) -> Option<i64> {
    move |setting| match setting.node.meaning() {
        Meaning::Int(value) if bounds.contains(&value) => Some(value),
        Meaning::Int(_) => {
            setting.wrong(&format!("a whole number {}", range(&bounds)));
            None
        }
        _ => {
            setting.wrong("a whole number");
            None
        }
    }
}

/// A finite number within bounds.
pub fn number<R: RangeBounds<f64>>(bounds: R) -> impl Fn(Setting<'_>) -> Option<f64> {
    move |setting| {
        let value = match setting.node.meaning() {
            Meaning::Int(value) => value as f64,
            Meaning::Float(value) if value.is_finite() => value,
            _ => {
                setting.wrong("a number");
                return None;
            }
        };
        if !bounds.contains(&value) {
            setting.wrong(&format!("a number {}", range(&bounds)));
            return None;
        }
        Some(value)
    }
}

fn range<T: Display>(bounds: &impl RangeBounds<T>) -> String {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let low = match bounds.start_bound() {
        Included(low) => Some(format!("of at least {low}")),
        Excluded(low) => Some(format!("above {low}")),
        Unbounded => None,
    };
    let high = match bounds.end_bound() {
        Included(high) => Some(format!("at most {high}")),
        Excluded(high) => Some(format!("below {high}")),
        Unbounded => None,
    };
    [low, high].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// A duration: `10s`.
pub fn duration(setting: Setting<'_>) -> Option<Millis> {
    unit(setting, "a duration", units::duration)
}

/// A duration that is longer than nothing.
pub fn positive_duration(setting: Setting<'_>) -> Option<Millis> {
    let span = duration(setting)?;
    if span == Millis::ZERO {
        setting.wrong("a duration above zero");
        return None;
    }
    Some(span)
}

/// A duration within bounds.
pub fn duration_in(bounds: RangeInclusive<Millis>) -> impl Fn(Setting<'_>) -> Option<Millis> {
    move |setting| {
        let span = duration(setting)?;
        if !bounds.contains(&span) {
            setting.wrong(&format!("a duration {}", range(&bounds)));
            return None;
        }
        Some(span)
    }
}

/// A size in bytes: `64KiB`.
pub fn size(setting: Setting<'_>) -> Option<u64> {
    unit(setting, "a size", units::size)
}

/// A size of at least one byte.
pub fn positive_size(setting: Setting<'_>) -> Option<u64> {
    let bytes = size(setting)?;
    if bytes == 0 {
        setting.wrong("a size above zero");
        return None;
    }
    Some(bytes)
}

/// A time: RFC 3339, or a whole number of milliseconds since the epoch.
pub fn time(setting: Setting<'_>) -> Option<Timestamp> {
    match setting.node.meaning() {
        Meaning::Int(ms) => Some(Timestamp(ms)),
        _ => unit(setting, "a time", units::time),
    }
}

fn unit<T>(
    setting: Setting<'_>,
    expected: &str,
    parse: fn(&str) -> Result<T, units::Unreadable>,
) -> Option<T> {
    let Some(text) = setting.node.scalar().filter(|text| !text.is_empty()) else {
        setting.wrong(expected);
        return None;
    };
    match parse(text) {
        Ok(value) => Some(value),
        Err(unreadable) => {
            // The hint may repeat the text, which must not be shown where it was substituted.
            let reported = setting.wrong(expected);
            if setting.node.written.is_none() {
                reported.hint(unreadable.hint);
            }
            None
        }
    }
}

/// A list, each item by the given reader. `None` where one of them is faulty.
pub fn list<'a, T>(read: impl Fn(Setting<'a>) -> Option<T>) -> impl Fn(Setting<'a>) -> Option<Vec<T>> {
    move |setting| match setting.node.items() {
        Some(items) => all(items.iter().map(|node| setting.item(node)), &read),
        None => {
            setting.wrong("a list").hint("write `[a, b]`, or `- ` lines below the key");
            None
        }
    }
}

/// A list that is not empty, or one item without brackets.
pub fn one_or_list<'a, T>(read: impl Fn(Setting<'a>) -> Option<T>) -> impl Fn(Setting<'a>) -> Option<Vec<T>> {
    move |setting| {
        let items = setting.one_or_items();
        if items.is_empty() {
            setting.error(format!("`{}` is an empty list", setting.name));
            return None;
        }
        all(items.into_iter(), &read)
    }
}

/// Reads all, so that every fault is reported, and returns them if none was faulty.
fn all<'a, T>(
    settings: impl Iterator<Item = Setting<'a>>,
    read: &impl Fn(Setting<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = settings.map(read).collect();
    read.into_iter().collect()
}

/// A map whose keys are names that the user chose, each value by the given reader.
pub fn map<'a, T>(
    read: impl Fn(Setting<'a>) -> Option<T>,
) -> impl Fn(Setting<'a>) -> Option<Vec<(Setting<'a>, T)>> {
    move |setting| {
        let with_setting = |setting| read(setting).map(|value| (setting, value));
        all(setting.entries()?.into_iter(), &with_setting)
    }
}

/// One of some words, each with what it stands for, and words that only a later version knows.
pub fn word<T: Copy>(
    words: &[(&'static str, T)],
    later: &[&'static str],
) -> impl Fn(Setting<'_>) -> Option<T> {
    move |setting| {
        let Some(text) = setting.node.scalar() else {
            setting.wrong("a word").suggest("", words.iter().map(|(word, _)| *word));
            return None;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        if later.contains(&text) {
            setting.error(format!("`{text}` is not in this version"));
            return None;
        }
        let message = format!("{} is nothing that `{}` can be", setting.node.describe(), setting.name);
        // A near word would tell what was substituted.
        let near = if setting.node.is_secret() { "" } else { text };
        setting.error(message).suggest(near, words.iter().map(|(word, _)| *word));
        None
    }
}

/// A nested section; `what` names it in messages.
pub fn section<'a>(what: &'a str, keys: Keys<'a>) -> impl Fn(Setting<'a>) -> Option<Section<'a>> {
    move |setting| Some(setting.section(what, keys)).filter(|section| !section.is_broken())
}

/// The meaning that a text has as a plain scalar: for values that come from the command line.
pub fn meaning_of(text: &str) -> Meaning<'_> {
    scalar::resolve(text)
}
