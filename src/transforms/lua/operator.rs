//! A script at work on events.

use super::call::{Occasion, Shared};
use super::emitted::{Emitted, judge, key_value};
use super::plan::{Input, LuaPlan, OnError, Write};
use super::runner::{Failure, Loaded, Runner};
use super::state::{Change, Item, Values, give_kept, take_kept};
use super::values::{give_event, is_same};
use crate::dataflow::plugin::{from_lua, to_lua};
use crate::dataflow::{
    Awaits, Codec, ColdKeys, Copier, KeyId, KeyedState, MAIN, OpenPane, Operator, Output, Port, Saved,
    Saving, Signal, whole_event,
};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, Row, Slot, Value};
use crate::formats::json::{JsonEncoder, JsonOutput};
use crate::time::{Env, Timestamp};
use mlua::{Lua, Table};
use std::sync::Arc;

/// So many timers that `on_timer` itself sets fire at once; the others wait until time has gone on.
const MOST_FIRED: usize = 1_000_000;

/// The operator.
pub(super) struct LuaStep {
    pub(super) plan: LuaPlan,
    pub(super) runner: Runner,
    call: Shared,
    pub(super) keys: Option<KeyedState<Item>>,
    /// For each port, where it makes events.
    copiers: Vec<Copier>,
    /// Writes all of an event, where all goes in.
    whole: Option<JsonEncoder>,
    /// The columns of the stage in which events come.
    slots: usize,
    /// Event time, as far as it came in.
    reached: Timestamp,
    /// The watermark of the last event that went out.
    told: Timestamp,
    /// Events that went on although the script failed.
    passed_on: u64,
}

/// What comes of an event where it stays in its batch.
pub(super) enum Kept {
    Stays,
    Dropped,
}

impl LuaStep {
    pub(super) fn new(
        plan: LuaPlan,
        runner: Runner,
        keys: Option<KeyedState<Item>>,
        copiers: Vec<Copier>,
        slots: usize,
    ) -> LuaStep {
        let whole = match &plan.input {
            Input::Whole(view) => Some(JsonEncoder::new(JsonOutput::default(), view)),
            Input::Fields(_) => None,
        };
        let call = runner.call.clone();
        LuaStep {
            plan,
            runner,
            call,
            keys,
            copiers,
            whole,
            slots,
            reached: Timestamp::MIN,
            told: Timestamp::MIN,
            passed_on: 0,
        }
    }

    /// What is kept of the key of the row at hand.
    fn item(&mut self, batch: &Batch, row: Row) -> (Option<KeyId>, Option<Arc<Values>>, u32) {
        let Some(keys) = &mut self.keys else { return (None, None, self.plan.version) };
        match keys.meet(batch, row) {
            Some(key) => {
                let item = &keys.entry(key).item;
                (Some(key), Some(item.values.clone()), item.version)
            }
            None => (None, None, self.plan.version),
        }
    }

    /// Runs the script for an event of a batch that goes on.
    pub(super) fn in_place(&mut self, batch: &mut Batch, row: Row) -> Result<Kept, Failure> {
        let (key, values, version) = self.item(batch, row);
        let asks = self.plan.asks;
        if asks {
            let mut call = self.call.lock();
            call.begin(Occasion::Event, batch.times[row.index()], values);
        }
        let (plan, call, whole) = (&self.plan, &self.call, &mut self.whole);
        let (reuse, is_judged) = (self.runner.needs.reuse, self.runner.needs.is_judged);
        let (is_drop, table, given) = self.runner.run(|loaded, lua| {
            if version < plan.version {
                migrate(loaded, lua, call, version)?;
            }
            let Input::Fields(slots) = &plan.input else {
                let (table, given) = whole_table(lua, whole, (batch, row), is_judged)?;
                let result = loaded.entry.call(&table)?;
                return is_drop(&result, &table).map(|is_drop| (is_drop, Some(table), given));
            };
            let fresh = if reuse { None } else { Some(lua.create_table()?) };
            let table = fresh.as_ref().unwrap_or(&loaded.table);
            let given = fill(loaded, lua, slots, (batch, row), table, is_judged)?;
            let result = loaded.entry.call(table)?;
            is_drop(&result, table).map(|is_drop| (is_drop, fresh, given))
        })?;
        if is_drop {
            self.commit(batch, row, key)?;
            return Ok(Kept::Dropped);
        }
        let Some((shared, names)) = self.runner.table_and_writes() else { return Ok(Kept::Dropped) };
        let table = table.as_ref().unwrap_or(shared);
        if is_judged {
            judge(table, &given, self.runner.needs.write_names()).map_err(Failure::Event)?;
        }
        read_back(&self.plan.writes, names, table, batch, row)?;
        self.commit(batch, row, key)?;
        Ok(Kept::Stays)
    }

