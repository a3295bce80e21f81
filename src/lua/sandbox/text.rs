//! `string.find`, `match`, `gmatch` and `gsub`, over the matcher that can be stopped.

use super::charged::PER_INSTRUCTION;
use super::guard::charge;
use super::pattern::{Capture, Extent, Matcher, Stop};
use crate::lua::meter::Meter;
use mlua::{Lua, Table, ffi};
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

/// Bytes that make a text a pattern.
const SPECIAL: &[u8] = b"^$*+?.([%-";
/// How many steps of a matcher are an instruction.
const STEPS: u64 = 4;

/// Replaces the functions.
pub(super) fn install(lua: &Lua, string: &Table) -> mlua::Result<()> {
    let functions: [(&str, ffi::lua_CFunction); 4] =
        [("find", find), ("match", first_match), ("gmatch", gmatch), ("gsub", gsub)];
    for (name, function) in functions {
        // SAFETY: the functions below have no destructors that an error would leave out.
        string.raw_set(name, unsafe { lua.create_c_function(function) }?)?;
    }
    Ok(())
}

/// A text among the arguments. It lives as long as it stays on the stack.
unsafe fn text<'a>(state: *mut ffi::lua_State, index: c_int) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: the interpreter gives so many bytes; callers leave the value where it is.
    unsafe {
        let start = ffi::luaL_checklstring(state, index, &mut length);
        std::slice::from_raw_parts(start.cast::<u8>(), length)
    }
}

/// Where a search begins, counted from zero: the argument counts from one, or from the end.
unsafe fn start(state: *mut ffi::lua_State, index: c_int, length: usize) -> usize {
    // SAFETY: called with a live state.
    match unsafe { ffi::luaL_optinteger(state, index, 1) } {
        place @ 1.. => usize::try_from(place - 1).unwrap_or(usize::MAX),
        0 => 0,
        behind => length.saturating_sub(usize::try_from(behind.unsigned_abs()).unwrap_or(usize::MAX)),
    }
}

/// How many steps a matcher may take.
unsafe fn steps(state: *mut ffi::lua_State) -> u64 {
    // SAFETY: called with a live state.
    let left = unsafe { Meter::of(state) }.map_or(i64::MAX, Meter::left);
    u64::try_from(left).unwrap_or(0).saturating_mul(STEPS)
}

/// A matcher that may use what is left of the budget, and whether the pattern is anchored.
unsafe fn matcher<'a>(
    state: *mut ffi::lua_State,
    subject: &'a [u8],
    pattern: &'a [u8],
) -> (Matcher<'a>, bool) {
    // SAFETY: called with a live state.
    let left = unsafe { steps(state) };
    let (anchored, pattern) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        whole => (false, whole),
    };
    (Matcher::new(subject, pattern, left), anchored)
}

/// Counts what a matcher did, given the steps that it had, and raises what stopped it.
unsafe fn settle<T>(state: *mut ffi::lua_State, before: u64, after: u64, found: Result<T, Stop>) -> T
where
    T: Copy + Default,
{
    // SAFETY: called from a function of the interpreter; nothing here has a destructor.
    unsafe {
        match found {
            Ok(found) => {
                charge(state, 1 + (before - after) / STEPS);
                found
            }
            Err(Stop::Steps) => {
                charge(state, before / STEPS + 1);
                // Outside of a budget, the steps are as good as endless.
                ffi::luaL_error(state, c"pattern takes too many steps".as_ptr());
                T::default()
            }
            Err(Stop::Pattern(why)) => {
                ffi::luaL_error(state, c"%s".as_ptr(), why.as_ptr());
                T::default()
            }
        }
    }
}

unsafe extern "C-unwind" fn find(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe { search(state, true) }
}

unsafe extern "C-unwind" fn first_match(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe { search(state, false) }
}

/// The first match: `find` gives places and captures, `match` captures or the whole.
unsafe fn search(state: *mut ffi::lua_State, is_find: bool) -> c_int {
    // SAFETY: the arguments stay on the stack; nothing here has a destructor.
    unsafe {
        let (subject, pattern) = (text(state, 1), text(state, 2));
        let from = start(state, 3, subject.len());
        if from > subject.len() {
            ffi::lua_pushnil(state);
            return 1;
        }
        let is_plain = |pattern: &[u8]| !pattern.iter().any(|byte| SPECIAL.contains(byte));
        if is_find && (ffi::lua_toboolean(state, 4) != 0 || is_plain(pattern)) {
            return plain(state, subject, pattern, from);
        }
        let (mut matcher, anchored) = matcher(state, subject, pattern);
        let before = matcher.steps;
        let found = matcher.search(from, anchored);
        let Some((begin, end)) = settle(state, before, matcher.steps, found) else {
            ffi::lua_pushnil(state);
            return 1;
        };
        if !is_find {
            return push_captures(state, subject, matcher.captures(), Some((begin, end)));
        }
        ffi::lua_pushinteger(state, begin as i64 + 1);
        ffi::lua_pushinteger(state, end as i64);
        push_captures(state, subject, matcher.captures(), None) + 2
    }
}

