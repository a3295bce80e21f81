//! Windows that grow and merge, and fire at their end: `session`, and `global` as a session that nothing ends.
//!
//! Events of a key belong together if each is at most a gap behind one before it (Akidau et al., VLDB 2015, as in
//! Flink). An event exactly a gap behind the last is on time even when the watermark stands at the session's end; but
//! then the session has fired, as every window does at its end, and without lateness it is gone: the event begins another,
//! as it does in Flink. How panes become one is in [`super::merging`].

use super::aggregates::{Arrival, PaneId};
use super::cold::Spilling;
use super::merging::Merging;
use super::operator::{Base, Desk, Windowing};
use super::panes::{Pane, Stage};
use super::plan::WindowPlan;
use crate::dataflow::{KeyReader, OpenPane, Output, Saving};
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::time::{Env, Millis, Timestamp};

/// Sessions that fire at their end, and again for late events.
pub struct Sessions {
    merging: Merging,
    due: Vec<PaneId>,
    /// Where part of those due at a time have fired: the end of the last one.
    fired: Timestamp,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Sessions {
        Sessions { merging: Merging::new(plan, base), due: Vec::new(), fired: Timestamp::MIN }
    }

    /// Looks at panes that were due at a time; those that fire then are left in the list.
    fn look_at(&mut self, due: &mut Vec<PaneId>, time: Timestamp, desk: &mut Desk) {
        due.retain(|&pane| {
            let Pane { span, stage, key, .. } = self.merging.keyed.panes[pane];
            let needed = self.merging.bounds.due(span, stage);
            if desk.marks.is_some() {
                // Behind a watermark that stands nobody would find out again when it is to be looked at.
                self.merging.keyed.keys.touch(key);
            }
            match stage {
                Stage::Open => self.merging.settle(pane, desk),
                _ if needed > time => self.merging.keyed.set_due(pane, needed, desk),
                Stage::Waiting => return true,
                Stage::Fired => self.merging.close(pane),
            }
            false
        });
    }

    /// A pane fires at its end.
    fn let_go(&mut self, pane: PaneId, desk: &mut Desk, out: &mut dyn Output) {
        let window = self.merging.bounds.window(self.merging.keyed.panes[pane].span);
        self.merging.keyed.keys.touch(self.merging.keyed.panes[pane].key);
        self.merging.keyed.emit(pane, window, desk, out);
        if self.merging.keyed.lateness > Millis::ZERO {
            self.merging.keyed.panes[pane].stage = Stage::Fired;
            self.merging.keyed.set_due(pane, window.end + self.merging.keyed.lateness, desk);
        } else {
            self.merging.close(pane);
        }
    }
}

impl Windowing for Sessions {
    fn look_ahead(&self, keys: &mut KeyReader) {
        self.merging.keyed.keys.look_ahead(keys);
    }

    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let key = self.merging.keyed.find(desk);
        let latest = self.merging.keyed.latest(key).pane;
        let span = self.merging.span(event)?;
        let stage = self.merging.find_parts(latest, span, desk.watermark);
        let alone = self.merging.parts.is_empty() && stage != Stage::Open;
        if alone && self.merging.bounds.due(span, Stage::Fired) <= desk.watermark {
            desk.emitter.late(out, event, span.start);
            return Ok(());
        }
        self.merging.check(event)?;
        let key = key.unwrap_or_else(|| self.merging.keyed.keys.insert(&desk.keys, event.batch, event.row));
        self.merging.keyed.keys.touch(key);
        let pane = self.merging.add(key, span, stage, event, desk);
        if stage == Stage::Open
            || self.merging.bounds.due(self.merging.keyed.panes[pane].span, Stage::Waiting) > desk.watermark
        {
            self.merging.set_stage(pane, stage, desk);
            return Ok(());
        }
        let window = self.merging.bounds.window(self.merging.keyed.panes[pane].span);
        self.merging.keyed.emit(pane, window, desk, out);
        self.merging.set_stage(pane, Stage::Fired, desk);
        Ok(())
    }

    fn next(&mut self) -> Option<Timestamp> {
        self.merging.keyed.next()
    }

    fn earliest(&self) -> Option<OpenPane> {
        self.merging.keyed.earliest(|span| self.merging.bounds.window(span))
    }

    fn fire_key(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        while let Some(time) = self.merging.keyed.take_due_of_key(desk, &mut due) {
            self.look_at(&mut due, time, desk);
            due.sort_by_key(|&pane| self.merging.keyed.rank(pane));
            for &pane in &due {
                self.let_go(pane, desk, out);
            }
            due.clear();
        }
        self.due = due;
    }

    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let Some(time) = self.merging.keyed.timers.next() else { return };
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        self.merging.keyed.timers.take_next(&self.merging.keyed.panes, &mut due);
        for &pane in &due {
            let Pane { span, stage, .. } = self.merging.keyed.panes[pane];
            if self.merging.bounds.due(span, stage) <= time {
                self.merging.keyed.bring(pane, time, desk);
            }
        }
        self.look_at(&mut due, time, desk);
        due.sort_by_key(|&pane| self.merging.keyed.rank(pane));
        self.merging.keyed.put_off(&mut due, desk);
        let mut end = std::mem::replace(&mut self.fired, Timestamp::MIN);
        for &pane in &due {
            let window = self.merging.bounds.window(self.merging.keyed.panes[pane].span);
            if window.end > end {
                desk.emitter.reach(end);
                end = window.end;
            }
            self.let_go(pane, desk, out);
        }
        if self.merging.keyed.has_put_off() {
            self.fired = end;
        }
        self.merging.keyed.expire(desk.watermark);
        self.due = due;
    }

    fn expire(&mut self, watermark: Timestamp) {
        self.merging.keyed.expire(watermark);
    }

    fn last_firing(&mut self, desk: &mut Desk) -> Option<Timestamp> {
        self.merging.keyed.last_firing(desk)
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.merging.keyed.save(into);
    }

    fn save_own(&self, into: &mut Vec<u8>) {
        put_number(into, self.merging.longest.0 as u64);
    }

    fn load_own(&mut self, from: &mut Reader<'_>, is_own: bool, _env: &Env) -> Result<(), Malformed> {
        self.merging.load_longest(from, is_own)
    }

    fn load(&mut self, key: &[u8], from: &mut Reader<'_>, desk: &mut Desk) -> Result<(), Malformed> {
        self.merging.keyed.load(key, from, desk).map(drop)
    }

    fn spilling(&mut self) -> &mut dyn Spilling {
        &mut self.merging.keyed
    }
}
