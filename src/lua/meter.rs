//! Counts what a machine uses, and stops it: the allocator and the hook of the interpreter.
//!
//! The interpreter calls the hook after every [`INTERVAL`] instructions, in every coroutine (a coroutine inherits the
//! hook of the one that makes it). Work that is no instruction is charged as instructions: functions in C by what they
//! work through (`sandbox/charged.rs`), allocations by their size. Once a budget is exceeded that is remembered, and
//! from then on the hook raises before every instruction, and `pcall` passes the error on: so the script can do no more
//! than unwind. The error is made beforehand, since there may be many to raise on the way (one for each `__close`), and
//! no memory for them.
//!
//! The meter is found through the interpreter's allocator: `lua_getallocf` gives ours and the meter, or another, and
//! then nothing is counted.

use super::{Budget, FaultKind};
use crate::time::{Clock, SystemClock};
use mlua::{Lua, ffi};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::fn_addr_eq;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// After how many instructions the hook is called.
pub(super) const INTERVAL: c_int = 128;
/// After how many instructions the clock is looked at.
const LOOK: u64 = 512;
/// How many bytes may be allocated for an instruction.
const BYTES_AN_INSTRUCTION: u64 = 64;
/// No single piece of memory is larger than this part of the whole. It bounds what one instruction can take (comparing
/// or copying texts), since the hook is called between instructions only.
const LARGEST_PART: usize = 8;
/// The deadline of a call that has not counted anything yet.
const UNSET: u64 = u64::MAX;
/// Where the error stands in the registry of an interpreter.
static ERROR: u8 = 0;

/// What a machine has used, and whether that was too much. All of it belongs to the one thread that runs the machine;
/// atomics say no more than that the machine may be handed to another thread between calls.
pub(super) struct Meter {
    /// The allocator below this one.
    inner: OnceLock<(ffi::lua_Alloc, AtomicPtr<c_void>)>,
    clock: SystemClock,
    /// The largest piece of memory.
    largest: usize,
    /// What an emergency collection costs, in instructions.
    collection: u64,
    /// What is left of the instructions; below zero once they are used up.
    left: AtomicI64,
    /// Instructions since the clock was looked at.
    unlooked: AtomicU64,
    /// How long a call may take, in nanoseconds.
    time: u64,
    /// When the time is over, in nanoseconds of the clock; [`UNSET`] until work is first counted. So a call that does little
    /// needs no clock.
    deadline: AtomicU64,
    /// Whether a call is under way.
    armed: AtomicBool,
    /// Whether the last allocation failed: the interpreter collects garbage and asks once more.
    pressed: AtomicBool,
    /// The budget that was exceeded, as [`code`] gives it; zero for none.
    breach: AtomicU8,
    /// Where that was.
    noted: OnceLock<Noted>,
}

/// Where a budget was exceeded.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    /// The script or module.
    pub script: String,
    /// The line; none in functions that have no lines.
    pub line: Option<u32>,
    /// The calls that led there.
    pub traceback: String,
}

impl Meter {
    /// A meter for a machine with so much memory.
    pub fn new(budget: &Budget) -> Meter {
        Meter {
            inner: OnceLock::new(),
            clock: SystemClock::new(),
            largest: budget.memory / LARGEST_PART,
            collection: budget.memory as u64 / BYTES_AN_INSTRUCTION,
            left: AtomicI64::new(i64::MAX),
            unlooked: AtomicU64::new(0),
            time: u64::try_from(budget.time.as_nanos()).unwrap_or(u64::MAX),
            deadline: AtomicU64::new(UNSET),
            armed: AtomicBool::new(false),
            pressed: AtomicBool::new(false),
            breach: AtomicU8::new(0),
            noted: OnceLock::new(),
        }
    }

