//! Rows that outlive the batch they came in: an operator holds them and lets them go on later.

use super::copy::{Copies, whole_event};
use crate::event::{Batch, Kept, Row, Slot};
use crate::formats::json::{JsonEncoder, JsonOutput};
use crate::time::Timestamp;

/// What of a row is needed behind an emitting port, owned.
#[derive(Clone, Debug)]
pub struct KeptRow {
    /// The event's time.
    pub time: Timestamp,
    pub(super) cells: Box<[Kept]>,
    /// The whole event, where it is needed.
    pub(super) raw: Vec<u8>,
}

impl KeptRow {
    /// Adds the row to a batch, with its own event time.
    pub(super) fn write(
        &self,
        slots: impl Iterator<Item = Slot>,
        whole: bool,
        watermark: Timestamp,
        into: &mut Batch,
    ) -> Row {
        let row = into.push_row(self.time, watermark);
        self.fill(slots, row, into);
        if whole {
            into.raw[row.index()] = into.store(&self.raw);
        }
        row
    }

    /// Sets the cells of a row.
    fn fill(&self, slots: impl Iterator<Item = Slot>, row: Row, into: &mut Batch) {
        for (slot, value) in slots.zip(&self.cells) {
            let value = value.write(into);
            into.set(row, slot, value);
        }
    }
}

/// Keeps rows as a [`Copies`] says, and writes them into the batch behind the port.
pub struct Keeper {
    cells: Vec<(Slot, Slot)>,
    whole: Option<JsonEncoder>,
    scratch: Vec<u8>,
}

impl Keeper {
    /// A keeper of what is copied behind a port.
    pub fn new(copies: &Copies) -> Keeper {
        let whole = copies.whole.as_ref().map(|view| JsonEncoder::new(JsonOutput::default(), view));
        Keeper { cells: copies.cells.clone(), whole, scratch: Vec::new() }
    }

    /// A copy of the row.
    pub fn keep(&mut self, batch: &Batch, row: Row) -> KeptRow {
        let cells = self.cells.iter().map(|(from, _)| Kept::of(batch, batch.get(row, *from))).collect();
        self.scratch.clear();
        if let Some(encoder) = &mut self.whole {
            let span = whole_event(encoder, batch, row, &mut self.scratch);
            self.scratch.truncate(span.range().end);
        }
        KeptRow { time: batch.times[row.index()], cells, raw: self.scratch.as_slice().into() }
    }

    /// Another row takes the place of a kept one, in its memory where it fits.
    pub fn replace(&mut self, kept: &mut KeptRow, batch: &Batch, row: Row) {
        kept.time = batch.times[row.index()];
        for ((from, _), cell) in self.cells.iter().zip(&mut kept.cells) {
            cell.replace(batch, batch.get(row, *from));
        }
        if let Some(encoder) = &mut self.whole {
            kept.raw.clear();
            let span = whole_event(encoder, batch, row, &mut kept.raw);
            kept.raw.truncate(span.range().end);
        }
    }

    /// Adds the row to the batch behind the port, with its own event time.
    pub fn write(&self, kept: &KeptRow, watermark: Timestamp, into: &mut Batch) -> Row {
        kept.write(self.cells.iter().map(|(_, slot)| *slot), self.whole.is_some(), watermark, into)
    }

    /// Sets the cells that it keeps in a row of the batch behind the port, all others staying as they are.
    pub fn fill(&self, kept: &KeptRow, row: Row, into: &mut Batch) {
        kept.fill(self.cells.iter().map(|(_, slot)| *slot), row, into);
    }
}
