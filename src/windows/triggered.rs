//! Windows with a trigger: of all kinds but those over numbers of events.
//!
//! Each (key, window) is a pane that the trigger is asked of after every event, whenever event time reaches a deadline or
//! the window's end, and at ticks of processing time. Where it is ready the pane leaves, if anything came since it left
//! last. The clock decides nothing else: windows end, and are given up, by event time alone.
//!
//! A pane is `early` before event time has reached the window's end. The first to leave from then on is `on_time`, if it
//! holds what came before: where the trigger is not ready at the end, the watermark behind the node waits below the
//! window's end until that pane has left, so that it is never late there. All others are `late`. What has not left when
//! the window is given up (at its end + lateness) leaves then.
//!
//! A trigger that is done closes the window. What remains of it until it would be given up is a pane that takes nothing.
//!
//! A session is asked when all that belongs together is one pane. So with `max` an event counts as soon as event time has
//! reached it (see [`super::merging`]).

use super::aggregates::{Arrival, PaneId};
use super::cold::Spilling;
use super::extent::Kind;
use super::keyed::KeyedPanes;
use super::operator::{Base, Desk, Windowing};
use super::panel::Panel;
use super::panes::{Pane, Stage};
use super::plan::WindowPlan;
use crate::dataflow::{KeyId, KeyReader, OpenPane, Output, Saving};
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::time::{Env, Interval, Timestamp};

/// Windows that their trigger makes fire.
pub struct Triggered {
    /// The trigger in words.
    trigger: String,
    kind: Kind,
    panel: Panel,
    due: Vec<PaneId>,
}

