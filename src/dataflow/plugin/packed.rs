//! Values of scripts as bytes, to be kept: as they are, whole numbers and floats told apart, texts byte by byte.

use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_signed};
use mlua::{Lua, Table, Value};

/// How deep tables may be inside one another.
const MAX_DEPTH: usize = 32;

/// Appends a value; the same value gives the same bytes in every machine.
///
/// # Errors
/// It is or holds a function, a coroutine or anything else that is no plain value, or is too large: a phrase.
pub fn pack(value: &Value, limit: usize, into: &mut Vec<u8>) -> Result<(), String> {
    let start = into.len();
    put(value, start + limit, 0, into)
}

fn put(value: &Value, limit: usize, depth: usize, into: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Value::Nil => into.push(0),
        Value::Boolean(truth) => into.push(1 + u8::from(*truth)),
        Value::Integer(int) => {
            into.push(3);
            put_signed(into, *int);
        }
        Value::Number(float) => {
            into.push(4);
            into.extend_from_slice(&float.to_bits().to_le_bytes());
        }
        Value::String(text) if into.len() + text.as_bytes().len() <= limit => {
            into.push(5);
            put_bytes(into, &text.as_bytes());
        }
        Value::String(_) => return Err(TOO_LARGE.to_owned()),
        Value::Table(table) if depth < MAX_DEPTH => {
            into.push(6);
            put_table(table, limit, depth + 1, into)?;
        }
        Value::Table(_) => return Err(format!("tables are nested deeper than {MAX_DEPTH}")),
        value if value.is_null() => into.push(7),
        other => return Err(format!("a {} cannot be kept", other.type_name())),
    }
    if into.len() <= limit { Ok(()) } else { Err(TOO_LARGE.to_owned()) }
}

const TOO_LARGE: &str = "it is too large to be kept";

/// The list in it, and then what has other keys, in the order of their bytes.
fn put_table(table: &Table, limit: usize, depth: usize, into: &mut Vec<u8>) -> Result<(), String> {
    let length = table.raw_len();
    put_number(into, length as u64);
    for index in 1..=length {
        let value: Value = table.raw_get(index).map_err(|error| error.to_string())?;
        put(&value, limit, depth, into)?;
    }
    let mut others: Vec<(Vec<u8>, Value)> = Vec::new();
    let mut room = limit.saturating_sub(into.len());
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        if key.as_integer().is_some_and(|key| key >= 1 && key as usize <= length) {
            continue;
        }
        let mut bytes = Vec::new();
        match key {
            Value::String(_) | Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => {
                put(&key, room, depth, &mut bytes)?;
            }
            other => return Err(format!("a {} as key cannot be kept", other.type_name())),
        }
        room = room.saturating_sub(bytes.len());
        others.push((bytes, value));
    }
    others.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    put_number(into, others.len() as u64);
    for (key, value) in others {
        into.extend_from_slice(&key);
        put(&value, limit, depth, into)?;
    }
    Ok(())
}

/// A value that was packed; nil where there is nothing.
pub fn unpack(lua: &Lua, bytes: &[u8]) -> mlua::Result<Value> {
    if bytes.is_empty() {
        return Ok(Value::Nil);
    }
    let mut from = Reader::new(bytes);
    let value = take(lua, &mut from, 0)?;
    from.finish().map_err(malformed)?;
    Ok(value)
}

fn malformed(Malformed(why): Malformed) -> mlua::Error {
    mlua::Error::runtime(format!("what was kept cannot be read: {why}"))
}

fn take(lua: &Lua, from: &mut Reader<'_>, depth: usize) -> mlua::Result<Value> {
    Ok(match from.byte().map_err(malformed)? {
        0 => Value::Nil,
        1 => Value::Boolean(false),
        2 => Value::Boolean(true),
        3 => Value::Integer(from.signed().map_err(malformed)?),
        4 => Value::Number(f64::from_bits(from.fixed().map_err(malformed)?)),
        5 => {
            let left = from.remaining();
            Value::String(lua.create_string(from.bytes(left).map_err(malformed)?)?)
        }
        6 if depth < MAX_DEPTH => {
            let table = lua.create_table()?;
            for index in 1..=from.count().map_err(malformed)? {
                table.raw_set(index, take(lua, from, depth + 1)?)?;
            }
            for _ in 0..from.count().map_err(malformed)? {
                let key = take(lua, from, depth + 1)?;
                table.raw_set(key, take(lua, from, depth + 1)?)?;
            }
            Value::Table(table)
        }
        7 => Value::NULL,
        _ => return Err(malformed(Malformed("a value of no kind that is known"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(lua: &Lua, expression: &str) -> Result<Vec<u8>, String> {
        let value: Value = lua.load(expression).eval().unwrap();
        let mut bytes = Vec::new();
        pack(&value, 1000, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn values_come_back_as_they_were() {
        let lua = Lua::new();
        let same = "local a, b = ...\n\
            local function same(a, b)\n\
              if math.type(a) ~= math.type(b) or type(a) ~= type(b) then return false end\n\
              if type(a) ~= 'table' then return a == b end\n\
              for k, v in pairs(a) do if not same(v, b[k]) then return false end end\n\
              for k in pairs(b) do if a[k] == nil then return false end end\n\
              return true\n\
            end\n\
            return same(a, b)";
        let same: mlua::Function = lua.load(same).into_function().unwrap();
        for text in [
            "nil",
            "true",
            "false",
            "-3",
            "2.0",
            "'a\\0\\255b'",
            "{}",
            "{1, 2.5, {'x'}}",
            "{n = 3, [true] = 1, [2.5] = 'y', [7] = {}, list = {1, 2}}",
        ] {
            let bytes = packed(&lua, text).unwrap();
            let value: Value = lua.load(text).eval().unwrap();
            let again = unpack(&lua, &bytes).unwrap();
            assert!(same.call::<bool>((value, again)).unwrap(), "{text}");
            assert_eq!(packed(&Lua::new(), text).unwrap(), bytes, "{text}");
        }
        assert!(unpack(&lua, b"").unwrap().is_nil());
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        let lua = Lua::new();
        for (text, why) in [
            ("print", "a function cannot be kept"),
            ("{ f = print }", "a function cannot be kept"),
            ("{ [print] = 1 }", "as key"),
            ("('x'):rep(2000)", "too large"),
            ("{ ('x'):rep(600), ('y'):rep(600) }", "too large"),
            ("(function() local t = {} for i = 1, 2000 do t['k' .. i] = 1 end return t end)()", "too large"),
            ("(function() local t = {} t.t = t return t end)()", "deeper than 32"),
        ] {
            let error = packed(&lua, text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        for bytes in [&b"\x09"[..], b"\x05\x40a", b"\x06\x7f", b"\x00\x00"] {
            assert!(unpack(&lua, bytes).is_err());
        }
    }
}
