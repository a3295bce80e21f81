//! Operators that are functions of operands which are all evaluated.

use super::ast::{BinaryOp, CastType, Expr, Node};
use super::cast::cast;
use super::compare::order;
use super::compile::{Compiler, Lowered, check, check_order, label};
use super::eval::step_into;
use super::fault::ExprFault;
use super::functions::{Context, Failure, Instance, Outcome, write_scalar};
use super::like::Like;
use super::literal::Literal;
use super::op::ApplyBody::{self, Made, Plain};
use super::op::{Apply, Op, Unit};
use super::types::Type;
use crate::event::{Kind, Step, Value};

/// Compiles the operators that the compiler leaves to this file.
pub(super) fn lower(compiler: &mut Compiler, expr: &Expr, register: usize) -> Lowered {
    match &expr.node {
        Node::Not(of) => {
            let apply = apply(compiler, &[(of, Type::BOOL)], register, Plain(not))?;
            Ok(call(compiler, expr, apply, Type::BOOL, register))
        }
        Node::Negate(of) => {
            let apply = apply(compiler, &[(of, Type::NUMBER)], register, Plain(negate))?;
            let ty = apply.args[0].ty.and(Type::NUMBER);
            Ok(call(compiler, expr, apply, ty, register))
        }
        Node::IsNull { of, negated } => {
            let of = Box::new(compiler.lower(of, register + 1)?);
            Ok(compiler.unit(expr, Op::IsNull(of, *negated), Type::BOOL, register))
        }
        Node::IsBool { of, value, negated } => {
            let body = Plain(match (value, negated) {
                (true, false) => is_true,
                (true, true) => is_not_true,
                (false, false) => is_false,
                (false, true) => is_not_false,
            });
            let apply = with_nulls(compiler, of, Type::BOOL, register, body)?;
            Ok(call(compiler, expr, apply, Type::BOOL, register))
        }
        Node::Between { of, low, high, negated } => {
            between(compiler, expr, [of, low, high], *negated, register)
        }
        Node::Like { of, pattern, escape, insensitive, negated } => {
            let like = Like::new(*escape, *insensitive, *negated);
            if let Some(text) = pattern.as_text() {
                like.check(text).map_err(|message| ExprFault::new(pattern.span.clone(), message))?;
            }
            let operands = [(&**of, Type::TEXT), (&**pattern, Type::TEXT)];
            let apply = apply(compiler, &operands, register, Made(Box::new(like)))?;
            Ok(call(compiler, expr, apply, Type::BOOL, register))
        }
        Node::Cast { of, to, attempt } => {
            let body = Made(Box::new(Cast { to: *to, attempt: *attempt }));
            let apply = apply(compiler, &[(of, Type::SCALAR.or(Type::JSON))], register, body)?;
            Ok(call(compiler, expr, apply, to.ty(), register))
        }
        Node::Index(of, index) => {
            let index_type = Type::INT.or(Type::TEXT);
            let apply =
                apply(compiler, &[(of, Type::ANY), (index, index_type)], register, Plain(index_into))?;
            check(of, apply.args[0].ty, Type::JSON)?;
            Ok(call(compiler, expr, apply, Type::SCALAR.or(Type::JSON), register))
        }
        // The compiler has done all others.
        _ => Err(ExprFault::new(expr.span.clone(), format!("`{}` is not in this version", label(expr)))),
    }
}

/// A function of operands, each with the type that it must have.
fn apply(
    compiler: &mut Compiler,
    operands: &[(&Expr, Type)],
    register: usize,
    body: ApplyBody,
) -> Result<Apply, ExprFault> {
    let args = compiler.operands(operands.iter().map(|(operand, _)| *operand), register)?;
    for (arg, (operand, wanted)) in args.iter().zip(operands) {
        check(operand, arg.ty, *wanted)?;
    }
    let types: Vec<_> = operands.iter().map(|(_, wanted)| *wanted).collect();
    Ok(Apply::new(args, &types, false, body))
}

