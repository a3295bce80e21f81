//! Delivery to a target that keeps a marker: it is asked what has arrived before anything is delivered.

use super::coordinator::Coordinator;
use super::delivery::Delivery;
use super::marking::{self, Standing, Verdict, marker_of};
use crate::dataflow::{Marked, OnDoubt, SinkError};
use crate::state::{Changes, ChunkId, SinkProgress, StateBackend, StateError};
use crate::time::Millis;

impl Delivery {
    /// Whether it is known what the target has, and durable that it keeps a marker of ours: else a later start could not
    /// tell a marker that was lost from one that never was.
    pub(super) fn may_deliver(&mut self, backend: &StateBackend) -> Result<bool, SinkError> {
        if self.outlet.options().marked.is_none() {
            return Ok(true);
        }
        let found = self.outlet.marker()?;
        if self.asks && !self.settle_doubt(found, backend)? {
            return Ok(false);
        }
        if self.is_marked(backend) {
            return Ok(true);
        }
        self.locate();
        Ok(false)
    }

    /// Whether the log knows that a marker of ours stands in the target.
    fn is_marked(&self, backend: &StateBackend) -> bool {
        backend.progress().sinks.get(&self.node).is_some_and(|known| !known.position.is_empty())
    }

    /// That a marker of ours stands in the target, as soon as it does and the log does not know it: to be made durable at
    /// once.
    pub fn newly_marked(&self, backend: &StateBackend) -> Option<SinkProgress> {
        let keeps_marker = self.outlet.options().marked.is_some();
        let is_new = keeps_marker && !self.asks && !self.position.is_empty() && !self.is_marked(backend);
        self.marker(backend).filter(|_| is_new)
    }

    /// Goes by what the target says has arrived. Tells whether it has said anything.
    ///
    /// # Errors
    /// Output may be missing there, or would be there twice, and nobody has said which to accept.
    fn settle_doubt(&mut self, found: Marked, backend: &StateBackend) -> Result<bool, SinkError> {
        let standing = Standing {
            delivered: self.delivered,
            was_marked: self.is_marked(backend),
            waits: self.queue.first().is_some_and(|first| first <= self.begun),
            epoch: self.begun,
        };
        let on_doubt = self.outlet.options().marked.unwrap_or_default();
        let through = match (marking::judge(found, &standing, backend), on_doubt) {
            (Verdict::Unknown, _) => return Ok(false),
            (Verdict::Through(through), _) => Some(through),
            (Verdict::New, _) => None,
            (Verdict::Doubt(doubt), OnDoubt::Ask) => return Err(SinkError::Failed(doubt)),
            (Verdict::Doubt(doubt), OnDoubt::Duplicates) => {
                tracing::warn!("sink `{}`: {doubt}; what waits is delivered, as was accepted", self.name());
                None
            }
            (Verdict::Doubt(doubt), OnDoubt::Gap) => {
                tracing::warn!("sink `{}`: {doubt}; what waits is left out, as was accepted", self.name());
                self.leave_out(backend);
                None
            }
        };
        match through {
            Some(through) => self.skip_through(through, backend),
            None => self.outlet.adopt(marker_of(backend, self.delivered.unwrap_or_default()))?,
        }
        self.asks = false;
        Ok(true)
    }

    /// What the target has already, by its own word, is not delivered again.
    fn skip_through(&mut self, through: ChunkId, backend: &StateBackend) {
        self.delivered = self.delivered.max(Some(through));
        self.queue.skip_through(through, backend);
        self.outlet.note_waiting(self.waiting());
    }

    /// Gives up what waited when this run began.
    fn leave_out(&mut self, backend: &StateBackend) {
        self.given_up += self.queue.give_up(0, Some(self.begun), backend);
        self.settle();
        self.outlet.note_waiting(self.waiting());
    }
}

impl Coordinator {
    /// Writes down which targets have come to keep a marker: nothing is delivered to them before.
    pub(super) fn note_marked(&mut self, now: Millis) -> Result<bool, StateError> {
        let new = self.deliveries.iter().filter_map(|delivery| delivery.newly_marked(&self.keeping.backend));
        let markers: Vec<_> = new.collect();
        if markers.is_empty() || self.is_waiting(now) {
            return Ok(false);
        }
        let changes = Changes { markers, checkpoint: self.announcement(), ..Changes::default() };
        match self.keeping.backend.commit(changes) {
            Ok(_) => self.is_announced = true,
            Err(error) => self.fail_or_wait(error, now)?,
        }
        Ok(true)
    }
}
