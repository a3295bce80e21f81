//! Values of events as those of scripts, and back.
//!
//! Timestamps are whole milliseconds, texts and bytes are both strings of bytes, null is nil, and inside lists and maps the
//! light userdata that mlua calls `NULL`. A table whose keys are 1 to n is a list, also if it has none.

use crate::event::json::{self, write_float, write_int, write_string};
use crate::event::{Batch, Kind, Value};
use crate::expr::functions::MAX_VALUE_BYTES;
use mlua::{Lua, Table};

/// How deep lists and maps may be inside one another.
const MAX_DEPTH: usize = 64;

/// A value of an event for a script.
pub fn to_lua(lua: &Lua, batch: &Batch, value: Value) -> mlua::Result<mlua::Value> {
    Ok(match value.kind() {
        Kind::Null => mlua::Value::Nil,
        Kind::Bool => mlua::Value::Boolean(value.as_bool() == Some(true)),
        Kind::Int => mlua::Value::Integer(value.as_int().unwrap_or_default()),
        Kind::Timestamp => mlua::Value::Integer(value.as_timestamp().unwrap_or_default()),
        Kind::Float => mlua::Value::Number(value.as_float().unwrap_or_default()),
        Kind::Text | Kind::Bytes => mlua::Value::String(lua.create_string(batch.bytes(value))?),
        Kind::Json => from_json(lua, batch.bytes(value), 0)?,
    })
}

/// JSON text as tables.
fn from_json(lua: &Lua, text: &[u8], depth: usize) -> mlua::Result<mlua::Value> {
    if depth > MAX_DEPTH {
        return Err(mlua::Error::runtime(format!("a value is nested deeper than {MAX_DEPTH}")));
    }
    if let [b'[', ..] = text {
        let table = lua.create_table()?;
        for (index, element) in json::elements(text).enumerate() {
            table.raw_set(index + 1, from_json(lua, element, depth + 1)?)?;
        }
        return Ok(mlua::Value::Table(table));
    }
    if let [b'{', ..] = text {
        let table = lua.create_table()?;
        for (key, element) in json::entries(text) {
            table.raw_set(lua.create_string(key.as_ref())?, from_json(lua, element, depth + 1)?)?;
        }
        return Ok(mlua::Value::Table(table));
    }
    let mut arena = Vec::new();
    let value = json::to_value(text, &mut arena);
    let value = value.map_err(|_| mlua::Error::runtime("a number is beyond what can be computed with"))?;
    Ok(match value.kind() {
        Kind::Null => mlua::Value::NULL,
        Kind::Bool => mlua::Value::Boolean(value.as_bool() == Some(true)),
        Kind::Int => mlua::Value::Integer(value.as_int().unwrap_or_default()),
        Kind::Float => mlua::Value::Number(value.as_float().unwrap_or_default()),
        _ => mlua::Value::String(lua.create_string(&arena[value.span().range()])?),
    })
}

/// A script's value for a batch.
///
/// # Errors
/// It is none that an event can have, or too large: a phrase.
pub fn from_lua(value: &mlua::Value, batch: &mut Batch) -> Result<Value, String> {
    Ok(match value {
        mlua::Value::Nil => Value::NULL,
        mlua::Value::Boolean(truth) => Value::bool(*truth),
        mlua::Value::Integer(int) => Value::int(*int),
        mlua::Value::Number(float) if float.is_finite() => Value::float(*float),
        mlua::Value::Number(_) => return Err("gives a number that is not finite".to_owned()),
        mlua::Value::String(text) => {
            let bytes = text.as_bytes();
            if bytes.len() > MAX_VALUE_BYTES {
                return Err(TOO_LARGE.to_owned());
            }
            text_from_lua(&bytes, batch)
        }
        mlua::Value::Table(_) => {
            let mut text = Vec::new();
            write_json(value, 0, &mut text)?;
            Value::json(batch.store(&text))
        }
        value if value.is_null() => Value::NULL,
        other => return Err(format!("gives a {}, which no event can have", other.type_name())),
    })
}

/// A script's text for a batch, of at most [`MAX_VALUE_BYTES`].
pub fn text_from_lua(bytes: &[u8], batch: &mut Batch) -> Value {
    let span = batch.store(bytes);
    match std::str::from_utf8(bytes) {
        Ok(_) if json::is_plain(bytes) => Value::plain_text(span),
        Ok(_) => Value::text(span),
        Err(_) => Value::bytes(span),
    }
}

