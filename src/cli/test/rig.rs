//! A pipeline under test: real operators on one worker, virtual time, events from the test, outputs tapped.

use super::case::{Case, Payload};
use super::feed::{Feed, Queue};
use super::tap::Tap;
use crate::dataflow::{Refused, RowSource, SharedSink, Signal};
use crate::event::{Batch, Row};
use crate::plan::{Plan, SourceNode};
use crate::runtime::{self, Driver, Intake, Step};
use crate::sinks::DropSink;
use crate::time::{Clock, Env, Millis, Random, Timestamp, VirtualClock};
use crate::watermark::{EventTime, LONGEST_POLL_GAP, Progress, WatermarkTracker};
use serde_json::Value;

/// Chance is the same in every run of a test.
const SEED: u64 = 1;

/// A started pipeline whose sources and sinks are the test's.
pub struct Rig {
    clock: VirtualClock,
    driver: Driver,
    inputs: Vec<Input>,
    taps: Vec<(String, Tap)>,
}

struct Input {
    name: String,
    intake: Intake,
    queue: Queue,
}

impl Rig {
    /// Starts a plan for a test; nothing is opened.
    pub fn start(plan: &Plan, case: &Case) -> Rig {
        let start = case.now.or_else(|| first_time(plan, case)).unwrap_or(Timestamp(0));
        let taps: Vec<(String, Tap)> =
            plan.taps.iter().map(|(name, _)| (name.clone(), Tap::default())).collect();
        let sinks: Vec<SharedSink> = (0..plan.sinks.len())
            .map(|number| {
                let tapped = plan.taps.iter().position(|(_, sink)| sink.0 as usize == number);
                SharedSink::new(tapped.map_or(Box::new(DropSink), |tap| taps[tap].1.sink()))
            })
            .collect();
        let env = Env { now: start, elapsed: Millis::ZERO, random: Random::seeded(SEED) };
        let driver = runtime::start_driver(plan, &sinks, env);
        let inputs = plan.sources.iter().map(|source| Input::new(plan, source, case.auto_watermark));
        let mut rig = Rig { clock: VirtualClock::new(start), driver, inputs: inputs.collect(), taps };
        rig.poll();
        rig
    }

    /// Sends an event to a source and lets it run through.
    pub fn send(&mut self, source: &str, payload: Payload) {
        self.with(source, |rig, number| {
            rig.inputs[number].queue.push(payload);
            rig.settle(number);
        });
    }

    /// Moves the watermark of a source.
    pub fn watermark(&mut self, source: &str, watermark: Timestamp) {
        self.with(source, |rig, number| rig.inputs[number].intake.advance_to(&mut rig.driver, watermark));
    }

    /// Ends a source.
    pub fn close(&mut self, source: &str) {
        self.with(source, |rig, number| {
            rig.inputs[number].queue.close();
            rig.settle(number);
        });
    }

    /// Lets processing time go on, in steps in which a worker would have polled its sources.
    pub fn advance(&mut self, span: Millis) {
        let mut left = span;
        while left > Millis::ZERO {
            let slice = left.min(LONGEST_POLL_GAP);
            self.clock.advance(slice);
            self.poll();
            left = Millis(left.0 - slice.0);
        }
    }

    /// What an output put out since this was last asked.
    pub fn take(&mut self, output: &str) -> Vec<Value> {
        for input in &mut self.inputs {
            input.intake.signal(&mut self.driver, Signal::Flush);
        }
        let tap = self.taps.iter().find(|(name, _)| name == output);
        tap.map(|(_, tap)| tap.take()).unwrap_or_default()
    }

    fn with(&mut self, source: &str, work: impl FnOnce(&mut Rig, usize)) {
        self.driver.env().now = self.clock.wall();
        self.driver.env().elapsed = self.clock.elapsed();
        if let Some(number) = self.inputs.iter().position(|input| input.name == source) {
            work(self, number);
        }
    }

    /// Asks every source that has not ended.
    fn poll(&mut self) {
        self.driver.env().now = self.clock.wall();
        self.driver.env().elapsed = self.clock.elapsed();
        (0..self.inputs.len()).for_each(|number| self.settle(number));
        for input in &mut self.inputs {
            input.intake.signal(&mut self.driver, Signal::Tick);
        }
    }

    /// Reads a source until it has nothing more at hand.
    fn settle(&mut self, number: usize) {
        let intake = &mut self.inputs[number].intake;
        while !intake.has_ended() {
            // A feed never fails.
            let step = intake.step(&mut self.driver, &self.clock);
            if step.is_err() || matches!(step, Ok(Step::Idle)) {
                return;
            }
        }
    }
}

impl Input {
    fn new(plan: &Plan, source: &SourceNode, auto_watermark: bool) -> Input {
        let queue = Queue::default();
        let feed: Box<dyn RowSource> = Box::new(Feed::new(plan, source, queue.clone()));
        let tracker = match auto_watermark {
            true => source.timing.tracker(1),
            false => WatermarkTracker::new(Progress::Explicit, None, 1),
        };
        let intake = runtime::intake(plan, source, vec![feed], tracker);
        Input { name: plan.nodes[source.node.0 as usize].name.clone(), intake, queue }
    }
}

/// The time of the first event that has one.
fn first_time(plan: &Plan, case: &Case) -> Option<Timestamp> {
    let mut probes: Vec<Probe> = plan.sources.iter().map(|source| Probe::new(plan, source)).collect();
    case.sent().find_map(|sent| {
        let name = |probe: &Probe| &plan.nodes[probe.source.node.0 as usize].name;
        let probe = probes.iter_mut().find(|probe| *name(probe) == sent.source)?;
        probe.time(plan, sent.payload.clone())
    })
}

/// Reads the times of events before anything runs.
struct Probe<'p> {
    source: &'p SourceNode,
    feed: Feed,
    queue: Queue,
}

impl<'p> Probe<'p> {
    fn new(plan: &Plan, source: &'p SourceNode) -> Probe<'p> {
        let queue = Queue::default();
        Probe { source, feed: Feed::new(plan, source, queue.clone()), queue }
    }

    fn time(&mut self, plan: &Plan, payload: Payload) -> Option<Timestamp> {
        let EventTime::Read { slot, reader } = &self.source.timing.time else { return None };
        let stage = &plan.draft.stages[self.source.stage.0 as usize];
        let mut batch = Batch::new(stage.slots.len(), &stage.constants);
        let mut env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(SEED) };
        let mut refused = Refused::default();
        self.queue.push(payload);
        // A feed never fails.
        self.feed.fill(&mut batch, &mut refused, &mut env).ok()?;
        let mut rows: Vec<Row> = (0..batch.len() as u32).map(Row).collect();
        for (slot, mut program) in self.source.prepare.clone() {
            program.store(&mut batch, &mut rows, slot, &mut env, &mut refused.rows);
        }
        rows.into_iter().find_map(|row| reader.read(&batch, batch.get(row, *slot)).ok())
    }
}
