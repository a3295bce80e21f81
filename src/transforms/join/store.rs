//! The rows of both sides that wait for a partner, by key, across restarts.
//!
//! Each row is an entry of its own, so that a checkpoint writes only rows that came since; what came and went since costs
//! nothing.

use crate::config::StateTtl;
use crate::dataflow::{
    Awaits, Keeper, KeptRow, KeyId, KeyedState, MAIN, OpenPane, RowForm, Saved, Saving, StartContext,
};
use crate::event::bytes::{Malformed, Reader, put_number, put_time};
use crate::event::{Batch, Row, Slot, is_key, split_key};
use crate::time::{Interval, Timestamp};
use std::cell::{Cell, RefCell};
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
pub struct Sides {
    /// Those of each side.
    pub rows: [VecDeque<Waiting>; 2],
    /// The age of the key as it was saved.
    age: Cell<Option<Timestamp>>,
}

impl Sides {
    fn insert(&mut self, side: usize, waiting: Waiting) {
        let rows = &mut self.rows[side];
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
    /// Whether keys have an age.
    forgets: bool,
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
            forgets: false,
            changes: 0,
            saved: 0,
            gone: Vec::new(),
        }
    }

    /// The same, but it forgets a key that had no row of either side for that long, with all rows of it.
    pub fn forgetting(self, ttl: StateTtl) -> Store {
        Store { keys: self.keys.forgetting(ttl), forgets: ttl.0.is_some(), ..self }
    }

    /// Forgets the keys whose time is over by then.
    pub fn reach(&mut self, watermark: Timestamp) {
        while let Some(key) = self.keys.take_old(watermark) {
            for side in 0..2 {
                while self.take_first(key, side).is_some() {}
            }
            self.keys.forget(key);
        }
    }

    /// The key at hand, which is that of the row; it is there from now on.
    pub fn key(&mut self, batch: &Batch, row: Row) -> KeyId {
        self.reach(batch.watermarks[row.index()]);
        match self.keys.meet(batch, row) {
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
        let waiting = &mut self.keys.item(key).rows[side][position];
        if std::mem::replace(&mut waiting.matched, true) {
            return false;
        }
        self.changes += 1;
        waiting.changed = self.changes;
        true
    }

    /// The time of the first row of a side.
    pub fn first(&self, key: KeyId, side: usize) -> Option<Timestamp> {
        self.keys.entry(key).item.rows[side].front().map(|first| first.row.time)
    }

    /// Takes the first row of a side out.
    pub fn take_first(&mut self, key: KeyId, side: usize) -> Option<Waiting> {
        let first = self.keys.item(key).rows[side].pop_front()?;
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
        let (saved, forms, into) = (self.saved, &self.forms, RefCell::new(into));
        let forget = &mut |key: &[u8]| {
            if self.forgets {
                into.borrow_mut().remove(key, &[AGE]);
            }
        };
        self.keys.take_aged_changes(forget, &mut |entry, age| {
            let mut into = into.borrow_mut();
            if let Some(age) = age.filter(|age| entry.item.age.replace(Some(*age)) != Some(*age)) {
                into.put(entry.bytes(), &[AGE], |bytes| put_time(bytes, age));
            }
            for (side, rows) in entry.item.rows.iter().enumerate() {
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
        let mut reader = Reader::new(value);
        if part == [AGE] {
            let age = reader.time()?;
            reader.finish()?;
            self.load_age(bytes, age);
            return Ok(None);
        }
        let mut part = Reader::new(part);
        let (side, number) = (usize::from(part.flag()?), part.number()?);
        part.finish()?;
        if number > MOST_ARRIVED {
            return Err(Malformed("no number of a row"));
        }
        let matched = reader.flag()?;
        let row = self.forms[side].take(&mut reader)?;
        reader.finish()?;
        let found = self.keys.find_bytes(bytes);
        let key = found.unwrap_or_else(|| {
            let key = self.keys.restore(bytes, Sides::default(), None);
            self.keys.restore_age(key, None);
            key
        });
        let time = row.time;
        self.keys.item(key).insert(side, Waiting { row, matched, number, changed: number });
        self.changes = self.changes.max(number);
        self.saved = self.changes;
        Ok(Some(Loaded { key, side, time, matched }))
    }

    /// Takes back the age of a key, which comes behind its rows.
    fn load_age(&mut self, key: &[u8], age: Timestamp) {
        match self.keys.find_bytes(key).filter(|_| self.forgets) {
            Some(key) => {
                self.keys.item(key).age.set(Some(age));
                self.keys.restore_age(key, Some(age));
            }
            // Keys had an age, and have none any more.
            None => self.gone.push((key.into(), vec![AGE])),
        }
    }

    /// What is done next, at which watermark, and for which window, as a key says it.
    pub fn awaits(
        &self,
        watermark: Timestamp,
        next: impl Fn(KeyId) -> Option<(Timestamp, Option<Interval>)>,
    ) -> Awaits {
        let all = self.keys.list().into_iter().filter_map(|key| Some((key, next(key)?)));
        let open = all.map(|(key, (due, window))| (due, self.keys.entry(key).bytes(), window));
        let first = open.min_by_key(|(due, key, _)| (*due, *key));
        let earliest =
            first.map(|(due, key, window)| OpenPane { key: Some(key.into()), window, due, trigger: None });
        Awaits { trigger: "watermark".to_owned(), watermark, earliest }
    }
}

/// What tells the age of a key from its rows.
const AGE: u8 = 2;

/// What tells a row from others of its key.
fn part(side: usize, number: u64) -> Vec<u8> {
    let mut part = vec![side as u8];
    put_number(&mut part, number);
    part
}
