//! `+ - * / %` on numbers and times.

use super::ast::BinaryOp;
use super::compare::{NUMERIC, whole};
use super::functions::{Failure, NOT_FINITE, Outcome};
use super::types::Type;
use crate::event::{Kind, Value};

const OVERFLOW: &str = "integer overflow";
const DIVISION_BY_ZERO: &str = "division by zero";

/// Writes the value of `left op right`; null if one is null.
#[inline(always)]
pub(super) fn compute(op: BinaryOp, left: Value, right: Value, into: &mut Value) -> Result<(), Failure> {
    match (left.kind(), right.kind()) {
        (Kind::Float, Kind::Float | Kind::Int) | (Kind::Int, Kind::Float) => {
            let number = |value: Value| value.as_number().unwrap_or_default();
            *into = Value::float(floats(op, number(left), number(right))?);
        }
        (Kind::Int, Kind::Int) => {
            let int = |value: Value| value.as_int().unwrap_or_default();
            *into = Value::int(ints(op, int(left), int(right))?);
        }
        (Kind::Null, _) | (_, Kind::Null) => *into = Value::NULL,
        _ => *into = times(op, left, right)?,
    }
    Ok(())
}

/// The value of `left op right`; null if one is null.
pub(super) fn value(op: BinaryOp, left: Value, right: Value) -> Outcome {
    let mut value = Value::NULL;
    compute(op, left, right, &mut value)?;
    Ok(value)
}

#[inline(always)]
fn floats(op: BinaryOp, left: f64, right: f64) -> Result<f64, Failure> {
    let result = match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        _ if right == 0.0 => return Err(DIVISION_BY_ZERO.into()),
        BinaryOp::Divide => left / right,
        _ => left % right,
    };
    if result.is_finite() { Ok(result) } else { Err(NOT_FINITE.into()) }
}

#[inline(always)]
fn ints(op: BinaryOp, left: i64, right: i64) -> Result<i64, Failure> {
    let result = match op {
        BinaryOp::Add => left.checked_add(right),
        BinaryOp::Subtract => left.checked_sub(right),
        BinaryOp::Multiply => left.checked_mul(right),
        _ if right == 0 => return Err(DIVISION_BY_ZERO.into()),
        BinaryOp::Divide => left.checked_div(right),
        _ => Some(left.wrapping_rem(right)),
    };
    result.ok_or(OVERFLOW.into())
}

/// A time and milliseconds, or the milliseconds between two times.
#[cold]
fn times(op: BinaryOp, left: Value, right: Value) -> Outcome {
    let wanted = operands(op);
    for (place, value) in [(0, left), (1, right)] {
        if !wanted.has(value.kind()) {
            return Err(Failure::Wrong(place, value.kind(), wanted));
        }
    }
    match (op, left.kind(), right.kind()) {
        (BinaryOp::Add, Kind::Timestamp, Kind::Timestamp) => Err("two timestamps cannot be added".into()),
        (BinaryOp::Subtract, Kind::Int | Kind::Float, found) => Err(Failure::Wrong(1, found, Type::NUMBER)),
        (_, left_kind, right_kind) => {
            let int = |place, value| whole(value).ok_or(Failure::Wrong(place, Kind::Float, Type::INT));
            let millis = ints(op, int(0, left)?, int(1, right)?)?;
            Ok(if left_kind == right_kind { Value::int(millis) } else { Value::timestamp(millis) })
        }
    }
}

/// The kinds that an operator takes at all.
fn operands(op: BinaryOp) -> Type {
    if op == BinaryOp::Add || op == BinaryOp::Subtract { NUMERIC } else { Type::NUMBER }
}

/// The type of `left op right`, or which operand (0 or 1) is wrong and what it should be.
pub(super) fn result(op: BinaryOp, left: Type, right: Type) -> Result<Type, (usize, Type)> {
    let wanted = operands(op);
    for (place, ty) in [(0, left), (1, right)] {
        if !ty.meets(wanted) {
            return Err((place, wanted));
        }
    }
    if left == Type::NULL || right == Type::NULL {
        return Ok(Type::NULL);
    }
    let both = |l: Type, r: Type| left.and(l) != Type::NULL && right.and(r) != Type::NULL;
    let mut result = Type::NULL;
    if both(Type::INT, Type::INT) {
        result = result.or(Type::INT);
    }
    if both(Type::FLOAT, Type::NUMBER) || both(Type::NUMBER, Type::FLOAT) {
        result = result.or(Type::FLOAT);
    }
    if wanted == NUMERIC && both(Type::TIMESTAMP, Type::INT) {
        result = result.or(Type::TIMESTAMP);
    }
    if op == BinaryOp::Add && both(Type::INT, Type::TIMESTAMP) {
        result = result.or(Type::TIMESTAMP);
    }
    if op == BinaryOp::Subtract && both(Type::TIMESTAMP, Type::TIMESTAMP) {
        result = result.or(Type::INT);
    }
    match result {
        Type::NULL if left.within(Type::TIMESTAMP) => Err((1, Type::INT)),
        Type::NULL => Err((1, Type::NUMBER)),
        result => Ok(result),
    }
}
