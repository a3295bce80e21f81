//! The sink that workers and whoever keeps the state write to.

use super::outbox::Outbox;
use super::request::Job;
use super::sender::Sender;
use crate::dataflow::{RefusedEvent, Sink, SinkError};
use crate::time::{Clock, Millis, SystemClock};
use std::sync::Arc;

/// How long a stop waits for answers: less than the process gives its pipelines.
const PATIENCE: Millis = Millis(5_000);

/// The target of a sink that posts.
pub struct Posting {
    job: Arc<Job>,
    outbox: Arc<Outbox>,
    sender: Option<Sender>,
    /// Whether what was not taken outlives this run.
    lasting: bool,
}

impl Posting {
    /// A sink that posts nothing yet.
    pub fn new(job: Job) -> Posting {
        let (texts, shared) = (job.compose.texts(), job.compose.shared());
        let outbox = Arc::new(Outbox::new(texts, shared, job.batching, job.ids));
        Posting { job: Arc::new(job), outbox, sender: None, lasting: false }
    }

    /// Whether the server is still tried.
    fn hopes(&self) -> Result<(), SinkError> {
        self.outbox.failed().map_or(Ok(()), |why| Err(SinkError::Failed(why)))
    }
}

impl Sink for Posting {
    /// A server that cannot be reached is no reason to stop.
    fn open(&mut self) -> Result<(), SinkError> {
        let started = Sender::start(self.job.clone(), self.outbox.clone());
        self.sender = Some(started.map_err(SinkError::Failed)?);
        Ok(())
    }

    /// What was not taken is given to be kept, and written again.
    fn resume(&mut self, _position: &[u8], _repeats: bool) -> Result<(), SinkError> {
        self.lasting = true;
        Ok(())
    }

    fn secure(&mut self, pending: &mut Vec<u8>) -> Result<(), SinkError> {
        self.outbox.secure(pending).map_err(SinkError::Failed)
    }

    fn acknowledged(&self) -> u64 {
        self.outbox.acknowledged()
    }

    fn trouble(&self) -> Option<String> {
        self.outbox.trouble()
    }

    fn refused(&mut self, into: &mut Vec<RefusedEvent>) {
        into.append(&mut self.outbox.take_refused());
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.outbox.push(bytes).map_err(SinkError::Failed)
    }

    /// Requests go by themselves.
    fn flush(&mut self) -> Result<(), SinkError> {
        self.hopes()
    }

    fn is_ready(&self) -> bool {
        self.outbox.has_room()
    }

    /// Where state is kept, nothing is lost that was given to be kept: nobody waits for a server that takes nothing.
    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        self.outbox.close();
        let clock = SystemClock::new();
        let mut stopped_at = None;
        loop {
            self.hopes()?;
            let waiting = self.outbox.waiting();
            if waiting == 0 {
                break;
            }
            if stopped() {
                let is_kept = self.lasting && self.outbox.is_kept();
                let since = *stopped_at.get_or_insert(clock.elapsed());
                let waited = clock.elapsed().0 - since.0 >= PATIENCE.0;
                if is_kept && (waited || !self.outbox.is_connected()) {
                    break;
                }
                if waited {
                    return Err(SinkError::Failed(format!(
                        "{waiting} events were not taken within {PATIENCE} of the stop: they are lost"
                    )));
                }
            }
            self.outbox.wait_for_change();
        }
        self.sender = None;
        Ok(())
    }
}
