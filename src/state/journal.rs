//! The journal: input that its sender will not repeat, kept until a checkpoint covers what became of it.

use super::checkpoint::PARTITION_LIMIT;
use super::error::StateError;
use super::log::{Commit, RecordKind};
use super::number::NodeId;
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number};

/// Input as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The source.
    pub node: NodeId,
    /// What the source calls the partition.
    pub partition: &'a [u8],
    /// What came, in the source's own form.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Adds it to a commit.
    pub fn push(&self, commit: &mut Commit) -> Result<(), StateError> {
        let bytes = self.partition.len();
        if bytes > PARTITION_LIMIT {
            return Err(StateError::TooLarge { what: "a partition's name", bytes, limit: PARTITION_LIMIT });
        }
        commit.push(RecordKind::Frame, |into| {
            put_number(into, self.node.0.into());
            put_bytes(into, self.partition);
            into.extend_from_slice(self.payload);
        })
    }

    /// Reads what was added.
    pub fn decode(bytes: &'a [u8]) -> Result<Frame<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let node = NodeId(reader.small()?);
        let partition = reader.bytes(PARTITION_LIMIT)?;
        Ok(Frame { node, partition, payload: reader.take(reader.remaining())? })
    }
}
