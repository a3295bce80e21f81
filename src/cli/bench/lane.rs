//! What is measured on one worker.
//!
//! Parts run inside one another: an operator that emits drives what lies behind it before it returns. A part's own time
//! is the time between its begin and end without that of the parts inside. What is left between the parts of the
//! outermost level is the engine's own: event times, watermarks, copies, the driver.

use super::latency::Histogram;
use crate::time::Clock;
use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

thread_local! {
    /// Nanoseconds that this thread waited since somebody asked.
    static WAITED: Cell<u64> = const { Cell::new(0) };
}

/// Notes that this thread waited because it had nothing to do.
pub fn note_wait(nanos: u64) {
    WAITED.set(WAITED.get() + nanos);
}

/// A part of the pipeline: a position among the parts of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(pub usize);

/// What one part did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauge {
    /// Its own time.
    pub nanos: u64,
    /// Rows that it was given.
    pub rows_in: u64,
    /// Rows that it gave on.
    pub rows_out: u64,
    /// Bytes that it took.
    pub bytes: u64,
}

/// All gauges of one worker, shared by the instruments around its parts.
#[derive(Clone)]
pub struct Lane {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    gauges: Vec<Gauge>,
    engine: u64,
    depth: u32,
    /// Time of the parts inside the one that runs.
    inside: u64,
    /// When the last part of the outermost level ended.
    ended: Option<u64>,
    /// Batches that were read and not yet flushed: when, and how many rows.
    read: Vec<(u64, u64)>,
    /// When the last flush ended.
    flushed: Option<u64>,
    latencies: Histogram,
}

/// What all lanes measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// By part.
    pub gauges: Vec<Gauge>,
    /// Time between the parts.
    pub engine: u64,
    /// From reading to flushing, in nanoseconds, an entry an event.
    pub latencies: Histogram,
}

/// A part that began.
pub struct Begun {
    at: u64,
    /// What ran inside the part around it before.
    inside: u64,
}

impl Lane {
    /// A lane with that many parts.
    pub fn new(clock: Arc<dyn Clock>, parts: usize) -> Lane {
        let state = State { gauges: vec![Gauge::default(); parts], ..State::default() };
        Lane { clock, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers stay numbers if a worker panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part begins.
    pub fn begin(&self) -> Begun {
        let at = self.clock.nanos();
        let waited = WAITED.take();
        let mut state = self.state();
        if let (0, Some(ended)) = (state.depth, state.ended) {
            state.engine += (at - ended).saturating_sub(waited);
        }
        state.depth += 1;
        Begun { at, inside: std::mem::take(&mut state.inside) }
    }

    /// It ends, and `note` writes down what it did. Without a part, the time was spent waiting.
    pub fn end(&self, begun: Begun, part: Option<Part>, note: impl FnOnce(&mut Gauge)) {
        let at = self.clock.nanos();
        let spent = at - begun.at;
        let mut state = self.state();
        let own = spent.saturating_sub(state.inside);
        if let Some(gauge) = part.and_then(|part| state.gauges.get_mut(part.0)) {
            gauge.nanos += own;
            note(gauge);
        }
        state.inside = begun.inside + spent;
        state.depth -= 1;
        if state.depth == 0 {
            state.inside = 0;
            state.ended = Some(at);
        }
    }

    /// Rows were read.
    pub fn read(&self, rows: u64) {
        if rows > 0 {
            let at = self.clock.nanos();
            self.state().read.push((at, rows));
        }
    }

    /// Everything at hand was flushed, as far as one part is concerned; the last part's flush counts.
    pub fn flushed(&self) {
        let at = self.clock.nanos();
        self.state().flushed = Some(at);
    }

    /// Counts how long the batches took that were read before the last flush.
    pub fn settle(&self) {
        let mut state = self.state();
        if let Some(flushed) = state.flushed.take() {
            for (read, rows) in std::mem::take(&mut state.read) {
                state.latencies.add(flushed.saturating_sub(read), rows);
            }
        }
    }

    /// Adds what this lane measured.
    pub fn add_to(&self, sum: &mut Measured) {
        self.settle();
        let state = self.state();
        sum.gauges.resize(state.gauges.len(), Gauge::default());
        for (sum, gauge) in sum.gauges.iter_mut().zip(&state.gauges) {
            sum.nanos += gauge.nanos;
            sum.rows_in += gauge.rows_in;
            sum.rows_out += gauge.rows_out;
            sum.bytes += gauge.bytes;
        }
        sum.engine += state.engine;
        sum.latencies.merge(&state.latencies);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Millis, Timestamp, VirtualClock};

    #[test]
    fn a_part_is_not_charged_for_what_runs_inside_it_nor_for_waiting() {
        let clock = Arc::new(VirtualClock::new(Timestamp(0)));
        let lane = Lane::new(clock.clone(), 2);
        let pass = |ms| clock.advance(Millis(ms));
        let outer = lane.begin();
        pass(1);
        let inner = lane.begin();
        pass(10);
        lane.end(inner, Some(Part(1)), |gauge| gauge.rows_in += 3);
        pass(2);
        lane.end(outer, Some(Part(0)), |gauge| gauge.rows_out += 3);
        pass(100);
        note_wait(96_000_000);
        let polled = lane.begin();
        pass(50);
        lane.end(polled, None, |_| {});
        let mut measured = Measured::default();
        lane.add_to(&mut measured);
        let nanos: Vec<u64> = measured.gauges.iter().map(|gauge| gauge.nanos).collect();
        assert_eq!((nanos, measured.engine), (vec![3_000_000, 10_000_000], 4_000_000));
        assert_eq!((measured.gauges[1].rows_in, measured.gauges[0].rows_out), (3, 3));
    }

    #[test]
    fn events_take_from_being_read_to_the_next_flush() {
        let clock = Arc::new(VirtualClock::new(Timestamp(0)));
        let lane = Lane::new(clock.clone(), 0);
        lane.read(5);
        clock.advance(Millis(10));
        lane.read(0);
        lane.read(5);
        lane.settle();
        clock.advance(Millis(10));
        lane.flushed();
        clock.advance(Millis(1));
        lane.flushed();
        let mut measured = Measured::default();
        lane.add_to(&mut measured);
        let quantile = |share| measured.latencies.quantile(share).unwrap() / 1_000_000;
        assert_eq!((quantile(0.25), quantile(1.0)), (11, 21));
    }
}
