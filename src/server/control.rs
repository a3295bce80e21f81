//! What a running process can be asked, and what it answers.

use crate::config::Role;
use crate::lua::Used;
use crate::telemetry::Spread;
use crate::time::{Millis, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A running process, for those who speak to it. Calls come from the server's threads and may wait.
pub trait Control: Send + Sync + 'static {
    /// All pipelines, in the order of their names.
    fn pipelines(&self) -> Vec<PipelineStatus>;

    /// The id of this gateway.
    fn instance(&self) -> String;

    /// Whether the time of day is known to be right.
    fn knows_the_time(&self) -> bool;

    /// Takes a checkpoint now, and waits until it is durable.
    ///
    /// # Errors
    /// Why there is none.
    fn checkpoint(&self, pipeline: &str) -> Result<Checkpointed, Refusal>;

    /// Takes a checkpoint and writes it to a file of this machine as a savepoint. What is in it, as programs read it.
    ///
    /// # Errors
    /// Why there is none.
    fn savepoint(&self, pipeline: &str, file: &Path) -> Result<Value, Refusal>;

    /// What is kept of a pipeline as of its last checkpoint, as programs read it.
    ///
    /// # Errors
    /// Why that cannot be said.
    fn state(&self, pipeline: &str) -> Result<Value, Refusal>;

    /// Gives keys of a pipeline with their values, as of its last checkpoint and as programs read them, until `each` has
    /// enough. The pipeline goes on meanwhile.
    ///
    /// # Errors
    /// Why there are none, or no more.
    fn keys(
        &self,
        pipeline: &str,
        wanted: &WantedKeys,
        each: &mut dyn FnMut(&Value) -> bool,
    ) -> Result<(), Refusal>;

    /// Reads and verifies what is kept of a pipeline while it goes on; what was found, as programs read it.
    ///
    /// # Errors
    /// Why that cannot be said.
    fn check(&self, pipeline: &str) -> Result<Value, Refusal>;

    /// Gives room that a pipeline's state no longer needs back to the disk: how much it took before and takes now.
    ///
    /// # Errors
    /// Why not.
    fn compact(&self, pipeline: &str) -> Result<Value, Refusal>;

    /// Why a node of a pipeline does not go on: causes, and what is known, as programs read it.
    ///
    /// # Errors
    /// Why that cannot be said.
    fn why(&self, pipeline: &str, node: &str) -> Result<Value, Refusal>;

    /// How far event time has come: sources with their partitions, as programs read it.
    ///
    /// # Errors
    /// Why that cannot be said.
    fn watermarks(&self, pipeline: &str) -> Result<Value, Refusal>;

    /// The plan of a pipeline, as programs read it.
    ///
    /// # Errors
    /// There is no such pipeline.
    fn plan(&self, pipeline: &str) -> Result<Value, Refusal>;

    /// The last dead letters of a pipeline, so many at the most, as programs read them.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn dead_letters(&self, pipeline: &str, most: usize) -> Result<Value, Refusal>;

    /// What the process and its pipelines were given, without secrets, as programs read it.
    fn configuration(&self) -> Value;

    /// Tells a pipeline something.
    ///
    /// # Errors
    /// Why it cannot do so.
    fn tell(&self, pipeline: &str, order: Order) -> Result<(), Refusal>;

    /// Gives events that leave a node, as JSON without secrets, until `each` has enough or a limit is reached; every now and
    /// then an empty line, so that who does not listen any more is found out. How many were not shown.
    ///
    /// # Errors
    /// Why nobody can look on.
    fn tap(
        &self,
        pipeline: &str,
        node: &str,
        limits: TapLimits,
        each: &mut dyn FnMut(&str) -> bool,
    ) -> Result<u64, Refusal>;

    /// What came of snapshots since the start; None where none are taken.
    fn snapshots(&self) -> Option<SnapshotStatus>;

    /// Takes a snapshot of every pipeline that runs, now.
    ///
    /// # Errors
    /// Why there is none of one of them.
    fn snapshot(&self) -> Result<SnapshotStatus, Refusal>;
}

/// What somebody who looks on wants at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapLimits {
    /// Events.
    pub events: u64,
    /// Of them a second.
    pub rate: u64,
    /// How long.
    pub time: Millis,
}

/// What a pipeline is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read no more for now.
    Pause,
    /// Read on.
    Resume,
    /// Come to an end; no window fires.
    Stop,
    /// Come to the end of input: windows fire.
    Drain,
}

impl Order {
    /// What it was told.
    pub fn said(self) -> &'static str {
        match self {
            Order::Pause => "is paused: its sources are not read",
            Order::Resume => "goes on",
            Order::Stop => "is told to stop",
            Order::Drain => "is told to end as if its input had",
        }
    }
}

/// Which keys somebody wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedKeys {
    /// Of that node; None: of all.
    pub node: Option<String>,
    /// Those that begin with these fields.
    pub key: Vec<Value>,
}

/// What a pipeline does.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: PipelineState,
    /// The last checkpoint; None before the first, and where nothing is kept.
    pub checkpoint: Option<Checkpointed>,
    /// What came of checkpoints since the start; None where nothing is kept.
    pub checkpoints: Option<CheckpointStats>,
    /// Bytes written to the data directory since the start.
    pub written_bytes: u64,
    /// Bytes that its state took there at the last checkpoint.
    pub disk_bytes: u64,
    /// What its nodes have counted, in the order of the file.
    pub nodes: Vec<NodeStatus>,
    /// What its scripts use, by their names.
    pub scripts: BTreeMap<String, Used>,
}

