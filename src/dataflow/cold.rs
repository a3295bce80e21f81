//! Keys that memory has no room for: what is kept of them is on the disk until it is asked for.
//!
//! An operator that keeps state by key may drop any key from memory at any time, changed or not: its bytes go to a file
//! that lasts as long as the process ([`Overflow`]), together with when it is due, and that it is to be saved. So what
//! leaves memory depends neither on checkpoints nor on what the store has. A key comes back when an event of it comes or
//! when it is due; at a checkpoint, keys that changed before they left are saved from there.

use crate::event::bytes::Reader;
use crate::state::{Overflow, OverflowChanges, StateError};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::xxh3_64;

/// What operators tell whoever keeps the state.
#[derive(Debug, Default)]
pub struct Pressure {
    pressed: AtomicBool,
    failure: OnceLock<String>,
}

impl Pressure {
    /// Whether so much has changed that it is to be saved before more does.
    pub fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Acquire)
    }

    /// What had changed is saved.
    pub fn release(&self) {
        self.pressed.store(false, Ordering::Release);
    }

    /// Why something could not be read that is not in memory, or not be put there: nothing that was made since may be
    /// saved.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// So much has changed that it is to be saved before more does.
    pub fn press(&self) {
        self.pressed.store(true, Ordering::Release);
    }

    fn fail(&self, error: &StateError) {
        self.failure.get_or_init(|| error.to_string());
    }
}

/// How much memory the state of one operator may take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What is in memory.
    pub live: usize,
    /// What has changed since the last checkpoint, in memory or not.
    pub changed: usize,
}

/// Where an operator puts keys that it has no room for.
#[derive(Clone)]
pub struct ColdKeys {
    overflow: Arc<Overflow>,
    pressure: Arc<Pressure>,
    /// Which of those that share the file.
    operator: u32,
    room: Room,
}

impl ColdKeys {
    /// Into a file that other operators of the same worker use too, each by a number of its own.
    pub fn new(overflow: Arc<Overflow>, pressure: Arc<Pressure>, operator: u32, room: Room) -> ColdKeys {
        ColdKeys { overflow, pressure, operator, room }
    }
}

/// What kind a row of the file is.
#[derive(Clone, Copy)]
enum Kind {
    /// What is kept of a key.
    Entry,
    /// When a key is due: time, rank, key.
    Due,
    /// A key whose entry is to be saved.
    Changed,
    /// A key that was saved and is gone.
    Gone,
}

/// How a key stood when it left memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is part of what was saved.
    pub saved: bool,
    /// Whether it has changed since.
    pub changed: bool,
}

/// When a key is due, and where it stands among those that are due then: ranks of one table are equally long.
pub type Due<'a> = (Timestamp, &'a [u8]);

/// The keys of one operator that are on the disk.
pub struct ColdTable {
    keys: ColdKeys,
    rank_bytes: usize,
    /// What the file does not have yet.
    pending: OverflowChanges,
    pending_bytes: usize,
    /// Which keys may be there: most new keys need not be looked up.
    filter: Filter,
    /// How many keys there are.
    count: usize,
    /// Which are due first: time, rank and key.
    agenda: BTreeSet<Box<[u8]>>,
    /// Whether no others are due.
    whole: bool,
    /// How many checkpoints there were: what had changed before the last one is saved.
    saves: u32,
    /// About how many keys are to be saved or gone.
    changed: usize,
    /// The bytes that a key is saved as, on average.
    average: usize,
}

/// So many bytes are gathered before they are written, or this share of the room: keys lie all over the file, and each
/// write takes a page of it.
const PENDING_BYTES: usize = 64 << 10;
const PENDING_SHARE: usize = 4;
/// The share of the room that the filter takes.
const FILTER_SHARE: usize = 16;
/// So many keys that are due first are known.
const AGENDA: usize = 256;
/// What a key takes in memory beside what is kept of it, about: tables have room for more.
const OVERHEAD: usize = 200;
/// What is kept of a key in memory, as a multiple of what is saved of it.
const EXPANSION: usize = 2;
/// What a key takes on its way to the log beside its bytes, about.
const ON_THE_WAY: usize = 64;
/// The share of memory that keys may take which are brought back at once.
const PART_SHARE: usize = 8;
/// How slowly the average moves.
const INERTIA: usize = 16;

