//! Functions that could catch a breach, or run something where the hook does not come.
//!
//! - `pcall`, `xpcall`, `coroutine.resume`, `wrap` and `close` pass a breach on. An error that the hook raises leaves hooks
//!   switched off until it is caught: message handlers and the `__close` of a coroutine would run without any. So
//!   handlers are not called after a breach, and coroutines not closed.
//! - Finalisers run without hooks: `setmetatable` refuses `__gc`.
//! - `load` takes text only.

use super::super::meter::{Meter, raise};
use super::{original, replacing};
use crate::lua::FaultKind;
use mlua::{Function, Lua, Table, Value, ffi};
use std::ffi::c_int;

/// Written in Lua: it needs no more than the functions that are guarded already.
const WRAP: &str = "
local create, resume, close, error, status = ...
local function finish(co, ok, ...)
  if ok then return ... end
  close(co)
  error(..., 0)
end
return function(f)
  local co = create(f)
  return function(...) return finish(co, resume(co, ...)) end
end";

/// Replaces the functions.
pub(super) fn install(lua: &Lua, globals: &Table) -> mlua::Result<()> {
    let coroutine: Table = globals.raw_get("coroutine")?;
    let replace = |table: &Table, name: &str, function| {
        let original: Value = table.raw_get(name)?;
        // SAFETY: the functions below have no destructors.
        table.raw_set(name, unsafe { replacing(lua, function, original) }?)
    };
    replace(globals, "pcall", pcall)?;
    replace(globals, "xpcall", xpcall)?;
    replace(globals, "setmetatable", setmetatable)?;
    replace(globals, "load", load)?;
    replace(globals, "collectgarbage", collectgarbage)?;
    replace(&coroutine, "create", create)?;
    replace(&coroutine, "resume", resume)?;
    replace(&coroutine, "close", close)?;
    let get = |name: &str| coroutine.raw_get::<Function>(name);
    let error: Function = globals.raw_get("error")?;
    let parts = (get("create")?, get("resume")?, get("close")?, error);
    coroutine.raw_set("wrap", lua.load(WRAP).set_name("=[sandbox]").call::<Function>(parts)?)
}

/// Raises if a budget was exceeded.
unsafe fn pass_breach(state: *mut ffi::lua_State) {
    // SAFETY: the state is live, and nothing here has a destructor.
    unsafe {
        if Meter::of(state).is_some_and(|meter| meter.breach().is_some()) {
            raise(state);
        }
    }
}

/// What must hold before a script sees an error, which is on top of the stack.
unsafe fn seen(state: *mut ffi::lua_State, status: c_int) {
    // SAFETY: the state is live, with an error on top; nothing here has a destructor.
    unsafe {
        if status == ffi::LUA_ERRMEM
            && let Some(meter) = Meter::of(state)
        {
            meter.breached(FaultKind::Memory);
        }
        pass_breach(state);
        readable(state);
    }
}

/// Turns an error of ours on top of the stack into text: scripts get no userdata to look into. The traceback behind it is
/// left out.
unsafe fn readable(state: *mut ffi::lua_State) {
    // SAFETY: the state is live, with a value on top; the text stays on the stack until its part is copied.
    unsafe {
        if ffi::lua_type(state, -1) != ffi::LUA_TUSERDATA {
            return;
        }
        let mut length = 0;
        let start = ffi::luaL_tolstring(state, -1, &mut length);
        let text = std::slice::from_raw_parts(start.cast::<u8>(), length);
        let text = text.strip_prefix(b"runtime error: ").unwrap_or(text);
        let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
        ffi::lua_pushlstring(state, text.as_ptr().cast(), end);
        ffi::lua_replace(state, -3);
        ffi::lua_pop(state, 1);
    }
}

unsafe extern "C-unwind" fn pcall(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter; nothing here has a destructor. Below the function is `true`, for success.
    unsafe {
        pass_breach(state);
        ffi::luaL_checkany(state, 1);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_insert(state, 1);
        let args = ffi::lua_gettop(state) - 2;
        let status = ffi::lua_pcallk(state, args, ffi::LUA_MULTRET, 0, 0, Some(finish));
        finish(state, status, 0)
    }
}

