//! Events that come too late for a join: they leave by a port of their own, if anybody reads it.

use super::LATE;
use crate::dataflow::{Copier, MAIN, Output, Signal, StartContext};
use crate::event::{Batch, Row};
use crate::time::Timestamp;

/// The way out of late events: for each side how they are copied, or nothing.
pub struct Late(Vec<Copier>);

impl Late {
    /// The way out for so many sides.
    pub fn new(context: &StartContext<'_>, sides: usize) -> Late {
        let sides = if context.is_connected(LATE) { 0..sides } else { 0..0 };
        Late(sides.map(|side| Copier::new(&context.copies(LATE, side))).collect())
    }

    /// Counts an event of a side, and puts it out with that watermark before it.
    pub fn take(&mut self, side: usize, batch: &Batch, row: Row, watermark: Timestamp, out: &mut dyn Output) {
        out.discard("late", 1);
        if let Some(copier) = self.0.get_mut(side) {
            copier.copy(batch, row, watermark, out.emit(LATE));
        }
    }

    /// Hands a signal on: in place of a watermark, what does not leave late is told how far it has come.
    pub fn signal(&self, signal: Signal, passed: Timestamp, out: &mut dyn Output) {
        let told = match signal {
            Signal::Watermark(_) => Signal::Watermark(passed),
            other => other,
        };
        out.signal(MAIN, told);
        if !self.0.is_empty() {
            out.signal(LATE, signal);
        }
    }
}
