//! Runs a pipeline on events in memory, cut into batches at random.

use crate::restarting::Restarting;
use headwater::config::{Faults, ProcessEnvironment, SourceFile, Surroundings, read_pipeline};
use headwater::dataflow::{
    NodeId, Operator, Polled, Refused, RowSource, Sink, SinkError, SinkId, SourceError, StepId,
};
use headwater::event::Batch;
use headwater::formats::Decoder;
use headwater::plan::{self, Plan};
use headwater::runtime::{self, Instruments, Pipeline, WorkerId};
use headwater::time::{Env, Random, SystemClock};
use serde_json::Value as Json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// How far events are out of order, and how far the watermark lies behind them.
pub const DISORDER: i64 = 40;

/// An event: `t`, `k` and what else a test wants.
#[derive(Clone, Debug)]
pub struct Event {
    pub time: i64,
    pub key: &'static str,
    pub x: Json,
}

impl Event {
    fn line(&self, number: usize) -> String {
        format!("{}\n", serde_json::json!({ "t": self.time, "k": self.key, "x": self.x, "n": number }))
    }
}

/// Events at random; `x` is drawn by `value`.
pub fn events(random: &mut Random, count: usize, mut value: impl FnMut(&mut Random) -> Json) -> Vec<Event> {
    let mut now = 1_000;
    (0..count)
        .map(|_| {
            now += if roll(random, 40) == 0 { 300 } else { roll(random, 12) };
            let key = ["a", "b", "c"][roll(random, 3) as usize];
            Event { time: now - roll(random, 60), key, x: value(random) }
        })
        .collect()
}

/// A number below `below`.
pub fn roll(random: &mut Random, below: i64) -> i64 {
    (random.bits() >> 8) as i64 % below
}

/// The events that are not late, in order of event time, and then of arrival.
pub fn in_order(events: &[Event]) -> Vec<(usize, &Event)> {
    let mut highest = i64::MIN + DISORDER;
    let mut kept: Vec<(usize, &Event)> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        if event.time >= highest - DISORDER {
            kept.push((number, event));
        }
        highest = highest.max(event.time);
    }
    kept.sort_by_key(|(_, event)| event.time);
    kept
}

/// What the pipeline with this transform puts out, with a cut after each batch decided by `seed`, on so many workers.
pub fn run(transform: &str, events: &[Event], workers: usize, seed: u64) -> Vec<Json> {
    run_with(transform, events, workers, seed, None)
}

/// The same; with a seed for `restarts`, operators end at random and others go on with what they saved.
fn run_with(
    transform: &str,
    events: &[Event],
    workers: usize,
    seed: u64,
    restarts: Option<u64>,
) -> Vec<Json> {
    let text = format!(
        "options: {{ parallelism: {workers} }}\n\
         sources: {{ in: {{ stdin: {{}}, event_time: {{ field: t, unit: ms, out_of_order: {DISORDER}ms }} }} }}\n\
         transforms:\n  node:\n    from: in\n{transform}\n\
         sinks: {{ out: {{ from: node, stdout: {{}} }} }}\n"
    );
    run_text(&text, events, seed, restarts).0
}

/// What a pipeline whose one source is standard input puts out by all its sinks, and how many entries of keys are still kept
/// at its end, where there are `restarts`.
pub fn run_text(text: &str, events: &[Event], seed: u64, restarts: Option<u64>) -> (Vec<Json>, usize) {
    let plan = plan(text);
    let lines: Vec<String> = events.iter().enumerate().map(|(number, event)| event.line(number)).collect();
    let (written, left) = (Arc::default(), Arc::default());
    let hands = Hands { plan: &plan, text, lines, seed, restarts, written, left };
    let (clock, stop) = (SystemClock::new(), AtomicBool::new(false));
    let pipeline = Pipeline::open_with(&plan, &clock, &hands, None).unwrap();
    pipeline.run(&clock, &stop, &mut |_| {}).unwrap();
    let written = hands.written.lock().unwrap();
    let lines = std::str::from_utf8(&written).unwrap().lines();
    let rows = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    (rows, hands.left.load(Ordering::Relaxed))
}

fn plan(text: &str) -> Plan {
    let faults = Faults::new(SourceFile::new("p.yaml", text.into()).unwrap());
    let surroundings = Surroundings { environment: &ProcessEnvironment::default(), overrides: &[] };
    let file = read_pipeline(&faults, surroundings);
    let surroundings = plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Default::default() };
    let plan = file.and_then(|file| plan::plan(&file, &surroundings, &faults));
    plan.unwrap_or_else(|| panic!("{text}{:#?}", faults.diagnostics()))
}

