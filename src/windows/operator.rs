//! The window operator: one for all kinds.

use super::aggregates::Arrival;
use super::count::Count;
use super::cumulate::Cumulate;
use super::emitter::Emitter;
use super::fixed::Fixed;
use super::plan::{LATE, PANES, WindowKind, WindowPlan};
use super::session::Sessions;
use super::slices::Slices;
use crate::dataflow::{KeyReader, Operator, Output, Signal};
use crate::event::{Batch, Reason, Row};
use crate::time::Timestamp;

/// How windows of one kind take events and fire. All kinds that cannot fire early share these three questions;
/// everything else about them is in their own files.
pub trait Windowing: Send {
    /// Looks up keys of the events to come.
    fn look_ahead(&self, keys: &mut KeyReader);

    /// Takes an event, whose key the reader stands at, or refuses it and is as if it had never come.
    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason>;

    /// The earliest time at which the watermark makes something happen.
    fn next(&mut self) -> Option<Timestamp>;

    /// Makes happen what happens at the time that [`Windowing::next`] says.
    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output);
}

/// What all kinds of windows work with.
pub struct Desk {
    /// The keys of the batch at hand.
    pub keys: KeyReader,
    /// Takes rows.
    pub emitter: Emitter,
    /// Event time, as far as it came in.
    pub watermark: Timestamp,
    /// No later than [`Windowing::next`]; who adds something due lowers it.
    pub due: Timestamp,
}

/// Gathers events by key and window, and emits a row for each pane.
///
/// Event time stands at each row's watermark before the row is taken. What is due by then fires first, in order of
/// window end, window start, and arrival of the first event, while the outgoing watermark follows the window ends one by
/// one. So results depend neither on how events were batched nor on how far the watermark jumps.
pub struct WindowOperator {
    desk: Desk,
    windows: Box<dyn Windowing>,
    arrivals: u64,
    /// Whether nothing is said of the watermark until the end of input: `global` panes leave then, with the times of
    /// their last events.
    holds: bool,
}

impl WindowOperator {
    /// An operator without events. All of its hashes start from `seed`.
    pub fn new(plan: WindowPlan, seed: u64) -> WindowOperator {
        let windows: Box<dyn Windowing> = match &plan.kind {
            WindowKind::Sliding { .. } if plan.shares_slices() => Box::new(Slices::new(&plan, seed)),
            WindowKind::Cumulate { .. } if plan.shares_slices() => Box::new(Cumulate::new(&plan, seed)),
            WindowKind::Tumbling { .. }
            | WindowKind::Sliding { .. }
            | WindowKind::Cumulate { .. }
            | WindowKind::Calendar { .. } => Box::new(Fixed::new(&plan, seed)),
            WindowKind::Session { .. } | WindowKind::Global => Box::new(Sessions::new(&plan, seed)),
            WindowKind::Count { .. } => Box::new(Count::new(&plan, seed)),
        };
        let holds = matches!(plan.kind, WindowKind::Global);
        let desk = Desk {
            keys: KeyReader::new(plan.key, seed),
            emitter: Emitter::new(plan.output, plan.late),
            watermark: Timestamp::MIN,
            due: Timestamp::MAX,
        };
        WindowOperator { desk, windows, arrivals: 0, holds }
    }

    /// Event time goes on to here. Never goes back.
    fn advance(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        if watermark >= self.desk.due {
            self.fire_until(watermark, out);
        }
        self.desk.watermark = self.desk.watermark.max(watermark);
        if !self.holds {
            self.desk.emitter.reach(watermark);
        }
    }

    #[cold]
    fn fire_until(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        let mut next = self.windows.next();
        while let Some(due) = next
            && due <= watermark
        {
            self.desk.watermark = self.desk.watermark.max(due);
            self.windows.fire(&mut self.desk, out);
            self.desk.emitter.reach(due);
            next = self.windows.next();
        }
        self.desk.due = next.unwrap_or(Timestamp::MAX);
    }
}

impl Operator for WindowOperator {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.desk.keys.read(batch, rows);
        self.windows.look_ahead(&mut self.desk.keys);
        for &row in rows.iter() {
            self.advance(batch.watermarks[row.index()], out);
            self.arrivals += 1;
            let event = Arrival { batch, row, time: batch.times[row.index()], order: self.arrivals };
            if let Err(reason) = self.windows.take(&mut self.desk, &event, out) {
                out.reject(batch, row, reason);
            }
            self.desk.keys.advance();
        }
        rows.clear();
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.advance(watermark, out);
        }
        let held = self.holds && matches!(signal, Signal::Watermark(w) if w < Timestamp::MAX);
        if !held {
            out.signal(PANES, signal);
        }
        if self.desk.emitter.has_late_port() {
            out.signal(LATE, signal);
        }
    }
}
