//! Calls of functions: found by name, checked against their specification.

use super::ast::{Call, Expr};
use super::compile::{Compiler, Lowered, check, label};
use super::fault::ExprFault;
use super::functions::{
    AGGREGATES, Body, Form, FunctionSpec, GENERATORS, LATER, PANE, PluginFunction, Returns,
};
use super::lambda::Keep;
use super::literal::Literal;
use super::op::{Apply, ApplyBody, Op, Unit};
use super::scope::SourceField;
use super::types::Type;
use crate::event::nearest;
use std::ops::Range;

impl Compiler<'_> {
    /// Compiles a call.
    pub(super) fn call(&mut self, expr: &Expr, call: &Call, register: usize) -> Lowered {
        if let Some(plugin) = self.functions.plugin(&call.name) {
            return self.plugin(expr, call, &**plugin, register);
        }
        let function = self.function(expr, call)?;
        check_count(expr, call, function)?;
        match function.body {
            Body::History(_) => Err(misplaced(expr, call)),
            Body::Form(Form::Coalesce) => self.coalesce(expr, &call.args, register),
            Body::Form(Form::If) => self.choice(expr, &call.args, register),
            Body::Form(Form::Param) => self.param(expr, call),
            Body::Form(Form::Instance) => {
                let id = self.scope.instance().to_owned();
                self.constant(expr, &Literal::Text(id))
            }
            Body::Form(Form::Source(field)) => self.source_field(expr, field, register),
            Body::Form(Form::SourceHeader) => self.source_header(expr, call, register),
            Body::Form(Form::Transform) => self.each(expr, &call.args, Keep::Results, register),
            Body::Form(Form::Filter) => self.each(expr, &call.args, Keep::Elements, register),
            Body::Plain(body) => self.apply(expr, call, function, |_| Ok(ApplyBody::Plain(body)), register),
            Body::Made(make) => {
                let make = |constants: &[Option<&Literal>]| make(constants).map(ApplyBody::Made);
                self.apply(expr, call, function, make, register)
            }
        }
    }

    fn function(&self, expr: &Expr, call: &Call) -> Result<&'static FunctionSpec, ExprFault> {
        let name = call.name.as_str();
        let at = expr.span.start..expr.span.end.min(expr.span.start + name.len());
        let Some(function) = self.functions.get(name) else {
            if AGGREGATES.contains(&name) {
                let fault = ExprFault::new(at, format!("`{name}` is an aggregate, which takes many events"));
                let running = ["avg", "count", "max", "min", "sum"].contains(&name) && call.over.is_some();
                return Err(match running {
                    true => {
                        fault.hint(format!("for a key's events so far write `running_{name}(…) OVER (…)`"))
                    }
                    false => fault.hint("aggregates stand in a window's `aggregate`"),
                });
            }
            if PANE.iter().any(|pane| pane.name == name) {
                let fault = ExprFault::new(at, format!("`{name}` asks about a window's pane"));
                return Err(fault.hint("it stands in a window's `aggregate` and `having`"));
            }
            if LATER.contains(&name) {
                return Err(ExprFault::new(at, format!("`{name}` is not in this version")));
            }
            if GENERATORS.contains(&name) {
                let fault = ExprFault::new(at, format!("`{name}` makes events up, and here they are given"));
                return Err(fault.hint("it belongs to the `fields` of a `generate` source"));
            }
            let fault = ExprFault::new(at, format!("there is no function `{name}`"));
            let similar = nearest(name, self.functions.names());
            return Err(match similar {
                Some(similar) => fault.hint(format!("did you mean `{similar}`?")),
                None => fault.hint("`headwater functions` lists them"),
            });
        };
        check_modifiers(at, call, matches!(function.body, Body::History(_)))?;
        Ok(function)
    }

    /// A function of a plugin, of which nothing is known.
    fn plugin(&mut self, expr: &Expr, call: &Call, plugin: &dyn PluginFunction, register: usize) -> Lowered {
        check_modifiers(expr.span.clone(), call, false)?;
        let args = self.operands(&call.args, register)?;
        let types = vec![Type::ANY; args.len()];
        let apply = Apply::new(args, &types, true, ApplyBody::Made(plugin.start()));
        Ok(self.unit(expr, Op::Call(Box::new(apply)), Type::ANY, register))
    }

    fn param(&mut self, expr: &Expr, call: &Call) -> Lowered {
        let Some(name) = call.args.first().and_then(Expr::as_text) else {
            let fault = ExprFault::new(expr.span.clone(), "`param` takes a name in quotes");
            return Err(fault.hint("param('minimum')"));
        };
        match self.scope.param(name) {
            Some(literal) => self.constant(expr, &literal),
            None => Err(ExprFault::new(expr.span.clone(), format!("there is no parameter `{name}`"))
                .hint("parameters are declared under `params`, with their defaults")),
        }
    }

    fn source_header(&mut self, expr: &Expr, call: &Call, register: usize) -> Lowered {
        let Some(name) = call.args.first().and_then(Expr::as_text) else {
            let fault = ExprFault::new(expr.span.clone(), "`source_header` takes a name in quotes");
            return Err(fault.hint("source_header('unit')"));
        };
        self.source_field(expr, &SourceField::Header(name.to_owned()), register)
    }

    /// What the source left in a cell; null where no source can know.
    fn source_field(&mut self, expr: &Expr, field: &SourceField, register: usize) -> Lowered {
        match self.scope.source_field(field) {
            Some(found) => Ok(self.unit(expr, Op::Cell(found.slot), found.ty, register)),
            None => self.constant(expr, &Literal::Null),
        }
    }

    fn apply(
        &mut self,
        expr: &Expr,
        call: &Call,
        function: &FunctionSpec,
        body: impl FnOnce(&[Option<&Literal>]) -> Result<ApplyBody, String>,
        register: usize,
    ) -> Lowered {
        let args = self.operands(&call.args, register)?;
        let mut types = Vec::with_capacity(args.len());
        for (place, (arg, operand)) in args.iter().zip(&call.args).enumerate() {
            let wanted = function.arg(place).map_or(Type::ANY, |arg| arg.ty);
            check(operand, arg.ty, wanted).map_err(|fault| fault.hint(usage(function)))?;
            types.push(wanted);
        }
        let constants: Vec<_> = args.iter().map(Unit::literal).collect();
        let body = body(&constants).map_err(|message| {
            let message = format!("`{}`: {message}", label(expr));
            ExprFault::new(expr.span.clone(), message).hint(usage(function))
        })?;
        let ty = result(function, &args);
        let apply = Apply::new(args, &types, function.takes_nulls, body);
        Ok(self.unit(expr, Op::Call(Box::new(apply)), ty, register))
    }
}

