//! Sliding windows that share slices: an event is added once, and each key's slices are combined as windows fire.
//!
//! For windows that fire once, at their end. The same windows with a pane each are in [`super::fixed`].

use super::aggregates::{Arrival, Frame, PaneId, Settled};
use super::assigner::Overlap;
use super::cold::{PANE, RANK_BYTES, Spilling, rank_bytes};
use super::idle::Idle;
use super::operator::{Base, Desk, Windowing};
use super::panes::Panes;
use super::plan::{WindowKind, WindowPlan};
use super::queue::Queue;
use super::stored::{restore_key, save_keys};
use crate::dataflow::{ColdKeys, ColdTable, KeyId, KeyReader, Keys, OpenPane, Output, Saving};
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader, put_time};
use crate::time::{Interval, Millis, Timestamp};
use std::collections::BTreeMap;

/// The slices of a key.
#[derive(Default)]
struct Sliced {
    queue: Queue,
    /// The end of the last window with something of it that fired. Beyond the watermark where other workers, whose keys came
    /// together with this one, had not come so far.
    fired: Option<Timestamp>,
}

/// One pane a key and slice.
pub struct Slices {
    keys: Keys<Sliced>,
    panes: Panes,
    overlap: Overlap,
    /// How many keys have something in a slice, by its start.
    live: BTreeMap<Timestamp, usize>,
    /// The end of the last window that fired, or a watermark behind it.
    done: Timestamp,
    next: Option<Interval>,
    /// Whether aggregates are so small that combinations of slices are kept.
    combines: bool,
    parts: Vec<PaneId>,
    ripe: Vec<(u64, KeyId)>,
    all: Vec<KeyId>,
    /// Of the event at hand: where the windows start that have fired.
    closed: Vec<Timestamp>,
    /// Keys without slices.
    idle: Idle,
    /// Where the first key stands of those that fire at the time at hand and are not in memory yet.
    behind: Option<[u8; RANK_BYTES]>,
}

impl Slices {
    /// No slices yet.
    pub fn new(plan: &WindowPlan, base: Base) -> Slices {
        let overlap = match &plan.kind {
            WindowKind::Sliding { size, every, grid } => Overlap::new(*size, *every, grid),
            _ => Overlap::new(Millis(1), Millis(1), &Default::default()),
        };
        let panes = Panes::new(&plan.aggregates, plan.setup(overlap.parts(), base.seed));
        Slices {
            keys: base.keys(),
            panes,
            overlap,
            live: BTreeMap::new(),
            done: Timestamp::MIN,
            next: None,
            combines: plan.aggregates.iter().all(|aggregate| aggregate.spec.mergeable),
            parts: Vec::new(),
            ripe: Vec::new(),
            all: Vec::new(),
            closed: Vec::new(),
            idle: Idle::new(plan.keep()),
            behind: None,
        }
    }

    /// Finds the windows of an event that have fired. Returns whether there are others.
    fn find_closed(&mut self, time: Timestamp, watermark: Timestamp) -> bool {
        self.closed.clear();
        if time >= watermark {
            return true;
        }
        let windows = self.overlap.windows(time);
        let closed = windows.iter().rev().filter(|window| window.end <= watermark);
        self.closed.extend(closed.map(|window| window.start));
        self.closed.len() < windows.len()
    }

    /// Whether all windows that the event belongs to and that have not fired can take it.
    fn check(&mut self, key: Option<KeyId>, desk: &Desk, event: &Arrival) -> Result<(), Reason> {
        self.panes.check(PaneId::EMPTY, event)?;
        let scarce = self.panes.scarce(event, false);
        let Some(key) = key.filter(|_| scarce) else { return Ok(()) };
        let queue = &self.keys.item(key).queue;
        let open = self.overlap.windows(event.time).iter().filter(|window| window.end > desk.watermark);
        let open = open.map(|window| (window.start.0, window.end.0));
        queue.check_windows(open, &self.panes, event)
    }

    /// One key more has something in the slice.
    fn enter(&mut self, slice: Timestamp, desk: &mut Desk) {
        let keys = self.live.entry(slice).or_insert(0);
        *keys += 1;
        if *keys == 1 {
            self.done = self.done.max(desk.watermark);
            self.find_next();
            desk.due = desk.due.min(self.next.map_or(Timestamp::MAX, |window| window.end));
        }
    }

