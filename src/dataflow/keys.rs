//! The keys that hold something, each once.

use super::cold::{ColdKeys, ColdTable, Due, Standing};
use crate::event::{Batch, Kind, Row, ShortBytes, Slot, Value, decode_value, encode_key, plain_fields};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The number of a key. Numbers are small and used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub u32);

/// The keys of the rows of a batch.
///
/// They are read and looked up ahead of the work on the rows, each in a loop of its own: what is slow about a large
/// table is waiting for memory, and a short loop waits for many keys at once.
pub struct KeyReader {
    slots: Vec<Slot>,
    seed: u64,
    /// The canonical forms of all keys, one behind the other.
    bytes: Vec<u8>,
    keys: Vec<Read>,
    current: usize,
    /// [`Keys::removals`] when the keys were looked up.
    removals: u64,
}

/// A key that was read.
#[derive(Clone, Copy)]
struct Read {
    end: u32,
    /// Where the key was found ahead of the work, if it was. Once keys were removed, it may have gone.
    found: Option<KeyId>,
    hash: u64,
}

impl KeyReader {
    /// For keys of these fields; hashes start from the seed.
    pub fn new(slots: Vec<Slot>, seed: u64) -> KeyReader {
        KeyReader { slots, seed, bytes: Vec::new(), keys: Vec::new(), current: 0, removals: 0 }
    }

    /// How many fields a key has.
    pub fn fields(&self) -> usize {
        self.slots.len()
    }

    /// Reads the keys of these rows and stands at the first.
    pub fn read(&mut self, batch: &Batch, rows: &[Row]) {
        self.bytes.clear();
        self.keys.clear();
        self.current = 0;
        for &row in rows {
            let start = self.bytes.len();
            encode_key(batch, row, &self.slots, &mut self.bytes);
            let hash = xxh3_64_with_seed(&self.bytes[start..], self.seed);
            self.keys.push(Read { end: self.bytes.len() as u32, found: None, hash });
        }
    }

    /// Goes on to the key of the next row.
    #[inline]
    pub fn advance(&mut self) {
        self.current += 1;
    }

    /// The key that the reader stands at, as [`encode_key`] writes it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes_of(self.current)
    }

    #[inline]
    fn bytes_of(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.keys[before].end);
        &self.bytes[start as usize..self.keys[index].end as usize]
    }

    /// Bit by bit whether a field of the row is known to need no escaping.
    fn plain(&self, batch: &Batch, row: Row) -> u32 {
        let slots = self.slots.iter().enumerate().take(32);
        slots.fold(0, |plain, (i, &slot)| plain | (batch.get(row, slot).is_plain() as u32) << i)
    }
}

/// A key and what is kept for it.
pub struct KeyEntry<T> {
    bytes: ShortBytes,
    /// Bit by bit whether a field is known to need no escaping.
    plain: u32,
    /// Whether it changed since changes were last taken.
    changed: bool,
    /// Whether it is part of what was saved.
    saved: bool,
    /// Whether it changed since [`Keys::coldest`] came by.
    recent: bool,
    /// What is kept.
    pub item: T,
}

impl<T> KeyEntry<T> {
    fn new(bytes: ShortBytes, plain: u32, item: T) -> KeyEntry<T> {
        KeyEntry { bytes, plain, changed: false, saved: false, recent: true, item }
    }

    /// The key, as [`encode_key`] writes it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Writes the fields into cells of the batch, where a field has a slot.
    #[inline]
    pub fn write(&self, batch: &mut Batch, row: Row, slots: &[Option<Slot>]) {
        let mut bytes = self.bytes.as_slice();
        for (i, slot) in slots.iter().enumerate() {
            // What `encode_key` wrote can be read back.
            let Some((value, rest)) = decode_value(bytes, batch) else { return };
            bytes = rest;
            if let Some(slot) = slot {
                let plain = value.kind() == Kind::Text && i < 32 && self.plain >> i & 1 == 1;
                batch.set(row, *slot, if plain { Value::plain_text(value.span()) } else { value });
            }
        }
    }
}

