//! What workers and the thread of the connection share: who reads what, and what they ask of one another.

use super::topics::Place;
use crate::clients::kafka::Context;
use rdkafka::consumer::BaseConsumer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// The client that all partitions of a source are read by.
pub type Client = BaseConsumer<Context>;

/// The first offset that a partition has, and the one behind its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub low: i64,
    /// Behind the last.
    pub high: i64,
}

/// Shared by the thread that keeps the client and the workers that read.
#[derive(Default)]
pub struct Shared {
    state: Mutex<State>,
    told: Condvar,
    /// Counts clients: partitions of an earlier one are to be assigned anew.
    generation: AtomicU64,
    /// Set when messages came, and when partitions were asked for some.
    pub arrived: AtomicBool,
    /// See `arrived`.
    pub asked: AtomicBool,
    /// Whether some are gone.
    are_gone: AtomicBool,
}

/// What is under the lock.
#[derive(Default)]
pub struct State {
    /// The client, once there is one.
    pub client: Option<Arc<Client>>,
    /// What each worker reads.
    pub shares: Vec<Share>,
    /// How far the group is to be told that checkpoints are.
    pub commits: BTreeMap<Place, i64>,
    /// Partitions whose next offset does not exist.
    pub lost: BTreeSet<Place>,
    /// Answers to those.
    pub ranges: BTreeMap<Place, Range>,
    /// Partitions whose topic was deleted.
    gone: BTreeSet<Place>,
    /// Whether the thread is to end.
    pub stopping: bool,
    /// What came of the first attempt.
    first: Option<Result<(), String>>,
}

/// What one worker reads.
#[derive(Default)]
pub struct Share {
    /// Set once the worker is ready to take partitions.
    pub worker: Option<Thread>,
    /// Where its partitions go on that a checkpoint knows.
    pub positions: BTreeMap<Place, i64>,
    /// Partitions that it has not taken yet, and where they begin.
    pub found: Vec<(Place, i64)>,
    /// Whether all that was there at the start has been found.
    pub complete: bool,
}

impl Shared {
    /// For so many workers.
    pub fn new(workers: usize) -> Arc<Shared> {
        let shared = Shared::default();
        shared.lock().shares.resize_with(workers, Share::default);
        Arc::new(shared)
    }

    /// What is under the lock.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        // No change of it is left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the client; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Puts a client in the place of the one before, and returns that.
    pub fn replace(&self, client: Option<Arc<Client>>) -> Option<Arc<Client>> {
        let before = std::mem::replace(&mut self.lock().client, client);
        self.generation.fetch_add(1, Ordering::Release);
        before
    }

    /// Says what came of the first attempt.
    pub fn tell_first(&self, outcome: Result<(), String>) {
        self.lock().first.get_or_insert(outcome);
        self.told.notify_all();
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.lock().shares.len()
    }

    /// Ends partitions.
    pub fn let_go(&self, gone: Vec<Place>) {
        if !gone.is_empty() {
            self.lock().gone.extend(gone);
            self.are_gone.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a partition has ended; said once.
    pub fn is_gone(&self, place: &Place) -> bool {
        if !self.are_gone.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        let is_gone = state.gone.remove(place);
        self.are_gone.store(!state.gone.is_empty(), Ordering::Relaxed);
        is_gone
    }

    /// Waits until the first attempt has found all partitions or failed.
    ///
    /// # Errors
    /// Why it failed.
    pub fn first_attempt(&self) -> Result<(), String> {
        let mut state = self.lock();
        loop {
            match &state.first {
                Some(outcome) => return outcome.clone(),
                None => state = self.told.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Ends the thread by and by.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.told.notify_all();
    }

    /// Waits so long, or until the thread is to end.
    pub fn pause(&self, span: Duration) {
        let state = self.lock();
        if !state.stopping {
            drop(self.told.wait_timeout(state, span).unwrap_or_else(PoisonError::into_inner));
        }
    }
}
