//! What a node keeps for each key, and when it looks at it again.

use super::ages::Ages;
use super::cold::{ColdKeys, ColdTable};
use super::keys::{KeyEntry, KeyId, KeyReader, Keys};
use super::saved::{Saved, Saving};
use super::timers::Timers;
use crate::config::StateTtl;
use crate::event::bytes::{Malformed, Reader, put_time};
use crate::event::{Batch, Row, Slot, is_key};
use crate::time::Timestamp;
use std::cell::{Cell, RefCell};

/// State by key with timers. A key is in it as long as something is kept for it.
///
/// The rows of a batch are gone through once: [`KeyedState::read`] before the first, [`KeyedState::advance`] behind each.
pub struct KeyedState<T> {
    reader: KeyReader,
    keys: Keys<T>,
    timers: Timers,
    ages: Option<Ages>,
    /// Whether there may be keys that were restored without their age.
    ageless: bool,
    /// How keys leave memory, where they may.
    codec: Option<Box<Codec<T>>>,
}

/// How keys leave memory and come back.
pub struct Codec<T> {
    /// Appends what is saved of a key, which is due then.
    pub put: Box<Put<T>>,
    /// Reads that back.
    pub take: Box<TakeBack<T>>,
    /// Whether a key must stay in memory.
    pub stays: fn(&T) -> bool,
}

/// Appends what is kept of a key, and when it is due.
pub type Put<T> = dyn Fn(&T, Option<Timestamp>, &mut Vec<u8>) + Send;

