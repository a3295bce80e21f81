//! A pipeline from the opening of its sources and sinks to their close.

use super::alignment::alignments;
use super::checkpoint::{
    Barrier, Bell, Coordinating, Coordinator, Delivery, JournalFeed, KeeperHandle, Keeping, Loading, Origins,
    Outlet, OutletOptions, Part, ReturnWay, StateIds, match_nodes, surplus, workers_before,
};
use super::dead_letters::SharedDeadLetters;
use super::exchange::{Frontiers, Mail};
use super::inquiry::{Inquirer, Inquiry};
use super::instruments::{Instruments, Plain};
use super::merge::MergeOrder;
use super::patient::Patient;
use super::reins::Reins;
use super::returned::{ReturnIntake, ReturnPath, Returned};
use super::start::{Partitions, Place, open_sources, worker};
use super::stats::{Counters, NodeCounts};
use super::tables::Tables;
use super::worker::{PanicGuard, Shared, Stepped, WATCH_EVERY, Worker};
use crate::config;
use crate::dataflow::plugin::PluginWatch;
use crate::dataflow::{
    Durable, FrameNumber, Journal, Pressure, Room, SharedSink, SharedTable, Sink, SinkId, SinkStatus, StepId,
};
use crate::plan::Plan;
use crate::state::disk::Disk;
use crate::state::{Epoch, Overflow, StateError};
use crate::time::{Clock, Env, Millis, Random};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ScopedJoinHandle;

/// How keys of a pipeline leave memory.
pub struct Spilling {
    /// Where to.
    pub disk: Arc<dyn Disk>,
    /// Bytes of pages of it that may be in memory.
    pub cache: usize,
    /// How much of its state may be in memory.
    pub room: Room,
}

/// A pipeline whose sources and sinks are open.
pub struct Pipeline {
    workers: Vec<Worker>,
    common: Common,
    coordinator: Option<Coordinator>,
    scripts: PluginWatch,
}

/// What all workers have in common.
struct Common {
    nodes: usize,
    sinks: Vec<SharedSink>,
    reports: Vec<Mutex<Counters>>,
    failure: Mutex<Option<String>>,
    frontiers: Frontiers,
    ended: AtomicBool,
    finished: AtomicUsize,
    delivered: AtomicUsize,
    barrier: Option<Arc<Barrier>>,
    outlets: Vec<Outlet>,
    tables: Tables,
    inquiry: Arc<Inquiry>,
    reins: Arc<Reins>,
}

impl Common {
    fn shared<'a>(&'a self, clock: &'a dyn Clock, stop: &'a AtomicBool) -> Shared<'a> {
        Shared {
            clock,
            stop,
            finished: &self.finished,
            delivered: &self.delivered,
            barrier: self.barrier.as_deref(),
            outlets: &self.outlets,
            ended: &self.ended,
            frontiers: &self.frontiers,
            sinks: &self.sinks,
            reports: &self.reports,
            failure: &self.failure,
            tables: &self.tables,
            inquiry: &self.inquiry,
            reins: &self.reins,
        }
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

    /// Waits until all that was written has arrived; not for long where somebody wants an end, or where the pipeline has
    /// failed. Tells whether all went well.
    /// `closed` is called behind each; those that read what an earlier one rejects come behind it.
    fn close_sinks(&self, shared: &Shared<'_>, mut closed: impl FnMut()) -> bool {
        let stopped = || shared.stop.load(Ordering::Relaxed) || shared.has_failed();
        for sink in &self.sinks {
            sink.close(&stopped);
            closed();
            if let SinkStatus::Failed(message) = sink.status() {
                shared.fail(message);
            }
        }
        !shared.has_failed() && self.sinks.iter().all(|sink| sink.status() == SinkStatus::Open)
    }
}

/// State that was found for a plan.
pub struct Found {
    keeping: Keeping,
    ids: Arc<StateIds>,
    origins: Vec<Origins>,
    feeds: Vec<JournalFeed>,
    /// By sink: where what its target refuses goes.
    ways: Vec<ReturnWay>,
}

