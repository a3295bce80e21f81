//! Comparing two values: by value for numbers and times, byte by byte for text.

use super::functions::Failure;
use super::types::Type;
use crate::event::{Kind, Value, json};
use std::cmp::Ordering;

/// Kinds that are compared as numbers. A timestamp is worth its milliseconds since the epoch.
pub(super) const NUMERIC: Type = Type::NUMBER.or(Type::TIMESTAMP);

/// The kinds that values of a type can be compared with in order.
pub(super) fn comparable(ty: Type) -> Type {
    if ty.and(NUMERIC) == Type::NULL { ty } else { ty.or(NUMERIC) }
}

/// Whether two values are equal; false for values of different kinds. Neither may be null.
#[inline]
pub(super) fn equal(left: Value, right: Value, arena: &[u8]) -> bool {
    equal_content((left, bytes(left, arena)), (right, bytes(right, arena)))
}

/// As `IS NOT DISTINCT FROM`: whether two values are equal or both null. Each stands with the bytes that it points to.
pub fn is_same(left: (Value, &[u8]), right: (Value, &[u8])) -> bool {
    match left.0.is_null() || right.0.is_null() {
        true => left.0.is_null() && right.0.is_null(),
        false => equal_content(left, right),
    }
}

#[inline]
fn equal_content((left, left_bytes): (Value, &[u8]), (right, right_bytes): (Value, &[u8])) -> bool {
    match (left.kind(), right.kind()) {
        (Kind::Text, Kind::Text) | (Kind::Bytes, Kind::Bytes) => left_bytes == right_bytes,
        (Kind::Json, Kind::Json) => equal_json(left_bytes, right_bytes),
        (Kind::Bool, Kind::Bool) => left.as_bool() == right.as_bool(),
        _ => numeric(left, right) == Some(Ordering::Equal),
    }
}

/// The order of two values.
///
/// # Errors
/// They are of kinds that have no order; the left one is called wrong. Neither may be null.
#[inline]
pub(super) fn order(left: Value, right: Value, arena: &[u8]) -> Result<Ordering, Failure> {
    if let Some(order) = numeric(left, right) {
        return Ok(order);
    }
    match (left.kind(), right.kind()) {
        (Kind::Text, Kind::Text) | (Kind::Bytes, Kind::Bytes) => {
            Ok(bytes(left, arena).cmp(bytes(right, arena)))
        }
        (Kind::Bool, Kind::Bool) => Ok(left.as_bool().cmp(&right.as_bool())),
        (Kind::Json, _) | (_, Kind::Json) => Err("lists and maps have no order".into()),
        (found, other) => Err(Failure::Wrong(0, found, super_kind(other))),
    }
}

/// What to say that a value should have been, to be compared with one of this kind.
fn super_kind(kind: Kind) -> Type {
    if Type::NUMBER.has(kind) { Type::NUMBER } else { Type::of(kind) }
}

/// The order of two numbers or times; None if one is something else.
#[inline]
pub(super) fn numeric(left: Value, right: Value) -> Option<Ordering> {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (Some(left), None) => right.as_float().map(|right| order_mixed(left, right)),
        (None, Some(right)) => left.as_float().map(|left| order_mixed(right, left).reverse()),
        (None, None) => {
            let (left, right) = (left.as_float()?, right.as_float()?);
            // Floats in cells are finite.
            left.partial_cmp(&right)
        }
    }
}

/// An integer, or a time's milliseconds.
#[inline]
pub(super) fn whole(value: Value) -> Option<i64> {
    value.as_int().or_else(|| value.as_timestamp())
}

/// The exact order of an integer and a float, without rounding either.
#[inline]
pub(super) fn order_mixed(int: i64, float: f64) -> Ordering {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float >= LIMIT {
        return Ordering::Less;
    }
    if float < -LIMIT {
        return Ordering::Greater;
    }
    let floor = float.floor();
    int.cmp(&(floor as i64)).then(if float > floor { Ordering::Less } else { Ordering::Equal })
}

#[inline]
fn bytes(value: Value, arena: &[u8]) -> &[u8] {
    &arena[value.span().range()]
}

/// Whether two raw JSON values are equal by value: white space, escapes, the spelling of numbers and the order of
/// a map's keys do not matter.
pub(super) fn equal_json(left: &[u8], right: &[u8]) -> bool {
    if left == right {
        return true;
    }
    match (left.first(), right.first()) {
        (Some(b'['), Some(b'[')) => {
            let (mut left, mut right) = (json::elements(left), json::elements(right));
            loop {
                match (left.next(), right.next()) {
                    (Some(left), Some(right)) if equal_json(left, right) => {}
                    (None, None) => return true,
                    _ => return false,
                }
            }
        }
        (Some(b'{'), Some(b'{')) => contains_entries(left, right) && contains_entries(right, left),
        (Some(b'[' | b'{'), _) | (_, Some(b'[' | b'{')) => false,
        _ => {
            let mut arena = Vec::new();
            let left = json::to_value(left, &mut arena);
            let right = json::to_value(right, &mut arena);
            match (left, right) {
                (Ok(left), Ok(right)) if left.is_null() || right.is_null() => {
                    left.is_null() && right.is_null()
                }
                (Ok(left), Ok(right)) => equal(left, right, &arena),
                _ => false,
            }
        }
    }
}

/// Whether each entry of one map is in another. Of duplicate keys the last counts.
fn contains_entries(part: &[u8], whole: &[u8]) -> bool {
    json::entries(part).all(|(key, _)| {
        let step = [crate::event::Step::Field(key.into_owned())];
        match (json::get(part, &step), json::get(whole, &step)) {
            (Some(left), Some(right)) => equal_json(left, right),
            _ => false,
        }
    })
}
