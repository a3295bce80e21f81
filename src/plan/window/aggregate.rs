//! `aggregate`: expressions over calls of aggregates.

use super::pane::Told;
use super::{plugin, signed};
use crate::config::{Place, Setting, read};
use crate::dataflow::plugin::RegisterKind;
use crate::dataflow::{KeyField, NodePlanner, Point};
use crate::event::{Path, Slot};
use crate::expr::{self, Expr, Literal, Type};
use crate::windows::Aggregate;
use crate::windows::aggregates::{self, AggregateSpec, Call, CustomAggregate, ResultType, Takes};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// An aggregate as written: its name outside and the expression, in which calls of aggregates were replaced by
/// references to hidden fields of the window's output.
pub struct Output<'a> {
    /// Its name.
    pub name: String,
    /// What is computed.
    pub expr: Expr,
    /// Where it stands.
    pub setting: Setting<'a>,
}

impl Output<'_> {
    /// The name and the expression as written.
    pub fn written(&self) -> (String, String) {
        (self.name.clone(), self.setting.node.scalar().unwrap_or_default().trim().to_owned())
    }
}

/// A call of an aggregate, resolved.
pub struct PlannedCall {
    /// As it stands in the file.
    pub written: Expr,
    /// What is called.
    pub spec: &'static AggregateSpec,
    /// The plugin's aggregate, if it is one.
    pub own: Option<Arc<dyn CustomAggregate>>,
    /// With what.
    pub call: Call,
    /// Where its condition stands.
    pub filter: Option<Slot>,
    /// What it gives.
    pub ty: Type,
}

impl PlannedCall {
    /// The call with the slot of its result.
    pub fn into(self, into: Slot) -> Aggregate {
        Aggregate { spec: self.spec, call: self.call, filter: self.filter, into }
    }
}

