//! The sink that workers and whoever keeps the state write to.

use super::outbox::Outbox;
use super::request::Job;
use super::sender;
use crate::clients::keeper::Keeper;
use crate::dataflow::{RefusedEvent, Sink, SinkError, UnderWay, await_arrival};
use std::sync::Arc;

/// The target of a sink that posts.
pub struct Posting {
    job: Arc<Job>,
    outbox: Arc<Outbox>,
    keeper: Option<Keeper>,
    /// Whether what was not taken outlives this run.
    lasting: bool,
}

impl Posting {
    /// A sink that posts nothing yet.
    pub fn new(job: Job) -> Posting {
        let (texts, shared) = (job.compose.texts(), job.compose.shared());
        let outbox = Arc::new(Outbox::new(texts, shared, job.batching, job.ids));
        Posting { job: Arc::new(job), outbox, keeper: None, lasting: false }
    }

    /// Whether the server is still tried.
    fn hopes(&self) -> Result<(), SinkError> {
        self.outbox.backlog.failed().map_or(Ok(()), |why| Err(SinkError::Failed(why)))
    }
}

impl Sink for Posting {
    /// A server that cannot be reached is no reason to stop.
    fn open(&mut self) -> Result<(), SinkError> {
        let started = sender::start(self.job.clone(), self.outbox.clone());
        self.keeper = Some(started.map_err(SinkError::Failed)?);
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
        self.outbox.backlog.trouble()
    }

    fn refused(&mut self, into: &mut Vec<RefusedEvent>) {
        into.append(&mut self.outbox.backlog.lock().take_refused());
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.outbox.push(bytes).map_err(SinkError::Failed)
    }

    /// Requests go by themselves.
    fn flush(&mut self) -> Result<(), SinkError> {
        self.hopes()
    }

    fn is_ready(&self) -> bool {
        self.outbox.backlog.has_room()
    }

    /// Where state is kept, nothing is lost that was given to be kept: nobody waits for a server that takes nothing.
    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        let outbox = &self.outbox;
        outbox.backlog.close();
        let under_way = || {
            self.hopes()?;
            let events = outbox.waiting();
            let is_kept = self.lasting && outbox.is_kept();
            let (target, is_connected) = ("the server".to_owned(), outbox.backlog.is_connected());
            Ok((events > 0).then_some(UnderWay { target, events, is_kept, is_connected }))
        };
        await_arrival(stopped, under_way, || outbox.backlog.wait_for_change())?;
        self.keeper = None;
        Ok(())
    }
}
