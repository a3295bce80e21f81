//! Windows over numbers of events: `count`.
//!
//! A key's windows end at multiples of `every` events and reach back over `size`; the one that is under way at the end of
//! input, or when the key is forgotten, fires with what it has by then. Events are counted in slices of the greatest
//! common divisor of both.

use super::aggregates::{Arrival, Frame, PaneId, Settled, events};
use super::cold::{PANE, RANK_BYTES, Spilling, rank_bytes};
use super::operator::{Base, Desk, Windowing};
use super::panes::Panes;
use super::plan::{WindowKind, WindowPlan, gcd};
use super::queue::Queue;
use super::stored::{restore_key, save_keys};
use crate::dataflow::{Ages, ColdKeys, ColdTable, KeyId, KeyReader, Keys, OpenPane, Output, Saving};
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader, put_number, put_time};
use crate::time::{Interval, Millis, Timestamp};

/// One pane a key and slice.
pub struct Count {
    keys: Keys<Counted>,
    panes: Panes,
    shape: Shape,
    combines: bool,
    parts: Vec<PaneId>,
    ages: Option<Ages>,
    /// Where the first window stands of those under way that are not in memory yet.
    behind: Option<[u8; RANK_BYTES]>,
    /// Where part of those under way have fired: the end of the last one.
    reached: Timestamp,
}

/// Numbers of events.
#[derive(Clone, Copy)]
struct Shape {
    size: i64,
    every: i64,
    slice: i64,
}

/// A key's slices, by number, and how many events it had.
#[derive(Default)]
struct Counted {
    events: i64,
    queue: Queue,
}

impl Shape {
    /// The slices, from and to (exclusive), of the window under way after so many events. May begin below 0.
    fn under_way(self, events: i64) -> (i64, i64) {
        let end = (events.div_euclid(self.every) + 1) * self.every;
        ((end - self.size).div_euclid(self.slice), end / self.slice)
    }
}

impl Count {
    /// No events yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Count {
        let (size, every) = match plan.kind {
            WindowKind::Count { size, every } => (size.max(1) as i64, every.max(1) as i64),
            _ => (1, 1),
        };
        let shape = Shape { size, every, slice: gcd(size, every) };
        let parts = (size / shape.slice) as usize;
        let panes = Panes::new(&plan.aggregates, plan.setup(parts, base.seed));
        let combines = plan.aggregates.iter().all(|aggregate| aggregate.spec.mergeable);
        let ages = plan.ttl.0.map(Ages::new);
        Count {
            keys: base.keys(),
            panes,
            shape,
            combines,
            parts: Vec::new(),
            ages,
            behind: None,
            reached: Timestamp::MIN,
        }
    }

    /// Whether the windows that the next event of the key belongs to can take it.
    fn check(&mut self, key: Option<KeyId>, event: &Arrival) -> Result<(), Reason> {
        self.panes.check(PaneId::EMPTY, event)?;
        let scarce = self.panes.scarce(event, false);
        let Some(key) = key.filter(|_| scarce) else { return Ok(()) };
        let Shape { size, every, slice } = self.shape;
        let Counted { events, queue } = self.keys.item(key);
        let ends = (*events / every + 1..).map(|i| i * every).take_while(|end| *end - size <= *events);
        let windows = ends.map(|end| ((end - size).div_euclid(slice), end / slice));
        queue.check_windows(windows, &self.panes, event)
    }

    /// Where and when the window of a key up to a slice is, and when its first event came; None if it is empty.
    fn window(&mut self, key: KeyId, end: i64) -> Option<(Interval, u64)> {
        let queue = &mut self.keys.item(key).queue;
        if self.combines {
            queue.combine(end, key, &mut self.panes);
        }
        queue.parts(end, &mut self.parts);
        let panes = self.parts.iter().map(|&part| &self.panes[part]);
        panes
            .map(|pane| (pane.span, pane.born))
            .reduce(|(span, born), (other, order)| (span.join(other), born.min(order)))
    }

    fn emit(&mut self, key: KeyId, end: i64, window: Interval, desk: &Desk, out: &mut dyn Output) {
        self.keys.item(key).queue.parts(end, &mut self.parts);
        for &part in &self.parts {
            self.panes.merge(PaneId::WHOLE, part);
        }
        let frame = Frame { key, window };
        desk.emitter.pane(out, &mut self.panes, PaneId::WHOLE, self.keys.entry(key), frame);
        self.panes.empty(PaneId::WHOLE);
    }

    /// Gives up the slices before that number, and the key if nothing is to be remembered of it.
    fn evict(&mut self, key: KeyId, start: i64) {
        let every = self.shape.every;
        let Counted { events, queue } = self.keys.item(key);
        queue.evict(start, &mut self.panes, |_| ());
        let first = queue.first().map_or(u64::MAX, |pane| self.panes[pane].born);
        self.panes.settle(key, Settled::Arrived(first));
        if queue.is_empty() && *events % every == 0 {
            self.remove(key);
        }
    }

    /// The windows of some keys that are under way, in the order in which they fire.
    fn rest(&mut self, keys: &[KeyId]) -> Vec<(Interval, u64, KeyId)> {
        let mut rest = Vec::new();
        for &key in keys {
            let events = self.keys.item(key).events;
            let (start, end) = self.shape.under_way(events);
            self.keys.item(key).queue.evict(start, &mut self.panes, |_| ());
            if events % self.shape.every != 0
                && let Some((window, born)) = self.window(key, end)
            {
                rest.push((window, born, key));
            }
        }
        rest.sort_unstable_by_key(|(window, born, key)| (window.end, window.start, *born, key.0));
        rest
    }
}

