//! Window operators side by side, stopped and started again from what they saved.

use crate::harness::{Collector, Entry, KEY, Step, columns, push};
use headwater::dataflow::{ColdKeys, Operator, Pressure, Room, Saved, Saving, Signal, group_of, owner_of};
use headwater::event::{Batch, Row, encode_key};
use headwater::state::disk::SimulatedDisk;
use headwater::state::{NodeId, Overflow, StateKey};
use headwater::time::{Env, Millis, Random, Timestamp};
use headwater::windows::{WindowOperator, WindowPlan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All that was saved, as the log would have it.
pub type Store = BTreeMap<StateKey, Box<[u8]>>;

/// What kept state of one worker begins with, see `dataflow/saved.rs`.
const OWN: u8 = 1;

/// Workers, each with an operator of its own.
pub struct Fleet {
    plan: WindowPlan,
    env: Env,
    operators: Vec<WindowOperator>,
    outputs: Vec<Collector>,
    batch: Batch,
    rows: Vec<Vec<Row>>,
    pub store: Store,
    seed: u64,
    /// The last real watermark.
    watermark: i64,
    /// The bytes that an operator may hold in memory, if not all.
    room: Option<usize>,
    pressure: Arc<Pressure>,
}

impl Fleet {
    /// So many workers that know nothing yet.
    pub fn new(plan: &WindowPlan, workers: usize) -> Fleet {
        Fleet::with_room(plan, workers, None)
    }

    /// The same where operators may hold so many bytes in memory.
    pub fn with_room(plan: &WindowPlan, workers: usize, room: Option<usize>) -> Fleet {
        let env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
        let mut fleet = Fleet {
            plan: plan.clone(),
            env,
            operators: Vec::new(),
            outputs: Vec::new(),
            batch: Batch::new(6, b""),
            rows: Vec::new(),
            store: Store::new(),
            seed: 40,
            watermark: i64::MIN,
            room,
            pressure: Arc::default(),
        };
        fleet.restart(workers).expect("nothing to read");
        fleet
    }

    /// Throws all workers away and starts so many from what was saved, with other hashes.
    pub fn restart(&mut self, workers: usize) -> Result<(), headwater::state::Malformed> {
        self.seed += 1;
        let moved = !self.operators.is_empty() && self.operators.len() != workers;
        self.operators.clear();
        for me in 0..workers {
            let mut operator = WindowOperator::durable(self.plan.clone(), self.seed, true);
            if let Some(live) = self.room {
                let overflow = Overflow::create(&SimulatedDisk::new(1), 64 << 10).expect("room");
                let room = Room { live, changed: 1 << 20 };
                operator.spill(ColdKeys::new(Arc::new(overflow), self.pressure.clone(), 3, room));
            }
            for (key, value) in &self.store {
                if let Some(saved) = Saved::read(key.group(), key.key(), value, (me, workers))? {
                    operator.load(saved.moved(moved), &self.env)?;
                }
            }
            operator.loaded();
            self.operators.push(operator);
        }
        if moved {
            self.outputs.iter_mut().for_each(Collector::begin_anew);
        }
        let slots = columns(&self.plan);
        self.outputs.resize_with(workers.max(self.outputs.len()), || Collector::new(slots));
        self.rows.resize_with(workers, Vec::new);
        // What is upstream has kept its watermark, and tells it before anything else.
        let watermark = Signal::Watermark(Timestamp(self.watermark));
        for (operator, out) in self.operators.iter_mut().zip(&mut self.outputs) {
            operator.signal(watermark, out);
        }
        // What belonged to workers that are no more: the others have it now.
        self.store.retain(|key, _| !matches!(key.key(), [OWN, from, ..] if usize::from(*from) >= workers));
        Ok(())
    }

    /// Adds a row to the batch.
    pub fn push(&mut self, id: usize, step: &Step) {
        let row = push(&mut self.batch, id, step);
        let mut key = Vec::new();
        encode_key(&self.batch, row, &[KEY], &mut key);
        if !step.filtered {
            self.rows[owner_of(group_of(&key), self.operators.len())].push(row);
        }
    }

    /// Drives the batch, and the watermark behind it.
    pub fn drive(&mut self, watermark: i64) {
        self.batch.watermark = Timestamp(watermark);
        if watermark < i64::MAX {
            self.watermark = self.watermark.max(watermark);
        }
        for ((operator, rows), out) in self.operators.iter_mut().zip(&mut self.rows).zip(&mut self.outputs) {
            operator.process(&mut self.batch, rows, out);
            operator.signal(Signal::Watermark(Timestamp(watermark)), out);
            operator.signal(Signal::Flush, out);
        }
        self.batch.clear();
    }

    /// Processing time goes on by that, and operators are told.
    pub fn tick(&mut self, span: i64) {
        self.env.elapsed = Millis(self.env.elapsed.0 + span);
        for (operator, out) in self.operators.iter_mut().zip(&mut self.outputs) {
            out.env = self.env.clone();
            operator.signal(Signal::Tick, out);
        }
    }

    /// The input has ended.
    pub fn end(&mut self) {
        self.drive(i64::MAX);
        for (operator, out) in self.operators.iter_mut().zip(&mut self.outputs) {
            operator.signal(Signal::End, out);
        }
        self.outputs.iter_mut().for_each(Collector::harvest);
    }

    /// Saves what changed; returns how many entries that took. Right behind it nothing is left to save.
    pub fn save(&mut self) -> usize {
        let saved = self.save_once();
        assert_eq!(self.save_once(), 0, "nothing has changed since");
        saved
    }

    fn save_once(&mut self) -> usize {
        assert_eq!(self.pressure.failure(), None);
        let mut entries = Vec::new();
        for (worker, operator) in self.operators.iter_mut().enumerate() {
            operator.save(&mut Saving::new(NodeId(7), worker, &self.env, &mut entries));
        }
        let count = entries.len();
        for entry in entries {
            match entry.value {
                Some(value) => _ = self.store.insert(entry.key, value),
                None => assert!(self.store.remove(&entry.key).is_some(), "only what was saved is removed"),
            }
        }
        count
    }

    /// What left since this was asked last, with the watermark before each row.
    pub fn take(&mut self) -> (Vec<Entry>, Vec<i64>) {
        let (mut entries, mut watermarks) = (Vec::new(), Vec::new());
        for out in &mut self.outputs {
            out.harvest();
            entries.append(&mut out.log.entries);
            watermarks.append(&mut out.log.watermarks);
        }
        (entries, watermarks)
    }

    /// What leaves is no longer watched.
    pub fn ignore_outputs(&mut self) {
        self.outputs.iter_mut().for_each(|out| out.strict = false);
    }

    /// Entries of keys.
    pub fn keyed(&self) -> usize {
        self.store.keys().filter(|key| key.key().first() != Some(&OWN)).count()
    }
}
