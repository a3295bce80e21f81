//! Stages in words: where rows come from, what is copied, and the operators in the order in which they run.

use super::{Block, CopyWords, Destination, Flow, Out, StageWords, StepWords, Words};
use crate::config::Role;
use crate::dataflow::{
    Copies, MAIN, Next, NodeId, Origin, Port, StageDraft, StageId, StepId, Target, is_hidden,
};
use crate::plan::Plan;
use crate::transforms::JOIN;
use std::collections::{BTreeMap, BTreeSet};

/// How rows come into a stage.
enum Entry {
    /// A source reads them.
    Read(NodeId),
    /// A node rejected them.
    Rejected(NodeId),
    /// A step makes them and sends them by a port.
    Made(StepId, Port),
    /// Several inputs of a node come together.
    Union(NodeId),
    /// They come from the workers that read them to the one that owns their key.
    Exchange,
}

/// The stages into which rows of each stage go.
pub(super) fn successors(plan: &Plan) -> BTreeMap<StageId, BTreeSet<StageId>> {
    let mut next: BTreeMap<StageId, BTreeSet<StageId>> = BTreeMap::new();
    let mut add = |from: StageId, to: StageId| {
        next.entry(from).or_default().insert(to);
    };
    for (id, stage) in plan.draft.stages.iter().enumerate() {
        for root in &stage.roots {
            if let Next::Join(to, _) = root {
                add(StageId(id as u16), *to);
            }
        }
    }
    for step in &plan.draft.steps {
        for (_, target) in &step.outputs {
            match target {
                Target::Emit(to) => add(step.stage, *to),
                Target::Pass(all) => all.iter().for_each(|next| {
                    if let Next::Join(to, _) = next {
                        add(step.stage, *to);
                    }
                }),
            }
        }
        if let (Some(to), true) = (plan.rejected.get(&step.node), step.rejected.is_some()) {
            add(step.stage, *to);
        }
    }
    for source in &plan.sources {
        if let Some(to) = plan.rejected.get(&source.node) {
            add(source.stage, *to);
        }
    }
    next
}

fn entry(plan: &Plan, id: StageId) -> Entry {
    if let Some(source) = plan.sources.iter().find(|source| source.stage == id) {
        return Entry::Read(source.node);
    }
    if let Some((node, _)) = plan.rejected.iter().find(|(_, stage)| **stage == id) {
        return Entry::Rejected(*node);
    }
    if let Some(node) = plan.unions.get(&id) {
        return Entry::Union(*node);
    }
    for (step, draft) in plan.draft.steps.iter().enumerate() {
        if let Some((port, _)) = draft.outputs.iter().find(|(_, target)| *target == Target::Emit(id)) {
            return Entry::Made(StepId(step as u16), *port);
        }
    }
    Entry::Exchange
}

