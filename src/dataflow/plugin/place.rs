//! One place that calls a plugin.

use super::register::{Plugin, RegisterKind, entry};
use crate::lua::{FaultKind, LuaFault, Machine};
use mlua::{Lua, Value};
use std::sync::Arc;

/// What a plugin has registered, at one place on one worker: with a machine of its own, loaded at the first call, and anew
/// after a breach.
pub struct Place {
    plugin: Arc<Plugin>,
    kind: RegisterKind,
    name: String,
    loaded: Option<Loaded>,
    /// Which version of the plugin that is.
    version: u64,
    /// Breaches of its budget, one after the other.
    breaches: u32,
    /// Calls for which it is left alone.
    rest: u32,
}

/// After so many breaches in a row a script is left alone.
const MOST_BREACHES: u32 = 10;

/// For so many calls.
const REST: u32 = 1_000;

struct Loaded {
    /// The function, or the table of functions. Gone before the machine.
    entry: Value,
    machine: Machine,
}

impl Place {
    /// Nothing is loaded yet.
    pub fn new(plugin: Arc<Plugin>, kind: RegisterKind, name: &str) -> Place {
        Place { plugin, kind, name: name.to_owned(), loaded: None, version: 0, breaches: 0, rest: 0 }
    }

    /// Another one for the same, with nothing loaded.
    pub fn duplicate(&self) -> Place {
        Place::new(self.plugin.clone(), self.kind, &self.name)
    }

    /// Calls what was registered, under the budget.
    pub fn call<R>(&mut self, run: impl FnOnce(&Lua, &Value) -> mlua::Result<R>) -> Result<R, LuaFault> {
        let version = self.plugin.latest.version();
        if version != self.version {
            (self.version, self.loaded, self.breaches, self.rest) = (version, None, 0, 0);
        }
        if self.rest > 0 {
            self.rest -= 1;
            let why = format!("went over its budget {MOST_BREACHES} times in a row and is left alone");
            return Err(LuaFault::new(FaultKind::Instructions, &self.plugin.script.name, why));
        }
        let loaded = match self.loaded.take() {
            Some(loaded) => loaded,
            None => self.load()?,
        };
        let result = loaded.machine.call(|lua| run(lua, &loaded.entry));
        let breach = loaded.machine.breach();
        self.breaches = breach.map_or(0, |_| self.breaches + 1);
        if self.breaches == MOST_BREACHES {
            let (script, name) = (&self.plugin.script.name, &self.name);
            tracing::error!(
                "{script}: `{name}` went over its budget {MOST_BREACHES} times in a row: the next {REST} calls fail"
            );
            (self.breaches, self.rest) = (0, REST);
        }
        self.loaded = Some(loaded).filter(|_| breach.is_none());
        result
    }

    #[cold]
    fn load(&self) -> Result<Loaded, LuaFault> {
        let machine = self.plugin.start()?;
        let entry = machine.call(|lua| entry(lua, self.kind, &self.name))?;
        Ok(Loaded { entry, machine })
    }
}