impl Triggered {
    /// No windows yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Triggered {
        let trigger = plan.firing.as_ref().map(|firing| firing.trigger.to_string()).unwrap_or_default();
        Triggered { trigger, kind: Kind::new(plan, base), panel: Panel::new(plan), due: Vec::new() }
    }

    /// An event was added to a pane: the trigger is told, and asked if the pane is whole.
    fn ask(&mut self, pane: PaneId, event: &Arrival, desk: &mut Desk, out: &mut dyn Output) {
        let extent = self.kind.extent(pane);
        let now = self.panel.now(out.env());
        let told = self.panel.told(event, extent.window, (desk.watermark, now));
        let keyed = self.kind.keyed();
        keyed.panes.firings.iter_mut().for_each(|firings| firings.tell(pane, &told));
        if keyed.panes[pane].stage != Stage::Open {
            self.panel.look(keyed, pane, extent, false, desk, out);
        }
        self.plan_next(pane, true, desk);
    }

    /// Says when to look at a pane again. `listed` if it is due at some time now.
    fn plan_next(&mut self, pane: PaneId, listed: bool, desk: &mut Desk) {
        let extent = self.kind.extent(pane);
        let keyed = self.kind.keyed();
        let next = self.panel.next(keyed, pane, extent, desk.watermark);
        if listed && keyed.panes[pane].due == next {
            return;
        }
        if listed {
            keyed.timers.remove(&mut keyed.panes, pane);
        }
        keyed.set_due(pane, next, desk);
    }

    fn take_placed(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let Kind::Placed(placement) = &mut self.kind else { return Ok(()) };
        let key = placement.keyed.find(desk);
        let latest = placement.keyed.latest(key);
        placement.look_up(event.time, desk.watermark, latest);
        placement.set_closed_aside();
        for &(_, pane) in &placement.targets {
            placement.keyed.panes.check(pane, event)?;
        }
        let now = self.panel.now(out.env());
        for &(window, pane) in &placement.targets {
            let told = self.panel.told(event, window, (desk.watermark, now));
            placement.keyed.foresee(part(&pane), false, &told)?;
        }
        if placement.targets.is_empty() || !placement.closed.is_empty() {
            placement.send_late(desk, event, out);
        }
        if placement.targets.is_empty() {
            return Ok(());
        }
        let key = key.unwrap_or_else(|| placement.keyed.keys.insert(&desk.keys, event.batch, event.row));
        placement.keyed.keys.touch(key);
        let mut targets = std::mem::take(&mut placement.targets);
        for &(window, pane) in targets.iter().rev() {
            let keyed = self.kind.keyed();
            let pane = if pane == PaneId::EMPTY { open(keyed, key, window, event, desk) } else { pane };
            keyed.panes.add(pane, event);
            self.ask(pane, event, desk, out);
        }
        targets.clear();
        if let Kind::Placed(placement) = &mut self.kind {
            placement.targets = targets;
        }
        Ok(())
    }

    fn take_merging(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let Kind::Merging(merging) = &mut self.kind else { return Ok(()) };
        let key = merging.keyed.find(desk);
        let latest = merging.keyed.latest(key).pane;
        let span = merging.span(event)?;
        let stage = merging.find_parts(latest, span, desk.watermark);
        if let (true, Some(closed)) = (merging.parts.is_empty(), merging.closed) {
            merging.keyed.keys.touch(merging.keyed.panes[closed].key);
            let start = merging.keyed.panes[closed].span.start;
            desk.emitter.late(out, event, start);
            merging.keyed.extend(closed, span);
            self.plan_next(closed, true, desk);
            return Ok(());
        }
        let alone = merging.parts.is_empty() && stage != Stage::Open;
        if alone && merging.bounds.due(span, Stage::Fired) <= desk.watermark {
            desk.emitter.late(out, event, span.start);
            return Ok(());
        }
        merging.check(event)?;
        let whole = merging.window(span);
        let now = self.panel.now(out.env());
        let told = self.panel.told(event, whole, (desk.watermark, now));
        let reopens = stage == Stage::Open || merging.bounds.is_endless() || whole.end > desk.watermark;
        merging.keyed.foresee(&merging.parts, reopens, &told)?;
        let key = key.unwrap_or_else(|| merging.keyed.keys.insert(&desk.keys, event.batch, event.row));
        merging.keyed.keys.touch(key);
        let pane = merging.add(key, span, stage, event, desk);
        self.rejoin(pane, stage, desk);
        self.ask(pane, event, desk, out);
        Ok(())
    }

    /// Panes have become one: where it stands.
    fn rejoin(&mut self, pane: PaneId, stage: Stage, desk: &Desk) {
        let extent = self.kind.extent(pane);
        let keyed = self.kind.keyed();
        let is_open = stage == Stage::Open;
        let is_past = !is_open && extent.end <= desk.watermark;
        let stage = if is_past { Stage::Fired } else { stage };
        keyed.panes[pane].stage = if is_open { Stage::Open } else { stage };
        if !is_past {
            self.panel.reopen(keyed, pane);
        }
    }

    /// Looks at panes that were due at one time, and leaves the list empty.
    fn look_at_all(&mut self, due: &mut Vec<PaneId>, desk: &mut Desk, out: &mut dyn Output) {
        let keyed = self.kind.keyed();
        due.sort_by_key(|&pane| keyed.rank(pane));
        for pane in due.drain(..) {
            self.look_at(pane, desk, out);
        }
        self.panel.hold(&self.kind, desk);
        self.panel.tell_faults(self.kind.keyed());
    }

    /// Looks at a pane that was due.
    fn look_at(&mut self, pane: PaneId, desk: &mut Desk, out: &mut dyn Output) {
        if let Kind::Merging(merging) = &mut self.kind
            && merging.keyed.panes[pane].stage == Stage::Open
        {
            merging.settle(pane, desk);
            self.rejoin(pane, Stage::Waiting, desk);
            let extent = self.kind.extent(pane);
            self.panel.look(self.kind.keyed(), pane, extent, false, desk, out);
            self.plan_next(pane, true, desk);
            return;
        }
        let extent = self.kind.extent(pane);
        let keyed = self.kind.keyed();
        let Pane { key, stage, .. } = keyed.panes[pane];
        keyed.keys.touch(key);
        let at_end = stage == Stage::Waiting && extent.end <= desk.watermark;
        if at_end {
            keyed.panes[pane].stage = Stage::Fired;
        }
        self.panel.look(keyed, pane, extent, at_end, desk, out);
        if extent.expiry <= desk.watermark {
            self.kind.close(pane);
        } else {
            self.plan_next(pane, false, desk);
        }
    }
}

/// The pane, if it is one.
fn part(pane: &PaneId) -> &[PaneId] {
    if *pane == PaneId::EMPTY { &[] } else { std::slice::from_ref(pane) }
}

/// A new pane, without events.
fn open(keyed: &mut KeyedPanes, key: KeyId, window: Interval, event: &Arrival, desk: &mut Desk) -> PaneId {
    let is_past = window.end <= desk.watermark;
    let due = if is_past { window.end + keyed.lateness } else { window.end };
    let stage = if is_past { Stage::Fired } else { Stage::Waiting };
    keyed.open(Pane { stage, ..Pane::new(window, event.order, key) }, due, desk)
}

