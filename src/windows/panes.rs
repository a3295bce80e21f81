//! Panes: what one key has in one window, or in a part of one.

use super::aggregates::{Accumulator, Arrival, Frame, Near, PaneId, Settled, Setup};
use super::plan::Aggregate;
use super::triggers::Firings;
use crate::dataflow::KeyId;
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Reason, Row, Slot, Value};
use crate::time::{Interval, Timestamp};
use std::ops::{Index, IndexMut};

/// What is known of a pane besides its aggregates. [`PaneId::EMPTY`] stands for "none" in its links.
#[derive(Clone, Copy, Debug)]
pub struct Pane {
    /// The window, or the stretch of time that the events take.
    pub span: Interval,
    /// The order of arrival of its first event.
    pub born: u64,
    /// Whose it is.
    pub key: KeyId,
    /// The next earlier pane of that key.
    pub earlier: PaneId,
    /// When to look at it again.
    pub due: Timestamp,
    /// The neighbours among panes that are due at the same time.
    pub beside: [PaneId; 2],
    /// Where its window stands.
    pub stage: Stage,
}

/// Where a window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its start may still change (a session with `max` that the watermark has not reached).
    Open,
    /// It will fire.
    Waiting,
    /// It has fired and waits for late events.
    Fired,
}

/// All panes of an operator.
pub struct Panes {
    panes: Vec<Pane>,
    free: Vec<PaneId>,
    columns: Vec<Column>,
    /// Whether aggregates keep something by key.
    carries: bool,
    /// Where panes stand with their trigger, if they have one that may fire before or after the window's end.
    pub firings: Option<Box<Firings>>,
}

/// Room for so many panes stays when none is left.
const KEPT: usize = 4096;

/// One aggregate.
struct Column {
    states: Box<dyn Accumulator>,
    filter: Option<Slot>,
    fallible: bool,
    scarce: bool,
    into: Slot,
    /// Where it goes why there is no result, of those that may fail then.
    failed: Option<Slot>,
}

impl Column {
    #[inline]
    fn counts(&self, event: &Arrival) -> bool {
        match self.filter {
            Some(slot) => event.batch.get(event.row, slot).as_bool() == Some(true),
            None => true,
        }
    }
}

impl Panes {
    /// No panes with these aggregates.
    pub fn new(aggregates: &[Aggregate], setup: Setup) -> Panes {
        let columns = aggregates.iter().map(|aggregate| {
            let states = (aggregate.spec.make)(&aggregate.call, setup);
            let fallible = states.fallible();
            let failed = aggregate.call.own.as_ref().map(|own| own.failed);
            Column { states, filter: aggregate.filter, fallible, scarce: false, into: aggregate.into, failed }
        });
        let always = Pane::new(Interval::NOTHING, 0, KeyId(0));
        Panes {
            panes: vec![always; PaneId::ALWAYS],
            free: Vec::new(),
            columns: columns.collect(),
            carries: aggregates.iter().any(|aggregate| aggregate.spec.carries),
            firings: None,
        }
    }

    /// A new pane without events.
    pub fn open(&mut self, pane: Pane) -> PaneId {
        if let Some(id) = self.free.pop() {
            self.panes[id.index()] = pane;
            self.firings.iter_mut().for_each(|firings| firings.open(id));
            return id;
        }
        let id = PaneId(self.panes.len() as u32);
        self.panes.push(pane);
        self.empty(id);
        self.firings.iter_mut().for_each(|firings| firings.open(id));
        id
    }

    /// Gives up a pane and what it holds. Links to it must be gone.
    pub fn close(&mut self, pane: PaneId) {
        self.empty(pane);
        self.firings.iter_mut().for_each(|firings| firings.close(pane));
        self.free.push(pane);
        if self.free.len() + PaneId::ALWAYS == self.panes.len() && self.panes.len() > KEPT {
            self.shrink();
        }
    }

