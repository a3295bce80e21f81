//! Triggers that scripts have registered.

use super::custom::{CustomTrigger, Held, MAX_STATE, Running, Told, Verdict};
use super::machine::Moment;
use crate::dataflow::plugin::{Place, Plugin, RegisterKind, pack, part, to_lua, unpack};
use crate::event::{Reason, RejectKind};
use crate::time::{Millis, Timestamp};
use mlua::{Lua, Table, Value};
use std::cell::RefCell;
use std::sync::Arc;

/// What a trigger of a script is taken to wait for on the clock: how long that is only it knows.
const WAITS: Millis = Millis(10_000);

/// A trigger that a script has registered.
#[derive(Debug)]
pub struct PluginTrigger {
    /// Its script.
    pub plugin: Arc<Plugin>,
    /// What it is called.
    pub name: String,
}

impl CustomTrigger for PluginTrigger {
    fn name(&self) -> String {
        format!("lua {}", self.name)
    }

    fn waits(&self) -> Option<Millis> {
        let registered = self.plugin.find(RegisterKind::Trigger, &self.name)?;
        registered.has("on_processing_time").then_some(WAITS)
    }

    fn merges(&self) -> bool {
        let registered = self.plugin.find(RegisterKind::Trigger, &self.name);
        registered.is_some_and(|registered| registered.has("on_merge"))
    }

    fn start(&self) -> Box<dyn Running> {
        let place = Place::new(self.plugin.clone(), RegisterKind::Trigger, &self.name);
        Box::new(Scripted { name: self.name.clone(), place: RefCell::new(place) })
    }
}

struct Scripted {
    name: String,
    place: RefCell<Place>,
}

/// What a script is told of a pane.
#[derive(Clone, Copy)]
struct Now {
    start: Timestamp,
    end: Timestamp,
    watermark: Timestamp,
    clock: Millis,
}

impl Now {
    fn of(moment: Moment) -> Now {
        let Moment { start, end, watermark, clock } = moment;
        Now { start, end, watermark, clock }
    }
}

/// A time, unless it is the beginning or the end of all.
fn known(time: Timestamp) -> Option<i64> {
    Some(time.0).filter(|_| time > Timestamp::MIN && time < Timestamp::MAX)
}

impl Scripted {
    /// Calls one of its functions; without it, nothing happens. `give` makes what is given beside the pane.
    fn call(
        &self,
        function: &str,
        held: &mut Held,
        now: Option<Now>,
        give: impl FnOnce(&Lua) -> mlua::Result<Value>,
    ) -> Result<Verdict, Reason> {
        let refusal =
            |why: String| Reason::new(RejectKind::Expression, format!("trigger {}: {why}", self.name));
        let called = self.place.borrow_mut().call(|lua, of| {
            let Some(function) = part(of, function)? else { return Ok(None) };
            let pane = describe(lua, held, now)?;
            let said: Value = function.call((&pane, give(lua)?))?;
            Ok(Some((said, Left::read(&pane)?)))
        });
        let Some((said, left)) = called.map_err(|fault| refusal(fault.to_string()))? else {
            return Ok(Verdict::Continue);
        };
        let verdict = verdict(&said).map_err(refusal)?;
        held.state.clear();
        if !left.state.is_nil() {
            let packed = pack(&left.state, MAX_STATE, &mut held.state);
            packed.map_err(|why| refusal(format!("pane.state: {why}")))?;
        }
        held.timer = left.timer.map(Timestamp);
        if let Some(now) = now {
            let due = |after: i64| Millis(now.clock.0.saturating_add(after.max(1)));
            let is_same = remaining(held, now) == left.after;
            held.clock_timer = if is_same { held.clock_timer } else { left.after.map(due) };
        }
        Ok(verdict)
    }
}

/// How long it is until the timer of the clock.
fn remaining(held: &Held, now: Now) -> Option<i64> {
    held.clock_timer.map(|due| (due.0 - now.clock.0).max(0))
}

/// The table that scripts know a pane by.
fn describe(lua: &Lua, held: &Held, now: Option<Now>) -> mlua::Result<Table> {
    let pane = lua.create_table()?;
    pane.raw_set("state", unpack(lua, &held.state)?)?;
    pane.raw_set("timer", held.timer.map(|at| at.0))?;
    if let Some(now) = now {
        pane.raw_set("after", remaining(held, now))?;
        pane.raw_set("window_start", known(now.start))?;
        pane.raw_set("window_end", known(now.end))?;
        pane.raw_set("watermark", known(now.watermark))?;
    }
    Ok(pane)
}

/// What a script has left in that table.
struct Left {
    state: Value,
    timer: Option<i64>,
    after: Option<i64>,
}

impl Left {
    fn read(pane: &Table) -> mlua::Result<Left> {
        let time = |key: &str| match pane.raw_get(key)? {
            Value::Nil => Ok(None),
            Value::Integer(int) => Ok(Some(int)),
            Value::Number(float) if float.is_finite() => Ok(Some(float.ceil() as i64)),
            other => {
                let found = other.type_name();
                Err(mlua::Error::runtime(format!("pane.{key} is milliseconds, not a {found}")))
            }
        };
        Ok(Left { state: pane.raw_get("state")?, timer: time("timer")?, after: time("after")? })
    }
}

fn verdict(said: &Value) -> Result<Verdict, String> {
    let word = match said {
        Value::Nil => return Ok(Verdict::Continue),
        Value::String(word) => word.to_string_lossy(),
        other => other.type_name().to_owned(),
    };
    Ok(match word.as_str() {
        "continue" => Verdict::Continue,
        "fire" => Verdict::Fire,
        "fire_and_close" => Verdict::FireAndClose,
        _ => {
            let word: String = word.chars().take(40).collect();
            return Err(format!("says `{word}`, not `continue`, `fire` or `fire_and_close`"));
        }
    })
}

impl Running for Scripted {
    fn on_event(&self, pane: &mut Held, told: &Told<'_>) -> Result<Verdict, Reason> {
        let (start, end) = (told.window.start, told.window.end);
        let now = Now { start, end, watermark: told.watermark, clock: told.now };
        self.call("on_event", pane, Some(now), |lua| {
            let event = lua.create_table()?;
            if let Some(arrival) = told.event {
                for (name, slot) in told.fields {
                    let value = arrival.batch.get(arrival.row, *slot);
                    event.raw_set(name.as_str(), to_lua(lua, arrival.batch, value)?)?;
                }
            }
            event.raw_set("event_time", told.time.0)?;
            Ok(Value::Table(event))
        })
    }

    fn on_event_time(&self, pane: &mut Held, at: Timestamp, moment: Moment) -> Result<Verdict, Reason> {
        self.call("on_event_time", pane, Some(Now::of(moment)), |_| Ok(Value::Integer(at.0)))
    }

    fn on_clock(&self, pane: &mut Held, moment: Moment) -> Result<Verdict, Reason> {
        self.call("on_processing_time", pane, Some(Now::of(moment)), |_| Ok(Value::Nil))
    }

    fn on_merge(&self, pane: &mut Held, other: &Held) -> Result<Verdict, Reason> {
        self.call("on_merge", pane, None, |lua| unpack(lua, &other.state))
    }
}