impl Words<'_> {
    pub(super) fn stage(&self, plan: &Plan, flow: &Flow, id: StageId) -> StageWords {
        let stage = &plan.draft.stages[id.0 as usize];
        let entry = entry(plan, id);
        let (title, why) = self.title(plan, stage, &entry);
        let copies = match &entry {
            Entry::Union(node) => {
                let from = plan.nodes[node.0 as usize].from.iter().map(|from| Some(from.clone()));
                from.zip(&stage.copies)
                    .enumerate()
                    .map(|(i, (from, c))| self.copy(plan, stage, i, from, c))
                    .collect()
            }
            _ => stage.copies.iter().enumerate().map(|(i, c)| self.copy(plan, stage, i, None, c)).collect(),
        };
        let whole =
            if matches!(stage.origin, Origin::Copied(_)) { self.lines(&stage.whole) } else { Vec::new() };
        let outs = stage.roots.iter().map(|next| self.follow(plan, flow, String::new(), *next)).collect();
        StageWords { title, copies, why, whole, work: unfold(outs) }
    }

    /// Where the rows come from, and why they are copied.
    fn title(&self, plan: &Plan, stage: &StageDraft, entry: &Entry) -> (String, Option<&'static str>) {
        let name = |node: &NodeId| &plan.nodes[node.0 as usize].name;
        match entry {
            Entry::Read(node) => (format!("from source {}", name(node)), None),
            Entry::Rejected(node) => (format!("what {} rejects", name(node)), None),
            Entry::Union(node) => {
                let live = plan.sources.iter().any(|source| source.plan.is_live());
                let why = match live {
                    true => "several inputs become one, in the order in which rows come",
                    false => "several inputs become one, in the order of their watermarks",
                };
                (format!("the inputs of {} as one", name(node)), Some(why))
            }
            Entry::Exchange => match self.key(plan, stage) {
                key if key.is_empty() => {
                    ("rows at one worker".to_owned(), Some("there is no key that workers could share"))
                }
                key => {
                    let why = "rows move to the worker that owns their key";
                    (format!("rows by key {}", key.join(", ")), Some(why))
                }
            },
            Entry::Made(step, port) => {
                let node = plan.draft.steps[step.0 as usize].node;
                let planned = &plan.nodes[node.0 as usize];
                let copied = matches!(stage.origin, Origin::Copied(_));
                let (title, why) = match (planned.role, planned.kind.as_str()) {
                    (Role::Window, _) if *port == crate::windows::LATE => {
                        ("what comes too late for", "a late event leaves on its own")
                    }
                    (Role::Window, _) => ("panes of", ""),
                    (_, "explode") => ("elements from", "one row an element of the list"),
                    (Role::Transform, kind) if kind.starts_with(JOIN) => match *port {
                        MAIN => ("pairs from", "both events stand in one row"),
                        _ => ("what comes too late for", "a late event leaves on its own"),
                    },
                    (_, "event_time") => ("new times from", "other readers keep the old times"),
                    _ => ("rows from", "rows are made anew"),
                };
                (format!("{title} {}", planned.name), copied.then_some(why))
            }
        }
    }

    /// The names of the fields that rows are shared out by.
    fn key(&self, plan: &Plan, stage: &StageDraft) -> Vec<String> {
        let Origin::Copied(points) = &stage.origin else { return Vec::new() };
        let from = points.first().map(|point| &plan.draft.stages[point.stage.0 as usize]);
        let slots = stage.exchange.iter().flatten();
        slots.filter_map(|slot| Some(self.line(&from?.slots[slot.0 as usize].0))).collect()
    }

    fn copy(
        &self,
        plan: &Plan,
        stage: &StageDraft,
        input: usize,
        from: Option<String>,
        copies: &Copies,
    ) -> CopyWords {
        let Origin::Copied(points) = &stage.origin else {
            return CopyWords { from, fields: Vec::new(), whole: false };
        };
        let upstream = &plan.draft.stages[points[input].stage.0 as usize];
        let names = copies.cells.iter().map(|(source, target)| {
            let name = &stage.slots[target.0 as usize].0;
            // A name of the planner's own says less than that of what is copied.
            self.line(if is_hidden(name) { &upstream.slots[source.0 as usize].0 } else { name })
        });
        let maps = copies.maps.iter().map(|(_, target)| self.line(&stage.slots[target.0 as usize].0));
        let names = names.chain(maps);
        let mut fields: Vec<String> = Vec::new();
        for name in names {
            if !fields.contains(&name) {
                fields.push(name);
            }
        }
        CopyWords { from, fields, whole: copies.whole.is_some() }
    }

    /// What lies behind a place: a chain of steps as far as it goes on alone, then the ways out of its end.
    fn follow(&self, plan: &Plan, flow: &Flow, port: String, next: Next) -> Out {
        let mut step = match next {
            Next::Join(stage, _) => return Out { port, to: Destination::Stage(flow.number(stage)) },
            Next::Step(step) => step,
        };
        let mut block = Block::default();
        loop {
            block.steps.push(self.step(plan, step));
            let outputs = &plan.draft.steps[step.0 as usize].outputs;
            match outputs.as_slice() {
                [(crate::dataflow::MAIN, Target::Pass(all))] if let [Next::Step(only)] = all.as_slice() => {
                    step = *only;
                }
                _ => break,
            }
        }
        for (out, target) in &plan.draft.steps[step.0 as usize].outputs {
            match target {
                Target::Pass(all) => {
                    let name = port_name(plan, step, *out);
                    let ways = all.iter().map(|next| self.follow(plan, flow, name.clone(), *next));
                    block.outs.extend(ways);
                }
                Target::Emit(stage) => {
                    let to = Destination::Stage(flow.number(*stage));
                    block.outs.push(Out { port: emitting_port_name(plan, step, *stage), to });
                }
            }
        }
        Out { port, to: Destination::Block(block) }
    }

    fn step(&self, plan: &Plan, step: StepId) -> StepWords {
        let step = &plan.draft.steps[step.0 as usize];
        let mut details = self.lines(&step.plan.details());
        if step.plan.state().is_some() && !step.plan.spills() {
            details.push("stays in memory, beyond `limits.memory` too".to_owned());
        }
        StepWords {
            node: plan.nodes[step.node.0 as usize].name.clone(),
            does: self.line(&step.plan.describe()),
            details,
        }
    }
}

/// A block with these ways out; if there is one and it is a block by itself, that.
fn unfold(mut outs: Vec<Out>) -> Block {
    match outs.pop() {
        Some(Out { to: Destination::Block(block), .. }) if outs.is_empty() => block,
        Some(last) => {
            outs.push(last);
            Block { steps: Vec::new(), outs }
        }
        None => Block::default(),
    }
}

fn port_name(plan: &Plan, step: StepId, port: Port) -> String {
    let node = plan.draft.steps[step.0 as usize].node;
    let ports = &plan.nodes[node.0 as usize].ports;
    let found = ports.iter().find(|p| p.behind == Some((step, port)));
    found.map(|port| port.name.clone()).unwrap_or_default()
}

fn emitting_port_name(plan: &Plan, step: StepId, stage: StageId) -> String {
    let node = plan.draft.steps[step.0 as usize].node;
    let ports = &plan.nodes[node.0 as usize].ports;
    let found = ports.iter().find(|p| p.stage == Some(stage) && p.behind.is_none());
    found.map(|port| port.name.clone()).unwrap_or_default()
}
