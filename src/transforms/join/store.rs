//! The rows of both sides that wait for a partner, by key, across restarts.
//!
//! Each row is an entry of its own, so that a checkpoint writes only rows that came since; what came and went since costs
//! nothing.

use crate::dataflow::{Keeper, KeptRow, KeyId, KeyedState, MAIN, RowForm, Saved, Saving, StartContext};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::{Batch, Row, Slot, is_key, split_key};
use crate::time::Timestamp;
use std::collections::VecDeque;

/// More rows than ever arrive.
const MOST_ARRIVED: u64 = 1 << 62;

/// A row that waits.
pub struct Waiting {
    /// What is kept of it.
    pub row: KeptRow,
    /// Whether it has had a partner; noted only where that matters.
    pub matched: bool,
    /// Its number among all changes, those of other rows too.
    number: u64,
    /// The number of its last change.
    changed: u64,
}

/// The rows of one key: of the left and of the right side, each by time and then arrival.
#[derive(Default)]
pub struct Sides(pub [VecDeque<Waiting>; 2]);

impl Sides {
    fn insert(&mut self, side: usize, waiting: Waiting) {
        let rows = &mut self.0[side];
        let order = (waiting.row.time, waiting.number);
        let place = rows.partition_point(|other| (other.row.time, other.number) < order);
        rows.insert(place, waiting);
    }
}

/// A row that was saved and waits again.
pub struct Loaded {
    /// Its key.
    pub key: KeyId,
    /// Its side.
    pub side: usize,
    /// Its time.
    pub time: Timestamp,
    /// Whether it has had a partner.
    pub matched: bool,
}

/// The positions of rows whose times lie between two, both included.
pub fn between(rows: &VecDeque<Waiting>, from: Timestamp, to: Timestamp) -> std::ops::Range<usize> {
    let start = rows.partition_point(|row| row.row.time < from);
    start..rows.partition_point(|row| row.row.time <= to).max(start)
}

/// All rows that wait.
pub struct Store {
    /// By key, with the time at which each is to be looked at.
    pub keys: KeyedState<Sides>,
    /// What is kept of rows of each side.
    pub keepers: [Keeper; 2],
    forms: [RowForm; 2],
    fields: usize,
    durable: bool,
    /// Changes so far.
    changes: u64,
    /// Of those, the ones that are part of what was saved.
    saved: u64,
    /// Key and part of rows that were saved and are gone.
    gone: Vec<(Box<[u8]>, Vec<u8>)>,
}

impl Store {
    /// Nothing waits. The key stands in these slots; rows of the sides go to the inputs of the stage behind [`MAIN`].
    pub fn new(key: &[Slot], context: &StartContext<'_>) -> Store {
        Store {
            keys: KeyedState::durable(key.to_vec(), context.hash_seed, context.durable),
            keepers: [0, 1].map(|side| Keeper::new(&context.copies(MAIN, side))),
            forms: [0, 1].map(|side| context.row_form_of(MAIN, side)),
            fields: key.len(),
            durable: context.durable,
            changes: 0,
            saved: 0,
            gone: Vec::new(),
        }
    }

    /// The key at hand, which is that of the row; it is there from now on.
    pub fn key(&mut self, batch: &Batch, row: Row) -> KeyId {
        match self.keys.find() {
            Some(key) => key,
            None => self.keys.insert(batch, row),
        }
    }

    /// Has a row wait.
    pub fn insert(&mut self, key: KeyId, side: usize, row: KeptRow, matched: bool) {
        self.changes += 1;
        let (number, changed) = (self.changes, self.changes);
        self.keys.item(key).insert(side, Waiting { row, matched, number, changed });
    }

    /// Notes that a row has had a partner. Tells whether it is the first.
    pub fn set_matched(&mut self, key: KeyId, side: usize, position: usize) -> bool {
        let waiting = &mut self.keys.item(key).0[side][position];
        if std::mem::replace(&mut waiting.matched, true) {
            return false;
        }
        self.changes += 1;
        waiting.changed = self.changes;
        true
    }

    /// The time of the first row of a side.
    pub fn first(&self, key: KeyId, side: usize) -> Option<Timestamp> {
        self.keys.entry(key).item.0[side].front().map(|first| first.row.time)
    }

    /// Takes the first row of a side out.
    pub fn take_first(&mut self, key: KeyId, side: usize) -> Option<Waiting> {
        let first = self.keys.item(key).0[side].pop_front()?;
        if self.durable && first.number <= self.saved {
            self.gone.push((self.keys.entry(key).bytes().into(), part(side, first.number)));
        }
        Some(first)
    }

    /// Says what changed.
    pub fn save(&mut self, into: &mut Saving<'_>) {
        for (key, part) in self.gone.drain(..) {
            into.remove(&key, &part);
        }
        if self.changes > self.saved {
            self.forms.iter_mut().for_each(|form| form.save(into));
        }
        let (saved, forms) = (self.saved, &self.forms);
        self.keys.take_changes(&mut |_| {}, &mut |_, _| {}, &mut |entry, _| {
            for (side, rows) in entry.item.0.iter().enumerate() {
                for row in rows.iter().filter(|row| row.changed > saved) {
                    into.put(entry.bytes(), &part(side, row.number), |bytes| {
                        bytes.push(u8::from(row.matched));
                        forms[side].put(&row.row, bytes);
                    });
                }
            }
        });
        self.saved = self.changes;
    }

    /// Takes back what was saved. Returns the row that it was, if it was one.
    ///
    /// # Errors
    /// The bytes are none of that.
    pub fn load(&mut self, saved: Saved<'_>) -> Result<Option<Loaded>, Malformed> {
        let [left, right] = &mut self.forms;
        let known = left.load(saved)?;
        if right.load(saved)? || known {
            return Ok(None);
        }
        let Saved::Keyed { key, value } = saved else {
            return Err(Malformed("nothing that a join keeps"));
        };
        let split = split_key(key, self.fields).filter(|(key, _)| is_key(key, self.fields));
        let (bytes, part) = split.ok_or(Malformed("no key of this join"))?;
        let (mut part, mut reader) = (Reader::new(part), Reader::new(value));
        let (side, number) = (usize::from(part.flag()?), part.number()?);
        part.finish()?;
        if number > MOST_ARRIVED {
            return Err(Malformed("no number of a row"));
        }
        let matched = reader.flag()?;
        let row = self.forms[side].take(&mut reader)?;
        reader.finish()?;
        let found = self.keys.find_bytes(bytes);
        let key = found.unwrap_or_else(|| self.keys.restore(bytes, Sides::default(), None));
        let time = row.time;
        self.keys.item(key).insert(side, Waiting { row, matched, number, changed: number });
        self.changes = self.changes.max(number);
        self.saved = self.changes;
        Ok(Some(Loaded { key, side, time, matched }))
    }
}

/// What tells a row from others of its key.
fn part(side: usize, number: u64) -> Vec<u8> {
    let mut part = vec![side as u8];
    put_number(&mut part, number);
    part
}