/// A table of keys with what is kept for each.
pub struct Keys<T> {
    table: HashTable<KeyId>,
    entries: Vec<KeyEntry<T>>,
    free: Vec<KeyId>,
    seed: u64,
    /// How often a key was removed.
    removals: u64,
    /// What changed; None where nobody will ask.
    changes: Option<Changes>,
    /// Keys that are not in memory, where that may be.
    cold: Option<Box<ColdTable>>,
    /// Where to look next for keys that did not change for long.
    hand: usize,
    /// The key that was added last.
    newest: KeyId,
}

/// What happened to keys since somebody asked.
#[derive(Default)]
struct Changes {
    changed: Vec<KeyId>,
    /// Keys that were saved and are gone.
    gone: Vec<ShortBytes>,
}

impl<T: Default> Keys<T> {
    /// No keys; the seed is that of the reader. Nobody will ask what changed.
    pub fn new(seed: u64) -> Keys<T> {
        let (table, entries, free) = (HashTable::new(), Vec::new(), Vec::new());
        Keys { table, entries, free, seed, removals: 0, changes: None, cold: None, hand: 0, newest: KeyId(0) }
    }

    /// The same, but for [`Keys::take_changes`] if `durable`.
    pub fn durable(seed: u64, durable: bool) -> Keys<T> {
        Keys { changes: durable.then(Changes::default), ..Keys::new(seed) }
    }

    /// What is kept for the key has changed. A key that is inserted counts as changed.
    #[inline]
    pub fn touch(&mut self, key: KeyId) {
        if let Some(changes) = &mut self.changes {
            let entry = &mut self.entries[key.0 as usize];
            entry.recent = true;
            if !entry.changed {
                entry.changed = true;
                changes.changed.push(key);
            }
        }
    }

    /// Tells of all that changed since this was called last, or since keys were restored: first what is gone, then what
    /// is new or different, of keys that left memory by the bytes that they left with.
    pub fn take_changes(
        &mut self,
        gone: &mut dyn FnMut(&[u8]),
        cold: &mut dyn FnMut(&[u8], &[u8]),
        changed: &mut dyn FnMut(KeyId, &KeyEntry<T>),
    ) {
        let Some(mut changes) = self.changes.take() else { return };
        // A key that is gone may be there again, and have left memory.
        changes.gone.drain(..).for_each(|key| gone(key.as_slice()));
        self.cold.iter_mut().for_each(|table| table.take_changes(gone, cold));
        for key in changes.changed.drain(..) {
            let entry = &mut self.entries[key.0 as usize];
            // One that is gone may have come back under the same number.
            if std::mem::take(&mut entry.changed) {
                entry.saved = true;
                changed(key, entry);
            }
        }
        self.changes = Some(changes);
    }

    /// How many keys have changed, or are gone, since somebody asked.
    pub fn unsaved(&self) -> usize {
        self.changes.as_ref().map_or(0, |changes| changes.changed.len() + changes.gone.len())
    }

    /// Adds a key that was saved; it must not be there, and does not count as changed.
    pub fn restore(&mut self, bytes: &[u8]) -> KeyId {
        let entry = KeyEntry::new(ShortBytes::new(bytes), plain_fields(bytes), T::default());
        let key = self.add(xxh3_64_with_seed(bytes, self.seed), entry);
        self.entries[key.0 as usize].saved = true;
        key
    }

