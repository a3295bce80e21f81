//! Which windows of fixed length an event belongs to.

use super::cumulation::Cumulation;
use super::plan::{Grid, WindowKind, gcd};
use crate::time::{CalendarCuts, Cuts, Interval, Millis, Timestamp};

/// The windows of an event.
pub enum Assigner {
    /// Back to back.
    Tumbling {
        /// Where they are cut.
        cuts: Cuts,
        /// The one found last.
        window: [Interval; 1],
    },
    /// Back to back, by the calendar.
    Calendar {
        /// Where they are cut.
        cuts: CalendarCuts,
        /// The one found last.
        window: [Interval; 1],
    },
    /// Overlapping.
    Sliding(Overlap),
    /// With starts in common.
    Cumulate(Cumulation),
}

impl Assigner {
    /// For windows of that kind; those without bounds of their own have none here.
    pub fn new(kind: &WindowKind) -> Assigner {
        let window = [Interval::NOTHING];
        match kind {
            WindowKind::Sliding { size, every, grid } => Assigner::Sliding(Overlap::new(*size, *every, grid)),
            WindowKind::Cumulate { max, step, grid } => {
                Assigner::Cumulate(Cumulation::new(*max, *step, grid))
            }
            WindowKind::Calendar { every, grid } => {
                Assigner::Calendar { cuts: grid.calendar(every.clone()), window }
            }
            WindowKind::Tumbling { size, grid } => Assigner::Tumbling { cuts: grid.cuts(*size), window },
            _ => Assigner::Tumbling { cuts: Grid::default().cuts(Millis(i64::MAX)), window },
        }
    }

    /// The windows that hold a moment, latest first.
    #[inline]
    pub fn windows(&mut self, time: Timestamp) -> &[Interval] {
        match self {
            Assigner::Tumbling { cuts, window } => {
                if !window[0].contains(time) {
                    window[0] = cuts.around(time);
                }
                window
            }
            Assigner::Calendar { cuts, window } => {
                if !window[0].contains(time) {
                    window[0] = cuts.around(time);
                }
                window
            }
            Assigner::Sliding(overlap) => overlap.windows(time),
            Assigner::Cumulate(cumulation) => cumulation.windows(time),
        }
    }
}

/// Windows that start more often than they end, as runs of slices: stretches that no window's bound divides, as long as
/// the greatest common divisor of the windows' size and distance. With a zone a window is the same number of slices on
/// every day, and the slices are cut by the wall clock.
pub struct Overlap {
    slices: Cuts,
    starts: Cuts,
    size: Millis,
    /// Slices of a window.
    parts: usize,
    zoned: bool,
    /// Slices asked about last, each with its windows, latest first.
    recent: Vec<(Interval, Vec<Interval>)>,
}

/// Slices that are remembered: events are mostly in the newest ones.
const RECENT: usize = 4;

impl Overlap {
    /// Windows of `size`, one each `every`.
    pub fn new(size: Millis, every: Millis, grid: &Grid) -> Overlap {
        let slice = gcd(size.0, every.0).max(1);
        Overlap {
            slices: grid.cuts(Millis(slice)),
            starts: grid.cuts(every),
            size,
            parts: (size.0 / slice) as usize,
            zoned: grid.zone.is_some(),
            recent: Vec::new(),
        }
    }

    /// Slices of a window.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// The slice that holds a moment.
    #[inline]
    pub fn slice(&mut self, time: Timestamp) -> Interval {
        self.slices.around(time)
    }

    /// The windows that hold a moment, latest first.
    #[inline]
    pub fn windows(&mut self, time: Timestamp) -> &[Interval] {
        let found = self.recent.iter().position(|(slice, _)| slice.contains(time));
        let index = found.unwrap_or_else(|| self.remember(time));
        &self.recent[index].1
    }

    #[cold]
    fn remember(&mut self, time: Timestamp) -> usize {
        let slice = self.slice(time);
        let windows = if self.zoned { self.by_slices(slice) } else { self.by_starts(slice) };
        self.recent.truncate(RECENT - 1);
        self.recent.insert(0, (slice, windows));
        0
    }

    fn by_starts(&mut self, slice: Interval) -> Vec<Interval> {
        let mut windows = Vec::new();
        let mut start = self.starts.around(slice.start);
        while start.start + self.size > slice.start {
            windows.push(Interval { start: start.start, end: start.start + self.size });
            let before = self.starts.before(start);
            if before == start {
                break; // The beginning of time.
            }
            start = before;
        }
        windows
    }

    /// Each slice of those that end with this one may start a window, which takes the number of slices that
    /// windows have.
    fn by_slices(&mut self, slice: Interval) -> Vec<Interval> {
        let mut ends = vec![slice.end];
        let mut ahead = slice;
        for _ in 1..self.parts {
            ahead = self.slices.after(ahead);
            ends.push(ahead.end);
        }
        let mut windows = Vec::new();
        let mut first = slice;
        for end in ends.into_iter().rev() {
            let before = self.slices.before(first);
            if self.starts.around(first.start).start > before.start {
                windows.push(Interval { start: first.start, end });
            }
            first = before;
        }
        windows
    }

    /// The first window that holds the slice and ends after `done`.
    pub fn next_window(&mut self, slice: Interval, done: Timestamp) -> Option<Interval> {
        if self.zoned {
            return self.windows(slice.start).iter().rev().find(|window| window.end > done).copied();
        }
        let past = slice.start.max(done) - self.size;
        let start = self.starts.around(past).end;
        (start <= slice.start).then(|| Interval { start, end: start + self.size })
    }

    /// Where the window behind this one starts.
    pub fn next_start(&mut self, window: Interval) -> Timestamp {
        if !self.zoned {
            return self.starts.around(window.start).end;
        }
        let mut slice = self.slice(window.start);
        loop {
            let before = slice;
            slice = self.slices.after(slice);
            if slice == before || self.starts.around(slice.start).start > before.start {
                return slice.start;
            }
        }
    }
}
