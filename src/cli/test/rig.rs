//! A pipeline under test: real operators on one worker, virtual time, events from the test, outputs tapped.

use super::case::{Case, Payload};
use super::feed::{Feed, Queue};
use super::tap::Tap;
use crate::dataflow::{Refused, RowSource, SharedSink, SharedTable, Signal, TableDraft};
use crate::event::{Batch, Row};
use crate::plan::{Plan, SourceNode};
use crate::runtime::{self, Driver, Intake, Rehearsal, Step};
use crate::sinks::DropSink;
use crate::state::disk::{Disk, SimulatedDisk};
use crate::time::{Clock, Env, Millis, Random, Timestamp, VirtualClock};
use crate::watermark::{EventTime, LONGEST_POLL_GAP, Progress, WatermarkTracker};
use serde_json::Value;
use std::sync::Arc;

/// Chance is the same in every run of a test.
const SEED: u64 = 1;

/// A started pipeline whose sources and sinks are the test's.
pub struct Rig<'p> {
    plan: &'p Plan,
    auto_watermark: bool,
    clock: VirtualClock,
    /// Outlives the process under test.
    disk: Arc<dyn Disk>,
    started: Started,
    taps: Vec<(String, Tap)>,
    /// What happened to sources since the last checkpoint.
    since: Vec<Happened>,
    /// Sources that had ended by the last checkpoint.
    ended: Vec<String>,
}

/// A process under test.
struct Started {
    driver: Driver,
    inputs: Vec<Input>,
    /// None where the state cannot be kept, which a test must not hide.
    state: Result<Rehearsal, String>,
}

struct Input {
    name: String,
    intake: Intake,
    queue: Queue,
}

/// What happened to a source.
#[derive(Clone)]
enum Happened {
    Sent(String, Payload),
    Watermark(String, Timestamp),
    Closed(String),
}

impl<'p> Rig<'p> {
    /// Starts a plan for a test; nothing is opened.
    pub fn start(plan: &'p Plan, case: &Case) -> Rig<'p> {
        let start = case.now.or_else(|| first_time(plan, case)).unwrap_or(Timestamp(0));
        let taps: Vec<(String, Tap)> =
            plan.taps.iter().map(|(name, _)| (name.clone(), Tap::default())).collect();
        let (clock, disk) = (VirtualClock::new(start), Arc::new(SimulatedDisk::new(SEED)) as Arc<dyn Disk>);
        let started = Started::new(plan, case.auto_watermark, &clock, &disk, &taps);
        let (since, ended) = (Vec::new(), Vec::new());
        let auto_watermark = case.auto_watermark;
        let mut rig = Rig { plan, auto_watermark, clock, disk, started, taps, since, ended };
        rig.poll();
        rig
    }

    /// State becomes durable.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn checkpoint(&mut self) -> Result<(), String> {
        self.flush();
        let Started { driver, inputs, state } = &mut self.started;
        let mut intakes: Vec<&mut Intake> = inputs.iter_mut().map(|input| &mut input.intake).collect();
        state.as_mut().map_err(|error| error.clone())?.save(driver, &mut intakes)?;
        self.taps.iter().for_each(|(_, tap)| tap.keep());
        let closed = self.since.drain(..).filter_map(|happened| match happened {
            Happened::Closed(name) => Some(name),
            _ => None,
        });
        self.ended.extend(closed);
        Ok(())
    }

    /// The process dies and goes on from the last checkpoint: sources give again what they gave since.
    ///
    /// # Errors
    /// State cannot be read.
    pub fn restart(&mut self) -> Result<(), String> {
        self.taps.iter().for_each(|(_, tap)| tap.forget());
        // The state is held by one process at a time.
        self.started.state = Err("the process is gone".to_owned());
        self.started = Started::new(self.plan, self.auto_watermark, &self.clock, &self.disk, &self.taps);
        let Started { driver, inputs, state } = &mut self.started;
        let mut intakes: Vec<&mut Intake> = inputs.iter_mut().map(|input| &mut input.intake).collect();
        state.as_ref().map_err(Clone::clone)?.load(driver, &mut intakes)?;
        for name in self.ended.clone() {
            self.close_now(&name);
        }
        for happened in self.since.clone() {
            match happened {
                Happened::Sent(name, payload) => self.send_now(&name, payload),
                Happened::Watermark(name, watermark) => self.watermark_now(&name, watermark),
                Happened::Closed(name) => self.close_now(&name),
            }
        }
        self.poll();
        Ok(())
    }

