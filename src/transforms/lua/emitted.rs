//! Events that a call of a script gives, kept until the call has succeeded.

use super::values::write_event;
use crate::dataflow::plugin::{from_lua, to_lua};
use crate::dataflow::{Copier, DecodingId, MAIN, Output, Port, StartContext};
use crate::event::{Batch, Path, Row, Slot, Span, Step, Value, json};
use crate::time::Timestamp;
use mlua::Table;

/// What of an event goes into the stage behind a port.
pub(super) struct PortForm {
    /// The paths that are read behind it, where they go, and where the same field of the event stands as it came in.
    wanted: Vec<(Path, Slot, Option<Slot>)>,
    /// Where all of an event goes.
    object: Option<Slot>,
    /// Whether the event as it came in is copied as a whole, too.
    copies_whole: bool,
    /// Events that wait, in the layout of that stage.
    waiting: Batch,
}

/// An event that waits.
struct Waiting {
    port: Port,
    row: Row,
    /// The event as which it came in, if it is the same.
    of: Option<Row>,
    time: Option<Timestamp>,
}

/// What fields an event may have behind the script.
pub(super) struct Writes {
    /// Those that the script may write in an event that comes in; None: whatever the table then has is the event.
    pub(super) known: Option<Vec<String>>,
    /// Whether events that it makes have no others.
    pub(super) declared: bool,
}

/// Events that wait.
pub(super) struct Emitted {
    forms: Vec<PortForm>,
    waiting: Vec<Waiting>,
    writes: Writes,
    /// The tables of the events at hand.
    tables: Vec<(usize, Row)>,
    /// Where to look first for one.
    hint: usize,
    /// Of the fields that may be written, those that the event at hand came with.
    pub(super) present: Vec<bool>,
}

/// More events than this of one call are a fault.
const MOST_EVENTS: usize = 100_000;

impl Emitted {
    /// For the ports of a step, each with its decoding, the main one first.
    pub(super) fn new(context: &StartContext<'_>, ports: &[DecodingId], writes: Writes) -> Emitted {
        let forms = ports.iter().enumerate().map(|(i, id)| {
            let decoding = context.decoding(*id);
            let fields = decoding.wanted.fields.iter();
            let below = |slot: &Slot| decoding.below.get(slot).copied();
            let port = Port(i as u8);
            PortForm {
                wanted: fields.map(|(path, slot)| (path.clone(), *slot, below(slot))).collect(),
                object: decoding.object,
                copies_whole: context.copies(port, 0).whole.is_some(),
                waiting: Batch::new(context.slots(port), b""),
            }
        });
        let (forms, present) = (forms.collect(), Vec::new());
        Emitted { forms, waiting: Vec::new(), writes, tables: Vec::new(), hint: 0, present }
    }

    /// The tables of the events at hand.
    pub(super) fn begin(&mut self, tables: impl Iterator<Item = (usize, Row)>) {
        self.tables.clear();
        self.tables.extend(tables);
        self.hint = 0;
        self.forget();
    }

    /// Forgets all that waits.
    pub(super) fn forget(&mut self) {
        if !self.waiting.is_empty() {
            self.waiting.clear();
            self.forms.iter_mut().for_each(|form| form.waiting.clear());
        }
    }

    /// The event that came in as this table.
    fn row_of(&mut self, table: &Table) -> Option<Row> {
        let pointer = table.to_pointer() as usize;
        let is_it = |entry: &&(usize, Row)| entry.0 == pointer;
        let found = self.tables.get(self.hint).filter(is_it).or_else(|| self.tables.iter().find(is_it))?.1;
        self.hint += 1;
        Some(found)
    }

    /// Whether the table is an event that came in.
    pub(super) fn is_event(&self, table: &Table) -> bool {
        let pointer = table.to_pointer() as usize;
        self.tables.iter().any(|(known, _)| *known == pointer)
    }

    /// An event leaves by a port, if the call succeeds.
    pub(super) fn add(&mut self, port: Port, table: &Table, time: Option<Timestamp>) -> Result<(), String> {
        if self.waiting.len() >= MOST_EVENTS {
            return Err(format!("a call gives more than {MOST_EVENTS} events"));
        }
        let of = self.row_of(table);
        let Some(form) = self.forms.get_mut(usize::from(port.0)) else { return Ok(()) };
        let row = form.waiting.push_row(Timestamp::MIN, Timestamp::MIN);
        let known = self.writes.known.as_deref().filter(|_| of.is_some());
        if known.is_none() && self.writes.declared {
            only(table, self.writes.known.as_deref().unwrap_or_default())?;
        }
        form.fill(row, table, known, &self.present)?;
        self.waiting.push(Waiting { port, row, of, time });
        Ok(())
    }

