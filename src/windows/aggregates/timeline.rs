//! Aggregates that follow a key through time: what is carried into a window, and what is kept for that.
//!
//! **What is carried.** A window starts with the key's last value by event time *before* its start, if that value is at
//! most `carry` older than the start. "Last value" means: of the events that the node took (those that left by `.late`
//! or `.rejected` never count, so that differences over windows add up to the difference over all of them), that pass
//! the aggregate's `FILTER`, with a value that is not null; at equal times the one that arrived last. Asked is what is
//! known when the window fires: an event that is still taken by an earlier window after this one has fired changes this
//! one only if it fires again.
//!
//! **How.** An aggregate keeps one line of samples a key, in order of event time and then of arrival, and none a pane.
//! Of its events a pane knows only from when to when they are and came: a key's windows hold runs of its line, so
//! overlapping windows share samples, and what arrives out of order is in its place before anything is computed.
//! Sliding and cumulating windows combine slices by joining these stretches. A session's samples are those of its own
//! events, and what is carried into it is mostly the last of the session before.
//!
//! **What is kept.** When a window is closed, samples go that lie before the start of every window that may still fire,
//! but for the last of them. So a key costs what its open windows hold and one sample. A key without open windows stays
//! until its last value is too old for any window to come (`windows/idle.rs`): nothing is kept for longer than `carry` and
//! the reach of the windows themselves, and all of it counts towards the limit on held memory. Where nobody says, `carry`
//! is seven days: over a weekend and a holiday a meter goes on, and devices that are gone are forgotten.
//!
//! **Sessions around closed ones.** An event so late that it is taken only because an open session reaches back to it, or
//! because its gap is longer than others were (an expression), may make a session begin before one that is closed. Such
//! a session follows that one's values too as far as they are kept, and may miss what was before both.
//!
//! **Windows that nothing is carried into.** A `global` window has nothing before it, and one over a number of events
//! (`count`) is no stretch of time: both start with their own first value.

use super::budget::Budget;
use super::column::{Accumulator, Arrival, Frame, PaneId, Settled};
use super::near::{Near, is_there};
use crate::dataflow::KeyId;
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::{Batch, Reason, Value};
use crate::time::{Interval, Millis, Timestamp};
use std::collections::VecDeque;

/// An aggregate by what it makes of samples in order of event time. [`Timelines`] makes an [`Accumulator`] of it.
pub trait Follow: Send {
    /// What is kept of an event.
    type Reading: Copy + Send;

    /// What the event says; None for null.
    fn read(&self, event: &Arrival) -> Result<Option<Self::Reading>, Reason>;

    /// What samples come to. The first may be carried: it lies before the window.
    fn result(&self, window: Interval, samples: impl Iterator<Item = (Timestamp, Self::Reading)>) -> Value;

    /// Appends what is kept of an event.
    fn save(reading: Self::Reading, into: &mut Vec<u8>);

    /// Reads what was kept of an event.
    fn load(from: &mut Reader<'_>) -> Result<Self::Reading, Malformed>;
}

/// A value that was read.
#[derive(Clone, Copy)]
struct Sample<R> {
    time: Timestamp,
    order: u64,
    reading: R,
}

/// From when to when the events of a pane are, and came.
#[derive(Clone, Copy)]
struct Stretch {
    times: [Timestamp; 2],
    orders: [u64; 2],
}

impl Stretch {
    fn of(time: Timestamp, order: u64) -> Stretch {
        Stretch { times: [time; 2], orders: [order; 2] }
    }

    fn join(self, other: Stretch) -> Stretch {
        let ([a, b], [c, d]) = (self.times, other.times);
        let ([e, f], [g, h]) = (self.orders, other.orders);
        Stretch { times: [a.min(c), b.max(d)], orders: [e.min(g), f.max(h)] }
    }
}

/// A [`Follow`] with its samples by key.
pub struct Timelines<F: Follow> {
    follow: F,
    carry: Option<Millis>,
    budget: Budget,
    /// By pane; none: no events.
    stretches: Vec<Option<Stretch>>,
    /// By key, in order of time and then of arrival.
    lines: Vec<VecDeque<Sample<F::Reading>>>,
    /// The event that was added last: it may be added to several panes, but is one sample.
    newest: Option<u64>,
}

impl<F: Follow> Timelines<F> {
    const SAMPLE: usize = size_of::<Sample<F::Reading>>();

    /// No samples. `carry` is how old what a window starts with may be.
    pub fn new(name: &'static str, follow: F, carry: Option<Millis>) -> Timelines<F> {
        Timelines {
            follow,
            carry,
            budget: Budget::new(name),
            stretches: vec![None; PaneId::ALWAYS],
            lines: Vec::new(),
            newest: None,
        }
    }

    fn insert(&mut self, key: KeyId, sample: Sample<F::Reading>) {
        let index = key.0 as usize;
        if index >= self.lines.len() {
            self.lines.resize_with(index + 1, VecDeque::new);
        }
        let line = &mut self.lines[index];
        let place = (sample.time, sample.order);
        match line.back() {
            Some(last) if (last.time, last.order) > place => {
                let at = line.partition_point(|other| (other.time, other.order) < place);
                line.insert(at, sample);
            }
            _ => line.push_back(sample),
        }
        self.budget.take(Self::SAMPLE);
    }

    /// What the window starts with.
    fn carried<'a>(
        &self,
        line: &'a VecDeque<Sample<F::Reading>>,
        start: Timestamp,
    ) -> Option<&'a Sample<F::Reading>> {
        let carry = self.carry?;
        let behind = line.partition_point(|sample| sample.time < start);
        line.get(behind.checked_sub(1)?).filter(|sample| sample.time >= start - carry)
    }
}

