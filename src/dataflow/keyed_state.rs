//! What a node keeps for each key, and when it looks at it again.

use super::keys::{KeyEntry, KeyId, KeyReader, Keys};
use super::saved::{Saved, Saving};
use super::timers::Timers;
use crate::event::bytes::{Malformed, Reader, put_time};
use crate::event::{Batch, Row, Slot, is_key};
use crate::time::Timestamp;
use std::cell::RefCell;

/// State by key with timers. A key is in it as long as something is kept for it.
///
/// The rows of a batch are gone through once: [`KeyedState::read`] before the first, [`KeyedState::advance`] behind each.
pub struct KeyedState<T> {
    reader: KeyReader,
    keys: Keys<T>,
    timers: Timers,
}

impl<T: Default> KeyedState<T> {
    /// Nothing is kept. The key stands in these slots; hashes start from the seed.
    pub fn new(key: Vec<Slot>, seed: u64) -> KeyedState<T> {
        KeyedState::durable(key, seed, false)
    }

    /// The same, but for [`KeyedState::take_changes`] if `durable`.
    pub fn durable(key: Vec<Slot>, seed: u64, durable: bool) -> KeyedState<T> {
        let keys = Keys::durable(seed, durable);
        KeyedState { reader: KeyReader::new(key, seed), keys, timers: Timers::default() }
    }

    /// See [`Keys::take_changes`]; beside each key stands when it is to be looked at.
    pub fn take_changes(
        &mut self,
        gone: &mut dyn FnMut(&[u8]),
        changed: &mut dyn FnMut(&KeyEntry<T>, Option<Timestamp>),
    ) {
        let timers = &self.timers;
        self.keys.take_changes(gone, &mut |key, entry| changed(entry, timers.of(key)));
    }

    /// Says what changed: an entry for each key, which holds when it is to be looked at and what `write` writes.
    pub fn save(&mut self, saving: &mut Saving<'_>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
        let saving = RefCell::new(saving);
        self.take_changes(&mut |key| saving.borrow_mut().remove(key, &[]), &mut |entry, due| {
            saving.borrow_mut().put(entry.bytes(), &[], |into| {
                put_due(into, due);
                write(&entry.item, into);
            });
        });
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
        if !is_key(key, self.reader.fields()) || self.keys.find_bytes(key).is_some() {
            return Err(Malformed("no key of this node"));
        }
        let mut reader = Reader::new(value);
        let due = take_due(&mut reader)?;
        let item = read(&mut reader)?;
        reader.finish()?;
        Ok(self.restore(key, item, due))
    }

    /// Adds a key that was saved; it must not be there.
    pub fn restore(&mut self, bytes: &[u8], item: T, due: Option<Timestamp>) -> KeyId {
        let key = self.keys.restore(bytes);
        *self.keys.item(key) = item;
        due.into_iter().for_each(|due| self.timers.set(key, due));
        key
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Reads the keys of these rows and stands at the first.
    pub fn read(&mut self, batch: &Batch, rows: &[Row]) {
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
    pub fn find(&self) -> Option<KeyId> {
        self.keys.find(&self.reader)
    }

    /// Keeps something from now on for the key at hand, which is that of the row and must not be there.
    #[inline]
    pub fn insert(&mut self, batch: &Batch, row: Row) -> KeyId {
        self.keys.insert(&self.reader, batch, row)
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
        self.timers.next()
    }

    /// The key whose time came first, if time has reached it; it is due no more.
    #[inline]
    pub fn take_due(&mut self, reached: Timestamp) -> Option<(Timestamp, KeyId)> {
        let taken = self.timers.take(reached)?;
        self.keys.touch(taken.1);
        Some(taken)
    }
}

/// Appends when a key is to be looked at.
fn put_due(into: &mut Vec<u8>, due: Option<Timestamp>) {
    into.push(u8::from(due.is_some()));
    due.into_iter().for_each(|due| put_time(into, due));
}

fn take_due(reader: &mut Reader<'_>) -> Result<Option<Timestamp>, Malformed> {
    if reader.flag()? { reader.time().map(Some) } else { Ok(None) }
}
