//! What a running process can be asked, and what it answers.

use crate::time::{Millis, Timestamp};
use serde_json::{Value, json};
use std::path::Path;

/// A running process, for those who speak to it. Calls come from the server's threads and may wait.
pub trait Control: Send + Sync + 'static {
    /// All pipelines, in the order of their names.
    fn pipelines(&self) -> Vec<PipelineStatus>;

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

    /// What came of snapshots since the start; None where none are taken.
    fn snapshots(&self) -> Option<SnapshotStatus>;

    /// Takes a snapshot of every pipeline that runs, now.
    ///
    /// # Errors
    /// Why there is none of one of them.
    fn snapshot(&self) -> Result<SnapshotStatus, Refusal>;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: PipelineState,
    /// The last checkpoint; None before the first, and where nothing is kept.
    pub checkpoint: Option<Checkpointed>,
    /// Bytes written to the data directory since the start.
    pub written_bytes: u64,
    /// Bytes that its state took there at the last checkpoint.
    pub disk_bytes: u64,
    /// What its nodes have counted, in the order of the file.
    pub nodes: Vec<NodeStatus>,
}

/// How a pipeline is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PipelineState {
    /// It runs.
    Running,
    /// Its input has ended, or it was stopped.
    Ended,
    /// It failed, and why.
    Failed(String),
}

/// What a node has counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// What it does: `file`, `tumbling`.
    pub kind: String,
    /// Events that came in.
    pub received: u64,
    /// Events that left by the main port.
    pub sent: u64,
    /// Events rejected.
    pub rejected: u64,
    /// Events dropped by intent, late ones among them.
    pub discarded: u64,
    /// Of a source: how many events its servers have that were not read, where that is known.
    pub lag: Option<u64>,
    /// Of a source: whether it is held back, as it runs ahead of its group.
    pub held: bool,
    /// Bytes of output that wait in the data directory for their delivery; None where nothing can.
    pub undelivered_bytes: Option<u64>,
    /// Why a sink's target takes nothing for now.
    pub away: Option<String>,
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
    /// It cannot be done as things are: what stands in the way.
    Conflict(String),
    /// It was tried and failed.
    Failed(String),
}

/// As programs read it.
pub fn status_to_json(status: &PipelineStatus) -> Value {
    let (state, error) = match &status.state {
        PipelineState::Running => ("running", None),
        PipelineState::Ended => ("ended", None),
        PipelineState::Failed(why) => ("failed", Some(why)),
    };
    let node = |node: &NodeStatus| {
        json!({
            "name": node.name, "kind": node.kind, "received": node.received, "sent": node.sent,
            "rejected": node.rejected, "discarded": node.discarded, "lag_events": node.lag,
            "held_back": node.held,
            "undelivered_bytes": node.undelivered_bytes, "away": node.away,
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