/// Finds a text in a text.
unsafe fn plain(state: *mut ffi::lua_State, subject: &[u8], wanted: &[u8], from: usize) -> c_int {
    // SAFETY: called from a function of the interpreter.
    unsafe {
        charge(state, 1 + (subject.len() - from + wanted.len()) as u64 / PER_INSTRUCTION);
        let Some(found) = memchr::memmem::find(&subject[from..], wanted) else {
            ffi::lua_pushnil(state);
            return 1;
        };
        ffi::lua_pushinteger(state, (from + found) as i64 + 1);
        ffi::lua_pushinteger(state, (from + found + wanted.len()) as i64);
        2
    }
}

/// Pushes all captures; without any, the whole match if it is given. Returns how many.
unsafe fn push_captures(
    state: *mut ffi::lua_State,
    subject: &[u8],
    captures: &[Capture],
    whole: Option<(usize, usize)>,
) -> c_int {
    // SAFETY: called from a function of the interpreter.
    unsafe {
        ffi::luaL_checkstack(state, captures.len() as c_int + 1, c"too many captures".as_ptr());
        if captures.is_empty() {
            let Some((begin, end)) = whole else { return 0 };
            push(state, &subject[begin..end]);
            return 1;
        }
        for capture in captures {
            push_capture(state, subject, *capture);
        }
        captures.len() as c_int
    }
}

unsafe fn push_capture(state: *mut ffi::lua_State, subject: &[u8], capture: Capture) {
    let Capture { start, extent } = capture;
    // SAFETY: called from a function of the interpreter.
    unsafe {
        match extent {
            Extent::Place => ffi::lua_pushinteger(state, start as i64 + 1),
            Extent::Length(length) => push(state, &subject[start..start + length]),
            Extent::Open => {
                ffi::luaL_error(state, c"unfinished capture".as_ptr());
            }
        }
    }
}

unsafe fn push(state: *mut ffi::lua_State, bytes: &[u8]) {
    // SAFETY: the interpreter copies the bytes.
    unsafe { ffi::lua_pushlstring(state, bytes.as_ptr().cast::<c_char>(), bytes.len()) };
}

/// Gives an iterator that keeps in its upvalues: the text, the pattern, where it goes on, and where the last match ended.
unsafe extern "C-unwind" fn gmatch(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        let subject = text(state, 1);
        text(state, 2);
        let from = start(state, 3, subject.len()).min(subject.len() + 1);
        ffi::lua_settop(state, 2);
        ffi::lua_pushinteger(state, from as i64);
        ffi::lua_pushinteger(state, -1);
        ffi::lua_pushcclosure(state, next_match, 4);
        1
    }
}

unsafe extern "C-unwind" fn next_match(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter, with the upvalues that `gmatch` gave.
    unsafe {
        let upvalue = ffi::lua_upvalueindex;
        let (subject, pattern) = (text(state, upvalue(1)), text(state, upvalue(2)));
        let mut from = ffi::lua_tointegerx(state, upvalue(3), std::ptr::null_mut()) as usize;
        let last = ffi::lua_tointegerx(state, upvalue(4), std::ptr::null_mut());
        // An anchor means nothing here: `^` is a byte as others.
        let mut matcher = Matcher::new(subject, pattern, steps(state));
        let before = matcher.steps;
        while from <= subject.len() {
            let found = matcher.search(from, false);
            // What was spent is counted once, at the end.
            let Some((begin, end)) = (match found {
                Ok(found) => found,
                stopped => settle(state, before, matcher.steps, stopped),
            }) else {
                break;
            };
            if end as i64 == last {
                from = begin + 1;
                continue;
            }
            charge(state, 1 + (before - matcher.steps) / STEPS);
            for place in [3, 4] {
                ffi::lua_pushinteger(state, end as i64);
                ffi::lua_replace(state, upvalue(place));
            }
            return push_captures(state, subject, matcher.captures(), Some((begin, end)));
        }
        charge(state, 1 + (before - matcher.steps) / STEPS);
        0
    }
}

