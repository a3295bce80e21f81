//! `CAST`: the rules by which a value becomes one of another type.

use super::ast::CastType;
use super::functions::{Context, Failure, Outcome, parse_number, short, write_scalar};
use super::interval::parse_timestamp;
use crate::event::{Kind, Value, json};

/// Converts a value that is not null.
///
/// Floats become integers by cutting off the fraction, times integers as milliseconds since the epoch and the
/// other way round; text is read without white space around it.
pub(super) fn cast(context: &mut Context, value: Value, to: CastType) -> Outcome {
    match to {
        CastType::Bool => to_bool(context, value),
        CastType::Int => to_int(context, value),
        CastType::Float => to_float(context, value),
        CastType::Text => to_text(context, value),
        CastType::Timestamp => to_timestamp(context, value),
    }
}

fn unlike(context: &Context, value: Value, to: &str) -> Failure {
    match value.kind() {
        Kind::Text => format!("'{}' is not {to}", short(context.text(value))).into(),
        kind => format!("{} cannot become {to}", super::types::Type::of(kind).noun()).into(),
    }
}

fn to_bool(context: &Context, value: Value) -> Outcome {
    match value.kind() {
        Kind::Bool => Ok(value),
        Kind::Int => Ok(Value::bool(value.as_int() != Some(0))),
        Kind::Text => {
            let text = context.text(value).trim();
            match (text.eq_ignore_ascii_case("true"), text.eq_ignore_ascii_case("false")) {
                (true, _) => Ok(Value::bool(true)),
                (_, true) => Ok(Value::bool(false)),
                _ => Err(unlike(context, value, "a boolean")),
            }
        }
        _ => Err(unlike(context, value, "a boolean")),
    }
}

fn to_int(context: &Context, value: Value) -> Outcome {
    match value.kind() {
        Kind::Int => Ok(value),
        Kind::Bool => Ok(Value::int((value.as_bool() == Some(true)).into())),
        Kind::Timestamp => Ok(Value::int(value.as_timestamp().unwrap_or_default())),
        Kind::Float => float_to_int(value.as_float().unwrap_or_default()).map(Value::int),
        Kind::Text => {
            let text = context.text(value).trim();
            text.parse().map(Value::int).map_err(|_| unlike(context, value, "an integer"))
        }
        _ => Err(unlike(context, value, "an integer")),
    }
}

/// The float without its fraction.
pub(super) fn float_to_int(x: f64) -> Result<i64, Failure> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&x) { Ok(x as i64) } else { Err("integer overflow".into()) }
}

fn to_float(context: &Context, value: Value) -> Outcome {
    match value.kind() {
        Kind::Float => Ok(value),
        Kind::Int => Ok(Value::float(value.as_number().unwrap_or_default())),
        Kind::Text => {
            let number = parse_number(context.text(value)).and_then(Value::as_number);
            number.map(Value::float).ok_or_else(|| unlike(context, value, "a number"))
        }
        _ => Err(unlike(context, value, "a float")),
    }
}

fn to_text(context: &mut Context, value: Value) -> Outcome {
    match value.kind() {
        Kind::Text => Ok(value),
        Kind::Json => context
            .write_json(|batch, out| {
                json::write_compact(batch.bytes(value), out);
                Ok(())
            })
            .map(|json| Value::text(json.span())),
        _ => context.write(|batch, text| write_scalar(batch, value, text)),
    }
}

fn to_timestamp(context: &Context, value: Value) -> Outcome {
    match value.kind() {
        Kind::Timestamp => Ok(value),
        Kind::Int => Ok(Value::timestamp(value.as_int().unwrap_or_default())),
        Kind::Text => {
            let time = parse_timestamp(context.text(value));
            time.map(Value::timestamp).ok_or_else(|| unlike(context, value, "a time"))
        }
        _ => Err(unlike(context, value, "a time")),
    }
}
