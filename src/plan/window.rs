//! Planning of windows: key, kind, aggregates, and what is computed of them behind the window.

use super::Planning;
use crate::config::{Declaration, Place, Section, Setting, read};
use crate::dataflow::{
    Binding, ComputePlan, KeyField, Lateness, MAIN, NodeId, NodePlanner, Origin, Point, Scope, StageId,
    is_hidden,
};
use crate::event::{Path, Slot, nearest};
use crate::expr::{self, Expr, Literal, Type};
use crate::time::Millis;
use crate::transforms::FilterPlan;
use crate::windows::aggregates::{self, AggregateSpec, Call, ResultType, Takes};
use crate::windows::{
    Accumulation, Aggregate, Grid, LATE, LATER, PaneOutput, WINDOWS, WindowPlan, WindowSpec, WindowStep,
};
use jiff::tz::TimeZone;

const START: &str = "window_start";
const END: &str = "window_end";

/// An aggregate as written: its name outside and the expression, in which calls of aggregates were replaced by
/// references to hidden fields of the window's output.
struct Output<'a> {
    name: String,
    expr: Expr,
    setting: Setting<'a>,
}

impl Output<'_> {
    /// The name and the expression as written.
    fn written(&self) -> (String, String) {
        (self.name.clone(), self.setting.node.scalar().unwrap_or_default().trim().to_owned())
    }
}

impl Planning<'_> {
    /// Plans a window.
    pub(super) fn window(&mut self, id: NodeId, declaration: &Declaration) {
        let names: Vec<&'static str> = WINDOWS.iter().map(|window| window.spec.name).collect();
        let section = declaration.open(names.iter().copied(), LATER, self.faults);
        let setting = section.exactly_one(&names, "window kind");
        let kind = setting.and_then(|s| WINDOWS.iter().find(|w| w.spec.name == s.name).map(|w| (s, w)));
        if let Some((_, kind)) = kind {
            self.plan.nodes[id.0 as usize].kind = kind.spec.name.to_owned();
        }
        let Some(entry) = self.entry(id, &declaration.from) else { return };
        let mut planner = self.planner(id, Some(entry.clone()));
        let planned = plan_window(&mut planner, &section, kind, entry);
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
    let (lateness, accumulation) = panes(section, spec)?;
    let mut calls = Vec::new();
    let outputs =
        section.required("aggregate", |setting| outputs(planner, &mut at, setting, &key, &mut calls));
    let (kind_plan, outputs) = (kind_plan?, outputs?);
    let stage = output_stage(planner, &at, &key, &calls);
    let slots: Vec<Slot> = (0..).map(Slot).take(key.len() + calls.len() + 2).collect();
    let (key_slots, rest) = slots.split_at(key.len());
    let (call_slots, bounds) = rest.split_at(calls.len());
    let plan = WindowPlan {
        kind: kind_plan,
        key: key.iter().map(|field| field.slot).collect(),
        aggregates: calls
            .into_iter()
            .zip(call_slots)
            .map(|(call, into)| Aggregate {
                spec: call.spec,
                call: call.call,
                filter: call.filter,
                into: *into,
            })
            .collect(),
        lateness,
        accumulation,
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
    let step = planner.attach(&at, Box::new(WindowStep { plan, key: names, results, late_start }));
    planner.draft.emit_to(step, MAIN, stage);
    if let Some((point, _)) = &late {
        planner.draft.emit_to(step, LATE, point.stage);
    }
    let output = behind(planner, section, stage, &key, &outputs)?;
    Some((output, late.map(|(point, _)| point)))
}

/// Reads `offset` and `timezone`, which only windows that are cut can have.
fn grid(section: &Section<'_>, spec: Option<&WindowSpec>) -> Option<Grid> {
    let cut = spec.is_none_or(|spec| spec.cut);
    for key in ["offset", "timezone"] {
        if let (false, Some(setting), Some(spec)) = (cut, section.get(key), spec) {
            let message = format!("`{key}` means nothing for `{}` windows", spec.spec.name);
            section.faults().error(setting.key, message);
        }
    }
    let offset = section.or("offset", Millis::ZERO, read::duration);
    let Some(setting) = section.get("timezone") else { return Some(Grid { offset, zone: None }) };
    let name = read::text(setting)?;
    match TimeZone::get(name) {
        Ok(zone) => Some(Grid { offset, zone: Some(zone) }),
        Err(_) => {
            let names: Vec<String> =
                jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
            let reported = setting.error(format!("there is no time zone `{name}`"));
            match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => reported.hint(format!("did you mean `{near}`?")),
                None => reported.hint("a zone is named like `Europe/Berlin`"),
            }
            None
        }
    }
}

