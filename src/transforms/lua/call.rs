//! What a script may ask for while it runs: `state`, `timer`, `emit`, `event_time`, `args`.
//!
//! Whatever a call changes is kept here until it has succeeded, so that a call that fails has done nothing.

use super::emitted::Emitted;
use super::state::{Change, Values, give_kept, take_kept};
use super::values::give_event;
use crate::dataflow::{MAIN, Port, plugin};
use crate::event::{Batch, Kept};
use crate::time::Timestamp;
use mlua::{Error, Lua, MultiValue};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that a name in the state may have.
const MOST_NAME: usize = 256;
/// Changes that one call may make.
const MOST_CHANGES: usize = 10_000;

/// What the script is called for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Occasion {
    /// It is loaded, or several events are at hand: nothing is asked for by key.
    #[default]
    None,
    /// An event.
    Event,
    /// A timer that was set for that time.
    Timer(Timestamp),
}

/// What the script is called for, and what the call has changed so far.
pub(super) struct Call {
    pub(super) occasion: Occasion,
    /// The event time at hand.
    pub(super) time: Timestamp,
    /// Whether there is state.
    pub(super) keeps: bool,
    /// Whether there is an `on_timer`.
    pub(super) has_timers: bool,
    pub(super) values: Arc<Values>,
    pub(super) changes: Vec<Change>,
    pub(super) timers: Vec<Timestamp>,
    /// Events that leave, where the step makes events.
    pub(super) emitted: Option<Emitted>,
    /// The names of ports, that of the main one empty.
    pub(super) ports: Vec<String>,
    scratch: Batch,
}

/// A call that the functions of a script reach. One thread at a time has it, so nobody waits for it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Call>>);

