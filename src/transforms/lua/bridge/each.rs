//! One event a call.

use super::{Crossing, give_all, take_all, type_name, unfold};
use crate::event::{Batch, Row};
use crate::transforms::lua::runner::Loaded;
use mlua::{Lua, ffi};
use std::ffi::c_int;

/// How far a list of events is.
#[derive(Default)]
pub(in crate::transforms::lua) struct Progress {
    /// The event at hand.
    pub(in crate::transforms::lua) at: usize,
    /// How many before it go on; they stand at the front.
    pub(in crate::transforms::lua) kept: usize,
    /// How many before it do not.
    pub(in crate::transforms::lua) dropped: u64,
}

/// Why the loop has ended.
pub(in crate::transforms::lua) enum Stop {
    /// There are no more events.
    End,
    /// What goes into the event at hand is not plain.
    GoesIn,
    /// What the script has made of the event at hand is not plain. It stands in the table.
    ComesOut,
    /// The script has gone over its budget.
    Breach,
    /// What it gave is no event.
    Odd(&'static str),
}

impl Progress {
    /// The event at hand goes on.
    pub(in crate::transforms::lua) fn keep(&mut self, rows: &mut [Row]) {
        rows[self.kept] = rows[self.at];
        self.kept += 1;
        self.at += 1;
    }

    /// The event at hand does not go on, since the script said so.
    pub(in crate::transforms::lua) fn drop(&mut self) {
        self.dropped += 1;
        self.at += 1;
    }
}

/// Runs the script for the event at hand and those behind it, inside a call of the machine.
///
/// # Errors
/// What the script raised for the event at hand.
pub(in crate::transforms::lua) fn run(
    lua: &Lua,
    loaded: &Loaded,
    crossing: Crossing<'_>,
    (batch, rows): (&mut Batch, &mut [Row]),
    progress: &mut Progress,
) -> mlua::Result<Stop> {
    let mut stop = Stop::End;
    // SAFETY: the frame is on the stack, as `cross` wants it. An error of the interpreter leaves `cross`, which has nothing
    // with a destructor, and is caught by `exec_raw`.
    unsafe {
        let (progress, stop) = (&mut *progress, &mut stop);
        lua.exec_raw::<()>(&loaded.frame, |state| {
            *stop = cross(state, loaded, crossing, (batch, rows), progress);
            ffi::lua_settop(state, 0);
        })?;
    }
    Ok(stop)
}

/// The loop.
///
/// # Safety
/// The state must be live and inside a protected call, with the frame alone on the stack: the function, the table, and the
/// names of `crossing`. Nothing here may have a destructor: an error of the interpreter jumps.
unsafe fn cross(
    state: *mut ffi::lua_State,
    loaded: &Loaded,
    crossing: Crossing<'_>,
    (batch, rows): (&mut Batch, &mut [Row]),
    progress: &mut Progress,
) -> Stop {
    let first = progress.at;
    let written = READS + crossing.reads.len() as c_int;
    // SAFETY: as the caller promises.
    unsafe {
        unfold(state, crossing);
        let itself = ffi::lua_topointer(state, TABLE);
        while progress.at < rows.len() {
            if progress.at > first && !loaded.machine.next_call() {
                return Stop::Breach;
            }
            let row = rows[progress.at];
            if !give_all(state, (TABLE, READS), crossing.reads, batch, row) {
                return Stop::GoesIn;
            }
            ffi::lua_pushvalue(state, FUNCTION);
            ffi::lua_pushvalue(state, TABLE);
            ffi::lua_call(state, 1, 1);
            let kind = ffi::lua_type(state, -1);
            let is_same = kind == ffi::LUA_TTABLE && ffi::lua_topointer(state, -1) == itself;
            let is_drop = !is_same && ffi::lua_toboolean(state, -1) == 0;
            ffi::lua_settop(state, -2);
            match (loaded.machine.is_within(), is_same, is_drop) {
                (false, ..) => return Stop::Breach,
                (true, true, _) => {
                    if !take_all(state, (TABLE, written), crossing.writes, batch, row) {
                        return Stop::ComesOut;
                    }
                    progress.keep(rows);
                }
                (true, false, true) => progress.drop(),
                (true, false, false) => return Stop::Odd(type_name(state, kind)),
            }
        }
    }
    Stop::End
}

/// Where things stand on the stack: above the frame.
const FUNCTION: c_int = 2;
const TABLE: c_int = 3;
const READS: c_int = 4;
