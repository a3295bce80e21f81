//! What makes panes with a trigger leave, and what leaves.

use super::aggregates::{Arrival, Frame, PaneId};
use super::extent::{Extent, Kind};
use super::keyed::KeyedPanes;
use super::operator::Desk;
use super::panes::Stage;
use super::plan::{Accumulation, WindowPlan};
use super::triggers::{Clock, Firing, Firings, Moment, Owed, Shown, Told};
use crate::dataflow::Output;
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Kept, Reason, Slot, Value};
use crate::time::{Env, Interval, Millis, Timestamp};
use std::collections::BTreeSet;

/// Asks triggers, knows who waits for the clock and whom the watermark waits for.
pub struct Panel {
    accumulation: Accumulation,
    emit_empty: bool,
    /// Where the values of a pane stand that may be taken back.
    shown: Vec<Slot>,
    /// If triggers wait for times of the clock.
    clock: Option<Clock>,
    /// Where the clock stood at the last tick.
    ticked: Millis,
    /// Panes by when the clock may make them fire. Those of which that is not true any more are passed over.
    waking: BTreeSet<(Millis, PaneId)>,
    /// Panes by what the watermark behind waits at. Those of which that is not true any more are passed over.
    owing: BTreeSet<(Timestamp, PaneId)>,
    /// How often a custom trigger has failed while there was no event to reject.
    failures: u64,
    /// What of an event custom triggers are told.
    fields: Box<[(String, Slot)]>,
}

/// When a pane leaves, as it is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timing {
    Early,
    OnTime,
    Late,
}

impl Timing {
    fn word(self) -> &'static str {
        match self {
            Timing::Early => "early",
            Timing::OnTime => "on_time",
            Timing::Late => "late",
        }
    }
}

/// Where a pane stands; panes of such windows all have that.
fn firings(keyed: &mut KeyedPanes) -> Option<&mut Firings> {
    keyed.panes.firings.as_deref_mut()
}

impl Panel {
    /// For the trigger of a plan.
    pub fn new(plan: &WindowPlan) -> Panel {
        let firing = plan.firing.as_ref();
        Panel {
            accumulation: plan.accumulation,
            emit_empty: firing.is_some_and(|firing| firing.emit_empty),
            shown: plan.shown(),
            clock: firing.and_then(|firing| firing.trigger.shortest_wait()).map(Clock::new),
            ticked: Millis::ZERO,
            waking: BTreeSet::new(),
            owing: BTreeSet::new(),
            failures: 0,
            fields: firing.map_or(&[][..], |firing| &firing.fields).into(),
        }
    }

    /// The clock, as triggers are told of it.
    pub fn now(&mut self, env: &Env) -> Millis {
        self.clock.as_mut().map_or(Millis::ZERO, |clock| clock.read(env))
    }

