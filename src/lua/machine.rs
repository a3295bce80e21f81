//! One interpreter in its sandbox.

use super::meter::{self, Meter, Noted};
use super::usage::Tally;
use super::{Budget, FaultKind, Helper, LoadedFile, LuaFault, Script, sandbox};
use mlua::chunk::ChunkMode;
use mlua::{Lua, LuaOptions, StdLib};
use std::cell::Cell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Adds globals of a machine.
type Install<'a> = dyn Fn(&Lua) -> mlua::Result<()> + 'a;

/// What a machine has besides its script.
#[derive(Default)]
pub struct Setup<'a> {
    /// Functions that the script finds in modules.
    pub helpers: &'a [Helper],
    /// Adds globals before the script runs. What is raised here is a fault of the script's.
    pub install: Option<&'a Install<'a>>,
}

/// One interpreter: a script at one place on one worker. It may move between threads, but is used by one at a time.
///
/// After a breach of its budget a machine answers every call with that breach: it is to be loaded anew, so that nothing
/// half done is ever seen. What outlives that is kept outside.
pub struct Machine {
    lua: Lua,
    meter: Arc<Meter>,
    tally: Tally,
    /// Calls that have succeeded inside the last [`Machine::call`].
    succeeded: Cell<u64>,
    budget: Budget,
    script: String,
    files: Vec<LoadedFile>,
}

