//! What is guaranteed on the way from each source to each sink, and why. Nothing is durable in this version, so it
//! depends on whether a new run gets the same input again.

use super::{Flow, PathWords};
use crate::dataflow::Replay;
use crate::plan::Plan;

/// How often an event that came in has its effect at a sink, if the process ends in the middle and is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarantee {
    /// Once or more.
    AtLeastOnce,
    /// Once or not at all.
    AtMostOnce,
    /// There is no such thing as the same event.
    None,
}

impl Guarantee {
    /// As options and programs name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Guarantee::AtLeastOnce => "at_least_once",
            Guarantee::AtMostOnce => "at_most_once",
            Guarantee::None => "none",
        }
    }
}

/// What holds for every path.
pub(super) const KEPT: [&str; 2] = [
    "nothing is durable: progress, open windows and what nodes keep by key are in memory, and are lost when the process ends early",
    "only `file` sinks force output to disk, every 5s: what was written since is lost when the power goes",
];

/// All paths, in the order of the sources and sinks.
pub(super) fn paths(plan: &Plan, flow: &Flow) -> Vec<PathWords> {
    let mut paths = Vec::new();
    for source in &plan.sources {
        let reached = flow.reached(source.stage);
        for sink in &plan.sinks {
            let mut writers = plan.draft.steps.iter().filter(|step| step.node == sink.node);
            if !writers.any(|step| reached.contains(&step.stage)) {
                continue;
            }
            let (guarantee, because) = guarantee(source.plan.replay(), sink.plan.starts_anew());
            let name = |node: crate::dataflow::NodeId| plan.nodes[node.0 as usize].name.clone();
            paths.push(PathWords { source: name(source.node), sink: name(sink.node), guarantee, because });
        }
    }
    paths
}

fn guarantee(replay: Replay, starts_anew: bool) -> (Guarantee, &'static str) {
    match (replay, starts_anew) {
        (Replay::FromStart, false) => {
            (Guarantee::AtLeastOnce, "a new run reads all input again, and writes all output once more")
        }
        (Replay::FromStart, true) => {
            (Guarantee::AtLeastOnce, "a new run reads all input again, and replaces what was written")
        }
        (Replay::Gone, false) => {
            (Guarantee::AtMostOnce, "a new run does not get again what was read and not yet written")
        }
        (Replay::Gone, true) => (
            Guarantee::AtMostOnce,
            "a new run does not get again what was read, and replaces what was written",
        ),
        (Replay::Anew, false) => (Guarantee::None, "a new run makes new events"),
        (Replay::Anew, true) => {
            (Guarantee::None, "a new run makes new events, and replaces what was written")
        }
    }
}