    /// Puts the meter into an interpreter. What it holds already counts as well.
    ///
    /// # Safety
    /// The state must be live, and [`Meter::remove`] be called before the meter is dropped.
    pub unsafe fn install(self: &Arc<Meter>, state: *mut ffi::lua_State) {
        let mut ud = std::ptr::null_mut();
        // SAFETY: the state is live. The meter stays where it is as long as it is installed, and frees what the
        // allocator below has given through that same allocator.
        unsafe {
            let below = ffi::lua_getallocf(state, &mut ud);
            if self.inner.set((below, AtomicPtr::new(ud))).is_ok() {
                ffi::lua_setallocf(state, allocate, Arc::as_ptr(self).cast_mut().cast());
                ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKCOUNT, INTERVAL);
            }
        }
    }

    /// Takes the meter out again.
    ///
    /// # Safety
    /// The state must be live.
    pub unsafe fn remove(&self, state: *mut ffi::lua_State) {
        if let Some((below, ud)) = self.inner.get() {
            // SAFETY: the state is live, and this is the allocator that it had.
            unsafe { ffi::lua_setallocf(state, *below, ud.load(Relaxed)) };
        }
    }

    /// The meter of an interpreter.
    ///
    /// # Safety
    /// The state must be live, and the reference not be kept beyond it.
    pub unsafe fn of<'a>(state: *mut ffi::lua_State) -> Option<&'a Meter> {
        let mut ud = std::ptr::null_mut();
        // SAFETY: the state is live; a meter stands behind our allocator for as long as that is installed.
        unsafe {
            let found = ffi::lua_getallocf(state, &mut ud);
            fn_addr_eq(found, allocate as ffi::lua_Alloc).then(|| &*ud.cast::<Meter>())
        }
    }

    /// Begins a call; false if one is under way, which goes on.
    pub fn arm(&self, budget: &Budget) -> bool {
        if self.armed.swap(true, Relaxed) {
            return false;
        }
        self.refill(budget);
        true
    }

    /// Gives all of the budget again: the call under way is over, and another begins.
    pub fn refill(&self, budget: &Budget) {
        self.left.store(i64::try_from(budget.instructions).unwrap_or(i64::MAX), Relaxed);
        self.unlooked.store(0, Relaxed);
        self.deadline.store(UNSET, Relaxed);
    }

    /// Ends a call: what the host does in between is not counted.
    pub fn disarm(&self) {
        self.armed.store(false, Relaxed);
    }

    /// Counts work. False if that was too much, or something was before.
    pub fn charge(&self, cost: u64) -> bool {
        if self.armed.load(Relaxed) {
            let cost = i64::try_from(cost).unwrap_or(i64::MAX);
            let left = self.left.load(Relaxed);
            // What is more than is left is not done.
            self.left.store(if cost > left && left >= 0 { -1 } else { left.saturating_sub(cost) }, Relaxed);
            if cost > left {
                self.breached(FaultKind::Instructions);
            }
            let unlooked = self.unlooked.load(Relaxed).saturating_add(cost as u64);
            self.unlooked.store(if unlooked >= LOOK { 0 } else { unlooked }, Relaxed);
            if unlooked >= LOOK || self.deadline.load(Relaxed) == UNSET {
                self.look();
            }
        }
        self.breach.load(Relaxed) == 0
    }

    /// Looks at the clock.
    fn look(&self) {
        let (now, deadline) = (self.clock.nanos(), self.deadline.load(Relaxed));
        if deadline == UNSET {
            self.deadline.store(now.saturating_add(self.time).min(UNSET - 1), Relaxed);
        } else if now > deadline {
            self.breached(FaultKind::Time);
        }
    }

    /// How much work is left; less than none after a breach.
    pub fn left(&self) -> i64 {
        self.left.load(Relaxed)
    }

    /// Remembers that a budget was exceeded; the first one counts.
    pub fn breached(&self, kind: FaultKind) {
        if self.breach.load(Relaxed) == 0 {
            self.breach.store(code(kind), Relaxed);
        }
    }

    /// The budget that was exceeded.
    pub fn breach(&self) -> Option<FaultKind> {
        let kinds = [FaultKind::Instructions, FaultKind::Memory, FaultKind::Time];
        let breach = self.breach.load(Relaxed);
        kinds.into_iter().find(|kind| code(*kind) == breach)
    }

    /// Where that was, as far as it is known.
    pub fn noted(&self) -> Option<&Noted> {
        self.noted.get()
    }

    /// Whether so much more memory may be taken.
    fn grants(&self, bytes: usize, size: usize) -> bool {
        if size > self.largest {
            return false;
        }
        // Not by `charge`: the allocator is no place to look at the clock. After a breach only unwinding needs memory.
        if self.armed.load(Relaxed) && self.breach.load(Relaxed) == 0 {
            let left = self.left.load(Relaxed) - (bytes as u64 / BYTES_AN_INSTRUCTION) as i64;
            self.left.store(left, Relaxed);
            if left < 0 {
                self.breached(FaultKind::Instructions);
            }
        }
        true
    }

    /// Remembers that an allocation failed. The interpreter collects all garbage and asks a second time, so the second
    /// failure in a row is final; each first one has cost a collection.
    fn refused(&self) {
        if self.pressed.swap(true, Relaxed) {
            self.breached(FaultKind::Memory);
        } else if self.armed.load(Relaxed) && self.breach.load(Relaxed) == 0 {
            let left = self.left.load(Relaxed).saturating_sub(self.collection as i64);
            self.left.store(left, Relaxed);
        }
    }
}