impl Found {
    /// Looks up what an earlier run of the plan left, and tells sources of their journals.
    ///
    /// # Errors
    /// State that does not belong to the plan, or cannot be read.
    pub fn find(plan: &mut Plan, keeping: Keeping) -> Result<Found, String> {
        let backend = &keeping.backend;
        let ids = match_nodes(plan, backend, &keeping.may_drop)?;
        let (mut origins, mut feeds) = (Vec::new(), Vec::new());
        for (number, source) in plan.sources.iter_mut().enumerate() {
            let node = ids.sources[number];
            let origin = Origins::of(backend, node).map_err(|error| error.to_string())?;
            if let Durable::Journal(sync) = source.plan.durable() {
                let journal = Arc::new(Journal::behind(FrameNumber(origin.unread.len() as u64)));
                source.plan.journal(journal.clone());
                feeds.push(JournalFeed::new(number, node, journal, sync, &origin.unread));
            }
            origins.push(origin);
        }
        let ways = (0..plan.sinks.len()).map(|number| return_way(plan, number, &keeping, &ids, &mut feeds));
        let ways = ways.collect::<Result<_, StateError>>().map_err(|error| error.to_string())?;
        Ok(Found { keeping, ids: Arc::new(ids), origins, feeds, ways })
    }

    /// Nodes that go on with what was kept under another name: that one, and the node's.
    pub fn renamed(&self) -> Vec<(&str, &str)> {
        self.ids.all_renamed()
    }

    /// Nodes whose state is dropped, as somebody allowed.
    pub fn given_up(&self) -> Vec<&str> {
        self.ids.given_up()
    }
}

/// Where goes what the target of a sink refuses, with what of that an earlier run has not read.
fn return_way(
    plan: &Plan,
    sink: usize,
    keeping: &Keeping,
    ids: &StateIds,
    feeds: &mut Vec<JournalFeed>,
) -> Result<ReturnWay, StateError> {
    let (node, path) = (ids.sinks[sink], ReturnPath::default());
    let is_read = plan.rejected.contains_key(&plan.sinks[sink].node);
    let origin = Origins::of(&keeping.backend, node)?;
    for (number, frame) in origin.resume.unread.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        path.push(Some(number), Returned::decode(&frame)?);
    }
    let journal = Arc::new(Journal::behind(FrameNumber(origin.unread.len() as u64)));
    if is_read || !origin.unread.is_empty() {
        let number = plan.sources.len() + sink;
        feeds.push(JournalFeed::new(number, node, journal.clone(), Millis::ZERO, &origin.unread));
    }
    Ok(ReturnWay { journal: is_read.then_some(journal), path })
}

impl Pipeline {
    /// Opens everything that the plan names; spawns nothing. Keeps no state.
    ///
    /// # Errors
    /// What could not be opened and why.
    pub fn open(plan: &Plan, clock: &dyn Clock) -> Result<Pipeline, String> {
        Pipeline::open_with(plan, clock, &Plain, None)
    }

    /// The same with state that goes on where an earlier run stopped, if there is any.
    ///
    /// # Errors
    /// What could not be opened and why; state that cannot be read.
    pub fn open_keeping(plan: &Plan, clock: &dyn Clock, found: Option<Found>) -> Result<Pipeline, String> {
        Pipeline::open_with(plan, clock, &Plain, found)
    }