    fn find_next(&mut self) {
        let first = self.live.first_key_value().map(|(start, _)| *start);
        self.next = first.and_then(|first| {
            let slice = self.overlap.slice(first);
            self.overlap.next_window(slice, self.done)
        });
    }

    /// Brings the keys that have something in the window in the order in which their first events came; those that wait for
    /// others which are not in memory are left out of what stays in `all`.
    fn find_ripe(&mut self, window: Interval) {
        self.ripe.clear();
        self.all.clear();
        self.keys.list(&mut self.all);
        for &key in &self.all {
            let Sliced { queue, fired } = self.keys.item(key);
            if fired.is_some_and(|fired| window.end <= fired) {
                continue;
            }
            let changed = self.combines && queue.combine(window.end.0, key, &mut self.panes);
            queue.parts(window.end.0, &mut self.parts);
            let born = self.parts.iter().map(|&part| self.panes[part].born).min();
            self.ripe.extend(born.map(|born| (born, key)));
            if changed {
                self.keys.touch(key);
            }
        }
        self.ripe.sort_unstable_by_key(|(born, key)| (*born, key.0));
        if let Some(behind) = self.behind {
            let ready = self.ripe.partition_point(|(born, _)| rank(*born) <= behind);
            let mut put_off: Vec<u32> = self.ripe.drain(ready..).map(|(_, key)| key.0).collect();
            put_off.sort_unstable();
            self.all.retain(|key| put_off.binary_search(&key.0).is_err());
        }
        for (_, key) in &self.ripe {
            self.keys.item(*key).fired = Some(window.end);
            self.keys.touch(*key);
        }
    }

    fn emit(&mut self, key: KeyId, window: Interval, desk: &Desk, out: &mut dyn Output) {
        self.keys.item(key).queue.parts(window.end.0, &mut self.parts);
        let (entry, frame) = (self.keys.entry(key), Frame { key, window });
        if let [only] = self.parts[..] {
            return desk.emitter.pane(out, &mut self.panes, only, entry, frame);
        }
        for &part in &self.parts {
            self.panes.merge(PaneId::WHOLE, part);
        }
        desk.emitter.pane(out, &mut self.panes, PaneId::WHOLE, entry, frame);
        self.panes.empty(PaneId::WHOLE);
    }

    /// Gives up the slices that no window to come holds.
    fn evict(&mut self, window: Interval) {
        let start = self.overlap.next_start(window);
        for &key in &self.all {
            let queue = &mut self.keys.item(key).queue;
            let changed = queue.evict(start.0, &mut self.panes, |at| leave(&mut self.live, Timestamp(at)));
            let is_empty = queue.is_empty();
            if changed {
                // What aggregates keep by key goes with slices, and never without one.
                self.keys.touch(key);
            }
            match self.panes.settle(key, Settled::Before(start)) {
                Some(last) if is_empty => self.idle.add(key, last),
                None if is_empty => self.keys.remove(key),
                _ => {}
            }
        }
        let has_windows = |sliced: &Sliced| !sliced.queue.is_empty();
        self.idle.expire(window.end, &mut self.keys, &mut self.panes, has_windows);
    }
}

/// One key fewer has something in the slice.
fn leave(live: &mut BTreeMap<Timestamp, usize>, slice: Timestamp) {
    if let Some(keys) = live.get_mut(&slice) {
        *keys -= 1;
        if *keys == 0 {
            live.remove(&slice);
        }
    }
}

impl Windowing for Slices {
    fn look_ahead(&self, keys: &mut KeyReader) {
        self.keys.look_ahead(keys);
    }

    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let key = match self.keys.find(&desk.keys) {
            None if self.keys.cold().is_some() => self.bring_back(desk.keys.bytes()),
            found => found,
        };
        let taken = self.find_closed(event.time, desk.watermark);
        if taken {
            self.check(key, desk, event)?;
        }
        for &start in &self.closed {
            desk.emitter.late(out, event, start);
        }
        if !taken {
            return Ok(());
        }
        let slice = self.overlap.slice(event.time);
        let key = key.unwrap_or_else(|| self.keys.insert(&desk.keys, event.batch, event.row));
        self.keys.touch(key);
        let queue = &mut self.keys.item(key).queue;
        let place = queue.place(slice.start.0);
        if queue.add(place, slice.start.0, (slice, true), key, &mut self.panes, event) {
            self.enter(slice.start, desk);
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Timestamp> {
        self.next.map(|window| window.end)
    }

    fn earliest(&self) -> Option<OpenPane> {
        self.next.map(|window| OpenPane { key: None, window: Some(window), due: window.end, trigger: None })
    }

    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output) {
        let Some(window) = self.next else { return };
        self.find_ripe(window);
        for i in 0..self.ripe.len() {
            let (_, key) = self.ripe[i];
            self.emit(key, window, desk, out);
        }
        self.evict(window);
        if self.behind.is_none() {
            self.done = self.done.max(window.end);
            self.find_next();
        }
    }

