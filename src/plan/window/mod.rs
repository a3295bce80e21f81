//! Planning of windows: key, kind, aggregates, and what is computed of them behind the window.

mod aggregate;
mod options;

use super::Planning;
use crate::config::{Declaration, Section, Setting, StateTtl, read};
use crate::dataflow::{
    Binding, ComputePlan, KeyField, Lateness, MAIN, NodeId, NodePlanner, Origin, Point, Scope, StageId,
    is_hidden,
};
use crate::event::{Path, Slot};
use crate::expr::Type;
use crate::transforms::FilterPlan;
use crate::windows::{LATE, PaneOutput, WINDOWS, WindowKind, WindowPlan, WindowSpec, WindowStep};
use aggregate::{Output, PlannedCall, hidden, outputs};
use options::{carry, grid, panes};

const START: &str = "window_start";
const END: &str = "window_end";

impl Planning<'_> {
    /// Plans a window.
    pub(super) fn window(&mut self, id: NodeId, declaration: &Declaration) {
        let names: Vec<&'static str> = WINDOWS.iter().map(|window| window.spec.name).collect();
        let section = declaration.open(names.iter().copied(), &[], self.faults);
        let setting = section.exactly_one(&names, "window kind");
        let kind = setting.and_then(|s| WINDOWS.iter().find(|w| w.spec.name == s.name).map(|w| (s, w)));
        if let Some((_, kind)) = kind {
            self.plan.nodes[id.0 as usize].kind = kind.spec.name.to_owned();
        }
        let Some(entry) = self.entry(id, &declaration.from) else { return };
        let mut planner = self.planner(id, Some(entry.clone()));
        planner.read_ttl(&section);
        let planned = plan_window(&mut planner, &section, kind, entry);
        if planned.is_some() {
            planner.judge_ttl(&section);
        }
        let (is_ordered, ordered_late) = (planner.is_ordered, planner.late.take());
        if let Some((output, late)) = planned {
            let late = late.or(ordered_late);
            let mut ports = vec![(String::new(), output)];
            let is_late_read = late.is_some();
            ports.extend(late.map(|late| ("late".to_owned(), late)));
            self.leave(id, ports);
            if !is_late_read && (is_ordered || kind.is_some_and(|(_, kind)| kind.ends)) {
                self.note_port(id, "late", None);
            }
        }
    }
}

/// The points behind the main port and, if it is read or could be, the late port.
fn plan_window(
    planner: &mut NodePlanner<'_>,
    section: &Section<'_>,
    kind: Option<(Setting<'_>, &'static WindowSpec)>,
    entry: Point,
) -> Option<(Point, Option<Point>)> {
    let mut at = entry;
    let key = section.optional("key", |setting| planner.key_fields(&mut at, setting, &[START, END]));
    let mut key = if section.has("key") { key? } else { Vec::new() };
    at = planner.exchange(&at, &mut key);
    planner.ordered = section.optional("ordered", read::boolean);
    if planner.ordered == Some(true) {
        let ends = kind.is_none_or(|(_, spec)| spec.ends);
        let lateness = if ends { Lateness::GoesOn } else { Lateness::Leaves };
        at = planner.order(&at, &mut key, lateness);
    }
    let grid = grid(section, kind.map(|(_, spec)| spec));
    let kind_plan = kind.and_then(|(setting, spec)| (spec.plan)(planner, &mut at, setting, grid?));
    let spec = kind.map(|(_, spec)| spec);
    let panes = panes(section, spec);
    let mut calls = Vec::new();
    let outputs =
        section.required("aggregate", |setting| outputs(planner, &mut at, setting, &key, &mut calls));
    let carry = carry(section, spec, &calls, panes);
    let (kind_plan, outputs) = (kind_plan?, outputs?);
    let (lateness, accumulation) = panes?;
    let stage = output_stage(planner, &at, &key, &calls);
    let counts = matches!(kind_plan, WindowKind::Count { .. });
    let ttl = if counts { planner.state_ttl() } else { StateTtl::default() };
    let slots: Vec<Slot> = (0..).map(Slot).take(key.len() + calls.len() + 2).collect();
    let written = calls.iter().map(|call| call.written.to_string()).collect();
    let fields = key.iter().map(|field| field.name.clone()).collect();
    let (key_slots, rest) = slots.split_at(key.len());
    let (call_slots, bounds) = rest.split_at(calls.len());
    let plan = WindowPlan {
        kind: kind_plan,
        key: key.iter().map(|field| field.slot).collect(),
        aggregates: calls.into_iter().zip(call_slots).map(|(call, into)| call.into(*into)).collect(),
        lateness,
        accumulation,
        carry: carry?,
        ttl,
        output: PaneOutput {
            key: key_slots.iter().copied().map(Some).collect(),
            window_start: Some(bounds[0]),
            window_end: Some(bounds[1]),
        },
        late: None,
    };
    let ends = spec.is_some_and(|spec| spec.ends);
    let late = (ends && planner.is_listened("late")).then(|| late_stage(planner, &at));
    let late_start = late.as_ref().map(|(_, slot)| *slot);
    let names = key.iter().map(|field| field.written(&planner.draft.at(at.stage).slots)).collect();
    let results = outputs.iter().map(Output::written).collect();
    let step = planner
        .attach(&at, Box::new(WindowStep { plan, key: names, fields, calls: written, results, late_start }));
    planner.draft.emit_to(step, MAIN, stage);
    if let Some((point, _)) = &late {
        planner.draft.emit_to(step, LATE, point.stage);
    }
    let output = behind(planner, section, stage, &key, &outputs)?;
    Some((output, late.map(|(point, _)| point)))
}

