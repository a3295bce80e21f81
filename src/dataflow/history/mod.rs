//! Keyed history in expressions: `previous(x) OVER (PARTITION BY device)` and its like.
//!
//! A program over a batch knows one event. So each call is computed by a step before, which keeps something for each
//! key, and the expression reads the result from a hidden field. Before the step rows move to the worker that owns their
//! key, and are put in order of event time unless the node says `ordered: false`.

mod state;
mod step;

use super::KeyField;
use super::operator::MAIN;
use super::order::Lateness;
use super::planning::{NodePlanner, report};
use super::scope::{Binding, Point};
use crate::config::{Node, Setting, read};
use crate::event::Path;
use crate::expr::functions::{Body, FunctionSpec, History, Returns};
use crate::expr::{self, Call, Expr, ExprFault, Literal, Node as ExprNode, Type};
use step::{HistoryCall, HistoryPlan};

/// Events that `previous` and `running_avg` can look back at most.
const MOST_BACK: i64 = 10_000;

/// A call, and the setting that it stands in.
struct Written<'a> {
    setting: Setting<'a>,
    expr: Expr,
}

/// How rows of a node were gathered for its history.
pub struct Gathered {
    over: Vec<Expr>,
    /// Behind it, where the key stands in slots of the stage.
    at: Point,
    key: Vec<KeyField>,
}

/// Whether an expression somewhere in a part of the file calls keyed history.
pub fn calls_history(node: &Node) -> bool {
    let inside = node.entries().into_iter().flatten().any(|entry| calls_history(&entry.value));
    let listed = node.items().into_iter().flatten().any(calls_history);
    let here = || node.scalar().and_then(|text| expr::parse(text).ok()).is_some_and(|expr| has_call(&expr));
    inside || listed || here()
}

fn has_call(expr: &Expr) -> bool {
    history_of(expr).is_some() || expr.children().into_iter().any(has_call)
}

/// The call, if the expression is one of keyed history with a key of its own.
fn history_of(expr: &Expr) -> Option<(&Call, &'static FunctionSpec, History)> {
    let call = expr.as_call().filter(|call| call.over.is_some())?;
    let spec = expr::functions::HISTORY.iter().find(|spec| spec.name == call.name)?;
    if let Body::History(history) = spec.body { Some((call, spec, history)) } else { None }
}

