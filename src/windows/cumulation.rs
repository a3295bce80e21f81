//! Where windows of `cumulate` begin and end.

use super::plan::Grid;
use crate::time::{Cuts, Interval, Millis, Timestamp};

/// Time is cut into periods of the longest window, each of which is cut into steps; a window reaches from the start of
/// its period to the end of a step.
pub struct Cumulation {
    periods: Cuts,
    steps: Cuts,
    /// Steps asked about last, each with its windows, latest first.
    recent: Vec<(Interval, Vec<Interval>)>,
}

/// Steps that are remembered: events are mostly in the newest ones.
const RECENT: usize = 4;

impl Cumulation {
    /// Windows of at most `max`, one ending every `step`.
    pub fn new(max: Millis, step: Millis, grid: &Grid) -> Cumulation {
        Cumulation { periods: grid.cuts(max), steps: grid.cuts(step), recent: Vec::new() }
    }

    /// The longest window that holds a moment.
    #[inline]
    pub fn period(&mut self, time: Timestamp) -> Interval {
        self.periods.around(time)
    }

    /// The step that holds a moment.
    #[inline]
    pub fn step(&mut self, time: Timestamp) -> Interval {
        self.steps.around(time)
    }

    /// The windows that hold a moment, latest first.
    #[inline]
    pub fn windows(&mut self, time: Timestamp) -> &[Interval] {
        let found = self.recent.iter().position(|(step, _)| step.contains(time));
        let index = found.unwrap_or_else(|| self.remember(time));
        &self.recent[index].1
    }

    #[cold]
    fn remember(&mut self, time: Timestamp) -> usize {
        let period = self.period(time);
        let first = self.step(time);
        let mut windows = Vec::new();
        let mut step = first;
        while step.start < period.end {
            windows.push(Interval { start: period.start, end: step.end.min(period.end) });
            let next = self.steps.after(step);
            if next == step {
                break; // The end of time.
            }
            step = next;
        }
        windows.reverse();
        self.recent.truncate(RECENT - 1);
        self.recent.insert(0, (first, windows));
        0
    }
}