    #[cold]
    fn shrink(&mut self) {
        self.panes.truncate(PaneId::ALWAYS);
        self.panes.shrink_to_fit();
        self.free = Vec::new();
        self.columns.iter_mut().for_each(|column| column.states.shrink());
        self.firings.iter_mut().for_each(|firings| firings.shrink());
    }

    /// A pane, if it is one, and those of its key before it, latest first.
    pub fn earlier(&self, pane: PaneId) -> impl Iterator<Item = PaneId> + '_ {
        let next = |pane: PaneId| Some(pane).filter(|pane| *pane != PaneId::EMPTY);
        std::iter::successors(next(pane), move |pane| next(self[*pane].earlier))
    }

    /// Forgets what a pane holds.
    pub fn empty(&mut self, pane: PaneId) {
        self.columns.iter_mut().for_each(|column| column.states.reset(pane));
    }

    /// Whether the pane can take the event.
    #[inline]
    pub fn check(&self, pane: PaneId, event: &Arrival) -> Result<(), Reason> {
        for column in self.columns.iter().filter(|column| column.fallible) {
            if column.counts(event) {
                column.states.check(pane, event)?;
            }
        }
        Ok(())
    }

    /// Whether panes that can take the event each by itself may be unable to together, so that
    /// [`Panes::check_combined`] must be asked. `merging` says that panes become one that were not so far.
    #[inline]
    pub fn scarce(&mut self, event: &Arrival, merging: bool) -> bool {
        let mut any = false;
        for column in self.columns.iter_mut().filter(|column| column.fallible) {
            let counted = column.counts(event).then_some(event);
            column.scarce = (merging || counted.is_some()) && column.states.scarce(counted);
            any |= column.scarce;
        }
        any
    }

    /// Whether one pane made of these could take the event that [`Panes::scarce`] was asked about.
    pub fn check_combined(&self, parts: &[PaneId], event: &Arrival) -> Result<(), Reason> {
        let mut scarce = self.columns.iter().filter(|column| column.scarce);
        scarce.try_for_each(|column| {
            let counted = column.counts(event).then_some(event);
            column.states.check_combined(parts, counted)
        })
    }

    /// Whether these panes can be one.
    pub fn can_merge(&self, parts: &[PaneId]) -> bool {
        let mut scarce = self.columns.iter().filter(|column| column.fallible && column.states.scarce(None));
        scarce.all(|column| column.states.check_combined(parts, None).is_ok())
    }

    /// Adds an event that was checked.
    #[inline]
    pub fn add(&mut self, pane: PaneId, event: &Arrival) {
        let key = self[pane].key;
        for column in &mut self.columns {
            if column.counts(event) {
                column.states.add(pane, key, event);
            }
        }
    }

    /// Adds what one pane holds to another.
    pub fn merge(&mut self, into: PaneId, from: PaneId) {
        self.columns.iter_mut().for_each(|column| column.states.merge(into, from));
        self.firings.iter_mut().for_each(|firings| firings.merge(into, from));
        let from = self[from];
        let into = &mut self[into];
        into.span = into.span.join(from.span);
        into.born = into.born.min(from.born);
    }

    /// Writes the results into a row.
    pub fn write(&mut self, pane: PaneId, frame: Frame, batch: &mut Batch, row: Row) {
        for column in &mut self.columns {
            let value = column.states.result(pane, frame, batch);
            batch.set(row, column.into, value);
            if let (Some(slot), Some(why)) = (column.failed, column.states.failure()) {
                let text = Value::text(batch.store(why.text.as_bytes()));
                batch.set(row, slot, text);
            }
        }
    }

    /// Whether the trigger of a pane is done, so that its window takes nothing any more.
    pub fn is_closed(&self, pane: PaneId) -> bool {
        let opened = pane.index() >= PaneId::ALWAYS;
        opened && self.firings.as_ref().is_some_and(|firings| firings.get(pane).closed)
    }

    /// Whether aggregates keep something by key.
    pub fn carries(&self) -> bool {
        self.carries
    }

    /// Gives up what is kept of a key and no longer needed. Returns the event time of the last value still kept.
    pub fn settle(&mut self, key: KeyId, settled: Settled) -> Option<Timestamp> {
        if !self.carries {
            return None;
        }
        self.columns.iter_mut().filter_map(|column| column.states.settle(key, settled)).max()
    }

    /// Gives up all that is kept of a key.
    pub fn forget(&mut self, key: KeyId) {
        if self.carries {
            self.columns.iter_mut().for_each(|column| column.states.forget(key));
        }
    }

    /// Appends what the aggregates hold in a pane.
    pub fn save_states(&self, pane: PaneId, near: Near, into: &mut Vec<u8>) {
        self.columns.iter().for_each(|column| column.states.save(pane, near, into));
    }

    /// Takes back what the aggregates held in a pane, which is empty.
    pub fn load_states(&mut self, pane: PaneId, near: Near, from: &mut Reader<'_>) -> Result<(), Malformed> {
        self.columns.iter_mut().try_for_each(|column| column.states.load(pane, near, from))
    }

    /// Appends what the aggregates keep by key.
    pub fn save_key(&self, key: KeyId, into: &mut Vec<u8>) {
        self.columns.iter().for_each(|column| column.states.save_key(key, into));
    }

    /// Takes back what the aggregates kept by key, of which nothing is there. Returns the event time of the last value.
    pub fn load_key(&mut self, key: KeyId, from: &mut Reader<'_>) -> Result<Option<Timestamp>, Malformed> {
        self.columns.iter_mut().try_for_each(|column| column.states.load_key(key, from))?;
        Ok(self.settle(key, Settled::Before(Timestamp::MIN)))
    }
}

