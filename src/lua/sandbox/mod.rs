//! What a script finds, and what it does not.
//!
//! A script has the functions of Lua's base, `coroutine`, `table`, `string`, `utf8` and `math` libraries that reach
//! nothing outside and can be stopped. Some are replaced: those that could catch a breach or run where the hook does
//! not (`guard`), and those whose one call can take long (`charged`).

mod charged;
mod guard;
mod log;
mod modules;
mod pattern;
mod tables;
mod text;

use super::meter::Meter;
use super::{Helper, LoadedFile, Script};
use mlua::{Function, Lua, MultiValue, Table, Value, ffi};
use std::sync::{Arc, Mutex};

/// Globals that reach files, other threads of output, or bytecode.
const ABSENT: [&str; 3] = ["dofile", "loadfile", "warn"];

/// Slots for references to values that the host has at the same time, made beforehand: when memory has run out, there is
/// none to make more.
const REFERENCES: usize = 256;

/// What calling a helper costs, in instructions, besides the texts that it works through.
const HELPER: u64 = 16;

/// Turns the globals of a fresh interpreter into those of a sandbox.
pub(super) fn install(
    lua: &Lua,
    script: &Script,
    helpers: &[Helper],
    read: &Arc<Mutex<Vec<LoadedFile>>>,
) -> mlua::Result<()> {
    let globals = lua.globals();
    for name in ABSENT {
        globals.raw_remove(name)?;
    }
    let string: Table = globals.raw_get("string")?;
    string.raw_remove("dump")?;
    guard::install(lua, &globals)?;
    charged::install(lua, &globals)?;
    text::install(lua, &string)?;
    let metatable = string_metatable(lua)?;
    charged::install_arithmetic(lua, &metatable)?;
    // So `getmetatable("")` shows nothing that could be changed.
    metatable.raw_set("__metatable", false)?;
    tables::install(lua, &globals)?;
    log::install(lua, &globals, script)?;
    // Chance comes from outside, if a script wants it: two runs over one input give one output.
    let math: Table = globals.raw_get("math")?;
    math.raw_get::<Function>("randomseed")?.call::<()>(0)?;
    math.raw_remove("randomseed")?;
    for helper in helpers {
        add(lua, &globals, helper)?;
    }
    modules::install(lua, &globals, script, read)?;
    let references: Vec<Table> = (0..REFERENCES).map(|_| lua.create_table()).collect::<Result<_, _>>()?;
    drop(references);
    Ok(())
}

/// Ends loading: no file is read from here on.
pub(super) fn seal(lua: &Lua) -> mlua::Result<()> {
    modules::seal(lua)
}

/// Adds a helper to its module.
fn add(lua: &Lua, globals: &Table, helper: &Helper) -> mlua::Result<()> {
    let module: Table = match globals.raw_get(helper.module)? {
        Value::Table(module) => module,
        _ => {
            let module = lua.create_table()?;
            globals.raw_set(helper.module, &module)?;
            module
        }
    };
    let call = helper.call.clone();
    let metered = move |lua: &Lua, args: MultiValue| {
        charge(lua, args.iter().map(length).sum())?;
        let result = call(lua, args)?;
        charge(lua, length(&result))?;
        Ok(result)
    };
    module.raw_set(helper.name, lua.create_function(metered)?)
}

/// Bytes of a text; what a table holds is charged by the memory it takes.
fn length(value: &Value) -> u64 {
    if let Value::String(text) = value { text.as_bytes().len() as u64 } else { 0 }
}

/// Counts what a helper does with so many bytes.
fn charge(lua: &Lua, bytes: u64) -> mlua::Result<()> {
    let cost = HELPER + bytes / charged::PER_INSTRUCTION;
    // SAFETY: the state is live: it calls the helper.
    let fits =
        lua.exec_raw_lua(|raw| unsafe { Meter::of(raw.state()).is_none_or(|meter| meter.charge(cost)) });
    if fits { Ok(()) } else { Err(mlua::Error::runtime("over the budget")) }
}

/// What all texts have in common.
fn string_metatable(lua: &Lua) -> mlua::Result<Table> {
    let text = lua.create_string("")?;
    // SAFETY: the text is on the stack, and texts have a metatable, which takes its place.
    unsafe {
        lua.exec_raw(text, |state| {
            ffi::lua_getmetatable(state, -1);
            ffi::lua_remove(state, -2);
        })
    }
}

/// A function of ours that stands for another, which it finds as its upvalue.
///
/// # Safety
/// The function must keep to what the interpreter asks of C functions; it may raise, so it must have no destructors.
unsafe fn replacing(lua: &Lua, function: ffi::lua_CFunction, original: Value) -> mlua::Result<Function> {
    // SAFETY: the original is on the stack, and becomes the upvalue.
    unsafe { lua.exec_raw(original, |state| ffi::lua_pushcclosure(state, function, 1)) }
}

/// Calls the function that the running one stands for, with the same arguments.
///
/// # Safety
/// Only from a function made by [`replacing`].
unsafe fn original(state: *mut ffi::lua_State) -> std::ffi::c_int {
    // SAFETY: the functions of the standard library know nothing of upvalues of their own where they are wrapped here.
    unsafe {
        match ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) {
            Some(function) => function(state),
            None => ffi::luaL_error(state, c"not a function".as_ptr()),
        }
    }
}
