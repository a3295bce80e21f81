//! Questions of other threads that workers answer between two batches.

use super::intake::IntakeView;
use super::stats::Counters;
use crate::dataflow::{Awaits, NodeId, StageId};
use crate::time::{Millis, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a worker knows of a node and of what leads to it.
#[derive(Clone, Debug)]
pub struct WorkerView {
    /// Which worker.
    pub number: usize,
    /// The time of day.
    pub now: Timestamp,
    /// By source of the plan.
    pub intakes: Vec<IntakeView>,
    /// The watermark of what comes into the node.
    pub watermark: Timestamp,
    /// What the node waits for.
    pub awaits: Vec<Awaits>,
    /// What it has counted of all nodes.
    pub counters: Counters,
}

/// Where questions lie until workers come by.
#[derive(Default)]
pub struct Inquiry {
    /// Which question it is; workers that have answered it look no further.
    number: AtomicU64,
    asked: Mutex<Option<Asked>>,
}

struct Asked {
    node: NodeId,
    stage: StageId,
    answers: Sender<WorkerView>,
}

impl Inquiry {
    /// Which question is the last.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// A worker answers: `look` is given the node and the stage that it reads.
    pub fn answer(&self, look: impl FnOnce(NodeId, StageId) -> WorkerView) {
        if let Some(Asked { node, stage, answers }) = &*self.asked() {
            // Who asked may have given up meanwhile.
            let _ = answers.send(look(*node, *stage));
        }
    }

    fn asked(&self) -> MutexGuard<'_, Option<Asked>> {
        // Whoever panicked left whole values.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A way to ask the workers of a pipeline, as long as that runs.
#[derive(Clone)]
pub struct Inquirer {
    inquiry: Arc<Inquiry>,
    workers: usize,
    /// One question at a time.
    turn: Arc<Mutex<()>>,
}

impl Inquirer {
    /// A way to so many workers.
    pub fn new(inquiry: Arc<Inquiry>, workers: usize) -> Inquirer {
        Inquirer { inquiry, workers, turn: Arc::default() }
    }

    /// What all workers know of a node, which reads that stage. None if one of them takes longer, or is gone.
    pub fn ask(&self, node: NodeId, stage: StageId, at_most: Millis) -> Option<Vec<WorkerView>> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (answers, receiver) = channel();
        *self.inquiry.asked() = Some(Asked { node, stage, answers });
        self.inquiry.number.fetch_add(1, Ordering::Release);
        let mut views = BTreeMap::new();
        while views.len() < self.workers {
            let Ok(view) = receiver.recv_timeout(Duration::from_millis(at_most.0.max(0) as u64)) else {
                break;
            };
            // One that comes late to an earlier question may answer this one twice.
            views.insert(view.number, view);
        }
        *self.inquiry.asked() = None;
        (views.len() == self.workers).then(|| views.into_values().collect())
    }
}