    fn spilling(&mut self) -> &mut dyn Spilling {
        self
    }

    fn last_firing(&mut self, _desk: &mut Desk) -> Option<Timestamp> {
        self.next.map(|_| Timestamp::MAX)
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        let panes = &self.panes;
        save_keys(&mut self.keys, into, &mut |key, sliced, into| sliced.put(panes, key, into));
    }

    fn load(&mut self, key: &[u8], from: &mut Reader<'_>, desk: &mut Desk) -> Result<(), Malformed> {
        let key = restore_key(&mut self.keys, key)?;
        self.load_queue(key, from)?;
        for start in self.keys.item(key).queue.starts() {
            *self.live.entry(Timestamp(start)).or_insert(0) += 1;
        }
        // It fires before it can leave memory.
        self.done = desk.watermark;
        self.find_next();
        Ok(())
    }

    fn loaded(&mut self, desk: &mut Desk) {
        // Windows that ended by the watermark have fired.
        self.done = desk.watermark;
        self.find_next();
        desk.due = desk.due.min(self.next.map_or(Timestamp::MAX, |window| window.end));
    }
}

impl Sliced {
    fn put(&self, panes: &Panes, key: KeyId, into: &mut Vec<u8>) {
        put_time(into, self.fired.unwrap_or(Timestamp::MIN));
        self.queue.save(panes, into);
        panes.save_key(key, into);
    }
}

/// Where a key stands among those that fire with it.
fn rank(born: u64) -> [u8; RANK_BYTES] {
    rank_bytes((Timestamp::MIN, Timestamp::MIN, born))
}

impl Slices {
    fn load_queue(&mut self, key: KeyId, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let fired = Some(from.time()?).filter(|fired| *fired > Timestamp::MIN);
        let queue = Queue::load(key, &mut self.panes, from)?;
        let last = self.panes.load_key(key, from)?;
        if queue.is_empty() {
            self.idle.add(key, last.ok_or(Malformed("a key of nothing"))?);
        }
        *self.keys.item(key) = Sliced { queue, fired };
        Ok(())
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

    /// When a key fires next, and where it stands then.
    fn due(&mut self, key: KeyId) -> Option<(Timestamp, [u8; RANK_BYTES])> {
        let Sliced { queue, fired } = self.keys.item(key);
        let first = self.overlap.slice(Timestamp(queue.starts().next()?));
        // All windows that end before the next to fire have fired.
        let done = self.next?.end - Millis(1);
        let window = self.overlap.next_window(first, done.max(fired.unwrap_or(done)))?;
        queue.parts(window.end.0, &mut self.parts);
        let born = self.parts.iter().map(|&part| self.panes[part].born).min()?;
        Some((window.end, rank(born)))
    }
}

impl Spilling for Slices {
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
            let idle = &self.idle;
            // Keys without slices stay, and those that are known to have had none lately.
            let may = |key, sliced: &Sliced| !sliced.queue.is_empty() && !idle.lists(key);
            let Some(key) = self.keys.coldest(may) else { break };
            let Some((due, rank)) = self.due(key) else { continue };
            let mut bytes = Vec::new();
            self.keys.entry(key).item.put(&self.panes, key, &mut bytes);
            // Its slices go on to count as those of a key that fires.
            self.keys.item(key).queue.evict(i64::MAX, &mut self.panes, |_| ());
            self.panes.forget(key);
            self.keys.evict(key, &bytes, Some((due, &rank)));
        }
    }

    fn recall(&mut self, until: Timestamp, _desk: &mut Desk) {
        self.behind = None;
        let Some(window) = self.next.filter(|window| window.end <= until) else { return };
        if self.keys.cold().is_none_or(ColdTable::is_empty) {
            return;
        }
        self.make_room();
        let mut room = self.keys.cold().map_or(0, ColdTable::part);
        while let Some((time, rank, key)) = self.keys.cold().and_then(ColdTable::first_due) {
            if time > window.end {
                return;
            }
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
