//! `components`: the sources, transforms, windows, sinks and formats that there are.

use super::args::Named;
use super::exit::Exit;
use super::reference::{catalog, example, kinds, text};
use super::terminal::Terminal;
use crate::dataflow::{ComponentSpec, OptionSpec};
use crate::event::nearest;
use serde_json::{Value, json};

/// Lists all components, or shows all of a name: a source and a sink may share one.
///
/// # Errors
/// If there is none of the name.
pub fn components(named: &Named, terminal: &Terminal) -> Result<(), Exit> {
    let all = catalog::components();
    let Some(name) = &named.name else {
        terminal.print(&match terminal.json {
            true => all.iter().map(|spec| format!("{}\n", entry(spec))).collect(),
            false => text::shelves(&catalog::shelves(), terminal),
        });
        return Ok(());
    };
    let found: Vec<&ComponentSpec> = all.iter().copied().filter(|spec| spec.name == name.as_str()).collect();
    if found.is_empty() {
        let near = nearest(name, all.iter().map(|spec| spec.name));
        return Err(unknown("component", "components", name, near));
    }
    let shown: Vec<String> = found
        .into_iter()
        .map(|spec| match terminal.json {
            true => format!("{}\n", entry(spec)),
            false => text::component(spec, terminal),
        })
        .collect();
    terminal.print(&shown.join(if terminal.json { "" } else { "\n" }));
    Ok(())
}

/// That there is nothing of a name, with the nearest that there is.
pub fn unknown(what: &str, verb: &str, name: &str, near: Option<&str>) -> Exit {
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("`headwater {verb}` lists them"),
    };
    Exit::usage(format!("there is no {what} `{name}`; {hint}"))
}

/// A component for programs.
fn entry(spec: &ComponentSpec) -> Value {
    let rows = |options: Vec<&'static OptionSpec>| {
        let row = |row: kinds::Row| {
            json!({
                "name": row.name,
                "value": row.kind,
                "required": row.default == "required",
                "default": Some(row.default.trim_matches('`')).filter(|d| !d.is_empty() && *d != "required"),
                "summary": row.summary,
            })
        };
        kinds::rows(options).into_iter().map(row).collect::<Value>()
    };
    json!({
        "name": spec.name,
        "role": spec.role.noun(),
        "summary": spec.summary,
        "value": kinds::stands_under(spec),
        "options": rows(spec.options.iter().collect()),
        "beside": rows(catalog::beside_of(spec)),
        "example": example::whole(spec),
    })
}
