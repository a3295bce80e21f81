//! The reference on a terminal.

use super::catalog::{Callable, FunctionGroup, Shelf, beside_of};
use super::example;
use super::kinds::{rows, stands_under};
use crate::cli::terminal::Terminal;
use crate::dataflow::{ComponentSpec, OptionSpec};

/// All components, a line each.
pub fn shelves(shelves: &[Shelf], terminal: &Terminal) -> String {
    let lines =
        |shelf: &Shelf| shelf.components.iter().map(|spec| (spec.name, spec.summary.to_owned())).collect();
    let sections: Vec<String> =
        shelves.iter().map(|shelf| section(shelf.title, lines(shelf), terminal)).collect();
    format!(
        "{}\n`headwater components NAME` shows the options of one, and an example.\n",
        sections.join("\n")
    )
}

/// All functions, a line each.
pub fn groups(groups: &[FunctionGroup], terminal: &Terminal) -> String {
    let lines = |group: &FunctionGroup| {
        group.functions.iter().map(|function| (function.name, function.summary.clone())).collect()
    };
    let sections: Vec<String> =
        groups.iter().map(|group| section(group.name, lines(group), terminal)).collect();
    format!("{}\n`headwater functions NAME` shows how one is called, with examples.\n", sections.join("\n"))
}

fn section(title: &str, lines: Vec<(&str, String)>, terminal: &Terminal) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, summary): &(&str, String)| {
        let indent = " ".repeat(width + 4);
        let text = wrapped(summary, terminal.columns().saturating_sub(width + 4));
        format!("  {name:width$}  {}\n", text.join(&format!("\n{indent}")))
    };
    format!("{}\n{}", terminal.bold_out(title), lines.iter().map(line).collect::<String>())
}

/// A text in lines of so many characters, cut at blanks.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width.max(20) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

/// One component with all that is written down about it.
pub fn component(spec: &ComponentSpec, terminal: &Terminal) -> String {
    let head = format!("{} `{}`", spec.role.noun(), spec.name);
    let mut text = format!("{}\n", terminal.bold_out(&head));
    text.extend(wrapped(spec.summary, terminal.columns()).iter().map(|line| format!("{line}\n")));
    let under = stands_under(spec);
    text.push_str(&format!("\n{}: {under}\n", spec.name));
    text.push_str(&options("options", spec.options.iter().collect(), terminal));
    text.push_str(&options("beside it", beside_of(spec), terminal));
    text.push_str(&format!("\n{}\n", terminal.bold_out("example")));
    text.push_str(&indented(&example::whole(spec)));
    text
}

fn options(title: &str, options: Vec<&'static OptionSpec>, terminal: &Terminal) -> String {
    if options.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", terminal.bold_out(title));
    for row in rows(options) {
        let default = match row.default.as_str() {
            "" => String::new(),
            "required" => "; required".to_owned(),
            default => format!("; default {default}"),
        };
        text.push_str(&format!("  {}: {}{default}\n", row.name, row.kind));
        let summary = wrapped(row.summary, terminal.columns().saturating_sub(6));
        text.extend(summary.iter().map(|line| format!("      {line}\n")));
    }
    text
}

/// One function or aggregate with all that is written down about it.
pub fn callable(group: &str, function: &Callable, terminal: &Terminal) -> String {
    let head = function.signature.replace('`', "");
    let mut text = format!("{}  ({group})\n", terminal.bold_out(&head));
    text.extend(wrapped(&function.summary, terminal.columns()).iter().map(|line| format!("{line}\n")));
    if !function.arguments.is_empty() {
        text.push_str(&format!("\n{}\n", terminal.bold_out("arguments")));
        text.extend(function.arguments.iter().map(|(name, takes)| format!("  {name}: {takes}\n")));
    }
    text.push_str(&format!("\n{}\n", terminal.bold_out("examples")));
    for example in &function.examples {
        let values = example.values.map(|values| format!(" over {values}")).unwrap_or_default();
        text.push_str(&format!("  {}{values}\n    {}\n", example.call, example.result));
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}
