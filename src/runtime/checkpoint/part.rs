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
}

impl Part {
    /// Takes in a later part, of whichever worker: what it says of a partition or a key replaces what was said before.
    pub fn absorb(&mut self, later: Part) {
        self.entries.extend(later.entries);
        for reached in later.reached {
            let same = |known: &&mut Reached| {
                known.source == reached.source && known.position.partition == reached.position.partition
            };
            match self.reached.iter_mut().find(same) {
                Some(known) => *known = reached,
                None => self.reached.push(reached),
            }
        }
    }
}