/// A number other than zero for each budget.
fn code(kind: FaultKind) -> u8 {
    kind as u8 + 1
}

/// The allocator of a machine: the one that was there, as far as the meter grants it.
unsafe extern "C" fn allocate(ud: *mut c_void, at: *mut c_void, old: usize, new: usize) -> *mut c_void {
    // SAFETY: `ud` is the meter for as long as this allocator is installed.
    let meter = unsafe { &*ud.cast::<Meter>() };
    let Some((below, below_ud)) = meter.inner.get() else { return std::ptr::null_mut() };
    // Without a piece, `old` says what kind of object is wanted.
    let held = if at.is_null() { 0 } else { old };
    let grows = new > held;
    if grows && !meter.grants(new - held, new) {
        meter.refused();
        return std::ptr::null_mut();
    }
    // SAFETY: passed on as it came, to the allocator that gave the piece.
    let given = unsafe { below(below_ud.load(Relaxed), at, old, new) };
    if grows {
        if given.is_null() { meter.refused() } else { meter.pressed.store(false, Relaxed) }
    }
    given
}

/// Called by the interpreter between instructions.
unsafe extern "C-unwind" fn hook(state: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    // SAFETY: the interpreter calls this with a live state. Nothing here has a destructor that the jump of
    // `raise` would leave out.
    unsafe {
        let Some(meter) = Meter::of(state) else { return };
        let since = if meter.breach().is_none() { INTERVAL as u64 } else { 1 };
        if !meter.charge(since) {
            ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKCOUNT, 1);
            raise(state);
        }
    }
}

/// Makes the error that is raised at a breach.
///
/// # Errors
/// There is no memory for it.
pub(super) fn prepare(lua: &Lua) -> mlua::Result<()> {
    let raising =
        lua.create_function(|_, ()| -> mlua::Result<()> { Err(mlua::Error::runtime("over the budget")) })?;
    // SAFETY: the function is on the stack; its error takes its place and goes into the registry.
    unsafe {
        lua.exec_raw::<()>(raising, |state| {
            ffi::lua_pcall(state, 0, 0, 0);
            ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, (&raw const ERROR).cast());
        })
    }
}

/// Raises the error of a breach, after noting where it was.
///
/// # Safety
/// As `lua_error`: the state must be live and inside a protected call, and no frame between may have destructors.
pub(super) unsafe fn raise(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as the caller promises.
    unsafe {
        if let Some(meter) = Meter::of(state)
            && meter.noted.get().is_none()
        {
            note(state, meter);
        }
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, (&raw const ERROR).cast());
        ffi::lua_error(state)
    }
}

/// Notes where the interpreter is.
unsafe fn note(state: *mut ffi::lua_State, meter: &Meter) {
    let mut line = None;
    let mut frame = MaybeUninit::<ffi::lua_Debug>::uninit();
    // SAFETY: as for `raise`; `lua_getinfo` fills what is read of the frame. Should there be no memory for the traceback,
    // the interpreter leaves this function, which then owns nothing.
    unsafe {
        ffi::luaL_traceback(state, state, std::ptr::null(), 0);
        let traceback = string(ffi::lua_tolstring(state, -1, std::ptr::null_mut()));
        ffi::lua_settop(state, -2);
        let mut script = String::new();
        let frame = frame.as_mut_ptr();
        for level in 0..4 {
            if line.is_none()
                && ffi::lua_getstack(state, level, frame) != 0
                && ffi::lua_getinfo(state, c"Sl".as_ptr(), frame) != 0
                && (*frame).currentline > 0
            {
                line = u32::try_from((*frame).currentline).ok();
                script = string((&raw const (*frame).short_src).cast());
            }
        }
        let traceback = traceback.lines().skip(1).map(str::trim).collect::<Vec<_>>().join("\n");
        // Nobody else notes anything for this meter.
        let _ = meter.noted.set(Noted { script, line, traceback });
    }
}

unsafe fn string(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the interpreter's texts end with a zero.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