/// Reads `aggregate`: expressions over calls of aggregates.
pub fn outputs<'a>(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'a>,
    key: &[KeyField],
    calls: &mut Vec<PlannedCall>,
    told: &mut Told,
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
        if key.iter().any(|field| field.name == entry.name) || told.has_field(entry.name) {
            planner
                .faults
                .error(entry.key, format!("the window's output has a field `{}` already", entry.name));
            good = false;
        }
        let parsed = planner.parse(entry).and_then(|mut expr| {
            let good = !told.follows || signed::follow(planner, entry, &mut expr);
            good.then_some(expr)
        });
        match parsed.and_then(|expr| extract(planner, at, entry, expr, calls, told)) {
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
    told: &mut Told,
) -> Option<Expr> {
    let mut good = true;
    let before = calls.len();
    let mut used = 0;
    expr.map(&mut |part| {
        if let Some(said) = told.replace(planner, setting, part) {
            used += 1;
            return Some(said);
        }
        let spec = aggregates::find(&part.as_call()?.name);
        let own = plugin::aggregate(planner, part);
        if spec.is_none() && own.is_none() {
            return None;
        }
        used += 1;
        let position = match calls.iter().position(|call| call.written == *part) {
            Some(position) => position,
            None => match plan_either(planner, at, setting, part, (spec, own)) {
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
pub fn hidden(call: &Expr) -> String {
    format!("({call})")
}

fn report_no_aggregate(planner: &NodePlanner<'_>, setting: Setting<'_>, expr: &Expr) {
    if let Some(call) = expr.as_call()
        && expr::functions::LATER.contains(&call.name.as_str())
    {
        planner.faults.later(place(setting, expr), &call.name);
        return;
    }
    if let Some(call) = expr.as_call()
        && planner.functions.get(&call.name).is_none()
    {
        let own = planner.plugins.names(RegisterKind::Aggregate);
        let names = aggregates::ALL.iter().map(|spec| spec.name).chain(own);
        let message = format!("unknown aggregate `{}`", call.name);
        planner.faults.unknown(place(setting, expr), message, &call.name, names);
        return;
    }
    setting
        .error(format!("`{}` aggregates nothing", setting.name))
        .hint("call an aggregate: `last(x)`; a field that all events share belongs to `key`");
}

fn plan_either(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'_>,
    part: &Expr,
    (spec, own): (Option<&'static AggregateSpec>, Option<Arc<dyn CustomAggregate>>),
) -> Option<PlannedCall> {
    match own {
        Some(own) => plugin::plan_call(planner, at, setting, part, own),
        None => plan_call(planner, at, setting, part, spec?),
    }
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
        let found = if call.star { "`*`" } else { "nothing" };
        fault(format!("`{}` cannot take {found}", spec.name));
        return None;
    }
    let needed = spec.arguments.iter().filter(|argument| !argument.optional).count();
    if !call.star && !(needed..=spec.arguments.len()).contains(&call.args.len()) {
        let takes = count(needed, spec.arguments.len());
        fault(format!("`{}` takes {takes}, found {}", spec.name, call.args.len()));
        return None;
    }
    let (planned, ty) = plan_arguments(planner, at, setting, part, spec)?;
    let filter = match &call.filter {
        Some(filter) => Some(plan_filter(planner, at, setting, filter)?),
        None => None,
    };
    let ty = match spec.result {
        ResultType::Integer => Type::INT,
        ResultType::Float => Type::FLOAT,
        ResultType::List => Type::JSON,
        ResultType::Any => Type::ANY,
        ResultType::Number => Type::NUMBER,
        ResultType::Argument => ty,
    };
    Some(PlannedCall { written: part.clone(), spec, own: None, call: planned, filter, ty })
}

/// The arguments of a call, and the type of the first one.
fn plan_arguments(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'_>,
    part: &Expr,
    spec: &'static AggregateSpec,
) -> Option<(Call, Type)> {
    let mut planned = Call::default();
    let mut first = None;
    for (expr, argument) in part.as_call()?.args.iter().zip(spec.arguments) {
        let name = argument.name;
        let wrong = match limits(argument.takes) {
            Some((range, whole)) => match constant(expr, planner) {
                Some(c) if range.contains(&c) && !(whole && c.fract() != 0.0) => {
                    planned.constants.push(c);
                    continue;
                }
                _ => {
                    let (from, to) = (range.start(), range.end());
                    let noun = if whole { "whole number known beforehand," } else { "constant" };
                    format!("`{name}` of `{}` is a {noun} from {from:.0} to {to:.0}", spec.name)
                }
            },
            None => {
                let found = planner.type_of(at, setting, expr)?;
                if fits(argument.takes, found) {
                    first.get_or_insert(found);
                    planned.slots.push(planner.slot_of(at, setting, expr, "aggregate")?);
                    continue;
                }
                format!("`{}` cannot take {}", spec.name, found.noun())
            }
        };
        planner.faults.error(place(setting, part), wrong).hint(format!("it is called {}", spec.signature()));
        return None;
    }
    Some((planned, first.unwrap_or(Type::INT)))
}

/// Between what limits a constant may be, and whether it must be whole; None for expressions.
fn limits(takes: Takes) -> Option<(RangeInclusive<f64>, bool)> {
    match takes {
        Takes::Constant { from, to } => Some((from..=to, false)),
        Takes::Whole { from, to } => Some((f64::from(from)..=f64::from(to), true)),
        Takes::Any | Takes::Numbers | Takes::Ordered | Takes::Booleans => None,
    }
}

/// The slot of a `FILTER`'s condition.
pub fn plan_filter(
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
pub fn place(setting: Setting<'_>, part: &Expr) -> Place {
    match read::expression(setting) {
        Some(snippet) => snippet.place(part.span.clone()),
        None => setting.place(),
    }
}

fn count(least: usize, most: usize) -> String {
    match (least, most) {
        (1, 1) => "1 argument".to_owned(),
        (least, most) if least == most => format!("{most} arguments"),
        (least, most) => format!("{least} or {most} arguments"),
    }
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
        Takes::Booleans => Type::BOOL,
        Takes::Any | Takes::Constant { .. } | Takes::Whole { .. } => Type::ANY,
    };
    ty.meets(allowed)
}