/// What came of checkpoints since the start.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointStats {
    /// How many were written.
    pub written: u64,
    /// How often writing failed.
    pub failures: u64,
    /// How long they took, in seconds.
    pub durations: Spread,
}

/// How a pipeline is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PipelineState {
    /// What it looks events up in is not loaded.
    Starting,
    /// It runs.
    Running,
    /// It runs, but its sources are not read.
    Paused,
    /// It was told to end.
    Stopping,
    /// Its input has ended, or it was stopped.
    Ended,
    /// It failed, and why.
    Failed(String),
}

/// What a node has counted since the start.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it does: `file`, `tumbling`.
    pub kind: String,
    /// Events that came in.
    pub received: u64,
    /// Events that left by the main port.
    pub sent: u64,
    /// Events rejected, by kind of error.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Events dropped by intent, by reason; late ones among them.
    pub discarded: BTreeMap<&'static str, u64>,
    /// Events that came too late, whether dropped or given out.
    pub late: u64,
    /// Of a source: bytes that were read.
    pub received_bytes: Option<u64>,
    /// How far event time has come there; None before the first event and behind the end.
    pub watermark: Option<Timestamp>,
    /// Of a source: the latest event time.
    pub last_event_time: Option<Timestamp>,
    /// Of a source: the share of the last second or so that was spent on what it gives.
    pub busy_ratio: Option<f64>,
    /// Of a source: the share of that time in which it was not read as those behind it took nothing.
    pub backpressured_ratio: Option<f64>,
    /// Of a source: how many events its servers have that were not read, where that is known.
    pub lag: Option<u64>,
    /// Of a source: whether it is held back, as it runs ahead of its group.
    pub held: bool,
    /// Bytes of output that wait in the data directory for their delivery; None where nothing can.
    pub undelivered_bytes: Option<u64>,
    /// Bytes that were given up since the start, as a sink's buffer allows; None where nothing waits.
    pub given_up_bytes: Option<u64>,
    /// Why a sink's target takes nothing for now.
    pub away: Option<String>,
}

impl NodeStatus {
    /// One that has counted nothing.
    pub fn new(name: &str, role: Role, kind: &str) -> NodeStatus {
        NodeStatus {
            name: name.to_owned(),
            role,
            kind: kind.to_owned(),
            received: 0,
            sent: 0,
            rejected: BTreeMap::new(),
            discarded: BTreeMap::new(),
            late: 0,
            received_bytes: None,
            watermark: None,
            last_event_time: None,
            busy_ratio: None,
            backpressured_ratio: None,
            lag: None,
            held: false,
            undelivered_bytes: None,
            given_up_bytes: None,
            away: None,
        }
    }
}

/// What came of snapshots since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotStatus {
    /// Where they go.
    pub place: String,
    /// How many were taken.
    pub taken: u64,
    /// How often one failed.
    pub failed: u64,
    /// Bytes that were sent.
    pub sent_bytes: u64,
}

/// A checkpoint that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    /// Its number.
    pub epoch: u64,
    /// When it was taken.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Millis,
    /// The bytes written for it.
    pub bytes: u64,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no pipeline of the name.
    Unknown,
    /// There is nothing else of a name: what.
    Missing(String),
    /// It cannot be done as things are: what stands in the way.
    Conflict(String),
    /// It was tried and failed.
    Failed(String),
}

/// As programs read it.
pub fn status_to_json(status: &PipelineStatus) -> Value {
    let (state, error) = match &status.state {
        PipelineState::Starting => ("starting", None),
        PipelineState::Running => ("running", None),
        PipelineState::Paused => ("paused", None),
        PipelineState::Stopping => ("stopping", None),
        PipelineState::Ended => ("ended", None),
        PipelineState::Failed(why) => ("failed", Some(why)),
    };
    let node = |node: &NodeStatus| {
        json!({
            "name": node.name, "kind": node.kind, "received": node.received, "sent": node.sent,
            "rejected": node.rejected.values().sum::<u64>(), "discarded": node.discarded.values().sum::<u64>(),
            "late": node.late, "errors": node.rejected, "reasons": node.discarded,
            "received_bytes": node.received_bytes,
            "watermark": node.watermark.map(|time| time.0),
            "last_event_time": node.last_event_time.map(|time| time.0),
            "busy_ratio": node.busy_ratio, "backpressured_ratio": node.backpressured_ratio,
            "lag_events": node.lag, "held_back": node.held, "undelivered_bytes": node.undelivered_bytes, "away": node.away,
        })
    };
    let script = |(name, used): (&String, &Used)| {
        json!({
            "name": name, "calls": used.calls, "breaches": used.breaches, "memory_bytes": used.memory,
            "seconds": used.nanos as f64 / 1e9,
        })
    };
    json!({
        "name": status.name,
        "state": state,
        "error": error,
        "checkpoint": status.checkpoint.as_ref().map(checkpointed_to_json),
        "written_bytes": status.written_bytes,
        "disk_bytes": status.disk_bytes,
        "nodes": status.nodes.iter().map(node).collect::<Value>(),
        "scripts": status.scripts.iter().map(script).collect::<Value>(),
    })
}

/// As programs read it.
pub fn checkpointed_to_json(done: &Checkpointed) -> Value {
    json!({ "epoch": done.epoch, "at": done.at.0, "duration_ms": done.duration.0, "bytes": done.bytes })
}

/// As programs read it.
pub fn snapshots_to_json(status: &SnapshotStatus) -> Value {
    let SnapshotStatus { place, taken, failed, sent_bytes } = status;
    json!({ "place": place, "taken": taken, "failed": failed, "sent_bytes": sent_bytes })
}