impl Shared {
    pub(super) fn new(ports: Vec<String>, emitted: Option<Emitted>, keeps: bool) -> Shared {
        Shared(Arc::new(Mutex::new(Call {
            occasion: Occasion::None,
            time: Timestamp::MIN,
            keeps,
            has_timers: false,
            values: Arc::default(),
            changes: Vec::new(),
            timers: Vec::new(),
            emitted,
            ports,
            scratch: Batch::new(0, b""),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the functions among the globals.
    pub(super) fn install(&self, lua: &Lua, args: &[u8]) -> mlua::Result<()> {
        // A script may register functions as well, which are used elsewhere.
        plugin::install(lua)?;
        let globals = lua.globals();
        globals.raw_set("args", give_event(lua, args)?)?;
        let state = lua.create_table()?;
        let shared = self.clone();
        state.raw_set(
            "get",
            lua.create_function(move |lua, name: mlua::LuaString| shared.lock().get(lua, &name))?,
        )?;
        let shared = self.clone();
        let set =
            move |_: &Lua, (name, value): (mlua::LuaString, mlua::Value)| shared.lock().set(&name, &value);
        state.raw_set("set", lua.create_function(set)?)?;
        let shared = self.clone();
        let delete = move |_: &Lua, name: mlua::LuaString| shared.lock().set(&name, &mlua::Value::Nil);
        state.raw_set("delete", lua.create_function(delete)?)?;
        globals.raw_set("state", state)?;
        let timer = lua.create_table()?;
        let shared = self.clone();
        timer.raw_set(
            "at",
            lua.create_function(move |_, time: mlua::Value| shared.lock().set_timer(&time))?,
        )?;
        globals.raw_set("timer", timer)?;
        let shared = self.clone();
        globals
            .raw_set("emit", lua.create_function(move |_, args: MultiValue| shared.lock().emit(&args))?)?;
        let shared = self.clone();
        globals.raw_set("event_time", lua.create_function(move |_, ()| shared.lock().event_time())?)
    }
}

impl Call {
    /// A call begins.
    pub(super) fn begin(&mut self, occasion: Occasion, time: Timestamp, values: Option<Arc<Values>>) {
        self.occasion = occasion;
        self.time = time;
        self.values = values.unwrap_or_default();
        self.changes.clear();
        self.timers.clear();
    }

    /// It is over: nothing can be asked for any more.
    pub(super) fn end(&mut self) {
        self.occasion = Occasion::None;
        self.values = Arc::default();
    }

    fn keyed(&self) -> mlua::Result<()> {
        if self.occasion == Occasion::None {
            return Err(Error::runtime(
                "state and timers belong to a key: use them in `process` or `on_timer`",
            ));
        }
        if !self.keeps {
            let why = "the step keeps no state: give it a `key`, or name `state` in the script itself";
            return Err(Error::runtime(why));
        }
        Ok(())
    }

    fn kept(&self, name: &str) -> Option<&Kept> {
        match self.changes.iter().rev().find(|(changed, _)| **changed == *name) {
            Some((_, value)) => value.as_ref(),
            None => self.values.get(name),
        }
    }

    fn get(&mut self, lua: &Lua, name: &mlua::LuaString) -> mlua::Result<mlua::Value> {
        self.keyed()?;
        let name = name_of(name)?;
        let mut scratch = std::mem::replace(&mut self.scratch, Batch::new(0, b""));
        let value = self.kept(&name).map_or(Ok(mlua::Value::Nil), |kept| give_kept(lua, kept, &mut scratch));
        self.scratch = scratch;
        value
    }

    fn set(&mut self, name: &mlua::LuaString, value: &mlua::Value) -> mlua::Result<()> {
        self.keyed()?;
        let name = name_of(name)?;
        let value = match value {
            mlua::Value::Nil => None,
            value => {
                let kept = take_kept(value, &mut self.scratch);
                Some(kept.map_err(|why| Error::runtime(format!("state `{name}`: {why}")))?)
            }
        };
        if let Some(known) = self.changes.iter_mut().find(|(changed, _)| **changed == *name) {
            known.1 = value;
            return Ok(());
        }
        if self.changes.len() >= MOST_CHANGES {
            return Err(Error::runtime(format!(
                "a call changes more than {MOST_CHANGES} names in the state"
            )));
        }
        self.changes.push((name.into(), value));
        Ok(())
    }

    fn set_timer(&mut self, time: &mlua::Value) -> mlua::Result<()> {
        self.keyed()?;
        if !self.has_timers {
            return Err(Error::runtime("`timer.at` needs a function `on_timer(key, time)`"));
        }
        let time = time_of(time)?;
        if matches!(self.occasion, Occasion::Timer(due) if time <= due) {
            return Err(Error::runtime("`on_timer` may only set a timer that is later than its own"));
        }
        if self.timers.len() >= MOST_CHANGES {
            return Err(Error::runtime(format!("a call sets more than {MOST_CHANGES} timers")));
        }
        self.timers.push(time);
        Ok(())
    }

    fn emit(&mut self, args: &MultiValue) -> mlua::Result<()> {
        let Some(mlua::Value::Table(table)) = args.front() else {
            return Err(Error::runtime("`emit` needs an event: a table"));
        };
        let port = match args.get(1) {
            None | Some(mlua::Value::Nil) => MAIN,
            Some(mlua::Value::String(name)) => self.port(&name.to_string_lossy())?,
            Some(_) => return Err(Error::runtime("the port that `emit` is given must be a text")),
        };
        let time = match args.get(2) {
            None | Some(mlua::Value::Nil) => None,
            Some(time) => Some(time_of(time)?),
        };
        match &mut self.emitted {
            Some(emitted) => emitted.add(port, table, time).map_err(Error::runtime),
            None => Err(Error::runtime("`emit` must be called by its name in the script itself")),
        }
    }

    fn port(&self, name: &str) -> mlua::Result<Port> {
        let found = self.ports.iter().position(|port| port == name);
        let port = found.and_then(|port| u8::try_from(port).ok());
        port.map(Port).ok_or_else(|| {
            let hint = "name it in `ports`, or literally where `emit` is called";
            Error::runtime(format!("there is no port `{name}`: {hint}"))
        })
    }

    fn event_time(&self) -> mlua::Result<mlua::Value> {
        let is_known = self.occasion != Occasion::None;
        Ok(if is_known { mlua::Value::Integer(self.time.0) } else { mlua::Value::Nil })
    }
}

fn name_of(name: &mlua::LuaString) -> mlua::Result<String> {
    let bytes = name.as_bytes();
    match str::from_utf8(&bytes) {
        Ok(text) if text.len() <= MOST_NAME => Ok(text.to_owned()),
        _ => Err(Error::runtime(format!("a name in the state is a text of at most {MOST_NAME} bytes"))),
    }
}

/// Times further away than this are none: ten thousand years.
const MOST_MS: i64 = 315_360_000_000_000;

fn time_of(value: &mlua::Value) -> mlua::Result<Timestamp> {
    let ms = match value {
        mlua::Value::Integer(ms) => Some(*ms),
        mlua::Value::Number(ms) if ms.fract() == 0.0 && ms.abs() <= MOST_MS as f64 => Some(*ms as i64),
        _ => None,
    };
    let ms = ms.filter(|ms| (-MOST_MS..=MOST_MS).contains(ms));
    ms.map(Timestamp)
        .ok_or_else(|| Error::runtime("a time is a whole number of milliseconds since the epoch"))
}