    /// Makes the changes of a call that has succeeded. The key at hand is that of the row.
    fn commit(&mut self, batch: &Batch, row: Row, key: Option<KeyId>) -> Result<(), Failure> {
        let Some(keys) = &mut self.keys else { return Ok(()) };
        let before = key.map(|key| &keys.entry(key).item);
        let Some(item) = changed(&self.call, before, self.plan.version)? else { return Ok(()) };
        if item.is_empty() {
            key.into_iter().for_each(|key| keys.forget(key));
            return Ok(());
        }
        let key = key.unwrap_or_else(|| keys.insert(batch, row));
        match item.timers.first() {
            Some(first) => keys.set_due(key, *first),
            None => keys.clear_due(key),
        }
        *keys.item(key) = item;
        Ok(())
    }

    /// Runs the script for an event, or for several, and lets go what it gives.
    fn make(&mut self, batch: &Batch, rows: &[Row], out: &mut dyn Output) -> Result<(), Failure> {
        let Some((&first, &last)) = rows.first().zip(rows.last()) else { return Ok(()) };
        let (key, values, version) = self.item(batch, first);
        let (is_batch, reuse, is_judged) =
            (self.plan.is_batch, self.runner.needs.reuse, self.runner.needs.is_judged);
        let occasion = if is_batch { Occasion::None } else { Occasion::Event };
        self.call.lock().begin(occasion, batch.times[last.index()], values);
        let (plan, call, whole) = (&self.plan, &self.call, &mut self.whole);
        let writes = self.runner.needs.write_names().to_vec();
        self.runner.run(|loaded, lua| {
            if version < plan.version {
                migrate(loaded, lua, call, version)?;
            }
            let mut tables = Vec::with_capacity(rows.len());
            for row in rows {
                tables.push(match &plan.input {
                    Input::Whole(_) => whole_table(lua, whole, (batch, *row), is_judged)?,
                    Input::Fields(slots) => {
                        let table = if reuse { loaded.table.clone() } else { lua.create_table()? };
                        let given = fill(loaded, lua, slots, (batch, *row), &table, is_judged)?;
                        (table, given)
                    }
                });
            }
            {
                let mut call = call.lock();
                let Some(emitted) = &mut call.emitted else { return Ok(()) };
                let pointers = tables.iter().map(|(table, _)| table.to_pointer() as usize);
                emitted.begin(pointers.zip(rows.iter().copied()));
                emitted.present = match rows {
                    [row] => plan.writes.iter().map(|write| write.is_present(batch, *row)).collect(),
                    // Of several it is not known beforehand which is meant.
                    _ => vec![true; plan.writes.len()],
                };
            }
            let result: mlua::Value = if is_batch {
                loaded.entry.call(lua.create_sequence_from(tables.iter().map(|(table, _)| table))?)?
            } else {
                loaded.entry.call(&tables[0].0)?
            };
            if is_judged {
                for (table, given) in &tables {
                    judge(table, given, &writes).map_err(mlua::Error::runtime)?;
                }
            }
            give_back(call, &result)
        })?;
        // Timers and state are judged before anything goes out.
        self.commit(batch, first, key)?;
        self.send(batch, batch.times[last.index()], out);
        Ok(())
    }

    fn send(&mut self, batch: &Batch, time: Timestamp, out: &mut dyn Output) {
        let mut call = self.call.lock();
        call.end();
        if let Some(emitted) = &mut call.emitted {
            self.told = emitted.send(&mut self.copiers, batch, (time, self.told), out);
        }
    }

    /// An event for which the script failed. Whether it goes on in its batch.
    #[cold]
    pub(super) fn fail(
        &mut self,
        batch: &mut Batch,
        row: Row,
        failure: &Failure,
        out: &mut dyn Output,
    ) -> bool {
        let text = failure.text(&self.runner.plugin.script.name);
        {
            let mut call = self.call.lock();
            call.end();
            call.emitted.iter_mut().for_each(Emitted::forget);
        }
        match self.plan.on_error {
            OnError::Reject => out.reject(batch, row, Reason::expression(text)),
            OnError::Stop => out.fail(format!("`{}`: {text}", self.plan.node)),
            OnError::Pass => {
                self.passed_on += 1;
                if self.passed_on.is_power_of_two() {
                    let (node, count) = (&self.plan.node, self.passed_on);
                    tracing::warn!("`{node}`: {text}; {count} events went on unchanged so far");
                }
                return self.pass_on(batch, row, out);
            }
        }
        false
    }

