//! What wakes a thread that rests.

use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// A bell. Clones are the same one.
#[derive(Clone, Default)]
pub struct Bell(Arc<OnceLock<Thread>>);

impl Bell {
    /// From now on it wakes this thread from [`crate::time::Clock::doze`].
    pub fn wake_this_thread(&self) {
        // There is one that keeps state, so nobody else was named before.
        _ = self.0.set(std::thread::current());
    }

    /// Wakes whoever rests; one who works does not rest before having looked again.
    pub fn ring(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}
