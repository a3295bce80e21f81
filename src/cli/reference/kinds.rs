//! Options in words: what stands there, what holds where it does not.

use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};

/// An option, those inside others named by their path: `tls.ca`.
pub struct Row {
    /// The key, with the keys around it.
    pub name: String,
    /// What stands there.
    pub kind: String,
    /// `required`, or the default as one would write it; empty where it is off if it is not given.
    pub default: String,
    /// What it is for.
    pub summary: &'static str,
}

/// All options, outer ones before those inside them.
pub fn rows(options: impl IntoIterator<Item = &'static OptionSpec>) -> Vec<Row> {
    let mut rows = Vec::new();
    gather("", options, &mut rows);
    rows
}

fn gather(path: &str, options: impl IntoIterator<Item = &'static OptionSpec>, rows: &mut Vec<Row>) {
    for option in options {
        let name = format!("{path}{}", option.name);
        let default = match option.default {
            _ if option.required => "required".to_owned(),
            Some(default) => literal(default),
            None => String::new(),
        };
        rows.push(Row { name: name.clone(), kind: words(&option.kind), default, summary: option.summary });
        if let Some(inner) = inner(&option.kind) {
            gather(&format!("{name}."), inner.iter(), rows);
        }
    }
}

/// A default as one would write it.
fn literal(default: &str) -> String {
    match default {
        "" => "`\"\"`".to_owned(),
        "," | "\"" => format!("`'{default}'`"),
        _ => format!("`{default}`"),
    }
}

/// The options inside of a kind.
fn inner(kind: &OptionKind) -> Option<&'static [OptionSpec]> {
    match kind {
        OptionKind::Options(options) => Some(options),
        OptionKind::List(kind) | OptionKind::OneOrList(kind) | OptionKind::Map(kind) => inner(kind),
        OptionKind::Any(kinds) => kinds.iter().find_map(inner),
        _ => None,
    }
}

/// What stands under the component's name.
pub fn stands_under(spec: &ComponentSpec) -> String {
    match (&spec.short, spec.options.is_empty()) {
        (Some(short), true) => words(short),
        (Some(short), false) => format!("{}, or a map of options", words(short)),
        (None, true) => "nothing".to_owned(),
        (None, false) => "a map of options".to_owned(),
    }
}

/// A kind in words.
pub fn words(kind: &OptionKind) -> String {
    match kind {
        OptionKind::Text => "text".to_owned(),
        OptionKind::Expression => "expression".to_owned(),
        OptionKind::Template => "text with `{expression}`".to_owned(),
        OptionKind::Path => "path".to_owned(),
        OptionKind::Boolean => "`true` or `false`".to_owned(),
        OptionKind::Integer => "whole number".to_owned(),
        OptionKind::Number => "number".to_owned(),
        OptionKind::Duration => "duration".to_owned(),
        OptionKind::Size => "size".to_owned(),
        OptionKind::Time => "time".to_owned(),
        OptionKind::Format => "format".to_owned(),
        OptionKind::Parser => "format, or what only `parse` reads".to_owned(),
        OptionKind::Trigger => "trigger".to_owned(),
        OptionKind::List(kind) => format!("list of {}", plural(kind)),
        OptionKind::Map(kind) => format!("map of names to {}", plural(kind)),
        OptionKind::Options(_) => "map of options".to_owned(),
        OptionKind::Word(_) | OptionKind::OneOrList(_) | OptionKind::Any(_) => listed(alternatives(kind)),
    }
}

/// What may stand there, each by itself.
fn alternatives(kind: &OptionKind) -> Vec<String> {
    match kind {
        OptionKind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect(),
        OptionKind::OneOrList(kind) => vec![words(kind), format!("list of {}", plural(kind))],
        OptionKind::Any(kinds) => kinds.iter().flat_map(alternatives).collect(),
        kind => vec![words(kind)],
    }
}

/// Several of a kind.
fn plural(kind: &OptionKind) -> String {
    match kind {
        OptionKind::Text => "texts".to_owned(),
        OptionKind::Expression => "expressions".to_owned(),
        OptionKind::Path => "paths".to_owned(),
        OptionKind::Integer => "whole numbers".to_owned(),
        OptionKind::Number => "numbers".to_owned(),
        OptionKind::Duration => "durations".to_owned(),
        OptionKind::Options(_) => "maps of options".to_owned(),
        kind => words(kind),
    }
}

/// `a, b or c`.
fn listed(items: Vec<String>) -> String {
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, firsts)) => format!("{} or {last}", firsts.join(", ")),
    }
}
