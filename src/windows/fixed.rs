//! Windows whose bounds follow from an event's time alone, and that fire at their end: `tumbling`, `calendar`, and
//! `sliding` and `cumulate` with a pane a window.

use super::aggregates::{Arrival, PaneId};
use super::cold::Spilling;
use super::operator::{Base, Desk, Windowing};
use super::panes::{Pane, Stage};
use super::placement::Placement;
use super::plan::WindowPlan;
use crate::dataflow::{KeyReader, OpenPane, Output, Saving};
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader};
use crate::time::{Millis, Timestamp};

/// Windows that fire at their end, and again for late events.
pub struct Fixed {
    placement: Placement,
    due: Vec<PaneId>,
}

impl Fixed {
    /// No windows yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Fixed {
        Fixed { placement: Placement::new(plan, base), due: Vec::new() }
    }

    /// Panes that were due: they fire, or are given up.
    fn look_at(&mut self, due: &[PaneId], desk: &mut Desk, out: &mut dyn Output) {
        for &pane in due {
            let keyed = &mut self.placement.keyed;
            let Pane { span, stage, key, .. } = keyed.panes[pane];
            keyed.keys.touch(key);
            if stage != Stage::Fired {
                keyed.emit(pane, span, desk, out);
            }
            if stage != Stage::Fired && keyed.lateness > Millis::ZERO {
                keyed.panes[pane].stage = Stage::Fired;
                keyed.set_due(pane, span.end + keyed.lateness, desk);
            } else {
                self.placement.close(pane);
            }
        }
    }
}

impl Windowing for Fixed {
    fn look_ahead(&self, keys: &mut KeyReader) {
        self.placement.keyed.keys.look_ahead(keys);
    }

    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let key = self.placement.keyed.find(desk);
        let latest = self.placement.keyed.latest(key);
        self.placement.look_up(event.time, desk.watermark, latest);
        for &(_, pane) in &self.placement.targets {
            self.placement.keyed.panes.check(pane, event)?;
        }
        if self.placement.targets.is_empty() || !self.placement.closed.is_empty() {
            self.placement.send_late(desk, event, out);
        }
        if self.placement.targets.is_empty() {
            return Ok(());
        }
        let key = key.unwrap_or_else(|| self.placement.keyed.keys.insert(&desk.keys, event.batch, event.row));
        self.placement.keyed.keys.touch(key);
        for i in (0..self.placement.targets.len()).rev() {
            let (window, mut pane) = self.placement.targets[i];
            let past = window.end <= desk.watermark;
            if pane == PaneId::EMPTY {
                let due = if past { window.end + self.placement.keyed.lateness } else { window.end };
                let stage = if past { Stage::Fired } else { Stage::Waiting };
                let new = Pane { stage, ..Pane::new(window, event.order, key) };
                pane = self.placement.keyed.open(new, due, desk);
            }
            self.placement.keyed.panes.add(pane, event);
            if past {
                self.placement.keyed.emit(pane, window, desk, out);
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Timestamp> {
        self.placement.keyed.next()
    }

    fn earliest(&self) -> Option<OpenPane> {
        self.placement.keyed.earliest(|span| span)
    }

    fn fire_key(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        while self.placement.keyed.take_due_of_key(desk, &mut due).is_some() {
            due.sort_by_key(|&pane| self.placement.keyed.rank(pane));
            self.look_at(&due, desk, out);
            due.clear();
        }
        self.due = due;
    }

    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        let keyed = &mut self.placement.keyed;
        keyed.timers.take_next(&keyed.panes, &mut due);
        due.sort_by_key(|&pane| keyed.rank(pane));
        keyed.put_off(&mut due, desk);
        for &pane in &due {
            let keyed = &self.placement.keyed;
            keyed.bring(pane, keyed.panes[pane].due, desk);
        }
        self.look_at(&due, desk, out);
        self.placement.keyed.expire(desk.watermark);
        self.due = due;
    }

    fn expire(&mut self, watermark: Timestamp) {
        self.placement.keyed.expire(watermark);
    }

    fn last_firing(&mut self, desk: &mut Desk) -> Option<Timestamp> {
        self.placement.keyed.last_firing(desk)
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.placement.keyed.save(into);
    }

    fn load(&mut self, key: &[u8], from: &mut Reader<'_>, desk: &mut Desk) -> Result<(), Malformed> {
        self.placement.keyed.load(key, from, desk).map(drop)
    }

    fn spilling(&mut self) -> &mut dyn Spilling {
        &mut self.placement.keyed
    }
}