    /// The number of a key, if it is there.
    pub fn find_bytes(&self, bytes: &[u8]) -> Option<KeyId> {
        let same = |key: &KeyId| self.entries[key.0 as usize].bytes.as_slice() == bytes;
        self.table.find(xxh3_64_with_seed(bytes, self.seed), same).copied()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Looks up all keys that were read.
    pub fn look_ahead(&self, read: &mut KeyReader) {
        read.removals = self.removals;
        for index in 0..read.keys.len() {
            read.keys[index].found = self.search(read, index);
        }
    }

    #[inline]
    fn search(&self, read: &KeyReader, index: usize) -> Option<KeyId> {
        let bytes = read.bytes_of(index);
        let same = |key: &KeyId| self.entries[key.0 as usize].bytes.as_slice() == bytes;
        self.table.find(read.keys[index].hash, same).copied()
    }

    /// The number of the key that the reader stands at, if it holds something.
    #[inline]
    pub fn find(&self, read: &KeyReader) -> Option<KeyId> {
        match read.keys[read.current].found {
            Some(key) if read.removals == self.removals => Some(key),
            _ => self.search(read, read.current),
        }
    }

    /// Adds the key that the reader stands at, which is that of the row; it must not be there.
    pub fn insert(&mut self, read: &KeyReader, batch: &Batch, row: Row) -> KeyId {
        let bytes = ShortBytes::new(read.bytes_of(read.current));
        let entry = KeyEntry::new(bytes, read.plain(batch, row), T::default());
        let key = self.add(read.keys[read.current].hash, entry);
        self.touch(key);
        key
    }

    fn add(&mut self, hash: u64, entry: KeyEntry<T>) -> KeyId {
        let key = match self.free.pop() {
            Some(key) => {
                self.entries[key.0 as usize] = entry;
                key
            }
            None => {
                self.entries.push(entry);
                KeyId(self.entries.len() as u32 - 1)
            }
        };
        let (entries, seed) = (&self.entries, self.seed);
        let rehash = |key: &KeyId| hash_of(entries, *key, seed);
        self.table.insert_unique(hash, key, rehash);
        self.newest = key;
        key
    }

    /// Removes a key.
    pub fn remove(&mut self, key: KeyId) {
        let Some(gone) = self.take_out(key) else { return };
        let Some(changes) = self.changes.as_mut().filter(|_| gone.saved) else { return };
        changes.gone.push(gone.bytes);
        if let Some(cold) = self.cold.as_mut().filter(|_| changes.gone.len() >= KEPT) {
            cold.bury(changes.gone.drain(..));
        }
    }

    fn take_out(&mut self, key: KeyId) -> Option<KeyEntry<T>> {
        let hash = hash_of(&self.entries, key, self.seed);
        self.table.find_entry(hash, |other| *other == key).ok()?.remove();
        let nothing = KeyEntry::new(ShortBytes::new(&[]), 0, T::default());
        let gone = std::mem::replace(&mut self.entries[key.0 as usize], nothing);
        self.free.push(key);
        self.removals += 1;
        if self.table.is_empty() && self.entries.len() > KEPT {
            if let Some(changes) = &mut self.changes {
                changes.changed = Vec::new();
            }
            (self.entries, self.free, self.table) = (Vec::new(), Vec::new(), HashTable::new());
        }
        Some(gone)
    }

    /// From now on keys may leave memory; ranks of those that are due have so many bytes. Only for durable keys, before
    /// there are any.
    pub fn spill(&mut self, keys: ColdKeys, rank_bytes: usize) {
        self.cold = Some(Box::new(ColdTable::new(keys, rank_bytes)));
    }

    /// Keys that are not in memory, where that may be.
    #[inline]
    pub fn cold(&self) -> Option<&ColdTable> {
        self.cold.as_deref()
    }

    /// How many keys are to leave memory. `size` says what a key would be saved as.
    pub fn surplus(&mut self, size: impl FnOnce(KeyId, &KeyEntry<T>) -> usize) -> usize {
        let (Some(cold), Some(changes)) = (&mut self.cold, &self.changes) else { return 0 };
        let sample = changes.changed.last().copied().unwrap_or(self.newest);
        // One that is gone has no bytes; where that is a key, all keys are the same one.
        if let Some(entry) = self.entries.get(sample.0 as usize).filter(|entry| !entry.bytes().is_empty()) {
            cold.note_size(size(sample, entry));
        }
        cold.weigh_changed(changes.changed.len() + changes.gone.len());
        self.table.len() - cold.most(self.table.len())
    }

    /// The next key that did not change lately: a hand goes round over all keys and gives each that has changed since it
    /// came by a second chance (Corbató's clock, 1968). None if there is none.
    pub fn coldest(&mut self, may: impl Fn(KeyId, &T) -> bool) -> Option<KeyId> {
        for _ in 0..2 * self.entries.len() {
            self.hand = if self.hand + 1 < self.entries.len() { self.hand + 1 } else { 0 };
            let (key, entry) = (KeyId(self.hand as u32), &mut self.entries[self.hand]);
            let recent = std::mem::take(&mut entry.recent);
            if !recent
                && may(key, &entry.item)
                && self.find_bytes(self.entries[self.hand].bytes()) == Some(key)
            {
                return Some(key);
            }
        }
        None
    }

    /// Drops a key from memory; `value` is what it would be saved as.
    pub fn evict(&mut self, key: KeyId, value: &[u8], due: Option<Due<'_>>) {
        let Some(KeyEntry { bytes, changed, saved, .. }) = self.take_out(key) else { return };
        if let Some(cold) = &mut self.cold {
            cold.put(bytes.as_slice(), Standing { saved, changed }, value, due);
        }
    }

    /// Drops a key from memory that was restored to be looked at.
    pub fn drop_restored(&mut self, key: KeyId) {
        self.take_out(key);
    }

    /// The same to be changed.
    pub fn cold_mut(&mut self) -> Option<&mut ColdTable> {
        self.cold.as_deref_mut()
    }

    /// Brings a key back that is not in memory. Returns its bytes; what is kept of it is nothing so far.
    #[cold]
    pub fn recall(&mut self, bytes: &[u8]) -> Option<(KeyId, Vec<u8>)> {
        let (standing, value) = self.cold.as_mut()?.take(bytes)?;
        let key = self.restore(bytes);
        self.entries[key.0 as usize].saved = standing.saved;
        if standing.changed {
            self.touch(key);
        }
        Some((key, value))
    }

    /// A key by its number.
    #[inline]
    pub fn entry(&self, key: KeyId) -> &KeyEntry<T> {
        &self.entries[key.0 as usize]
    }

    /// What is kept for a key.
    #[inline]
    pub fn item(&mut self, key: KeyId) -> &mut T {
        &mut self.entries[key.0 as usize].item
    }

    /// Appends the numbers of all keys, in no order that means anything.
    pub fn list(&self, into: &mut Vec<KeyId>) {
        into.extend(self.table.iter());
    }
}

/// Room for so many keys stays when none is left.
const KEPT: usize = 4096;

fn hash_of<T>(entries: &[KeyEntry<T>], key: KeyId, seed: u64) -> u64 {
    xxh3_64_with_seed(entries[key.0 as usize].bytes.as_slice(), seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn batch(names: &[&str]) -> Batch {
        let mut batch = Batch::new(1, b"");
        for name in names {
            let row = batch.push_row(Timestamp(0), Timestamp(0));
            let span = batch.store(name.as_bytes());
            batch.set(row, Slot(0), Value::plain_text(span));
        }
        batch
    }

    fn read(reader: &mut KeyReader, batch: &Batch) {
        let rows: Vec<Row> = (0..batch.len()).map(|row| Row(row as u32)).collect();
        reader.read(batch, &rows);
    }

    fn insert(keys: &mut Keys<u32>, reader: &KeyReader, batch: &Batch) -> KeyId {
        keys.insert(reader, batch, Row(0))
    }

    #[test]
    fn what_was_looked_up_may_go_and_its_number_be_used_again() {
        let mut keys: Keys<u32> = Keys::new(3);
        let mut reader = KeyReader::new(vec![Slot(0)], 3);
        let both = batch(&["a", "a key that is too long to be held in place"]);
        read(&mut reader, &both);
        assert_eq!(keys.find(&reader), None);
        let first = insert(&mut keys, &reader, &both);
        reader.advance();
        let second = insert(&mut keys, &reader, &both);
        read(&mut reader, &both);
        keys.look_ahead(&mut reader);
        assert_eq!(keys.find(&reader), Some(first));
        keys.remove(first);
        assert_eq!(keys.find(&reader), None);
        reader.advance();
        assert_eq!(keys.find(&reader), Some(second));
        let other = batch(&["b"]);
        read(&mut reader, &other);
        assert_eq!(insert(&mut keys, &reader, &other), first, "the number is used again");
        read(&mut reader, &both);
        assert_eq!(keys.find(&reader), None);
        assert_eq!(keys.len(), 2);
    }

    #[test]
    fn fields_come_back_as_they_were() {
        let mut keys: Keys<u32> = Keys::new(3);
        let mut reader = KeyReader::new(vec![Slot(0)], 3);
        let one = batch(&["x"]);
        read(&mut reader, &one);
        let key = insert(&mut keys, &reader, &one);
        let mut out = batch(&["something else"]);
        keys.entry(key).write(&mut out, Row(0), &[Some(Slot(0))]);
        let value = out.get(Row(0), Slot(0));
        assert_eq!(out.text(value), "x");
        assert!(value.is_plain());
    }

    /// Changes put into a map make it what the table holds, whatever happened between.
    #[test]
    fn changes_add_up_to_what_there_is() {
        let mut keys: Keys<u32> = Keys::durable(3, true);
        let mut reader = KeyReader::new(vec![Slot(0)], 3);
        let mut saved: std::collections::BTreeMap<Vec<u8>, u32> = Default::default();
        let mut random = crate::time::Random::seeded(8);
        for _ in 0..3000 {
            let roll = random.bits();
            let one = batch(&[&(roll % 9).to_string()]);
            read(&mut reader, &one);
            match (keys.find(&reader), roll >> 8 & 3) {
                (None, _) => _ = insert(&mut keys, &reader, &one),
                (Some(key), 0) => keys.remove(key),
                (Some(key), _) => {
                    *keys.item(key) = (roll >> 32) as u32;
                    keys.touch(key);
                }
            }
            if roll >> 16 & 7 == 0 {
                let cell = std::cell::RefCell::new(&mut saved);
                keys.take_changes(
                    &mut |gone| assert!(cell.borrow_mut().remove(gone).is_some()),
                    &mut |_, _| panic!("nothing is cold"),
                    &mut |_, entry| _ = cell.borrow_mut().insert(entry.bytes().to_vec(), entry.item),
                );
                let mut all = Vec::new();
                keys.list(&mut all);
                let all = all.into_iter().map(|key| (keys.entry(key).bytes().to_vec(), keys.entry(key).item));
                assert_eq!(all.collect::<std::collections::BTreeMap<_, _>>(), saved);
                let mut restored: Keys<u32> = Keys::durable(4, true);
                for (bytes, item) in &saved {
                    let key = restored.restore(bytes);
                    *restored.item(key) = *item;
                    assert_eq!(restored.find_bytes(bytes), Some(key));
                }
                restored.take_changes(&mut |_| panic!("gone"), &mut |_, _| panic!("cold"), &mut |_, _| {
                    panic!("changed")
                });
            }
        }
    }

    #[test]
    fn memory_is_given_back_and_taken_again() {
        let mut keys: Keys<u32> = Keys::new(3);
        let mut reader = KeyReader::new(vec![Slot(0)], 3);
        let names: Vec<String> = (0..2 * KEPT).map(|i| i.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let many = batch(&names);
        for _ in 0..2 {
            read(&mut reader, &many);
            for _ in &names {
                insert(&mut keys, &reader, &many);
                reader.advance();
            }
            let mut all = Vec::new();
            keys.list(&mut all);
            assert_eq!(all.len(), names.len());
            all.into_iter().for_each(|key| keys.remove(key));
            assert_eq!((keys.len(), keys.entries.len()), (0, 0));
        }
    }
}
