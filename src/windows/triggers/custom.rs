//! Triggers that are written elsewhere: by plugins. A part of the tree like any other, at any depth.
//!
//! A custom trigger is told of events, of its timers and of panes that become one, and each time says whether the pane
//! fires. What it said holds until the pane has fired, so that `all` can wait for others. It repeats by itself: only
//! `fire_and_close` makes it done, which at the top closes the window.

use super::machine::Moment;
use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::event::{Reason, RejectKind, Slot};
use crate::time::{Interval, Millis, Timestamp};
use crate::windows::aggregates::Arrival;
use std::fmt;
use std::sync::Arc;

/// Bytes that a custom trigger may keep of a pane.
pub const MAX_STATE: usize = 64 << 10;

/// Timers in event time that may follow one another without an event: what sets one timer after the other would else keep
/// a worker busy where event time jumps.
const MAX_TIMERS: u32 = 10_000;

/// What a custom trigger says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing leaves yet.
    #[default]
    Continue,
    /// The pane leaves.
    Fire,
    /// The pane leaves, and the trigger is done.
    FireAndClose,
}

/// What a custom trigger keeps of a pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its own; at most [`MAX_STATE`] bytes.
    pub state: Vec<u8>,
    /// When it wants to be told that event time has come so far. Where that has passed, it is told at once.
    pub timer: Option<Timestamp>,
    /// The same of the clock.
    pub clock_timer: Option<Millis>,
    /// What it said.
    verdict: Verdict,
    /// Timers in event time since the last event.
    passed: u32,
}

/// An event, as a trigger is told of it.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// Its event time.
    pub time: Timestamp,
    /// How far event time has come.
    pub watermark: Timestamp,
    /// Where the clock stands.
    pub now: Millis,
    /// The window that it came to, as it is with it.
    pub window: Interval,
    /// The event itself.
    pub event: Option<&'a Arrival<'a>>,
    /// What of it is told: names, and where that stands.
    pub fields: &'a [(String, Slot)],
}

/// A trigger that users define, as data that plans share.
pub trait CustomTrigger: fmt::Debug + Send + Sync {
    /// What it is called in the plan. State goes back only to a trigger of the same name.
    fn name(&self) -> String;

    /// The time of the clock that it waits for, about; None if it never sets a timer of the clock.
    fn waits(&self) -> Option<Millis>;

    /// Whether it can become one with that of another pane. Where it cannot, windows that merge are refused.
    fn merges(&self) -> bool {
        true
    }

    /// The trigger for one worker.
    fn start(&self) -> Box<dyn Running>;
}

/// A custom trigger at work. What it keeps of a pane is given and taken back with each call; where it fails, that stays as
/// it was.
pub trait Running: Send {
    /// An event came. Where this fails, the event is rejected.
    fn on_event(&self, pane: &mut Held, told: &Told<'_>) -> Result<Verdict, Reason>;

    /// Event time has come to the timer, which is gone. The next one lies ahead of the watermark.
    fn on_event_time(&self, _pane: &mut Held, _at: Timestamp, _moment: Moment) -> Result<Verdict, Reason> {
        Ok(Verdict::Continue)
    }

    /// The same of the clock.
    fn on_clock(&self, _pane: &mut Held, _moment: Moment) -> Result<Verdict, Reason> {
        Ok(Verdict::Continue)
    }

    /// The pane took in another one. Of two timers the earlier one is set already.
    fn on_merge(&self, pane: &mut Held, other: &Held) -> Result<Verdict, Reason>;
}

/// A custom trigger of a plan.
#[derive(Clone, Debug)]
pub struct Custom(pub Arc<dyn CustomTrigger>);

impl PartialEq for Custom {
    fn eq(&self, other: &Custom) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Custom {}

impl Held {
    /// Whether it wants the pane to fire.
    pub(super) fn is_ready(&self) -> bool {
        self.verdict != Verdict::Continue
    }

    /// The pane fires. Says whether the trigger is done.
    pub(super) fn fire(&mut self) -> bool {
        std::mem::take(&mut self.verdict) == Verdict::FireAndClose
    }

    /// An event comes.
    pub(super) fn tell(&mut self, runner: &dyn Running, told: &Told<'_>) -> Result<(), Reason> {
        self.passed = 0;
        self.ask(|held| runner.on_event(held, told))
    }

    /// Timers that are due.
    pub(super) fn advance(&mut self, runner: &dyn Running, moment: Moment, faults: &mut Vec<Reason>) {
        if let Some(at) = self.timer.take_if(|at| *at <= moment.watermark) {
            self.passed += 1;
            let told = match self.passed > MAX_TIMERS {
                true => Err(Reason::new(RejectKind::Expression, "trigger: 10000 timers without an event")),
                false => self.ask(|held| runner.on_event_time(held, at, moment)),
            };
            faults.extend(told.err());
            let ahead = moment.watermark + Millis(1);
            self.timer = self.timer.map(|timer| timer.max(ahead));
        }
        if self.clock_timer.take_if(|at| *at <= moment.clock).is_some() {
            faults.extend(self.ask(|held| runner.on_clock(held, moment)).err());
            let ahead = Millis(moment.clock.0.saturating_add(1));
            self.clock_timer = self.clock_timer.map(|timer| timer.max(ahead));
        }
    }

    /// The pane takes in another.
    pub(super) fn merge(&mut self, runner: &dyn Running, other: &Held) -> Result<(), Reason> {
        self.timer = self.timer.into_iter().chain(other.timer).min();
        self.clock_timer = self.clock_timer.into_iter().chain(other.clock_timer).min();
        self.verdict = self.verdict.max(other.verdict);
        self.passed = self.passed.max(other.passed);
        self.ask(|held| runner.on_merge(held, other))
    }

    /// Takes what it says, and what it keeps from now on; nothing of it if it fails.
    fn ask(&mut self, call: impl FnOnce(&mut Held) -> Result<Verdict, Reason>) -> Result<(), Reason> {
        let mut next = self.clone();
        let verdict = call(&mut next)?;
        if next.state.len() > MAX_STATE {
            return Err(Reason::new(RejectKind::Expression, "trigger: its state is larger than 64 KiB"));
        }
        next.verdict = self.verdict.max(verdict);
        *self = next;
        Ok(())
    }

    /// Appends it.
    pub(super) fn save(&self, into: &mut Vec<u8>) {
        into.push(self.verdict as u8);
        put_number(into, u64::from(self.passed));
        for timer in [self.timer.map(|at| at.0), self.clock_timer.map(|at| at.0)] {
            into.push(u8::from(timer.is_some()));
            timer.iter().for_each(|at| put_signed(into, *at));
        }
        put_number(into, self.state.len() as u64);
        into.extend_from_slice(&self.state);
    }

    /// Takes it back.
    pub(super) fn load(from: &mut Reader<'_>) -> Result<Held, Malformed> {
        let verdict = match from.byte()? {
            0 => Verdict::Continue,
            1 => Verdict::Fire,
            2 => Verdict::FireAndClose,
            _ => return Err(Malformed("a trigger that says nothing known")),
        };
        let passed = from.small()?;
        let mut timers = [None, None];
        for timer in &mut timers {
            *timer = if from.flag()? { Some(from.signed()?) } else { None };
        }
        let [timer, clock_timer] = timers;
        let length = from.count()?;
        let state = from.take(length)?.to_vec();
        let (timer, clock_timer) = (timer.map(Timestamp), clock_timer.map(Millis));
        Ok(Held { state, timer, clock_timer, verdict, passed })
    }
}
