//! Why a node that waits for event time does not go on: what is known, and what follows from it.

mod causes;
mod kept;
mod shown;

pub use causes::Cause;
pub use kept::kept_watermark;
pub use shown::{shown_span, shown_time};

use super::inquiry::WorkerView;
use super::stats::NodeCounts;
use crate::dataflow::{Awaits, NodeId, OpenPane, Port, StageId, Target};
use crate::plan::Plan;
use crate::time::{Millis, Timestamp};
use crate::watermark::{Hold, HolderView, Liveness, Progress};
use std::collections::BTreeSet;

/// What late events are called, and the port by which they leave.
const LATE: &str = "late";

/// What of a plan is needed to say why.
#[derive(Clone, Debug)]
pub struct Layout {
    nodes: Vec<LayoutNode>,
    sources: Vec<LayoutSource>,
}

#[derive(Clone, Debug)]
struct LayoutNode {
    name: String,
    kind: String,
    inputs: Vec<usize>,
    /// What it reads; None where it has no step.
    stage: Option<StageId>,
    /// By which port late events leave, if somebody reads it.
    late: Option<Port>,
}

#[derive(Clone, Debug)]
struct LayoutSource {
    node: usize,
    progress: Progress,
    liveness: Option<Liveness>,
}

/// How far a source has come, over all workers.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// Its name.
    pub name: String,
    /// Its watermark.
    pub watermark: Timestamp,
    /// Its latest event time.
    pub highest: Timestamp,
    /// Whether all of its partitions are idle.
    pub is_idle: bool,
    /// Whether it has ended.
    pub has_ended: bool,
    /// What moves its watermark.
    pub progress: Progress,
    /// What holds because it is live.
    pub liveness: Option<Liveness>,
    /// How many partitions and keys hold its watermark, are idle, have ended.
    pub counts: [usize; 3],
    /// The source that it waits for, where it is held back as it runs ahead of its group.
    pub waits_for: Option<String>,
    /// Those that are furthest behind, with their names.
    pub slowest: Vec<(String, HolderView)>,
}

/// What a node on the way has counted.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: String,
    /// What it has counted.
    pub counts: NodeCounts,
    /// How many of its events were late, whether somebody reads them or not.
    pub late: u64,
}

/// What is known of a node and of all that leads to it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The time of day.
    pub now: Timestamp,
    /// How far event time has come at the node.
    pub watermark: Timestamp,
    /// What makes it act, where it waits for something.
    pub trigger: Option<String>,
    /// What it acts on next.
    pub earliest: Option<OpenPane>,
    /// The sources that lead to it.
    pub sources: Vec<SourceFacts>,
    /// The nodes on the way, in the order of the file, and itself; none where it is not known what they counted.
    pub path: Vec<NodeFacts>,
    /// Whether this is what was kept for a next run: nobody knows then what was counted, and who has been quiet.
    pub is_kept: bool,
}

/// The port by which late events leave a node for others that read them.
fn late_port(plan: &Plan, node: usize) -> Option<Port> {
    let late = plan.nodes[node].ports.iter().find(|port| port.name == LATE)?.stage?;
    let steps = plan.draft.steps.iter().filter(|step| step.node.0 as usize == node);
    let leaves = |target: &Target| matches!(target, Target::Emit(stage) if *stage == late);
    steps.flat_map(|step| &step.outputs).find(|(_, target)| leaves(target)).map(|(port, _)| *port)
}

impl Layout {
    /// What is needed of a plan.
    pub fn of(plan: &Plan) -> Layout {
        let position = |name: &str| plan.nodes.iter().position(|node| node.name == name);
        let node = |(number, node): (usize, &crate::plan::PlannedNode)| {
            let input = |from: &String| position(from).or_else(|| position(from.split_once('.')?.0));
            let mut steps =
                plan.draft.steps.iter().filter(|step| step.node.0 as usize == number && !step.aside);
            let source = plan.sources.iter().find(|source| source.node.0 as usize == number);
            LayoutNode {
                name: node.name.clone(),
                kind: node.kind.clone(),
                inputs: node.from.iter().filter_map(input).collect(),
                late: late_port(plan, number),
                stage: source.map(|source| source.stage).or_else(|| steps.next().map(|step| step.stage)),
            }
        };
        let sources = plan.sources.iter().map(|source| LayoutSource {
            node: source.node.0 as usize,
            progress: source.timing.progress,
            liveness: source.timing.liveness,
        });
        Layout { nodes: plan.nodes.iter().enumerate().map(node).collect(), sources: sources.collect() }
    }

    /// The names of all nodes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }

    /// A node and the stage that it reads.
    pub fn find(&self, name: &str) -> Option<(NodeId, StageId)> {
        let number = self.nodes.iter().position(|node| node.name == name)?;
        Some((NodeId(number as u16), self.nodes[number].stage?))
    }

    /// How many of a node's events were late, whether somebody reads them or not.
    pub fn late(&self, node: usize, counts: &NodeCounts) -> u64 {
        let read =
            self.nodes[node].late.and_then(|port| counts.aside.get(&port)).copied().unwrap_or_default();
        read + counts.discarded.get(LATE).copied().unwrap_or_default()
    }

