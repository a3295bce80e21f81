//! `functions`: what expressions can call.

use super::args::Named;
use super::components::unknown;
use super::exit::Exit;
use super::reference::catalog::{self, Callable};
use super::reference::text;
use super::terminal::Terminal;
use crate::event::nearest;
use serde_json::{Value, json};

/// Lists all functions and aggregates, or shows all of a name, whatever its case.
///
/// # Errors
/// If there is none of the name.
pub fn functions(named: &Named, terminal: &Terminal) -> Result<(), Exit> {
    let groups = catalog::function_groups();
    let mut all =
        groups.iter().flat_map(|group| group.functions.iter().map(|function| (group.name, function)));
    let Some(name) = &named.name else {
        terminal.print(&match terminal.json {
            true => all.map(|(group, function)| format!("{}\n", entry(group, function))).collect(),
            false => text::groups(&groups, terminal),
        });
        return Ok(());
    };
    let is_named = |function: &Callable| function.name.eq_ignore_ascii_case(name);
    let found: Vec<(&str, &Callable)> = all.by_ref().filter(|(_, function)| is_named(function)).collect();
    if found.is_empty() {
        let names = groups.iter().flat_map(|group| group.functions.iter().map(|function| function.name));
        return Err(unknown("function", "functions", name, nearest(name, names)));
    }
    let shown: Vec<String> = found
        .into_iter()
        .map(|(group, function)| match terminal.json {
            true => format!("{}\n", entry(group, function)),
            false => text::callable(group, function, terminal),
        })
        .collect();
    terminal.print(&shown.join(if terminal.json { "" } else { "\n" }));
    Ok(())
}

/// A function for programs. Values and results are JSON texts.
fn entry(group: &str, function: &Callable) -> Value {
    let arguments = function.arguments.iter().map(|(name, takes)| json!({ "name": name, "takes": takes }));
    let examples = function
        .examples
        .iter()
        .map(|example| json!({ "call": example.call, "values": example.values, "result": example.result }));
    json!({
        "name": function.name,
        "group": group,
        "signature": function.signature.replace('`', ""),
        "summary": function.summary,
        "arguments": arguments.collect::<Value>(),
        "examples": examples.collect::<Value>(),
    })
}