/// The test's own source and sink.
struct Hands<'a> {
    plan: &'a Plan,
    text: &'a str,
    lines: Vec<String>,
    seed: u64,
    restarts: Option<u64>,
    written: Arc<Mutex<Vec<u8>>>,
    left: Arc<AtomicUsize>,
}

impl Instruments for Hands<'_> {
    fn operator(&self, worker: WorkerId, step: StepId, operator: Box<dyn Operator>) -> Box<dyn Operator> {
        let keeps = self.plan.draft.steps[step.0 as usize].plan.state().is_some();
        match self.restarts.filter(|_| keeps) {
            None => operator,
            // Operators are started from a plan of their own, for as long as any of them lives.
            Some(seed) => {
                let draft = plan(self.text).draft;
                Box::new(Restarting::new(draft, step, worker.0.into(), seed, self.left.clone()))
            }
        }
    }

    fn rows(&self, _: WorkerId, _: NodeId, _: Box<dyn RowSource>) -> Box<dyn RowSource> {
        Box::new(Cutter {
            lines: self.lines.clone(),
            read: 0,
            random: Random::seeded(self.seed),
            decoder: runtime::decoder(self.plan, &self.plan.sources[0]),
        })
    }

    fn sink(&self, _: SinkId, _: Box<dyn Sink>) -> Box<dyn Sink> {
        Box::new(Collector(self.written.clone()))
    }
}

struct Cutter {
    lines: Vec<String>,
    read: usize,
    random: Random,
    decoder: Box<dyn Decoder>,
}

impl RowSource for Cutter {
    fn open(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn fill(&mut self, batch: &mut Batch, refused: &mut Refused, _: &mut Env) -> Result<Polled, SourceError> {
        if self.read == self.lines.len() {
            return Ok(Polled::End);
        }
        let most = [1, 7, 400][roll(&mut self.random, 3) as usize];
        let end = self.lines.len().min(self.read + 1 + roll(&mut self.random, most) as usize);
        let block = batch.store(self.lines[self.read..end].concat().as_bytes());
        self.decoder.decode(batch, block, true, usize::MAX, &mut refused.unreadable);
        self.read = end;
        Ok(Polled::Data)
    }
}

struct Collector(Arc<Mutex<Vec<u8>>>);

impl Sink for Collector {
    fn open(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Checks that a node gives what the oracle says, key by key: whatever the cuts and the number of workers.
pub fn check(transform: &str, events: &[Event], expected: &[Json], seed: u64) {
    let first = run(transform, events, 1, seed);
    assert_eq!(first, run(transform, events, 1, seed + 1), "cuts matter: seed {seed}, {transform}");
    let restarted =
        [1, 3].map(|workers| (workers, run_with(transform, events, workers, seed, Some(seed + 3))));
    let whole = [(1, first), (3, run(transform, events, 3, seed + 2))];
    for (workers, found) in whole.into_iter().chain(restarted) {
        for key in ["a", "b", "c"] {
            let of_key =
                |rows: &[Json]| -> Vec<Json> { rows.iter().filter(|row| row["k"] == key).cloned().collect() };
            let (found, expected) = (of_key(&found), of_key(expected));
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    alike(found, expected),
                    "seed {seed}, {workers} workers, {transform}\nfound    {found}\nexpected {expected}"
                );
            }
            assert_eq!(found.len(), expected.len(), "seed {seed}, {transform}");
        }
    }
}

/// Checks that a node gives the same whether or not its operators end and others go on.
pub fn check_restarts(transform: &str, events: &[Event], seed: u64) {
    for workers in [1, 3] {
        let sorted = |restarts| {
            let mut rows: Vec<String> =
                run_with(transform, events, workers, seed, restarts).iter().map(Json::to_string).collect();
            rows.sort();
            rows
        };
        let whole = sorted(None);
        assert!(!whole.is_empty());
        assert_eq!(sorted(Some(seed)), whole, "seed {seed}, {workers} workers, {transform}");
    }
}

/// Whether two values are equal, floats nearly. Fields that are not expected do not matter.
fn alike(found: &Json, expected: &Json) -> bool {
    match (found, expected) {
        (Json::Object(found), Json::Object(expected)) => {
            expected.iter().all(|(name, value)| alike(found.get(name).unwrap_or(&Json::Null), value))
        }
        (Json::Number(a), Json::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
        }
        _ => found == expected,
    }
}
