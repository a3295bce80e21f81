//! Where workers meet for a checkpoint.

use super::bell::Bell;
use super::part::Part;
use crate::dataflow::Pressure;
use crate::state::Epoch;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What workers and coordinator tell each other. Numbers only grow.
pub struct Barrier {
    workers: usize,
    /// The checkpoint that is asked for.
    requested: AtomicU64,
    /// How often workers have sent all that they had, over all checkpoints.
    arrived: AtomicUsize,
    /// The last checkpoint that every worker has saved for: all go on.
    released: AtomicU64,
    /// The last checkpoint that is durable.
    committed: AtomicU64,
    /// Whether nothing more is to be read because the disk takes nothing.
    held_back: AtomicBool,
    /// What operators ask for that have no room.
    pressure: Arc<Pressure>,
    gathered: Mutex<Gathered>,
    bell: Bell,
}

#[derive(Default)]
struct Gathered {
    part: Part,
    saved: usize,
}

impl Barrier {
    /// For that many workers, with all epochs up to that one behind them.
    pub fn new(workers: usize, last: Epoch) -> Barrier {
        Barrier {
            workers,
            requested: AtomicU64::new(last.0),
            arrived: AtomicUsize::new(0),
            released: AtomicU64::new(last.0),
            committed: AtomicU64::new(last.0),
            held_back: AtomicBool::new(false),
            pressure: Arc::default(),
            gathered: Mutex::default(),
            bell: Bell::default(),
        }
    }

    /// What wakes whoever asks for checkpoints.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        // A worker that panicked has stopped the pipeline; what others gave is whole.
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The checkpoint that is asked for.
    pub fn requested(&self) -> Epoch {
        Epoch(self.requested.load(Ordering::Acquire))
    }

    /// Asks for a checkpoint.
    pub fn request(&self, epoch: Epoch) {
        self.requested.store(epoch.0, Ordering::Release);
    }

    /// A worker has sent all that it had.
    pub fn arrive(&self) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether all workers have sent all that they had, that many times since the first checkpoint.
    pub fn have_all_arrived(&self, times: usize) -> bool {
        self.arrived.load(Ordering::Acquire) >= times * self.workers
    }

    /// A worker has saved. The last one runs `cut` and lets all go on.
    pub fn deposit(&self, epoch: Epoch, part: Part, cut: impl FnOnce()) {
        let mut gathered = self.gathered();
        gathered.part.absorb(part);
        gathered.saved += 1;
        if gathered.saved == self.workers {
            gathered.saved = 0;
            cut();
            self.released.store(epoch.0, Ordering::Release);
            self.bell.ring();
        }
    }

    /// The last checkpoint that every worker has saved for.
    pub fn released(&self) -> Epoch {
        Epoch(self.released.load(Ordering::Acquire))
    }

    /// Takes what workers gave. Whole once [`Barrier::released`] says so, or when all workers are gone.
    pub fn take(&self) -> Part {
        std::mem::take(&mut self.gathered().part)
    }

    /// The last checkpoint that is durable.
    pub fn committed(&self) -> Epoch {
        Epoch(self.committed.load(Ordering::Acquire))
    }

    /// A checkpoint is durable.
    pub fn commit(&self, epoch: Epoch) {
        self.pressure.release();
        self.committed.store(epoch.0, Ordering::Release);
    }

    /// What operators ask for that have no room.
    pub fn pressure(&self) -> &Arc<Pressure> {
        &self.pressure
    }

    /// Wakes whoever asks for checkpoints if one is wanted before its time and not asked for yet.
    pub fn urge(&self) {
        if self.pressure.is_pressed() && self.requested() == self.committed() {
            self.bell.ring();
        }
    }

    /// Whether nothing more is to be read because the disk takes nothing, or before what has changed is saved.
    pub fn is_held_back(&self) -> bool {
        self.held_back.load(Ordering::Relaxed) || self.pressure.is_pressed()
    }

    /// Holds sources back, or no longer.
    pub fn hold_back(&self, hold: bool) {
        self.held_back.store(hold, Ordering::Relaxed);
    }
}
