//! `register`: what a script offers to pipelines.

use super::helpers::helpers;
use super::replacing::Latest;
use crate::lua::{Budget, LoadedFile, LuaFault, Machine, Script, Setup};
use mlua::{Function, Lua, Table, Value};
use std::sync::Arc;

/// Most that one script may register.
const MOST: usize = 256;

/// Bytes that a name may have.
const LONGEST: usize = 64;

/// Where a machine keeps what its script has registered: tables by kind, and in order with lines.
const REGISTERED: &str = "headwater.registered";

/// What can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegisterKind {
    /// A function of one event.
    Scalar,
    /// An aggregate of windows.
    Aggregate,
    /// A trigger of windows.
    Trigger,
}

impl RegisterKind {
    /// As it stands behind `register.`.
    pub fn name(self) -> &'static str {
        match self {
            RegisterKind::Scalar => "scalar",
            RegisterKind::Aggregate => "aggregate",
            RegisterKind::Trigger => "trigger",
        }
    }

    /// What it is, for people.
    pub fn noun(self) -> &'static str {
        match self {
            RegisterKind::Scalar => "function",
            RegisterKind::Aggregate => "aggregate",
            RegisterKind::Trigger => "trigger",
        }
    }

    /// The functions that it is made of: those that must be there, and those that may.
    fn parts(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            RegisterKind::Scalar => (&[], &[]),
            RegisterKind::Aggregate => (&["add"], &["init", "merge", "result"]),
            RegisterKind::Trigger => (&["on_event"], &["on_event_time", "on_processing_time", "on_merge"]),
        }
    }
}

/// One thing that a script has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// What it is.
    pub kind: RegisterKind,
    /// What it is called.
    pub name: String,
    /// The line in which it was registered, 0 if that is not known.
    pub line: u32,
    /// The functions that it is made of, as far as there are several.
    pub parts: Vec<String>,
}

impl Registered {
    /// Whether it has that function.
    pub fn has(&self, part: &str) -> bool {
        self.parts.iter().any(|own| own == part)
    }
}

/// A script with what it registers.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The script.
    pub script: Script,
    /// What each of its machines may use.
    pub budget: Budget,
    /// What it registers, in order. Names of a kind are distinct.
    pub registered: Vec<Registered>,
    /// The files that it was loaded from.
    pub(super) files: Vec<LoadedFile>,
    /// What came in place of the script.
    pub(super) latest: Arc<Latest>,
}

impl Plugin {
    /// Loads a script to learn what it registers.
    pub fn load(script: Script, budget: Budget) -> Result<Plugin, LuaFault> {
        let machine = start(&script, budget)?;
        let registered = machine.call(list)?;
        let files = machine.files().to_vec();
        Ok(Plugin { script, budget, registered, files, latest: Arc::default() })
    }

    /// A machine of its own for one place, with the script that is there by now.
    pub fn start(&self) -> Result<Machine, LuaFault> {
        start(self.latest.script().as_ref().unwrap_or(&self.script), self.budget)
    }

    /// What it has registered under that name.
    pub fn find(&self, kind: RegisterKind, name: &str) -> Option<&Registered> {
        self.registered.iter().find(|registered| registered.kind == kind && registered.name == name)
    }
}

fn start(script: &Script, budget: Budget) -> Result<Machine, LuaFault> {
    Machine::load(script, budget, &Setup { helpers: &helpers(), install: Some(&install) })
}

/// What was registered under that name in a machine: a function, or a table of them.
pub(super) fn entry(lua: &Lua, kind: RegisterKind, name: &str) -> mlua::Result<Value> {
    let all: Table = lua.named_registry_value(REGISTERED)?;
    let of_kind: Table = all.raw_get(kind.name())?;
    of_kind.raw_get(name)
}

/// Adds the global `register` to a machine, and `args` without anything: only a step gives some.
pub fn install(lua: &Lua) -> mlua::Result<()> {
    let (all, register) = (lua.create_table()?, lua.create_table()?);
    for kind in [RegisterKind::Scalar, RegisterKind::Aggregate, RegisterKind::Trigger] {
        all.raw_set(kind.name(), lua.create_table()?)?;
        let add = move |lua: &Lua, (name, of): (mlua::LuaString, Value)| add(lua, kind, &name.to_str()?, of);
        register.raw_set(kind.name(), lua.create_function(add)?)?;
    }
    lua.set_named_registry_value(REGISTERED, all)?;
    lua.globals().raw_set("args", lua.create_table()?)?;
    lua.globals().raw_set("register", register)
}

