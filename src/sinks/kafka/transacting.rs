//! The sink that delivers exactly once: chunks go into transactions on a thread of their own.

use super::committer::{Committer, Naming, Next};
use super::producer::Manner;
use super::queue::TransactionQueue;
use super::transactions::{Identity, KafkaTransactions};
use crate::dataflow::{Marked, Marker, RefusedEvent, Sink, SinkError};
use crate::time::{Clock, Millis, SystemClock};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a stop waits for transactions.
const PATIENCE: Millis = Millis(5_000);
/// How often a stop is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// What a position holds: that a marker stands in the target.
const MARKED: &[u8] = b"marked";

/// The target of a `kafka` sink under `exactly_once`.
pub struct Transacting {
    manner: Manner,
    identity: Identity,
    naming: Naming,
    queue: Arc<TransactionQueue>,
    thread: Option<JoinHandle<()>>,
}

impl Transacting {
    /// A sink that is not connected yet.
    pub fn new(manner: Manner, identity: Identity, instance: String) -> Transacting {
        let target = format!("kafka at {}", manner.connection.shown_brokers());
        let naming =
            Naming { who: manner.connection.who.clone(), instance, target, timeout: identity.timeout };
        Transacting { manner, identity, naming, queue: Arc::default(), thread: None }
    }

    fn stopped(&self) -> Result<(), SinkError> {
        self.queue.stopped().map_or(Ok(()), |stopped| Err(stopped.into()))
    }

    /// Stops the thread, which aborts what is under way.
    fn leave(&mut self) {
        self.queue.leave();
        if let Some(thread) = self.thread.take() {
            // Whatever it was, nothing was acknowledged that has not committed.
            let _ = thread.join();
        }
    }
}

/// Drives the machine until it has come to its end.
fn commit_always(mut committer: Committer, mut target: KafkaTransactions, queue: &TransactionQueue) {
    let clock = SystemClock::new();
    loop {
        let duration = |span: Millis| Duration::from_millis(span.0.max(0) as u64);
        match committer.step(&mut target, &clock) {
            Next::Now => {}
            Next::Chunk(span) => {
                target.attend();
                queue.wait_for_chunks(duration(span));
            }
            Next::After(span) => queue.wait(duration(span)),
            Next::Never => return,
        }
    }
}

impl Sink for Transacting {
    /// Brokers that cannot be reached are no reason to stop.
    fn open(&mut self) -> Result<(), SinkError> {
        let queue = self.queue.clone();
        let target = KafkaTransactions::new(self.manner.clone(), self.identity.clone(), queue.clone());
        let committer = Committer::new(self.naming.clone(), queue.clone());
        let thread = std::thread::Builder::new().name("kafka".to_owned());
        let thread = thread.spawn(move || commit_always(committer, target, &queue));
        let thread =
            thread.map_err(|error| SinkError::Failed(format!("cannot start a connection: {error}")))?;
        self.thread = Some(thread);
        Ok(())
    }

    fn resume(&mut self, position: &[u8], _repeats: bool) -> Result<(), SinkError> {
        if !position.is_empty() {
            self.queue.was_marked();
        }
        Ok(())
    }

    fn position(&self, into: &mut Vec<u8>) {
        if self.queue.is_marked() {
            into.extend_from_slice(MARKED);
        }
    }

    fn marker(&mut self) -> Result<Marked, SinkError> {
        self.queue.found()
    }

    fn adopt(&mut self, marker: Marker) -> Result<(), SinkError> {
        self.queue.push(&[], marker)
    }

    fn deliver(&mut self, chunk: &[u8], marker: Marker) -> Result<(), SinkError> {
        self.queue.push(chunk, marker)
    }

    /// What was delivered is in the log until its transaction has committed.
    fn secure(&mut self, _pending: &mut Vec<u8>) -> Result<(), SinkError> {
        self.queue.secure();
        self.stopped()
    }

    fn acknowledged(&self) -> u64 {
        self.queue.acknowledged()
    }

    fn trouble(&self) -> Option<String> {
        self.queue.trouble()
    }

    fn refused(&mut self, into: &mut Vec<RefusedEvent>) {
        into.append(&mut self.queue.take_refused());
    }

    fn refused_kept(&mut self) {
        self.queue.refused_kept();
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<(), SinkError> {
        Err(SinkError::Failed("output without a marker cannot be delivered exactly once".to_owned()))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.stopped()
    }

    fn is_ready(&self) -> bool {
        self.queue.has_room()
    }

    /// What has not committed stays in the log, and what waits for refused events to be taken out as well.
    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        let clock = SystemClock::new();
        let mut since = None;
        while !(self.queue.is_empty() || self.queue.is_held()) {
            self.stopped()?;
            if stopped() {
                let now = clock.elapsed();
                if !self.queue.is_served() || now - *since.get_or_insert(now) >= PATIENCE {
                    break;
                }
            }
            self.queue.wait(LOOK);
        }
        self.leave();
        self.stopped()
    }
}

impl Drop for Transacting {
    fn drop(&mut self) {
        self.leave();
    }
}
