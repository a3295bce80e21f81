//! What a window operator is told: plain data, made by the planner.

use super::aggregates::{AggregateSpec, Call, Setup};
use super::triggers::Trigger;
use crate::config::StateTtl;
use crate::dataflow::{Copies, MAIN, Port};
use crate::event::Slot;
use crate::time::{CalendarCuts, Cuts, Every, Millis};
use jiff::tz::TimeZone;

/// The port of panes.
pub const PANES: Port = MAIN;

/// The port of events that no window takes any more.
pub const LATE: Port = Port(1);

/// How old a value from before a window may be at its start, where nobody says.
pub const CARRY: Millis = Millis(7 * 86_400_000);

/// Most windows that one event may fall into, and most slices that one window may have.
pub const MAX_OVERLAP: i64 = 1 << 17;

/// A window node. Expressions have been computed into slots of the input before the operator sees a row, and
/// arithmetic over aggregates and `having` are steps behind it.
#[derive(Clone, Debug)]
pub struct WindowPlan {
    /// Which windows an event belongs to.
    pub kind: WindowKind,
    /// Where the key fields stand in the input; none: one key for all.
    pub key: Vec<Slot>,
    /// Where the watermark of the event's partition stands, if windows follow that and not the one of all.
    pub own: Option<Slot>,
    /// What is computed for each pane.
    pub aggregates: Vec<Aggregate>,
    /// How long after its end a window still takes events. Of no meaning for `global` and `count`.
    pub lateness: Millis,
    /// What a pane that fires again holds.
    pub accumulation: Accumulation,
    /// What makes panes leave; None: the watermark at the window's end, and each late event.
    pub firing: Option<FiringPlan>,
    /// How old a value from before a window may be at its start. Of no meaning for `global` and `count`.
    pub carry: Millis,
    /// How long a key without events is remembered where windows are counted: its window under way leaves then. Of no
    /// meaning for others, which end by themselves.
    pub ttl: StateTtl,
    /// Where things stand in rows that leave by [`PANES`].
    pub output: PaneOutput,
    /// What leaves by [`LATE`]; None if nothing is connected there, and late events are only counted.
    pub late: Option<LateOutput>,
}

/// Which windows an event belongs to. Lengths are positive; see [`WindowKind::check`].
#[derive(Clone, Debug)]
pub enum WindowKind {
    /// Back to back.
    Tumbling {
        /// The length of a window.
        size: Millis,
        /// Where windows are cut.
        grid: Grid,
    },
    /// One window of `size` starts `every` so often.
    Sliding {
        /// The length of a window.
        size: Millis,
        /// The time from one window's start to the next one's.
        every: Millis,
        /// Where windows are cut.
        grid: Grid,
    },
    /// Windows that begin together, one ending every `step`, until they begin anew.
    Cumulate {
        /// The length of the longest window.
        max: Millis,
        /// The time from one window's end to the next one's.
        step: Millis,
        /// Where windows are cut.
        grid: Grid,
    },
    /// Back to back, cut by the calendar.
    Calendar {
        /// What begins a window.
        every: Every,
        /// Where windows are cut.
        grid: Grid,
    },
    /// As long as a key's events follow one another closely.
    Session {
        /// The silence that ends a session.
        gap: Gap,
        /// The longest a session may be.
        max: Option<Millis>,
    },
    /// One window a key, until the end of input.
    Global,
    /// Over numbers of events, a key each.
    Count {
        /// The most events of a window.
        size: u64,
        /// The number of events from one firing to the next.
        every: u64,
    },
}

/// Where windows of fixed length are cut.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// Moves all cuts.
    pub offset: Millis,
    /// Cuts are made in this zone's local time; None: UTC.
    pub zone: Option<TimeZone>,
}

/// The silence that ends a session.
#[derive(Clone, Copy, Debug)]
pub enum Gap {
    /// The same for all.
    Fixed(Millis),
    /// Each event's own, an integer of milliseconds in this slot of the input. An event where it is anything else
    /// or not positive is rejected.
    Slot(Slot),
}

/// What a pane that fires again holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accumulation {
    /// What came since the last firing.
    #[default]
    Discarding,
    /// All that came.
    Accumulating,
    /// The same, and what was put out before is taken back first.
    Retracting,
}

/// What makes panes leave, where that is not the watermark alone or something is asked of panes.
#[derive(Clone, Debug)]
pub struct FiringPlan {
    /// When they leave.
    pub trigger: Trigger,
    /// Whether a pane that is on time leaves without anything new, too.
    pub emit_empty: bool,
    /// What of an event triggers of plugins are given: names, and where that stands in the input.
    pub fields: Vec<(String, Slot)>,
}

/// One aggregate of a window.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Which one.
    pub spec: &'static AggregateSpec,
    /// What it is called with.
    pub call: Call,
    /// Where the condition of `FILTER (WHERE …)` stands in the input; rows where it is not true do not count.
    pub filter: Option<Slot>,
    /// Where the result goes in the output.
    pub into: Slot,
}

