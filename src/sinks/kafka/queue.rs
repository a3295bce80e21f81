//! What is to be put into transactions, between whoever delivers and the thread that commits.

use crate::dataflow::{Marked, Marker, RefusedEvent, SinkError};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes with which it counts as full.
const FULL_BYTES: usize = 8 << 20;
/// What a chunk takes in memory besides its bytes.
const OVERHEAD: usize = 128;

/// A chunk of records, to be committed with its marker.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The records, as [`crate::dataflow::read_addressed`] reads them.
    pub bytes: Vec<u8>,
    /// What stands in the target once they do.
    pub marker: Marker,
    /// Which of the records are left out, as the target refuses them.
    pub left_out: BTreeSet<usize>,
    /// How often was secured before it came.
    round: u64,
}

/// Why a sink stopped for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Another one writes under its name.
    Fenced(String),
    /// Anything else.
    Failed(String),
}

impl From<Stopped> for SinkError {
    fn from(stopped: Stopped) -> SinkError {
        match stopped {
            Stopped::Fenced(message) => SinkError::Fenced(message),
            Stopped::Failed(message) => SinkError::Failed(message),
        }
    }
}

/// The queue. Chunks stay until their transaction has committed.
#[derive(Default)]
pub struct TransactionQueue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    chunks: VecDeque<Arc<Delivered>>,
    bytes: usize,
    /// How often was secured.
    rounds: u64,
    /// What stood in the target when it was asked first.
    found: Marked,
    /// Whether a marker stands there now.
    is_marked: bool,
    refused: Vec<RefusedEvent>,
    /// Whether some were taken out and are not known to be kept.
    is_keeping: bool,
    stopped: Option<Stopped>,
    is_served: bool,
    /// Why the target takes nothing for now.
    trouble: Option<String>,
    is_leaving: bool,
}

impl Default for State {
    fn default() -> State {
        State {
            chunks: VecDeque::new(),
            bytes: 0,
            rounds: 0,
            found: Marked::Unknown,
            is_marked: false,
            refused: Vec::new(),
            is_keeping: false,
            stopped: None,
            is_served: false,
            trouble: None,
            is_leaving: false,
        }
    }
}

impl State {
    fn is_held(&self) -> bool {
        self.is_keeping || !self.refused.is_empty()
    }
}

