//! What is guaranteed on the way from each source to each sink, and why: with state that lasts, and without.

use super::{Flow, PathWords};
use crate::config::Delivery;
use crate::dataflow::{Durable, Handover, NodeId, Replay, StageId};
use crate::plan::{Plan, SinkNode, SourceNode};
use crate::time::Millis;
use std::collections::BTreeSet;

/// How often an event that came in has its effect at a sink, if the process ends in the middle and is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarantee {
    /// Once.
    ExactlyOnce,
    /// Once or more.
    AtLeastOnce,
    /// Once or not at all.
    AtMostOnce,
    /// There is no such thing as the same event, or it may be lost as well as doubled.
    None,
}

impl Guarantee {
    /// As options and programs name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Guarantee::ExactlyOnce => Delivery::ExactlyOnce.name(),
            Guarantee::AtLeastOnce => Delivery::AtLeastOnce.name(),
            Guarantee::AtMostOnce => "at_most_once",
            Guarantee::None => "none",
        }
    }
}

/// What holds for every path with a data directory.
pub(super) const LASTING: &str =
    "state, positions in the input and output that waits are kept in the data directory, at each checkpoint";

/// What holds for every path without one.
pub(super) const IN_MEMORY: [&str; 2] = [
    "nothing is durable: progress, open windows and what nodes keep by key are in memory, and are lost when the process ends early",
    "only `file` sinks force output to disk, every 5s: what was written since is lost when the power goes",
];

/// A path from a source to a sink, by their positions in the plan.
fn connected(plan: &Plan, flow: &Flow) -> Vec<(usize, usize)> {
    let mut connected = Vec::new();
    for (from, source) in plan.sources.iter().enumerate() {
        let reached = flow.reached(source.stage);
        let all = plan.sinks.iter().enumerate().filter(|(_, sink)| is_among(plan, sink, &reached));
        connected.extend(all.map(|(to, _)| (from, to)));
    }
    connected
}

/// Whether a sink writes what comes from one of the stages.
fn is_among(plan: &Plan, sink: &SinkNode, stages: &BTreeSet<StageId>) -> bool {
    let mut writers = plan.draft.steps.iter().filter(|step| step.node == sink.node);
    writers.any(|step| stages.contains(&step.stage))
}

/// All paths, in the order of the sources and sinks.
pub(super) fn paths(plan: &Plan, flow: &Flow, lasting: bool) -> Vec<PathWords> {
    let name = |node: NodeId| plan.nodes[node.0 as usize].name.clone();
    let path = |(from, to): (usize, usize)| {
        let (source, sink) = (&plan.sources[from], &plan.sinks[to]);
        let (guarantee, because) = match lasting {
            true => with_state(&Input::of(plan, flow, source, sink), sink),
            false => {
                let (guarantee, because) = in_memory(source.plan.replay(), sink.plan.starts_anew());
                (guarantee, because.to_owned())
            }
        };
        PathWords { source: name(source.node), sink: name(sink.node), guarantee, because }
    };
    connected(plan, flow).into_iter().map(path).collect()
}

/// The sources from which a sink that delivers exactly once gets events that may be lost or come twice: sink and source,
/// and why.
pub(in crate::plan) fn inexact(plan: &Plan) -> Vec<(NodeId, NodeId, String)> {
    let flow = Flow::of(plan);
    let paths = connected(plan, &flow).into_iter().map(|(from, to)| (&plan.sources[from], &plan.sinks[to]));
    let exact = paths.filter(|(_, sink)| sink.delivery == Delivery::ExactlyOnce);
    let judged = exact.map(|(source, sink)| (source, sink, Input::of(plan, &flow, source, sink)));
    let inexact = judged.filter(|(_, _, input)| input.guarantee() != Guarantee::ExactlyOnce);
    inexact.map(|(source, sink, input)| (sink.node, source.node, input.words())).collect()
}

/// What becomes of input when the process ends early, where state lasts.
struct Input {
    kept: Kept,
    handover: Option<Handover>,
    /// How long events are known by their ids.
    known: Option<Millis>,
    /// Whether what the source rejects goes this way: it may have no id.
    rejected: bool,
    /// The sink that delivers at least once, if what its target refuses goes this way: it may be refused again.
    refused_by: Option<String>,
}

enum Kept {
    /// It is read again from where the checkpoint was.
    Replayed,
    /// It was written down, or not acknowledged.
    Held,
    /// It is gone.
    Gone,
}

impl Input {
    fn of(plan: &Plan, flow: &Flow, source: &SourceNode, sink: &SinkNode) -> Input {
        let held = source.plan.durable() != Durable::No;
        let kept = match source.plan.resumes() {
            true => Kept::Replayed,
            false if held => Kept::Held,
            false => Kept::Gone,
        };
        let goes_by = |node: NodeId| {
            let stage = plan.rejected.get(&node);
            stage.is_some_and(|stage| is_among(plan, sink, &flow.reached(*stage)))
        };
        let before = flow.reached(source.stage);
        let inexact = |other: &&SinkNode| other.delivery == Delivery::AtLeastOnce && other.plan.refuses();
        let mut others = plan.sinks.iter().filter(inexact).filter(|other| is_among(plan, other, &before));
        let refused_by = others.find(|other| goes_by(other.node));
        let mut own = plan.draft.steps.iter().filter(|step| step.node == source.node);
        Input {
            kept,
            handover: source.plan.handover(),
            known: own.find_map(|step| step.plan.drops_repeats()),
            rejected: goes_by(source.node),
            refused_by: refused_by.map(|other| plan.nodes[other.node.0 as usize].name.clone()),
        }
    }