impl ColdTable {
    /// No keys. Ranks have so many bytes.
    pub fn new(keys: ColdKeys, rank_bytes: usize) -> ColdTable {
        let filter = Filter::new(keys.room.live / FILTER_SHARE);
        ColdTable {
            keys,
            rank_bytes,
            pending: OverflowChanges::new(),
            pending_bytes: 0,
            filter,
            count: 0,
            agenda: BTreeSet::new(),
            whole: true,
            saves: 0,
            changed: 0,
            average: 0,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What some key would be saved as has so many bytes.
    pub fn note_size(&mut self, bytes: usize) {
        self.average =
            if self.average == 0 { bytes } else { (self.average * (INERTIA - 1) + bytes).div_ceil(INERTIA) };
    }

    /// How many keys may stay in memory, of so many; fewer where there is no room for all.
    pub fn most(&self, keys: usize) -> usize {
        let each = OVERHEAD + EXPANSION * self.average;
        let fit = self.keys.room.live / each;
        // A quarter goes at once, so that not every batch is followed by a few.
        if keys <= fit { keys } else { fit - fit / 4 }
    }

    /// How many keys that are due at one time are brought back at once.
    pub fn part(&self) -> usize {
        (self.keys.room.live / (OVERHEAD + EXPANSION * self.average) / PART_SHARE).max(1)
    }

    /// So many keys in memory have changed: asks for a checkpoint if that is too much.
    pub fn weigh_changed(&self, hot: usize) {
        if (hot + self.changed) * (ON_THE_WAY + self.average) > self.keys.room.changed {
            self.keys.pressure.press();
        }
    }

    fn row(&self, kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
        let mut row = self.head(kind);
        row.push(0);
        parts.iter().for_each(|part| row.extend_from_slice(part));
        row
    }

    fn head(&self, kind: Kind) -> Vec<u8> {
        let mut head = self.keys.operator.to_be_bytes().to_vec();
        head.push(kind as u8);
        head
    }

    /// What all rows of a kind lie between.
    fn bounds(&self, kind: Kind) -> (Vec<u8>, Vec<u8>) {
        let (head, mut end) = (self.head(kind), self.head(kind));
        end.push(u8::MAX);
        (head, end)
    }

    fn change(&mut self, row: Vec<u8>, value: Option<Vec<u8>>) {
        self.pending_bytes += row.len() + value.as_ref().map_or(0, Vec::len);
        self.pending.insert(row, value);
        if self.pending_bytes >= PENDING_BYTES.max(self.keys.room.live / PENDING_SHARE) {
            self.write();
        }
    }

    fn write(&mut self) {
        if !self.pending.is_empty() {
            let written = self.keys.overflow.write(&self.pending);
            self.watch(written);
            self.pending.clear();
            self.pending_bytes = 0;
        }
    }

    fn watch<T: Default>(&self, outcome: Result<T, StateError>) -> T {
        outcome.unwrap_or_else(|error| {
            self.keys.pressure.fail(&error);
            T::default()
        })
    }

    /// Something that came from here cannot be read: the pipeline ends.
    pub fn fail(&self, error: impl Into<StateError>) {
        self.keys.pressure.fail(&error.into());
    }

    /// A key leaves memory.
    pub fn put(&mut self, key: &[u8], standing: Standing, value: &[u8], due: Option<Due<'_>>) {
        let due = due.map(|(time, rank)| self.due_row(time, rank, key));
        let mut entry = Vec::with_capacity(16 + self.rank_bytes + value.len());
        entry.push(u8::from(standing.saved) | u8::from(standing.changed) << 1 | u8::from(due.is_some()) << 2);
        entry.extend_from_slice(&self.saves.to_le_bytes());
        let when = size_of::<i64>() + self.rank_bytes;
        due.iter().for_each(|due| entry.extend_from_slice(&due[..when]));
        entry.extend_from_slice(value);
        self.change(self.row(Kind::Entry, &[key]), Some(entry));
        if standing.changed {
            self.change(self.row(Kind::Changed, &[key]), Some(Vec::new()));
            self.changed += 1;
        }
        if let Some(due) = due {
            self.change(self.row(Kind::Due, &[&due]), Some(Vec::new()));
            self.note_due(due);
        }
        self.filter.add(key);
        self.count += 1;
    }

    /// Time, rank and key as bytes whose order is theirs.
    fn due_row(&self, time: Timestamp, rank: &[u8], key: &[u8]) -> Box<[u8]> {
        [&ordered(time.0), rank, key].concat().into()
    }

    fn note_due(&mut self, due: Box<[u8]>) {
        if self.whole || self.agenda.last().is_some_and(|last| due < *last) {
            self.agenda.insert(due);
        }
        if self.agenda.len() > 2 * AGENDA {
            while self.agenda.len() > AGENDA {
                self.agenda.pop_last();
            }
            self.whole = false;
        }
    }

    /// A key comes back to memory: how it stands, and its bytes. None if there is none.
    pub fn take(&mut self, key: &[u8]) -> Option<(Standing, Vec<u8>)> {
        if self.count == 0 || !self.filter.may_have(key) {
            return None;
        }
        let row = self.row(Kind::Entry, &[key]);
        let mut entry = self.read(&row)?;
        let when = size_of::<i64>() + self.rank_bytes;
        let (&[flags, a, b, c, d], _) = entry.split_first_chunk::<5>()?;
        let is_newest = u32::from_le_bytes([a, b, c, d]) == self.saves;
        let (was_saved, had_changed) = (flags & 1 == 1, flags & 2 == 2);
        let standing =
            Standing { saved: was_saved || (had_changed && !is_newest), changed: had_changed && is_newest };
        let mut start = 5;
        if flags & 4 == 4 {
            let due: Box<[u8]> = [entry.get(start..start + when)?, key].concat().into();
            start += when;
            self.change(self.row(Kind::Due, &[&due]), None);
            self.agenda.remove(&due);
        }
        if standing.changed {
            self.change(self.row(Kind::Changed, &[key]), None);
            self.changed -= 1;
        }
        self.change(row, None);
        self.count -= 1;
        if self.count == 0 {
            self.filter.clear();
        }
        if self.agenda.is_empty() && !self.whole {
            self.look_through();
        }
        entry.drain(..start);
        Some((standing, entry))
    }

    fn read(&self, row: &[u8]) -> Option<Vec<u8>> {
        match self.pending.get(row) {
            Some(newer) => newer.clone(),
            None => self.watch(self.keys.overflow.get(row)),
        }
    }

    /// Finds out which are due first.
    #[cold]
    fn look_through(&mut self) {
        // What was taken is mostly not gone from the file yet, and to write it for this would be to write often.
        let (head, end) = self.bounds(Kind::Due);
        let start = head.len() + 1;
        let mut agenda = BTreeSet::new();
        let scanned = self.keys.overflow.scan(&head, &end, &mut |row, _| {
            if !self.pending.contains_key(row) {
                agenda.insert(row[start..].into());
            }
            agenda.len() < AGENDA
        });
        self.watch(scanned);
        let newer = self.pending.range(head..end).filter(|(_, value)| value.is_some());
        agenda.extend(newer.map(|(row, _)| Box::from(&row[start..])));
        self.whole = agenda.len() < AGENDA;
        while agenda.len() > AGENDA {
            agenda.pop_last();
        }
        self.agenda = agenda;
    }

    /// Some keys behind one, with their bytes, in order; none behind the last.
    pub fn entries_behind(&mut self, key: Option<&[u8]>) -> Vec<(Box<[u8]>, Vec<u8>)> {
        self.write();
        let (head, end) = self.bounds(Kind::Entry);
        let start = head.len() + 1;
        let behind = key.map_or(head, |key| self.row(Kind::Entry, &[key]));
        let (mut some, mut bytes) = (Vec::new(), 0);
        let scanned = self.keys.overflow.scan(&behind, &end, &mut |row, entry| {
            bytes += row.len() + entry.len();
            let value = self.value(entry).map_or(Vec::new(), <[u8]>::to_vec);
            some.push((row[start..].into(), value));
            bytes < PENDING_BYTES
        });
        self.watch(scanned);
        some
    }

    /// All rows of a kind, without what they begin with, until `visit` has enough.
    fn scan(&mut self, kind: Kind, visit: &mut dyn FnMut(&[u8]) -> bool) {
        self.write();
        let (head, end) = self.bounds(kind);
        let scanned = self.keys.overflow.scan(&head, &end, &mut |row, _| visit(&row[head.len() + 1..]));
        self.watch(scanned);
    }

    /// When the first of them is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.first_due().map(|(time, _, _)| time)
    }

    /// The one that is due first: when, its rank, and which it is.
    pub fn first_due(&self) -> Option<(Timestamp, &[u8], &[u8])> {
        let (time, rest) = self.agenda.first()?.split_first_chunk::<8>()?;
        let (rank, key) = rest.split_at_checked(self.rank_bytes)?;
        Some((Timestamp(unordered(*time)), rank, key))
    }

    /// Keys that were saved are gone from memory for good.
    pub fn bury(&mut self, keys: impl Iterator<Item = impl AsRef<[u8]>>) {
        for key in keys {
            self.change(self.row(Kind::Gone, &[key.as_ref()]), Some(Vec::new()));
            self.changed += 1;
        }
    }

    /// At a checkpoint: tells first of keys that are gone, though some may be there again, then of those that changed
    /// before they left memory.
    pub fn take_changes(&mut self, gone: &mut dyn FnMut(&[u8]), changed: &mut dyn FnMut(&[u8], &[u8])) {
        if self.changed > 0 {
            for kind in [Kind::Gone, Kind::Changed] {
                self.take_rows(kind, gone, changed);
            }
            self.changed = 0;
        }
        self.saves = self.saves.wrapping_add(1);
    }

    fn take_rows(&mut self, kind: Kind, gone: &mut dyn FnMut(&[u8]), changed: &mut dyn FnMut(&[u8], &[u8])) {
        loop {
            let (mut some, mut bytes) = (Vec::new(), 0);
            self.scan(kind, &mut |key| {
                some.push(Box::<[u8]>::from(key));
                bytes += key.len();
                bytes < PENDING_BYTES
            });
            if some.is_empty() {
                return;
            }
            for key in some {
                match kind {
                    Kind::Changed => {
                        let entry = self.read(&self.row(Kind::Entry, &[&key]));
                        let value = entry.as_ref().and_then(|entry| self.value(entry));
                        value.into_iter().for_each(|value| changed(&key, value));
                    }
                    _ => gone(&key),
                }
                let row = self.row(kind, &[&key]);
                self.change(row, None);
            }
        }
    }

    fn value<'a>(&self, entry: &'a [u8]) -> Option<&'a [u8]> {
        let mut reader = Reader::new(entry);
        let flags = reader.byte().ok()?;
        let due = if flags & 4 == 4 { size_of::<i64>() + self.rank_bytes } else { 0 };
        entry.get(5 + due..)
    }
}

/// Says of keys that they were not added, or that they may have been (Bloom 1970, with two bits a key).
struct Filter {
    bits: Vec<u64>,
}

impl Filter {
    fn new(bytes: usize) -> Filter {
        Filter { bits: vec![0; (bytes / size_of::<u64>()).max(1).next_power_of_two()] }
    }

    fn places(&self, key: &[u8]) -> [(usize, u64); 2] {
        let hash = xxh3_64(key);
        [hash, hash.rotate_left(32)]
            .map(|hash| ((hash >> 6) as usize & (self.bits.len() - 1), 1 << (hash & 63)))
    }

    fn add(&mut self, key: &[u8]) {
        self.places(key).into_iter().for_each(|(word, bit)| self.bits[word] |= bit);
    }

    fn may_have(&self, key: &[u8]) -> bool {
        self.places(key).into_iter().all(|(word, bit)| self.bits[word] & bit != 0)
    }

    fn clear(&mut self) {
        self.bits.fill(0);
    }
}

/// A number as bytes in the order of numbers.
pub fn ordered(number: i64) -> [u8; 8] {
    (number as u64 ^ 1 << 63).to_be_bytes()
}

fn unordered(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ 1 << 63) as i64
}