    /// The same with instruments around its parts, and with state that goes on where an earlier run stopped.
    ///
    /// # Errors
    /// What could not be opened and why; state that cannot be read.
    pub fn open_with(
        plan: &Plan,
        clock: &dyn Clock,
        instruments: &dyn Instruments,
        mut found: Option<Found>,
    ) -> Result<Pipeline, String> {
        let tables = Tables::open(plan)?;
        // Sources first: a missing input file must not empty the output of the last run.
        let partitions = open_sources(plan, plan.parallelism, instruments)?;
        let meeting = found.as_ref().map(|found| {
            let meeting = Arc::new(Barrier::new(plan.parallelism, found.keeping.backend.epoch()));
            found.feeds.iter().for_each(|feed| feed.ring(meeting.bell().clone()));
            meeting
        });
        let ways = found.as_mut().map(|found| std::mem::take(&mut found.ways)).unwrap_or_default();
        let paths: Vec<ReturnPath> = ways.iter().map(|way| way.path.clone()).collect();
        let kept = found.as_ref().zip(meeting.as_ref()).map(|(found, meeting)| (found, meeting.bell()));
        let (sinks, deliveries) = open_sinks(plan, clock, instruments, kept, ways)?;
        let barrier = meeting;
        let mut workers =
            workers(plan, clock, instruments, (&sinks, tables.shared()), partitions, found.as_ref());
        let count = workers.len();
        workers.iter_mut().take(1).for_each(|first| first.returning(ReturnIntake::of(plan, &sinks, &paths)));
        let outlets = deliveries.iter().map(|delivery| delivery.outlet().clone()).collect();
        let mut coordinator = None;
        if let (Some(found), Some(barrier)) = (found, &barrier) {
            if let Some(spilling) = &found.keeping.spilling {
                spill(plan, spilling, &mut workers, barrier.pressure())?;
            }
            coordinator = Some(load(plan, found, &mut workers, deliveries, barrier, clock)?);
        }
        let common = Common {
            nodes: plan.nodes.len(),
            sinks,
            reports: (0..count).map(|_| Mutex::new(Counters::new(plan.nodes.len()))).collect(),
            failure: Mutex::new(None),
            frontiers: Frontiers::new(count),
            ended: AtomicBool::new(false),
            finished: AtomicUsize::new(0),
            delivered: AtomicUsize::new(0),
            barrier,
            outlets,
            tables,
            inquiry: Arc::default(),
            reins: Arc::default(),
        };
        Ok(Pipeline { workers, common, coordinator, scripts: PluginWatch::new(&plan.plugins) })
    }

    /// Runs all workers to the end of input, until `stop` is set, or until nobody reads a sink any more. `watch` is called
    /// from this thread every now and then while they run, with what the nodes have counted so far. `stop` is only looked
    /// at: other pipelines may go by the same flag.
    ///
    /// # Errors
    /// Why the pipeline failed.
    pub fn run(
        self,
        clock: &dyn Clock,
        stop: &AtomicBool,
        watch: &mut dyn FnMut(&[NodeCounts]),
    ) -> Result<Vec<NodeCounts>, String> {
        let Pipeline { workers, common, mut coordinator, mut scripts } = self;
        common.tables.start()?;
        let shared = common.shared(clock, stop);
        let resting = AtomicBool::new(false);
        let (watcher, over) = (std::thread::current(), AtomicUsize::new(0));
        let run = |worker: Worker| {
            let worker = worker.run(&shared);
            over.fetch_add(1, Ordering::Release);
            watcher.unpark();
            worker
        };
        let workers: Vec<Worker> = std::thread::scope(|scope| {
            let threads: Vec<_> = workers.into_iter().map(|worker| scope.spawn(|| run(worker))).collect();
            let keeper = coordinator.take().map(|keeper| scope.spawn(|| keep(keeper, &shared, &resting)));
            let all = threads.len();
            // One that panicked tells nobody.
            let is_over =
                || over.load(Ordering::Acquire) == all || threads.iter().all(ScopedJoinHandle::is_finished);
            while !is_over() {
                clock.doze(WATCH_EVERY);
                watch(&common.counts());
                scripts.look(clock.elapsed());
            }
            // One that panicked has left its failure behind.
            let workers = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
            resting.store(true, Ordering::Release);
            common.barrier.iter().for_each(|barrier| barrier.bell().ring());
            // What one that panicked has left is not to be written.
            coordinator = keeper.and_then(|keeper| keeper.join().ok());
            workers
        });
        end(&common, workers, coordinator, &shared)
    }

