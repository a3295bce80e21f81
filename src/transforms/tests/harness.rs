//! Drives one operator over random events, cut into batches at will, and writes down what it puts out.

use crate::dataflow::{
    Copies, Draft, MAIN, Operator, Origin, Output, Port, Saved, Saving, Signal, StartContext, StepPlan,
    Target,
};
use crate::event::{Batch, Reason, Row, Slot, Value};
use crate::expr::Type;
use crate::state::{Entry as Change, KeyGroup, NodeId};
use crate::time::{Env, Millis, Random, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Where things stand in the input.
pub const KEY: Slot = Slot(0);
pub const X: Slot = Slot(1);
pub const CONDITION: Slot = Slot(2);
pub const ID: Slot = Slot(3);
/// What an operator may write.
pub const WRITTEN: Slot = Slot(4);

/// A value of `x`. Floats are halves, so that differences are exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Val {
    Null,
    Int(i64),
    Half(i64),
    Text(u8),
}

impl Val {
    pub fn number(self) -> Option<f64> {
        match self {
            Val::Int(int) => Some(int as f64),
            Val::Half(halves) => Some(halves as f64 / 2.0),
            Val::Null | Val::Text(_) => None,
        }
    }
}

/// An event, and the watermark before it.
#[derive(Clone, Debug)]
pub struct Event {
    pub watermark: i64,
    pub time: i64,
    pub key: u8,
    pub x: Val,
    pub condition: Option<bool>,
}

/// Something that an operator put out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The watermark before it.
    pub watermark: i64,
    /// The event's number.
    pub id: usize,
    /// The text in [`WRITTEN`].
    pub written: String,
}

/// All that an operator put out, in order.
#[derive(Debug, Default, PartialEq)]
pub struct Log {
    pub entries: Vec<Entry>,
    pub rejected: Vec<usize>,
    pub dropped: u64,
}

impl Log {
    pub fn ids(&self) -> Vec<usize> {
        self.entries.iter().map(|entry| entry.id).collect()
    }

    pub fn sorted_ids(&self) -> Vec<usize> {
        let mut ids = self.ids();
        ids.sort_unstable();
        ids
    }
}

/// Events of three keys, out of order, some of them late.
pub fn events() -> impl Strategy<Value = Vec<Event>> {
    let x = prop_oneof![
        1 => Just(Val::Null),
        5 => (0..8i64).prop_map(Val::Int),
        3 => (0..16i64).prop_map(Val::Half),
        1 => (b'a'..b'c').prop_map(Val::Text),
    ];
    let condition = prop_oneof![6 => Just(Some(true)), 2 => Just(Some(false)), 1 => Just(None)];
    let event = (0..6i64, 0..12i64, 0..3u8, x, condition, 0..5i64);
    (prop::collection::vec(event, 1..60), 0..16i64).prop_map(|(events, behind)| {
        let (mut now, mut watermark) = (0, i64::MIN);
        let event = |(by, back, key, x, condition, ahead)| {
            now += by;
            let time = now - back + ahead;
            let event = Event { watermark, time, key, x, condition };
            watermark = watermark.max(now - behind);
            event
        };
        events.into_iter().map(event).collect()
    })
}

/// What was saved, as a log of checkpoints would add it up.
#[derive(Default)]
pub struct Kept(BTreeMap<(KeyGroup, Vec<u8>), Box<[u8]>>);

impl Kept {
    /// Asks an operator twice what changed; the second time it must be nothing. Returns the number of entries.
    pub fn save(&mut self, operator: &mut dyn Operator, env: &Env) -> usize {
        let mut changes: Vec<Change> = Vec::new();
        operator.save(&mut Saving::new(NodeId(1), 0, env, &mut changes));
        let count = changes.len();
        operator.save(&mut Saving::new(NodeId(1), 0, env, &mut changes));
        assert_eq!(changes.len(), count, "nothing has changed since");
        for change in changes {
            let key = (change.key.group(), change.key.key().to_vec());
            match change.value {
                Some(value) => _ = self.0.insert(key, value),
                None => assert!(self.0.remove(&key).is_some(), "what goes was there"),
            }
        }
        count
    }

