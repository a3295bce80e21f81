//! The sink that workers and the coordinator write to.

use crate::clients::keeper::Keeper;
use crate::clients::postgres::{self, Job, Queue};
use crate::dataflow::{Marked, Marker, RefusedEvent, Sink, SinkError, UnderWay, await_arrival};
use std::sync::Arc;

/// The target of a `postgres` sink.
pub struct Writing {
    job: Arc<Job>,
    queue: Arc<Queue>,
    keeper: Option<Keeper>,
    /// Whether what is not committed outlives this run.
    lasting: bool,
    /// Whether a marker of this sink has stood in the target.
    was_marked: bool,
    /// Whether we have put one there.
    adopted: bool,
}

impl Writing {
    /// A sink that is not connected yet.
    pub fn new(job: Arc<Job>) -> Writing {
        let queue = Arc::new(Queue::default());
        Writing { job, queue, keeper: None, lasting: false, was_marked: false, adopted: false }
    }

    fn push(&mut self, bytes: &[u8], marker: Option<Marker>) -> Result<(), SinkError> {
        self.queue.push(bytes, marker).map_err(SinkError::Failed)
    }
}

impl Sink for Writing {
    /// A server that cannot be reached is no reason to stop.
    fn open(&mut self) -> Result<(), SinkError> {
        let started = postgres::start(self.job.clone(), self.queue.clone());
        self.keeper = Some(started.map_err(SinkError::Failed)?);
        Ok(())
    }

    fn resume(&mut self, position: &[u8], _repeats: bool) -> Result<(), SinkError> {
        (self.lasting, self.was_marked) = (true, !position.is_empty());
        Ok(())
    }

    fn secure(&mut self, pending: &mut Vec<u8>) -> Result<(), SinkError> {
        self.queue.secure(pending).map_err(SinkError::Failed)
    }

    fn acknowledged(&self) -> u64 {
        self.queue.acknowledged()
    }

    /// Whether there is a marker to be looked for.
    fn position(&self, into: &mut Vec<u8>) {
        let stands = || matches!(self.queue.marked(), Ok(Marked::At(_)));
        if self.was_marked || (self.adopted && stands()) {
            into.push(1);
        }
    }

    fn marker(&mut self) -> Result<Marked, SinkError> {
        self.queue.marked().map_err(SinkError::Failed)
    }

    fn adopt(&mut self, marker: Marker) -> Result<(), SinkError> {
        self.adopted = true;
        self.push(&[], Some(marker))
    }

    fn deliver(&mut self, chunk: &[u8], marker: Marker) -> Result<(), SinkError> {
        self.adopted = true;
        self.push(chunk, Some(marker))
    }

    fn trouble(&self) -> Option<String> {
        self.queue.backlog.trouble()
    }

    fn refused(&mut self, into: &mut Vec<RefusedEvent>) {
        into.append(&mut self.queue.take_refused());
    }

    fn refused_kept(&mut self) {
        self.queue.refused_kept();
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.push(bytes, None)
    }

    /// Batches go by themselves.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.queue.backlog.has_room()
    }

    /// Where state is kept, nothing is lost that was given to be kept: without a connection nobody waits for it.
    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        let queue = &self.queue;
        queue.backlog.close();
        let under_way = || {
            queue.backlog.lock().hopes().map_err(SinkError::Failed)?;
            let events = queue.waiting();
            let (target, is_kept) = (self.job.server.shown.clone(), self.lasting && queue.is_kept());
            let is_connected = queue.backlog.is_connected();
            // What waits for refused rows to be kept has a marker, and stands in the log.
            let is_over = events == 0 || (self.job.exactly_once && queue.is_held());
            Ok((!is_over).then_some(UnderWay { target, events, is_kept, is_connected }))
        };
        await_arrival(stopped, under_way, || queue.backlog.wait_for_change())?;
        self.keeper = None;
        Ok(())
    }
}
