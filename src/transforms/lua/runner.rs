//! Runs a script: loads it again after a breach of its budget, and leaves it alone for a while after many.

use super::call::Shared;
use super::needs::Needs;
use crate::dataflow::plugin::helpers;
use crate::lua::{Budget, LoadedFile, LuaFault, Machine, Script, Setup, Watch};
use crate::time::Millis;
use mlua::{Function, Lua, Table, Value};

/// A script with all that it is loaded with.
#[derive(Clone, Debug)]
pub(super) struct Plugin {
    pub(super) script: Script,
    pub(super) budget: Budget,
    /// What it finds as `args`, as JSON.
    pub(super) args: Vec<u8>,
}

/// A script that was loaded.
pub(super) struct Loaded {
    pub(super) machine: Machine,
    pub(super) entry: Function,
    pub(super) is_batch: bool,
    pub(super) on_timer: Option<Function>,
    pub(super) migrate: Option<Function>,
    /// The table that each event comes in, where it may be used again.
    pub(super) table: Table,
    /// What the bridge for many events needs: `entry`, `table`, `reads` and `writes`.
    pub(super) frame: Table,
    /// Tables for the events of a list, where these may be used again.
    pub(super) pool: Table,
    /// The list that these are given in.
    pub(super) list: Table,
    /// The names of the fields that go in and those that come out, where they are known.
    pub(super) reads: Vec<mlua::LuaString>,
    pub(super) writes: Vec<mlua::LuaString>,
}

impl Plugin {
    /// Loads it. What the call at hand has is not reached from there.
    pub(super) fn load(
        &self,
        call: &Shared,
        reads: &[String],
        writes: &[String],
    ) -> Result<Loaded, LuaFault> {
        let occasion = std::mem::take(&mut call.lock().occasion);
        let loaded = self.load_apart(call, reads, writes);
        call.lock().occasion = occasion;
        loaded
    }

    fn load_apart(&self, call: &Shared, reads: &[String], writes: &[String]) -> Result<Loaded, LuaFault> {
        let install = |lua: &Lua| call.install(lua, &self.args);
        let helpers = helpers();
        let setup = Setup { helpers: &helpers, install: Some(&install) };
        let machine = Machine::load(&self.script, self.budget, &setup)?;
        let fault = |message: &str| LuaFault::new(crate::lua::FaultKind::Error, &self.script.name, message);
        let (one, many) = (machine.global_function("process"), machine.global_function("process_batch"));
        let is_batch = many.is_some();
        let entry = match (one, many) {
            (Some(_), Some(_)) => {
                return Err(fault("it defines `process` and `process_batch`: one of them is meant"));
            }
            (Some(entry), None) | (None, Some(entry)) => entry,
            (None, None) => return Err(fault("it defines no function `process(event)`")),
        };
        let (on_timer, migrate) = (machine.global_function("on_timer"), machine.global_function("migrate"));
        call.lock().has_timers = on_timer.is_some();
        let names = |lua: &Lua, names: &[String]| -> mlua::Result<Vec<mlua::LuaString>> {
            names.iter().map(|name| lua.create_string(name)).collect()
        };
        let made = machine.call(|lua| {
            let (table, reads, writes) = (lua.create_table()?, names(lua, reads)?, names(lua, writes)?);
            let frame =
                lua.create_sequence_from([Value::Function(entry.clone()), Value::Table(table.clone())])?;
            reads.iter().chain(&writes).try_for_each(|name| frame.raw_push(name))?;
            Ok((table, frame, reads, writes, lua.create_table()?, lua.create_table()?))
        });
        let (table, frame, reads, writes, pool, list) = made?;
        Ok(Loaded { machine, entry, is_batch, on_timer, migrate, table, frame, pool, list, reads, writes })
    }
}

/// Why a script gave nothing.
pub(super) enum Failure {
    /// It failed.
    Fault(LuaFault),
    /// It gave what no event can be.
    Event(String),
    /// It is left alone.
    Resting,
}

impl Failure {
    /// In words. `script` is how it is called.
    pub(super) fn text(&self, script: &str) -> String {
        match self {
            Failure::Fault(fault) if fault.traceback.is_empty() => fault.to_string(),
            Failure::Fault(fault) => {
                let calls: Vec<&str> = fault.traceback.lines().take(MOST_CALLS).collect();
                format!("{fault} ({})", calls.join("; "))
            }
            Failure::Event(why) => format!("{script}: {why}"),
            Failure::Resting => {
                format!("{script}: it went over its budget {MOST_BREACHES} times in a row and is left alone")
            }
        }
    }
}

