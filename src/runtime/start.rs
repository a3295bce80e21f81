//! Opens what a plan names and puts workers together.

use super::driver::{Driver, Stage, Step};
use super::exchange::{Frontiers, Mail, Mailbox, Outgoing, WorkerId};
use super::inlet::{Inlet, Onward};
use super::instruments::{Instruments, Plain};
use super::intake::{Intake, IntakeParts};
use super::merge::{Merge, MergeOrder};
use super::rejected::RejectPort;
use super::stats::{Counters, NodeCounts};
use super::worker::{Shared, Worker};
use crate::dataflow::{
    Copier, Copies, Next, Origin, RowSource, SharedSink, SinkId, SinkStatus, StageDraft, StageId,
    StartContext, StepDraft, StepId, Target,
};
use crate::event::{Layer, Slot, View};
use crate::plan::{Plan, SourceNode};
use crate::time::{Clock, Env, Random};
use crate::watermark::WatermarkTracker;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Opens all sinks of a plan.
///
/// # Errors
/// What could not be opened and why.
fn open_sinks(plan: &Plan, instruments: &dyn Instruments) -> Result<Vec<SharedSink>, String> {
    plan.sinks
        .iter()
        .enumerate()
        .map(|(id, node)| {
            let sink = node.plan.sink(node.preamble.clone());
            let mut sink = instruments.sink(SinkId(id as u16), sink);
            let name = &plan.nodes[node.node.0 as usize].name;
            sink.open().map_err(|error| format!("sink `{name}`: {error}"))?;
            Ok(SharedSink::new(sink))
        })
        .collect()
}

/// How a worker stands among the others.
struct Place<'a> {
    me: usize,
    mail: &'a Mail,
    /// The order of merges: canonical unless something is live.
    order: MergeOrder,
    env: Env,
    hash_seed: u64,
    /// Whether state is kept across restarts.
    durable: bool,
    instruments: &'a dyn Instruments,
}

/// A driver over all stages of a plan, for one worker that works alone. Unions take rows in the order in which they
/// come, as the caller decides it.
pub fn start_driver(plan: &Plan, sinks: &[SharedSink], env: Env) -> Driver {
    let (mail, _) = Mail::new(1);
    let hash_seed = env.random.clone().bits();
    let order = MergeOrder::Arrival;
    driver(
        plan,
        sinks,
        &Place { me: 0, mail: &mail, order, env, hash_seed, durable: false, instruments: &Plain },
    )
}

fn driver(plan: &Plan, sinks: &[SharedSink], place: &Place<'_>) -> Driver {
    let draft = &plan.draft;
    let groups: Vec<Vec<StageId>> = draft.stages.iter().map(groups).collect();
    let stages = draft.stages.iter().enumerate().map(|(number, stage)| {
        let id = StageId(number as u16);
        let joins = joins(&groups, draft, id);
        let inlet = is_joined(draft, id).then(|| inlet(id, stage, &groups[number], place));
        Stage::new(stage.slots.len(), &stage.constants, stage.roots.clone(), joins, inlet)
    });
    let stages = stages.collect();
    let ends = draft.node_ends();
    let steps = (0..).map(StepId).zip(ends).take(draft.steps.len());
    let steps = steps.map(|(step, ends)| start_step(plan, step, ends, sinks, place)).collect();
    Driver::new(stages, steps, plan.nodes.len(), place.env.clone(), plan.secrets.clone())
}

fn start_step(plan: &Plan, id: StepId, ends: (bool, bool), sinks: &[SharedSink], place: &Place<'_>) -> Step {
    let step = &plan.draft.steps[id.0 as usize];
    let hash_seed = place.hash_seed;
    let context =
        StartContext { outputs: &step.outputs, draft: &plan.draft, sinks, hash_seed, durable: place.durable };
    let worker = WorkerId(place.me as u16);
    let operator = place.instruments.operator(worker, id, step.plan.start(&context));
    let rejected = step.rejected.as_ref().and_then(|view| {
        let stage = plan.rejected.get(&step.node)?;
        Some(RejectPort::new(*stage, &plan.nodes[step.node.0 as usize].name, view))
    });
    Step::new(operator, step.node, step.outputs.clone(), rejected, ends)
}

/// The stages that a stage takes rows from by copying: the groups of its inputs.
fn groups(stage: &StageDraft) -> Vec<StageId> {
    let Origin::Copied(points) = &stage.origin else { return Vec::new() };
    let mut groups: Vec<StageId> = Vec::new();
    for point in points {
        if !groups.contains(&point.stage) {
            groups.push(point.stage);
        }
    }
    // Sources are read in the order in which they stand in the file, and of equals the first is awaited.
    groups.sort();
    groups
}

/// Whether rows come into the stage by a join, not from an operator that copies them itself.
fn is_joined(draft: &crate::dataflow::Draft, id: StageId) -> bool {
    let into = |next: &Next| matches!(next, Next::Join(stage, _) if *stage == id);
    let from_step = |step: &StepDraft| {
        step.outputs.iter().any(|(_, target)| matches!(target, Target::Pass(all) if all.iter().any(into)))
    };
    draft.stages.iter().any(|stage| stage.roots.iter().any(into)) || draft.steps.iter().any(from_step)
}

