//! A process that knows its answers.

use headwater::config::Role;
use headwater::lua::Used;
use headwater::server::{
    CheckpointStats, Checkpointed, Control, NodeStatus, Order, PipelineState, PipelineStatus, Refusal,
    SnapshotStatus, TapLimits, WantedKeys,
};
use headwater::telemetry::Spread;
use headwater::time::{Millis, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A process with one pipeline that runs and one that failed.
pub struct Process;

/// The last checkpoint of that which runs.
pub const DONE: Checkpointed =
    Checkpointed { epoch: 7, at: Timestamp(1_000), duration: Millis(12), bytes: 345 };

impl Control for Process {
    fn pipelines(&self) -> Vec<PipelineStatus> {
        let node = NodeStatus {
            received: 3,
            sent: 2,
            rejected: BTreeMap::from([("decode", 1)]),
            late: 5,
            received_bytes: Some(99),
            watermark: Some(Timestamp(1_500)),
            busy_ratio: Some(0.25),
            lag: Some(4),
            ..NodeStatus::new("in", Role::Source, "file")
        };
        let spread = Spread { bounds: &[0.5, 1.0], counts: vec![2, 0, 1], sum: 3.25 };
        let used = Used { calls: 5, nanos: 2_500_000_000, memory: 30_000, breaches: 1 };
        let running = PipelineStatus {
            name: "a".to_owned(),
            state: PipelineState::Running,
            checkpoint: Some(DONE),
            checkpoints: Some(CheckpointStats { written: 3, failures: 0, durations: spread }),
            written_bytes: 999,
            disk_bytes: 1_000,
            nodes: vec![node],
            scripts: BTreeMap::from([("a.lua".to_owned(), used)]),
        };
        let failed = PipelineStatus {
            name: "b".to_owned(),
            state: PipelineState::Failed("the disk is gone".to_owned()),
            checkpoint: None,
            checkpoints: None,
            written_bytes: 0,
            disk_bytes: 0,
            nodes: Vec::new(),
            scripts: BTreeMap::new(),
        };
        vec![running, failed]
    }

    fn instance(&self) -> String {
        "gate\\way\"1".to_owned()
    }

    fn knows_the_time(&self) -> bool {
        true
    }

    fn checkpoint(&self, pipeline: &str) -> Result<Checkpointed, Refusal> {
        match pipeline {
            "a" => Ok(DONE),
            "b" => Err(Refusal::Conflict("pipeline `b` does not run".to_owned())),
            "c" => Err(Refusal::Failed("no space".to_owned())),
            "panic" => panic!("a fault of the process"),
            _ => Err(Refusal::Unknown),
        }
    }

    fn savepoint(&self, pipeline: &str, file: &Path) -> Result<Value, Refusal> {
        self.checkpoint(pipeline).map(|done| json!({ "file": file, "epoch": done.epoch }))
    }

    fn state(&self, pipeline: &str) -> Result<Value, Refusal> {
        self.checkpoint(pipeline).map(|_| json!({ "pipeline": pipeline }))
    }

    fn keys(
        &self,
        pipeline: &str,
        wanted: &WantedKeys,
        each: &mut dyn FnMut(&Value) -> bool,
    ) -> Result<(), Refusal> {
        self.checkpoint(pipeline)?;
        let count = wanted.key.first().and_then(Value::as_u64).unwrap_or(2);
        let mut lines =
            (0..count).map(|n| json!({ "node": wanted.node, "key": [n], "value": "x".repeat(200) }));
        match lines.all(|line| each(&line)) && wanted.key.len() > 1 {
            true => Err(Refusal::Failed("the disk is gone".to_owned())),
            false => Ok(()),
        }
    }

    fn check(&self, pipeline: &str) -> Result<Value, Refusal> {
        self.checkpoint(pipeline).map(|_| json!({ "faults": [] }))
    }

    fn compact(&self, pipeline: &str) -> Result<Value, Refusal> {
        self.checkpoint(pipeline).map(|_| json!({ "bytes": 1 }))
    }

    fn why(&self, pipeline: &str, node: &str) -> Result<Value, Refusal> {
        self.checkpoint(pipeline).map(|_| json!({ "node": node }))
    }

    fn watermarks(&self, pipeline: &str) -> Result<Value, Refusal> {
        self.checkpoint(pipeline).map(|_| json!({ "sources": [] }))
    }

    fn plan(&self, pipeline: &str) -> Result<Value, Refusal> {
        self.checkpoint(pipeline).map(|_| json!({ "operators": [] }))
    }

    fn dead_letters(&self, pipeline: &str, most: usize) -> Result<Value, Refusal> {
        self.checkpoint(pipeline).map(|_| json!({ "most": most }))
    }

    fn tap(
        &self,
        pipeline: &str,
        _: &str,
        limits: TapLimits,
        each: &mut dyn FnMut(&str) -> bool,
    ) -> Result<u64, Refusal> {
        self.checkpoint(pipeline)?;
        (0..limits.events.min(9)).all(|n| each(&json!({ "n": n }).to_string()));
        Ok(7)
    }

    fn configuration(&self) -> Value {
        json!({ "process": {} })
    }

    fn tell(&self, pipeline: &str, _: Order) -> Result<(), Refusal> {
        self.checkpoint(pipeline).map(|_| ())
    }

    fn snapshots(&self) -> Option<SnapshotStatus> {
        Some(SnapshotStatus { place: "copies".to_owned(), taken: 3, failed: 1, sent_bytes: 456 })
    }

    fn snapshot(&self) -> Result<SnapshotStatus, Refusal> {
        Err(Refusal::Conflict("the process takes no snapshots".to_owned()))
    }
}