    /// Lets an event go on as it came in.
    fn pass_on(&mut self, batch: &mut Batch, row: Row, out: &mut dyn Output) -> bool {
        if self.plan.stays {
            for write in &self.plan.writes {
                let before = write.before.map_or(Value::NULL, |slot| batch.get(row, slot));
                batch.set(row, write.slot, before);
            }
            return true;
        }
        let mut text = Vec::new();
        if let Some(encoder) = &mut self.whole {
            whole_event(encoder, batch, row, &mut text);
        }
        let mut call = self.call.lock();
        if let Some(emitted) = &mut call.emitted {
            emitted.send_unchanged(&mut self.copiers, batch, (row, &text), self.told, out);
        }
        false
    }

    /// Fires the timers that are due by then.
    fn reach(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        self.reached = self.reached.max(watermark);
        let (mut ended, mut late) = (Vec::new(), 0);
        while let Some((due, key)) = self.keys.as_mut().and_then(|keys| keys.take_due(watermark)) {
            if watermark == Timestamp::MAX {
                // What is set from here on is for a run that follows.
                let timers = self.keys.as_ref().map(|keys| keys.entry(key).item.timers.clone());
                timers.into_iter().flatten().for_each(|due| self.fire(key, due, out));
                ended.push(key);
                continue;
            }
            self.fire(key, due, out);
            late += usize::from(self.settle(key, watermark, late > MOST_FIRED));
        }
        for key in ended {
            self.settle(key, Timestamp::MAX, false);
        }
        self.keys.iter_mut().for_each(|keys| keys.reach(watermark));
    }

    /// Has a key looked at when its next timer is due, or forgets it. Tells whether one is due already; it then waits until
    /// time goes on, if `waits`.
    fn settle(&mut self, key: KeyId, watermark: Timestamp, waits: bool) -> bool {
        let Some(keys) = &mut self.keys else { return false };
        let item = &keys.entry(key).item;
        let Some(next) = item.timers.first().copied() else {
            if item.is_empty() {
                keys.forget(key);
            }
            return false;
        };
        let is_due = next <= watermark;
        keys.set_due(key, if waits && is_due { Timestamp(watermark.0.saturating_add(1)) } else { next });
        is_due
    }

    /// Runs `on_timer` for a key.
    fn fire(&mut self, key: KeyId, due: Timestamp, out: &mut dyn Output) {
        let Some(keys) = &mut self.keys else { return };
        keys.item(key).timers.remove(&due);
        let entry = keys.entry(key);
        let mut batch = Batch::new(self.slots, b"");
        let row = batch.push_row(due, self.told);
        batch.raw[row.index()] = batch.store(b"{}");
        let slots: Vec<Option<Slot>> = self.plan.key.iter().copied().map(Some).collect();
        entry.write(&mut batch, row, &slots);
        let (values, version) = (entry.item.values.clone(), entry.item.version);
        {
            let mut call = self.call.lock();
            call.begin(Occasion::Timer(due), due, Some(values));
            call.emitted.iter_mut().for_each(|emitted| emitted.begin(std::iter::empty()));
        }
        let (plan, call) = (&self.plan, &self.call);
        let result = self.runner.run(|loaded, lua| {
            if version < plan.version {
                migrate(loaded, lua, call, version)?;
            }
            let Some(on_timer) = &loaded.on_timer else { return Ok(()) };
            let value = key_value(lua, &plan.key_names, &batch, row, &plan.key)?;
            let result: mlua::Value = on_timer.call((value, due.0))?;
            give_back(call, &result)
        });
        let result = result.and_then(|()| {
            let Some(keys) = &mut self.keys else { return Ok(()) };
            if let Some(item) = changed(&self.call, Some(&keys.entry(key).item), self.plan.version)? {
                *keys.item(key) = item;
            }
            Ok(())
        });
        match result {
            Ok(()) => self.send(&batch, due, out),
            Err(failure) => {
                let on_error = std::mem::replace(&mut self.plan.on_error, OnError::Reject);
                // There is no event that could go on.
                self.plan.on_error = if on_error == OnError::Pass { OnError::Reject } else { on_error };
                self.fail(&mut batch, row, &failure, out);
                self.plan.on_error = on_error;
            }
        }
    }