/// Reads `allowed_lateness`, `trigger` and `accumulation`, which must be written where a window can fire twice.
fn panes(section: &Section<'_>, spec: Option<&WindowSpec>) -> Option<(Millis, Accumulation)> {
    let lateness = section.or("allowed_lateness", Millis::ZERO, read::duration);
    if let (Some(setting), Some(spec)) = (section.get("allowed_lateness"), spec.filter(|spec| !spec.ends)) {
        let message = format!(
            "`allowed_lateness` means nothing for `{}` windows: they take every event",
            spec.spec.name
        );
        section.faults().error(setting.key, message);
    }
    let words = [("discarding", Accumulation::Discarding), ("accumulating", Accumulation::Accumulating)];
    let accumulation = section.optional("accumulation", read::word(&words, &["retracting"]));
    section.optional("trigger", |setting| {
        if setting.node.scalar() != Some("watermark") {
            setting.error("a trigger other than `watermark` is not in this version");
        }
        Some(())
    });
    if lateness > Millis::ZERO && !section.has("accumulation") {
        let reported = section.error(format!(
            "{} needs `accumulation`: with `allowed_lateness` it can fire more than once",
            section.what()
        ));
        reported.hint("`discarding` gives what came since the last pane, `accumulating` all so far");
        return None;
    }
    if section.has("accumulation") && accumulation.is_none() {
        return None;
    }
    Some((lateness, accumulation.unwrap_or_default()))
}

/// A call of an aggregate, resolved.
struct PlannedCall {
    written: Expr,
    spec: &'static AggregateSpec,
    call: Call,
    filter: Option<Slot>,
    ty: Type,
}

/// Reads `aggregate`: expressions over calls of aggregates.
fn outputs<'a>(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'a>,
    key: &[KeyField],
    calls: &mut Vec<PlannedCall>,
) -> Option<Vec<Output<'a>>> {
    let entries = setting.entries()?;
    if entries.is_empty() {
        setting.error("`aggregate` has no fields").hint("write `name: sum(field)` lines below it");
        return None;
    }
    let mut outputs = Vec::new();
    let mut good = true;
    for entry in entries {
        good &= planner.is_name(entry);
        if key.iter().any(|field| field.name == entry.name) || [START, END].contains(&entry.name) {
            planner
                .faults
                .error(entry.key, format!("the window's output has another field `{}`", entry.name));
            good = false;
        }
        match planner.parse(entry).and_then(|expr| extract(planner, at, entry, expr, calls)) {
            Some(expr) => outputs.push(Output { name: planner.field_name(entry), expr, setting: entry }),
            None => good = false,
        }
    }
    good.then_some(outputs)
}

/// Takes the calls of aggregates out of an expression and leaves references to their results.
fn extract(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'_>,
    mut expr: Expr,
    calls: &mut Vec<PlannedCall>,
) -> Option<Expr> {
    let mut good = true;
    let before = calls.len();
    let mut used = 0;
    expr.map(&mut |part| {
        let spec = aggregates::find(&part.as_call()?.name)?;
        used += 1;
        let position = match calls.iter().position(|call| call.written == *part) {
            Some(position) => position,
            None => match plan_call(planner, at, setting, part, spec) {
                Some(call) => {
                    calls.push(call);
                    calls.len() - 1
                }
                None => {
                    good = false;
                    return Some(Expr::literal(Literal::Null));
                }
            },
        };
        Some(Expr::field(Path::field(hidden(&calls[position].written))))
    });
    if good && used == 0 && calls.len() == before {
        report_no_aggregate(planner, setting, &expr);
        return None;
    }
    good.then_some(expr)
}

/// The field that holds the result of a call, named so that messages make sense.
fn hidden(call: &Expr) -> String {
    format!("({call})")
}

fn report_no_aggregate(planner: &NodePlanner<'_>, setting: Setting<'_>, expr: &Expr) {
    if let Some(call) = expr.as_call()
        && (aggregates::LATER.contains(&call.name.as_str())
            || expr::functions::LATER.contains(&call.name.as_str()))
    {
        planner.faults.later(place(setting, expr), &call.name);
        return;
    }
    if let Some(call) = expr.as_call()
        && planner.functions.get(&call.name).is_none()
    {
        let names = aggregates::ALL.iter().map(|spec| spec.name);
        let message = format!("unknown aggregate `{}`", call.name);
        planner.faults.unknown(place(setting, expr), message, &call.name, names);
        return;
    }
    setting
        .error(format!("`{}` aggregates nothing", setting.name))
        .hint("call an aggregate: `last(x)`; a field that all events share belongs to `key`");
}

