//! The page of verbs and flags.

use super::markdown::{cell, table};
use crate::cli::args::Cli;
use crate::cli::exit::STATUSES;
use clap::{Arg, Command, CommandFactory};

/// The page.
pub fn page() -> String {
    let command = Cli::command();
    let mut page = String::from("# Command line\n\n");
    page.push_str("| verb | does |\n| --- | --- |\n");
    let verbs = verbs(&command);
    for (name, verb) in &verbs {
        let anchor = name.replace(' ', "-");
        page.push_str(&format!("| [`{name}`](#headwater-{anchor}) | {} |\n", cell(&about(verb))));
    }
    for (name, verb) in &verbs {
        page.push_str(&self::verb(name, verb));
    }
    page.push_str("\n## Flags of all verbs\n\n");
    page.push_str(&flags(command.get_arguments()));
    page.push_str("\n## Exit status\n\n| status | when |\n| --- | --- |\n");
    page.extend(STATUSES.iter().map(|(status, when)| format!("| {status} | {when} |\n")));
    page
}

/// All verbs with their names; of one that has verbs of its own, these.
pub fn verbs(command: &Command) -> Vec<(String, &Command)> {
    let mut verbs = Vec::new();
    for verb in command.get_subcommands() {
        let name = verb.get_name();
        if verb.has_subcommands() {
            let below = self::verbs(verb);
            verbs.extend(below.into_iter().map(|(below, verb)| (format!("{name} {below}"), verb)));
        } else {
            verbs.push((name.to_owned(), verb));
        }
    }
    verbs
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn verb(name: &str, verb: &Command) -> String {
    let name = format!("headwater {name}");
    let mut verb = verb.clone().bin_name(&name).disable_help_flag(true);
    let usage = verb.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let mut text = format!("\n## {name}\n\n```text\n{usage}\n```\n\n{}.\n", about(&verb));
    let flags = flags(verb.get_arguments());
    if !flags.is_empty() {
        text.push_str(&format!("\n{flags}"));
    }
    text
}

/// Arguments that are not hidden, as a table; empty if there are none.
fn flags<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let rows: Vec<[String; 3]> = arguments.filter(|argument| !argument.is_hide_set()).map(row).collect();
    if rows.is_empty() { String::new() } else { table(["argument", "meaning", "default, variable"], &rows) }
}

fn row(argument: &Arg) -> [String; 3] {
    let value = argument.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let name = match (argument.get_short(), argument.get_long()) {
        (_, None) => format!("`{value}`"),
        (None, Some(long)) if takes => format!("`--{long} {value}`"),
        (None, Some(long)) => format!("`--{long}`"),
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}`"),
    };
    let words: Vec<String> = match takes {
        true => argument.get_possible_values().iter().map(|word| format!("`{}`", word.get_name())).collect(),
        false => Vec::new(),
    };
    let mut meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
    if !words.is_empty() {
        meaning.push_str(&format!(": {}", words.join(", ")));
    }
    let default: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let variable = argument.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
    let default = default.into_iter().chain(variable).collect::<Vec<_>>().join(", ");
    [name, cell(&meaning), default]
}
