//! What somebody tells a pipeline that runs.

use super::tap::Taps;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a pipeline is told; its workers look before each step.
#[derive(Debug, Default)]
pub struct Reins {
    paused: AtomicBool,
    draining: AtomicBool,
    stopping: AtomicBool,
    /// Those who look on.
    pub taps: Arc<Taps>,
}

impl Reins {
    /// Sources are not read, or are again. All else goes on: time, checkpoints, delivery.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Whether sources are not read.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// It is to end as if its input had: windows fire.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// It is to stop: no window fires, and the next run goes on from here.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
