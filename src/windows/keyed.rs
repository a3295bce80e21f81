//! Panes of windows that lie side by side, by key: a list a key, latest first.

use super::aggregates::{Frame, PaneId, Settled};
use super::cold::RANK_BYTES;
use super::idle::Idle;
use super::operator::{Base, Desk};
use super::panes::{Pane, Panes, Stage};
use super::plan::{Accumulation, WindowPlan};
use super::stored::{restore_key, save_keys};
use super::timers::Timers;
use super::triggers::{Firings, Owed, Told};
use crate::dataflow::{ColdTable, KeyEntry, KeyId, Keys, OpenPane, Output, Saving};
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
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

// Memory is what a million keys cost, and waiting for it what they take.
const _: () = assert!(size_of::<KeyEntry<Latest>>() == 48);

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
    /// Keys without panes.
    pub idle: Idle,
    /// When panes are looked at.
    pub outlook: Outlook,
    /// Where the first stands of those that fire at the time at hand and are not in memory yet.
    pub behind: Option<[u8; RANK_BYTES]>,
}

/// When a kind of windows looks at panes, and in which order.
pub struct Outlook {
    /// When a pane is to be looked at, at the latest.
    pub needed: Box<dyn Fn(&Pane) -> Timestamp + Send>,
    /// The order of panes that fire at one time.
    pub rank: Box<dyn Fn(&Pane) -> Rank + Send>,
}

/// Where a pane stands among those that fire at one time: by where its window ends and starts, as far as that differs, and
/// by the arrival of its first event.
pub type Rank = (Timestamp, Timestamp, u64);

impl KeyedPanes {
    /// No panes. One result combines at most `parts` of them.
    pub fn new(plan: &WindowPlan, base: Base, parts: usize, outlook: Outlook) -> KeyedPanes {
        let mut panes = Panes::new(&plan.aggregates, plan.setup(parts, base.seed));
        let values = plan.shown().len();
        panes.firings = plan.firing.as_ref().map(|firing| Box::new(Firings::new(&firing.trigger, values)));
        KeyedPanes {
            keys: base.keys(),
            panes,
            timers: Timers::default(),
            lateness: plan.lateness,
            accumulation: plan.accumulation,
            idle: Idle::new(plan.keep()),
            outlook,
            behind: None,
        }
    }

    /// The key that the reader stands at, if anything is kept of it.
    #[inline]
    pub fn find(&mut self, desk: &mut Desk) -> Option<KeyId> {
        match self.keys.find(&desk.keys) {
            None if self.keys.cold().is_some() => self.find_cold(desk),
            found => found,
        }
    }

    /// Where a pane stands among those that fire with it.
    pub fn rank(&self, pane: PaneId) -> Rank {
        (self.outlook.rank)(&self.panes[pane])
    }

    /// The earliest time at which a pane is looked at.
    pub fn next(&self) -> Option<Timestamp> {
        let cold = self.keys.cold().and_then(ColdTable::next_due);
        self.timers.next().into_iter().chain(cold).min()
    }

    /// The first pane in memory that has not fired, or owes one that is on time.
    pub fn first(&self) -> Option<PaneId> {
        let owes =
            |pane| self.panes.firings.as_ref().is_some_and(|firings| firings.get(pane).owed != Owed::Nothing);
        self.timers.all(&self.panes).find(|&pane| self.panes[pane].stage != Stage::Fired || owes(pane))
    }

