//! What leaves a window node.

use super::aggregates::{Arrival, Frame, PaneId};
use super::panes::Panes;
use super::plan::{LATE, LateOutput, PANES, PaneOutput};
use crate::dataflow::{Copier, KeyEntry, Output};
use crate::event::{Batch, Row, Slot, Value};
use crate::time::{Interval, Millis, Timestamp};

/// Writes rows to the ports and knows the watermark behind them.
pub struct Emitter {
    output: PaneOutput,
    late: Option<(Copier, Option<Slot>)>,
    watermark: Timestamp,
    /// Whether rows leave with the watermark as their time where their window ended before.
    pub keeps_up: bool,
}

impl Emitter {
    /// For these layouts.
    pub fn new(output: PaneOutput, late: Option<LateOutput>) -> Emitter {
        let late = late.map(|late| (Copier::new(&late.copies), late.window_start));
        Emitter { output, late, watermark: Timestamp::MIN, keeps_up: false }
    }

    /// Whether the port of late events leads anywhere.
    pub fn has_late_port(&self) -> bool {
        self.late.is_some()
    }

    /// No pane will leave with an earlier event time, late ones aside. Never goes back.
    #[inline]
    pub fn reach(&mut self, watermark: Timestamp) {
        self.watermark = self.watermark.max(watermark);
    }

    /// What was said last of panes to come.
    pub fn reached(&self) -> Timestamp {
        self.watermark
    }

    /// A pane leaves.
    pub fn pane<T>(
        &self,
        out: &mut dyn Output,
        panes: &mut Panes,
        pane: PaneId,
        key: &KeyEntry<T>,
        frame: Frame,
    ) {
        let (batch, row) = self.begin(out, key, frame.window);
        panes.write(pane, frame, batch, row);
    }

    /// The row of a pane, with its key and its window.
    pub fn begin<'o, T>(
        &self,
        out: &'o mut dyn Output,
        key: &KeyEntry<T>,
        window: Interval,
    ) -> (&'o mut Batch, Row) {
        let batch = out.emit(PANES);
        let time = window.end - Millis(1);
        let time = if self.keeps_up { time.max(self.watermark) } else { time };
        let row = batch.push_row(time, self.watermark);
        key.write(batch, row, &self.output.key);
        if let Some(slot) = self.output.window_start {
            batch.set(row, slot, Value::int(window.start.0));
        }
        if let Some(slot) = self.output.window_end {
            batch.set(row, slot, Value::int(window.end.0));
        }
        (batch, row)
    }

    /// Where things stand in a pane's row.
    pub fn output(&self) -> &PaneOutput {
        &self.output
    }

    /// An event leaves that the window starting at `start` no longer takes.
    pub fn late(&mut self, out: &mut dyn Output, event: &Arrival, start: Timestamp) {
        let Some((copier, window_start)) = &mut self.late else {
            out.discard("late", 1);
            return;
        };
        let batch = out.emit(LATE);
        let before = event.batch.watermarks[event.row.index()];
        let row = copier.copy(event.batch, event.row, before, batch);
        if let Some(slot) = *window_start {
            batch.set(row, slot, Value::int(start.0));
        }
    }
}