    /// Whether it goes on where an earlier run stopped.
    pub fn goes_on(&self) -> bool {
        self.coordinator.as_ref().is_some_and(|coordinator| coordinator.figures().epoch > Epoch::default())
    }

    /// A way to whoever keeps its state, for other threads; None where none is kept.
    pub fn keeper(&self) -> Option<KeeperHandle> {
        self.coordinator.as_ref().map(Coordinator::handle)
    }

    /// A way to ask its workers while it runs, for other threads.
    pub fn inquirer(&self) -> Inquirer {
        Inquirer::new(self.common.inquiry.clone(), self.workers.len())
    }

    /// What it can be told while it runs.
    pub fn reins(&self) -> Arc<Reins> {
        self.common.reins.clone()
    }

    /// Tells, also while it runs, whether it waits for its tables.
    pub fn loading(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        self.common.tables.loading()
    }

    /// Tells, also while it runs and behind that, whether another copy of this gateway has shut it out.
    pub fn shut_out(&self) -> impl Fn() -> bool + use<> {
        let outlets = self.common.outlets.clone();
        move || outlets.iter().any(Outlet::is_shut_out)
    }

    /// The same, to be driven by hand.
    pub fn into_steps(self) -> Steps {
        Steps { pipeline: self, stop: AtomicBool::new(false), ended: Vec::new() }
    }
}

/// Takes the last checkpoint, and closes sinks and sources.
fn end(
    common: &Common,
    mut workers: Vec<Worker>,
    mut coordinator: Option<Coordinator>,
    shared: &Shared<'_>,
) -> Result<Vec<NodeCounts>, String> {
    if let Some(coordinator) = &mut coordinator {
        finish(coordinator, &mut workers, shared);
        // What targets refuse by then leads to more. After a stop it waits for the next run.
        while !shared.must_stop() && Worker::take_last_returned(&mut workers, shared) {
            finish(coordinator, &mut workers, shared);
        }
    }
    common.tables.close();
    let is_kept = coordinator.is_some();
    let arrived = common.close_sinks(shared, || {
        if !is_kept {
            Worker::take_last_returned(&mut workers, shared);
        }
    });
    if let Some(Err(error)) = coordinator.as_mut().map(|coordinator| coordinator.mark(shared.clock)) {
        shared.fail(error.to_string());
    }
    if arrived {
        let intakes = workers.into_iter().flat_map(Worker::into_intakes);
        intakes.for_each(|mut intake| {
            // All of it is durable where state is kept; where none is, nobody waits for that.
            intake.checkpointed();
            intake.close();
        });
    }
    let failure = common.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    match failure {
        Some(message) => Err(message),
        None => Ok(common.counts()),
    }
}

/// A pipeline without threads: somebody decides who does a step next. For simulation.
pub struct Steps {
    pipeline: Pipeline,
    stop: AtomicBool,
    /// Workers that have come to their end.
    ended: Vec<usize>,
}

impl Steps {
    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.pipeline.workers.len()
    }

    /// A worker does a step.
    ///
    /// # Errors
    /// Why the pipeline failed.
    pub fn step_worker(&mut self, worker: usize, clock: &dyn Clock) -> Result<Stepped, String> {
        let shared = self.pipeline.common.shared(clock, &self.stop);
        let stepped = self.pipeline.workers[worker].step(&shared)?;
        if stepped == Stepped::Ended && !self.ended.contains(&worker) {
            self.ended.push(worker);
        }
        Ok(stepped)
    }

    /// Whoever keeps the state does a step. Tells whether anything was done.
    ///
    /// # Errors
    /// Why the pipeline failed.
    pub fn step_coordinator(&mut self, clock: &dyn Clock) -> Result<bool, String> {
        let Some(coordinator) = &mut self.pipeline.coordinator else { return Ok(false) };
        coordinator.step(clock).map_err(|error| error.to_string())
    }

    /// Whether all workers have come to their end.
    pub fn have_ended(&self) -> bool {
        self.ended.len() == self.workers()
    }

    /// Asks all workers to stop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// After the end of all workers: the last checkpoint, and the close of sinks and sources.
    ///
    /// # Errors
    /// Why the pipeline failed.
    pub fn end(self, clock: &dyn Clock) -> Result<Vec<NodeCounts>, String> {
        let Steps { pipeline: Pipeline { mut workers, common, coordinator, .. }, stop, .. } = self;
        let shared = common.shared(clock, &stop);
        Worker::end_together(&mut workers, &shared);
        end(&common, workers, coordinator, &shared)
    }
}