impl Windowing for Triggered {
    fn look_ahead(&self, keys: &mut KeyReader) {
        self.kind.keyed_ref().keys.look_ahead(keys);
    }

    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        match &self.kind {
            Kind::Placed(_) => self.take_placed(desk, event, out)?,
            Kind::Merging(_) => self.take_merging(desk, event, out)?,
        }
        self.panel.hold(&self.kind, desk);
        self.panel.tell_faults(self.kind.keyed());
        Ok(())
    }

    fn next(&mut self) -> Option<Timestamp> {
        self.kind.keyed().next()
    }

    fn earliest(&self) -> Option<OpenPane> {
        let keyed = self.kind.keyed_ref();
        let pane = keyed.first()?;
        let extent = self.kind.extent(pane);
        let earliest = keyed.earliest(|_| extent.window)?;
        Some(OpenPane { trigger: self.panel.waits(keyed, pane, extent), ..earliest })
    }

    fn trigger(&self) -> String {
        self.trigger.clone()
    }

    fn fire_key(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        let own = desk.watermark;
        while let Some(time) = self.kind.keyed().take_due_of_key(desk, &mut due) {
            desk.watermark = time;
            self.look_at_all(&mut due, desk, out);
            desk.watermark = own;
        }
        self.due = due;
    }

    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let Some(time) = self.kind.keyed().timers.next() else { return };
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        let keyed = self.kind.keyed();
        keyed.timers.take_next(&keyed.panes, &mut due);
        let all = desk.watermark;
        if desk.marks.is_some() {
            // Their keys are as far as that, and no further.
            due.iter().for_each(|&pane| keyed.bring(pane, time, desk));
            desk.watermark = time;
        }
        self.look_at_all(&mut due, desk, out);
        desk.watermark = all;
        self.kind.keyed().expire(all);
        self.due = due;
    }

    fn expire(&mut self, watermark: Timestamp) {
        self.kind.keyed().expire(watermark);
    }

    fn tick(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let mut due = std::mem::take(&mut self.due);
        self.panel.tick(self.kind.keyed(), out.env(), &mut due);
        let all = desk.watermark;
        for &pane in &due {
            let extent = self.kind.extent(pane);
            let keyed = self.kind.keyed();
            keyed.keys.touch(keyed.panes[pane].key);
            let reached = keyed.panes.firings.as_ref().and_then(|firings| firings.get(pane).reached);
            desk.watermark = reached.unwrap_or(all);
            self.panel.look(keyed, pane, extent, false, desk, out);
            self.plan_next(pane, true, desk);
        }
        desk.watermark = all;
        self.panel.hold(&self.kind, desk);
        self.panel.tell_faults(self.kind.keyed());
        self.due = due;
    }

    fn last_firing(&mut self, _desk: &mut Desk) -> Option<Timestamp> {
        let keyed = self.kind.keyed_ref();
        let firings = keyed.panes.firings.as_ref()?;
        let waits = keyed.timers.all(&keyed.panes).filter_map(|pane| {
            let (extent, firing) = (self.kind.extent(pane), firings.get(pane));
            match keyed.panes[pane].stage {
                Stage::Open => Some(extent.window.start),
                Stage::Waiting => Some(extent.end),
                // What a `global` window has closed ends with the input, whatever else is there.
                Stage::Fired if firing.fresh || extent.expiry == Timestamp::MAX => Some(extent.expiry),
                Stage::Fired => None,
            }
        });
        waits.max()
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.panel.settle_clock();
        self.kind.keyed().save(into);
    }

    fn save_own(&self, into: &mut Vec<u8>) {
        if let Kind::Merging(merging) = &self.kind {
            put_number(into, merging.longest.0 as u64);
        }
        self.panel.save_clock(into);
    }

    fn load_own(&mut self, from: &mut Reader<'_>, is_own: bool, env: &Env) -> Result<(), Malformed> {
        if let Kind::Merging(merging) = &mut self.kind {
            merging.load_longest(from, is_own)?;
        }
        self.panel.load_clock(from, is_own, env)
    }

    fn load(&mut self, key: &[u8], from: &mut Reader<'_>, desk: &mut Desk) -> Result<(), Malformed> {
        let keyed = self.kind.keyed();
        let key = keyed.load(key, from, desk)?;
        let all: Vec<PaneId> = keyed.panes.earlier(keyed.latest(Some(key)).pane).collect();
        for pane in all {
            let extent = self.kind.extent(pane);
            self.panel.restore(self.kind.keyed(), pane, extent);
        }
        Ok(())
    }

    fn loaded(&mut self, desk: &mut Desk) {
        self.panel.hold(&self.kind, desk);
    }

    fn spilling(&mut self) -> &mut dyn Spilling {
        self.kind.keyed()
    }
}