impl Windowing for Count {
    fn look_ahead(&self, keys: &mut KeyReader) {
        self.keys.look_ahead(keys);
    }

    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let key = match self.keys.find(&desk.keys) {
            None if self.keys.cold().is_some() => self.bring_back(desk.keys.bytes()),
            found => found,
        };
        self.check(key, event)?;
        let key = key.unwrap_or_else(|| self.keys.insert(&desk.keys, event.batch, event.row));
        self.keys.touch(key);
        if let Some(ages) = &mut self.ages {
            ages.touch(key, event.time, desk.watermark);
            desk.due = desk.due.min(ages.next().unwrap_or(Timestamp::MAX));
        }
        let Counted { events, queue } = self.keys.item(key);
        let (start, end) = self.shape.under_way(*events);
        let at = *events / self.shape.slice;
        if at >= start {
            let span = Interval { start: event.time, end: event.time + Millis(1) };
            queue.add(queue.place(at), at, (span, false), key, &mut self.panes, event);
        }
        *events += 1;
        if *events % self.shape.every == 0 {
            let (next_start, _) = self.shape.under_way(*events);
            if let Some((window, _)) = self.window(key, end) {
                self.emit(key, end, window, desk, out);
            }
            self.evict(key, next_start);
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Timestamp> {
        let forgotten = self.ages.as_ref().and_then(Ages::next);
        forgotten.or_else(|| self.has_keys().then_some(Timestamp::MAX))
    }

    fn earliest(&self) -> Option<OpenPane> {
        let pane = OpenPane { key: None, window: None, due: Timestamp::MAX, trigger: None };
        self.has_keys().then_some(pane)
    }

    fn trigger(&self) -> String {
        "count".to_owned()
    }

    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let mut keys = Vec::new();
        match &mut self.ages {
            Some(ages) => keys.extend(std::iter::from_fn(|| ages.take(desk.watermark))),
            None => self.keys.list(&mut keys),
        }
        let mut reached = std::mem::replace(&mut self.reached, Timestamp::MIN);
        let mut rest = self.rest(&keys);
        let ready = |(window, born, _): &(Interval, u64, KeyId)| {
            self.behind.is_none_or(|behind| rank_bytes((window.end, window.start, *born)) <= behind)
        };
        let put_off = rest.split_off(rest.partition_point(ready));
        for (window, _, key) in rest {
            if window.end > reached {
                desk.emitter.reach(reached);
                reached = window.end;
            }
            let (_, end) = self.shape.under_way(self.keys.item(key).events);
            self.emit(key, end, window, desk, out);
        }
        self.clear(keys, &put_off);
        if self.behind.is_some() {
            self.reached = reached;
        }
    }

    fn end(&mut self) {
        self.ages = None;
    }

    fn spilling(&mut self) -> &mut dyn Spilling {
        self
    }

    fn last_firing(&mut self, _desk: &mut Desk) -> Option<Timestamp> {
        self.has_keys().then_some(Timestamp::MAX)
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        let (panes, ages) = (&self.panes, &self.ages);
        save_keys(&mut self.keys, into, &mut |key, counted, into| {
            counted.put(panes, key, into);
            let stamp = ages.as_ref().and_then(|ages| ages.stamp(key));
            stamp.into_iter().for_each(|stamp| put_time(into, stamp));
        });
    }

    fn load(&mut self, key: &[u8], from: &mut Reader<'_>, desk: &mut Desk) -> Result<(), Malformed> {
        let key = restore_key(&mut self.keys, key)?;
        self.load_queue(key, from)?;
        // Only what was saved with a time-to-live has it.
        let stamp = if from.remaining() > 0 { Some(from.time()?) } else { None };
        let Some(ages) = &mut self.ages else { return Ok(()) };
        match stamp {
            Some(stamp) => ages.restore(key, stamp),
            None if desk.watermark > Timestamp::MIN => {
                ages.touch(key, desk.watermark, desk.watermark);
                self.keys.touch(key);
            }
            None => {}
        }
        desk.due = desk.due.min(ages.next().unwrap_or(Timestamp::MAX));
        Ok(())
    }
}