/// Refuses what only aggregates take, and OVER but for keyed history.
fn check_modifiers(at: Range<usize>, call: &Call, is_history: bool) -> Result<(), ExprFault> {
    let name = &call.name;
    let refused = match call {
        Call { star: true, .. } => "`*`",
        Call { distinct: true, .. } => "DISTINCT",
        Call { filter: Some(_), .. } => "FILTER",
        Call { over: Some(_), .. } if !is_history => {
            let fault = ExprFault::new(at, format!("`{name}` takes no OVER: it is about one event"));
            return Err(fault.hint("OVER belongs to keyed history: `previous`, `delta`, `running_sum`, …"));
        }
        _ => return Ok(()),
    };
    Err(ExprFault::new(at, format!("{refused} belongs to aggregates, and `{name}` is a function")))
}

/// A call of keyed history that no step was planned for.
fn misplaced(expr: &Expr, call: &Call) -> ExprFault {
    let name = &call.name;
    if call.over.is_some() {
        let fault = ExprFault::new(expr.span.clone(), format!("`{name}` cannot stand here"));
        return fault.hint("compute it before, by `set` in a transform of its own");
    }
    let fault = ExprFault::new(
        expr.span.clone(),
        format!("`{name}` is about a key's earlier events: OVER is missing"),
    );
    let args: Vec<String> = call.args.iter().map(ToString::to_string).collect();
    fault.hint(format!("`{name}({}) OVER (PARTITION BY key)`", args.join(", ")))
}

/// The type of a call's result.
fn result(function: &FunctionSpec, args: &[Unit]) -> Type {
    let known = |place: usize, arg: &Unit| {
        let wanted = function.arg(place).map_or(Type::ANY, |arg| arg.ty);
        arg.ty.and(wanted)
    };
    match function.returns {
        Returns::Is(ty) => ty,
        Returns::AsFirst => args.first().map_or(Type::NULL, |arg| known(0, arg)),
        Returns::AsAny => {
            args.iter().enumerate().fold(Type::NULL, |ty, (place, arg)| ty.or(known(place, arg)))
        }
    }
}

/// How a function is called, for a hint.
pub fn usage(function: &FunctionSpec) -> String {
    match function.args {
        [] => function.signature(),
        _ => format!("{} with {}", function.signature(), function.argument_types()),
    }
}

/// Checks how many arguments a call has.
///
/// # Errors
/// Too few or too many.
pub fn check_count(expr: &Expr, call: &Call, function: &FunctionSpec) -> Result<(), ExprFault> {
    let given = call.args.len();
    let (least, most) = function.arity();
    if given >= least && most.is_none_or(|most| given <= most) {
        return Ok(());
    }
    let wanted = match most {
        None => format!("at least {least}"),
        Some(0) => "no".to_owned(),
        Some(most) if most == least => least.to_string(),
        Some(most) => format!("{least} to {most}"),
    };
    let plural = if wanted == "1" { "" } else { "s" };
    let message = format!("`{}` takes {wanted} argument{plural}, not {given}", function.name);
    Err(ExprFault::new(expr.span.clone(), message).hint(usage(function)))
}
