//! JSON to values.

use super::schema::{Field, Schema, Type, TypeId};
use crate::event::bytes::put_signed;
use crate::event::json::MAX_DEPTH;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Appends an event, one JSON object, as a value of the schema.
///
/// # Errors
/// Why it does not fit.
pub fn write(schema: &Schema, event: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
    let event: Value = serde_json::from_slice(event).map_err(|error| error.to_string())?;
    put(schema, schema.root(), &event, into, 0)
}

fn put(schema: &Schema, ty: TypeId, value: &Value, into: &mut Vec<u8>, depth: usize) -> Result<(), String> {
    if depth >= MAX_DEPTH {
        return Err("values nested too deep".to_owned());
    }
    let ty = schema.ty(ty);
    match (ty, value) {
        (Type::Null, Value::Null) => {}
        (Type::Bool, Value::Bool(value)) => into.push(u8::from(*value)),
        (Type::Long, Value::Number(number)) => {
            put_signed(into, whole(number).ok_or_else(|| misfit(ty, value))?);
        }
        (Type::Time(parts), Value::Number(number)) => {
            let time = whole(number).and_then(|ms| ms.checked_mul(*parts));
            put_signed(into, time.ok_or_else(|| misfit(ty, value))?);
        }
        (Type::Float, Value::Number(number)) => {
            let float = number.as_f64().ok_or_else(|| misfit(ty, value))?;
            into.extend_from_slice(&(float as f32).to_le_bytes());
        }
        (Type::Double, Value::Number(number)) => {
            let float = number.as_f64().ok_or_else(|| misfit(ty, value))?;
            into.extend_from_slice(&float.to_le_bytes());
        }
        (Type::Text, Value::String(text)) => put_text(text.as_bytes(), into),
        (Type::Bytes, Value::String(text)) => {
            put_text(&STANDARD.decode(text).map_err(|_| misfit(ty, value))?, into);
        }
        (Type::Fixed(size), Value::String(text)) => {
            let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == *size);
            into.extend_from_slice(&bytes.ok_or_else(|| misfit(ty, value))?);
        }
        (Type::Decimal(size, scale), Value::Number(number)) => {
            let digits = number.as_f64().and_then(|float| decimal(float, *scale, *size));
            let digits = digits.ok_or_else(|| misfit(ty, value))?;
            match size {
                Some(_) => into.extend_from_slice(&digits),
                None => put_text(&digits, into),
            }
        }
        (Type::Enum(symbols), Value::String(text)) => {
            let place = symbols.iter().position(|symbol| symbol == text);
            put_signed(into, place.ok_or_else(|| misfit(ty, value))? as i64);
        }
        (Type::Array(items), Value::Array(values)) => {
            if !values.is_empty() {
                put_signed(into, values.len() as i64);
            }
            values.iter().try_for_each(|value| put(schema, *items, value, into, depth + 1))?;
            put_signed(into, 0);
        }
        (Type::Map(items), Value::Object(members)) => {
            if !members.is_empty() {
                put_signed(into, members.len() as i64);
            }
            for (key, value) in members {
                put_text(key.as_bytes(), into);
                put(schema, *items, value, into, depth + 1).map_err(|why| within(key, &why))?;
            }
            put_signed(into, 0);
        }
        (Type::Record(fields), Value::Object(members)) => record(schema, fields, members, into, depth)?,
        (Type::Union(branches), value) => union(schema, branches, value, into, depth)?,
        _ => return Err(misfit(ty, value)),
    }
    Ok(())
}

fn record(
    schema: &Schema,
    fields: &[Field],
    members: &Map<String, Value>,
    into: &mut Vec<u8>,
    depth: usize,
) -> Result<(), String> {
    if let Some(unknown) = members.keys().find(|key| !fields.iter().any(|field| field.name == **key)) {
        return Err(format!("the schema has no field `{unknown}`"));
    }
    for field in fields {
        let value = members.get(&field.name).or(field.default.as_ref()).unwrap_or(&Value::Null);
        put(schema, field.ty, value, into, depth + 1).map_err(|why| within(&field.name, &why))?;
    }
    Ok(())
}

/// The first branch that takes the value.
fn union(
    schema: &Schema,
    branches: &[TypeId],
    value: &Value,
    into: &mut Vec<u8>,
    depth: usize,
) -> Result<(), String> {
    let start = into.len();
    let mut last = "a union without branches".to_owned();
    for (place, branch) in branches.iter().enumerate() {
        put_signed(into, place as i64);
        match put(schema, *branch, value, into, depth + 1) {
            Ok(()) => return Ok(()),
            Err(why) => last = why,
        }
        into.truncate(start);
    }
    Err(last)
}

fn within(field: &str, why: &str) -> String {
    match why.strip_prefix('`') {
        Some(rest) => format!("`{field}.{rest}"),
        None => format!("`{field}`: {why}"),
    }
}

fn misfit(ty: &Type, value: &Value) -> String {
    let wanted = match ty {
        Type::Null => "null",
        Type::Bool => "a boolean",
        Type::Long => "an integer",
        Type::Time(_) => "a time in milliseconds",
        Type::Float | Type::Double => "a number",
        Type::Decimal(..) => "a decimal that it holds",
        Type::Bytes => "bytes in base64",
        Type::Fixed(_) => "bytes of its length in base64",
        Type::Text => "text",
        Type::Enum(_) => "one of its symbols",
        Type::Array(_) => "a list",
        Type::Map(_) | Type::Record(_) => "a map",
        Type::Union(_) => "one of its types",
    };
    let mut shown = value.to_string();
    if shown.len() > 40 {
        shown.truncate((0..=40).rev().find(|at| shown.is_char_boundary(*at)).unwrap_or(0));
        shown.push('…');
    }
    format!("the schema wants {wanted}, not {shown}")
}

/// An integer, also one that is written as a float.
fn whole(number: &serde_json::Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT);
    number.as_i64().or_else(|| float().map(|float| float as i64))
}

fn put_text(bytes: &[u8], into: &mut Vec<u8>) {
    put_signed(into, bytes.len() as i64);
    into.extend_from_slice(bytes);
}

/// Two's complement, highest byte first: as short as it can be, or of that length.
fn decimal(value: f64, scale: i32, size: Option<usize>) -> Option<Vec<u8>> {
    let unscaled = (value * 10f64.powi(scale)).round();
    if unscaled.abs() >= 1.7e38 {
        return None;
    }
    let bytes = (unscaled as i128).to_be_bytes();
    let fill = if unscaled < 0.0 { 0xff } else { 0 };
    let is_needless = |pair: &[u8]| pair[0] == fill && (pair[1] ^ fill) & 0x80 == 0;
    let skipped = bytes.windows(2).take_while(|pair| is_needless(pair)).count();
    let shortest = &bytes[skipped..];
    match size {
        None => Some(shortest.to_vec()),
        Some(size) if shortest.len() > size => None,
        Some(size) => Some([vec![fill; size - shortest.len()], shortest.to_vec()].concat()),
    }
}
