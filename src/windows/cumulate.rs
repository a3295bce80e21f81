//! `cumulate` windows that share steps: an event is added once, and each step's pane is merged into the running total
//! when it fires.
//!
//! For windows that fire once, at their end. The same windows with a pane each are in [`super::fixed`].
//!
//! A key has a pane for each step that has not fired. The pane of the step that fires next also holds all that came
//! before it in the period: after firing it goes on to be the pane of the next step, and takes in what that one has. So
//! there is no pane for the total, and an event whose own step has fired goes to the one that fires next.

use super::aggregates::{Arrival, PaneId};
use super::cold::Spilling;
use super::cumulation::Cumulation;
use super::keyed::{KeyedPanes, Outlook};
use super::operator::{Base, Desk, Windowing};
use super::panes::{Pane, Panes};
use super::plan::{WindowKind, WindowPlan};
use crate::dataflow::{KeyId, KeyReader, OpenPane, Output, Saving};
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader};
use crate::time::{Interval, Millis, Timestamp};

/// One pane a key and step.
pub struct Cumulate {
    keyed: KeyedPanes,
    bounds: Cumulation,
    /// Of the event at hand: the key's panes in its period, earliest first.
    parts: Vec<PaneId>,
    due: Vec<PaneId>,
}

impl Cumulate {
    /// No windows yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Cumulate {
        let (max, step, grid) = match &plan.kind {
            WindowKind::Cumulate { max, step, grid } => (*max, *step, grid.clone()),
            _ => (Millis(1), Millis(1), Default::default()),
        };
        // One more than the steps of a period, of which the change of a clock may add some.
        let parts = (max.0 / step.0.max(1)) as usize + PARTS;
        let bounds = Cumulation::new(max, step, &grid);
        // Those of one time have fired in the order of their first events.
        let rank = Box::new(|pane: &Pane| (Timestamp::MIN, Timestamp::MIN, pane.born));
        let outlook = Outlook { needed: Box::new(|pane| pane.span.end), rank };
        Cumulate {
            keyed: KeyedPanes::new(plan, base, parts, outlook),
            bounds,
            parts: Vec::new(),
            due: Vec::new(),
        }
    }

    /// The step to fire whose pane takes the event; None if all its windows have fired.
    fn target(&mut self, time: Timestamp, watermark: Timestamp) -> Option<Interval> {
        let own = self.bounds.step(time);
        if own.end > watermark {
            return Some(own);
        }
        (self.bounds.period(time).end > watermark).then(|| self.bounds.step(watermark))
    }

    /// The pane of a key's step; [`PaneId::EMPTY`] if there is none.
    fn find(&self, key: Option<KeyId>, step: Interval) -> PaneId {
        let mut pane = self.keyed.latest(key).pane;
        while self.keyed.starts_later(pane, step.start) {
            pane = self.keyed.panes[pane].earlier;
        }
        let found = pane != PaneId::EMPTY && self.keyed.panes[pane].span.start == step.start;
        if found { pane } else { PaneId::EMPTY }
    }

    /// Whether all windows that hold the event and have not fired can take it.
    fn check(&mut self, key: Option<KeyId>, step: Interval, event: &Arrival) -> Result<(), Reason> {
        self.keyed.panes.check(PaneId::EMPTY, event)?;
        if !self.keyed.panes.scarce(event, false) {
            return Ok(());
        }
        let period = self.bounds.period(event.time);
        self.parts.clear();
        let mut pane = self.keyed.latest(key).pane;
        while pane != PaneId::EMPTY && self.keyed.panes[pane].span.start >= period.start {
            if self.keyed.panes[pane].span.start < period.end {
                self.parts.push(pane);
            }
            pane = self.keyed.panes[pane].earlier;
        }
        self.parts.reverse();
        let panes: &Panes = &self.keyed.panes;
        let first = self.parts.partition_point(|&pane| panes[pane].span.start <= step.start);
        (first..=self.parts.len()).try_for_each(|end| panes.check_combined(&self.parts[..end], event))
    }

    fn send_late(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) {
        if event.time >= desk.watermark {
            return;
        }
        for window in self.bounds.windows(event.time).iter().rev() {
            if window.end > desk.watermark {
                break;
            }
            desk.emitter.late(out, event, window.start);
        }
    }

    /// A pane that has fired goes on to the next step, and takes in what came for it ahead of time.
    fn go_on(&mut self, pane: PaneId, step: Interval, desk: &mut Desk) {
        let ahead = self.find(Some(self.keyed.panes[pane].key), step);
        self.keyed.shift(pane, step);
        if ahead != PaneId::EMPTY {
            self.keyed.timers.remove(&mut self.keyed.panes, ahead);
            self.keyed.absorb(pane, ahead);
        }
        self.keyed.set_due(pane, step.end, desk);
    }
}

/// Steps that a period may have more than its length says.
const PARTS: usize = 1 << 10;

impl Windowing for Cumulate {
    fn look_ahead(&self, keys: &mut KeyReader) {
        self.keyed.keys.look_ahead(keys);
    }

    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let key = self.keyed.find(desk);
        let Some(step) = self.target(event.time, desk.watermark) else {
            self.send_late(desk, event, out);
            return Ok(());
        };
        self.check(key, step, event)?;
        self.send_late(desk, event, out);
        let key = key.unwrap_or_else(|| self.keyed.keys.insert(&desk.keys, event.batch, event.row));
        self.keyed.keys.touch(key);
        let pane = match self.find(Some(key), step) {
            PaneId::EMPTY => self.keyed.open(Pane::new(step, event.order, key), step.end, desk),
            pane => pane,
        };
        self.keyed.panes.add(pane, event);
        Ok(())
    }

    fn next(&mut self) -> Option<Timestamp> {
        self.keyed.next()
    }

    fn earliest(&self) -> Option<OpenPane> {
        self.keyed.earliest(|span| span)
    }

    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let Some(end) = self.keyed.timers.next() else { return };
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        self.keyed.timers.take_next(&self.keyed.panes, &mut due);
        due.sort_by_key(|&pane| self.keyed.rank(pane));
        self.keyed.put_off(&mut due, desk);
        let period = self.bounds.period(end - Millis(1));
        let next = self.bounds.step(end);
        for &pane in &due {
            self.keyed.keys.touch(self.keyed.panes[pane].key);
            self.keyed.emit(pane, Interval { start: period.start, end }, desk, out);
            if end < period.end {
                self.go_on(pane, next, desk);
            } else {
                self.keyed.close(pane, end);
            }
        }
        self.keyed.expire(desk.watermark);
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