/// The joined stages that take rows of this one, with the number of the group that it is there.
fn joins(groups: &[Vec<StageId>], draft: &crate::dataflow::Draft, id: StageId) -> Vec<(StageId, usize)> {
    let all = groups.iter().enumerate().map(|(number, from)| (StageId(number as u16), from));
    let joined = all.filter(|(stage, _)| is_joined(draft, *stage));
    joined.filter_map(|(stage, from)| Some((stage, from.iter().position(|f| *f == id)?))).collect()
}

fn inlet(id: StageId, stage: &StageDraft, groups: &[StageId], place: &Place<'_>) -> Inlet {
    let Origin::Copied(points) = &stage.origin else { unreachable!("only copied stages are joined") };
    let group_of: Vec<usize> = points
        .iter()
        .map(|point| groups.iter().position(|g| *g == point.stage).unwrap_or_default())
        .collect();
    let same: Vec<(Slot, Slot)> =
        (0..stage.slots.len() as u16).map(|slot| (Slot(slot), Slot(slot))).collect();
    let merge = |inputs: usize| Merge::new(place.order, vec![same.clone(); inputs], !stage.whole.is_empty());
    let onward = match &stage.exchange {
        Some(key) => {
            let incoming = merge(place.mail.workers());
            Onward::Exchange(Outgoing::new(
                id,
                WorkerId(place.me as u16),
                key.clone(),
                place.mail.clone(),
                incoming,
            ))
        }
        None if groups.len() > 1 => Onward::Merge(merge(groups.len()), groups.iter().map(|_| None).collect()),
        None => Onward::Stage,
    };
    Inlet::new(&stage.copies, group_of, onward)
}

/// A pipeline whose sources and sinks are open.
pub struct Pipeline {
    nodes: usize,
    sinks: Vec<SharedSink>,
    workers: Vec<Worker>,
    reports: Vec<Mutex<Counters>>,
    failure: Mutex<Option<String>>,
}

impl Pipeline {
    /// Opens everything that the plan names; spawns nothing.
    ///
    /// # Errors
    /// What could not be opened and why.
    pub fn open(plan: &Plan, clock: &dyn Clock) -> Result<Pipeline, String> {
        Pipeline::open_with(plan, clock, &Plain)
    }

    /// The same with instruments around its parts.
    ///
    /// # Errors
    /// What could not be opened and why.
    pub fn open_with(
        plan: &Plan,
        clock: &dyn Clock,
        instruments: &dyn Instruments,
    ) -> Result<Pipeline, String> {
        // Sources first: a missing input file must not empty the output of the last run.
        let count = plan.parallelism;
        let mut partitions = open_sources(plan, count, instruments)?;
        let sinks = open_sinks(plan, instruments)?;
        let (mail, mailboxes) = Mail::new(count);
        let live = plan.sources.iter().any(|source| source.plan.is_live());
        let order = if live { MergeOrder::Arrival } else { MergeOrder::Canonical };
        let hash_seed = clock.entropy();
        let workers = mailboxes.into_iter().enumerate().map(|(me, mailbox)| {
            let random = Random::seeded(clock.entropy());
            let env = Env { now: clock.wall(), elapsed: clock.elapsed(), random };
            let place = Place { me, mail: &mail, order, env, hash_seed, durable: false, instruments };
            let shares = partitions.iter_mut().map(|source| std::mem::take(&mut source[me])).collect();
            worker(plan, &sinks, &place, shares, mailbox)
        });
        let workers = workers.collect();
        let reports = (0..count).map(|_| Mutex::new(Counters::new(plan.nodes.len()))).collect();
        Ok(Pipeline { nodes: plan.nodes.len(), sinks, workers, reports, failure: Mutex::new(None) })
    }

