//! `check --connect`: whether the servers are there that pipelines read from, write to and ask.

use super::exit::Exit;
use super::load::Loaded;
use super::terminal::Terminal;
use crate::clients::registry::RegistryClient;
use crate::dataflow::{FormatPlan, NodeId, Probed};
use crate::plan::Plan;
use serde_json::json;

/// Connects to all that the pipelines name, one after the other, and says what was found.
///
/// # Errors
/// If a run would not find what it needs.
pub fn connect(loaded: &[Loaded], terminal: &Terminal) -> Result<(), Exit> {
    let mut all_well = true;
    for loaded in loaded {
        let Plan { sources, sinks, draft, nodes, .. } = &loaded.plan;
        let name = |node: NodeId| nodes[node.0 as usize].name.as_str();
        let tables = draft.tables.iter();
        let tables = tables.map(|table| ("table", table.name.as_str(), table.plan.probe(&table.layout)));
        let sources = sources.iter().flat_map(|source| {
            let probes = [source.plan.probe(), registry(&*source.format, false)];
            probes.map(|probed| ("source", name(source.node), probed))
        });
        let sinks = sinks.iter().flat_map(|sink| {
            let probes = [sink.plan.probe(), registry(&*sink.format, true)];
            probes.map(|probed| ("sink", name(sink.node), probed))
        });
        for (role, name, probed) in tables.chain(sources).chain(sinks) {
            let Some(probed) = probed else { continue };
            all_well &= probed.is_ok();
            tell(&loaded.plan, role, name, probed, terminal);
        }
    }
    if all_well { Ok(()) } else { Err(Exit::Failed) }
}

/// Looks at the registry that a format asks, if it asks one.
fn registry(format: &dyn FormatPlan, writes: bool) -> Option<Probed> {
    format.registry().map(|options| RegistryClient::new(options.clone()).probe(writes))
}

fn tell(plan: &Plan, role: &str, name: &str, probed: Probed, terminal: &Terminal) {
    let pipeline = &plan.name;
    let is_well = probed.is_ok();
    let (Ok(text) | Err(text)) = probed;
    let text = plan.secrets.mask(&text);
    if terminal.json {
        let line =
            json!({ "pipeline": pipeline, "role": role, "node": name, "ok": is_well, "message": text });
        terminal.print(&format!("{line}\n"));
    } else if !is_well {
        terminal.say(&format!("{}: {pipeline}: {role} `{name}`: {text}\n", terminal.bold("error")));
    } else if !terminal.quiet {
        terminal.say(&format!("{pipeline}: {role} `{name}`: {text}\n"));
    }
}
