//! Many events a call, whose list comes back as it was.

use super::{Crossing, give_all, take_all, type_name, unfold};
use crate::event::{Batch, Row};
use crate::transforms::lua::runner::Loaded;
use mlua::{Lua, Table, ffi};
use std::ffi::c_int;

/// Where things stand on the stack: above the frame and the pool.
const POOL: c_int = 2;
const READS: c_int = 5;
/// Where the list stands, above the pool.
const LIST: c_int = 2;

/// How many events are given at once: their tables stay in the cache.
pub(in crate::transforms::lua) const MOST: usize = 128;

/// What a call gave.
pub(in crate::transforms::lua) enum Given {
    /// The list.
    List,
    /// Nothing.
    Nothing,
    /// A list of other events, which its text does not show.
    Changed,
    /// What is no list.
    Odd(&'static str),
}

/// The table of an event.
///
/// # Errors
/// There is none.
pub(in crate::transforms::lua) fn table(loaded: &Loaded, index: usize) -> mlua::Result<Table> {
    loaded.pool.raw_get(index + 1)
}

/// Puts the fields of events into their tables, from one of them on. Returns the first of which one is not plain, or how many
/// there are.
///
/// # Errors
/// There is no memory.
pub(in crate::transforms::lua) fn fill(
    lua: &Lua,
    loaded: &Loaded,
    crossing: Crossing<'_>,
    (batch, rows): (&Batch, &[Row]),
    at: usize,
) -> mlua::Result<usize> {
    let fields = (crossing.reads.len() + crossing.writes.len()) as c_int;
    // SAFETY: what is done keeps to what `each_table` promises, and has no destructor.
    unsafe {
        each_table(lua, loaded, crossing, (rows, at), |state, number, row| {
            if ffi::lua_type(state, -1) != ffi::LUA_TTABLE {
                ffi::lua_settop(state, -2);
                ffi::lua_createtable(state, 0, fields);
                ffi::lua_pushvalue(state, -1);
                ffi::lua_rawseti(state, POOL, number);
            }
            give_all(state, (ffi::lua_gettop(state), READS), crossing.reads, batch, row)
        })
    }
}

/// Does something with each row, from one of them on, until it says no: returns the row where it did, or how many there are.
/// What is done finds on the stack the frame, the pool, what the frame holds, and what the pool holds for the row, and it is
/// told the place of that in the pool.
///
/// # Errors
/// What is done raises one.
///
/// # Safety
/// What is done must be sound on such a stack, inside a protected call, and have nothing with a destructor: errors jump.
#[inline]
unsafe fn each_table(
    lua: &Lua,
    loaded: &Loaded,
    crossing: Crossing<'_>,
    (rows, mut at): (&[Row], usize),
    mut act: impl FnMut(*mut ffi::lua_State, ffi::lua_Integer, Row) -> bool,
) -> mlua::Result<usize> {
    let reached = &mut at;
    // SAFETY: the frame and the pool are on the stack. Nothing in there has a destructor.
    unsafe {
        lua.exec_raw::<()>((&loaded.frame, &loaded.pool), |state| {
            unfold(state, crossing);
            let top = ffi::lua_gettop(state);
            while let Some(&row) = rows.get(*reached) {
                let number = *reached as ffi::lua_Integer + 1;
                ffi::lua_rawgeti(state, POOL, number);
                if !act(state, number, row) {
                    break;
                }
                ffi::lua_settop(state, top);
                *reached += 1;
            }
            ffi::lua_settop(state, 0);
        })?;
    }
    Ok(at)
}

/// Calls the script with the list of the first tables. It cannot put others there: its text would show that, and the step then
/// makes events anew.
///
/// # Errors
/// What it raised.
pub(in crate::transforms::lua) fn call(lua: &Lua, loaded: &Loaded, events: usize) -> mlua::Result<Given> {
    let (mut given, events) = (Given::Nothing, events as ffi::lua_Integer);
    let found = &mut given;
    // SAFETY: the pool, the list and the function are on the stack. Nothing in there has a destructor.
    unsafe {
        lua.exec_raw::<()>((&loaded.pool, &loaded.list, &loaded.entry), |state| {
            let held = ffi::lua_rawlen(state, LIST) as ffi::lua_Integer;
            for i in held + 1..=events {
                ffi::lua_rawgeti(state, 1, i);
                ffi::lua_rawseti(state, LIST, i);
            }
            for i in (events + 1..=held).rev() {
                ffi::lua_pushnil(state);
                ffi::lua_rawseti(state, LIST, i);
            }
            ffi::lua_pushvalue(state, LIST);
            ffi::lua_call(state, 1, 1);
            let kind = ffi::lua_type(state, -1);
            *found = if ffi::lua_toboolean(state, -1) == 0 {
                Given::Nothing
            } else if kind != ffi::LUA_TTABLE {
                Given::Odd(type_name(state, kind))
            } else if ffi::lua_rawequal(state, -1, LIST) != 0
                && ffi::lua_rawlen(state, LIST) as ffi::lua_Integer == events
            {
                Given::List
            } else {
                Given::Changed
            };
            ffi::lua_settop(state, 0);
        })?;
    }
    Ok(given)
}

/// Takes the fields that may have been written into the rows, from one of them on. Returns the first of which one is not
/// plain, or how many there are.
///
/// # Errors
/// There is no memory.
pub(in crate::transforms::lua) fn take(
    lua: &Lua,
    loaded: &Loaded,
    crossing: Crossing<'_>,
    (batch, rows): (&mut Batch, &[Row]),
    at: usize,
) -> mlua::Result<usize> {
    let written = READS + crossing.reads.len() as c_int;
    // SAFETY: as in `fill`.
    unsafe {
        each_table(lua, loaded, crossing, (rows, at), |state, _, row| {
            take_all(state, (ffi::lua_gettop(state), written), crossing.writes, batch, row)
        })
    }
}
