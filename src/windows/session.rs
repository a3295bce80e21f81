//! Windows that grow and merge: `session`, and `global` as a session that nothing ends.
//!
//! Events of a key belong together if each is at most a gap behind one before it (Akidau et al., VLDB 2015, as in
//! Flink). An event exactly a gap behind the last is on time even when the watermark stands at the session's end; but
//! then the session has fired, as every window does at its end, and without lateness it is gone: the event begins another,
//! as it does in Flink. With `max`, a session takes in event-time order what is less than `max` behind its first event, and the next
//! event begins another. So that the order of arrival does not matter, a session is kept as *open* panes, one a
//! point in time, until the watermark has reached its start, behind which nothing is expected to come; then it takes in
//! those that follow, and later events directly.
//!
//! Where open panes turn out to be too much for an aggregate as one (a sum beyond its range), the session is cut too.
//!
//! A late event never cuts again what was cut: it joins the session that it falls into, or else the session behind it if
//! what comes of it is no longer than `max`, or else it is a session by itself.

use super::aggregates::{Arrival, PaneId};
use super::cold::Spilling;
use super::keyed::{KeyedPanes, Outlook};
use super::operator::{Base, Desk, Windowing};
use super::panes::{Pane, Stage};
use super::plan::{Gap, WindowKind, WindowPlan};
use crate::dataflow::{KeyId, KeyReader, Output, Saving};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::{Reason, RejectKind};
use crate::time::{Interval, Millis, Timestamp};

/// Most panes that one session is expected to be made of.
const PARTS: usize = 1 << 20;

/// Panes that reach from a session's first event to its last one + gap, whatever `max`.
pub struct Sessions {
    keyed: KeyedPanes,
    bounds: Bounds,
    /// The longest gap so far.
    longest: Millis,
    /// Of the event at hand: the panes that it makes one, the first of which will stay.
    parts: Vec<PaneId>,
    /// Of the key at hand: the panes that start later, latest first.
    later: Vec<PaneId>,
    due: Vec<PaneId>,
    /// Where part of those due at a time have fired: the end of the last one.
    fired: Timestamp,
}

/// How long sessions may be, and how long they take events.
#[derive(Clone, Copy)]
struct Bounds {
    reach: Reach,
    max: Option<Millis>,
    lateness: Millis,
}

/// How far an event holds a session together.
#[derive(Clone, Copy)]
enum Reach {
    Gap(Gap),
    Endless,
}

impl Bounds {
    /// Where a session that starts there ends at the latest.
    fn limit(self, start: Timestamp) -> Timestamp {
        self.max.map_or(Timestamp::MAX, |max| start + max)
    }

    fn window(self, span: Interval) -> Interval {
        Interval { start: span.start, end: span.end.min(self.limit(span.start)) }
    }

    /// When a pane of that span is to be looked at, as long as it does not grow.
    fn due(self, span: Interval, stage: Stage) -> Timestamp {
        match (stage, self.reach) {
            (Stage::Open, _) => span.start,
            (_, Reach::Endless) => Timestamp::MAX,
            (Stage::Waiting, _) => self.window(span).end,
            (Stage::Fired, _) => self.window(span).end + self.lateness,
        }
    }

    /// When a pane is to be looked at.
    fn needed(self, pane: &Pane) -> Timestamp {
        self.due(pane.span, pane.stage)
    }
}