impl<F: Follow> Accumulator for Timelines<F> {
    fn shrink(&mut self) {
        self.stretches.truncate(PaneId::ALWAYS);
        self.stretches.shrink_to_fit();
        if self.lines.iter().all(VecDeque::is_empty) {
            self.lines = Vec::new();
        }
    }

    fn reset(&mut self, pane: PaneId) {
        if pane.index() >= self.stretches.len() {
            self.stretches.resize(pane.index() + 1, None);
        }
        self.stretches[pane.index()] = None;
    }

    fn fallible(&self) -> bool {
        true
    }

    fn check(&self, _pane: PaneId, event: &Arrival) -> Result<(), Reason> {
        match self.follow.read(event)? {
            Some(_) => self.budget.check(Self::SAMPLE),
            None => Ok(()),
        }
    }

    fn scarce(&self, _event: Option<&Arrival>) -> bool {
        false
    }

    fn check_combined(&self, _parts: &[PaneId], _event: Option<&Arrival>) -> Result<(), Reason> {
        Ok(())
    }

    fn add(&mut self, pane: PaneId, key: KeyId, event: &Arrival) {
        let Ok(Some(reading)) = self.follow.read(event) else { return };
        let own = Stretch::of(event.time, event.order);
        let stretch = &mut self.stretches[pane.index()];
        *stretch = Some(stretch.map_or(own, |stretch| stretch.join(own)));
        if self.newest != Some(event.order) {
            self.newest = Some(event.order);
            self.insert(key, Sample { time: event.time, order: event.order, reading });
        }
    }

    fn merge(&mut self, into: PaneId, from: PaneId) {
        let [into_is, from_is] = [into, from].map(|pane| self.stretches[pane.index()]);
        self.stretches[into.index()] = match (into_is, from_is) {
            (Some(into), Some(from)) => Some(into.join(from)),
            (into, from) => into.or(from),
        };
    }

    fn result(&mut self, pane: PaneId, frame: Frame, _batch: &mut Batch) -> Value {
        let Some(line) = self.lines.get(frame.key.0 as usize) else { return Value::NULL };
        let carried = self.carried(line, frame.window.start);
        let own = self.stretches[pane.index()].map(|Stretch { times, orders }| {
            let from = line.partition_point(|sample| sample.time < times[0]);
            let to = line.partition_point(|sample| sample.time <= times[1]);
            line.range(from..to).filter(move |sample| (orders[0]..=orders[1]).contains(&sample.order))
        });
        let samples = carried.into_iter().chain(own.into_iter().flatten());
        self.follow.result(frame.window, samples.map(|sample| (sample.time, sample.reading)))
    }

    fn settle(&mut self, key: KeyId, settled: Settled) -> Option<Timestamp> {
        let line = self.lines.get_mut(key.0 as usize)?;
        let before = line.len();
        match settled {
            Settled::Before(start) => {
                let past = line.partition_point(|sample| sample.time < start);
                line.drain(..past.saturating_sub(self.carry.is_some() as usize));
            }
            Settled::Arrived(order) => line.retain(|sample| sample.order >= order),
        }
        self.budget.give_back((before - line.len()) * Self::SAMPLE);
        if line.capacity() > ROOM.max(4 * line.len()) {
            line.shrink_to(2 * line.len());
        }
        line.back().map(|sample| sample.time)
    }

    fn forget(&mut self, key: KeyId) {
        if let Some(line) = self.lines.get_mut(key.0 as usize) {
            self.budget.give_back(line.len() * Self::SAMPLE);
            *line = VecDeque::new();
        }
    }

    fn save(&self, pane: PaneId, near: Near, into: &mut Vec<u8>) {
        let stretch = self.stretches[pane.index()];
        into.push(stretch.is_some() as u8);
        if let Some(Stretch { times, orders }) = stretch {
            times.into_iter().for_each(|time| near.put_time(into, time));
            orders.into_iter().for_each(|order| near.put_order(into, order));
        }
    }

    fn load(&mut self, pane: PaneId, near: Near, from: &mut Reader<'_>) -> Result<(), Malformed> {
        if is_there(from)? {
            let times = [near.time(from)?, near.time(from)?];
            let orders = [near.order(from)?, near.order(from)?];
            if times[0] > times[1] || orders[0] > orders[1] {
                return Err(Malformed("a stretch that ends before it begins"));
            }
            self.stretches[pane.index()] = Some(Stretch { times, orders });
        }
        Ok(())
    }

    fn save_key(&self, key: KeyId, into: &mut Vec<u8>) {
        let line = self.lines.get(key.0 as usize);
        put_number(into, line.map_or(0, VecDeque::len) as u64);
        let mut near = Near::ZERO;
        for sample in line.into_iter().flatten() {
            near.put_time(into, sample.time);
            near.put_order(into, sample.order);
            F::save(sample.reading, into);
            near = Near { time: sample.time, order: sample.order };
        }
    }

    fn load_key(&mut self, key: KeyId, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let mut near = Near::ZERO;
        for index in 0..from.count()? {
            let next = Near { time: near.time(from)?, order: near.order(from)? };
            if index > 0 && (next.time, next.order) <= (near.time, near.order) {
                return Err(Malformed("samples out of order"));
            }
            near = next;
            self.insert(key, Sample { time: near.time, order: near.order, reading: F::load(from)? });
        }
        Ok(())
    }
}

/// Room for so many samples of a key stays when they are gone.
const ROOM: usize = 16;
