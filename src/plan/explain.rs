//! What a plan does, in words: what `headwater explain` shows, for people ([`std::fmt::Display`]) and for programs
//! ([`Explanation::to_json`]).

mod delivery;
mod json;
mod stages;
mod text;

use super::words::shown;
use super::{Plan, SourceNode};
use crate::config::{Role, Secrets};
use crate::dataflow::plugin::Plugin;
use crate::dataflow::{Origin, StageId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use delivery::inexact;

/// A plan in words. Every text is one line, without control characters and secrets.
#[derive(Clone, Debug)]
pub struct Explanation {
    pipeline: String,
    description: Option<String>,
    workers: usize,
    sources: Vec<SourceWords>,
    stages: Vec<StageWords>,
    /// Nodes without a step: they only name fields anew.
    free: Vec<String>,
    /// Ports that nobody reads.
    unread: Vec<String>,
    sinks: Vec<SinkWords>,
    /// Whether state outlives the process.
    lasting: bool,
    paths: Vec<PathWords>,
    /// The same with a data directory, where there is none.
    would_be: Vec<PathWords>,
    /// What nodes keep: names, and how it is laid out.
    state: Vec<(String, String)>,
    /// Scripts, and what each registers.
    plugins: Vec<(String, Vec<String>)>,
}

/// What a source reads.
#[derive(Clone, Debug)]
struct SourceWords {
    name: String,
    reads: String,
    is_live: bool,
    /// None where they are found while it runs.
    partitions: Option<usize>,
    format: Option<String>,
    time: String,
    watermark: Vec<String>,
    /// Name and type of each field that is decoded or made.
    fields: Vec<(String, String)>,
    /// Who needs the whole event.
    whole: Vec<String>,
}

/// A stage: where its rows come from, and what works on them.
#[derive(Clone, Debug)]
struct StageWords {
    title: String,
    /// What is copied into it, an entry an input.
    copies: Vec<CopyWords>,
    /// Why rows are copied into it.
    why: Option<&'static str>,
    /// Who needs the whole event here.
    whole: Vec<String>,
    work: Block,
}

/// What is copied from one place into a stage.
#[derive(Clone, Debug)]
struct CopyWords {
    /// Where from; none if there is one input, which the title names.
    from: Option<String>,
    fields: Vec<String>,
    whole: bool,
}

/// Steps that run one behind the other, and what follows the last of them.
#[derive(Clone, Debug, Default)]
struct Block {
    steps: Vec<StepWords>,
    outs: Vec<Out>,
}

/// An operator as it runs.
#[derive(Clone, Debug)]
struct StepWords {
    node: String,
    does: String,
    details: Vec<String>,
}

/// A way out of a block. The main port has the empty name.
#[derive(Clone, Debug)]
struct Out {
    port: String,
    to: Destination,
}

#[derive(Clone, Debug)]
enum Destination {
    Block(Block),
    /// The number of a stage, from 1.
    Stage(usize),
}

/// Where a sink writes.
#[derive(Clone, Debug)]
struct SinkWords {
    name: String,
    target: String,
    format: String,
}

/// What is guaranteed on the way from a source to a sink.
#[derive(Clone, Debug)]
struct PathWords {
    source: String,
    sink: String,
    guarantee: delivery::Guarantee,
    because: String,
}

impl Explanation {
    /// Explains a plan that runs with a data directory, where `lasting`, or without; none of the secrets is shown.
    pub fn of(plan: &Plan, lasting: bool, secrets: &Secrets) -> Explanation {
        let words = Words(secrets);
        let flow = Flow::of(plan);
        Explanation {
            pipeline: plan.name.clone(),
            description: plan.description.as_deref().map(|text| words.line(text)),
            workers: plan.parallelism,
            sources: plan.sources.iter().map(|source| words.source(plan, source)).collect(),
            stages: flow.order.iter().map(|stage| words.stage(plan, &flow, *stage)).collect(),
            free: free(plan),
            unread: unread(plan),
            sinks: plan.sinks.iter().map(|sink| words.sink(plan, sink)).collect(),
            lasting,
            paths: delivery::paths(plan, &flow, lasting),
            would_be: if lasting { Vec::new() } else { delivery::paths(plan, &flow, true) },
            state: words.state(plan),
            plugins: words.plugins(plan),
        }
    }
}

/// Makes texts of a plan fit to be shown.
struct Words<'a>(&'a Secrets);

