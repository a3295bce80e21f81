//! Events as tables of Lua, and back. Single values are those of [`crate::dataflow::plugin`].

use crate::dataflow::plugin::{from_lua, to_lua};
use crate::event::{Batch, Kind, Value, json};
use mlua::{Lua, Table};

/// A JSON map as a table: an event, whose nulls are nil.
pub(super) fn give_event(lua: &Lua, text: &[u8]) -> mlua::Result<Table> {
    let (table, mut batch) = (lua.create_table()?, Batch::new(0, b""));
    for (name, raw) in json::entries(text) {
        batch.clear();
        let value = json::to_value(raw, &mut batch.arena);
        let value =
            value.map_err(|_| mlua::Error::runtime(format!("a number in `{name}` is out of range")))?;
        table.raw_set(name.as_ref(), to_lua(lua, &batch, value)?)?;
    }
    Ok(table)
}

/// Whether a cell holds what Lua has of it.
pub(super) fn is_same(batch: &Batch, value: Value, now: &mlua::Value) -> bool {
    match now {
        mlua::Value::Nil => value.is_null(),
        mlua::Value::Boolean(now) => value.as_bool() == Some(*now),
        mlua::Value::Integer(now) => value.as_int().or(value.as_timestamp()) == Some(*now),
        mlua::Value::Number(now) => value.as_float().map(f64::to_bits) == Some(now.to_bits()),
        mlua::Value::String(now) => {
            matches!(value.kind(), Kind::Text | Kind::Bytes) && now.as_bytes() == batch.bytes(value)
        }
        _ => false,
    }
}

/// An event as the JSON text of a map.
///
/// # Errors
/// Why it is none.
pub(super) fn write_event(table: &Table, into: &mut Vec<u8>) -> Result<(), String> {
    let mut batch = Batch::new(0, b"");
    let value = from_lua(&mlua::Value::Table(table.clone()), &mut batch)?;
    match batch.bytes(value) {
        b"[]" => into.extend_from_slice(b"{}"),
        [b'[', ..] => return Err("gives a list where an event should be".to_owned()),
        text => into.extend_from_slice(text),
    }
    Ok(())
}