    fn flush(&mut self) {
        for input in &mut self.started.inputs {
            input.intake.signal(&mut self.started.driver, Signal::Flush);
        }
    }

    /// Sends an event to a source and lets it run through.
    pub fn send(&mut self, source: &str, payload: Payload) {
        self.since.push(Happened::Sent(source.to_owned(), payload.clone()));
        self.send_now(source, payload);
    }

    fn send_now(&mut self, source: &str, payload: Payload) {
        self.with(source, |started, clock, number| {
            started.inputs[number].queue.push(payload);
            started.settle(clock, number);
        });
    }

    /// Moves the watermark of a source.
    pub fn watermark(&mut self, source: &str, watermark: Timestamp) {
        self.since.push(Happened::Watermark(source.to_owned(), watermark));
        self.watermark_now(source, watermark);
    }

    fn watermark_now(&mut self, source: &str, watermark: Timestamp) {
        self.with(source, |Started { driver, inputs, .. }, _, number| {
            inputs[number].intake.advance_to(driver, watermark);
        });
    }

    /// Ends a source.
    pub fn close(&mut self, source: &str) {
        self.since.push(Happened::Closed(source.to_owned()));
        self.close_now(source);
    }

    fn close_now(&mut self, source: &str) {
        self.with(source, |started, clock, number| {
            started.inputs[number].queue.close();
            started.settle(clock, number);
        });
    }

    /// Lets processing time go on, in steps in which a worker would have polled its sources.
    pub fn advance(&mut self, span: Millis) {
        let mut left = span;
        while left > Millis::ZERO {
            let slice = left.min(LONGEST_POLL_GAP);
            self.clock.advance(slice);
            self.poll();
            left = left - slice;
        }
    }

    /// What an output put out since this was last asked.
    pub fn take(&mut self, output: &str) -> Vec<Value> {
        self.flush();
        let tap = self.taps.iter().find(|(name, _)| name == output);
        tap.map(|(_, tap)| tap.take()).unwrap_or_default()
    }

    fn with(&mut self, source: &str, work: impl FnOnce(&mut Started, &VirtualClock, usize)) {
        self.tell_time();
        if let Some(number) = self.started.inputs.iter().position(|input| input.name == source) {
            work(&mut self.started, &self.clock, number);
        }
    }

    fn tell_time(&mut self) {
        let env = self.started.driver.env();
        (env.now, env.elapsed) = (self.clock.wall(), self.clock.elapsed());
    }

    /// Asks every source that has not ended.
    fn poll(&mut self) {
        self.tell_time();
        let Started { inputs, .. } = &self.started;
        (0..inputs.len()).for_each(|number| self.started.settle(&self.clock, number));
        for input in &mut self.started.inputs {
            input.intake.signal(&mut self.started.driver, Signal::Tick);
        }
    }
}

impl Started {
    fn new(
        plan: &Plan,
        auto_watermark: bool,
        clock: &VirtualClock,
        disk: &Arc<dyn Disk>,
        taps: &[(String, Tap)],
    ) -> Started {
        let sinks: Vec<SharedSink> = (0..plan.sinks.len())
            .map(|number| {
                let tapped = plan.taps.iter().position(|(_, sink)| sink.0 as usize == number);
                SharedSink::new(tapped.map_or(Box::new(DropSink), |tap| taps[tap].1.sink()))
            })
            .collect();
        let random = Random::seeded(SEED);
        let env = Env { now: clock.wall(), elapsed: clock.elapsed(), random };
        let driver = runtime::start_driver(plan, &sinks, &tables(plan), env, true);
        let inputs = plan.sources.iter().map(|source| Input::new(plan, source, auto_watermark));
        Started { driver, inputs: inputs.collect(), state: Rehearsal::find(plan, disk) }
    }

    /// Reads a source until it has nothing more at hand.
    fn settle(&mut self, clock: &VirtualClock, number: usize) {
        let intake = &mut self.inputs[number].intake;
        while !intake.has_ended() {
            // A feed never fails.
            let step = intake.step(&mut self.driver, clock);
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

/// What tables hold. Those that cannot be read were refused.
fn tables(plan: &Plan) -> Vec<SharedTable> {
    let opened = |table: &TableDraft| table.plan.open(&table.layout).ok().and_then(|opened| opened.rows);
    plan.draft.tables.iter().map(|table| SharedTable::new(opened(table))).collect()
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