    /// Puts together what the workers know of a node.
    pub fn facts(&self, node: NodeId, views: &[WorkerView]) -> Facts {
        let way = self.way(node.0 as usize);
        let awaits: Vec<&Awaits> = views.iter().flat_map(|view| &view.awaits).collect();
        let earliest = awaits.iter().filter_map(|awaits| awaits.earliest.clone()).min_by_key(|pane| pane.due);
        let known = awaits.iter().map(|awaits| awaits.watermark).min();
        let watermark = views.iter().map(|view| view.watermark).min().unwrap_or(Timestamp::MIN);
        let facts = |number: &usize| {
            let (LayoutNode { name, kind, .. }, counts) = (&self.nodes[*number], counts(*number, views));
            let late = self.late(*number, &counts);
            NodeFacts { name: name.clone(), kind: kind.clone(), counts, late }
        };
        let sources = self.sources.iter().enumerate().filter(|(_, source)| way.contains(&source.node));
        Facts {
            now: views.iter().map(|view| view.now).max().unwrap_or(Timestamp::MIN),
            watermark: known.unwrap_or(watermark),
            trigger: awaits.first().map(|awaits| awaits.trigger.clone()),
            earliest,
            sources: sources.map(|(number, source)| self.source(number, source, views)).collect(),
            path: way.iter().map(facts).collect(),
            is_kept: false,
        }
    }

    /// A node of each source's worker that can be asked for all sources: the first source, with its stage.
    pub fn first_source(&self) -> Option<(NodeId, StageId)> {
        let node = self.sources.first()?.node;
        Some((NodeId(node as u16), self.nodes[node].stage?))
    }

    /// Puts together how far all sources have come.
    pub fn all_sources(&self, views: &[WorkerView]) -> Vec<SourceFacts> {
        let sources = self.sources.iter().enumerate();
        sources.map(|(number, source)| self.source(number, source, views)).collect()
    }

    /// A node and all that lead to it.
    fn way(&self, node: usize) -> BTreeSet<usize> {
        let (mut way, mut open) = (BTreeSet::new(), vec![node]);
        while let Some(node) = open.pop() {
            if way.insert(node) {
                open.extend(&self.nodes[node].inputs);
            }
        }
        way
    }

    fn source_name(&self, number: usize) -> String {
        self.sources.get(number).map_or_else(String::new, |source| self.nodes[source.node].name.clone())
    }

    fn source(&self, number: usize, source: &LayoutSource, views: &[WorkerView]) -> SourceFacts {
        let name = &self.nodes[source.node].name;
        let all: Vec<_> = views.iter().filter_map(|view| view.intakes.get(number)).collect();
        let open = || all.iter().filter(|intake| !intake.has_ended);
        let reached = open().map(|intake| intake.times.watermark).min();
        let ended = all.iter().map(|intake| intake.times.watermark).max();
        let mut facts = SourceFacts {
            name: name.clone(),
            watermark: reached.or(ended).unwrap_or(Timestamp::MIN),
            highest: all.iter().map(|intake| intake.times.highest).max().unwrap_or(Timestamp::MIN),
            is_idle: open().next().is_some() && open().all(|intake| intake.times.is_idle),
            has_ended: open().next().is_none(),
            progress: source.progress,
            liveness: source.liveness,
            counts: [0; 3],
            waits_for: all.iter().find_map(|intake| intake.waits_for).map(|other| self.source_name(other)),
            slowest: Vec::new(),
        };
        for intake in all {
            facts.counts.iter_mut().zip(intake.times.counts).for_each(|(sum, count)| *sum += count);
            for (holder, known) in intake.times.slowest.iter().zip(&intake.names) {
                let unnamed = || format!("{name}, partition {}", holder.partition.0);
                facts.slowest.push((known.clone().unwrap_or_else(unnamed), holder.clone()));
            }
        }
        facts.slowest.sort_by_key(|(_, holder)| (holder.hold, holder.watermark));
        facts
    }
}

fn counts(node: usize, views: &[WorkerView]) -> NodeCounts {
    let mut sum = NodeCounts::default();
    views.iter().filter_map(|view| view.counters.nodes().get(node)).for_each(|part| sum.add(part));
    sum
}

impl Facts {
    /// The partition or key that holds the watermark: the furthest behind of those that do.
    pub fn holder(&self) -> Option<(&SourceFacts, &str, &HolderView)> {
        let all = self.sources.iter().flat_map(|source| {
            source.slowest.iter().map(move |(name, holder)| (source, name.as_str(), holder))
        });
        all.filter(|(_, _, holder)| holder.hold == Hold::Holds).min_by_key(|(_, _, holder)| holder.watermark)
    }

    /// How far the watermark is from what the node acts on next.
    pub fn missing(&self) -> Option<Millis> {
        let due = self.earliest.as_ref()?.due;
        (due < Timestamp::MAX && self.watermark > Timestamp::MIN)
            .then(|| Millis(due.0.saturating_sub(self.watermark.0).max(0)))
    }
}
