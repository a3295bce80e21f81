//! Aggregates that scripts have registered.
//!
//! What a pane holds is kept here as bytes, not in the script's machine: so all panes together may hold more than a machine
//! may use, they are saved as they are, and a machine that went over its budget is thrown away without loss. An event is
//! taken while it is checked, on the way from one state to the next; adding it is then to keep that state.

use super::budget::HELD_BYTES;
use super::column::{Accumulator, Arrival, Frame, PaneId};
use super::custom::CustomAggregate;
use super::near::Near;
use crate::dataflow::KeyId;
use crate::dataflow::plugin::{Place, Plugin, RegisterKind, from_lua, pack, part, to_lua, unpack};
use crate::event::bytes::{Malformed, Reader, put_bytes};
use crate::event::{Batch, Reason, RejectKind, Slot, Value};
use mlua::{Lua, MultiValue};
use std::cell::RefCell;
use std::sync::Arc;

/// Bytes that a state may take.
const MAX_STATE: usize = 64 << 10;

/// An aggregate that a script has registered.
#[derive(Debug)]
pub struct PluginAggregate {
    /// Its script.
    pub plugin: Arc<Plugin>,
    /// What it is called.
    pub name: String,
}

impl CustomAggregate for PluginAggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> &str {
        &self.plugin.script.name
    }

    fn merges(&self) -> bool {
        let registered = self.plugin.find(RegisterKind::Aggregate, &self.name);
        registered.is_some_and(|registered| registered.has("merge"))
    }

    fn start(&self, arguments: &[Slot]) -> Box<dyn Accumulator> {
        let place = Place::new(self.plugin.clone(), RegisterKind::Aggregate, &self.name);
        Box::new(Scripted {
            name: self.name.clone(),
            arguments: arguments.to_vec(),
            place: RefCell::new(place),
            states: vec![State::Empty; PaneId::ALWAYS],
            foreseen: RefCell::default(),
            held: 0,
            failure: None,
        })
    }
}

/// What a pane holds.
#[derive(Clone, Debug, Default, PartialEq)]
enum State {
    /// No event.
    #[default]
    Empty,
    /// What the script keeps.
    Packed(Box<[u8]>),
    /// Nothing any more: the script failed where there was no event to reject.
    Failed(Reason),
}

/// What panes will hold with the event at hand.
#[derive(Default)]
struct Foreseen {
    /// Which event that is.
    order: u64,
    /// By the pane that it was checked against.
    states: Vec<(PaneId, State)>,
}

struct Scripted {
    name: String,
    arguments: Vec<Slot>,
    place: RefCell<Place>,
    states: Vec<State>,
    foreseen: RefCell<Foreseen>,
    /// Bytes of all states.
    held: usize,
    failure: Option<Reason>,
}

