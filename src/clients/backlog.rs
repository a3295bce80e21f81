//! What workers and the thread that delivers share: what is not delivered yet, and how the target stands.

use crate::dataflow::RefusedEvent;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes with which it counts as full.
const FULL_BYTES: usize = 8 << 20;
/// Bytes beyond which a writer waits: what a full one still takes comes from one pass of a pipeline.
const MOST_BYTES: usize = 128 << 20;
/// How long a waiting writer sleeps at the most before it looks again.
const LOOK: Duration = Duration::from_millis(100);

/// Output on its way, in a queue `Q`.
#[derive(Default)]
pub struct Backlog<Q> {
    state: Mutex<State<Q>>,
    changed: Condvar,
    /// Something came, or nothing more will.
    pub wake: Notify,
}

/// What is behind the lock.
#[derive(Default)]
pub struct State<Q> {
    /// What waits.
    pub queue: Q,
    /// What that takes in memory.
    pub bytes: usize,
    /// How often was asked for what is to be kept.
    pub rounds: u64,
    /// Whether nothing more will come: what is there need not wait for more.
    pub closing: bool,
    connected: bool,
    /// Why the target takes nothing for now.
    trouble: Option<String>,
    /// Those that nobody has taken out yet; they count for how full it is.
    refused: Vec<RefusedEvent>,
    refused_bytes: usize,
    failed: Option<String>,
}

impl<Q> State<Q> {
    /// Keeps events that were refused for whoever wants to know.
    pub fn refuse(&mut self, events: impl IntoIterator<Item = RefusedEvent>) {
        for event in events {
            self.refused_bytes += event.bytes.len();
            self.refused.push(event);
        }
    }

    /// Whether nobody has taken out all that was refused.
    pub fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Takes out what was refused.
    pub fn take_refused(&mut self) -> Vec<RefusedEvent> {
        self.refused_bytes = 0;
        std::mem::take(&mut self.refused)
    }

    /// # Errors
    /// Why nothing is delivered any more.
    pub fn hopes(&self) -> Result<(), String> {
        self.failed.clone().map_or(Ok(()), Err)
    }
}

impl<Q> Backlog<Q> {
    /// What is behind the lock.
    pub fn lock(&self) -> MutexGuard<'_, State<Q>> {
        // Whoever panicked left the queue as it was between two events.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, where more is to be put in. Waits only if there is many times as much as makes it full.
    ///
    /// # Errors
    /// Why nothing is delivered any more.
    pub fn lock_with_room(&self) -> Result<MutexGuard<'_, State<Q>>, String> {
        let mut state = self.lock();
        while state.bytes > MOST_BYTES && state.failed.is_none() {
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.hopes()?;
        Ok(state)
    }

    /// Lets those look who wait for a change.
    pub fn tell(&self) {
        self.changed.notify_all();
    }

    /// Whether more should be written now.
    pub fn has_room(&self) -> bool {
        let state = self.lock();
        state.bytes + state.refused_bytes < FULL_BYTES
    }

    /// The target takes what it is given.
    pub fn note_connected(&self) {
        let mut state = self.lock();
        (state.connected, state.trouble) = (true, None);
        drop(state);
        self.tell();
    }

    /// There is no connection any more.
    pub fn note_lost(&self) {
        self.lock().connected = false;
        self.tell();
    }

    /// The target takes nothing for now: why.
    pub fn note_trouble(&self, why: &str) {
        let mut state = self.lock();
        (state.connected, state.trouble) = (false, Some(why.to_owned()));
        drop(state);
        self.tell();
    }

    /// Why the target takes nothing for now; None where it does, as far as is known.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// Whether the target takes what it is given, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.lock().connected
    }

    /// Nothing is delivered any more.
    pub fn fail(&self, why: String) {
        self.lock().failed.get_or_insert(why);
        self.tell();
    }

    /// Why nothing is delivered any more.
    pub fn failed(&self) -> Option<String> {
        self.lock().failed.clone()
    }

    /// Nothing more will come: what is there goes as it is.
    pub fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    /// Waits a little for a change.
    pub fn wait_for_change(&self) {
        let state = self.lock();
        if state.failed.is_none() {
            drop(self.changed.wait_timeout(state, LOOK));
        }
    }
}