const TOO_LARGE: &str = "gives a value longer than 1 MiB";

fn write_json(value: &mlua::Value, depth: usize, into: &mut Vec<u8>) -> Result<(), String> {
    match value {
        mlua::Value::Boolean(truth) => into.extend_from_slice(if *truth { b"true" } else { b"false" }),
        mlua::Value::Integer(int) => write_int(*int, into),
        mlua::Value::Number(float) if float.is_finite() => write_float(*float, into),
        mlua::Value::Number(_) => return Err("gives a number that is not finite".to_owned()),
        mlua::Value::String(text) if into.len() + text.as_bytes().len() > MAX_VALUE_BYTES => {
            return Err(TOO_LARGE.to_owned());
        }
        mlua::Value::String(text) => match std::str::from_utf8(&text.as_bytes()) {
            Ok(text) => write_string(text.as_bytes(), into),
            Err(_) => json::write_base64(&text.as_bytes(), into),
        },
        mlua::Value::Table(_) if depth >= MAX_DEPTH => {
            return Err(format!("gives a value nested deeper than {MAX_DEPTH}"));
        }
        mlua::Value::Table(table) => write_table(table, depth + 1, into)?,
        value if value.is_null() || value.is_nil() => into.extend_from_slice(b"null"),
        other => return Err(format!("gives a {}, which no event can have", other.type_name())),
    }
    if into.len() > MAX_VALUE_BYTES { Err(TOO_LARGE.to_owned()) } else { Ok(()) }
}

fn write_table(table: &Table, depth: usize, into: &mut Vec<u8>) -> Result<(), String> {
    let length = table.raw_len();
    let mut entries: Vec<(Vec<u8>, mlua::Value)> = Vec::new();
    for pair in table.pairs::<mlua::Value, mlua::Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        match key {
            mlua::Value::Integer(index) if index >= 1 && index as usize <= length => {}
            mlua::Value::String(key) if std::str::from_utf8(&key.as_bytes()).is_ok() => {
                entries.push((key.as_bytes().to_vec(), value));
            }
            _ => return Err("gives a table whose keys are neither 1 to n nor texts".to_owned()),
        }
    }
    if length > 0 && !entries.is_empty() {
        return Err("gives a table that is a list and a map at once".to_owned());
    }
    let (open, close) = if entries.is_empty() { (b'[', b']') } else { (b'{', b'}') };
    into.push(open);
    for index in 1..=length {
        let element: mlua::Value = table.raw_get(index).map_err(|error| error.to_string())?;
        comma(index > 1, into);
        write_json(&element, depth, into)?;
    }
    // Tables have no order; maps of events do, and runs repeat.
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (index, (key, value)) in entries.iter().enumerate() {
        comma(index > 0, into);
        write_string(key, into);
        into.push(b':');
        write_json(value, depth, into)?;
    }
    into.push(close);
    Ok(())
}

fn comma(behind: bool, into: &mut Vec<u8>) {
    if behind {
        into.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::write_value;

    #[test]
    fn values_go_there_and_back() {
        let (lua, mut batch) = (Lua::new(), Batch::new(1, b""));
        for text in ["true", "-5", "2.0", "[1,2.5,null,\"ä\"]", "{\"a\":[],\"b\":{\"c\":null}}", "\"x\\\"y\""]
        {
            let mut arena = std::mem::take(&mut batch.arena);
            let value = json::to_value(text.as_bytes(), &mut arena).unwrap_or_else(|_| panic!("{text}"));
            batch.arena = arena;
            let value = to_lua(&lua, &batch, value).expect("a value");
            let again = from_lua(&value, &mut batch).expect("a value");
            let mut written = Vec::new();
            write_value(&batch, again, &mut written);
            assert_eq!(String::from_utf8(written).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_no_event_can_have_is_told() {
        let (lua, mut batch) = (Lua::new(), Batch::new(1, b""));
        for (text, why) in [
            ("0/0", "not finite"),
            ("print", "a function"),
            ("{ 1, a = 2 }", "a list and a map at once"),
            ("{ [2.5] = 2 }", "neither 1 to n nor texts"),
            ("(function() local t = {} t.t = t return t end)()", "nested deeper"),
            ("('x'):rep(2000000)", "longer than 1 MiB"),
        ] {
            let value: mlua::Value = lua.load(text).eval().expect("Lua");
            let error = from_lua(&value, &mut batch).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
