//! What an aggregate is to the window operator: states by pane, a column an aggregate.

use super::near::Near;
use crate::dataflow::KeyId;
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Reason, Row, Value};
use crate::time::{Interval, Timestamp};

/// The number of a pane's states in every accumulator. Numbers are small and used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaneId(pub u32);

impl PaneId {
    /// The pane that stays empty: what an event is checked against before it has a pane of its own.
    pub const EMPTY: PaneId = PaneId(0);

    /// The pane in which parts are combined while a row is written; empty otherwise.
    pub const WHOLE: PaneId = PaneId(1);

    /// How many panes are always there.
    pub const ALWAYS: usize = 2;

    /// The number as an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An event as it reaches the aggregates.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// The batch that holds it.
    pub batch: &'a Batch,
    /// Its row.
    pub row: Row,
    /// Its event time.
    pub time: Timestamp,
    /// Its place in the order of arrival.
    pub order: u64,
}

/// What a pane is a result for.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Whose it is.
    pub key: KeyId,
    /// The window.
    pub window: Interval,
}

/// What of a key's past no window to come asks for.
#[derive(Clone, Copy, Debug)]
pub enum Settled {
    /// No window that starts before it fires any more, so that of what lies before only the last value counts.
    Before(Timestamp),
    /// No window to come holds events that arrived before that one.
    Arrived(u64),
}

/// The states of one aggregate for all panes.
pub trait Accumulator: Send {
    /// No pane is left but those that are always there: gives memory back.
    fn shrink(&mut self);

    /// Empties a pane's state, and makes room for it if the number is new.
    fn reset(&mut self, pane: PaneId);

    /// Whether there are events that [`Accumulator::check`] refuses.
    fn fallible(&self) -> bool;

    /// Whether the pane can take the event.
    fn check(&self, pane: PaneId, event: &Arrival) -> Result<(), Reason>;

    /// Whether panes that are fine each by itself may be too much together, with the event if there is one:
    /// [`Accumulator::check_combined`] must be asked.
    fn scarce(&self, event: Option<&Arrival>) -> bool;

    /// Whether these panes can be one, with the event if there is one.
    fn check_combined(&self, parts: &[PaneId], event: Option<&Arrival>) -> Result<(), Reason>;

    /// Takes an event of that key that passed the check. It may be added to several panes, one after the other.
    fn add(&mut self, pane: PaneId, key: KeyId, event: &Arrival);

    /// Adds what another pane holds, which stays as it is.
    fn merge(&mut self, into: PaneId, from: PaneId);

    /// What the pane comes to, with its text in the batch's arena.
    fn result(&mut self, pane: PaneId, frame: Frame, batch: &mut Batch) -> Value;

    /// Why the last result is none; of what never fails there is nothing to tell.
    fn failure(&mut self) -> Option<Reason> {
        None
    }

    /// Gives up what is kept by key and no longer needed. Returns the event time of the last value still kept.
    fn settle(&mut self, _key: KeyId, _settled: Settled) -> Option<Timestamp> {
        None
    }

    /// Gives up all that is kept by key.
    fn forget(&mut self, _key: KeyId) {}

    /// Appends what a pane holds, bit by bit.
    fn save(&self, pane: PaneId, near: Near, into: &mut Vec<u8>);

    /// Takes back what a pane held, which is empty.
    fn load(&mut self, pane: PaneId, near: Near, from: &mut Reader<'_>) -> Result<(), Malformed>;

    /// Appends what is kept by key.
    fn save_key(&self, _key: KeyId, _into: &mut Vec<u8>) {}

    /// Takes back what was kept by key, of which nothing is there.
    fn load_key(&mut self, _key: KeyId, _from: &mut Reader<'_>) -> Result<(), Malformed> {
        Ok(())
    }
}

/// An aggregate by what it does with one state. [`Columns`] makes an [`Accumulator`] of it.
pub trait Fold: Send {
    /// What is kept for a pane; the default is that of no events.
    type State: Default + Send;