unsafe extern "C-unwind" fn gsub(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the interpreter. The buffer may have a value on the stack, so all else that is pushed here is
    // taken off before the buffer is used again. It has no destructor.
    unsafe {
        let (subject, pattern) = (text(state, 1), text(state, 2));
        let kind = ffi::lua_type(state, 3);
        let kinds = [ffi::LUA_TNUMBER, ffi::LUA_TSTRING, ffi::LUA_TTABLE, ffi::LUA_TFUNCTION];
        if !kinds.contains(&kind) {
            ffi::luaL_argerror(state, 3, c"string, function or table expected".as_ptr());
        }
        let most = ffi::luaL_optinteger(state, 4, i64::MAX);
        let mut buffer = MaybeUninit::<ffi::luaL_Buffer>::uninit();
        let buffer = buffer.as_mut_ptr();
        ffi::luaL_buffinit(state, buffer);
        let (mut from, mut last, mut count) = (0, None, 0);
        while count < most {
            let (mut matcher, anchored) = matcher(state, subject, pattern);
            let before = matcher.steps;
            let found = matcher.at(from);
            let end = settle(state, before, matcher.steps, found);
            if let Some(end) = end.filter(|end| Some(*end) != last) {
                count += 1;
                replace(state, buffer, subject, &matcher, (from, end));
                (from, last) = (end, Some(end));
            } else if from < subject.len() {
                add(buffer, &subject[from..=from]);
                from += 1;
            } else {
                break;
            }
            if anchored {
                break;
            }
        }
        add(buffer, &subject[from.min(subject.len())..]);
        ffi::luaL_pushresult(buffer);
        ffi::lua_pushinteger(state, count);
        2
    }
}

unsafe fn add(buffer: *mut ffi::luaL_Buffer, bytes: &[u8]) {
    // SAFETY: the buffer copies the bytes.
    unsafe { ffi::luaL_addlstring(buffer, bytes.as_ptr().cast::<c_char>(), bytes.len()) };
}

/// Adds what stands for one match.
unsafe fn replace(
    state: *mut ffi::lua_State,
    buffer: *mut ffi::luaL_Buffer,
    subject: &[u8],
    matcher: &Matcher<'_>,
    whole: (usize, usize),
) {
    let matched = &subject[whole.0..whole.1];
    // SAFETY: called from `gsub`; what is pushed is taken off by `luaL_addvalue`.
    unsafe {
        match ffi::lua_type(state, 3) {
            ffi::LUA_TFUNCTION => {
                ffi::lua_pushvalue(state, 3);
                let captures = push_captures(state, subject, matcher.captures(), Some(whole));
                ffi::lua_call(state, captures, 1);
            }
            ffi::LUA_TTABLE => {
                match matcher.captures().first() {
                    Some(first) => push_capture(state, subject, *first),
                    None => push(state, matched),
                }
                ffi::lua_gettable(state, 3);
            }
            _ => return expand(state, buffer, subject, matcher, matched),
        }
        if ffi::lua_toboolean(state, -1) == 0 {
            ffi::lua_pop(state, 1);
            return add(buffer, matched);
        }
        if ffi::lua_isstring(state, -1) == 0 {
            let kind = ffi::lua_typename(state, ffi::lua_type(state, -1));
            ffi::luaL_error(state, c"invalid replacement value (a %s)".as_ptr(), kind);
        }
        charge(state, ffi::lua_rawlen(state, -1) as u64 / PER_INSTRUCTION);
        ffi::luaL_addvalue(buffer);
    }
}

/// Adds a replacement with `%0` to `%9` filled in.
unsafe fn expand(
    state: *mut ffi::lua_State,
    buffer: *mut ffi::luaL_Buffer,
    subject: &[u8],
    matcher: &Matcher<'_>,
    matched: &[u8],
) {
    // SAFETY: called from `gsub`; the replacement stays on the stack.
    unsafe {
        let mut rest = text(state, 3);
        charge(state, rest.len() as u64 / PER_INSTRUCTION);
        while let Some(place) = memchr::memchr(b'%', rest) {
            add(buffer, &rest[..place]);
            let behind = rest.get(place + 1).copied().unwrap_or(0);
            rest = rest.get(place + 2..).unwrap_or_default();
            charge(state, 1);
            match behind {
                b'%' => add(buffer, b"%"),
                b'0' => add(buffer, matched),
                b'1' if matcher.captures().is_empty() => add(buffer, matched),
                b'1'..=b'9' => match matcher.captures().get((behind - b'1') as usize) {
                    Some(capture) => {
                        push_capture(state, subject, *capture);
                        charge(state, ffi::lua_rawlen(state, -1) as u64 / PER_INSTRUCTION);
                        ffi::luaL_addvalue(buffer);
                    }
                    None => {
                        ffi::luaL_error(state, c"invalid capture index in replacement string".as_ptr());
                    }
                },
                _ => {
                    ffi::luaL_error(state, c"invalid use of '%%' in replacement string".as_ptr());
                }
            }
        }
        add(buffer, rest);
    }
}
