//! `check --connect`: whether the servers are there that pipelines read from and write to.

use super::exit::Exit;
use super::load::Loaded;
use super::terminal::Terminal;
use crate::dataflow::{NodeId, Probed};
use crate::plan::Plan;
use serde_json::json;

/// Connects to all that the pipelines name, one after the other, and says what was found.
///
/// # Errors
/// If a run would not find what it needs.
pub fn connect(loaded: &[Loaded], terminal: &Terminal) -> Result<(), Exit> {
    let mut all_well = true;
    for loaded in loaded {
        let Plan { sources, sinks, .. } = &loaded.plan;
        let sources = sources.iter().map(|source| ("source", source.node, source.plan.probe()));
        let sinks = sinks.iter().map(|sink| ("sink", sink.node, sink.plan.probe()));
        for (role, node, probed) in sources.chain(sinks) {
            let Some(probed) = probed else { continue };
            all_well &= probed.is_ok();
            tell(&loaded.plan, role, node, probed, terminal);
        }
    }
    if all_well { Ok(()) } else { Err(Exit::Failed) }
}

fn tell(plan: &Plan, role: &str, node: NodeId, probed: Probed, terminal: &Terminal) {
    let (pipeline, name) = (&plan.name, &plan.nodes[node.0 as usize].name);
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