impl TransactionQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left whole chunks.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A later run of a sink that had a marker in its target.
    pub fn was_marked(&self) {
        self.lock().is_marked = true;
    }

    /// Whether a marker stands in the target, or did.
    pub fn is_marked(&self) -> bool {
        self.lock().is_marked
    }

    /// What stood in the target when it was asked first.
    ///
    /// # Errors
    /// Nothing more can be delivered.
    pub fn found(&self) -> Result<Marked, SinkError> {
        let state = self.lock();
        state.stopped.clone().map_or(Ok(state.found), |stopped| Err(stopped.into()))
    }

    /// Takes a chunk. An empty one puts its marker there and nothing else.
    ///
    /// # Errors
    /// Nothing more can be delivered.
    pub fn push(&self, chunk: &[u8], marker: Marker) -> Result<(), SinkError> {
        let mut state = self.lock();
        if let Some(stopped) = state.stopped.clone() {
            return Err(stopped.into());
        }
        state.bytes += chunk.len() + OVERHEAD;
        let (bytes, left_out, round) = (chunk.to_vec(), BTreeSet::new(), state.rounds);
        state.chunks.push_back(Arc::new(Delivered { bytes, marker, left_out, round }));
        self.changed.notify_all();
        Ok(())
    }

    /// Counts a call of [`crate::dataflow::Sink::secure`].
    pub fn secure(&self) {
        self.lock().rounds += 1;
    }

    /// How many of these calls have led to nothing that has not committed.
    pub fn acknowledged(&self) -> u64 {
        let state = self.lock();
        state.chunks.front().map_or(state.rounds, |first| first.round)
    }

    /// Whether more should be delivered now.
    pub fn has_room(&self) -> bool {
        self.lock().bytes < FULL_BYTES
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lock().chunks.is_empty()
    }

    /// Whether the target is there, as far as is known.
    pub fn is_served(&self) -> bool {
        self.lock().is_served
    }

    /// Takes out what the target has refused.
    pub fn take_refused(&self) -> Vec<RefusedEvent> {
        let mut state = self.lock();
        state.is_keeping |= !state.refused.is_empty();
        std::mem::take(&mut state.refused)
    }

    /// What was taken out is durable.
    pub fn refused_kept(&self) {
        self.lock().is_keeping = false;
        self.changed.notify_all();
    }

    /// Whether chunks wait until what was refused of them is where it is kept.
    pub fn is_held(&self) -> bool {
        self.lock().is_held()
    }

    /// Whoever commits is to stop.
    pub fn leave(&self) {
        self.lock().is_leaving = true;
        self.changed.notify_all();
    }

    /// Whether whoever commits is to stop.
    pub fn is_leaving(&self) -> bool {
        self.lock().is_leaving
    }

    /// Why nothing more can be delivered.
    pub fn stopped(&self) -> Option<Stopped> {
        self.lock().stopped.clone()
    }

    /// Waits a little for a change.
    pub fn wait(&self, at_most: Duration) {
        let state = self.lock();
        if !state.is_leaving {
            drop(self.changed.wait_timeout(state, at_most));
        }
    }

    /// Waits until something is to be committed, or for so long.
    pub fn wait_for_chunks(&self, at_most: Duration) {
        let idle = |state: &mut State| (state.chunks.is_empty() || state.is_held()) && !state.is_leaving;
        drop(self.changed.wait_timeout_while(self.lock(), at_most, idle));
    }

    /// The first chunks, together at most so many bytes, unless the first alone is longer. None of them while refused
    /// events of theirs are not where they are kept: they are not sent again.
    pub(super) fn first(&self, most: usize) -> Vec<Arc<Delivered>> {
        let state = self.lock();
        if state.is_held() {
            return Vec::new();
        }
        let mut bytes = 0;
        let fits = |chunk: &&Arc<Delivered>| {
            bytes += chunk.bytes.len();
            bytes <= most || bytes == chunk.bytes.len()
        };
        state.chunks.iter().take_while(fits).cloned().collect()
    }

    /// The first chunks have committed.
    pub(super) fn committed(&self, count: usize) {
        let mut state = self.lock();
        let count = count.min(state.chunks.len());
        let bytes: usize = state.chunks.drain(..count).map(|chunk| chunk.bytes.len() + OVERHEAD).sum();
        state.bytes -= bytes;
        state.is_marked = true;
        self.changed.notify_all();
    }

    /// Leaves a record of one of the first chunks out of all further transactions.
    pub(super) fn leave_out(&self, chunk: usize, record: usize, mut refused: RefusedEvent) {
        let mut state = self.lock();
        if let Some(chunk) = state.chunks.get_mut(chunk)
            && Arc::make_mut(chunk).left_out.insert(record)
        {
            refused.record = Some((chunk.marker, record as u32));
            state.refused.push(refused);
        }
    }

    /// The target has told what stands there.
    pub(super) fn note_found(&self, found: Option<Marker>) {
        let mut state = self.lock();
        state.is_marked |= found.is_some();
        state.found = found.map_or(Marked::Absent, Marked::At);
        self.changed.notify_all();
    }

    pub(super) fn note_served(&self, is_served: bool) {
        self.lock().is_served = is_served;
        self.changed.notify_all();
    }

    pub(super) fn note_trouble(&self, why: Option<String>) {
        self.lock().trouble = why;
    }

    /// Why the target takes nothing for now; None where it does, as far as is known.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    pub(super) fn stop(&self, why: Stopped) {
        self.lock().stopped.get_or_insert(why);
        self.changed.notify_all();
    }
}