impl Sessions {
    /// No sessions yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Sessions {
        let (reach, max) = match plan.kind {
            WindowKind::Session { gap, max } => (Reach::Gap(gap), max),
            _ => (Reach::Endless, None),
        };
        let lateness = if matches!(reach, Reach::Endless) { Millis::ZERO } else { plan.lateness };
        let bounds = Bounds { reach, max, lateness };
        let rank = Box::new(move |pane: &Pane| (bounds.window(pane.span).end, pane.span.start, pane.born));
        let outlook = Outlook { needed: Box::new(move |pane| bounds.needed(pane)), rank };
        let mut keyed = KeyedPanes::new(plan, base, PARTS, outlook);
        keyed.lateness = lateness;
        Sessions {
            bounds,
            keyed,
            longest: Millis::ZERO,
            parts: Vec::new(),
            later: Vec::new(),
            due: Vec::new(),
            fired: Timestamp::MIN,
        }
    }

    /// What the event is by itself.
    fn span(&self, event: &Arrival) -> Result<Interval, Reason> {
        let gap = match self.bounds.reach {
            Reach::Endless => Millis(1),
            Reach::Gap(Gap::Fixed(gap)) => gap,
            Reach::Gap(Gap::Slot(slot)) => match event.batch.get(event.row, slot).as_int() {
                Some(gap) if gap > 0 => Millis(gap),
                _ => {
                    let text = "gap: must be a positive number of milliseconds";
                    return Err(Reason::new(RejectKind::Expression, text));
                }
            },
        };
        Ok(Interval { start: event.time, end: event.time + gap })
    }

    /// Collects a key's panes that start after that time; returns the one before them.
    fn split(&mut self, latest: PaneId, time: Timestamp) -> PaneId {
        self.later.clear();
        let mut pane = latest;
        while self.keyed.starts_later(pane, time) {
            self.later.push(pane);
            pane = self.keyed.panes[pane].earlier;
        }
        pane
    }

    /// Whether an event at the end of `span` joins the pane that starts at or before it.
    fn joins(&self, span: Interval, before: PaneId) -> bool {
        if before == PaneId::EMPTY {
            return false;
        }
        let pane = &self.keyed.panes[before];
        let touches = span.start <= pane.span.end || matches!(self.bounds.reach, Reach::Endless);
        match pane.stage {
            Stage::Open => pane.span.start == span.start,
            _ => touches && span.start < self.bounds.limit(pane.span.start),
        }
    }

    /// Adds to the parts those later panes that a session of this span takes in.
    fn take_in(&mut self, mut span: Interval) {
        while let Some(&next) = self.later.last() {
            let pane = &self.keyed.panes[next];
            let touches = pane.span.start <= span.end || matches!(self.bounds.reach, Reach::Endless);
            let last = if pane.stage == Stage::Open { pane.span.start + Millis(1) } else { pane.span.end };
            if !touches || last > self.bounds.limit(span.start) {
                break;
            }
            span.end = span.end.max(pane.span.end);
            self.parts.push(next);
            self.later.pop();
        }
    }

    /// Finds the panes that an event makes one. Returns the stage that they are in then, firing aside.
    fn find_parts(&mut self, latest: PaneId, span: Interval, watermark: Timestamp) -> Stage {
        self.parts.clear();
        let before = self.split(latest, span.start);
        let mut whole = span;
        if self.joins(span, before) {
            let pane = &self.keyed.panes[before];
            self.parts.push(before);
            if pane.stage == Stage::Open {
                return Stage::Open;
            }
            whole = pane.span.join(span);
        } else if self.bounds.max.is_some() && span.start > watermark {
            return Stage::Open;
        }
        self.take_in(whole);
        Stage::Waiting
    }

    /// Whether the parts as one can take the event.
    fn check(&mut self, event: &Arrival) -> Result<(), Reason> {
        let panes = &mut self.keyed.panes;
        match self.parts[..] {
            [] => panes.check(PaneId::EMPTY, event),
            [only] => panes.check(only, event),
            _ => {
                panes.check(PaneId::EMPTY, event)?;
                if panes.scarce(event, true) { panes.check_combined(&self.parts, event) } else { Ok(()) }
            }
        }
    }

    /// Makes the parts one pane and returns it.
    fn merge_parts(&mut self) -> Option<PaneId> {
        let (&into, rest) = self.parts.split_first()?;
        for &from in rest {
            self.keyed.timers.remove(&mut self.keyed.panes, from);
            self.keyed.absorb(into, from);
        }
        Some(into)
    }

    /// Adds a checked event to the parts, or to a pane of its own.
    fn add(&mut self, key: KeyId, span: Interval, stage: Stage, event: &Arrival, desk: &mut Desk) -> PaneId {
        let pane = match self.merge_parts() {
            Some(pane) => pane,
            None => {
                let new = Pane { stage, ..Pane::new(span, event.order, key) };
                self.keyed.open(new, self.bounds.due(span, stage), desk)
            }
        };
        self.keyed.extend(pane, span);
        self.keyed.panes.add(pane, event);
        pane
    }

    /// Sets the stage, and has the pane looked at in time for it: early is in time, because it is found out then.
    fn set_stage(&mut self, pane: PaneId, stage: Stage, desk: &mut Desk) {
        let Pane { span, due, .. } = self.keyed.panes[pane];
        self.keyed.panes[pane].stage = stage;
        let needed = self.bounds.due(span, stage);
        if needed < due {
            self.keyed.timers.remove(&mut self.keyed.panes, pane);
            self.keyed.set_due(pane, needed, desk);
        }
    }

    /// The watermark has reached the start of an open pane: it takes in what follows. It is not due at any time here.
    fn settle(&mut self, pane: PaneId, desk: &mut Desk) {
        let Pane { key, span, .. } = self.keyed.panes[pane];
        self.keyed.keys.touch(key);
        let latest = self.keyed.latest(Some(key)).pane;
        self.split(latest, span.start);
        self.parts.clear();
        self.parts.push(pane);
        self.take_in(span);
        while self.parts.len() > 1 && !self.keyed.panes.can_merge(&self.parts) {
            self.parts.pop();
        }
        self.merge_parts();
        self.keyed.panes[pane].stage = Stage::Waiting;
        self.keyed.set_due(pane, self.bounds.due(self.keyed.panes[pane].span, Stage::Waiting), desk);
    }

    /// Gives up a pane. An event that comes now and is not late ends after its window.
    fn close(&mut self, pane: PaneId) {
        self.keyed.keys.touch(self.keyed.panes[pane].key);
        let end = self.bounds.window(self.keyed.panes[pane].span).end;
        self.keyed.close(pane, end - self.longest);
    }

    /// Looks at panes that were due at a time; those that fire then are left in the list.
    fn look_at(&mut self, due: &mut Vec<PaneId>, time: Timestamp, desk: &mut Desk) {
        due.retain(|&pane| {
            let Pane { span, stage, .. } = self.keyed.panes[pane];
            let needed = self.bounds.due(span, stage);
            match stage {
                Stage::Open => self.settle(pane, desk),
                _ if needed > time => self.keyed.set_due(pane, needed, desk),
                Stage::Waiting => return true,
                Stage::Fired => self.close(pane),
            }
            false
        });
    }
}