    /// See [`Accumulator::fallible`].
    const FALLIBLE: bool;

    /// See [`Accumulator::check`].
    fn check(&self, _state: &Self::State, _event: &Arrival) -> Result<(), Reason> {
        Ok(())
    }

    /// See [`Accumulator::scarce`].
    fn scarce(&self, _event: Option<&Arrival>) -> bool {
        false
    }

    /// See [`Accumulator::check_combined`].
    fn check_combined(&self, _parts: &[&Self::State], _event: Option<&Arrival>) -> Result<(), Reason> {
        Ok(())
    }

    /// Takes an event. Merging and taking commute, whatever the order.
    fn add(&mut self, state: &mut Self::State, event: &Arrival);

    /// Adds another state.
    fn merge(&mut self, into: &mut Self::State, from: &Self::State);

    /// What the state comes to. It may be rearranged, not changed in meaning.
    fn result(&mut self, state: &mut Self::State, batch: &mut Batch) -> Value;

    /// Told before a state is emptied, for those that keep account of all states.
    fn release(&mut self, _state: &Self::State) {}

    /// See [`Accumulator::save`].
    fn save(&self, state: &Self::State, near: Near, into: &mut Vec<u8>);

    /// See [`Accumulator::load`]. Those that keep account of all states count the new one.
    fn load(&mut self, near: Near, from: &mut Reader<'_>) -> Result<Self::State, Malformed>;
}

/// A [`Fold`] with its states by pane.
pub struct Columns<F: Fold> {
    fold: F,
    states: Vec<F::State>,
}

impl<F: Fold> Columns<F> {
    /// The panes that are always there.
    pub fn new(fold: F) -> Columns<F> {
        Columns { fold, states: (0..PaneId::ALWAYS).map(|_| F::State::default()).collect() }
    }
}

impl<F: Fold> Accumulator for Columns<F> {
    fn shrink(&mut self) {
        self.states.truncate(PaneId::ALWAYS);
        self.states.shrink_to_fit();
    }

    fn reset(&mut self, pane: PaneId) {
        if pane.index() >= self.states.len() {
            self.states.resize_with(pane.index() + 1, F::State::default);
            return;
        }
        let state = &mut self.states[pane.index()];
        self.fold.release(state);
        *state = F::State::default();
    }

    fn fallible(&self) -> bool {
        F::FALLIBLE
    }

    #[inline]
    fn check(&self, pane: PaneId, event: &Arrival) -> Result<(), Reason> {
        self.fold.check(&self.states[pane.index()], event)
    }

    fn scarce(&self, event: Option<&Arrival>) -> bool {
        self.fold.scarce(event)
    }

    fn check_combined(&self, parts: &[PaneId], event: Option<&Arrival>) -> Result<(), Reason> {
        let parts: Vec<&F::State> = parts.iter().map(|part| &self.states[part.index()]).collect();
        self.fold.check_combined(&parts, event)
    }

    #[inline]
    fn add(&mut self, pane: PaneId, _key: KeyId, event: &Arrival) {
        self.fold.add(&mut self.states[pane.index()], event);
    }

    fn merge(&mut self, into: PaneId, from: PaneId) {
        let indexes = [into.index(), from.index()];
        // Two panes of different numbers, both made by `reset`: anything else has nothing to merge.
        if let Ok([into, from]) = self.states.get_disjoint_mut(indexes) {
            self.fold.merge(into, from);
        }
    }

    fn result(&mut self, pane: PaneId, _frame: Frame, batch: &mut Batch) -> Value {
        self.fold.result(&mut self.states[pane.index()], batch)
    }

    fn save(&self, pane: PaneId, near: Near, into: &mut Vec<u8>) {
        self.fold.save(&self.states[pane.index()], near, into);
    }

    fn load(&mut self, pane: PaneId, near: Near, from: &mut Reader<'_>) -> Result<(), Malformed> {
        self.states[pane.index()] = self.fold.load(near, from)?;
        Ok(())
    }
}