impl Pane {
    /// A pane that will fire, not linked to anything.
    pub fn new(span: Interval, born: u64, key: KeyId) -> Pane {
        Pane {
            span,
            born,
            key,
            earlier: PaneId::EMPTY,
            due: Timestamp::MAX,
            beside: [PaneId::EMPTY; 2],
            stage: Stage::Waiting,
        }
    }
}

impl Index<PaneId> for Panes {
    type Output = Pane;
    #[inline]
    fn index(&self, pane: PaneId) -> &Pane {
        &self.panes[pane.index()]
    }
}

impl IndexMut<PaneId> for Panes {
    #[inline]
    fn index_mut(&mut self, pane: PaneId) -> &mut Pane {
        &mut self.panes[pane.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::aggregates::{self, Call};

    #[test]
    fn memory_is_given_back_and_taken_again() {
        let spec = aggregates::find("count").expect("known");
        let count = Aggregate { spec, call: Call::default(), filter: None, into: Slot(0) };
        let mut panes = Panes::new(&[count], Setup { parts: 1, seed: 0, carry: None });
        let mut batch = Batch::new(1, b"");
        let row = batch.push_row(Timestamp(0), Timestamp(0));
        let event = Arrival { batch: &batch, row, time: Timestamp(0), order: 0 };
        let mut out = Batch::new(1, b"");
        let into = out.push_row(Timestamp(0), Timestamp(0));
        let frame = Frame { key: KeyId(0), window: Interval::NOTHING };
        for _ in 0..3 {
            let open: Vec<PaneId> =
                (0..2 * KEPT).map(|_| panes.open(Pane::new(Interval::NOTHING, 0, KeyId(0)))).collect();
            for &pane in &open {
                panes.add(pane, &event);
                panes.write(pane, frame, &mut out, into);
                assert_eq!(out.get(into, Slot(0)).as_int(), Some(1));
            }
            open.into_iter().for_each(|pane| panes.close(pane));
            assert_eq!(panes.panes.len(), PaneId::ALWAYS);
        }
    }
}