    /// Gives all to a fresh operator, after others had it with faults in it.
    pub fn load(
        &self,
        start: impl Fn(u64) -> Box<dyn Operator>,
        env: &Env,
        random: &mut Random,
    ) -> Box<dyn Operator> {
        for _ in 0..3 {
            let mut broken = start(random.bits());
            let faulty = random.bits() as usize % self.0.len().max(1);
            let roll = random.bits() as usize;
            for (number, ((group, key), value)) in self.0.iter().enumerate() {
                let (mut key, mut value) = (key.clone(), value.to_vec());
                if number == faulty {
                    let bytes = if roll.is_multiple_of(4) { &mut key } else { &mut value };
                    match roll >> 8 & 1 {
                        0 => bytes.truncate((roll >> 9) % (bytes.len() + 1)),
                        _ if bytes.is_empty() => {}
                        _ => {
                            let place = (roll >> 12) % bytes.len();
                            bytes[place] ^= 1 << (roll >> 9 & 7);
                        }
                    }
                }
                let Ok(Some(saved)) = Saved::read(*group, &key, &value, (0, 1)) else { break };
                if broken.load(saved, env).is_err() {
                    break;
                }
            }
            broken.loaded();
            broken.save(&mut Saving::new(NodeId(1), 0, env, &mut Vec::new()));
        }
        let mut operator = start(random.bits());
        for ((group, key), value) in &self.0 {
            let saved = Saved::read(*group, key, value, (0, 1)).expect("readable").expect("this worker's");
            assert_eq!(operator.load(saved, env), Ok(()));
        }
        operator.loaded();
        operator
    }
}

/// When an operator is asked what changed, and when another takes its place.
pub struct Restarts {
    random: Random,
    kept: Kept,
}

impl Restarts {
    pub fn seeded(seed: u64) -> Restarts {
        Restarts { random: Random::seeded(seed), kept: Kept::default() }
    }

    /// Between two batches.
    fn pass(
        &mut self,
        operator: &mut Box<dyn Operator>,
        start: impl Fn(u64) -> Box<dyn Operator>,
        env: &Env,
    ) {
        let roll = self.random.bits() % 4;
        if roll < 2 {
            self.kept.save(&mut **operator, env);
        }
        if roll == 0 {
            *operator = self.kept.load(start, env, &mut self.random);
            assert_eq!(self.kept.save(&mut **operator, env), 0, "what was loaded has not changed");
        }
    }
}

/// Runs a plan over events in batches cut where `cuts` says, and to the end of input. `emits`: what leaves is filled into a
/// batch of another stage, with the event's number in its first column.
pub fn run(plan: &dyn StepPlan, emits: bool, events: &[Event], cuts: impl Fn(usize) -> bool) -> Log {
    run_with(plan, emits, events, cuts, None)
}

/// The same, with restarts.
pub fn run_with(
    plan: &dyn StepPlan,
    emits: bool,
    events: &[Event],
    cuts: impl Fn(usize) -> bool,
    mut restarts: Option<Restarts>,
) -> Log {
    let mut draft = Draft::default();
    let input = draft.stage(Origin::Made { fields: Vec::new(), whole: false });
    let stage = draft.stage(Origin::Copied(Vec::new()));
    draft.slot(stage, "id", Type::INT);
    draft.at(stage).copies = vec![Copies { cells: vec![(ID, Slot(0))], ..Copies::default() }];
    let outputs = [(MAIN, if emits { Target::Emit(stage) } else { Target::Pass(Vec::new()) })];
    let constants = draft.at(input).constants.clone();
    let start = |hash_seed| {
        plan.start(&StartContext {
            outputs: &outputs,
            draft: &draft,
            sinks: &[],
            tables: &[],
            hash_seed,
            worker: (0, 1),
            durable: true,
        })
    };
    let mut operator = start(42);
    let mut out = Collector::new();
    let mut batch = Batch::new(5, &[&constants[..], b"clearedraised"].concat());
    for (id, event) in events.iter().enumerate() {
        push(&mut batch, id, event);
        if cuts(id) || id + 1 == events.len() {
            batch.watermark = Timestamp(events.get(id + 1).map_or(event.watermark, |next| next.watermark));
            drive(&mut *operator, &mut batch, &mut out);
            if let Some(restarts) = &mut restarts {
                restarts.pass(&mut operator, start, &out.env);
            }
        }
    }
    operator.signal(Signal::Watermark(Timestamp::MAX), &mut out);
    out.harvest();
    for entry in out.log.entries.iter().filter(|_| emits) {
        let event = &events[entry.id];
        assert!(event.time >= entry.watermark || event.time < event.watermark, "{event:?} became late");
    }
    assert_eq!(out.log.entries.len() + out.log.rejected.len() + out.log.dropped as usize, events.len());
    out.log
}

