//! The journals of sources on their way into the log.

use super::bell::Bell;
use crate::dataflow::{FrameNumber, Journal};
#[cfg(feature = "simulation")]
use crate::state::mutation;
use crate::state::{Frame, NodeId, RecordId, RecordKind, RecordPlace};
use crate::time::Millis;
use std::collections::VecDeque;
use std::sync::Arc;

/// The partition of all frames of a source.
pub const ONLY: &[u8] = b"";

/// The journal of one source.
pub struct JournalFeed {
    /// Which of the plan's sources.
    pub source: usize,
    node: NodeId,
    journal: Arc<Journal>,
    sync: Millis,
    due: Millis,
    /// Frames that were taken and are not durable yet, and the number of the last.
    waiting: Vec<Vec<u8>>,
    last: FrameNumber,
    /// Frames that are durable and that no checkpoint covers.
    places: VecDeque<(FrameNumber, RecordId)>,
}

impl JournalFeed {
    /// A feed that commits at least every `sync`; `unread` are frames of an earlier run, numbered from 1.
    pub fn new(
        source: usize,
        node: NodeId,
        journal: Arc<Journal>,
        sync: Millis,
        unread: &[RecordId],
    ) -> JournalFeed {
        let places = unread.iter().zip(1..).map(|(id, number)| (FrameNumber(number), *id)).collect();
        let last = FrameNumber(unread.len() as u64);
        JournalFeed { source, node, journal, sync, due: Millis::ZERO, waiting: Vec::new(), last, places }
    }

    /// Takes what was appended, if it is time for it, or in any case.
    pub fn take(&mut self, now: Millis, anyway: bool) {
        if now >= self.due || anyway {
            self.due = now + self.sync;
            let (frames, last) = self.journal.take();
            self.waiting.extend(frames);
            self.last = last;
            #[cfg(feature = "simulation")]
            if mutation::is(mutation::Mutation::AcknowledgeBeforeCommit) {
                self.journal.committed(last, 0);
            }
        }
    }

    /// Rings when something has come.
    pub fn ring(&self, bell: Bell) {
        self.journal.on_append(Box::new(move || bell.ring()));
    }

    /// When something is to be taken that has come; None if nothing has.
    pub fn next_due(&self) -> Option<Millis> {
        self.journal.is_waiting().then_some(self.due)
    }

    /// The frames to be committed.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.waiting.iter().map(|payload| Frame { node: self.node, partition: ONLY, payload })
    }

    /// They are durable: `places` are those of this commit's records, from the first frame of this feed on.
    pub fn committed<'p>(&mut self, places: &mut impl Iterator<Item = &'p RecordPlace>) {
        let first = self.last.0 - self.waiting.len() as u64 + 1;
        let mut bytes = 0;
        for (number, frame) in (first..).zip(self.waiting.drain(..)) {
            bytes += frame.len();
            if let Some(place) = places.find(|place| place.kind == RecordKind::Frame) {
                self.places.push_back((FrameNumber(number), place.id));
            }
        }
        if bytes > 0 {
            self.journal.committed(self.last, bytes);
        }
    }

    /// The record of a frame; it and all before it are then covered by a checkpoint.
    pub fn cover(&mut self, last: FrameNumber) -> Option<RecordId> {
        let covered = self.places.partition_point(|(number, _)| *number <= last);
        let id = covered.checked_sub(1).map(|at| self.places[at].1);
        // The last stays: the next checkpoint may say the same.
        self.places.drain(..covered.saturating_sub(1));
        id
    }

    /// Whether there is something to be committed.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}
