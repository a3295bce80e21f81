//! What other threads ask of whoever keeps a pipeline's state.

use super::bell::Bell;
use super::coordinator::Coordinator;
use crate::state::Epoch;
use crate::time::Millis;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something to be done between two steps of the coordinator.
type Request = Box<dyn FnOnce(&mut Coordinator) + Send>;

/// A way to the coordinator of a pipeline, as long as that runs.
#[derive(Clone)]
pub struct KeeperHandle {
    inbox: Arc<Mutex<Inbox>>,
    bell: Bell,
}

#[derive(Default)]
struct Inbox {
    requests: Vec<Request>,
    closed: bool,
    figures: KeeperFigures,
}

/// The largest time of each class of `Durations`, in seconds; the last class has none.
pub const DURATION_BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// How long checkpoints took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Durations {
    /// How many there were of each class.
    pub counts: [u64; DURATION_BOUNDS.len() + 1],
    /// All of them together.
    pub sum: Millis,
}

impl Durations {
    /// One more.
    pub fn add(&mut self, took: Millis) {
        let seconds = took.0 as f64 / 1_000.0;
        self.counts[DURATION_BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.sum = self.sum + took;
    }
}

/// Figures of a pipeline's checkpoints.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckpointFigures {
    /// The last epoch that is durable.
    pub epoch: Epoch,
    /// How many were written since the start.
    pub written: u64,
    /// How many times writing failed.
    pub failures: u64,
    /// From the request to the commit of the last one.
    pub took: Millis,
    /// The same of all.
    pub durations: Durations,
    /// When the last was committed, in elapsed time.
    pub at: Millis,
    /// The bytes written for it, with all that was written since the one before.
    pub bytes: u64,
}

/// Figures of the state of a pipeline.
#[derive(Clone, Debug, Default)]
pub struct KeeperFigures {
    /// Of its checkpoints.
    pub checkpoints: CheckpointFigures,
    /// Bytes written since the start.
    pub written_bytes: u64,
    /// Bytes that log and store took on the disk at the last checkpoint.
    pub disk_bytes: u64,
    /// By sink of the plan.
    pub sinks: Vec<SinkFigures>,
}

/// How a sink's target is doing.
#[derive(Clone, Debug, Default)]
pub struct SinkFigures {
    /// Bytes that wait for their delivery.
    pub undelivered: u64,
    /// Bytes that were given up since the start, as its buffer allows.
    pub given_up: u64,
    /// Why the target takes nothing for now.
    pub away: Option<String>,
}

impl KeeperHandle {
    /// A way to a coordinator that is woken by this.
    pub fn new(bell: Bell) -> KeeperHandle {
        KeeperHandle { inbox: Arc::default(), bell }
    }

    /// Has something done by the coordinator and waits for what comes of it. None if the pipeline has ended, or it takes
    /// longer.
    pub fn call<T: Send + 'static>(
        &self,
        at_most: Millis,
        work: impl FnOnce(&mut Coordinator) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = channel();
        // Who asked may have given up meanwhile.
        self.put(Box::new(move |coordinator| _ = sender.send(work(coordinator))))?;
        receive(&receiver, at_most)
    }

    /// Has a checkpoint taken and waits until it is durable. None if the pipeline has ended, or it takes longer.
    pub fn checkpoint(&self, at_most: Millis) -> Option<CheckpointFigures> {
        let (sender, receiver): (Sender<CheckpointFigures>, _) = channel();
        self.put(Box::new(move |coordinator| coordinator.ask(sender)))?;
        receive(&receiver, at_most)
    }

    /// The last figures; waits for nobody, and lasts beyond the end of the pipeline.
    pub fn figures(&self) -> KeeperFigures {
        self.inbox().figures.clone()
    }

    /// Changes what others see.
    pub(super) fn publish(&self, change: impl FnOnce(&mut KeeperFigures)) {
        change(&mut self.inbox().figures);
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Whoever panicked left whole values.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, request: Request) -> Option<()> {
        let mut inbox = self.inbox();
        if inbox.closed {
            return None;
        }
        inbox.requests.push(request);
        self.bell.ring();
        Some(())
    }

    /// What was asked since this was called last.
    pub(super) fn take(&self) -> Vec<impl FnOnce(&mut Coordinator) + Send + use<>> {
        std::mem::take(&mut self.inbox().requests)
    }

    /// Nobody answers any more: who waits is told.
    pub(super) fn close(&self) {
        let mut inbox = self.inbox();
        inbox.closed = true;
        inbox.requests.clear();
    }
}

fn receive<T>(receiver: &Receiver<T>, at_most: Millis) -> Option<T> {
    receiver.recv_timeout(Duration::from_millis(at_most.0.max(0) as u64)).ok()
}