fn drive(operator: &mut dyn Operator, batch: &mut Batch, out: &mut Collector) {
    let mut rows: Vec<Row> = (0..batch.len() as u32).map(Row).collect();
    operator.process(batch, &mut rows, out);
    out.harvest();
    for row in rows {
        let written = batch.text(batch.get(row, WRITTEN)).to_owned();
        out.take(batch, row, ID, written);
    }
    operator.signal(Signal::Watermark(batch.watermark), out);
    operator.signal(Signal::Flush, out);
    batch.clear();
}

fn push(batch: &mut Batch, id: usize, event: &Event) {
    let row = batch.push_row(Timestamp(event.time), Timestamp(event.watermark));
    let x = match event.x {
        Val::Null => Value::NULL,
        Val::Int(int) => Value::int(int),
        Val::Half(halves) => Value::float(halves as f64 / 2.0),
        Val::Text(letter) => Value::text(batch.store(&[letter])),
    };
    batch.set(row, KEY, Value::int(i64::from(event.key)));
    batch.set(row, X, x);
    batch.set(row, CONDITION, event.condition.map_or(Value::NULL, Value::bool));
    batch.set(row, ID, Value::int(id as i64));
}

struct Collector {
    env: Env,
    emitted: Batch,
    reached: i64,
    log: Log,
}

impl Collector {
    fn new() -> Collector {
        Collector {
            env: Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) },
            emitted: Batch::new(1, b""),
            reached: i64::MIN,
            log: Log::default(),
        }
    }

    fn take(&mut self, batch: &Batch, row: Row, id: Slot, written: String) {
        let (watermark, id) = (batch.watermarks[row.index()].0, batch.get(row, id).as_int());
        self.log.entries.push(Entry { watermark, id: id.expect("a number") as usize, written });
    }

    /// Writes down what was filled in so far.
    fn harvest(&mut self) {
        let emitted = std::mem::replace(&mut self.emitted, Batch::new(1, b""));
        for row in (0..emitted.len() as u32).map(Row) {
            let watermark = emitted.watermarks[row.index()].0;
            assert!(watermark >= self.reached, "watermarks never go back");
            self.reached = watermark;
            self.take(&emitted, row, Slot(0), String::new());
        }
    }
}

impl Output for Collector {
    fn env(&mut self) -> &mut Env {
        &mut self.env
    }

    fn pass(&mut self, _port: Port, _rows: &[Row]) {
        unreachable!("only routes pass by other ports");
    }

    fn emit(&mut self, _port: Port) -> &mut Batch {
        &mut self.emitted
    }

    fn signal(&mut self, _port: Port, signal: Signal) {
        self.harvest();
        if let Signal::Watermark(watermark) = signal {
            self.reached = self.reached.max(watermark.0);
        }
    }

    fn reject(&mut self, batch: &Batch, row: Row, _reason: Reason) {
        let id = batch.get(row, ID).as_int().expect("a number");
        self.log.rejected.push(id as usize);
    }

    fn discard(&mut self, _reason: &'static str, rows: u64) {
        self.log.dropped += rows;
    }
}