fn add(lua: &Lua, kind: RegisterKind, name: &str, of: Value) -> mlua::Result<()> {
    let refuse = |why: String| Err(mlua::Error::runtime(format!("register.{}: {why}", kind.name())));
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !starts || !name.chars().all(good) || name.len() > LONGEST {
        return refuse(format!("`{}` is no name: a-z, 0-9 and _, at most {LONGEST}", short(name)));
    }
    let parts = match (kind, &of) {
        (RegisterKind::Scalar, Value::Function(_)) => Vec::new(),
        (RegisterKind::Scalar, _) => return refuse(format!("`{name}` needs a function")),
        (_, Value::Table(table)) => match parts(kind, table)? {
            Ok(parts) => parts,
            Err(why) => return refuse(format!("`{name}` {why}")),
        },
        _ => return refuse(format!("`{name}` needs a table of functions")),
    };
    let all: Table = lua.named_registry_value(REGISTERED)?;
    let of_kind: Table = all.raw_get(kind.name())?;
    if !of_kind.raw_get::<Value>(name)?.is_nil() {
        return refuse(format!("there is a {} `{name}` already", kind.noun()));
    }
    if all.raw_len() >= MOST {
        return refuse(format!("more than {MOST} registrations"));
    }
    of_kind.raw_set(name, of)?;
    let note = lua.create_table()?;
    note.raw_set("kind", kind.name())?;
    note.raw_set("name", name)?;
    note.raw_set("line", line(lua))?;
    note.raw_set("parts", parts)?;
    all.raw_push(note)
}

/// The line that calls the running function.
fn line(lua: &Lua) -> Option<usize> {
    let mut line = None;
    lua.inspect_stack(1, |debug| line = debug.current_line());
    line
}

/// The functions that a table has, or what is wrong with it.
fn parts(kind: RegisterKind, table: &Table) -> mlua::Result<Result<Vec<String>, String>> {
    let (needed, possible) = kind.parts();
    let mut found = Vec::new();
    for entry in table.pairs::<Value, Value>() {
        let (key, value) = entry?;
        let key = key.as_string().map(mlua::LuaString::to_string_lossy).unwrap_or_default();
        if !needed.iter().chain(possible).any(|part| *part == key) {
            let known = [needed, possible].concat().join("`, `");
            return Ok(Err(format!("has `{}`, of which nothing is known; it takes `{known}`", short(&key))));
        }
        // What a state begins as may be a value.
        if !matches!(value, Value::Function(_)) && key != "init" {
            return Ok(Err(format!("has a `{key}` that is no function")));
        }
        found.push(key);
    }
    found.sort_unstable();
    let missing = needed.iter().find(|part| !found.iter().any(|own| own == *part));
    Ok(missing.map_or(Ok(found), |part| Err(format!("needs `{part}`"))))
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// What was registered, in order.
fn list(lua: &Lua) -> mlua::Result<Vec<Registered>> {
    let all: Table = lua.named_registry_value(REGISTERED)?;
    let kinds = [RegisterKind::Scalar, RegisterKind::Aggregate, RegisterKind::Trigger];
    all.sequence_values::<Table>()
        .map(|note| {
            let note = note?;
            let kind: String = note.raw_get("kind")?;
            let kind = kinds.into_iter().find(|own| own.name() == kind).unwrap_or(RegisterKind::Scalar);
            let line: Option<u32> = note.raw_get("line")?;
            let (name, parts) = (note.raw_get("name")?, note.raw_get("parts")?);
            Ok(Registered { kind, name, line: line.unwrap_or(0), parts })
        })
        .collect()
}

/// A function of a table of functions, if it is there.
pub fn part(entry: &Value, name: &str) -> mlua::Result<Option<Function>> {
    match entry {
        Value::Table(table) => table.raw_get(name),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Plugin, LuaFault> {
        Plugin::load(Script::inline("test.lua", text, None), Budget::default())
    }

    #[test]
    fn what_a_script_registers_is_known_with_its_line() {
        let plugin = load(
            "register.scalar('double', function(x) return 2 * x end)\n\
             register.aggregate('longest', { init = 0, add = math.max })\n\n\
             register.trigger('eager', {\n  on_event = function() return 'fire' end })",
        )
        .unwrap();
        let all: Vec<_> = plugin.registered.iter().map(|r| (r.kind, r.name.as_str(), r.line)).collect();
        let kinds = [RegisterKind::Scalar, RegisterKind::Aggregate, RegisterKind::Trigger];
        assert_eq!(all, [(kinds[0], "double", 1), (kinds[1], "longest", 2), (kinds[2], "eager", 4)]);
        assert!(plugin.registered[1].has("add") && !plugin.registered[1].has("merge"));
    }

    #[test]
    fn what_cannot_be_registered_is_told_with_its_line() {
        let faults = [
            ("register.scalar('Double', print)", "`Double` is no name"),
            ("register.scalar('double', 2)", "`double` needs a function"),
            ("register.aggregate('x', { init = 1 })", "`x` needs `add`"),
            ("register.aggregate('x', { add = math.max, ad = 1 })", "has `ad`, of which nothing is known"),
            ("register.trigger('x', { on_event = 1 })", "has a `on_event` that is no function"),
            ("for _ = 1, 2 do register.scalar('x', math.abs) end", "there is a function `x` already"),
            ("for i = 1, 300 do register.scalar('x' .. i, math.abs) end", "more than 256"),
        ];
        for (text, message) in faults {
            let fault = load(&format!("\n{text}")).unwrap_err();
            assert!(fault.message.contains(message), "{text}: {fault}");
            assert_eq!(fault.line, Some(2), "{text}: {fault}");
        }
    }
}