/// A function of one operand that may be null.
fn with_nulls(
    compiler: &mut Compiler,
    of: &Expr,
    wanted: Type,
    register: usize,
    body: ApplyBody,
) -> Result<Apply, ExprFault> {
    Ok(Apply { takes_nulls: true, ..apply(compiler, &[(of, wanted)], register, body)? })
}

fn call(compiler: &mut Compiler, expr: &Expr, apply: Apply, ty: Type, register: usize) -> Unit {
    compiler.unit(expr, Op::Call(Box::new(apply)), ty, register)
}

/// A field between two numbers or two texts is two comparisons, which are quick, and of which the second fails only
/// where the first does. Any other operand must not be computed twice.
fn between(
    compiler: &mut Compiler,
    expr: &Expr,
    operands: [&Expr; 3],
    negated: bool,
    register: usize,
) -> Lowered {
    if let [Expr { node: Node::Field(_) | Node::Parameter(_), .. }, low, high] = operands
        && let (Node::Literal(low), Node::Literal(high), false) = (&low.node, &high.node, negated)
        && alike(low, high)
    {
        let [of, low, high] = operands.map(|operand| Box::new(operand.clone()));
        let (not_below, not_above) = (BinaryOp::GreaterOrEqual, BinaryOp::LessOrEqual);
        let bounds = [Node::Binary(not_below, of.clone(), low), Node::Binary(not_above, of, high)];
        let bounds = bounds.map(|bound| Expr::new(bound, expr.span.clone()));
        return compiler.lower(&Expr::new(Node::And(bounds.into()), expr.span.clone()), register);
    }
    let body = Plain(if negated { not_between_values } else { between_values });
    let any = operands.map(|operand| (operand, Type::ANY));
    let apply = Apply { takes_nulls: true, ..apply(compiler, &any, register, body)? };
    let [of, low, high] = [&apply.args[0], &apply.args[1], &apply.args[2]].map(|arg| arg.ty);
    check_order(operands[0], of, low)?;
    check_order(operands[0], of, high)?;
    Ok(call(compiler, expr, apply, Type::BOOL, register))
}

/// Whether two constants can be compared with the same values.
fn alike(low: &Literal, high: &Literal) -> bool {
    let number =
        |literal: &Literal| matches!(literal, Literal::Int(_) | Literal::Float(_) | Literal::Timestamp(_));
    let text = |literal: &Literal| matches!(literal, Literal::Text(_));
    number(low) && number(high) || text(low) && text(high)
}

/// `a || b || c` as one call, which gives what two would.
pub(super) fn concat(compiler: &mut Compiler, expr: &Expr, register: usize) -> Lowered {
    let mut parts = Vec::new();
    let mut rest = expr;
    while let Node::Binary(BinaryOp::Concat, left, right) = &rest.node {
        parts.push((&**right, Type::SCALAR));
        rest = left;
    }
    parts.push((rest, Type::SCALAR));
    parts.reverse();
    let apply = apply(compiler, &parts, register, Plain(concat_values))?;
    let inputs = apply.args.iter().map(|arg| (arg.source(), Type::ANY)).collect();
    let apply = Apply { takes_nulls: true, inputs, ..apply };
    Ok(call(compiler, expr, apply, Type::TEXT, register))
}

/// A time some calendar months later or earlier.
pub(super) fn add_months(
    compiler: &mut Compiler,
    expr: &Expr,
    op: BinaryOp,
    time: &Expr,
    months: &Expr,
    register: usize,
) -> Lowered {
    let Node::Literal(Literal::Months(count)) = months.node else {
        return Err(ExprFault::new(months.span.clone(), "an interval is missing"));
    };
    let count = if op == BinaryOp::Subtract { -count } else { count };
    let body = Made(Box::new(AddMonths(count)));
    let apply = apply(compiler, &[(time, Type::TIME)], register, body)?;
    Ok(call(compiler, expr, apply, Type::TIMESTAMP, register))
}

