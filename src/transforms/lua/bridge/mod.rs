//! The bridge for events that stay in their batch: one protected call of the interpreter for many of them.
//!
//! Fields go in and come out by the interpreter's own functions, through tables and names that were made beforehand
//! ([`each`], [`list`]). What is not plain (a list, a map, a result that is no event) is left to the ordinary way.

pub(super) mod each;
pub(super) mod list;

use super::plan::Write;
use crate::dataflow::plugin::text_from_lua;
use crate::event::{Batch, Kind, Row, Slot, Value};
use crate::expr::functions::MAX_VALUE_BYTES;
use mlua::ffi;
use std::ffi::{CStr, c_int};

/// What goes in, and what comes out.
#[derive(Clone, Copy)]
pub(super) struct Crossing<'a> {
    /// In the order of [`super::runner::Loaded::reads`].
    pub(super) reads: &'a [Option<Slot>],
    /// In the order of [`super::runner::Loaded::writes`].
    pub(super) writes: &'a [Write],
}

/// Room for what is pushed besides the frame's content.
const SPARE: c_int = 8;

/// Pushes what a frame holds: the function, a table, and the names of the fields.
///
/// # Safety
/// The state must be live and inside a protected call, with the frame at the bottom of the stack.
unsafe fn unfold(state: *mut ffi::lua_State, crossing: Crossing<'_>) {
    let held = (2 + crossing.reads.len() + crossing.writes.len()) as c_int;
    // SAFETY: as the caller promises.
    unsafe {
        ffi::luaL_checkstack(state, held + SPARE, c"too many fields".as_ptr());
        (1..=held).for_each(|i| _ = ffi::lua_rawgeti(state, 1, ffi::lua_Integer::from(i)));
    }
}

/// Puts the fields of an event into a table; false if one of them is not plain. `names` is where the names begin.
///
/// # Safety
/// The state must be live and inside a protected call, and the caller have nothing with a destructor: errors jump.
#[inline]
unsafe fn give_all(
    state: *mut ffi::lua_State,
    (table, names): (c_int, c_int),
    reads: &[Option<Slot>],
    batch: &Batch,
    row: Row,
) -> bool {
    (names..).zip(reads).all(|(name, slot)| {
        let value = slot.map_or(Value::NULL, |slot| batch.get(row, slot));
        // SAFETY: as the caller promises.
        unsafe { give(state, table, name, batch, value) }
    })
}

/// Puts a value into the table; false if it is not plain.
///
/// # Safety
/// As [`give_all`].
#[inline]
unsafe fn give(state: *mut ffi::lua_State, table: c_int, name: c_int, batch: &Batch, value: Value) -> bool {
    let kind = value.kind();
    if kind == Kind::Json {
        return false;
    }
    // SAFETY: as the caller promises.
    unsafe {
        ffi::lua_pushvalue(state, name);
        match kind {
            Kind::Bool => ffi::lua_pushboolean(state, c_int::from(value.as_bool() == Some(true))),
            Kind::Int => ffi::lua_pushinteger(state, value.as_int().unwrap_or_default()),
            Kind::Timestamp => ffi::lua_pushinteger(state, value.as_timestamp().unwrap_or_default()),
            Kind::Float => ffi::lua_pushnumber(state, value.as_float().unwrap_or_default()),
            Kind::Text | Kind::Bytes => {
                let bytes = batch.bytes(value);
                ffi::lua_pushlstring(state, bytes.as_ptr().cast(), bytes.len());
            }
            Kind::Null | Kind::Json => ffi::lua_pushnil(state),
        }
        ffi::lua_rawset(state, table);
    }
    true
}

/// Takes the fields that may have been written into the row; false if one of them is not plain.
///
/// # Safety
/// As [`give_all`].
#[inline]
unsafe fn take_all(
    state: *mut ffi::lua_State,
    (table, names): (c_int, c_int),
    writes: &[Write],
    batch: &mut Batch,
    row: Row,
) -> bool {
    for (name, write) in (names..).zip(writes) {
        let before = write.before.map_or(Value::NULL, |slot| batch.get(row, slot));
        // SAFETY: as the caller promises.
        let value = unsafe {
            ffi::lua_pushvalue(state, name);
            ffi::lua_rawget(state, table);
            let value = take(state, batch, before);
            ffi::lua_settop(state, -2);
            value
        };
        let Some(value) = value else { return false };
        batch.set(row, write.slot, value);
    }
    true
}

/// The value on top of the stack as a cell; None if it is not plain. What the event had stays what it was.
///
/// # Safety
/// As [`give_all`].
#[inline]
unsafe fn take(state: *mut ffi::lua_State, batch: &mut Batch, before: Value) -> Option<Value> {
    // SAFETY: as the caller promises; the text is on the stack while it is copied.
    unsafe {
        match ffi::lua_type(state, -1) {
            ffi::LUA_TNIL => Some(Value::NULL),
            ffi::LUA_TBOOLEAN => Some(Value::bool(ffi::lua_toboolean(state, -1) != 0)),
            ffi::LUA_TNUMBER if ffi::lua_isinteger(state, -1) != 0 => {
                let int = ffi::lua_tointegerx(state, -1, std::ptr::null_mut());
                // To a script a time is a number.
                Some(if before.as_timestamp() == Some(int) { before } else { Value::int(int) })
            }
            ffi::LUA_TNUMBER => {
                let float = ffi::lua_tonumberx(state, -1, std::ptr::null_mut());
                float.is_finite().then(|| Value::float(float))
            }
            ffi::LUA_TSTRING => {
                let mut length = 0;
                let start = ffi::lua_tolstring(state, -1, &mut length);
                let bytes = std::slice::from_raw_parts(start.cast::<u8>(), length);
                let is_same =
                    matches!(before.kind(), Kind::Text | Kind::Bytes) && batch.bytes(before) == bytes;
                match is_same {
                    true => Some(before),
                    false => (length <= MAX_VALUE_BYTES).then(|| text_from_lua(bytes, batch)),
                }
            }
            _ => None,
        }
    }
}

/// How a type is called.
unsafe fn type_name(state: *mut ffi::lua_State, kind: c_int) -> &'static str {
    // SAFETY: names of types are constants of the interpreter, in ASCII.
    unsafe { CStr::from_ptr(ffi::lua_typename(state, kind)) }.to_str().unwrap_or("value")
}