impl Words<'_> {
    fn line(&self, text: &str) -> String {
        shown(text, self.0)
    }

    fn lines(&self, texts: &[String]) -> Vec<String> {
        texts.iter().map(|text| self.line(text)).collect()
    }

    fn source(&self, plan: &Plan, source: &SourceNode) -> SourceWords {
        let stage = &plan.draft.stages[source.stage.0 as usize];
        let fields: Vec<(String, String)> = match &stage.origin {
            Origin::Decoded(id) => {
                let wanted = &plan.draft.decodings[id.0 as usize].wanted.fields;
                let ty = |slot: usize| stage.slots[slot].1.to_string();
                wanted.iter().map(|(path, slot)| (path.to_string(), ty(slot.0 as usize))).collect()
            }
            Origin::Made { fields, .. } => {
                fields.iter().map(|(name, _, ty)| (name.clone(), ty.to_string())).collect()
            }
            Origin::Copied(_) => Vec::new(),
        };
        SourceWords {
            name: plan.nodes[source.node.0 as usize].name.clone(),
            reads: self.line(&source.plan.describe()),
            is_live: source.plan.is_live(),
            partitions: (!source.plan.finds_partitions()).then(|| source.plan.partitions()),
            format: source.decoding.map(|_| self.line(&source.format.describe())),
            time: self.line(&source.timing.describe_time()),
            watermark: self.lines(&source.timing.describe_watermark()),
            fields: fields.into_iter().map(|(name, ty)| (self.line(&name), ty)).collect(),
            whole: self.lines(&stage.whole),
        }
    }

    fn state(&self, plan: &Plan) -> Vec<(String, String)> {
        let kept = plan.draft.steps.iter().filter_map(|step| Some((step.node, step.plan.state()?)));
        let named = kept.map(|(node, shape)| (plan.nodes[node.0 as usize].name.clone(), self.line(&shape)));
        named.collect()
    }

    fn plugins(&self, plan: &Plan) -> Vec<(String, Vec<String>)> {
        let of = |plugin: &Arc<Plugin>| {
            let all = plugin.registered.iter();
            let all = all.map(|registered| format!("{} {}", registered.kind.noun(), registered.name));
            (self.line(&plugin.script.name), all.collect())
        };
        plan.plugins.iter().map(of).collect()
    }

    fn sink(&self, plan: &Plan, sink: &super::SinkNode) -> SinkWords {
        SinkWords {
            name: plan.nodes[sink.node.0 as usize].name.clone(),
            target: self.line(&sink.plan.describe()),
            format: self.line(&sink.format.describe()),
        }
    }
}

/// Nodes for which nothing runs, with what they are.
fn free(plan: &Plan) -> Vec<String> {
    let working: BTreeSet<_> = plan.draft.steps.iter().map(|step| step.node).collect();
    let nodes = plan.nodes.iter().enumerate();
    let free = nodes.filter(|(id, node)| {
        node.role != Role::Source && !working.contains(&crate::dataflow::NodeId(*id as u16))
    });
    free.map(|(_, node)| format!("{} ({})", node.name, node.kind)).collect()
}

/// Ports that nobody reads. A node for which nothing runs rejects nothing.
fn unread(plan: &Plan) -> Vec<String> {
    let working: BTreeSet<_> = plan.draft.steps.iter().map(|step| step.node).collect();
    let mut unread = Vec::new();
    for (id, node) in plan.nodes.iter().enumerate().filter(|(_, node)| node.role != Role::Sink) {
        let id = crate::dataflow::NodeId(id as u16);
        for port in node.ports.iter().filter(|port| !port.is_read) {
            let dot = if port.name.is_empty() { "" } else { "." };
            unread.push(format!("{}{dot}{}", node.name, port.name));
        }
        if !plan.rejected.contains_key(&id) && (node.role == Role::Source || working.contains(&id)) {
            unread.push(format!("{}.rejected", node.name));
        }
    }
    unread
}

/// Which stages follow on which.
struct Flow {
    /// The stages, each behind all that it takes rows from.
    order: Vec<StageId>,
    next: BTreeMap<StageId, BTreeSet<StageId>>,
}

impl Flow {
    fn of(plan: &Plan) -> Flow {
        let next = stages::successors(plan);
        let mut missing: BTreeMap<StageId, usize> =
            (0..plan.draft.stages.len()).map(|id| (StageId(id as u16), 0)).collect();
        for stage in next.values().flatten() {
            *missing.entry(*stage).or_default() += 1;
        }
        let mut ready: BTreeSet<StageId> =
            missing.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
        let mut order = Vec::new();
        // Kahn's algorithm (1962); of those that are ready the one that was planned first comes first.
        while let Some(stage) = ready.pop_first() {
            order.push(stage);
            for after in next.get(&stage).into_iter().flatten() {
                let left = missing.entry(*after).or_default();
                *left -= 1;
                if *left == 0 {
                    ready.insert(*after);
                }
            }
        }
        Flow { order, next }
    }

    /// The number that people see, from 1.
    fn number(&self, stage: StageId) -> usize {
        self.order.iter().position(|s| *s == stage).unwrap_or_default() + 1
    }

    /// All stages that rows of this one may reach, itself included.
    fn reached(&self, from: StageId) -> BTreeSet<StageId> {
        let mut reached = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(stage) = open.pop() {
            let next = self.next.get(&stage).into_iter().flatten();
            open.extend(next.filter(|stage| reached.insert(**stage)));
        }
        reached
    }
}