    /// What waits goes out. `batch` is where the events came in, `time` that of those which a script made. Returns the
    /// watermark of the last.
    pub(super) fn send(
        &mut self,
        copiers: &mut [Copier],
        batch: &Batch,
        (time, mut watermark): (Timestamp, Timestamp),
        out: &mut dyn Output,
    ) -> Timestamp {
        for Waiting { port, row, of, time: own } in self.waiting.drain(..) {
            let form = &self.forms[usize::from(port.0)];
            let into = out.emit(port);
            watermark = of.map_or(watermark, |of| watermark.max(batch.watermarks[of.index()]));
            let known = self.writes.known.as_deref().filter(|_| of.is_some());
            let copy = match of.filter(|_| known.is_some()) {
                Some(of) => copiers[usize::from(port.0)].copy(batch, of, watermark, into),
                None => form.new_row(into, of.map_or(time, |of| batch.times[of.index()]), watermark),
            };
            if let Some(own) = own {
                into.times[copy.index()] = own;
            }
            form.write(row, known, into, copy);
        }
        self.forms.iter_mut().for_each(|form| form.waiting.clear());
        watermark
    }

    /// An event goes out as it came in; `text` is all of it, where it is not copied.
    pub(super) fn send_unchanged(
        &mut self,
        copiers: &mut [Copier],
        batch: &Batch,
        (row, text): (Row, &[u8]),
        watermark: Timestamp,
        out: &mut dyn Output,
    ) {
        self.forget();
        let (Some(form), Some(copier)) = (self.forms.first_mut(), copiers.first_mut()) else { return };
        let into = out.emit(MAIN);
        if self.writes.known.is_some() {
            let copy = copier.copy(batch, row, watermark, into);
            let none = form.waiting.push_row(Timestamp::MIN, Timestamp::MIN);
            if let Some(slot) = form.object {
                let span = form.waiting.store(b"{}");
                form.waiting.set(none, slot, Value::json(span));
            }
            form.write(none, Some(&[]), into, copy);
            form.waiting.clear();
            return;
        }
        let copy = form.new_row(into, batch.times[row.index()], watermark);
        for (path, slot, _) in &form.wanted {
            // What is read of an event that came in could be read before.
            let raw = json::get(text, path.steps());
            let value = raw.and_then(|raw| json::to_value(raw, &mut into.arena).ok());
            into.set(copy, *slot, value.unwrap_or(Value::NULL));
        }
        if let Some(slot) = form.object {
            let span = into.store(text);
            into.set(copy, slot, Value::json(span));
        }
    }
}

/// Whether a table has only these keys.
fn only(table: &Table, names: &[String]) -> Result<(), String> {
    for pair in table.pairs::<mlua::Value, mlua::Value>() {
        let (key, _) = pair.map_err(|error| error.to_string())?;
        let name = key.as_string().map_or_else(|| key.type_name().into(), mlua::LuaString::to_string_lossy);
        if !names.contains(&name) {
            return Err(format!("it writes `{name}`, which `writes` does not name"));
        }
    }
    Ok(())
}

/// Checks that an event whose fields were declared was changed in those only that may be written.
pub(super) fn judge(table: &Table, given: &[(String, mlua::Value)], writes: &[String]) -> Result<(), String> {
    for (name, value) in given.iter().filter(|(name, _)| !writes.contains(name)) {
        let now: mlua::Value = table.raw_get(name.as_str()).map_err(|error| error.to_string())?;
        if now != *value {
            return Err(format!("it writes `{name}`, which `writes` does not name"));
        }
    }
    let names: Vec<String> =
        given.iter().map(|(name, _)| name.clone()).chain(writes.iter().cloned()).collect();
    only(table, &names)
}