    /// Runs all workers to the end of input, until `stop` is set, or until nobody reads a sink any more. `watch` is called
    /// from this thread every now and then while they run, with what the nodes have counted so far. `stop` is only looked
    /// at: other pipelines may go by the same flag.
    ///
    /// # Errors
    /// Why the pipeline failed.
    pub fn run(
        mut self,
        clock: &dyn Clock,
        stop: &AtomicBool,
        watch: &mut dyn FnMut(&[NodeCounts]),
    ) -> Result<Vec<NodeCounts>, String> {
        let workers = std::mem::take(&mut self.workers);
        let frontiers = Frontiers::new(workers.len());
        let (sinks, reports, failure) = (&self.sinks[..], &self.reports[..], &self.failure);
        let ended = AtomicBool::new(false);
        let delivered = &AtomicUsize::new(0);
        let shared =
            Shared { clock, stop, delivered, ended: &ended, frontiers: &frontiers, sinks, reports, failure };
        let intakes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                workers.into_iter().map(|worker| scope.spawn(|| worker.run(&shared))).collect();
            while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                clock.wait(super::worker::WATCH_EVERY);
                watch(&self.counts());
            }
            // One that panicked has left its failure behind.
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        let arrived = self.close_sinks(&shared);
        if arrived {
            intakes.into_iter().for_each(|mut intake| intake.close());
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            Some(message) => Err(message),
            None => Ok(self.counts()),
        }
    }

    /// Waits until all that was written has arrived; not for long where somebody wants an end, or where the pipeline has
    /// failed. Tells whether all went well.
    fn close_sinks(&self, shared: &Shared<'_>) -> bool {
        let stopped = || shared.stop.load(Ordering::Relaxed) || shared.has_failed();
        for sink in &self.sinks {
            sink.close(&stopped);
            if let SinkStatus::Failed(message) = sink.status() {
                shared.fail(message);
            }
        }
        !shared.has_failed() && self.sinks.iter().all(|sink| sink.status() == SinkStatus::Open)
    }

    /// What the nodes have counted, over all workers.
    fn counts(&self) -> Vec<NodeCounts> {
        let mut counts = vec![NodeCounts::default(); self.nodes];
        for report in &self.reports {
            let report = report.lock().unwrap_or_else(PoisonError::into_inner);
            counts.iter_mut().zip(report.nodes()).for_each(|(sum, part)| sum.add(part));
        }
        counts
    }
}

/// The partitions of every source, opened, by worker.
type Partitions = Vec<Vec<Vec<Box<dyn RowSource>>>>;

fn open_sources(plan: &Plan, workers: usize, instruments: &dyn Instruments) -> Result<Partitions, String> {
    plan.sources
        .iter()
        .map(|source| {
            let mut shares: Vec<Vec<Box<dyn RowSource>>> = (0..workers).map(|_| Vec::new()).collect();
            let name = &plan.nodes[source.node.0 as usize].name;
            let failed = |error| format!("source `{name}`: {error}");
            let found = source.plan.found().map_err(failed)?;
            let source_plan = found.as_deref().unwrap_or(&*source.plan);
            let partitions = source_plan.partitions();
            for number in 0..partitions {
                // Neighbours stay together: rows with equal watermarks then come in the order of their partitions.
                let worker = WorkerId((number * workers / partitions) as u16);
                let decoder = || instruments.decoder(worker, source.node, decoder(plan, source));
                let rows = source_plan.partition(number, &decoder);
                let mut rows = instruments.rows(worker, source.node, rows);
                rows.open().map_err(failed)?;
                shares[worker.0 as usize].push(rows);
            }
            Ok(shares)
        })
        .collect()
}

/// A decoder of what the plan wants of a source.
pub fn decoder(plan: &Plan, source: &SourceNode) -> Box<dyn crate::formats::Decoder> {
    let wanted =
        source.decoding.map(|id| plan.draft.decodings[id.0 as usize].wanted.clone()).unwrap_or_default();
    let decoder = match source.plan.gives_records() {
        true => source.format.record_decoder(&wanted),
        false => source.format.decoder(&wanted),
    };
    // Formats that cannot decode are refused when the pipeline is planned.
    decoder.expect("a format that decodes")
}

fn worker(
    plan: &Plan,
    sinks: &[SharedSink],
    place: &Place<'_>,
    shares: Vec<Vec<Box<dyn RowSource>>>,
    mailbox: Mailbox,
) -> Worker {
    let driver = driver(plan, sinks, place);
    let intakes = plan.sources.iter().zip(shares).map(|(source, share)| {
        let tracker = source.timing.tracker(share.len() as u32);
        intake(plan, source, share, tracker)
    });
    let intakes = intakes.collect();
    let exchanges: BTreeSet<usize> =
        (0..plan.draft.stages.len()).filter(|i| plan.draft.stages[*i].exchange.is_some()).collect();
    let exchanges = exchanges.into_iter().map(|i| StageId(i as u16)).collect();
    Worker::new(place.me, driver, intakes, exchanges, place.mail.clone(), mailbox)
}

/// A source at work on one worker: opened partitions, and what tracks their watermarks.
pub fn intake(
    plan: &Plan,
    source: &SourceNode,
    partitions: Vec<Box<dyn RowSource>>,
    tracker: WatermarkTracker,
) -> Intake {
    let stage = &plan.draft.stages[source.stage.0 as usize];
    let cells = (0..stage.slots.len() as u16).map(|slot| (Slot(slot), Slot(slot))).collect();
    let whole = (!stage.whole.is_empty()).then(|| View { layers: vec![Layer::Raw] });
    let rejected = source.rejected.as_ref().and_then(|view| {
        let stage = plan.rejected.get(&source.node)?;
        Some(RejectPort::new(*stage, &plan.nodes[source.node.0 as usize].name, view))
    });
    Intake::new(IntakeParts {
        node: source.node,
        stage: source.stage,
        times: source.timing.assigner(),
        tracker,
        prepare: source.prepare.clone(),
        rejected,
        copier: Copier::new(&Copies { cells, whole }),
        live: source.plan.is_live(),
        partitions,
    })
}
