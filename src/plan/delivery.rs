//! What sinks deliver: what was asked for, at the sink or for the whole pipeline, beside what they can.

use super::{Plan, Planning, explain};
use crate::config::{Delivery, Faults, Input, PipelineFile, Role, Section};
use crate::dataflow::{Buffer, NodeId, SinkPlan, StepPlan};
use std::collections::BTreeSet;

/// Reads what stands beside a sink's connector. A sink that cannot do what it is asked itself is an error; one that cannot
/// do what the pipeline asks of all is a warning, and delivers at least once. `revised` names a node whose rows take the
/// place of earlier ones.
pub fn read(
    section: &Section<'_>,
    plan: &dyn SinkPlan,
    connector: &str,
    pipeline: Delivery,
    revised: Option<&str>,
) -> (Delivery, Buffer) {
    let own = section.optional("delivery", Delivery::read);
    let asked = own.unwrap_or(pipeline);
    let cannot = asked == Delivery::ExactlyOnce && !plan.delivers_exactly_once();
    let message = match plan.why_not_exactly_once() {
        None => format!("`{connector}` cannot deliver exactly once, only at least once"),
        Some(why) => format!("`{connector}` cannot deliver exactly once, only at least once: {why}"),
    };
    match section.get("delivery").filter(|_| cannot && own.is_some()) {
        Some(setting) => {
            setting.error(message).hint("write `delivery: at_least_once`, or leave it away");
        }
        None if cannot => {
            let message = format!("{}: {message}", section.what());
            let hint = "if that is enough, write `delivery: at_least_once` at the sink";
            section.faults().warning(section.place(), message).hint(hint);
        }
        None => {}
    }
    let delivery = if cannot && own.is_none() { Delivery::AtLeastOnce } else { asked };
    (delivery, Buffer::plan(section, delivery, revised))
}

/// Says where a sink delivers exactly once what is lost or comes twice on its way there: an error where the sink itself
/// asks for more, a warning where the pipeline does.
pub fn tell_inexact(plan: &Plan, file: &PipelineFile, faults: &Faults) {
    if faults.has_errors() {
        return;
    }
    for (sink, source, why) in explain::inexact(plan) {
        let (node, source) = (&file.nodes[sink.0 as usize], &file.nodes[source.0 as usize]);
        let message =
            format!("{} cannot have each event of {} exactly once: {why}", node.what(), source.what());
        match node.node.get("delivery") {
            Some(own) => faults.error(own, message),
            None => faults.warning(node.place, message),
        };
    }
}

impl<'a> Planning<'a> {
    /// The nearest node before these inputs whose rows take the place of earlier ones.
    pub(super) fn revised(&self, inputs: &'a [Input]) -> Option<&'a str> {
        self.nearest(inputs, |step| step.revises(), |_| false)
    }

    /// The nearest node before these inputs that tells of one thing in several rows.
    pub(super) fn in_parts(&self, inputs: &'a [Input]) -> Option<&'a str> {
        self.nearest(inputs, |step| step.gives_parts(), |_| false)
    }

    /// The nearest node before these inputs that takes back rows it gave.
    pub(super) fn taken_back(&self, inputs: &'a [Input]) -> Option<&'a str> {
        // Behind another window are results that know nothing of them.
        self.nearest(inputs, |step| step.takes_back(), |role| role == Role::Window)
    }

    fn nearest(
        &self,
        inputs: &'a [Input],
        is_it: impl Fn(&dyn StepPlan) -> bool,
        ends_at: impl Fn(Role) -> bool,
    ) -> Option<&'a str> {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&Input> = inputs.iter().collect();
        while let Some(input) = open.pop() {
            // What was rejected is told once.
            let rejected = input.port.as_deref() == Some("rejected");
            let at = self.file.nodes.iter().position(|node| node.name == input.name);
            let Some(at) = at.filter(|_| !rejected) else { continue };
            let node = &self.file.nodes[at];
            let id = NodeId(at as u16);
            let mut steps = self.plan.draft.steps.iter().filter(|step| step.node == id);
            // By any other port of a window leave events as they came.
            let as_came = node.role == Role::Window && input.port.is_some();
            if !as_came && steps.any(|step| is_it(&*step.plan)) {
                return Some(&node.name);
            }
            if (as_came || !ends_at(node.role)) && seen.insert(&node.name) {
                open.extend(&node.from);
            }
        }
        None
    }
}