/// Reads what is kept of a key, and when it is due.
pub type TakeBack<T> = dyn Fn(&mut Reader<'_>) -> Result<(T, Option<Timestamp>), Malformed> + Send;

impl<T> Codec<T> {
    /// As [`KeyedState::save`] and [`KeyedState::load`] do it.
    pub fn new(
        put: impl Fn(&T, &mut Vec<u8>) + Send + 'static,
        take: impl Fn(&mut Reader<'_>) -> Result<T, Malformed> + Send + 'static,
    ) -> Codec<T> {
        Codec {
            put: Box::new(move |item, due, into| {
                put_times(into, due, None);
                put(item, into);
            }),
            take: Box::new(move |reader| {
                let (due, _) = take_times(reader)?;
                Ok((take(reader)?, due))
            }),
            stays: |_| false,
        }
    }
}

impl<T: Default> KeyedState<T> {
    /// Nothing is kept. The key stands in these slots; hashes start from the seed.
    pub fn new(key: Vec<Slot>, seed: u64) -> KeyedState<T> {
        KeyedState::durable(key, seed, false)
    }

    /// The same, but for [`KeyedState::take_changes`] if `durable`.
    pub fn durable(key: Vec<Slot>, seed: u64, durable: bool) -> KeyedState<T> {
        let keys = Keys::durable(seed, durable);
        let (reader, timers) = (KeyReader::new(key, seed), Timers::default());
        KeyedState { reader, keys, timers, ages: None, ageless: false, codec: None }
    }

    /// The same, but it forgets a key that had no event for that long, see [`Ages`]. Rows are then met by
    /// [`KeyedState::meet`], and watermarks told by [`KeyedState::reach`]. Its keys stay in memory.
    pub fn forgetting(self, ttl: StateTtl) -> KeyedState<T> {
        KeyedState { ages: ttl.0.map(Ages::new), ..self }
    }

    /// See [`Keys::take_changes`]; beside each key stands when it is to be looked at.
    pub fn take_changes(
        &mut self,
        gone: &mut dyn FnMut(&[u8]),
        cold: &mut dyn FnMut(&[u8], &[u8]),
        changed: &mut dyn FnMut(&KeyEntry<T>, Option<Timestamp>),
    ) {
        let timers = &self.timers;
        self.keys.take_changes(gone, cold, &mut |key, entry| changed(entry, timers.of(key)));
    }

    /// The same where no key leaves memory; beside each key stands its age, see [`KeyedState::restore_age`].
    pub fn take_aged_changes(
        &mut self,
        gone: &mut dyn FnMut(&[u8]),
        changed: &mut dyn FnMut(&KeyEntry<T>, Option<Timestamp>),
    ) {
        let ages = self.ages.as_ref();
        let stamp = |key| ages.and_then(|ages| ages.stamp(key));
        self.keys.take_changes(gone, &mut |_, _| {}, &mut |key, entry| changed(entry, stamp(key)));
    }

    /// Says what changed: an entry for each key, which holds when it is to be looked at and what `write` writes. Tells
    /// whether any key is new or different.
    pub fn save(&mut self, saving: &mut Saving<'_>, mut write: impl FnMut(&T, &mut Vec<u8>)) -> bool {
        let (saving, any) = (RefCell::new(saving), Cell::new(false));
        let put = |key: &[u8], write: &mut dyn FnMut(&mut Vec<u8>)| {
            any.set(true);
            saving.borrow_mut().put(key, &[], write);
        };
        let (timers, ages) = (&self.timers, &self.ages);
        self.keys.take_changes(
            &mut |key| saving.borrow_mut().remove(key, &[]),
            &mut |key, value| put(key, &mut |into| into.extend_from_slice(value)),
            &mut |key, entry| {
                put(entry.bytes(), &mut |into| {
                    put_times(into, timers.of(key), ages.as_ref().and_then(|ages| ages.stamp(key)));
                    write(&entry.item, into);
                });
            },
        );
        any.get()
    }

    /// From now on keys may leave memory. Only for durable state, before there is any.
    pub fn spill(&mut self, cold: ColdKeys, codec: Codec<T>) {
        self.keys.spill(cold, 0);
        self.codec = Some(Box::new(codec));
    }

    /// How many keys have changed since they were saved.
    pub fn unsaved(&self) -> usize {
        self.keys.unsaved()
    }

    /// Lets keys leave memory if there is no room for all.
    #[inline]
    fn make_room(&mut self) {
        if self.codec.is_some() {
            self.evict();
        }
    }

    #[cold]
    fn evict(&mut self) {
        let Some(codec) = self.codec.take() else { return };
        let (timers, mut bytes) = (&self.timers, Vec::new());
        let surplus = self.keys.surplus(|key, entry| {
            (codec.put)(&entry.item, timers.of(key), &mut bytes);
            bytes.len()
        });
        for _ in 0..surplus {
            let Some(key) = self.keys.coldest(|_, item| !(codec.stays)(item)) else { break };
            let due = self.timers.of(key);
            bytes.clear();
            (codec.put)(&self.keys.entry(key).item, due, &mut bytes);
            self.timers.clear(key);
            self.keys.evict(key, &bytes, due.map(|due| (due, &[][..])));
        }
        self.codec = Some(codec);
    }

    /// Brings a key back that is not in memory, if something is kept for it.
    #[cold]
    fn recall(&mut self, bytes: &[u8]) -> Option<KeyId> {
        let (key, value) = self.keys.recall(bytes)?;
        let codec = self.codec.as_ref()?;
        let mut reader = Reader::new(&value);
        match (codec.take)(&mut reader) {
            Ok((item, due)) => {
                *self.keys.item(key) = item;
                due.into_iter().for_each(|due| self.timers.set(key, due));
            }
            Err(error) => self.keys.cold().into_iter().for_each(|cold| cold.fail(error)),
        }
        Some(key)
    }

    /// Brings the key back that is due first, if it is not in memory and due by then.
    #[cold]
    fn recall_due(&mut self, reached: Timestamp) {
        let Some((due, _, key)) = self.keys.cold().and_then(ColdTable::first_due) else { return };
        if due <= reached && self.timers.next().is_none_or(|first| due <= first) {
            let key = key.to_vec();
            self.recall(&key);
        }
    }

    /// Takes back an entry that [`KeyedState::save`] wrote; `read` reads what its `write` wrote.
    ///
    /// # Errors
    /// The bytes are none of these.
    pub fn load(
        &mut self,
        saved: Saved<'_>,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<KeyId, Malformed> {
        let Saved::Keyed { key, value } = saved else {
            return Err(Malformed("nothing that this node keeps"));
        };
        self.make_room();
        if !is_key(key, self.reader.fields()) || self.keys.find_bytes(key).is_some() {
            return Err(Malformed("no key of this node"));
        }
        let mut reader = Reader::new(value);
        let (due, stamp) = take_times(&mut reader)?;
        let item = read(&mut reader)?;
        reader.finish()?;
        let key = self.restore(key, item, due);
        self.restore_age(key, stamp);
        Ok(key)
    }

    /// Takes back what was saved of a key's age, if anything was.
    pub fn restore_age(&mut self, key: KeyId, stamp: Option<Timestamp>) {
        if let Some(ages) = &mut self.ages {
            stamp.into_iter().for_each(|stamp| ages.restore(key, stamp));
            self.ageless |= stamp.is_none();
        }
    }

    /// Adds a key that was saved; it must not be there.
    pub fn restore(&mut self, bytes: &[u8], item: T, due: Option<Timestamp>) -> KeyId {
        let key = self.keys.restore(bytes);
        *self.keys.item(key) = item;
        due.into_iter().for_each(|due| self.timers.set(key, due));
        key
    }

    /// A key by its bytes, if it is in memory.
    pub fn find_bytes(&self, bytes: &[u8]) -> Option<KeyId> {
        self.keys.find_bytes(bytes)
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.keys.cold().is_none_or(ColdTable::is_empty)
    }

    /// Reads the keys of these rows and stands at the first.
    pub fn read(&mut self, batch: &Batch, rows: &[Row]) {
        self.make_room();
        self.reader.read(batch, rows);
        self.keys.look_ahead(&mut self.reader);
    }

    /// Goes on to the key of the next row.
    #[inline]
    pub fn advance(&mut self) {
        self.reader.advance();
    }

    /// The key at hand, if something is kept for it.
    #[inline]
    pub fn find(&mut self) -> Option<KeyId> {
        match self.keys.find(&self.reader) {
            None if self.codec.is_some() => self.find_cold(),
            found => found,
        }
    }

    #[cold]
    fn find_cold(&mut self) -> Option<KeyId> {
        if self.keys.cold().is_none_or(ColdTable::is_empty) {
            return None;
        }
        let key = self.reader.bytes().to_vec();
        self.recall(&key)
    }

    /// The key at hand, which is that of the row, if something is kept for it that is not to be forgotten by now. The row is
    /// an event of the key.
    #[inline]
    pub fn meet(&mut self, batch: &Batch, row: Row) -> Option<KeyId> {
        self.reach(batch.watermarks[row.index()]);
        let found = self.find();
        if let Some(key) = found {
            self.age(key, batch, row);
        }
        found
    }

    /// Forgets the keys whose time is over by then.
    #[inline]
    pub fn reach(&mut self, watermark: Timestamp) {
        while let Some(key) = self.take_old(watermark) {
            self.forget(key);
        }
    }

    /// A key whose time is over by then, for those who have more to do than to [`KeyedState::forget`] it.
    #[inline]
    pub fn take_old(&mut self, watermark: Timestamp) -> Option<KeyId> {
        let is_old = |ages: &Ages| self.ageless || ages.next().is_some_and(|next| next <= watermark);
        if self.ages.as_ref().is_some_and(is_old) { self.take_aged(watermark) } else { None }
    }

    #[cold]
    fn take_aged(&mut self, watermark: Timestamp) -> Option<KeyId> {
        let is_time = watermark > Timestamp::MIN && watermark < Timestamp::MAX;
        if is_time && std::mem::take(&mut self.ageless) {
            self.age_all(watermark);
        }
        self.ages.as_mut()?.take(watermark)
    }

    /// All keys that are in memory.
    pub fn list(&self) -> Vec<KeyId> {
        let mut keys = Vec::new();
        self.keys.list(&mut keys);
        keys
    }

    /// Keys that were saved without a time-to-live count as if their last event was now.
    fn age_all(&mut self, watermark: Timestamp) {
        for key in self.list() {
            if let Some(ages) = self.ages.as_mut().filter(|ages| ages.stamp(key).is_none()) {
                ages.touch(key, watermark, watermark);
                self.keys.touch(key);
            }
        }
    }

    #[inline]
    fn age(&mut self, key: KeyId, batch: &Batch, row: Row) {
        if let Some(ages) = &mut self.ages
            && ages.touch(key, batch.times[row.index()], batch.watermarks[row.index()])
        {
            self.keys.touch(key);
        }
    }

    /// Keeps something from now on for the key at hand, which is that of the row and must not be there.
    #[inline]
    pub fn insert(&mut self, batch: &Batch, row: Row) -> KeyId {
        let key = self.keys.insert(&self.reader, batch, row);
        self.age(key, batch, row);
        key
    }

    /// What is kept for a key, to be changed.
    #[inline]
    pub fn item(&mut self, key: KeyId) -> &mut T {
        self.keys.touch(key);
        self.keys.item(key)
    }

    /// A key with what is kept for it.
    #[inline]
    pub fn entry(&self, key: KeyId) -> &KeyEntry<T> {
        self.keys.entry(key)
    }

    /// Keeps nothing for the key any more.
    pub fn forget(&mut self, key: KeyId) {
        self.timers.clear(key);
        self.ages.iter_mut().for_each(|ages| ages.clear(key));
        self.keys.remove(key);
    }

    /// Has the key looked at when that time is reached, and at no other.
    pub fn set_due(&mut self, key: KeyId, due: Timestamp) {
        self.keys.touch(key);
        self.timers.set(key, due);
    }

    /// Has the key looked at no more.
    pub fn clear_due(&mut self, key: KeyId) {
        self.keys.touch(key);
        self.timers.clear(key);
    }

    /// When the key is to be looked at.
    pub fn due(&self, key: KeyId) -> Option<Timestamp> {
        self.timers.of(key)
    }

    /// The earliest time at which a key is to be looked at.
    pub fn next_due(&self) -> Option<Timestamp> {
        let cold = self.keys.cold().and_then(ColdTable::next_due);
        self.timers.next().into_iter().chain(cold).min()
    }

    /// The key whose time came first, if time has reached it; it is due no more.
    #[inline]
    pub fn take_due(&mut self, reached: Timestamp) -> Option<(Timestamp, KeyId)> {
        if self.codec.is_some() {
            self.make_room();
            self.recall_due(reached);
        }
        let taken = self.timers.take(reached)?;
        self.keys.touch(taken.1);
        Some(taken)
    }
}

/// What stands before an item: whether the key is to be looked at, and whether its age follows.
const DUE: u8 = 1;
const STAMP: u8 = 2;

/// Appends when a key is to be looked at, and its age.
fn put_times(into: &mut Vec<u8>, due: Option<Timestamp>, stamp: Option<Timestamp>) {
    into.push((u8::from(due.is_some()) * DUE) | (u8::from(stamp.is_some()) * STAMP));
    due.into_iter().chain(stamp).for_each(|time| put_time(into, time));
}

fn take_times(reader: &mut Reader<'_>) -> Result<(Option<Timestamp>, Option<Timestamp>), Malformed> {
    let what = reader.byte()?;
    if what & !(DUE | STAMP) != 0 {
        return Err(Malformed("times of no kind that is known"));
    }
    let mut time = |kind| if what & kind == 0 { Ok(None) } else { reader.time().map(Some) };
    Ok((time(DUE)?, time(STAMP)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Value;
    use crate::time::Millis;

    fn state(ttl: Option<i64>) -> KeyedState<u8> {
        KeyedState::durable(vec![Slot(0)], 1, true).forgetting(StateTtl(ttl.map(Millis)))
    }

    fn batch(time: i64, watermark: i64) -> Batch {
        let mut batch = Batch::new(1, b"");
        let row = batch.push_row(Timestamp(time), Timestamp(watermark));
        batch.set(row, Slot(0), Value::int(7));
        batch
    }

    fn met(state: &mut KeyedState<u8>, time: i64, watermark: i64) -> Option<u8> {
        let batch = batch(time, watermark);
        state.read(&batch, &[Row(0)]);
        state.meet(&batch, Row(0)).map(|key| state.entry(key).item)
    }

    /// Its only key with its bytes.
    fn saved(state: &mut KeyedState<u8>) -> Option<(Vec<u8>, Vec<u8>)> {
        let env = crate::time::Env {
            now: Timestamp(0),
            elapsed: Millis::ZERO,
            random: crate::time::Random::seeded(1),
        };
        let mut entries = Vec::new();
        state.save(&mut Saving::new(crate::state::NodeId(1), 0, &env, &mut entries), |item, into| {
            into.push(*item);
        });
        let entry = entries.pop()?;
        Some((entry.key.key()[1..].to_vec(), entry.value?.into_vec()))
    }

    fn loaded(ttl: Option<i64>, (key, value): &(Vec<u8>, Vec<u8>)) -> KeyedState<u8> {
        let mut state = state(ttl);
        state
            .load(Saved::Keyed { key, value }, |reader| reader.take(1).map(|bytes| bytes[0]))
            .expect("what was saved");
        state
    }

    #[test]
    fn a_time_to_live_may_come_later_go_and_change() {
        let mut forever = state(None);
        let one = batch(1, 0);
        forever.read(&one, &[Row(0)]);
        let key = forever.insert(&one, Row(0));
        *forever.item(key) = 5;
        let ageless = saved(&mut forever).expect("it is new");
        assert_eq!(met(&mut forever, 1 << 40, 1 << 40), Some(5), "it is kept for ever");

        // It counts from the first watermark on, and that is saved.
        let mut later = loaded(Some(3_200), &ageless);
        assert_eq!(saved(&mut later), None, "what was loaded has not changed");
        later.reach(Timestamp::MIN);
        later.reach(Timestamp(50_000));
        let aged = saved(&mut later).expect("its age");
        later.reach(Timestamp(53_299));
        assert!(!later.is_empty());
        later.reach(Timestamp(53_300));
        assert!(later.is_empty());

        let mut same = loaded(Some(3_200), &aged);
        assert_eq!(met(&mut same, 53_000, 53_299), Some(5));
        assert_eq!(met(&mut same, 53_000, 56_499), Some(5), "what came late counts from when it came");
        assert_eq!(met(&mut loaded(Some(3_200), &aged), 53_300, 53_300), None);
        assert_eq!(met(&mut loaded(Some(320), &aged), 50_420, 50_420), None, "it is shorter now");
        let mut gone = loaded(None, &aged);
        assert_eq!(met(&mut gone, 1 << 40, 1 << 40), Some(5), "there is none now");
        *gone.item(KeyId(0)) = 5;
        assert_eq!(saved(&mut gone), Some(ageless), "nothing is left of it");
    }
}