unsafe extern "C-unwind" fn xpcall(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `pcall`. The stack is: function, handler, arguments; it becomes: function, handler, true, function,
    // arguments. `2` tells `finish` what to leave out.
    unsafe {
        ffi::luaL_checktype(state, 2, ffi::LUA_TFUNCTION);
        let args = ffi::lua_gettop(state) - 2;
        ffi::lua_pushvalue(state, 2);
        ffi::lua_pushcclosure(state, handler, 1);
        ffi::lua_replace(state, 2);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_pushvalue(state, 1);
        ffi::lua_rotate(state, 3, 2);
        let status = ffi::lua_pcallk(state, args, ffi::LUA_MULTRET, 2, 2, Some(finish));
        finish(state, status, 2)
    }
}

/// Calls the handler of a script, unless a budget was exceeded.
unsafe extern "C-unwind" fn handler(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter with the error.
    unsafe {
        if Meter::of(state).is_some_and(|meter| meter.breach().is_some()) {
            return 1;
        }
        readable(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, -2);
        ffi::lua_call(state, 1, 1);
        1
    }
}

/// What `pcall` and `xpcall` return.
unsafe extern "C-unwind" fn finish(
    state: *mut ffi::lua_State,
    status: c_int,
    below: ffi::lua_KContext,
) -> c_int {
    // SAFETY: called with what the call has left on the stack.
    unsafe {
        if status == ffi::LUA_OK || status == ffi::LUA_YIELD {
            return ffi::lua_gettop(state) - below as c_int;
        }
        seen(state, status);
        ffi::lua_pushboolean(state, 0);
        ffi::lua_insert(state, -2);
        2
    }
}

/// Making a coroutine costs what it may run before the hook looks at it for the first time.
unsafe extern "C-unwind" fn create(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        charge(state, super::super::meter::INTERVAL as u64);
        original(state)
    }
}

unsafe extern "C-unwind" fn resume(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter. On failure, `false` and the error are on top.
    unsafe {
        charge(state, 1);
        let results = original(state);
        let thread = ffi::lua_tothread(state, 1);
        let status = if thread.is_null() { ffi::LUA_OK } else { ffi::lua_status(thread) };
        if ffi::lua_toboolean(state, -results) == 0 {
            seen(state, status);
        } else {
            pass_breach(state);
        }
        results
    }
}

unsafe extern "C-unwind" fn close(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        pass_breach(state);
        let results = original(state);
        pass_breach(state);
        if results == 2 {
            readable(state);
        }
        results
    }
}

unsafe extern "C-unwind" fn setmetatable(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        if ffi::lua_type(state, 2) == ffi::LUA_TTABLE {
            ffi::lua_pushstring(state, c"__gc".as_ptr());
            if ffi::lua_rawget(state, 2) != ffi::LUA_TNIL {
                ffi::luaL_error(state, c"`__gc` is not offered to plugins".as_ptr());
            }
            ffi::lua_pop(state, 1);
        }
        original(state)
    }
}

unsafe extern "C-unwind" fn load(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter. The mode is always "t".
    unsafe {
        pass_breach(state);
        if ffi::lua_type(state, 1) != ffi::LUA_TSTRING {
            ffi::luaL_error(state, c"`load` takes a text".as_ptr());
        }
        charge(state, ffi::lua_rawlen(state, 1) as u64);
        if ffi::lua_gettop(state) < 3 {
            ffi::lua_settop(state, 3);
        }
        ffi::lua_pushstring(state, c"t".as_ptr());
        ffi::lua_replace(state, 3);
        original(state)
    }
}

unsafe extern "C-unwind" fn collectgarbage(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter; the text is compared before anything can move it.
    unsafe {
        let what = ffi::luaL_optlstring(state, 1, c"collect".as_ptr(), std::ptr::null_mut());
        if std::ffi::CStr::from_ptr(what) != c"count" {
            ffi::luaL_error(state, c"`collectgarbage` is offered for \"count\" only".as_ptr());
        }
        ffi::lua_settop(state, 1);
        original(state)
    }
}

/// Counts work, and raises if that was too much.
///
/// # Safety
/// As [`raise`].
pub(super) unsafe fn charge(state: *mut ffi::lua_State, cost: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        if Meter::of(state).is_some_and(|meter| !meter.charge(cost)) {
            raise(state);
        }
    }
}
