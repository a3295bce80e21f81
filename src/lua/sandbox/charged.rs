//! Functions of the standard library that work through texts or lists: they are charged for that before they begin.

use super::guard::charge;
use super::{original, replacing};
use mlua::{Function, Lua, Table, Value, ffi};
use std::ffi::c_int;

/// How many bytes of text are an instruction.
pub(super) const PER_INSTRUCTION: u64 = 16;

/// Lua's own `table.sort` chooses by the clock, and compares without end if texts are long. This one is a merge sort: stable,
/// the same on every run, and made of instructions.
const SORT: &str = "
local error, type = ...
local function less(a, b) return a < b end
return function(list, before)
  if type(list) ~= 'table' then error('table.sort takes a table', 2) end
  if before ~= nil and type(before) ~= 'function' then error('table.sort takes a function to compare', 2) end
  before = before or less
  local n, from, to, width = #list, {}, {}, 1
  for i = 1, n do from[i] = list[i] end
  while width < n do
    for first = 1, n, 2 * width do
      local middle, last = first + width, first + 2 * width - 1
      if last > n then last = n end
      local a, b = first, middle
      for k = first, last do
        if b > last or a < middle and not before(from[b], from[a]) then
          to[k], a = from[a], a + 1
        else
          to[k], b = from[b], b + 1
        end
      end
    end
    from, to, width = to, from, 2 * width
  end
  for i = 1, n do list[i] = from[i] end
end";

/// Functions charged by the length of the texts among their arguments.
const BY_TEXTS: [(&str, &[&str]); 4] = [
    ("_G", &["tostring", "tonumber"]),
    (
        "string",
        &["byte", "char", "format", "len", "lower", "upper", "reverse", "sub", "pack", "unpack", "packsize"],
    ),
    ("utf8", &["char", "codepoint", "len", "offset"]),
    ("table", &["pack"]),
];

/// Functions charged by the part of a list that they go through.
const BY_LIST: [(&str, ffi::lua_CFunction); 5] =
    [("concat", concat), ("insert", insert), ("remove", remove), ("move", move_), ("unpack", unpack)];

/// Replaces the functions.
pub(super) fn install(lua: &Lua, globals: &Table) -> mlua::Result<()> {
    let replace = |table: &Table, name: &str, function| {
        let original: Value = table.raw_get(name)?;
        // SAFETY: the functions below have no destructors.
        table.raw_set(name, unsafe { replacing(lua, function, original) }?)
    };
    for (module, names) in BY_TEXTS {
        let module: Table = globals.raw_get(module)?;
        for name in names {
            replace(&module, name, by_texts)?;
        }
    }
    replace(&globals.raw_get("string")?, "rep", rep)?;
    let table: Table = globals.raw_get("table")?;
    for (name, function) in BY_LIST {
        replace(&table, name, function)?;
    }
    let parts: (Function, Function) = (globals.raw_get("error")?, globals.raw_get("type")?);
    table.raw_set("sort", lua.load(SORT).set_name("=[sandbox]").call::<Function>(parts)?)
}

/// The same for what texts do in arithmetic: `"10" + 1` reads the text as a number.
pub(super) fn install_arithmetic(lua: &Lua, metatable: &Table) -> mlua::Result<()> {
    for name in ["__add", "__sub", "__mul", "__mod", "__pow", "__div", "__idiv", "__unm"] {
        let original: Value = metatable.raw_get(name)?;
        // SAFETY: `by_texts` has no destructors.
        metatable.raw_set(name, unsafe { replacing(lua, by_texts, original) }?)?;
    }
    Ok(())
}

unsafe extern "C-unwind" fn by_texts(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        let count = ffi::lua_gettop(state);
        let length = |index| match ffi::lua_type(state, index) {
            ffi::LUA_TSTRING => ffi::lua_rawlen(state, index) as u64,
            _ => 0,
        };
        let bytes = (1..=count).map(length).fold(0, u64::saturating_add);
        charge(state, 1 + count as u64 / 4 + bytes / PER_INSTRUCTION);
        original(state)
    }
}

/// Goes round for each repetition, also of nothing.
unsafe extern "C-unwind" fn rep(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        let (mut text, mut between) = (0, 0);
        ffi::luaL_checklstring(state, 1, &mut text);
        let count = u64::try_from(ffi::luaL_checkinteger(state, 2)).unwrap_or(0);
        ffi::luaL_optlstring(state, 3, c"".as_ptr(), &mut between);
        let bytes = count.saturating_mul((text + between) as u64);
        charge(state, 1 + (bytes / PER_INSTRUCTION).saturating_add(count / 4));
        original(state)
    }
}

/// The length of the list that is the first argument. With a `__len`, its length would be asked a second time, and could
/// be another.
unsafe fn list(state: *mut ffi::lua_State) -> i64 {
    // SAFETY: called by the interpreter.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        if ffi::luaL_getmetafield(state, 1, c"__len".as_ptr()) != ffi::LUA_TNIL {
            ffi::luaL_error(state, c"functions of `table` take no tables with `__len` here".as_ptr());
        }
        ffi::lua_rawlen(state, 1) as i64
    }
}

/// An argument that may be left out.
unsafe fn place(state: *mut ffi::lua_State, index: c_int, otherwise: i64) -> i64 {
    // SAFETY: called by the interpreter.
    unsafe { ffi::luaL_optinteger(state, index, otherwise) }
}

/// Charges for the places from one to another, and does it.
unsafe fn through(state: *mut ffi::lua_State, first: i64, last: i64) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        let places = (i128::from(last) - i128::from(first) + 1).clamp(0, i128::from(u64::MAX)) as u64;
        charge(state, places.saturating_add(1));
        original(state)
    }
}

unsafe extern "C-unwind" fn concat(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        let length = list(state);
        through(state, place(state, 3, 1), place(state, 4, length))
    }
}

unsafe extern "C-unwind" fn unpack(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        let length = list(state);
        through(state, place(state, 2, 1), place(state, 3, length))
    }
}

unsafe extern "C-unwind" fn insert(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter. Without a place it goes behind the last.
    unsafe {
        let length = list(state);
        let at = if ffi::lua_gettop(state) == 3 { ffi::luaL_checkinteger(state, 2) } else { length };
        through(state, at, length)
    }
}

unsafe extern "C-unwind" fn remove(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        let length = list(state);
        through(state, place(state, 2, length), length)
    }
}

unsafe extern "C-unwind" fn move_(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe { through(state, ffi::luaL_checkinteger(state, 2), ffi::luaL_checkinteger(state, 3)) }
}
