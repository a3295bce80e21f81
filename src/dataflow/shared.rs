//! An opened sink, shared by the workers that write to it.

use super::sink::{RefusedEvent, Sink, SinkError};
use std::sync::{Arc, Mutex, PoisonError};

/// The number of a sink in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SinkId(pub u16);

/// How a sink is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkStatus {
    /// It takes events.
    Open,
    /// Its reader went away: a clean end.
    Closed,
    /// It failed; the pipeline must stop.
    Failed(String),
}

/// A sink that workers take turns in writing whole chunks to: a lock a chunk, not an event.
#[derive(Clone)]
pub struct SharedSink(Arc<Mutex<Held>>);

/// A sink and how it is doing.
struct Held {
    sink: Box<dyn Sink>,
    status: SinkStatus,
}

impl SharedSink {
    /// Shares an opened sink.
    pub fn new(sink: Box<dyn Sink>) -> SharedSink {
        SharedSink(Arc::new(Mutex::new(Held { sink, status: SinkStatus::Open })))
    }

    /// Writes whole encoded events. After a failure nothing is written any more; see [`SharedSink::status`].
    pub fn write(&self, bytes: &[u8]) {
        self.attempt(|sink| sink.write(bytes));
    }

    /// Makes what was written visible to readers of the target.
    pub fn flush(&self) {
        self.attempt(|sink| sink.flush());
    }

    /// Whether it can take more at once; one that takes nothing any more holds nobody up.
    pub fn is_ready(&self) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.status != SinkStatus::Open || held.sink.is_ready()
    }

    /// Takes out what the target has refused; see [`Sink::refused`].
    pub fn take_refused(&self, into: &mut Vec<RefusedEvent>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.sink.refused(into);
    }

    /// Waits until all that was written has arrived; see [`Sink::close`].
    pub fn close(&self, stopped: &dyn Fn() -> bool) {
        self.attempt(|sink| sink.close(stopped));
    }

    /// How it is doing.
    pub fn status(&self) -> SinkStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    fn attempt(&self, work: impl FnOnce(&mut dyn Sink) -> Result<(), SinkError>) {
        // A worker that panicked while writing left the sink as it was between two writes at worst.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.status == SinkStatus::Open
            && let Err(error) = work(&mut *held.sink)
        {
            held.status = match error {
                SinkError::Closed => SinkStatus::Closed,
                SinkError::Away(message) | SinkError::Failed(message) | SinkError::Fenced(message) => {
                    SinkStatus::Failed(message)
                }
            };
        }
    }
}
