//! What a worker gives to a checkpoint.

use crate::dataflow::{Offset, Position};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::state::Entry;
use crate::time::Timestamp;

/// How far a partition of a source has gone through the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which of the plan's sources.
    pub source: usize,
    /// Where it goes on.
    pub position: Position,
    /// How many of the events that come then have gone through already: a checkpoint may fall into a batch.
    pub skip: u64,
    /// Its highest event time, if it has begun.
    pub highest: Option<Timestamp>,
}

impl Reached {
    /// Which partition it is, among those of all sources.
    fn name(&self) -> (usize, &[u8]) {
        (self.source, &self.position.partition)
    }

    /// What is kept of an offset that can be replayed: the events to skip, and the source's own words.
    pub fn encode_replay(&self, at: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + at.len());
        put_number(&mut bytes, self.skip);
        bytes.extend_from_slice(at);
        bytes
    }

    /// Reads that back.
    pub fn decode_replay(bytes: &[u8]) -> Result<(u64, Offset), Malformed> {
        let mut reader = Reader::new(bytes);
        let skip = reader.number()?;
        Ok((skip, Offset::Replay(reader.take(reader.remaining())?.to_vec())))
    }
}

/// What changed on a worker since its last checkpoint.
#[derive(Debug, Default)]
pub struct Part {
    /// State of its operators; of entries of one key the last one counts.
    pub entries: Vec<Entry>,
    /// How far its partitions were read.
    pub reached: Vec<Reached>,
    /// Whether anything was read: then what it led to is to be kept even if no position says that it was read.
    pub was_fed: bool,
}

impl Part {
    /// Takes in a later part, of whichever worker: what it says of a partition or a key replaces what was said before.
    pub fn absorb(&mut self, later: Part) {
        self.was_fed |= later.was_fed;
        // There may be a million of them: mostly there is nothing yet that they would be put behind.
        match self.entries.is_empty() {
            true => self.entries = later.entries,
            false => self.entries.extend(later.entries),
        }
        self.reached.extend(later.reached);
        // Sorted stably, the last of those of a partition comes last. There may be thousands of files.
        self.reached.sort_by(|a, b| a.name().cmp(&b.name()));
        self.reached.dedup_by(|later, known| {
            let same = later.name() == known.name();
            if same {
                std::mem::swap(later, known);
            }
            same
        });
    }

    /// Forgets entries that later ones of the same key replace.
    pub fn forget_replaced(&mut self) {
        self.entries.sort_by(|a, b| a.key.cmp(&b.key));
        self.entries.dedup_by(|later, known| {
            let same = later.key == known.key;
            if same {
                std::mem::swap(later, known);
            }
            same
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{KeyGroup, NodeId, StateKey};

    #[test]
    fn what_is_said_later_counts() {
        let reached = |source, partition: &[u8], skip| Reached {
            source,
            position: Position { partition: partition.to_vec(), ..Position::default() },
            skip,
            highest: None,
        };
        let entry = |key: &[u8], value: u8| Entry {
            key: StateKey::new(NodeId(1), KeyGroup(0), key),
            value: Some([value].into()),
        };
        let mut part = Part::default();
        for skip in 0..3 {
            let reached = vec![reached(1, b"a", skip), reached(0, b"b", skip), reached(0, b"a", skip)];
            let entries = vec![entry(b"y", skip as u8), entry(b"x", skip as u8)];
            part.absorb(Part { reached, entries, was_fed: skip == 1 });
        }
        part.forget_replaced();
        assert_eq!(part.reached, [reached(0, b"a", 2), reached(0, b"b", 2), reached(1, b"a", 2)]);
        assert_eq!(part.entries, [entry(b"x", 2), entry(b"y", 2)]);
        assert!(part.was_fed);
    }
}