impl State {
    fn size(&self) -> usize {
        match self {
            State::Packed(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// As the script has it; one without events begins as the script says.
    fn value(&self, lua: &Lua, of: &mlua::Value) -> mlua::Result<mlua::Value> {
        match self {
            State::Packed(bytes) => unpack(lua, bytes),
            _ => begin(lua, of),
        }
    }
}

/// What a state begins as: what `init` is, or what it gives; a copy, as a table may be there once for all panes.
fn begin(lua: &Lua, of: &mlua::Value) -> mlua::Result<mlua::Value> {
    let mlua::Value::Table(table) = of else { return Ok(mlua::Value::Nil) };
    let value = match table.raw_get("init")? {
        mlua::Value::Function(init) => init.call(())?,
        init => init,
    };
    let mut bytes = Vec::new();
    pack(&value, MAX_STATE, &mut bytes).map_err(|why| mlua::Error::runtime(format!("init: {why}")))?;
    unpack(lua, &bytes)
}

/// What a function has made of a state: what it gives, or else what it has done to the state.
fn next(made: mlua::Value, state: mlua::Value) -> mlua::Value {
    if made.is_nil() { state } else { made }
}

impl Scripted {
    fn refusal(&self, why: impl std::fmt::Display) -> Reason {
        Reason::new(RejectKind::Aggregate, format!("{}: {why}", self.name))
    }

    /// A call from one state to the next.
    fn change(
        &self,
        call: impl FnOnce(&Lua, &mlua::Value) -> mlua::Result<mlua::Value>,
    ) -> Result<State, Reason> {
        let value = self.place.borrow_mut().call(call).map_err(|fault| self.refusal(fault))?;
        let mut bytes = Vec::new();
        pack(&value, MAX_STATE, &mut bytes).map_err(|why| self.refusal(format_args!("its state: {why}")))?;
        Ok(State::Packed(bytes.into()))
    }

    /// The state with the event.
    fn added(&self, state: &State, event: &Arrival) -> Result<State, Reason> {
        if let State::Failed(reason) = state {
            return Err(reason.clone());
        }
        if self.held > HELD_BYTES {
            return Err(self.refusal("its windows hold 256 MiB already"));
        }
        self.change(|lua, of| {
            let add = part(of, "add")?.ok_or_else(gone)?;
            let state = state.value(lua, of)?;
            let mut args = MultiValue::new();
            args.push_back(state.clone());
            for slot in &self.arguments {
                args.push_back(to_lua(lua, event.batch, event.batch.get(event.row, *slot))?);
            }
            Ok(next(add.call(args)?, state))
        })
    }

    /// Both states as one.
    fn merged(&self, into: &State, from: &State) -> Result<State, Reason> {
        match (into, from) {
            (State::Failed(reason), _) | (_, State::Failed(reason)) => Err(reason.clone()),
            (_, State::Empty) => Ok(into.clone()),
            (State::Empty, _) => Ok(from.clone()),
            _ => self.change(|lua, of| {
                let merge = part(of, "merge")?.ok_or_else(gone)?;
                let (into, from) = (into.value(lua, of)?, from.value(lua, of)?);
                Ok(next(merge.call((&into, from))?, into))
            }),
        }
    }

    /// What was foreseen for that pane; for one without events, what was for any such.
    fn take_foreseen(&self, pane: PaneId, order: u64) -> Option<State> {
        let foreseen = self.foreseen.borrow();
        let is_new = self.states[pane.index()] == State::Empty;
        let of = |wanted: PaneId| foreseen.states.iter().find(|(known, _)| *known == wanted);
        let found = of(pane).or_else(|| of(PaneId::EMPTY).filter(|_| is_new));
        found.filter(|_| foreseen.order == order).map(|(_, state)| state.clone())
    }

    fn foresee(&self, pane: PaneId, order: u64, state: State) {
        let mut foreseen = self.foreseen.borrow_mut();
        if foreseen.order != order {
            *foreseen = Foreseen { order, states: Vec::new() };
        }
        foreseen.states.retain(|(known, _)| *known != pane);
        foreseen.states.push((pane, state));
    }

    fn set(&mut self, pane: PaneId, state: State) {
        let own = &mut self.states[pane.index()];
        self.held = self.held.saturating_sub(own.size()) + state.size();
        *own = state;
    }
}

fn gone() -> mlua::Error {
    mlua::Error::runtime("it was not registered when the script was loaded anew")
}

impl Accumulator for Scripted {
    fn shrink(&mut self) {
        self.states.truncate(PaneId::ALWAYS);
        self.states.shrink_to_fit();
    }

    fn reset(&mut self, pane: PaneId) {
        if pane.index() >= self.states.len() {
            self.states.resize(pane.index() + 1, State::Empty);
        }
        self.set(pane, State::Empty);
    }

    fn fallible(&self) -> bool {
        true
    }

    fn check(&self, pane: PaneId, event: &Arrival) -> Result<(), Reason> {
        let foreseen = self.added(&self.states[pane.index()], event)?;
        self.foresee(pane, event.order, foreseen);
        Ok(())
    }

    fn scarce(&self, _event: Option<&Arrival>) -> bool {
        true
    }

    fn check_combined(&self, parts: &[PaneId], event: Option<&Arrival>) -> Result<(), Reason> {
        let mut whole = State::Empty;
        for part in parts {
            whole = self.merged(&whole, &self.states[part.index()])?;
        }
        event.map_or(Ok(()), |event| self.added(&whole, event).map(|_| ()))
    }

    fn add(&mut self, pane: PaneId, _key: KeyId, event: &Arrival) {
        let state = match self.take_foreseen(pane, event.order) {
            Some(state) => state,
            None => self.added(&self.states[pane.index()], event).unwrap_or_else(State::Failed),
        };
        self.set(pane, state);
    }

    fn merge(&mut self, into: PaneId, from: PaneId) {
        let merged = self.merged(&self.states[into.index()], &self.states[from.index()]);
        self.set(into, merged.unwrap_or_else(State::Failed));
    }

    fn result(&mut self, pane: PaneId, _frame: Frame, batch: &mut Batch) -> Value {
        let state = &self.states[pane.index()];
        if let State::Failed(reason) = state {
            self.failure = Some(reason.clone());
            return Value::NULL;
        }
        let value = self.place.borrow_mut().call(|lua, of| {
            let state = state.value(lua, of)?;
            match part(of, "result")? {
                Some(result) => result.call(state),
                None => Ok(state),
            }
        });
        let value = value.map_err(|fault| fault.to_string());
        match value.and_then(|value: mlua::Value| from_lua(&value, batch)) {
            Ok(value) => value,
            Err(why) => {
                self.failure = Some(self.refusal(why));
                Value::NULL
            }
        }
    }

    fn failure(&mut self) -> Option<Reason> {
        self.failure.take()
    }

    fn save(&self, pane: PaneId, _near: Near, into: &mut Vec<u8>) {
        match &self.states[pane.index()] {
            State::Empty => into.push(0),
            State::Packed(bytes) => {
                into.push(1);
                put_bytes(into, bytes);
            }
            State::Failed(reason) => {
                into.push(2);
                put_bytes(into, reason.text.as_bytes());
            }
        }
    }

    fn load(&mut self, pane: PaneId, _near: Near, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let state = match from.byte()? {
            0 => State::Empty,
            1 => State::Packed(from.bytes(MAX_STATE)?.into()),
            2 => {
                let text = String::from_utf8_lossy(from.bytes(MAX_STATE)?).into_owned();
                State::Failed(Reason::new(RejectKind::Aggregate, text))
            }
            _ => return Err(Malformed("a state of no kind that is known")),
        };
        self.set(pane, state);
        Ok(())
    }
}