impl Machine {
    /// Makes an interpreter and runs the script once, under the budget.
    pub fn load(script: &Script, budget: Budget, setup: &Setup<'_>) -> Result<Machine, LuaFault> {
        let fault = |error: mlua::Error| LuaFault::of(&script.name, &error);
        let libraries = StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new()).map_err(fault)?;
        let modules = Arc::new(Mutex::new(Vec::new()));
        sandbox::install(&lua, script, setup.helpers, &modules).map_err(fault)?;
        if let Some(install) = setup.install {
            install(&lua).map_err(fault)?;
        }
        let mut machine = Machine::metered(lua, budget, script).map_err(fault)?;
        let name = format!("={}", script.name);
        machine.call(|lua| lua.load(&*script.text).set_name(name).set_mode(ChunkMode::Text).exec())?;
        sandbox::seal(&machine.lua).map_err(fault)?;
        let modules = mem::take(&mut *modules.lock().unwrap_or_else(PoisonError::into_inner));
        machine.files = script.file().into_iter().chain(modules).collect();
        Ok(machine)
    }

    /// Puts the meter in.
    fn metered(lua: Lua, budget: Budget, script: &Script) -> mlua::Result<Machine> {
        meter::prepare(&lua)?;
        lua.set_memory_limit(budget.memory)?;
        let meter = Arc::new(Meter::new(&budget));
        // SAFETY: the state is live. `drop` takes the meter out before the machine lets go of it.
        unsafe { lua.exec_raw::<()>((), |state| meter.install(state))? };
        let tally = Tally::new(script.usage.clone());
        Ok(Machine {
            lua,
            meter,
            tally,
            succeeded: Cell::new(0),
            budget,
            script: script.name.clone(),
            files: Vec::new(),
        })
    }

    /// The interpreter, to make values before [`Machine::call`] and to read them after it. What runs a function of the
    /// script must stand inside `call`.
    pub fn lua(&self) -> &Lua {
        &self.lua
    }

    /// A function that the script has defined as a global.
    pub fn global_function(&self, name: &str) -> Option<mlua::Function> {
        self.lua.globals().raw_get(name).ok()
    }

    /// Runs something under the budget. Calls inside a call share its budget.
    pub fn call<R>(&self, run: impl FnOnce(&Lua) -> mlua::Result<R>) -> Result<R, LuaFault> {
        if let Some(kind) = self.meter.breach() {
            return Err(self.breached(kind));
        }
        if !self.meter.arm(&self.budget) {
            return self.ended(contained(|| run(&self.lua)));
        }
        self.succeeded.set(0);
        let began = self.tally.begin();
        let result = contained(|| run(&self.lua));
        self.meter.disarm();
        self.tally.end(began, || self.memory());
        if self.meter.breach().is_some() {
            self.tally.breached();
        }
        self.ended(result)
    }

    /// One call inside of [`Machine::call`] has succeeded and the next begins, with a budget of its own: so many events
    /// cost no more than one as to what surrounds a call. False if the one before has gone over its budget.
    #[inline]
    pub fn next_call(&self) -> bool {
        if !self.is_within() {
            return false;
        }
        self.meter.refill(&self.budget);
        self.tally.next();
        self.succeeded.set(self.succeeded.get() + 1);
        true
    }

    /// Whether no budget was exceeded.
    #[inline]
    pub fn is_within(&self) -> bool {
        self.meter.breach().is_none()
    }

    /// How many calls inside the last [`Machine::call`] succeeded before another began.
    pub fn succeeded(&self) -> u64 {
        self.succeeded.get()
    }

    /// What came of a call.
    fn ended<R>(&self, result: mlua::Result<R>) -> Result<R, LuaFault> {
        match (self.meter.breach(), result) {
            (None, Ok(value)) => Ok(value),
            (None, Err(error)) => Err(self.fault(&error)),
            (Some(kind), _) => Err(self.breached(kind)),
        }
    }

    /// An error without a breach. Memory that was refused without one (by the host, say) is a breach all the same.
    fn fault(&self, error: &mlua::Error) -> LuaFault {
        let fault = LuaFault::of(&self.script, error);
        if fault.kind != FaultKind::Memory {
            return fault;
        }
        self.meter.breached(FaultKind::Memory);
        self.breached(FaultKind::Memory)
    }

    /// The breach of a budget.
    fn breached(&self, kind: FaultKind) -> LuaFault {
        let fault = LuaFault::new(kind, &self.script, self.why(kind));
        match self.meter.noted().cloned() {
            Some(Noted { script, line: line @ Some(_), traceback }) => {
                LuaFault { script, line, traceback, ..fault }
            }
            Some(Noted { traceback, .. }) => LuaFault { traceback, ..fault },
            None => fault,
        }
    }

    /// Which budget was exceeded, in words.
    fn why(&self, kind: FaultKind) -> String {
        let Budget { memory, instructions, time } = self.budget;
        match kind {
            FaultKind::Memory => format!("uses more memory than it may ({memory} bytes)"),
            FaultKind::Time => format!("takes more time than it may ({} ms)", time.as_millis()),
            _ => format!("uses more instructions than it may ({instructions} a call)"),
        }
    }

    /// The budget that was exceeded: the machine is to be loaded anew.
    pub fn breach(&self) -> Option<FaultKind> {
        self.meter.breach()
    }

    /// What the last call has used, in instructions.
    pub fn used_instructions(&self) -> u64 {
        let used = i128::from(self.budget.instructions) - i128::from(self.meter.left());
        u64::try_from(used).unwrap_or(0)
    }

    /// Bytes that the machine holds.
    pub fn memory(&self) -> usize {
        self.lua.used_memory()
    }

    /// The files that were loaded: that of the script, if it has one, and those of modules in their order.
    pub fn files(&self) -> &[LoadedFile] {
        &self.files
    }
}

/// The interpreter's bridge panics where memory is refused at some places. That is the script's doing, and must not end
/// the process; the machine is of no use any more, and nothing else was touched.
fn contained<R>(run: impl FnOnce() -> mlua::Result<R>) -> mlua::Result<R> {
    let panicked = |_| Err(mlua::Error::MemoryError("the bridge gave up".to_owned()));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked)
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.tally.tell(0);
        // SAFETY: the state is live: this machine holds it. Not by `exec_raw`, which may fail for lack of memory.
        self.lua.exec_raw_lua(|raw| unsafe { self.meter.remove(raw.state()) });
    }
}

#[cfg(test)]
mod tests;