impl PortForm {
    /// Writes what of a table is wanted into a row that waits. `known`: only these fields can differ from the event that
    /// came in as this table.
    fn fill(
        &mut self,
        row: Row,
        table: &Table,
        known: Option<&[String]>,
        present: &[bool],
    ) -> Result<(), String> {
        for (path, slot, _) in &self.wanted {
            if known.is_some_and(|known| !known.iter().any(|name| name == path.root())) {
                continue;
            }
            let value = walk(table, path).map_err(|error| error.to_string())?;
            let cell = from_lua(&value, &mut self.waiting).map_err(|why| format!("`{path}`: {why}"))?;
            self.waiting.set(row, *slot, cell);
        }
        let Some(object) = self.object else { return Ok(()) };
        let start = self.waiting.arena.len();
        match known {
            None => write_event(table, &mut self.waiting.arena)?,
            Some(known) => changed(table, known, present, &mut self.waiting.arena)?,
        }
        let span = Span::new(start, self.waiting.arena.len() - start);
        self.waiting.set(row, object, Value::json(span));
        Ok(())
    }

    /// A row of an event that is new.
    fn new_row(&self, into: &mut Batch, time: Timestamp, watermark: Timestamp) -> Row {
        let row = into.push_row(time, watermark);
        if self.copies_whole {
            into.raw[row.index()] = into.store(b"{}");
        }
        row
    }

    /// Writes a row that waited into one that goes out.
    fn write(&self, row: Row, known: Option<&[String]>, into: &mut Batch, copy: Row) {
        for (path, slot, below) in &self.wanted {
            let old = below.filter(|_| known.is_some()).map(|below| into.get(copy, below));
            let stays = known.is_some_and(|known| !known.iter().any(|name| name == path.root()));
            let new = self.waiting.get(row, *slot);
            let value = match old {
                Some(old) if stays || is_time(old, new) => old,
                _ if stays => Value::NULL,
                _ => into.adopt(&self.waiting, new),
            };
            into.set(copy, *slot, value);
        }
        if let Some(slot) = self.object {
            let value = into.adopt(&self.waiting, self.waiting.get(row, slot));
            into.set(copy, slot, value);
        }
    }
}

/// Whether a time stays what it is: to a script it is a number.
fn is_time(old: Value, new: Value) -> bool {
    old.as_timestamp().is_some() && old.as_timestamp() == new.as_int()
}

/// The fields that a script may have written, as a JSON map. A field that is not there and was not there is left out.
fn changed(table: &Table, known: &[String], present: &[bool], into: &mut Vec<u8>) -> Result<(), String> {
    let mut scratch = Batch::new(0, b"");
    into.push(b'{');
    let mut is_first = true;
    for (i, name) in known.iter().enumerate() {
        let value: mlua::Value = table.raw_get(name.as_str()).map_err(|error| error.to_string())?;
        if value.is_nil() && !present.get(i).copied().unwrap_or_default() {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            into.push(b',');
        }
        json::write_string(name.as_bytes(), into);
        into.push(b':');
        scratch.clear();
        let cell = from_lua(&value, &mut scratch).map_err(|why| format!("`{name}`: {why}"))?;
        json::write_value(&scratch, cell, into);
    }
    into.push(b'}');
    Ok(())
}

/// What stands at a path inside of a table.
fn walk(table: &Table, path: &Path) -> mlua::Result<mlua::Value> {
    let mut value: mlua::Value = table.raw_get(path.root())?;
    for step in path.rest() {
        let mlua::Value::Table(inside) = &value else { return Ok(mlua::Value::Nil) };
        value = match step {
            Step::Field(name) => inside.raw_get(name.as_str())?,
            Step::Index(n) => inside.raw_get(*n as i64 + 1)?,
        };
    }
    Ok(value)
}

/// The fields of a key for `on_timer`: its value, or a table of them by name; nil where there is no key.
pub(super) fn key_value(
    lua: &mlua::Lua,
    names: &[String],
    batch: &Batch,
    row: Row,
    slots: &[Slot],
) -> mlua::Result<mlua::Value> {
    match slots {
        [] => Ok(mlua::Value::Nil),
        [slot] => to_lua(lua, batch, batch.get(row, *slot)),
        _ => {
            let table = lua.create_table()?;
            for (name, slot) in names.iter().zip(slots) {
                table.raw_set(name.as_str(), to_lua(lua, batch, batch.get(row, *slot))?)?;
            }
            Ok(mlua::Value::Table(table))
        }
    }
}