fn is_true_value(value: Value) -> bool {
    value.as_bool() == Some(true)
}

fn not(_: &mut Context, args: &[Value]) -> Outcome {
    Ok(Value::bool(!is_true_value(args[0])))
}

fn negate(_: &mut Context, args: &[Value]) -> Outcome {
    match args[0].as_int() {
        Some(n) => n.checked_neg().map(Value::int).ok_or("integer overflow".into()),
        None => Ok(Value::float(-args[0].as_float().unwrap_or_default())),
    }
}

fn is_true(_: &mut Context, args: &[Value]) -> Outcome {
    Ok(Value::bool(is_true_value(args[0])))
}

fn is_not_true(_: &mut Context, args: &[Value]) -> Outcome {
    Ok(Value::bool(!is_true_value(args[0])))
}

fn is_false(_: &mut Context, args: &[Value]) -> Outcome {
    Ok(Value::bool(args[0].as_bool() == Some(false)))
}

fn is_not_false(_: &mut Context, args: &[Value]) -> Outcome {
    Ok(Value::bool(args[0].as_bool() != Some(false)))
}

/// Unknown only if neither bound decides.
fn between_values(context: &mut Context, args: &[Value]) -> Outcome {
    let arena = &context.batch.arena;
    let side = |bound: Value, outside: std::cmp::Ordering| match args[0].is_null() || bound.is_null() {
        true => Ok(None),
        false => order(args[0], bound, arena).map(|order| Some(order != outside)),
    };
    let low = side(args[1], std::cmp::Ordering::Less)?;
    if low == Some(false) {
        return Ok(Value::bool(false));
    }
    let high = side(args[2], std::cmp::Ordering::Greater)?;
    Ok(match (low, high) {
        (_, Some(false)) => Value::bool(false),
        (Some(true), Some(true)) => Value::bool(true),
        _ => Value::NULL,
    })
}

fn not_between_values(context: &mut Context, args: &[Value]) -> Outcome {
    let within = between_values(context, args)?;
    Ok(within.as_bool().map_or(Value::NULL, |within| Value::bool(!within)))
}

fn concat_values(context: &mut Context, args: &[Value]) -> Outcome {
    // Pair by pair from the left: null if one is null, otherwise both must be scalars.
    let mut null = args[0].is_null();
    for (place, value) in args.iter().enumerate().skip(1) {
        null |= value.is_null();
        let checked = if place == 1 { 0 } else { place };
        if let Some(wrong) = (checked..=place).find(|&place| !null && !Type::SCALAR.has(args[place].kind())) {
            return Err(Failure::Wrong(wrong, args[wrong].kind(), Type::SCALAR));
        }
    }
    if null {
        return Ok(Value::NULL);
    }
    context.write(|batch, text| args.iter().try_for_each(|value| write_scalar(batch, *value, text)))
}

/// An element by its number from 0, or a field by its name; null where there is none.
fn index_into(context: &mut Context, args: &[Value]) -> Outcome {
    let step = match args[1].kind() {
        Kind::Text => Step::Field(context.text(args[1]).to_owned()),
        _ => match u32::try_from(args[1].as_int().unwrap_or(-1)) {
            Ok(n) => Step::Index(n),
            Err(_) => return Ok(Value::NULL),
        },
    };
    step_into(context.batch, args[0], &[step])
}

/// `CAST` and `TRY_CAST`.
#[derive(Clone)]
struct Cast {
    to: CastType,
    attempt: bool,
}

impl Instance for Cast {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        match cast(context, args[0], self.to) {
            Err(_) if self.attempt => Ok(Value::NULL),
            outcome => outcome,
        }
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(self.clone())
    }
}

/// `time ± INTERVAL 'n' MONTH`.
#[derive(Clone)]
struct AddMonths(i64);

impl Instance for AddMonths {
    fn call(&mut self, _: &mut Context, args: &[Value]) -> Outcome {
        super::calendar::add_months(args[0], self.0)
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(self.clone())
    }
}
