//! Panes of windows that lie side by side, by key: a list a key, latest first.

use super::aggregates::{PaneId, Setup};
use super::operator::Desk;
use super::panes::{Pane, Panes};
use super::plan::{Accumulation, WindowPlan};
use super::timers::Timers;
use crate::dataflow::{KeyId, Keys, Output};
use crate::time::{Interval, Millis, Timestamp};

/// The latest pane of a key, with where it starts: most events need to know no more of the list.
#[derive(Clone, Copy)]
pub struct Latest {
    /// The pane; [`PaneId::EMPTY`] if there is none.
    pub pane: PaneId,
    /// Where it starts.
    pub start: Timestamp,
}

impl Default for Latest {
    fn default() -> Latest {
        Latest { pane: PaneId::EMPTY, start: Timestamp::MIN }
    }
}

/// The panes and when they are due.
pub struct KeyedPanes {
    /// Each key's latest pane.
    pub keys: Keys<Latest>,
    /// All panes.
    pub panes: Panes,
    /// All that is due.
    pub timers: Timers,
    /// How long a window that has fired takes events.
    pub lateness: Millis,
    accumulation: Accumulation,
}

impl KeyedPanes {
    /// No panes. One result combines at most `parts` of them.
    pub fn new(plan: &WindowPlan, seed: u64, parts: usize) -> KeyedPanes {
        KeyedPanes {
            keys: Keys::new(seed),
            panes: Panes::new(&plan.aggregates, Setup { parts, seed }),
            timers: Timers::default(),
            lateness: plan.lateness,
            accumulation: plan.accumulation,
        }
    }

    /// The latest pane of a key.
    #[inline]
    pub fn latest(&self, key: Option<KeyId>) -> Latest {
        key.map_or(Latest::default(), |key| self.keys.entry(key).item)
    }

    /// Adds a pane to its key's list.
    pub fn open(&mut self, pane: Pane, due: Timestamp, desk: &mut Desk) -> PaneId {
        let id = self.panes.open(pane);
        let latest = self.latest(Some(pane.key));
        if latest.start <= pane.span.start {
            self.panes[id].earlier = latest.pane;
            *self.keys.item(pane.key) = Latest { pane: id, start: pane.span.start };
        } else {
            let mut later = latest.pane;
            while self.starts_later(self.panes[later].earlier, pane.span.start) {
                later = self.panes[later].earlier;
            }
            self.panes[id].earlier = self.panes[later].earlier;
            self.panes[later].earlier = id;
        }
        self.set_due(id, due, desk);
        id
    }

    /// Whether this is a pane at all, and starts after that.
    #[inline]
    pub fn starts_later(&self, pane: PaneId, time: Timestamp) -> bool {
        pane != PaneId::EMPTY && self.panes[pane].span.start > time
    }

    /// A pane reaches over that stretch too.
    pub fn extend(&mut self, pane: PaneId, span: Interval) {
        let Pane { key, span: before, .. } = self.panes[pane];
        let whole = before.join(span);
        self.panes[pane].span = whole;
        let latest = self.keys.item(key);
        if latest.pane == pane {
            latest.start = whole.start;
        }
    }

    /// Has a pane that is not due at any time looked at then.
    pub fn set_due(&mut self, pane: PaneId, due: Timestamp, desk: &mut Desk) {
        self.timers.add(&mut self.panes, pane, due);
        desk.due = desk.due.min(due);
    }

    /// Gives up a pane that is not due at any time, and its key if that was all.
    pub fn close(&mut self, pane: PaneId) {
        let Pane { key, earlier, .. } = self.panes[pane];
        let latest = self.latest(Some(key));
        if latest.pane == pane {
            *self.keys.item(key) = Latest { pane: earlier, start: self.panes[earlier].span.start };
            if earlier == PaneId::EMPTY {
                self.keys.remove(key);
            }
        } else {
            let mut later = latest.pane;
            while self.panes[later].earlier != pane {
                later = self.panes[later].earlier;
            }
            self.panes[later].earlier = earlier;
        }
        self.panes.close(pane);
    }

    /// Emits a pane. A next firing holds what the accumulation says.
    pub fn emit(&mut self, pane: PaneId, window: Interval, desk: &Desk, out: &mut dyn Output) {
        let key = self.keys.entry(self.panes[pane].key);
        desk.emitter.pane(out, &mut self.panes, pane, key, window);
        if self.lateness > Millis::ZERO && self.accumulation == Accumulation::Discarding {
            self.panes.empty(pane);
        }
    }
}