    /// The same with what is known of it, and of those that are not in memory. `window` tells which window that is, given its stretch.
    pub fn earliest(&self, window: impl Fn(Interval) -> Interval) -> Option<OpenPane> {
        let first = self.first().map(|pane| &self.panes[pane]).map(|pane| OpenPane {
            key: Some(self.keys.entry(pane.key).bytes().to_vec()),
            window: Some(window(pane.span)),
            due: pane.due,
            trigger: None,
        });
        // Of what is not in memory it is not known whether it has fired; where nothing stays behind its firing, it has not.
        let cold = self.keys.cold().and_then(ColdTable::next_due).filter(|_| self.lateness == Millis::ZERO);
        let cold = cold.map(|due| OpenPane { key: None, window: None, due, trigger: None });
        first.into_iter().chain(cold).min_by_key(|pane| pane.due)
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
        if latest.pane == PaneId::EMPTY || self.panes[latest.pane].span <= pane.span {
            self.panes[id].earlier = latest.pane;
            *self.keys.item(pane.key) = Latest { pane: id, start: pane.span.start };
        } else {
            let mut later = latest.pane;
            while self.is_later(self.panes[later].earlier, pane.span) {
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

    /// Whether this is a pane at all, and starts after that window, or with it and ends after it.
    #[inline]
    pub fn is_later(&self, pane: PaneId, window: Interval) -> bool {
        pane != PaneId::EMPTY && self.panes[pane].span > window
    }

    /// See [`Firings::foresee`].
    pub fn foresee(&mut self, parts: &[PaneId], reopens: bool, told: &Told<'_>) -> Result<(), Reason> {
        self.panes.firings.as_mut().map_or(Ok(()), |firings| firings.foresee(parts, reopens, told))
    }

    /// A pane reaches over that stretch too.
    pub fn extend(&mut self, pane: PaneId, span: Interval) {
        self.shift(pane, self.panes[pane].span.join(span));
    }

    /// A pane takes another stretch, which does not change its place among the key's panes.
    pub fn shift(&mut self, pane: PaneId, span: Interval) {
        let key = self.panes[pane].key;
        self.panes[pane].span = span;
        let latest = self.keys.item(key);
        if latest.pane == pane {
            latest.start = span.start;
        }
    }

    /// Has a pane that is not due at any time looked at then.
    pub fn set_due(&mut self, pane: PaneId, due: Timestamp, desk: &mut Desk) {
        self.timers.add(&mut self.panes, pane, due);
        desk.due = desk.due.min(due);
    }

    /// Whether the key has no other panes.
    pub fn is_only(&self, pane: PaneId) -> bool {
        let Pane { key, earlier, .. } = self.panes[pane];
        earlier == PaneId::EMPTY && self.keys.entry(key).item.pane == pane
    }

    /// Gives up a pane that is not due at any time, and its key if that was all. Windows that have no pane yet and start
    /// before `settled` will not fire any more.
    pub fn close(&mut self, pane: PaneId, settled: Timestamp) {
        let key = self.panes[pane].key;
        self.unlink(pane);
        let last = if self.panes.carries() { self.settle(key, settled) } else { None };
        if self.latest(Some(key)).pane == PaneId::EMPTY {
            match last {
                Some(last) => self.idle.add(key, last),
                None => self.keys.remove(key),
            }
        }
    }

    fn settle(&mut self, key: KeyId, settled: Timestamp) -> Option<Timestamp> {
        let mut earliest = settled;
        let mut pane = self.latest(Some(key)).pane;
        while pane != PaneId::EMPTY {
            earliest = earliest.min(self.panes[pane].span.start);
            pane = self.panes[pane].earlier;
        }
        self.panes.settle(key, Settled::Before(earliest))
    }

    /// One pane takes in another of its key, which is not due at any time.
    pub fn absorb(&mut self, into: PaneId, from: PaneId) {
        self.panes.merge(into, from);
        self.unlink(from);
    }

    /// Takes a pane out of its key's list and gives it up.
    fn unlink(&mut self, pane: PaneId) {
        let Pane { key, earlier, .. } = self.panes[pane];
        let latest = self.latest(Some(key));
        if latest.pane == pane {
            *self.keys.item(key) = Latest { pane: earlier, start: self.panes[earlier].span.start };
        } else {
            let mut later = latest.pane;
            while self.panes[later].earlier != pane {
                later = self.panes[later].earlier;
            }
            self.panes[later].earlier = earlier;
        }
        self.panes.close(pane);
    }

    /// Gives up keys that have no panes and whose values are too old for windows to come.
    pub fn expire(&mut self, watermark: Timestamp) {
        let has_windows = |latest: &Latest| latest.pane != PaneId::EMPTY;
        self.idle.expire(watermark, &mut self.keys, &mut self.panes, has_windows);
    }

    /// When the last of the panes that have not fired is looked at; None if all have.
    pub fn last_firing(&mut self, desk: &mut Desk) -> Option<Timestamp> {
        if self.lateness == Millis::ZERO {
            return self.next().map(|_| Timestamp::MAX);
        }
        let cold = self.last_cold_firing(desk);
        self.last_firing_in_memory().into_iter().chain(cold).max()
    }

    fn last_firing_in_memory(&self) -> Option<Timestamp> {
        let panes = self.timers.all(&self.panes).map(|pane| &self.panes[pane]);
        panes.filter(|pane| pane.stage != Stage::Fired).map(|pane| pane.due).max()
    }

    /// Says which keys changed: their panes, latest first, each with how long before `needed` it is looked at; then what
    /// aggregates keep.
    pub fn save(&mut self, into: &mut Saving<'_>) {
        let (panes, outlook) = (&self.panes, &self.outlook);
        save_keys(&mut self.keys, into, &mut |key, latest, into| put_key(panes, outlook, key, latest, into));
    }

    /// Takes back a key.
    pub fn load(&mut self, key: &[u8], from: &mut Reader<'_>, desk: &mut Desk) -> Result<KeyId, Malformed> {
        let key = restore_key(&mut self.keys, key)?;
        self.load_panes(key, from, desk)?;
        if desk.marks.is_none() && self.panes.firings.is_none() {
            self.pass_over(key, desk);
        }
        Ok(key)
    }

    /// Panes of a key that were looked at since they were saved, and had time: that alone is not saved.
    fn pass_over(&mut self, key: KeyId, desk: &mut Desk) {
        let mut pane = self.latest(Some(key)).pane;
        while pane != PaneId::EMPTY {
            let needed = (self.outlook.needed)(&self.panes[pane]);
            if self.panes[pane].due <= desk.watermark && needed > self.panes[pane].due {
                self.timers.remove(&mut self.panes, pane);
                self.set_due(pane, needed, desk);
            }
            pane = self.panes[pane].earlier;
        }
    }

    /// Takes back what was kept of a key.
    pub fn load_panes(
        &mut self,
        key: KeyId,
        from: &mut Reader<'_>,
        desk: &mut Desk,
    ) -> Result<(), Malformed> {
        let mut later = PaneId::EMPTY;
        for _ in 0..from.count()? {
            let pane = self.panes.load(key, from)?;
            if later == PaneId::EMPTY {
                *self.keys.item(key) = Latest { pane, start: self.panes[pane].span.start };
            } else if self.panes[pane].span > self.panes[later].span {
                return Err(Malformed("windows out of order"));
            } else {
                self.panes[later].earlier = pane;
            }
            let needed = (self.outlook.needed)(&self.panes[pane]);
            let due = Timestamp(needed.0.wrapping_sub(from.signed()?)).min(needed);
            self.set_due(pane, due, desk);
            later = pane;
        }
        let last = self.panes.load_key(key, from)?;
        if later == PaneId::EMPTY {
            self.idle.add(key, last.ok_or(Malformed("a key of nothing"))?);
        }
        Ok(())
    }

    /// Takes out of what is due the panes of the key at hand that are due by its own watermark first, at one time.
    pub fn take_due_of_key(&mut self, desk: &mut Desk, into: &mut Vec<PaneId>) -> Option<Timestamp> {
        let key = self.find(desk)?;
        let first = self.panes.earlier(self.latest(Some(key)).pane).map(|pane| self.panes[pane].due).min()?;
        if first > desk.watermark {
            return None;
        }
        into.extend(
            self.panes.earlier(self.latest(Some(key)).pane).filter(|pane| self.panes[*pane].due == first),
        );
        into.iter().for_each(|&pane| self.timers.remove(&mut self.panes, pane));
        Some(first)
    }

    /// A pane was looked at as the watermark of all has come so far: its key has too.
    pub fn bring(&self, pane: PaneId, to: Timestamp, desk: &mut Desk) {
        if let Some(marks) = &mut desk.marks {
            marks.bring(self.keys.entry(self.panes[pane].key).bytes(), to);
        }
    }

    /// Emits a pane. A next firing holds what the accumulation says.
    pub fn emit(&mut self, pane: PaneId, window: Interval, desk: &Desk, out: &mut dyn Output) {
        let key = self.panes[pane].key;
        let frame = Frame { key, window };
        desk.emitter.pane(out, &mut self.panes, pane, self.keys.entry(key), frame);
        if self.lateness > Millis::ZERO && self.accumulation == Accumulation::Discarding {
            self.panes.empty(pane);
        }
    }
}

/// Appends what is saved of a key.
pub fn put_key(panes: &Panes, outlook: &Outlook, key: KeyId, latest: &Latest, into: &mut Vec<u8>) {
    put_number(into, panes.earlier(latest.pane).count() as u64);
    for pane in panes.earlier(latest.pane) {
        panes.save(pane, into);
        put_signed(into, (outlook.needed)(&panes[pane]).0.wrapping_sub(panes[pane].due.0));
    }
    panes.save_key(key, into);
}
