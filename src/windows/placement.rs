//! The windows of an event whose bounds follow from its time alone, with their panes.

use super::aggregates::{Arrival, PaneId};
use super::assigner::Assigner;
use super::keyed::{KeyedPanes, Latest, Outlook};
use super::operator::{Base, Desk};
use super::panes::{Pane, Stage};
use super::plan::{WindowKind, WindowPlan};
use crate::dataflow::Output;
use crate::time::{Interval, Millis, Timestamp};

/// One pane a key and window.
pub struct Placement {
    /// The panes.
    pub keyed: KeyedPanes,
    /// Of the event at hand: the windows that take it, latest first, each with its pane so far.
    pub targets: Vec<(Interval, PaneId)>,
    /// Of the event at hand: where the windows start that are closed, latest first.
    pub closed: Vec<Timestamp>,
    assigner: Assigner,
    shape: Shape,
}

/// How windows lie to one another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Side by side.
    Apart,
    /// Each with a start of its own.
    Overlapping,
    /// Several with one start.
    Nested,
}

impl Shape {
    fn of(kind: &WindowKind) -> Shape {
        match kind {
            WindowKind::Sliding { .. } => Shape::Overlapping,
            WindowKind::Cumulate { .. } => Shape::Nested,
            _ => Shape::Apart,
        }
    }
}

impl Placement {
    /// No windows yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Placement {
        let lateness = plan.lateness;
        // Those that fire at one time have their end in common, unless a trigger fires them.
        let early = plan.firing.is_some();
        let rank = Box::new(move |pane: &Pane| {
            (if early { pane.span.end } else { Timestamp::MIN }, pane.span.start, pane.born)
        });
        let outlook = Outlook { needed: Box::new(move |pane| due(pane, lateness)), rank };
        Placement {
            keyed: KeyedPanes::new(plan, base, 1, outlook),
            assigner: Assigner::new(&plan.kind),
            shape: Shape::of(&plan.kind),
            targets: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Finds targets among the panes of a key.
    #[inline]
    pub fn look_up(&mut self, time: Timestamp, watermark: Timestamp, latest: Latest) {
        self.targets.clear();
        self.closed.clear();
        let Latest { mut pane, mut start } = latest;
        for &window in self.assigner.windows(time) {
            if window.end + self.keyed.lateness <= watermark {
                self.closed.push(window.start);
                continue;
            }
            while pane != PaneId::EMPTY && start > window.start {
                pane = self.keyed.panes[pane].earlier;
                start = self.keyed.panes[pane].span.start;
            }
            if self.shape == Shape::Nested {
                while self.keyed.is_later(pane, window) {
                    pane = self.keyed.panes[pane].earlier;
                }
                start = self.keyed.panes[pane].span.start;
            }
            let same_end = || self.shape != Shape::Nested || self.keyed.panes[pane].span.end == window.end;
            let found = pane != PaneId::EMPTY && start == window.start && same_end();
            self.targets.push((window, if found { pane } else { PaneId::EMPTY }));
        }
    }

    /// Counts windows as closed that their trigger has closed.
    pub fn set_closed_aside(&mut self) {
        let panes = &self.keyed.panes;
        let is_closed = |pane: PaneId| panes.is_closed(pane);
        let before = self.closed.len();
        self.closed.extend(self.targets.iter().filter(|(_, pane)| is_closed(*pane)).map(|(w, _)| w.start));
        if self.closed.len() > before {
            self.targets.retain(|(_, pane)| !is_closed(*pane));
            self.closed.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    /// The event leaves once for each window that is closed.
    pub fn send_late(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) {
        for &start in self.closed.iter().rev() {
            desk.emitter.late(out, event, start);
        }
        if self.targets.is_empty() && self.closed.is_empty() {
            // Between windows that start further apart than they are long.
            out.discard("outside", 1);
        }
    }

    /// Gives up a pane that is not due at any time.
    pub fn close(&mut self, pane: PaneId) {
        let span = self.keyed.panes[pane].span;
        // What starts before an overlapping window ends before it.
        let alone = self.shape == Shape::Apart || self.keyed.is_only(pane);
        self.keyed.close(pane, if alone { span.end } else { span.start });
    }
}

/// When a pane is to be looked at.
fn due(pane: &Pane, lateness: Millis) -> Timestamp {
    if pane.stage == Stage::Fired { pane.span.end + lateness } else { pane.span.end }
}