    /// Takes events that stay in their batch.
    fn process_in_place(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let mut dropped = 0;
        rows.retain(|&row| {
            let result = self.in_place(batch, row);
            self.keys.iter_mut().for_each(KeyedState::advance);
            match result {
                Ok(Kept::Stays) => true,
                Ok(Kept::Dropped) => {
                    dropped += 1;
                    false
                }
                Err(failure) => self.fail(batch, row, &failure, out),
            }
        });
        if dropped > 0 {
            out.discard("filtered", dropped);
        }
    }

    /// Takes events of which others are made.
    fn process_apart(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let each = if self.plan.is_batch { rows.len().max(1) } else { 1 };
        for rows in rows.chunks(each) {
            let watermark = batch.watermarks[rows[0].index()];
            self.reach(watermark, out);
            self.told = self.told.max(watermark);
            if let Err(failure) = self.make(batch, rows, out) {
                for row in rows {
                    self.fail(batch, *row, &failure, out);
                }
            }
            self.keys.iter_mut().for_each(KeyedState::advance);
        }
        rows.clear();
    }
}

impl Operator for LuaStep {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.keys.iter_mut().for_each(|keys| keys.read(batch, rows));
        match self.plan.stays {
            true if self.plan.is_batch || self.is_plain() => match self.plan.input.clone() {
                Input::Fields(slots) if self.plan.is_batch => self.process_list(&slots, batch, rows, out),
                Input::Fields(slots) => self.process_plain(&slots, batch, rows, out),
                Input::Whole(_) => self.process_in_place(batch, rows, out),
            },
            true => self.process_in_place(batch, rows, out),
            false => self.process_apart(batch, rows, out),
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        match signal {
            Signal::Watermark(watermark) => {
                self.reach(watermark, out);
                self.told = self.told.max(watermark);
            }
            Signal::Tick => self.runner.look(out.env().elapsed),
            Signal::Idle(_) | Signal::Flush | Signal::End => {}
        }
        if !self.plan.stays {
            (0..self.plan.ports).for_each(|port| out.signal(Port(port), signal));
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.keys.iter_mut().for_each(|keys| _ = keys.save(into, Item::put));
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        let version = self.plan.version;
        let Some(keys) = &mut self.keys else { return Err(Malformed("nothing that this node keeps")) };
        keys.load(saved, |reader| Item::take(version, reader)).map(drop)
    }

    fn spill(&mut self, cold: ColdKeys) {
        let version = self.plan.version;
        if let Some(keys) = &mut self.keys {
            keys.spill(cold, Codec::new(Item::put, move |reader| Item::take(version, reader)));
        }
    }

    fn awaits(&self) -> Option<Awaits> {
        let keys = self.keys.as_ref().filter(|_| self.plan.has_timers)?;
        let open = |due| OpenPane { key: None, window: None, due, trigger: None };
        let earliest = keys.next_due().map(open);
        Some(Awaits { trigger: "timer".to_owned(), watermark: self.reached, earliest })
    }
}

/// What is kept of a key after a call that has succeeded; None if that is what was kept before.
fn changed(call: &Shared, item: Option<&Item>, version: u32) -> Result<Option<Item>, Failure> {
    let mut call = call.lock();
    call.end();
    if call.changes.is_empty() && call.timers.is_empty() {
        return Ok(None);
    }
    let mut item = item.cloned().unwrap_or_default();
    item.version = version;
    let changes = std::mem::take(&mut call.changes);
    Arc::make_mut(&mut item.values).apply(changes).map_err(Failure::Event)?;
    item.add_timers(&call.timers).map_err(Failure::Event)?;
    Ok(Some(item))
}

/// All of an event as a table.
fn whole_table(
    lua: &Lua,
    whole: &mut Option<JsonEncoder>,
    (batch, row): (&Batch, Row),
    is_judged: bool,
) -> mlua::Result<(Table, Given)> {
    let mut text = Vec::new();
    if let Some(encoder) = whole {
        whole_event(encoder, batch, row, &mut text);
    }
    let table = give_event(lua, &text)?;
    let given = if is_judged { table.pairs().collect::<mlua::Result<Given>>()? } else { Vec::new() };
    Ok((table, given))
}

/// What fields were given that are looked after.
type Given = Vec<(String, mlua::Value)>;

/// Puts the fields of an event that the script needs into a table.
#[inline]
pub(super) fn fill(
    loaded: &Loaded,
    lua: &Lua,
    slots: &[Option<Slot>],
    (batch, row): (&Batch, Row),
    table: &Table,
    is_judged: bool,
) -> mlua::Result<Given> {
    let mut given = Vec::new();
    for (name, slot) in loaded.reads.iter().zip(slots) {
        let value = match slot {
            Some(slot) => to_lua(lua, batch, batch.get(row, *slot))?,
            None => mlua::Value::Nil,
        };
        if is_judged {
            given.push((name.to_string_lossy(), value.clone()));
        }
        table.raw_set(name, value)?;
    }
    Ok(given)
}

/// Takes the fields that may have been written into the row.
#[inline]
pub(super) fn read_back(
    writes: &[Write],
    names: &[mlua::LuaString],
    table: &Table,
    batch: &mut Batch,
    row: Row,
) -> Result<(), Failure> {
    for (write, name) in writes.iter().zip(names) {
        let value: mlua::Value = table.raw_get(name).map_err(|error| Failure::Event(error.to_string()))?;
        let before = write.before.map_or(Value::NULL, |slot| batch.get(row, slot));
        let cell = match is_same(batch, before, &value) {
            true => before,
            false => {
                from_lua(&value, batch).map_err(|why| Failure::Event(format!("`{}`: {why}", write.name)))?
            }
        };
        batch.set(row, write.slot, cell);
    }
    Ok(())
}

/// Whether the event does not go on.
fn is_drop(result: &mlua::Value, table: &Table) -> mlua::Result<bool> {
    match result {
        mlua::Value::Nil | mlua::Value::Boolean(false) => Ok(true),
        mlua::Value::Table(returned) if returned.to_pointer() == table.to_pointer() => Ok(false),
        other => Err(not_the_event(other.type_name())),
    }
}

/// What a script gives is not what it was given.
pub(super) fn not_the_event(kind: &str) -> mlua::Error {
    mlua::Error::runtime(format!("`process` gives a {kind}, not the event"))
}

/// Takes what a function of the script returned: an event, a list of events, or nothing.
fn give_back(call: &Shared, result: &mlua::Value) -> mlua::Result<()> {
    let table = match result {
        mlua::Value::Nil | mlua::Value::Boolean(false) => return Ok(()),
        mlua::Value::Table(table) => table,
        other => {
            let why = format!("it gives a {}, not an event or a list of events", other.type_name());
            return Err(mlua::Error::runtime(why));
        }
    };
    let mut call = call.lock();
    let Some(emitted) = &mut call.emitted else { return Ok(()) };
    let add =
        |emitted: &mut Emitted, table: &Table| emitted.add(MAIN, table, None).map_err(mlua::Error::runtime);
    if emitted.is_event(table) || (table.raw_len() == 0 && !table.is_empty()) {
        return add(emitted, table);
    }
    for i in 1..=table.raw_len() {
        match table.raw_get(i)? {
            mlua::Value::Table(event) => add(emitted, &event)?,
            other => {
                let why = format!("element {i} of the list that it gives is a {}", other.type_name());
                return Err(mlua::Error::runtime(why));
            }
        }
    }
    Ok(())
}

/// Has the script turn what an older version of it kept for the key into what it keeps now.
#[cold]
fn migrate(loaded: &Loaded, lua: &Lua, call: &Shared, version: u32) -> mlua::Result<()> {
    let values = call.lock().values.clone();
    if values.is_empty() {
        return Ok(());
    }
    let Some(migrate) = &loaded.migrate else {
        let why = format!("there is state of version {version}, and no function `migrate(old, version)`");
        return Err(mlua::Error::runtime(why));
    };
    let (old, mut scratch) = (lua.create_table()?, Batch::new(0, b""));
    for (name, kept) in values.iter() {
        old.raw_set(name, give_kept(lua, kept, &mut scratch)?)?;
    }
    let new: Option<Table> = migrate.call((old, version))?;
    let mut changes: Vec<Change> = values.iter().map(|(name, _)| (name.into(), None)).collect();
    for pair in new.iter().flat_map(|new| new.pairs::<String, mlua::Value>()) {
        let (name, value) = pair?;
        let kept = take_kept(&value, &mut scratch);
        let kept = kept.map_err(|why| mlua::Error::runtime(format!("state `{name}`: {why}")))?;
        changes.retain(|(known, _)| **known != *name);
        changes.push((name.into(), Some(kept)));
    }
    call.lock().changes = changes;
    Ok(())
}
