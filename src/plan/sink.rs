//! Planning of sinks, and of the taps through which tests see what nodes put out.

use super::connect::line;
use super::source::asking;
use super::{Plan, Planning, SinkNode, delivery};
use crate::config::{Declaration, Delivery, Faults, PipelineFile, Place, Section, read};
use crate::dataflow::{
    Batching, Buffer, FormatPlan, NodeId, Point, Retry, Sink, SinkId, SinkPlan, SinkSpec, formats,
};
use crate::sinks::{DropSink, EncodePlan, ForgetPlan, LATER, SINKS};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Planning<'_> {
    /// Plans a sink: its connector and its format.
    pub(super) fn sink(&mut self, id: NodeId, declaration: &Declaration) {
        let names: Vec<&'static str> = SINKS.iter().map(|sink| sink.spec.name).collect();
        let section = declaration.open(names.iter().copied(), LATER, self.faults);
        let setting = section.exactly_one(&names, "connector");
        let Some(setting) = setting else { return };
        let Some(sink) = SINKS.iter().find(|sink| sink.spec.name == setting.name) else { return };
        self.plan.nodes[id.0 as usize].kind = sink.spec.name.to_owned();
        if !sink.encodes && refuse_settings(&section, sink.spec.name) {
            return;
        }
        let format = asking(section.or("format", formats::json(), formats::writer));
        let entry = self.entry(id, &declaration.from);
        let ordered = section.or("ordered", false, read::boolean);
        let mut planner = self.planner(id, entry);
        if let (true, Some(entry)) = (ordered, planner.entry.clone()) {
            planner.entry = Some(planner.gather(&entry, &mut [], true));
        }
        let late = planner.late.take();
        let Some(mut plan) = (sink.plan)(&mut planner, setting) else { return };
        Batching::plan(&section, &mut *plan, sink.spec.name);
        judge_format(&section, (&*format, &*plan), sink);
        let Some(entry) = planner.entered() else { return };
        if ordered {
            self.note_port(id, "late", late.as_ref());
        }
        if let Some(late) = late {
            self.points.insert((declaration.name.clone(), "late".to_owned()), late);
            self.plan.nodes[id.0 as usize].taps.push("late".to_owned());
        }
        self.points.insert((declaration.name.clone(), String::new()), entry.clone());
        self.plan.nodes[id.0 as usize].taps.push(String::new());
        if sink.encodes {
            if let Some(node) = self.in_parts(&declaration.from).filter(|_| plan.replaces()) {
                let message =
                    format!("what `{node}` says later of a window would replace what it said before");
                let hint = "write `accumulation: accumulating` there: then each result is a whole one";
                setting.faults.error(setting.key, message).hint(hint);
            }
            let place = section.get("format").map_or(declaration.place, |setting| setting.place());
            let revised = self.revised(&declaration.from);
            let delivered = delivery::read(&section, &*plan, sink.spec.name, self.plan.delivery, revised);
            let mut plan = plan;
            let format = plan.format().unwrap_or(format);
            let retry = Retry::plan(&section);
            retry.into_iter().for_each(|retry| plan.retried_by(retry));
            let Some(step) = self.encoding(id, &entry, plan, format, delivered, place) else { return };
            if let (Some(sink), Some(retry)) = (self.plan.sinks.last_mut(), retry) {
                sink.retry = retry;
            }
            self.planner(id, Some(entry.clone())).attach(&entry, step);
        } else {
            // Nothing is read of the events, so nothing is decoded for them.
            self.planner(id, Some(entry.clone())).attach(&entry, Box::new(ForgetPlan));
        }
    }

    /// Opens a sink of the plan, and the step that encodes events and writes them to it. That the format cannot write
    /// them is reported at `place`.
    fn encoding(
        &mut self,
        id: NodeId,
        entry: &Point,
        mut plan: Box<dyn SinkPlan>,
        format: Arc<dyn FormatPlan>,
        delivered: (Delivery, Buffer),
        place: Place,
    ) -> Option<Box<EncodePlan>> {
        let node = &self.file.nodes[id.0 as usize];
        let why = format!("{}: {} writes whole events", line(self.faults, node.place), node.what());
        let view = self.plan.draft.view(entry.stage, &entry.scope, &why);
        let mut preamble = Vec::new();
        match format.encoder(&view) {
            Ok(encoder) => {
                encoder.preamble(&mut preamble);
                plan.separated_by(encoder.separator());
            }
            Err(message) => {
                self.faults.error(place, message);
                return None;
            }
        }
        let (delivery, buffer) = delivered;
        if delivery == Delivery::ExactlyOnce {
            plan.deliver_exactly_once();
        }
        let sink = SinkId(self.plan.sinks.len() as u16);
        let (target, address) = (plan.describe(), plan.address().to_vec());
        let (messages, most_bytes) = (plan.takes_messages(), plan.most_event_bytes());
        let step = EncodePlan { sink, target, format: format.clone(), view, address, messages, most_bytes };
        self.plan.sinks.push(SinkNode {
            node: id,
            plan,
            format,
            preamble,
            delivery,
            buffer,
            retry: Retry::default(),
        });
        Some(Box::new(step))
    }

    /// Attaches a sink of its own to what leaves a node by a port, or comes to a sink.
    pub(super) fn tap(&mut self, node: &str, port: &str) {
        let Some(at) = self.points.get(&(node.to_owned(), port.to_owned())).cloned() else { return };
        let Some(id) = self.file.nodes.iter().position(|n| n.name == node) else { return };
        let id = NodeId(id as u16);
        let place = self.file.nodes[id.0 as usize].place;
        let delivered = (Delivery::AtLeastOnce, Buffer::of(Delivery::AtLeastOnce));
        let Some(step) = self.encoding(id, &at, Box::new(Tap), formats::json(), delivered, place) else {
            return;
        };
        let name = if port.is_empty() { node.to_owned() } else { format!("{node}.{port}") };
        self.plan.taps.push((name, step.sink));
        // What a tap cannot write is no reject of the node: at its `.rejected` port that would go round in a circle.
        self.plan.draft.attach_aside(&at, id, step);
    }
}

