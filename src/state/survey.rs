//! How much there is of each node: of state in a folder, and in a savepoint.

use super::backend::StateBackend;
use super::error::StateError;
use super::journal::Frame;
use super::number::NodeId;
use super::outbox::{Chunk, Refused};
use super::savepoint::{Part, SavepointReader};
use std::collections::BTreeMap;
use std::io::Read;

/// How much there is of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSurvey {
    /// Keys.
    pub keys: u64,
    /// Bytes of these and of their values.
    pub bytes: u64,
    /// Frames of its journal that are not read, and their bytes.
    pub frames: (u64, u64),
    /// Chunks that it has not delivered, and their bytes.
    pub chunks: (u64, u64),
    /// Rows that its target refused and nobody took over.
    pub refused: u64,
}

/// How much there is of each node of which there is anything.
pub type Survey = BTreeMap<NodeId, NodeSurvey>;

fn add(sum: &mut (u64, u64), bytes: u64) {
    *sum = (sum.0 + 1, sum.1 + bytes);
}

fn add_key(survey: &mut Survey, node: NodeId, bytes: usize) {
    let node = survey.entry(node).or_default();
    node.keys += 1;
    node.bytes += bytes as u64;
}

impl StateBackend {
    /// Counts all there is. Reads all keys.
    pub fn survey(&self) -> Result<Survey, StateError> {
        let mut survey = Survey::new();
        self.keyed().all(&mut |key, value| {
            add_key(&mut survey, key.node(), key.as_bytes().len() + value.len());
            Ok(())
        })?;
        for (node, _, place) in self.unread_frames() {
            add(&mut survey.entry(node).or_default().frames, place.length.into());
        }
        for place in self.all_undelivered() {
            let payload = self.read(place)?;
            add(&mut survey.entry(Chunk::decode(&payload)?.node).or_default().chunks, place.length.into());
        }
        for place in self.refused() {
            let payload = self.read(place)?;
            survey.entry(Refused::decode(&payload)?.node).or_default().refused += 1;
        }
        Ok(survey)
    }
}

impl<R: Read> SavepointReader<R> {
    /// Reads and verifies the rest, and counts all there is.
    pub fn survey(&mut self) -> Result<Survey, StateError> {
        let mut survey = Survey::new();
        while let Some(part) = self.next_part()? {
            match part {
                Part::Keys(entries) => entries.iter().for_each(|entry| {
                    let value = entry.value.as_ref().map_or(0, |value| value.len());
                    add_key(&mut survey, entry.key.node(), entry.key.as_bytes().len() + value);
                }),
                Part::Frame(payload) => {
                    let node = Frame::decode(&payload)?.node;
                    add(&mut survey.entry(node).or_default().frames, payload.len() as u64);
                }
                Part::Chunk(payload) => {
                    let node = Chunk::decode(&payload)?.node;
                    add(&mut survey.entry(node).or_default().chunks, payload.len() as u64);
                }
                Part::Refused(payload) => {
                    survey.entry(Refused::decode(&payload)?.node).or_default().refused += 1;
                }
            }
        }
        Ok(survey)
    }
}