/// Lines of a traceback that a reason shows.
const MOST_CALLS: usize = 10;
/// So many calls in a row that go over the budget, and the script is left alone.
const MOST_BREACHES: u32 = 10;
/// For so many calls it is then left alone: a number of events, so that it depends on them alone.
const REST: u32 = 1_000;

/// A script at work.
pub(super) struct Runner {
    /// The node.
    name: String,
    pub(super) plugin: Plugin,
    pub(super) needs: Needs,
    /// What the plan has for it.
    planned: Needs,
    pub(super) call: Shared,
    loaded: Option<Loaded>,
    /// Calls in a row that went over the budget.
    breaches: u32,
    /// Calls for which it is still left alone.
    rest: u32,
    watch: Watch,
}

impl Runner {
    pub(super) fn new(name: &str, plugin: Plugin, needs: Needs, call: Shared) -> Runner {
        let mut watch = Watch::default();
        watch.follow(plugin.script.file().as_slice());
        let (name, planned) = (name.to_owned(), needs.clone());
        Runner { name, plugin, needs, planned, call, loaded: None, breaches: 0, rest: 0, watch }
    }

    /// Runs something of the script under its budget.
    pub(super) fn run<R>(
        &mut self,
        work: impl FnOnce(&Loaded, &Lua) -> mlua::Result<R>,
    ) -> Result<R, Failure> {
        if self.rest > 0 {
            self.rest -= 1;
            return Err(Failure::Resting);
        }
        if self.loaded.is_none() {
            let loaded = self.plugin.load(&self.call, self.needs.read_names(), self.needs.write_names());
            let loaded = loaded.map_err(|fault| self.failed(fault))?;
            self.watch.follow(loaded.machine.files());
            self.loaded = Some(loaded);
        }
        let Some(loaded) = &self.loaded else { return Err(Failure::Resting) };
        match loaded.machine.call(|lua| work(loaded, lua)) {
            Ok(result) => {
                self.breaches = 0;
                Ok(result)
            }
            Err(fault) => {
                if loaded.machine.succeeded() > 0 {
                    self.breaches = 0;
                }
                Err(self.failed(fault))
            }
        }
    }

    #[cold]
    fn failed(&mut self, fault: LuaFault) -> Failure {
        if !fault.kind.is_breach() {
            self.breaches = 0;
            return Failure::Fault(fault);
        }
        // Nothing that is half done is seen: what it keeps is not in there.
        self.loaded = None;
        self.breaches += 1;
        if self.breaches >= MOST_BREACHES {
            self.breaches = 0;
            self.rest = REST;
            tracing::error!(
                "`{}`: {fault}: that is {MOST_BREACHES} times in a row, so the script is left alone for {REST} events",
                self.name
            );
        }
        Failure::Fault(fault)
    }

    /// The table that is used again, and the names of the fields that come out.
    pub(super) fn table_and_writes(&self) -> Option<(&Table, &[mlua::LuaString])> {
        self.loaded.as_ref().map(|loaded| (&loaded.table, loaded.writes.as_slice()))
    }

    /// Looks whether the script's file or a module's was replaced, and goes on with the new one if it fits.
    pub(super) fn look(&mut self, elapsed: Millis) {
        if self.watch.is_changed(elapsed) {
            let script = self.plugin.script.reread().map_err(|error| error.to_string());
            let result = script.and_then(|script| self.replace(script));
            let result = result.map_err(|why| self.plugin.script.mask.shown(why));
            self.watch.conclude(&format!("`{}`", self.name), &self.plugin.script.name, result);
        }
    }

    fn replace(&mut self, script: Script) -> Result<Vec<LoadedFile>, String> {
        let plugin = Plugin { script, ..self.plugin.clone() };
        let new = plugin.load(&self.call, &[], &[]).map_err(|fault| fault.to_string());
        let new = new.and_then(|loaded| self.planned.replaced(&plugin.script, &loaded));
        let loaded = new.and_then(|needs| {
            let loaded = plugin.load(&self.call, needs.read_names(), needs.write_names());
            Ok((needs, loaded.map_err(|fault| fault.to_string())?))
        });
        let (needs, loaded) = loaded.inspect_err(|_| {
            let has_timers = self.loaded.as_ref().is_some_and(|loaded| loaded.on_timer.is_some());
            self.call.lock().has_timers = has_timers;
        })?;
        let files = loaded.machine.files().to_vec();
        (self.needs, self.plugin, self.loaded) = (needs, plugin, Some(loaded));
        (self.breaches, self.rest) = (0, 0);
        Ok(files)
    }
}