/// Says where a format cannot stand beside a sink.
fn judge_format(section: &Section<'_>, (format, plan): (&dyn FormatPlan, &dyn SinkPlan), sink: &SinkSpec) {
    let Some(setting) = section.get("format") else { return };
    let name = sink.spec.name;
    if sink.encodes && !plan.chooses_format() {
        let message = format!("`{name}` has no format: it takes the fields themselves");
        setting.faults.error(setting.key, message).hint("leave `format` away");
    }
    if format.registry().is_some() && !plan.takes_messages() {
        let message = format!("`{name}` writes no messages, and only those have the numbers of a registry");
        setting.error(message).hint("give `schema` instead of `registry`");
    }
}

/// Reports what a sink cannot have that writes nothing; whether there was any.
fn refuse_settings(section: &Section<'_>, name: &str) -> bool {
    let words = [
        ("format", "it has no format"),
        ("delivery", "it delivers nothing"),
        ("buffer", "nothing waits"),
        ("retry", "nothing is tried"),
        ("batch", "nothing is gathered"),
    ];
    let found = words.map(|(key, why)| (section.get(key), why));
    for (setting, why) in &found {
        if let Some(setting) = setting {
            setting.faults.error(setting.key, format!("`{name}` writes nothing: {why}"));
        }
    }
    found.iter().any(|(setting, _)| setting.is_some())
}

/// What a tap writes to is decided by who runs the plan.
#[derive(Debug)]
struct Tap;

impl SinkPlan for Tap {
    fn describe(&self) -> String {
        "tap".to_owned()
    }

    fn sink(&self, _preamble: Vec<u8>) -> Box<dyn Sink> {
        Box::new(DropSink)
    }
}

/// Two sinks that write to one target would tear each other's lines.
pub(super) fn refuse_same_targets(plan: &Plan, file: &PipelineFile, faults: &Faults) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for sink in &plan.sinks {
        let Some(target) = sink.plan.target() else { continue };
        let node = &file.nodes[sink.node.0 as usize];
        if let Some(other) = seen.insert(target, &node.name) {
            let message = format!("{} writes to the same {} as `{other}`", node.what(), sink.plan.describe());
            faults.error(node.place, message).hint("let one sink read from both: `from: [a, b]`");
        }
    }
}
