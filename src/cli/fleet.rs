//! The pipelines of a run as the control socket sees them.

use super::data_dir::pipeline_folder;
use super::load::Loaded;
use super::savepoint;
use super::state::{get, list, mend};
use super::why;
use crate::runtime::{Coordinator, Inquirer, KeeperHandle, Layout, NodeCounts, Pipeline};
use crate::server::{
    Checkpointed, Control, NodeStatus, PipelineState, PipelineStatus, Refusal, SnapshotStatus, WantedKeys,
};
use crate::state::savepoint::{Origin, text_hash};
use crate::state::snapshot::{Snapshot, SnapshotSource, Snapshots};
use crate::state::{Epoch, StateError, StateView, is_aside};
use crate::time::{Clock, Millis, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// How long whoever asks waits for a pipeline: less than the server waits.
const AT_MOST: Millis = Millis(110_000);

/// How long a worker may take to come by; a sink that takes nothing may hold it.
const WORKERS_AT_MOST: Millis = Millis(10_000);

/// All pipelines of a process that has a data directory.
pub struct Fleet {
    clock: Arc<SystemClock>,
    data_dir: PathBuf,
    instance: String,
    members: BTreeMap<String, Member>,
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
    /// By sink of the plan: which node it is.
    sinks: Vec<usize>,
    doing: Mutex<Doing>,
}

struct Doing {
    state: PipelineState,
    nodes: Vec<NodeStatus>,
}

impl Member {
    fn new(loaded: &Loaded, pipeline: &Result<Pipeline, String>) -> Member {
        let plan = &loaded.plan;
        let node = |name: &str, kind: &str| NodeStatus {
            name: name.to_owned(),
            kind: kind.to_owned(),
            ..NodeStatus::default()
        };
        let state = match pipeline {
            Ok(_) => PipelineState::Running,
            Err(message) => PipelineState::Failed(loaded.secrets.mask(message).into_owned()),
        };
        let nodes = plan.nodes.iter().map(|of| node(&of.name, &of.kind)).collect();
        Member {
            keeper: pipeline.as_ref().ok().and_then(Pipeline::keeper),
            layout: Layout::of(plan),
            inquirer: pipeline.as_ref().ok().map(Pipeline::inquirer),
            text: text_hash(loaded.source.text().as_bytes()),
            sinks: plan.sinks.iter().map(|sink| sink.node.0 as usize).collect(),
            doing: Mutex::new(Doing { state, nodes }),
        }
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        // Whoever panicked left whole values.
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self, name: &str, clock: &SystemClock) -> PipelineStatus {
        let doing = self.doing();
        let figures = self.keeper.as_ref().map(KeeperHandle::figures).unwrap_or_default();
        let mut nodes = doing.nodes.clone();
        for (sink, figures) in self.sinks.iter().zip(figures.sinks) {
            nodes[*sink].undelivered_bytes = Some(figures.undelivered);
            nodes[*sink].away = figures.away;
        }
        let last = figures.checkpoints;
        let checkpoint = (last.epoch > Epoch(0)).then(|| Checkpointed {
            epoch: last.epoch.0,
            at: time_of(last.at, clock),
            duration: last.took,
            bytes: last.bytes,
        });
        PipelineStatus {
            name: name.to_owned(),
            state: doing.state.clone(),
            checkpoint,
            written_bytes: figures.written_bytes,
            disk_bytes: figures.disk_bytes,
            nodes,
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
        (data_dir, instance): (&Path, &str),
        loaded: &[Loaded],
        pipelines: &[Result<Pipeline, String>],
        clock: Arc<SystemClock>,
    ) -> Fleet {
        let member = |(loaded, pipeline): (&Loaded, &Result<Pipeline, String>)| {
            (loaded.plan.name.clone(), Member::new(loaded, pipeline))
        };
        Fleet {
            clock,
            data_dir: data_dir.to_path_buf(),
            instance: instance.to_owned(),
            members: loaded.iter().zip(pipelines).map(member).collect(),
            snapshots: OnceLock::new(),
        }
    }

    /// Takes over what nodes of a pipeline have counted.
    pub fn count(&self, pipeline: &str, counts: &[NodeCounts]) {
        let Some(member) = self.members.get(pipeline) else { return };
        for (node, counts) in member.doing().nodes.iter_mut().zip(counts) {
            node.received = counts.received;
            node.sent = counts.sent;
            node.rejected = counts.all_rejected();
            node.discarded = counts.discarded.values().sum();
            node.lag = counts.lag;
            node.held = counts.held;
        }
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

    fn member(&self, pipeline: &str) -> Result<(&Member, &KeeperHandle), Refusal> {
        let member = self.members.get(pipeline).ok_or(Refusal::Unknown)?;
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

impl Control for Fleet {
    fn pipelines(&self) -> Vec<PipelineStatus> {
        self.members.iter().map(|(name, member)| member.status(name, &self.clock)).collect()
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
        let (folder, name) = (pipeline_folder(&self.data_dir, pipeline), pipeline.to_owned());
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
        let files = fs::read_dir(pipeline_folder(&self.data_dir, pipeline)).into_iter().flatten().flatten();
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
        let unknown = || Refusal::Conflict(why::unknown(pipeline, node, member.layout.names()));
        let (id, stage) = member.layout.find(node).ok_or_else(unknown)?;
        let runs = member.doing().state == PipelineState::Running;
        let views =
            member.inquirer.as_ref().filter(|_| runs).and_then(|all| all.ask(id, stage, WORKERS_AT_MOST));
        let views = views.ok_or_else(|| rests(pipeline))?;
        Ok(why::to_json(pipeline, node, &member.layout.facts(id, &views)))
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
