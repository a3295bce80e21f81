//! Panes of a key that are or may become one: how sessions grow and merge, whenever they fire.
//!
//! With `max`, a session takes in event-time order what is less than `max` behind its first event, and the next event
//! begins another. So that the order of arrival does not matter, a session is kept as *open* panes, one a point in time,
//! until the watermark has reached its start, behind which nothing is expected to come; then it takes in those that
//! follow, and later events directly.
//!
//! Where open panes turn out to be too much for an aggregate as one (a sum beyond its range), the session is cut too.
//!
//! A late event never cuts again what was cut: it joins the session that it falls into, or else the session behind it if
//! what comes of it is no longer than `max`, or else it is a session by itself. A session that its trigger has closed
//! takes part in none of this: no other becomes one with it.

use super::aggregates::{Arrival, PaneId};
use super::keyed::{KeyedPanes, Outlook};
use super::operator::{Base, Desk};
use super::panes::{Pane, Stage};
use super::plan::{Gap, WindowKind, WindowPlan};
use crate::dataflow::KeyId;
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Reason, RejectKind};
use crate::time::{Interval, Millis, Timestamp};

/// Most panes that one session is expected to be made of.
const PARTS: usize = 1 << 20;

/// Panes that reach from a session's first event to its last one + gap, whatever `max`.
pub struct Merging {
    /// The panes.
    pub keyed: KeyedPanes,
    /// How long they may be.
    pub bounds: Bounds,
    /// The longest gap so far.
    pub longest: Millis,
    /// Of the event at hand: the panes that it makes one, the first of which will stay.
    pub parts: Vec<PaneId>,
    /// Of the event at hand: a closed session that it falls into.
    pub closed: Option<PaneId>,
    /// Of the key at hand: the panes that start later, latest first.
    later: Vec<PaneId>,
}

/// How long sessions may be, and how long they take events.
#[derive(Clone, Copy)]
pub struct Bounds {
    reach: Reach,
    max: Option<Millis>,
    /// How long a session that has fired takes events.
    pub lateness: Millis,
}

/// How far an event holds a session together.
#[derive(Clone, Copy)]
enum Reach {
    Gap(Gap),
    Endless,
}

impl Bounds {
    fn new(plan: &WindowPlan) -> Bounds {
        match plan.kind {
            WindowKind::Session { gap, max } => {
                Bounds { reach: Reach::Gap(gap), max, lateness: plan.lateness }
            }
            _ => Bounds { reach: Reach::Endless, max: None, lateness: Millis::ZERO },
        }
    }

    /// Where a session that starts there ends at the latest.
    fn limit(self, start: Timestamp) -> Timestamp {
        self.max.map_or(Timestamp::MAX, |max| start + max)
    }

    /// Whether event time never comes to an end of theirs.
    pub fn is_endless(self) -> bool {
        matches!(self.reach, Reach::Endless)
    }

    /// The window that a pane of that span is.
    pub fn window(self, span: Interval) -> Interval {
        Interval { start: span.start, end: span.end.min(self.limit(span.start)) }
    }

    /// When a pane of that span is to be looked at, as long as it does not grow.
    pub fn due(self, span: Interval, stage: Stage) -> Timestamp {
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

impl Merging {
    /// No sessions yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Merging {
        let bounds = Bounds::new(plan);
        let rank = Box::new(move |pane: &Pane| (bounds.window(pane.span).end, pane.span.start, pane.born));
        let outlook = Outlook { needed: Box::new(move |pane| bounds.needed(pane)), rank };
        let mut keyed = KeyedPanes::new(plan, base, PARTS, outlook);
        keyed.lateness = bounds.lateness;
        let (parts, later) = (Vec::new(), Vec::new());
        Merging { keyed, bounds, longest: Millis::ZERO, parts, closed: None, later }
    }

    /// What the event is by itself.
    pub fn span(&mut self, event: &Arrival) -> Result<Interval, Reason> {
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
        self.longest = self.longest.max(gap);
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
            if self.keyed.panes.is_closed(next) {
                self.closed.get_or_insert(next);
                break;
            }
            span.end = span.end.max(pane.span.end);
            self.parts.push(next);
            self.later.pop();
        }
    }

    /// Takes back the longest gap that a worker had seen, if this one goes on with what it had.
    pub fn load_longest(&mut self, from: &mut Reader<'_>, is_own: bool) -> Result<(), Malformed> {
        let longest = i64::try_from(from.number()?).map_err(|_| Malformed("a gap beyond all time"))?;
        if is_own {
            self.longest = self.longest.max(Millis(longest));
        }
        Ok(())
    }

    /// Finds the panes that an event makes one. Returns the stage that they are in then, firing aside.
    pub fn find_parts(&mut self, latest: PaneId, span: Interval, watermark: Timestamp) -> Stage {
        self.parts.clear();
        self.closed = None;
        let mut before = self.split(latest, span.start);
        while self.keyed.panes.is_closed(before) {
            if self.joins(span, before) {
                self.closed.get_or_insert(before);
            }
            before = self.keyed.panes[before].earlier;
        }
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

    /// The window that the parts are as one, with an event of that span.
    pub fn window(&self, span: Interval) -> Interval {
        let panes = self.parts.iter().map(|part| self.keyed.panes[*part].span);
        self.bounds.window(panes.fold(span, Interval::join))
    }

    /// Whether the parts as one can take the event.
    pub fn check(&mut self, event: &Arrival) -> Result<(), Reason> {
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
    pub fn add(
        &mut self,
        key: KeyId,
        span: Interval,
        stage: Stage,
        event: &Arrival,
        desk: &mut Desk,
    ) -> PaneId {
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
    pub fn set_stage(&mut self, pane: PaneId, stage: Stage, desk: &mut Desk) {
        let Pane { span, due, .. } = self.keyed.panes[pane];
        self.keyed.panes[pane].stage = stage;
        let needed = self.bounds.due(span, stage);
        if needed < due {
            self.keyed.timers.remove(&mut self.keyed.panes, pane);
            self.keyed.set_due(pane, needed, desk);
        }
    }

    /// The watermark has reached the start of an open pane: it takes in what follows. It is not due at any time here.
    pub fn settle(&mut self, pane: PaneId, desk: &mut Desk) {
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
    pub fn close(&mut self, pane: PaneId) {
        self.keyed.keys.touch(self.keyed.panes[pane].key);
        let end = self.bounds.window(self.keyed.panes[pane].span).end;
        self.keyed.close(pane, end - self.longest);
    }
}