/// The stage of panes: key fields, results of calls (hidden), bounds.
fn output_stage(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    key: &[KeyField],
    calls: &[PlannedCall],
) -> StageId {
    let keys = key.iter().map(|field| (field.name.clone(), field.ty));
    let results = calls.iter().map(|call| (hidden(&call.written), call.ty));
    let bounds = [(START.to_owned(), Type::INT), (END.to_owned(), Type::INT)];
    let all = keys.chain(results).chain(bounds).enumerate();
    let fields = all.map(|(i, (name, ty))| (name, Slot(i as u16), ty)).collect();
    let live = planner.draft.at(at.stage).live;
    let stage = planner.draft.stage(Origin::Made { fields, whole: false });
    planner.draft.at(stage).live = live;
    stage
}

/// The stage of late events: the event as it came in, and the start of the window that no longer takes it.
fn late_stage(planner: &mut NodePlanner<'_>, at: &Point) -> (Point, Slot) {
    let stage = planner.draft.stage(Origin::Copied(vec![at.clone()]));
    let slot = planner.draft.slot(stage, START, Type::INT);
    let scope = Scope::origin().with(START, Binding::Slot(slot, Type::INT));
    (Point { stage, behind: None, scope }, slot)
}

/// What follows the window in the same node: arithmetic over aggregates, then `having`.
fn behind(
    planner: &mut NodePlanner<'_>,
    section: &Section<'_>,
    stage: StageId,
    key: &[KeyField],
    outputs: &[Output<'_>],
) -> Option<Point> {
    let mut at = Point { stage, behind: None, scope: Scope::origin() };
    let own = Scope::origin();
    let mut scope = Scope::default();
    for key in key {
        let found = planner.draft.resolve(stage, &own, &Path::field(&key.name)).ok()?;
        scope = scope.with(&key.name, Binding::Slot(found.slot, found.ty));
    }
    let mut computed = Vec::new();
    for output in outputs {
        let slot = match output.expr.as_path().filter(|path| is_hidden(path.root())) {
            Some(path) => planner.draft.resolve(stage, &own, path).ok().map(|found| (found.slot, found.ty)),
            None => {
                let program = planner.compile(&at, output.setting, &output.expr)?;
                let ty = program.ty();
                let slot = planner.draft.slot(stage, output.name.clone(), ty);
                computed.push((output.name.clone(), slot, program));
                Some((slot, ty))
            }
        };
        let (slot, ty) = slot?;
        scope = scope.with(&output.name, Binding::Slot(slot, ty));
    }
    for bound in [START, END] {
        let found = planner.draft.resolve(stage, &own, &Path::field(bound)).ok()?;
        scope = scope.with(bound, Binding::Slot(found.slot, found.ty));
    }
    at.scope = scope;
    if !computed.is_empty() {
        let step = planner.attach(&at, Box::new(ComputePlan { fields: computed, verb: "compute" }));
        at.behind = Some((step, MAIN));
    }
    if let Some(setting) = section.get("having") {
        let program = planner.condition(&at, setting)?;
        let text = setting.node.scalar().unwrap_or_default().trim().to_owned();
        let step = planner.attach(&at, Box::new(FilterPlan { program, text }));
        at.behind = Some((step, MAIN));
    }
    Some(at)
}
