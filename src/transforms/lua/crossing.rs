//! Events that stay in their batch and cross the bridge together.

use super::bridge::{Crossing, each, list};
use super::operator::{Kept, LuaStep, fill, not_the_event, read_back};
use crate::dataflow::Output;
use crate::event::{Batch, Row, Slot};

impl LuaStep {
    /// Whether many events can cross in one call: nothing is kept or asked for between them.
    pub(super) fn is_plain(&self) -> bool {
        let needs = &self.runner.needs;
        self.keys.is_none() && !self.plan.asks && needs.reuse && !needs.is_judged
    }

    /// Takes events that stay in their batch, many of them in one call.
    pub(super) fn process_plain(
        &mut self,
        slots: &[Option<Slot>],
        batch: &mut Batch,
        rows: &mut Vec<Row>,
        out: &mut dyn Output,
    ) {
        let mut progress = each::Progress::default();
        while progress.at < rows.len() {
            let crossing = Crossing { reads: slots, writes: &self.plan.writes };
            let stop = self.runner.run(|loaded, lua| {
                match each::run(lua, loaded, crossing, (batch, rows), &mut progress)? {
                    each::Stop::Odd(kind) => Err(not_the_event(kind)),
                    stop => Ok(stop),
                }
            });
            let Some(&row) = rows.get(progress.at) else { break };
            let result = match stop {
                Ok(each::Stop::ComesOut) => match self.runner.table_and_writes() {
                    Some((table, names)) => {
                        read_back(&self.plan.writes, names, table, batch, row).map(|()| Kept::Stays)
                    }
                    None => Ok(Kept::Dropped),
                },
                Ok(_) => self.in_place(batch, row),
                Err(failure) => Err(failure),
            };
            match result {
                Ok(Kept::Stays) => progress.keep(rows),
                Ok(Kept::Dropped) => progress.drop(),
                Err(failure) if self.fail(batch, row, &failure, out) => progress.keep(rows),
                Err(_) => progress.at += 1,
            }
        }
        rows.truncate(progress.kept);
        if progress.dropped > 0 {
            out.discard("filtered", progress.dropped);
        }
    }

    /// Takes events that stay in their batch, several of them in one call of the script.
    pub(super) fn process_list(
        &mut self,
        slots: &[Option<Slot>],
        batch: &mut Batch,
        rows: &mut Vec<Row>,
        out: &mut dyn Output,
    ) {
        let all = std::mem::take(rows);
        let mut some = Vec::with_capacity(list::MOST);
        for events in all.chunks(list::MOST) {
            some.clear();
            some.extend_from_slice(events);
            self.process_some(slots, batch, &mut some, out);
            rows.extend_from_slice(&some);
        }
    }

    fn process_some(
        &mut self,
        slots: &[Option<Slot>],
        batch: &mut Batch,
        rows: &mut Vec<Row>,
        out: &mut dyn Output,
    ) {
        let crossing = Crossing { reads: slots, writes: &self.plan.writes };
        let given = self.runner.run(|loaded, lua| {
            let (mut at, events) = (0, &*rows);
            while at < events.len() {
                at = list::fill(lua, loaded, crossing, (batch, events), at)?;
                if let Some(row) = events.get(at) {
                    fill(loaded, lua, slots, (batch, *row), &list::table(loaded, at)?, false)?;
                    at += 1;
                }
            }
            match list::call(lua, loaded, events.len())? {
                list::Given::List => Ok(true),
                list::Given::Nothing => Ok(false),
                list::Given::Changed => {
                    Err(mlua::Error::runtime("`process_batch` gives a list of other events than it says"))
                }
                list::Given::Odd(kind) => {
                    Err(mlua::Error::runtime(format!("`process_batch` gives a {kind}, not a list of events")))
                }
            }
        });
        match given {
            Ok(true) => self.take_list(slots, batch, rows, out),
            Ok(false) => {
                out.discard("filtered", rows.len() as u64);
                rows.clear();
            }
            Err(failure) => rows.retain(|row| self.fail(batch, *row, &failure, out)),
        }
    }

    /// Takes what the script has made of events; what cannot be taken fails by itself.
    fn take_list(
        &mut self,
        slots: &[Option<Slot>],
        batch: &mut Batch,
        rows: &mut Vec<Row>,
        out: &mut dyn Output,
    ) {
        let (mut at, mut failed) = (0, Vec::new());
        while at < rows.len() {
            let crossing = Crossing { reads: slots, writes: &self.plan.writes };
            let taken = self.runner.run(|loaded, lua| {
                at = list::take(lua, loaded, crossing, (batch, rows), at)?;
                if at == rows.len() {
                    return Ok(Ok(()));
                }
                let table = list::table(loaded, at)?;
                Ok(read_back(crossing.writes, &loaded.writes, &table, batch, rows[at]))
            });
            if let Err(failure) = taken.and_then(|taken| taken) {
                failed.push((at, failure));
            }
            at += 1;
        }
        let (mut failed, mut number) = (failed.into_iter().peekable(), 0);
        rows.retain(|row| {
            let failure = failed.next_if(|(at, _)| *at == number);
            number += 1;
            failure.is_none_or(|(_, failure)| self.fail(batch, *row, &failure, out))
        });
    }
}
