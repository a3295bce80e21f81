//! The journal of a source whose sender does not repeat what it has sent: frames go to the log before they are acknowledged.
//!
//! A source appends from whatever thread it receives on and goes on at once; whoever keeps the log takes what was
//! appended now and then, commits it as one, and says so. Only then may the sender be told.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Counts the frames of a source, from 1; 0 is before the first. Never goes back in the life of a data directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNumber(pub u64);

/// Called when more frames are durable than before.
pub type OnDurable = Box<dyn Fn(FrameNumber) + Send + Sync>;

/// Called when something waits for the log and nothing did before.
pub type OnAppend = Box<dyn Fn() + Send + Sync>;

/// Frames on their way into the log.
#[derive(Default)]
pub struct Journal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Vec<u8>>,
    bytes: usize,
    appended: FrameNumber,
    durable: FrameNumber,
    on_durable: Option<OnDurable>,
    on_append: Option<OnAppend>,
}

/// Bytes that wait for the log beyond which a receiver should take nothing more.
const FULL_BYTES: usize = 8 << 20;

impl Journal {
    /// A journal whose last frame so far was that one.
    pub fn behind(last: FrameNumber) -> Journal {
        let state = State { appended: last, durable: last, ..State::default() };
        Journal { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left whole frames.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends what came, in the source's own form. It is durable once that number is.
    pub fn append(&self, frame: Vec<u8>) -> FrameNumber {
        let mut state = self.lock();
        if let Some(call) = state.on_append.as_ref().filter(|_| state.waiting.is_empty()) {
            call();
        }
        state.bytes += frame.len();
        state.waiting.push(frame);
        state.appended.0 += 1;
        self.changed.notify_all();
        state.appended
    }

    /// Whether so much waits for the disk that nothing more should be taken.
    pub fn is_full(&self) -> bool {
        self.lock().bytes > FULL_BYTES
    }

    /// The last frame that is durable.
    pub fn durable(&self) -> FrameNumber {
        self.lock().durable
    }

    /// What is to be done when more frames are durable; from the thread that keeps the log, so it must be short.
    pub fn on_durable(&self, call: OnDurable) {
        self.lock().on_durable = Some(call);
    }

    /// What is to be done when something waits that nothing did before.
    pub fn on_append(&self, call: OnAppend) {
        self.lock().on_append = Some(call);
    }

    /// Whether something waits to be taken.
    pub fn is_waiting(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Takes what waits, with the number of the last. The taker must bring it into the log, however often it has to try.
    pub fn take(&self) -> (Vec<Vec<u8>>, FrameNumber) {
        let mut state = self.lock();
        (std::mem::take(&mut state.waiting), state.appended)
    }

    /// Waits until something was appended, or for that long. Tells whether something waits.
    pub fn wait(&self, at_most: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, at_most, |state| state.waiting.is_empty());
        !waited.unwrap_or_else(PoisonError::into_inner).0.waiting.is_empty()
    }

    /// All frames up to that number are durable.
    pub fn committed(&self, last: FrameNumber, bytes: usize) {
        let mut state = self.lock();
        state.durable = state.durable.max(last);
        state.bytes = state.bytes.saturating_sub(bytes);
        if let Some(call) = &state.on_durable {
            call(last);
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn frames_are_numbered_taken_and_told_of() {
        let journal = Journal::behind(FrameNumber(4));
        let told = Arc::new(AtomicU64::new(0));
        let teller = told.clone();
        journal.on_durable(Box::new(move |last| teller.store(last.0, Ordering::Relaxed)));
        assert_eq!(journal.append(b"a".to_vec()), FrameNumber(5));
        assert_eq!(journal.append(vec![0; FULL_BYTES]), FrameNumber(6));
        assert!(journal.is_full());
        let (frames, last) = journal.take();
        assert_eq!((frames.len(), last, journal.durable()), (2, FrameNumber(6), FrameNumber(4)));
        assert!(!journal.wait(Duration::ZERO));
        journal.committed(last, FULL_BYTES + 1);
        assert!(!journal.is_full());
        assert_eq!((journal.durable(), told.load(Ordering::Relaxed)), (FrameNumber(6), 6));
    }
}
