//! Planning of windows: key, kind, aggregates, and what is computed of them behind the window.

mod aggregate;
mod options;
mod pane;
mod plugin;
mod signed;
mod trigger;

use super::Planning;
use crate::config::{Declaration, Section, Setting, StateTtl, read};
use crate::dataflow::{
    Binding, ComputePlan, KeyField, Lateness, MAIN, NodeId, NodePlanner, Origin, Point, Scope, StageId,
    is_hidden,
};
use crate::event::{Path, Slot};
use crate::expr::{Expr, Type};
use crate::transforms::FilterPlan;
use crate::windows::triggers::Trigger;
use crate::windows::{
    LATE, PaneOutput, RefusalPlan, WINDOWS, WindowKind, WindowPlan, WindowSpec, WindowStep,
};
use aggregate::{Output, PlannedCall, hidden, outputs};
use options::{Paning, carry, grid, panes};
use pane::{PANE, Told};
use trigger::Triggers;

const START: &str = "window_start";
const END: &str = "window_end";
const RETRACTED: &str = "retracted";

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
        let taken_back = self.taken_back(&declaration.from).map(str::to_owned);
        let mut planner = self.planner(id, Some(entry.clone()));
        planner.read_ttl(&section);
        let mut triggers = Triggers { planner: &planner, reads: Vec::new() };
        let panes = panes(&section, kind.map(|(_, kind)| kind), &mut triggers);
        let reads = triggers.reads;
        let closes = panes.as_ref().is_some_and(|panes| panes.trigger.closes());
        let has_late = closes || kind.is_some_and(|(_, kind)| kind.ends);
        let planned =
            plan_window(&mut planner, &section, kind, (panes, reads, has_late), (entry, taken_back));
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
            if !is_late_read && (is_ordered || has_late) {
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
    (panes, reads, has_late): (Option<Paning>, Vec<Setting<'_>>, bool),
    (entry, taken_back): (Point, Option<String>),
) -> Option<(Point, Option<Point>)> {
    let mut at = entry;
    let mut told = Told::new(panes.as_ref(), kind.is_some_and(|(_, spec)| spec.spec.name == "count"));
    let taken: &[&str] = if told.retracts { &[START, END, RETRACTED] } else { &[START, END] };
    let key = section.optional("key", |setting| planner.key_fields(&mut at, setting, taken));
    let mut key = if section.has("key") { key? } else { Vec::new() };
    at = planner.exchange(&at, &mut key);
    at = in_order(planner, section, at, &mut key, kind.is_none_or(|(_, spec)| spec.ends));
    let grid = grid(section, kind.map(|(_, spec)| spec));
    let kind_plan = kind.and_then(|(setting, spec)| (spec.plan)(planner, &mut at, setting, grid?));
    if let (Some(from), Some(kind_plan), Some((setting, _))) = (&taken_back, &kind_plan, kind) {
        signed::check(planner, &at, from, kind_plan, setting)?;
        told.follows = true;
    }
    let spec = kind.map(|(_, spec)| spec);
    let mut calls = Vec::new();
    let outputs = section
        .required("aggregate", |setting| outputs(planner, &mut at, setting, &key, &mut calls, &mut told));
    let having = having(planner, section, &mut told);
    let carry = carry(section, spec, &calls, panes.as_ref());
    let (kind_plan, outputs) = (kind_plan?, outputs?);
    let Paning { lateness, accumulation, .. } = *panes.as_ref()?;
    refuse(planner, &at, section, &kind_plan, (panes.as_ref()?, &calls))?;
    let fields = trigger::fields(planner, &mut at, &reads)?;
    let firing = panes.and_then(|panes| panes.plan(told.asked, fields));
    let stage = output_stage(planner, &at, &key, &calls, &told);
    let ttl = ttl(planner, &kind_plan);
    let slots: Vec<Slot> = (0..).map(Slot).take(key.len() + 2 * calls.len() + 6).collect();
    let written = calls.iter().map(|call| call.written.to_string()).collect();
    let fields = key.iter().map(|field| field.name.clone()).collect();
    let (key_slots, rest) = slots.split_at(key.len());
    let (call_slots, bounds) = rest.split_at(calls.len());
    let said = 2 + if told.asked { PANE.len() } else { 0 } + usize::from(told.retracts);
    let (aggregates, failed) = plugin::place_results(calls, call_slots, &bounds[said..]);
    let own = own_watermark(planner, &at, &key, &kind_plan);
    let plan = WindowPlan {
        kind: kind_plan,
        key: key.iter().map(|field| field.slot).collect(),
        own,
        aggregates,
        lateness,
        accumulation,
        firing,
        carry: carry?,
        ttl,
        output: pane_output(key_slots, bounds, &told),
        late: None,
    };
    let follows_lowest = plan.own.is_none() && planner.draft.reads_partitioned(at.stage);
    let late = (has_late && planner.is_listened("late")).then(|| late_stage(planner, &at));
    let late_start = late.as_ref().map(|(_, slot)| *slot);
    let names = key.iter().map(|field| field.written(&planner.draft.at(at.stage).slots)).collect();
    let results = outputs.iter().map(Output::written).collect();
    let step = WindowStep { plan, key: names, fields, calls: written, results, follows_lowest, late_start };
    let step = planner.attach(&at, Box::new(step));
    planner.draft.emit_to(step, MAIN, stage);
    if let Some((point, _)) = &late {
        planner.draft.emit_to(step, LATE, point.stage);
    }
    let output = behind(planner, (stage, failed), &key, &outputs, having?, &told)?;
    Some((output, late.map(|(point, _)| point)))
}

/// The point behind which events come in the order of event time, if that is asked; windows that end take late ones.
fn in_order(
    planner: &mut NodePlanner<'_>,
    section: &Section<'_>,
    at: Point,
    key: &mut [KeyField],
    ends: bool,
) -> Point {
    planner.ordered = section.optional("ordered", read::boolean);
    if planner.ordered != Some(true) {
        return at;
    }
    planner.order(&at, key, if ends { Lateness::GoesOn } else { Lateness::Leaves })
}

/// Where the watermark stands that windows of this key follow, if not that of all.
fn own_watermark(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    key: &[KeyField],
    kind: &WindowKind,
) -> Option<Slot> {
    let key: Vec<Slot> = key.iter().map(|field| field.slot).collect();
    kind.follows_partitions().then(|| planner.draft.own_watermark(at.stage, &key))?
}

/// Where things stand in the stage of panes.
fn pane_output(key: &[Slot], bounds: &[Slot], told: &Told) -> PaneOutput {
    let asked = |place: usize| told.asked.then_some(bounds[place]);
    PaneOutput {
        key: key.iter().copied().map(Some).collect(),
        window_start: Some(bounds[0]),
        window_end: Some(bounds[1]),
        index: asked(2),
        timing: asked(3),
        last: asked(4),
        retracted: told.retracts.then_some(if told.asked { bounds[5] } else { bounds[2] }),
    }
}

/// The stage of panes: key fields, results of calls (hidden), bounds, what was asked of panes (hidden), `retracted`.
fn output_stage(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    key: &[KeyField],
    calls: &[PlannedCall],
    told: &Told,
) -> StageId {
    let keys = key.iter().map(|field| (field.name.clone(), field.ty));
    let results = calls.iter().map(|call| (hidden(&call.written), call.ty));
    let bounds = [(START.to_owned(), Type::INT), (END.to_owned(), Type::INT)];
    let pane = PANE.iter().filter(|_| told.asked).map(|(_, field, ty)| ((*field).to_owned(), *ty));
    let retracted = told.retracts.then(|| (RETRACTED.to_owned(), Type::BOOL));
    let own = calls.iter().filter(|call| call.own.is_some());
    let failed = own.map(|call| (format!("{} failed", hidden(&call.written)), Type::TEXT));
    let all = keys.chain(results).chain(bounds).chain(pane).chain(retracted).chain(failed).enumerate();
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
    (stage, failed): (StageId, Vec<Slot>),
    key: &[KeyField],
    outputs: &[Output<'_>],
    having: Option<(Setting<'_>, Expr)>,
    told: &Told,
) -> Option<Point> {
    let mut at = Point { stage, behind: None, scope: Scope::origin() };
    let own = Scope::origin();
    let mut scope = Scope::default();
    for key in key {
        let found = planner.draft.resolve(stage, &own, &Path::field(&key.name)).ok()?;
        scope = scope.with(&key.name, Binding::Slot(found.slot, found.ty));
    }
    if !failed.is_empty() {
        at.scope = scope.clone();
        for bound in [START, END] {
            let found = planner.draft.resolve(stage, &own, &Path::field(bound)).ok()?;
            at.scope = at.scope.with(bound, Binding::Slot(found.slot, found.ty));
        }
        let step = planner.attach(&at, Box::new(RefusalPlan { failed }));
        at = Point { stage, behind: Some((step, MAIN)), scope: Scope::origin() };
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
    let retracted = told.retracts.then_some(RETRACTED);
    for bound in [START, END].into_iter().chain(retracted) {
        let found = planner.draft.resolve(stage, &own, &Path::field(bound)).ok()?;
        scope = scope.with(bound, Binding::Slot(found.slot, found.ty));
    }
    let shown = scope.clone();
    for (_, field, _) in PANE.iter().filter(|_| told.asked && having.is_some()) {
        let found = planner.draft.resolve(stage, &own, &Path::field(*field)).ok()?;
        scope = scope.with(*field, Binding::Slot(found.slot, found.ty));
    }
    at.scope = scope;
    if !computed.is_empty() {
        let step = planner.attach(&at, Box::new(ComputePlan { fields: computed, verb: "compute" }));
        at.behind = Some((step, MAIN));
    }
    if let Some((setting, expr)) = having {
        let program = planner.condition_of(&at, setting, &expr)?;
        let text = setting.node.scalar().unwrap_or_default().trim().to_owned();
        let step = planner.attach(&at, Box::new(FilterPlan { program, text }));
        at.behind = Some((step, MAIN));
    }
    at.scope = shown;
    Some(at)
}

/// Reads `having`; None if it was faulty.
fn having<'a>(
    planner: &NodePlanner<'_>,
    section: &Section<'a>,
    told: &mut Told,
) -> Option<Option<(Setting<'a>, Expr)>> {
    let Some(setting) = section.get("having") else { return Some(None) };
    let mut expr = planner.parse(setting)?;
    told.replace_all(planner, setting, &mut expr);
    Some(Some((setting, expr)))
}

/// How long keys without events are remembered: only windows over numbers of events do not end by themselves.
fn ttl(planner: &mut NodePlanner<'_>, kind: &WindowKind) -> StateTtl {
    let counts = matches!(kind, WindowKind::Count { .. });
    if counts { planner.state_ttl() } else { StateTtl::default() }
}

/// Refuses what cannot merge where it must, and a window without an end that gives nothing before that of the input.
fn refuse(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    section: &Section<'_>,
    kind: &WindowKind,
    (panes, calls): (&Paning, &[PlannedCall]),
) -> Option<()> {
    plugin::check_merging(section, kind, panes, calls)?;
    let is_endless = matches!(kind, WindowKind::Global) && panes.trigger == Trigger::Watermark;
    if is_endless && planner.draft.at(at.stage).live {
        let message = "a `global` window over live input never fires without a trigger";
        section
            .faults()
            .error(section.get("global").map_or(section.place(), |setting| setting.key), message)
            .hint("write `trigger: { count: 100 }`, say, or use `tumbling` or `session`");
        return None;
    }
    Some(())
}