impl Windowing for Sessions {
    fn look_ahead(&self, keys: &mut KeyReader) {
        self.keyed.keys.look_ahead(keys);
    }

    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let key = self.keyed.find(desk);
        let latest = self.keyed.latest(key).pane;
        let span = self.span(event)?;
        self.longest = self.longest.max(Millis(span.end.0.saturating_sub(span.start.0)));
        let stage = self.find_parts(latest, span, desk.watermark);
        let alone = self.parts.is_empty() && stage != Stage::Open;
        if alone && self.bounds.due(span, Stage::Fired) <= desk.watermark {
            desk.emitter.late(out, event, span.start);
            return Ok(());
        }
        self.check(event)?;
        let key = key.unwrap_or_else(|| self.keyed.keys.insert(&desk.keys, event.batch, event.row));
        self.keyed.keys.touch(key);
        let pane = self.add(key, span, stage, event, desk);
        if stage == Stage::Open
            || self.bounds.due(self.keyed.panes[pane].span, Stage::Waiting) > desk.watermark
        {
            self.set_stage(pane, stage, desk);
            return Ok(());
        }
        let window = self.bounds.window(self.keyed.panes[pane].span);
        self.keyed.emit(pane, window, desk, out);
        self.set_stage(pane, Stage::Fired, desk);
        Ok(())
    }

    fn next(&mut self) -> Option<Timestamp> {
        self.keyed.next()
    }

    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let Some(time) = self.keyed.timers.next() else { return };
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        self.keyed.timers.take_next(&self.keyed.panes, &mut due);
        self.look_at(&mut due, time, desk);
        due.sort_by_key(|&pane| self.keyed.rank(pane));
        self.keyed.put_off(&mut due, desk);
        let mut end = std::mem::replace(&mut self.fired, Timestamp::MIN);
        for &pane in &due {
            let window = self.bounds.window(self.keyed.panes[pane].span);
            if window.end > end {
                desk.emitter.reach(end);
                end = window.end;
            }
            self.keyed.keys.touch(self.keyed.panes[pane].key);
            self.keyed.emit(pane, window, desk, out);
            if self.keyed.lateness > Millis::ZERO {
                self.keyed.panes[pane].stage = Stage::Fired;
                self.keyed.set_due(pane, window.end + self.keyed.lateness, desk);
            } else {
                self.close(pane);
            }
        }
        if self.keyed.has_put_off() {
            self.fired = end;
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

    fn save_own(&self, into: &mut Vec<u8>) {
        put_number(into, self.longest.0 as u64);
    }

    fn load_own(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let longest = i64::try_from(from.number()?).map_err(|_| Malformed("a gap beyond all time"))?;
        self.longest = self.longest.max(Millis(longest));
        Ok(())
    }

    fn load(&mut self, key: &[u8], from: &mut Reader<'_>, desk: &mut Desk) -> Result<(), Malformed> {
        self.keyed.load(key, from, desk).map(drop)
    }

    fn spilling(&mut self) -> &mut dyn Spilling {
        &mut self.keyed
    }
}