    fn guarantee(&self) -> Guarantee {
        match (self.read(), &self.refused_by) {
            (guarantee, None) => guarantee,
            (Guarantee::ExactlyOnce | Guarantee::AtLeastOnce, Some(_)) => Guarantee::AtLeastOnce,
            (Guarantee::AtMostOnce | Guarantee::None, Some(_)) => Guarantee::None,
        }
    }

    /// What holds of the source alone.
    fn read(&self) -> Guarantee {
        let loses = self.handover.is_some_and(|handover| handover.loses);
        match (&self.kept, self.known) {
            (Kept::Gone, _) => Guarantee::AtMostOnce,
            (Kept::Held, _) if loses => Guarantee::AtMostOnce,
            (Kept::Held, None) => Guarantee::AtLeastOnce,
            (Kept::Held, Some(_)) if self.rejected => Guarantee::AtLeastOnce,
            (Kept::Replayed, _) | (Kept::Held, Some(_)) => Guarantee::ExactlyOnce,
        }
    }

    fn words(&self) -> String {
        let read = self.words_of_source();
        match &self.refused_by {
            Some(sink) => {
                format!("{read}; what the target of `{sink}` refuses may come back twice at a crash")
            }
            None => read,
        }
    }

    fn words_of_source(&self) -> String {
        let by = self.handover.map(|handover| format!("{}: ", handover.name)).unwrap_or_default();
        let loses = self.handover.is_some_and(|handover| handover.loses);
        match (&self.kept, self.known) {
            (Kept::Replayed, _) => "read on from where the checkpoint was".to_owned(),
            (Kept::Gone, _) => format!("{by}what was read since the last checkpoint is lost at a crash"),
            (Kept::Held, _) if loses => format!("{by}what is sent while nobody listens is lost"),
            (Kept::Held, Some(_)) if self.rejected => {
                format!(
                    "{by}none lost; doubled only what was in flight at a crash and is rejected: it may have no id"
                )
            }
            (Kept::Held, Some(span)) => format!("{by}none lost, none doubled (within {span})"),
            (Kept::Held, None) => format!("{by}none lost; doubled only what was in flight at a crash"),
        }
    }
}

fn with_state(input: &Input, sink: &SinkNode) -> (Guarantee, String) {
    let (guarantee, output) = match (input.guarantee(), sink.delivery) {
        (guarantee, Delivery::ExactlyOnce) => {
            (guarantee, "each result is written once, after its checkpoint")
        }
        (Guarantee::AtMostOnce, Delivery::AtLeastOnce) => {
            (Guarantee::None, "what was written and is not yet known to have arrived is written again")
        }
        (_, Delivery::AtLeastOnce) => {
            (Guarantee::AtLeastOnce, "at a crash results since the last checkpoint are written once more")
        }
    };
    (guarantee, format!("{}; {output}", input.words()))
}

fn in_memory(replay: Replay, starts_anew: bool) -> (Guarantee, &'static str) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_as_exact_as_its_server_and_its_ids() {
        let said = |kept: Kept, loses: bool, known: Option<i64>, rejected: bool| {
            let name = if loses { "QoS 0" } else { "QoS 1" };
            let (handover, known) = (Some(Handover { name, loses }), known.map(Millis));
            let input = Input { kept, handover, known, rejected, refused_by: None };
            (input.guarantee().name(), input.words())
        };
        let hour = Some(3_600_000);
        let cases = [
            (
                said(Kept::Held, false, None, false),
                "at_least_once",
                "QoS 1: none lost; doubled only what was in flight at a crash",
            ),
            (
                said(Kept::Held, false, hour, false),
                "exactly_once",
                "QoS 1: none lost, none doubled (within 1h)",
            ),
            (
                said(Kept::Held, false, hour, true),
                "at_least_once",
                "QoS 1: none lost; doubled only what was in flight at a crash and is rejected: it may have no id",
            ),
            (
                said(Kept::Held, true, hour, false),
                "at_most_once",
                "QoS 0: what is sent while nobody listens is lost",
            ),
            (
                said(Kept::Replayed, false, None, true),
                "exactly_once",
                "read on from where the checkpoint was",
            ),
        ];
        for ((guarantee, words), want, want_words) in cases {
            assert_eq!((guarantee, words.as_str()), (want, want_words));
        }
    }

    #[test]
    fn what_is_refused_is_as_exact_as_who_gives_it_back() {
        let said = |kept: Kept| {
            let refused_by = Some("out".to_owned());
            let input = Input { kept, handover: None, known: None, rejected: false, refused_by };
            (input.guarantee().name(), input.words())
        };
        let (guarantee, words) = said(Kept::Replayed);
        assert_eq!(guarantee, "at_least_once");
        assert!(
            words.ends_with("; what the target of `out` refuses may come back twice at a crash"),
            "{words}"
        );
        assert_eq!(said(Kept::Gone).0, "none");
    }
}