    /// An event, as triggers are told of it.
    pub fn told<'a>(
        &'a self,
        event: &'a Arrival<'a>,
        window: Interval,
        (watermark, now): (Timestamp, Millis),
    ) -> Told<'a> {
        Told { time: event.time, watermark, now, window, event: Some(event), fields: &self.fields }
    }

    /// A pane's end has moved, so that event time has not reached it (any more).
    pub fn reopen(&mut self, keyed: &mut KeyedPanes, pane: PaneId) {
        let Some(firings) = firings(keyed) else { return };
        let (machine, firing) = firings.at(pane);
        machine.reopen(&mut firing.cells);
        firing.owed = Owed::Nothing;
    }

    /// Asks the trigger of a pane, and lets the pane leave. `at_end` when event time comes to the window's end.
    pub fn look(
        &mut self,
        keyed: &mut KeyedPanes,
        pane: PaneId,
        extent: Extent,
        at_end: bool,
        desk: &mut Desk,
        out: &mut dyn Output,
    ) {
        let Some(firings) = firings(keyed) else { return };
        let moment = Moment {
            watermark: desk.watermark,
            start: extent.window.start,
            end: extent.end,
            clock: self.ticked,
        };
        firings.advance(pane, moment);
        let (machine, firing) = firings.at(pane);
        if firing.closed {
            return;
        }
        firing.reached = desk.marks.is_some().then_some(desk.watermark);
        let ready = machine.is_ready(&firing.cells, moment);
        let done = ready && machine.fire(&mut firing.cells, moment);
        let over = extent.expiry <= desk.watermark;
        let timing = match moment.is_past_end() {
            false => Timing::Early,
            true if at_end || firing.owed != Owed::Nothing => Timing::OnTime,
            true => Timing::Late,
        };
        let is_empty_on_time = at_end && self.emit_empty && !firing.fresh;
        if firing.fresh && (ready || over) || is_empty_on_time {
            self.emit(keyed, pane, extent, (timing, done || over), desk, out);
        } else if at_end {
            let told = desk.emitter.reached();
            firing.owed = match firing.fresh {
                false => Owed::Nothing,
                true if extent.end > told => Owed::Held,
                true => Owed::Late,
            };
            firing.shown.iter_mut().for_each(|shown| shown.held = false);
        }
        if done {
            self.seal(keyed, pane);
        }
    }

    /// Tells of what custom triggers failed at: the first time, and then ever more rarely.
    pub fn tell_faults(&mut self, keyed: &mut KeyedPanes) {
        let Some(firings) = firings(keyed) else { return };
        for Reason { text, .. } in firings.faults.drain(..) {
            self.failures += 1;
            if self.failures.is_power_of_two() {
                tracing::error!("{text}; the window goes on without (failure {})", self.failures);
            }
        }
    }

    /// The trigger is done: the window has nothing any more, and takes nothing.
    fn seal(&self, keyed: &mut KeyedPanes, pane: PaneId) {
        keyed.panes.empty(pane);
        keyed.panes[pane].stage = Stage::Fired;
        let Some(firings) = firings(keyed) else { return };
        let (_, firing) = firings.at(pane);
        *firing = Firing { closed: true, cells: std::mem::take(&mut firing.cells), ..Firing::default() };
    }

    /// A pane leaves, behind what it takes the place of.
    fn emit(
        &self,
        keyed: &mut KeyedPanes,
        pane: PaneId,
        extent: Extent,
        (timing, last): (Timing, bool),
        desk: &Desk,
        out: &mut dyn Output,
    ) {
        let Some(firings) = firings(keyed) else { return };
        let (_, firing) = firings.at(pane);
        let (index, withdrawn) = (firing.index, std::mem::take(&mut firing.shown));
        (firing.index, firing.fresh, firing.owed) = (index + 1, false, Owed::Nothing);
        let key = keyed.panes[pane].key;
        let output = desk.emitter.output();
        for Shown { window, cells, .. } in &withdrawn {
            let (batch, row) = desk.emitter.begin(out, keyed.keys.entry(key), *window);
            for (slot, cell) in self.shown.iter().zip(cells) {
                let value = cell.write(batch);
                batch.set(row, *slot, value);
            }
            output.retracted.iter().for_each(|slot| batch.set(row, *slot, Value::bool(true)));
        }
        let (batch, row) = desk.emitter.begin(out, keyed.keys.entry(key), extent.window);
        keyed.panes.write(pane, Frame { key, window: extent.window }, batch, row);
        output.index.iter().for_each(|slot| batch.set(row, *slot, Value::int(index as i64)));
        if let Some(slot) = output.timing {
            let word = batch.store(timing.word().as_bytes());
            batch.set(row, slot, Value::plain_text(word));
        }
        output.last.iter().for_each(|slot| batch.set(row, *slot, Value::bool(last)));
        output.retracted.iter().for_each(|slot| batch.set(row, *slot, Value::bool(false)));
        let retracts = self.accumulation == Accumulation::Retracting && !last;
        let cells = retracts.then(|| self.shown.iter().map(|slot| Kept::of(batch, batch.get(row, *slot))));
        let told = desk.emitter.reached();
        let held = timing == Timing::Early && extent.end < Timestamp::MAX && extent.end > told;
        let shown = cells.map(|cells| Shown { window: extent.window, cells: cells.collect(), held });
        if let Some(firings) = keyed.panes.firings.as_deref_mut() {
            firings.at(pane).1.shown.extend(shown);
        }
        if self.accumulation == Accumulation::Discarding {
            keyed.panes.empty(pane);
        }
    }

    /// When event time may make something of a pane happen next; also remembers when the clock may.
    pub fn next(
        &mut self,
        keyed: &mut KeyedPanes,
        pane: PaneId,
        extent: Extent,
        watermark: Timestamp,
    ) -> Timestamp {
        let stage = keyed.panes[pane].stage;
        let Some(firings) = firings(keyed) else { return extent.expiry };
        let (machine, firing) = firings.at(pane);
        if firing.closed {
            firing.wake = None;
            return extent.expiry;
        }
        let wake = machine.next_clock(&firing.cells, self.ticked);
        if stage == Stage::Open {
            self.clock.iter_mut().filter(|_| wake.is_some()).for_each(Clock::note);
            return extent.window.start;
        }
        if wake != firing.wake {
            firing.wake = wake;
            self.waking.extend(wake.map(|wake| (wake, pane)));
            self.clock.iter_mut().filter(|_| wake.is_some()).for_each(Clock::note);
        }
        let bound = if stage == Stage::Waiting { extent.end } else { extent.expiry };
        let next = machine.next_time(&firing.cells, watermark).map_or(bound, |time| time.min(bound));
        self.owe(firing, extent, pane);
        next
    }

    /// Remembers what the watermark behind waits at for a pane: below the end of a window whose pane on time has not left,
    /// and below that of what a session has put out and may take back.
    fn owe(&mut self, firing: &Firing, extent: Extent, pane: PaneId) {
        self.owing.extend(owed_at(firing, extent.end).map(|end| (end, pane)));
    }

    /// What the trigger of a pane still waits for, in words.
    pub fn waits(&self, keyed: &KeyedPanes, pane: PaneId, extent: Extent) -> Option<String> {
        let firings = keyed.panes.firings.as_deref()?;
        // Of a pane that has not fired, event time has not reached the end.
        let is_past = keyed.panes[pane].stage == Stage::Fired;
        let watermark = if is_past { extent.end } else { Timestamp::MIN };
        let moment = Moment { watermark, start: extent.window.start, end: extent.end, clock: self.ticked };
        Some(firings.machine.waits(&firings.get(pane).cells, moment))
    }

    /// Says how far the watermark behind may go.
    pub fn hold(&mut self, kind: &Kind, desk: &mut Desk) {
        desk.hold = Timestamp::MAX;
        let Some(firings) = kind.keyed_ref().panes.firings.as_deref() else { return };
        while let Some(&(end, pane)) = self.owing.first() {
            let owed = firings.find(pane).and_then(|firing| owed_at(firing, kind.extent(pane).end));
            if owed == Some(end) {
                desk.hold = end - Millis(1);
                return;
            }
            self.owing.pop_first();
        }
    }

    /// Processing time has gone on: which panes the clock may make fire, in order.
    pub fn tick(&mut self, keyed: &mut KeyedPanes, env: &Env, due: &mut Vec<PaneId>) {
        due.clear();
        let Some(clock) = &mut self.clock else { return };
        self.ticked = clock.read(env);
        while let Some(&(wake, pane)) = self.waking.first()
            && wake <= self.ticked
        {
            self.waking.pop_first();
            // A start later on has to know that it passed.
            clock.note();
            let Some(firings) = keyed.panes.firings.as_deref_mut() else { return };
            let is_true = firings.find(pane).is_some_and(|firing| firing.wake == Some(wake));
            if is_true && keyed.panes[pane].stage != Stage::Open {
                due.push(pane);
            }
        }
        due.sort_by_key(|&pane| keyed.rank(pane));
        due.dedup();
    }

    /// A pane was loaded.
    pub fn restore(&mut self, keyed: &mut KeyedPanes, pane: PaneId, extent: Extent) {
        let Some(firings) = firings(keyed) else { return };
        let (machine, firing) = firings.at(pane);
        firing.wake = machine.next_clock(&firing.cells, self.ticked).filter(|_| !firing.closed);
        self.waking.extend(firing.wake.map(|wake| (wake, pane)));
        self.owe(firing, extent, pane);
    }

    /// The panes are about to be saved.
    pub fn settle_clock(&mut self) {
        let waits = !self.waking.is_empty();
        self.clock.iter_mut().for_each(|clock| clock.settle(waits));
    }

    /// Appends where the clock stands.
    pub fn save_clock(&self, into: &mut Vec<u8>) {
        self.clock.iter().for_each(|clock| clock.save(into));
    }

    /// Takes back where the clock stood.
    pub fn load_clock(&mut self, from: &mut Reader<'_>, is_own: bool, env: &Env) -> Result<(), Malformed> {
        let Some(clock) = &mut self.clock else { return Ok(()) };
        clock.load(from, is_own, env)?;
        self.ticked = self.ticked.max(clock.read(env));
        Ok(())
    }
}

/// The end of a window below which the watermark behind waits for a pane that ends there, or of one it has shown before.
fn owed_at(firing: &Firing, end: Timestamp) -> Option<Timestamp> {
    let owed = (firing.owed == Owed::Held).then_some(end);
    let shown = firing.shown.iter().filter(|shown| shown.held).map(|shown| shown.window.end);
    shown.chain(owed).min()
}