fn plan_call(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'_>,
    part: &Expr,
    spec: &'static AggregateSpec,
) -> Option<PlannedCall> {
    let call = part.as_call()?;
    let fault = |message: String| {
        planner
            .faults
            .error(place(setting, part), message)
            .hint(format!("it is called {}", spec.signature()));
    };
    if call.over.is_some() {
        let reported =
            planner.faults.error(place(setting, part), format!("`{}` in a window takes no OVER", spec.name));
        reported.hint(
            "what is about a key's earlier events is computed by `set` in a transform before the window",
        );
        return None;
    }
    let spec = match (call.distinct, spec.distinct) {
        (false, _) => spec,
        (true, Some(distinct)) => distinct,
        (true, None) => {
            fault(format!("`{}` takes no DISTINCT", spec.name));
            return None;
        }
    };
    if call.star != (call.args.is_empty() && spec.star) && (call.star || call.args.is_empty()) {
        fault(format!("wrong arguments for `{}`", spec.name));
        return None;
    }
    if !call.star && call.args.len() != spec.arguments.len() {
        fault(format!("`{}` takes {}, found {}", spec.name, count(spec.arguments.len()), call.args.len()));
        return None;
    }
    let mut planned = Call::default();
    let mut ty = Type::INT;
    for (argument, takes) in call.args.iter().zip(spec.arguments) {
        match takes.takes {
            Takes::Constant { from, to } => {
                let constant = constant(argument, planner).filter(|c| (from..=to).contains(c));
                let Some(constant) = constant else {
                    fault(format!("`{}` of `{}` is a constant from {from} to {to}", takes.name, spec.name));
                    return None;
                };
                planned.constants.push(constant);
            }
            kind => {
                let found = planner.type_of(at, setting, argument)?;
                if !fits(kind, found) {
                    fault(format!("`{}` cannot take {}", spec.name, found.noun()));
                    return None;
                }
                ty = found;
                planned.slots.push(planner.slot_of(at, setting, argument, "aggregate")?);
            }
        }
    }
    let filter = match &call.filter {
        Some(filter) => Some(plan_filter(planner, at, setting, filter)?),
        None => None,
    };
    let ty = match spec.result {
        ResultType::Integer => Type::INT,
        ResultType::Float => Type::FLOAT,
        ResultType::List => Type::JSON,
        ResultType::Argument => ty,
    };
    Some(PlannedCall { written: part.clone(), spec, call: planned, filter, ty })
}

/// The slot of a `FILTER`'s condition.
fn plan_filter(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'_>,
    filter: &Expr,
) -> Option<Slot> {
    let found = planner.type_of(at, setting, filter)?;
    if !found.meets(Type::BOOL) {
        let message = format!("the condition is {}, not true or false", found.noun());
        planner.faults.error(place(setting, filter), message);
        return None;
    }
    if found.within(Type::BOOL) {
        return planner.slot_of(at, setting, filter, "filter");
    }
    // What is neither true nor false rejects the event, as a condition does anywhere else.
    let truth = Expr::literal(Literal::Bool(true));
    let condition = Expr::new(expr::Node::And(vec![filter.clone(), truth]), filter.span.clone());
    planner.slot_of(at, setting, &condition, "filter")
}

/// Where a part of an expression stands in the file.
fn place(setting: Setting<'_>, part: &Expr) -> Place {
    match read::expression(setting) {
        Some(snippet) => snippet.place(part.span.clone()),
        None => setting.place(),
    }
}

fn count(arguments: usize) -> String {
    if arguments == 1 { "1 argument".to_owned() } else { format!("{arguments} arguments") }
}

/// A number that is known at plan time.
fn constant(expr: &Expr, planner: &NodePlanner<'_>) -> Option<f64> {
    match &expr.node {
        expr::Node::Literal(Literal::Int(n)) => Some(*n as f64),
        expr::Node::Literal(Literal::Float(x)) => Some(*x),
        expr::Node::Call(call) if call.name == "param" => {
            match planner.params.get(call.args.first()?.as_text()?)? {
                Literal::Int(n) => Some(*n as f64),
                Literal::Float(x) => Some(*x),
                _ => None,
            }
        }
        _ => None,
    }
}

fn fits(takes: Takes, ty: Type) -> bool {
    let allowed = match takes {
        Takes::Numbers => Type::NUMBER,
        Takes::Ordered => Type::NUMBER.or(Type::TEXT).or(Type::TIMESTAMP).or(Type::BOOL),
        Takes::Any | Takes::Constant { .. } => Type::ANY,
    };
    ty.meets(allowed)
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