impl NodePlanner<'_> {
    /// Attaches steps that compute the calls of keyed history in these expressions, which stand in one operator, and
    /// leaves references to their results. Returns whether all is well; otherwise nulls stand in place of the faulty ones,
    /// so that further faults are found.
    pub fn history(&mut self, at: &mut Point, exprs: &mut [(Setting<'_>, &mut Expr)]) -> bool {
        let mut good = true;
        loop {
            let calls = next_group(exprs);
            let Some(first) = calls.first() else { return good };
            let over = history_of(&first.expr).and_then(|(call, _, _)| call.over.clone()).unwrap_or_default();
            let key = self.gather_over(at, over, first.setting);
            good &= key.is_some();
            // Without a key the calls are looked at all the same, for their own faults.
            let key = key.unwrap_or_default();
            let results = self.compute_history(at, &key, &calls);
            good &= results.iter().all(Option::is_some);
            replace(exprs, &calls, &results);
        }
    }

    /// The same in a node that has a key of its own, by which rows were gathered already: calls stand without OVER.
    fn history_of_key(
        &mut self,
        at: &mut Point,
        key: &[KeyField],
        exprs: &mut [(Setting<'_>, &mut Expr)],
    ) -> bool {
        let mut good = true;
        for (setting, expr) in &mut *exprs {
            expr.walk(&mut |part| {
                if let (Some((call, _, _)), Some(snippet)) = (history_of(part), read::expression(*setting)) {
                    let message = format!("`{}` takes no OVER in a node that has a key", call.name);
                    report(
                        snippet,
                        &ExprFault::new(part.span.clone(), message).hint("it is about that key's events"),
                    );
                    good = false;
                }
                true
            });
            give_key(expr);
        }
        loop {
            let calls = next_group(exprs);
            if calls.is_empty() || !good {
                return good;
            }
            let results = self.compute_history(at, key, &calls);
            good &= results.iter().all(Option::is_some);
            replace(exprs, &calls, &results);
        }
    }

    /// Reads an expression of a node that has a key of its own, in which calls of keyed history stand without OVER. Returns
    /// it as it is written, and with references to their results in place of the calls.
    pub fn parse_by(
        &mut self,
        at: &mut Point,
        key: &[KeyField],
        setting: Setting<'_>,
    ) -> Option<(String, Expr)> {
        let mut expr = self.parse(setting)?;
        let written = expr.to_string();
        self.history_of_key(at, key, &mut [(setting, &mut expr)]).then_some((written, expr))
    }

    /// Gathers rows by a PARTITION BY, unless that is how they were gathered last. Returns the key.
    fn gather_over(
        &mut self,
        at: &mut Point,
        over: Vec<Expr>,
        setting: Setting<'_>,
    ) -> Option<Vec<KeyField>> {
        if let Some(last) = self.gathered.take_if(|last| last.over == over && last.at.stage == at.stage) {
            let key = last.key.clone();
            let holds = over.iter().flat_map(Expr::paths).all(|path| self.is_untouched(path, &last.at, at));
            self.gathered = Some(last);
            if holds {
                return Some(key);
            }
        }
        let key = self.partition(at, &over, setting);
        let is_known = key.is_some();
        let mut key = key.unwrap_or_default();
        *at = self.gather_once(at, &mut key);
        self.gathered = is_known.then(|| Gathered { over, at: at.clone(), key: key.clone() });
        is_known.then_some(key)
    }

    /// Whether a path means the same at two points of a stage.
    fn is_untouched(&mut self, path: &Path, before: &Point, after: &Point) -> bool {
        let [before, after] = [before, after]
            .map(|at| self.draft.resolve(at.stage, &at.scope, path).ok().map(|f| (f.slot, f.rest)));
        before == after
    }

    /// Finds the fields of PARTITION BY.
    fn partition(&mut self, at: &mut Point, over: &[Expr], setting: Setting<'_>) -> Option<Vec<KeyField>> {
        let fields = over.iter().map(|expr| {
            let ty = self.type_of(at, setting, expr)?;
            let slot = self.slot_of(at, setting, expr, "key")?;
            Some(KeyField { name: expr.to_string(), slot, ty })
        });
        fields.collect()
    }

    /// Computes calls by a key. Returns the hidden field of each, or none where something was reported.
    fn compute_history(
        &mut self,
        at: &mut Point,
        key: &[KeyField],
        calls: &[Written<'_>],
    ) -> Vec<Option<Path>> {
        let planned: Vec<Option<HistoryCall>> =
            calls.iter().map(|call| self.history_call(at, call.setting, &call.expr)).collect();
        let plan = HistoryPlan {
            key: key.iter().map(|field| field.slot).collect(),
            names: key.iter().map(|field| field.name.clone()).collect(),
            calls: planned.iter().flatten().cloned().collect(),
            ttl: self.state_ttl(),
        };
        let step = self.attach(at, Box::new(plan));
        at.behind = Some((step, MAIN));
        let mut bind = |(call, planned): (&Written<'_>, &Option<HistoryCall>)| {
            let name = format!("({})", call.expr);
            let planned = planned.as_ref()?;
            let binding = Binding::Slot(planned.into, planned.ty);
            at.scope = std::mem::take(&mut at.scope).with(name.clone(), binding);
            Some(Path::field(name))
        };
        calls.iter().zip(&planned).map(&mut bind).collect()
    }

    /// As [`NodePlanner::gather`]; rows that this node has put in order already are not held again for nothing.
    fn gather_once(&mut self, at: &Point, key: &mut [KeyField]) -> Point {
        if !self.is_ordered || self.ordered == Some(false) {
            return self.gather(at, key, true);
        }
        if !self.parallel {
            return at.clone();
        }
        let at = self.exchange(at, key);
        self.order(&at, key, Lateness::GoesOn)
    }

    /// Checks a call and finds its argument.
    fn history_call(&mut self, at: &mut Point, setting: Setting<'_>, expr: &Expr) -> Option<HistoryCall> {
        let (call, spec, history) = history_of(expr)?;
        if let Err(fault) = check(expr, call, spec) {
            report(read::expression(setting)?, &fault);
            return None;
        }
        let (mut from, mut ty) = (None, Type::INT);
        if let Some(argument) = call.args.first() {
            let wanted = spec.arg(0).map_or(Type::ANY, |arg| arg.ty);
            let found = self.type_of(at, setting, argument)?;
            if !found.meets(wanted) {
                let message = format!("`{argument}` is {}, not {}", found.noun(), wanted.noun());
                let fault = ExprFault::new(argument.span.clone(), message).hint(expr::usage(spec));
                report(read::expression(setting)?, &fault);
                return None;
            }
            ty = found.and(wanted);
            from = Some(self.slot_of(at, setting, argument, "history")?);
        }
        let back = match call.args.get(1) {
            Some(count) => self.back(setting, call, count)?,
            None => 1,
        };
        if let Returns::Is(always) = spec.returns {
            ty = always;
        }
        let args: Vec<String> = call.args.iter().map(ToString::to_string).collect();
        let written = format!("{}({})", call.name, args.join(", "));
        let into = self.draft.slot(at.stage, expr.to_string(), ty);
        Some(HistoryCall { history, written, from, back, into, ty })
    }

    /// How far a call looks back: a constant or a parameter.
    fn back(&self, setting: Setting<'_>, call: &Call, count: &Expr) -> Option<usize> {
        let known = match &count.node {
            ExprNode::Literal(literal) => Some(literal.clone()),
            ExprNode::Call(param) if param.name == "param" => {
                param.args.first().and_then(Expr::as_text).and_then(|name| self.params.get(name).cloned())
            }
            _ => None,
        };
        if let Some(Literal::Int(back @ 1..=MOST_BACK)) = known {
            return usize::try_from(back).ok();
        }
        let message = format!("`n` of `{}` is a constant from 1 to {MOST_BACK}", call.name);
        report(read::expression(setting)?, &ExprFault::new(count.span.clone(), message));
        None
    }
}

/// Puts references to results in the place of calls, and nulls where there is none.
fn replace(exprs: &mut [(Setting<'_>, &mut Expr)], calls: &[Written<'_>], results: &[Option<Path>]) {
    for (_, expr) in exprs {
        expr.map(&mut |part| {
            let position = calls.iter().position(|call| call.expr == *part)?;
            let result = results.get(position).cloned().flatten();
            let null = || Expr::literal(Literal::Null);
            Some(result.map_or_else(null, |path| Expr::new(ExprNode::Field(path), part.span.clone())))
        });
    }
}

/// Calls of keyed history without OVER are about the key of their node.
fn give_key(expr: &mut Expr) {
    expr.children_mut().into_iter().for_each(give_key);
    if let ExprNode::Call(call) = &mut expr.node
        && call.over.is_none()
        && expr::functions::HISTORY.iter().any(|spec| spec.name == call.name)
    {
        call.over = Some(Vec::new());
    }
}

/// The first innermost call, and all other innermost ones with the same key, each once.
fn next_group<'a>(exprs: &[(Setting<'a>, &mut Expr)]) -> Vec<Written<'a>> {
    let mut calls: Vec<Written<'a>> = Vec::new();
    for (setting, expr) in exprs {
        expr.walk(&mut |part| {
            let innermost = || !part.children().into_iter().any(has_call);
            if let Some((call, _, _)) = history_of(part)
                && innermost()
            {
                let first = calls.first().and_then(|first| history_of(&first.expr));
                let same = first.is_none_or(|(first, _, _)| first.over == call.over);
                if same && calls.iter().all(|known| known.expr != *part) {
                    calls.push(Written { setting: *setting, expr: part.clone() });
                }
            }
            true
        });
    }
    calls
}

fn check(expr: &Expr, call: &Call, spec: &FunctionSpec) -> Result<(), ExprFault> {
    let refused = match call {
        Call { star: true, .. } => "`*`",
        Call { distinct: true, .. } => "DISTINCT",
        Call { filter: Some(_), .. } => "FILTER",
        _ => return expr::check_count(expr, call, spec),
    };
    let message = format!("`{}` takes no {refused}", call.name);
    Err(ExprFault::new(expr.span.clone(), message).hint(expr::usage(spec)))
}
