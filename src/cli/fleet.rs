//! The pipelines of a run as the control socket sees them.

use super::data_dir::pipeline_folder;
use super::dlq;
use super::load::Loaded;
use super::savepoint;
use super::state::{get, list, mend};
use super::why;
use crate::config::{Role, Secrets};
use crate::dataflow::NodeId;
use crate::event::nearest;
use crate::lua::{Usage, Used};
use crate::plan::Explanation;
use crate::runtime::{
    Coordinator, DURATION_BOUNDS, Inquirer, KeeperHandle, Layout, NodeCounts, Outlook, Pipeline, Reins,
};
use crate::server::{
    CheckpointStats, Checkpointed, Control, NodeStatus, Order, PipelineState, PipelineStatus, Refusal,
    SnapshotStatus, TapLimits, WantedKeys,
};
use crate::state::savepoint::{Origin, text_hash};
use crate::state::snapshot::{Snapshot, SnapshotSource, Snapshots};
use crate::state::{Epoch, StateError, StateView, is_aside};
use crate::telemetry::Spread;
use crate::time::{Clock, Millis, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// How long whoever asks waits for a pipeline: less than the server waits.
const AT_MOST: Millis = Millis(110_000);

/// How often it is said how many events may be shown.
const TAP_TURN: Millis = Millis(100);
/// How long nothing is said to somebody who looks on.
const TAP_SILENCE: Millis = Millis(5_000);

/// How often shares of time are worked out.
const MEASURE_EVERY: Millis = Millis(1_000);

/// How long a worker may take to come by; a sink that takes nothing may hold it.
const WORKERS_AT_MOST: Millis = Millis(10_000);

/// All pipelines of a process.
pub struct Fleet {
    clock: Arc<SystemClock>,
    data_dir: Option<PathBuf>,
    instance: String,
    members: BTreeMap<String, Member>,
    /// What the process was given, without secrets.
    configuration: Value,
    /// Set once they run.
    pub snapshots: OnceLock<Snapshots>,
}

/// One pipeline.
struct Member {
    keeper: Option<KeeperHandle>,
    /// Of the text that it was made from.
    text: u64,
    layout: Layout,
    inquirer: Option<Inquirer>,
    reins: Option<Arc<Reins>>,
    /// By node: what can be seen of what leaves it.
    outlooks: Vec<Option<Outlook>>,
    secrets: Secrets,
    /// Its plan, as `explain` shows it.
    plan: Value,
    /// Its file, without secrets.
    shown: String,
    /// Whether it waits for its tables.
    is_loading: Box<dyn Fn() -> bool + Send + Sync>,
    /// By sink of the plan: which node it is.
    sinks: Vec<usize>,
    /// What its scripts use.
    usages: Vec<(String, Arc<Usage>)>,
    /// How many it has.
    workers: usize,
    doing: Mutex<Doing>,
}

struct Doing {
    state: PipelineState,
    nodes: Vec<NodeStatus>,
    /// When shares of time were looked at last, and what had been spent by then: busy and blocked, by node.
    measured: Option<(Millis, Vec<(u64, u64)>)>,
}

impl Doing {
    /// Works out shares of time, which `workers` have, from what was spent since the last time.
    fn measure(&mut self, now: Millis, counts: &[NodeCounts], workers: usize) {
        let since = self.measured.as_ref().map_or(Millis::ZERO, |(since, _)| *since);
        let passed = now - since;
        if self.measured.is_some() && passed < MEASURE_EVERY {
            return;
        }
        let spent: Vec<_> = counts.iter().map(|counts| (counts.busy, counts.blocked)).collect();
        if let Some((_, before)) = self.measured.replace((now, spent.clone())) {
            let whole = passed.0 as f64 * 1e6 * workers as f64;
            let share = |now: u64, before: u64| Some((now.saturating_sub(before) as f64 / whole).min(1.0));
            let of_nodes = self.nodes.iter_mut().zip(spent).zip(before);
            let sources = of_nodes.filter(|((node, _), _)| node.role == Role::Source);
            for ((node, (busy, blocked)), (busy_before, blocked_before)) in sources {
                node.busy_ratio = share(busy, busy_before);
                node.backpressured_ratio = share(blocked, blocked_before);
            }
        }
    }
}

impl Member {
    fn new(loaded: &Loaded, pipeline: &Result<Pipeline, String>, lasting: bool) -> Member {
        let plan = &loaded.plan;
        let state = match pipeline {
            Ok(_) => PipelineState::Running,
            Err(message) => PipelineState::Failed(loaded.secrets.mask(message).into_owned()),
        };
        let nodes = plan.nodes.iter().map(|of| NodeStatus::new(&of.name, of.role, &of.kind)).collect();
        Member {
            keeper: pipeline.as_ref().ok().and_then(Pipeline::keeper),
            layout: Layout::of(plan),
            reins: pipeline.as_ref().ok().map(Pipeline::reins),
            outlooks: (0..plan.nodes.len()).map(|node| Outlook::of(plan, NodeId(node as u16))).collect(),
            secrets: loaded.secrets.clone(),
            plan: Explanation::of(plan, lasting, &loaded.secrets).to_json(),
            shown: loaded.secrets.mask(loaded.source.text()).into_owned(),
            inquirer: pipeline.as_ref().ok().map(Pipeline::inquirer),
            is_loading: match pipeline {
                Ok(pipeline) => Box::new(pipeline.loading()),
                Err(_) => Box::new(|| false),
            },
            text: text_hash(loaded.source.text().as_bytes()),
            sinks: plan.sinks.iter().map(|sink| sink.node.0 as usize).collect(),
            usages: plan.usages.clone(),
            workers: plan.parallelism,
            doing: Mutex::new(Doing { state, nodes, measured: None }),
        }
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        // Whoever panicked left whole values.
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it runs.
    fn motion(&self) -> PipelineState {
        match &self.reins {
            Some(reins) if reins.is_stopping() || reins.is_draining() => PipelineState::Stopping,
            _ if (self.is_loading)() => PipelineState::Starting,
            Some(reins) if reins.is_paused() => PipelineState::Paused,
            _ => PipelineState::Running,
        }
    }

    /// What its scripts use; where several nodes run one, all of them together.
    fn scripts(&self) -> BTreeMap<String, Used> {
        let mut scripts: BTreeMap<String, Used> = BTreeMap::new();
        for (name, usage) in &self.usages {
            scripts.entry(name.clone()).or_default().add(usage.read());
        }
        scripts
    }

    fn status(&self, name: &str, clock: &SystemClock) -> PipelineStatus {
        let doing = self.doing();
        let figures = self.keeper.as_ref().map(KeeperHandle::figures).unwrap_or_default();
        let mut nodes = doing.nodes.clone();
        for (sink, figures) in self.sinks.iter().zip(figures.sinks) {
            nodes[*sink].undelivered_bytes = Some(figures.undelivered);
            nodes[*sink].given_up_bytes = Some(figures.given_up);
            nodes[*sink].away = figures.away;
        }
        let last = figures.checkpoints;
        let checkpoint = (last.epoch > Epoch(0)).then(|| Checkpointed {
            epoch: last.epoch.0,
            at: time_of(last.at, clock),
            duration: last.took,
            bytes: last.bytes,
        });
        let state = match &doing.state {
            PipelineState::Running => self.motion(),
            state => state.clone(),
        };
        PipelineStatus {
            name: name.to_owned(),
            state,
            checkpoint,
            checkpoints: self.keeper.as_ref().map(|_| CheckpointStats {
                written: last.written,
                failures: last.failures,
                durations: Spread {
                    bounds: &DURATION_BOUNDS,
                    counts: last.durations.counts.to_vec(),
                    sum: last.durations.sum.0 as f64 / 1_000.0,
                },
            }),
            written_bytes: figures.written_bytes,
            disk_bytes: figures.disk_bytes,
            nodes,
            scripts: self.scripts(),
        }
    }
}

/// The time of day at some elapsed time.
fn time_of(at: Millis, clock: &SystemClock) -> Timestamp {
    Timestamp(clock.wall().0 - (clock.elapsed() - at).0)
}

impl Fleet {
    /// The pipelines that were loaded, with what came of opening each.
    pub fn new(
        (data_dir, instance): (Option<&Path>, &str),
        loaded: &[Loaded],
        pipelines: &[Result<Pipeline, String>],
        clock: Arc<SystemClock>,
        configuration: Value,
    ) -> Fleet {
        let member = |(loaded, pipeline): (&Loaded, &Result<Pipeline, String>)| {
            (loaded.plan.name.clone(), Member::new(loaded, pipeline, data_dir.is_some()))
        };
        Fleet {
            clock,
            data_dir: data_dir.map(Path::to_path_buf),
            instance: instance.to_owned(),
            members: loaded.iter().zip(pipelines).map(member).collect(),
            configuration,
            snapshots: OnceLock::new(),
        }
    }

    /// Takes over what nodes of a pipeline have counted.
    pub fn count(&self, pipeline: &str, counts: &[NodeCounts]) {
        let Some(member) = self.members.get(pipeline) else { return };
        let mut doing = member.doing();
        for (number, (node, counts)) in doing.nodes.iter_mut().zip(counts).enumerate() {
            node.received = counts.received;
            node.sent = counts.sent;
            node.rejected = counts.rejected.iter().map(|(kind, count)| (kind.name(), *count)).collect();
            node.discarded.clone_from(&counts.discarded);
            node.late = member.layout.late(number, counts);
            node.received_bytes = (node.role == Role::Source).then_some(counts.received_bytes);
            node.watermark = counts.watermark;
            node.last_event_time = counts.last_event_time;
            node.lag = counts.lag;
            node.held = counts.held;
        }
        doing.measure(self.clock.elapsed(), counts, member.workers);
    }

    /// A pipeline has come to its end: its last counts, or why it failed.
    pub fn conclude(&self, pipeline: &str, outcome: Result<&[NodeCounts], String>) {
        let Some(member) = self.members.get(pipeline) else { return };
        match outcome {
            Ok(counts) => {
                self.count(pipeline, counts);
                member.doing().state = PipelineState::Ended;
            }
            Err(message) => member.doing().state = PipelineState::Failed(message),
        }
    }

    /// What snapshots are taken of.
    pub fn snapshot_sources(&self) -> Vec<Box<dyn SnapshotSource>> {
        let source = |(name, member): (&String, &Member)| {
            let keeper = member.keeper.clone()?;
            Some(Box::new(Keeper { name: name.clone(), keeper }) as Box<dyn SnapshotSource>)
        };
        self.members.iter().filter_map(source).collect()
    }

    /// Where a pipeline's state is.
    fn folder(&self, pipeline: &str) -> Result<PathBuf, Refusal> {
        let folder = self.data_dir.as_deref().map(|data_dir| pipeline_folder(data_dir, pipeline));
        folder.ok_or_else(|| Refusal::Conflict("there is no data directory: nothing is kept".to_owned()))
    }

    fn member(&self, pipeline: &str) -> Result<(&Member, &KeeperHandle), Refusal> {
        let member = self.members.get(pipeline).ok_or(Refusal::Unknown)?;
        if self.data_dir.is_none() {
            self.folder(pipeline)?;
        }
        let keeper = member.keeper.as_ref().ok_or_else(|| rests(pipeline))?;
        Ok((member, keeper))
    }

    /// The state of a pipeline as of its last checkpoint.
    fn view(&self, pipeline: &str) -> Result<StateView, Refusal> {
        let view = self.call(pipeline, |coordinator| coordinator.backend().view())?;
        view.map_err(|error| Refusal::Failed(error.to_string()))
    }

    /// Has something done by whoever keeps the state of a pipeline.
    fn call<T: Send + 'static>(
        &self,
        pipeline: &str,
        work: impl FnOnce(&mut Coordinator) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (_, keeper) = self.member(pipeline)?;
        keeper.call(AT_MOST, work).ok_or_else(|| rests(pipeline))
    }
}

fn rests(pipeline: &str) -> Refusal {
    Refusal::Conflict(format!("pipeline `{pipeline}` does not run, or takes too long to answer"))
}

fn no_node(pipeline: &str, node: &str, member: &Member) -> Refusal {
    let near = nearest(node, member.layout.names());
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Refusal::Missing(format!("pipeline `{pipeline}` has no node `{node}`{hint}"))
}

impl Control for Fleet {
    fn pipelines(&self) -> Vec<PipelineStatus> {
        self.members.iter().map(|(name, member)| member.status(name, &self.clock)).collect()
    }

    fn instance(&self) -> String {
        self.instance.clone()
    }

    fn knows_the_time(&self) -> bool {
        self.clock.synchronised()
    }

    fn checkpoint(&self, pipeline: &str) -> Result<Checkpointed, Refusal> {
        let (_, keeper) = self.member(pipeline)?;
        let done = keeper.checkpoint(AT_MOST).ok_or_else(|| rests(pipeline))?;
        Ok(Checkpointed {
            epoch: done.epoch.0,
            at: time_of(done.at, &self.clock),
            duration: done.took,
            bytes: done.bytes,
        })
    }

    fn savepoint(&self, pipeline: &str, file: &Path) -> Result<Value, Refusal> {
        let (member, keeper) = self.member(pipeline)?;
        keeper.checkpoint(AT_MOST).ok_or_else(|| rests(pipeline))?;
        let origin = Origin {
            instance: self.instance.clone(),
            pipeline: pipeline.to_owned(),
            text: Some(member.text),
            taken: self.clock.wall(),
        };
        let at = file.to_path_buf();
        let written = self.call(pipeline, move |coordinator| {
            let state = coordinator.backend();
            savepoint::create(state, &origin, &at).map(|counts| (counts, state.epoch()))
        })?;
        let (counts, epoch) = written.map_err(Refusal::Failed)?;
        let mut said = savepoint::counted(counts);
        said.insert("file".to_owned(), json!(file.display().to_string()));
        said.insert("epoch".to_owned(), json!(epoch.0));
        Ok(Value::Object(said))
    }

    fn state(&self, pipeline: &str) -> Result<Value, Refusal> {
        self.member(pipeline)?;
        let (folder, name) = (self.folder(pipeline)?, pipeline.to_owned());
        let entry = self.call(pipeline, move |coordinator| {
            let state = coordinator.backend();
            state.revive().map_err(|error| error.to_string())?;
            list::entry(&folder, &name, state)
        })?;
        entry.map(Value::Object).map_err(Refusal::Failed)
    }

    fn keys(
        &self,
        pipeline: &str,
        wanted: &WantedKeys,
        each: &mut dyn FnMut(&Value) -> bool,
    ) -> Result<(), Refusal> {
        get::give(&self.view(pipeline)?, wanted, each).map_err(Refusal::Conflict)
    }

    fn check(&self, pipeline: &str) -> Result<Value, Refusal> {
        let mut report = self.view(pipeline)?.check().map_err(|error| Refusal::Failed(error.to_string()))?;
        let files = fs::read_dir(self.folder(pipeline)?).into_iter().flatten().flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        report.aside = names.filter(|name| is_aside(name)).collect();
        report.aside.sort_unstable();
        Ok(mend::check_entry(pipeline, &report))
    }

    fn compact(&self, pipeline: &str) -> Result<Value, Refusal> {
        let compacted = self.call(pipeline, Coordinator::compact)?;
        let (before, after) = compacted.map_err(|error| Refusal::Failed(error.to_string()))?;
        Ok(json!({ "bytes_before": before, "bytes": after }))
    }

    fn why(&self, pipeline: &str, node: &str) -> Result<Value, Refusal> {
        let member = self.members.get(pipeline).ok_or(Refusal::Unknown)?;
        let (id, stage) = member.layout.find(node).ok_or_else(|| no_node(pipeline, node, member))?;
        let runs = member.doing().state == PipelineState::Running;
        let views =
            member.inquirer.as_ref().filter(|_| runs).and_then(|all| all.ask(id, stage, WORKERS_AT_MOST));
        let views = views.ok_or_else(|| rests(pipeline))?;
        Ok(why::to_json(pipeline, node, &member.layout.facts(id, &views)))
    }

    fn watermarks(&self, pipeline: &str) -> Result<Value, Refusal> {
        let member = self.members.get(pipeline).ok_or(Refusal::Unknown)?;
        let runs = member.doing().state == PipelineState::Running;
        let inquirer = member.inquirer.as_ref().filter(|_| runs);
        let asked = member.layout.first_source().zip(inquirer);
        let views = asked.and_then(|((node, stage), all)| all.ask(node, stage, WORKERS_AT_MOST));
        let sources = member.layout.all_sources(&views.ok_or_else(|| rests(pipeline))?);
        let doing = member.doing();
        let nodes = doing
            .nodes
            .iter()
            .map(|node| json!({ "name": node.name, "watermark": node.watermark.map(|at| at.0) }));
        Ok(json!({
            "sources": sources.iter().map(|source| why::source(source, true)).collect::<Value>(),
            "nodes": nodes.collect::<Value>(),
        }))
    }

    fn plan(&self, pipeline: &str) -> Result<Value, Refusal> {
        self.members.get(pipeline).map(|member| member.plan.clone()).ok_or(Refusal::Unknown)
    }

    fn dead_letters(&self, pipeline: &str, most: usize) -> Result<Value, Refusal> {
        if !self.members.contains_key(pipeline) {
            return Err(Refusal::Unknown);
        }
        let nothing = || Refusal::Conflict("there is no data directory: nothing is kept".to_owned());
        let data_dir = self.data_dir.as_deref().ok_or_else(nothing)?;
        dlq::last(data_dir, pipeline, most).map_err(Refusal::Failed)
    }

    fn tap(
        &self,
        pipeline: &str,
        node: &str,
        limits: TapLimits,
        each: &mut dyn FnMut(&str) -> bool,
    ) -> Result<u64, Refusal> {
        let member = self.members.get(pipeline).ok_or(Refusal::Unknown)?;
        let number = member
            .layout
            .names()
            .position(|name| name == node)
            .ok_or_else(|| no_node(pipeline, node, member))?;
        let nothing = || Refusal::Conflict(format!("nothing leaves `{node}`: look at what it reads from"));
        let outlook = member.outlooks[number].clone().ok_or_else(nothing)?;
        let running = || member.doing().state == PipelineState::Running;
        let reins = member.reins.as_ref().filter(|_| running()).ok_or_else(|| rests(pipeline))?;
        let too_many = || Refusal::Conflict("others look on already, as many as may".to_owned());
        let tapped = reins.taps.open(outlook).ok_or_else(too_many)?;
        let (mut events, end) = (0, self.clock.elapsed() + limits.time);
        // So that whoever asked knows that somebody answers.
        let (mut goes_on, mut told, mut allowed) = (each(""), self.clock.elapsed(), Millis(-TAP_TURN.0));
        while goes_on && events < limits.events && self.clock.elapsed() < end && running() {
            let now = self.clock.elapsed();
            if now - allowed >= TAP_TURN {
                allowed = now;
                tapped.allow((limits.rate * TAP_TURN.0 as u64).div_ceil(1_000));
            }
            if let Some(event) = tapped.next(TAP_TURN) {
                let event = String::from_utf8_lossy(&event);
                goes_on = each(member.secrets.mask(event.trim_end()).as_ref());
                (events, told) = (events + 1, now);
            } else if now - told >= TAP_SILENCE {
                (goes_on, told) = (each(""), now);
            }
        }
        Ok(tapped.missed())
    }

    fn configuration(&self) -> Value {
        let pipelines = self.members.iter().map(|(name, member)| (name.clone(), json!(member.shown)));
        json!({ "process": self.configuration, "pipelines": pipelines.collect::<serde_json::Map<_, _>>() })
    }

    fn tell(&self, pipeline: &str, order: Order) -> Result<(), Refusal> {
        let member = self.members.get(pipeline).ok_or(Refusal::Unknown)?;
        let runs = member.doing().state == PipelineState::Running;
        let reins = member.reins.as_ref().filter(|_| runs);
        let reins = reins.ok_or_else(|| Refusal::Conflict(format!("pipeline `{pipeline}` does not run")))?;
        match order {
            Order::Pause => reins.pause(true),
            Order::Resume => reins.pause(false),
            Order::Stop => reins.stop(),
            Order::Drain => reins.drain(),
        }
        tracing::info!("pipeline `{pipeline}`: {}", order.said());
        Ok(())
    }

    fn snapshots(&self) -> Option<SnapshotStatus> {
        let snapshots = self.snapshots.get()?;
        let counts = snapshots.counts();
        Some(SnapshotStatus {
            place: snapshots.place().to_owned(),
            taken: counts.taken(),
            failed: counts.failed(),
            sent_bytes: counts.sent(),
        })
    }

    fn snapshot(&self) -> Result<SnapshotStatus, Refusal> {
        let none =
            || Refusal::Conflict("the process takes no snapshots: `snapshots` in headwater.yaml".to_owned());
        let snapshots = self.snapshots.get().ok_or_else(none)?;
        let late = || Refusal::Failed(format!("no snapshot within {} s: it goes on", AT_MOST.0 / 1_000));
        let wrong = snapshots.take_now(AT_MOST).ok_or_else(late)?;
        match wrong.is_empty() {
            true => self.snapshots().ok_or_else(none),
            false => Err(Refusal::Failed(wrong.join("; "))),
        }
    }
}

/// A pipeline of which snapshots are taken.
struct Keeper {
    name: String,
    keeper: KeeperHandle,
}

impl SnapshotSource for Keeper {
    fn pipeline(&self) -> &str {
        &self.name
    }

    fn begin(&mut self) -> Result<Option<Snapshot>, StateError> {
        self.keeper.call(AT_MOST, |coordinator| coordinator.backend().begin_snapshot()).transpose()
    }
}