/// Opens all sinks of a plan; where state is kept, each goes on where it stopped.
fn open_sinks(
    plan: &Plan,
    clock: &dyn Clock,
    instruments: &dyn Instruments,
    kept: Option<(&Found, &Bell)>,
    ways: Vec<ReturnWay>,
) -> Result<(Vec<SharedSink>, Vec<Delivery>), String> {
    let (mut sinks, mut deliveries) = (Vec::new(), Vec::new());
    let mut ways = ways.into_iter();
    for (number, node) in plan.sinks.iter().enumerate() {
        let name = &plan.nodes[node.node.0 as usize].name;
        let failed = |error| format!("sink `{name}`: {error}");
        node.format.prepare_to_write().map_err(|why| format!("sink `{name}`: {why}"))?;
        let sink = node.plan.sink(node.preamble.clone());
        let mut sink = instruments.sink(SinkId(number as u16), sink);
        if let Some(((Found { keeping, ids, .. }, bell), way)) = kept.zip(ways.next()) {
            let exactly_once = node.delivery == config::Delivery::ExactlyOnce;
            let marked = (exactly_once && node.plan.keeps_marker()).then_some(keeping.on_doubt);
            let (name, buffer, retry) = (name.clone(), node.buffer, node.retry);
            let options = OutletOptions { name, exactly_once, marked, buffer, retry, bell: bell.clone() };
            let mut outlet = Outlet::new(sink, options);
            outlet.open().map_err(failed)?;
            let ids = (node.node, ids.sinks[number]);
            let delivery = Delivery::new(ids, (outlet.clone(), way), &keeping.backend, clock);
            let mut delivery = delivery.map_err(|error| error.to_string())?;
            delivery.resume().map_err(failed)?;
            deliveries.push(delivery);
            sink = Box::new(outlet);
        } else {
            sink.open().map_err(failed)?;
            sink = Box::new(Patient::new(sink, name.clone(), node.retry));
        }
        sinks.push(SharedSink::new(sink));
    }
    Ok((sinks, deliveries))
}

fn workers(
    plan: &Plan,
    clock: &dyn Clock,
    instruments: &dyn Instruments,
    (sinks, tables): (&[SharedSink], &[SharedTable]),
    mut partitions: Partitions,
    found: Option<&Found>,
) -> Vec<Worker> {
    let (mail, mailboxes) = Mail::new(plan.parallelism);
    let live = plan.sources.iter().any(|source| source.plan.is_live());
    let order = if live { MergeOrder::Arrival } else { MergeOrder::Canonical };
    let hash_seed = clock.entropy();
    let ids = found.map(|found| (found.ids.clone(), found.keeping.backend.epoch()));
    let alignments = alignments(plan, plan.parallelism);
    let workers = mailboxes.into_iter().enumerate().map(|(me, mailbox)| {
        let random = Random::seeded(clock.entropy());
        let env = Env { now: clock.wall(), elapsed: clock.elapsed(), random };
        let place = Place {
            me,
            mail: &mail,
            order,
            env,
            hash_seed,
            durable: ids.is_some(),
            ids: ids.clone(),
            instruments,
            tables,
            alignments: &alignments,
        };
        let shares = partitions.iter_mut().map(|source| std::mem::take(&mut source[me])).collect();
        worker(plan, sinks, &place, shares, mailbox)
    });
    workers.collect()
}

