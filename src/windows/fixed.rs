//! Windows whose bounds follow from an event's time alone: `tumbling`, `calendar`, and `sliding` and `cumulate` with a
//! pane a window.

use super::aggregates::{Arrival, PaneId};
use super::assigner::Assigner;
use super::cold::Spilling;
use super::keyed::{KeyedPanes, Latest, Outlook};
use super::operator::{Base, Desk, Windowing};
use super::panes::{Pane, Stage};
use super::plan::{WindowKind, WindowPlan};
use crate::dataflow::{KeyReader, Output, Saving};
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader};
use crate::time::{Interval, Millis, Timestamp};

/// One pane a key and window.
pub struct Fixed {
    keyed: KeyedPanes,
    assigner: Assigner,
    /// Whether windows overlap, and whether they may have their start in common.
    shape: Shape,
    /// Of the event at hand: the windows that take it, latest first, each with its pane so far.
    targets: Vec<(Interval, PaneId)>,
    /// Of the event at hand: where the windows start that are closed.
    closed: Vec<Timestamp>,
    due: Vec<PaneId>,
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

impl Fixed {
    /// No windows yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Fixed {
        let lateness = plan.lateness;
        // Those that fire at one time have their end in common.
        let rank = Box::new(|pane: &Pane| (Timestamp::MIN, pane.span.start, pane.born));
        let outlook = Outlook { needed: Box::new(move |pane| due(pane, lateness)), rank };
        Fixed {
            keyed: KeyedPanes::new(plan, base, 1, outlook),
            assigner: Assigner::new(&plan.kind),
            shape: Shape::of(&plan.kind),
            targets: Vec::new(),
            closed: Vec::new(),
            due: Vec::new(),
        }
    }

    /// Finds targets among the panes of a key.
    #[inline]
    fn look_up(&mut self, time: Timestamp, watermark: Timestamp, latest: Latest) {
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

    fn send_late(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) {
        for &start in self.closed.iter().rev() {
            desk.emitter.late(out, event, start);
        }
        if self.targets.is_empty() && self.closed.is_empty() {
            // Between windows that start further apart than they are long.
            out.discard("outside", 1);
        }
    }
}

/// When a pane is to be looked at.
fn due(pane: &Pane, lateness: Millis) -> Timestamp {
    if pane.stage == Stage::Fired { pane.span.end + lateness } else { pane.span.end }
}

impl Windowing for Fixed {
    fn look_ahead(&self, keys: &mut KeyReader) {
        self.keyed.keys.look_ahead(keys);
    }

    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let key = self.keyed.find(desk);
        let latest = self.keyed.latest(key);
        self.look_up(event.time, desk.watermark, latest);
        for &(_, pane) in &self.targets {
            self.keyed.panes.check(pane, event)?;
        }
        if self.targets.is_empty() || !self.closed.is_empty() {
            self.send_late(desk, event, out);
        }
        if self.targets.is_empty() {
            return Ok(());
        }
        let key = key.unwrap_or_else(|| self.keyed.keys.insert(&desk.keys, event.batch, event.row));
        self.keyed.keys.touch(key);
        for i in (0..self.targets.len()).rev() {
            let (window, mut pane) = self.targets[i];
            let past = window.end <= desk.watermark;
            if pane == PaneId::EMPTY {
                let due = if past { window.end + self.keyed.lateness } else { window.end };
                let stage = if past { Stage::Fired } else { Stage::Waiting };
                let new = Pane { stage, ..Pane::new(window, event.order, key) };
                pane = self.keyed.open(new, due, desk);
            }
            self.keyed.panes.add(pane, event);
            if past {
                self.keyed.emit(pane, window, desk, out);
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Timestamp> {
        self.keyed.next()
    }

    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        let keyed = &mut self.keyed;
        keyed.timers.take_next(&keyed.panes, &mut due);
        due.sort_by_key(|&pane| keyed.rank(pane));
        keyed.put_off(&mut due, desk);
        for &pane in &due {
            let Pane { span, stage, key, .. } = keyed.panes[pane];
            keyed.keys.touch(key);
            if stage != Stage::Fired {
                keyed.emit(pane, span, desk, out);
            }
            if stage != Stage::Fired && keyed.lateness > Millis::ZERO {
                keyed.panes[pane].stage = Stage::Fired;
                keyed.set_due(pane, span.end + keyed.lateness, desk);
            } else {
                // What starts before an overlapping window ends before it.
                let alone = self.shape == Shape::Apart || keyed.is_only(pane);
                keyed.close(pane, if alone { span.end } else { span.start });
            }
        }
        keyed.expire(desk.watermark);
        self.due = due;
    }

    fn last_firing(&mut self, desk: &mut Desk) -> Option<Timestamp> {
        self.keyed.last_firing(desk)
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.keyed.save(into);
    }

    fn load(&mut self, key: &[u8], from: &mut Reader<'_>, desk: &mut Desk) -> Result<(), Malformed> {
        self.keyed.load(key, from, desk).map(drop)
    }

    fn spilling(&mut self) -> &mut dyn Spilling {
        &mut self.keyed
    }
}