/// Where things stand in a pane's row. What nobody reads has no slot.
#[derive(Clone, Debug, Default)]
pub struct PaneOutput {
    /// One for each key field of [`WindowPlan::key`], in order.
    pub key: Vec<Option<Slot>>,
    /// The start, an integer of epoch milliseconds.
    pub window_start: Option<Slot>,
    /// The end (exclusive), an integer of epoch milliseconds.
    pub window_end: Option<Slot>,
    /// How many panes the window has put out before, an integer.
    pub index: Option<Slot>,
    /// `early`, `on_time` or `late`.
    pub timing: Option<Slot>,
    /// Whether the window puts out no more.
    pub last: Option<Slot>,
    /// Whether the pane is taken back.
    pub retracted: Option<Slot>,
}

/// What of a late event leaves, once for each window that no longer takes it.
#[derive(Clone, Debug, Default)]
pub struct LateOutput {
    /// What of the event is copied.
    pub copies: Copies,
    /// Where the start of the window that is closed goes.
    pub window_start: Option<Slot>,
}

impl WindowKind {
    /// Whether each key can follow a watermark of its own: it is event time that ends windows.
    pub fn follows_partitions(&self) -> bool {
        !matches!(self, WindowKind::Global | WindowKind::Count { .. })
    }

    /// Whether the lengths make windows; if not, one sentence for the person who wrote them. (Whether a
    /// length may be cut in a zone depends on how it was written: see [`Cuts::check`].)
    pub fn check(&self) -> Result<(), &'static str> {
        match self {
            WindowKind::Tumbling { size, .. } if size.0 <= 0 => Err("the size of a window must be positive"),
            WindowKind::Sliding { size, every, .. } if size.0 <= 0 || every.0 <= 0 => {
                Err("`size` and `every` must be positive")
            }
            WindowKind::Sliding { size, every, .. } if size.0 / gcd(size.0, every.0) > MAX_OVERLAP => {
                Err("`size` is cut into more than 131072 slices; make `every` a larger part of it")
            }
            WindowKind::Cumulate { max, step, .. } if max.0 <= 0 || step.0 <= 0 => {
                Err("`max` and `step` must be positive")
            }
            WindowKind::Cumulate { max, step, .. } if max.0 % step.0 != 0 => {
                Err("`max` must be a multiple of `step`")
            }
            WindowKind::Cumulate { max, step, .. } if max.0 / step.0 > MAX_OVERLAP => {
                Err("`max` has more than 131072 steps; make `step` longer")
            }
            WindowKind::Session { gap: Gap::Fixed(gap), .. } if gap.0 <= 0 => Err("`gap` must be positive"),
            WindowKind::Session { max: Some(max), .. } if max.0 <= 0 => Err("`max` must be positive"),
            WindowKind::Count { size, every } if *size == 0 || *every == 0 => {
                Err("`size` and `every` must be positive")
            }
            WindowKind::Count { size, every } if *size > i32::MAX as u64 || *every > i32::MAX as u64 => {
                Err("`size` and `every` are at most 2147483647 events")
            }
            _ => Ok(()),
        }
    }
}

impl WindowPlan {
    /// What the states of panes are made for, of which one result combines at most `parts`.
    pub fn setup(&self, parts: usize, seed: u64) -> Setup {
        let unbounded = matches!(self.kind, WindowKind::Global | WindowKind::Count { .. });
        Setup { parts, seed, carry: (!unbounded).then_some(self.carry) }
    }

    /// Where the values of a pane stand that it would be taken back with; the key and the window aside.
    pub fn shown(&self) -> Vec<Slot> {
        let PaneOutput { index, timing, last, .. } = self.output;
        let results = self.aggregates.iter().map(|aggregate| aggregate.into);
        results.chain([index, timing, last].into_iter().flatten()).collect()
    }

    /// How long behind its last value a key may still carry it into a window, or longer: when an event comes, its
    /// windows that are open have started at most their length and the lateness before the watermark.
    pub fn keep(&self) -> Millis {
        let (length, grid) = match &self.kind {
            WindowKind::Tumbling { size, grid } | WindowKind::Sliding { size, grid, .. } => {
                (*size, Some(grid))
            }
            WindowKind::Cumulate { max, grid, .. } => (*max, Some(grid)),
            WindowKind::Calendar { every, grid } => (every.longest(), Some(grid)),
            WindowKind::Session { gap: Gap::Fixed(gap), .. } => (*gap, None),
            WindowKind::Session { .. } | WindowKind::Global | WindowKind::Count { .. } => {
                (Millis::ZERO, None)
            }
        };
        // No clock was ever put back or forth by more than a day.
        let change = if grid.is_some_and(|grid| grid.zone.is_some()) { 86_400_000 } else { 0 };
        Millis(length.0 + change + self.lateness.0 + self.carry.0)
    }
}

impl Grid {
    /// The cuts of a calendar.
    pub fn calendar(&self, every: Every) -> CalendarCuts {
        CalendarCuts::new(every, self.offset, self.zone.clone())
    }

    /// The cuts of this length.
    pub fn cuts(&self, size: Millis) -> Cuts {
        Cuts::new(size, self.offset, self.zone.clone())
    }
}

/// The greatest common divisor of two positive numbers (Euclid).
pub fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