/// Lets keys leave memory, and says whose cannot.
fn spill(
    plan: &Plan,
    spilling: &Spilling,
    workers: &mut [Worker],
    pressure: &Arc<Pressure>,
) -> Result<(), String> {
    let all = (0..).map(StepId).zip(&plan.draft.steps).filter(|(_, step)| step.plan.state().is_some());
    let (can, cannot): (Vec<_>, Vec<_>) = all.partition(|(_, step)| step.plan.spills());
    for (_, step) in cannot {
        let name = &plan.nodes[step.node.0 as usize].name;
        tracing::warn!("`{name}` keeps all of its state in memory, beyond `limits.memory` too");
    }
    let steps: Vec<StepId> = can.into_iter().map(|(id, _)| id).collect();
    let shares = (workers.len() * steps.len()).max(1);
    let Room { live, changed } = spilling.room;
    let room = Room { live: live / shares, changed: changed / shares };
    for worker in workers.iter_mut().filter(|_| !steps.is_empty()) {
        let overflow = Overflow::create(&*spilling.disk, spilling.cache / shares * steps.len());
        let overflow = Arc::new(overflow.map_err(|error| error.to_string())?);
        worker.spill(&steps, &overflow, pressure, room);
    }
    Ok(())
}

/// Gives workers what an earlier run left.
fn load(
    plan: &Plan,
    found: Found,
    workers: &mut [Worker],
    deliveries: Vec<Delivery>,
    barrier: &Arc<Barrier>,
    clock: &dyn Clock,
) -> Result<Coordinator, String> {
    let Found { mut keeping, ids, origins, feeds, .. } = found;
    let count = workers.len();
    let surplus = surplus(&keeping.backend, &ids, count).map_err(|error| error.to_string())?;
    let before = workers_before(&keeping.backend, &ids).map_err(|error| error.to_string())?;
    let moved = before.is_some_and(|before| before != count);
    for (me, worker) in workers.iter_mut().enumerate() {
        let loading = Loading { backend: &keeping.backend, ids: &ids, worker: (me, count), moved };
        worker.load(&loading, &origins)?;
    }
    let names = plan.nodes.iter().map(|node| node.name.clone());
    let dead_letters = keeping.dead_letters.take().map(|log| SharedDeadLetters::new(log, names));
    if let Some(dead_letters) = &dead_letters {
        workers.iter_mut().for_each(|worker| worker.keep_dead_letters(dead_letters.part()));
    }
    let gone = ids.sources.iter().zip(&origins).flat_map(|(node, origins)| origins.gone(*node)).collect();
    let (pipeline, checkpoint, barrier) = (plan.name.clone(), plan.checkpoint, barrier.clone());
    let with = Coordinating {
        keeping,
        pipeline,
        ids,
        barrier,
        deliveries,
        feeds,
        checkpoint,
        gone,
        surplus,
        dead_letters,
    };
    Ok(Coordinator::new(with, clock.elapsed()))
}

/// Keeps state until all workers are gone.
fn keep(mut coordinator: Coordinator, shared: &Shared<'_>, resting: &AtomicBool) -> Coordinator {
    let _guard = PanicGuard(shared);
    coordinator.wake_this_thread();
    while !resting.load(Ordering::Acquire) {
        match coordinator.step(shared.clock) {
            Ok(true) => {}
            Ok(false) => shared.clock.doze(coordinator.rest(shared.clock.elapsed())),
            Err(error) => {
                shared.fail(error.to_string());
                break;
            }
        }
    }
    coordinator
}

/// Takes the last checkpoint; of a pipeline that failed the last one before stays.
fn finish(coordinator: &mut Coordinator, workers: &mut [Worker], shared: &Shared<'_>) {
    if shared.has_failed() {
        return;
    }
    let mut last = Part::default();
    workers.iter_mut().for_each(|worker| last.absorb(worker.save()));
    if let Some(failure) = shared.barrier.and_then(|barrier| barrier.pressure().failure()) {
        return shared.fail(failure.to_owned());
    }
    let patience = || !shared.must_stop() && !shared.has_failed();
    if let Err(error) = coordinator.finish(shared.clock, last, &patience) {
        shared.fail(error.to_string());
    }
}