impl Counted {
    fn put(&self, panes: &Panes, key: KeyId, into: &mut Vec<u8>) {
        put_number(into, self.events as u64);
        self.queue.save(panes, into);
        panes.save_key(key, into);
    }
}

impl Spilling for Count {
    fn unsaved(&self) -> usize {
        self.keys.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        self.keys.spill(cold, RANK_BYTES);
    }

    fn make_room(&mut self) {
        let panes = &self.panes;
        let surplus = self.keys.surplus(|key, entry| {
            let mut bytes = Vec::new();
            entry.item.put(panes, key, &mut bytes);
            bytes.len() + PANE * (1 + entry.item.queue.starts().count())
        });
        for _ in 0..surplus {
            let Some(key) = self.keys.coldest(|_, _| true) else { break };
            let mut bytes = Vec::new();
            self.keys.entry(key).item.put(&self.panes, key, &mut bytes);
            let rank = self.rank(key);
            self.keys.item(key).queue.evict(i64::MAX, &mut self.panes, |_| ());
            self.panes.forget(key);
            self.keys.evict(key, &bytes, Some((Timestamp::MAX, &rank)));
        }
    }

    /// Nothing fires by time but at the end of input.
    fn recall(&mut self, until: Timestamp, _desk: &mut Desk) {
        self.behind = None;
        if until < Timestamp::MAX || self.keys.cold().is_none_or(ColdTable::is_empty) {
            return;
        }
        self.make_room();
        let mut room = self.keys.cold().map_or(0, ColdTable::part);
        while let Some((_, rank, key)) = self.keys.cold().and_then(ColdTable::first_due) {
            if room == 0 {
                self.behind = rank.first_chunk().copied();
                return;
            }
            room -= 1;
            let key = key.to_vec();
            self.bring_back(&key);
        }
    }

    fn has_put_off(&self) -> bool {
        self.behind.is_some()
    }
}

impl Count {
    fn has_keys(&self) -> bool {
        !self.keys.is_empty() || self.keys.cold().is_some_and(|cold| !cold.is_empty())
    }

    /// Where the window under way of a key stands among those of others; one that does not fire stands before all.
    fn rank(&mut self, key: KeyId) -> [u8; RANK_BYTES] {
        let Counted { events, queue } = self.keys.item(key);
        let (_, end) = self.shape.under_way(*events);
        self.parts.clear();
        if *events % self.shape.every != 0 {
            queue.parts(end, &mut self.parts);
        }
        let all = self.parts.iter().map(|part| (self.panes[*part].span, self.panes[*part].born));
        let whole = all.reduce(|(span, born), (other, order)| (span.join(other), born.min(order)));
        let (span, born) = whole.unwrap_or((Interval { start: Timestamp::MIN, end: Timestamp::MIN }, 0));
        rank_bytes((span.end, span.start, born))
    }

    #[cold]
    fn bring_back(&mut self, key: &[u8]) -> Option<KeyId> {
        let (key, value) = self.keys.recall(key)?;
        let mut from = Reader::new(&value);
        if let Err(error) = self.load_queue(key, &mut from).and_then(|()| from.finish()) {
            self.keys.cold().into_iter().for_each(|cold| cold.fail(error));
        }
        Some(key)
    }

    fn load_queue(&mut self, key: KeyId, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let events = events(from)? as i64;
        let queue = Queue::load(key, &mut self.panes, from)?;
        self.panes.load_key(key, from)?;
        *self.keys.item(key) = Counted { events, queue };
        Ok(())
    }
}

impl Count {
    fn forget(&mut self, key: KeyId) {
        self.keys.item(key).queue.evict(i64::MAX, &mut self.panes, |_| ());
        self.panes.forget(key);
        self.remove(key);
    }

    fn remove(&mut self, key: KeyId) {
        self.ages.iter_mut().for_each(|ages| ages.clear(key));
        self.keys.remove(key);
    }

    /// Forgets these keys but for those whose windows have still to fire.
    fn clear(&mut self, keys: Vec<KeyId>, put_off: &[(Interval, u64, KeyId)]) {
        let mut stay: Vec<u32> = put_off.iter().map(|(_, _, key)| key.0).collect();
        stay.sort_unstable();
        for key in keys.into_iter().filter(|key| stay.binary_search(&key.0).is_err()) {
            self.forget(key);
        }
    }
}
