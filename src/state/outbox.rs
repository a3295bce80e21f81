//! The outbox: output that is committed and waits for its target, and what targets refused.

use super::checkpoint::{SINK_POSITION_LIMIT, put_chunk_id, put_sink, read_chunk_id, read_sink};
use super::error::StateError;
use super::log::{Commit, RecordKind};
use super::number::{NodeId, RowNumber};
use super::progress::{ChunkId, SinkProgress};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number};

/// Encoded output of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The sink.
    pub node: NodeId,
    /// Which of its chunks.
    pub id: ChunkId,
    /// What is to be delivered, in the sink's own form.
    pub payload: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Adds it to a commit.
    pub fn push(&self, commit: &mut Commit) -> Result<(), StateError> {
        commit.push(RecordKind::Chunk, |into| {
            put_number(into, self.node.0.into());
            put_chunk_id(into, self.id);
            into.extend_from_slice(self.payload);
        })
    }

    /// Reads what was added.
    pub fn decode(bytes: &'a [u8]) -> Result<Chunk<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let node = NodeId(reader.small()?);
        let id = read_chunk_id(&mut reader)?;
        Ok(Chunk { node, id, payload: reader.take(reader.remaining())? })
    }
}

impl SinkProgress {
    /// Adds to a commit that the sink has come so far.
    pub fn push(&self, commit: &mut Commit) -> Result<(), StateError> {
        let bytes = self.position.len();
        if bytes > SINK_POSITION_LIMIT {
            let what = "a sink's position";
            return Err(StateError::TooLarge { what, bytes, limit: SINK_POSITION_LIMIT });
        }
        commit.push(RecordKind::Marker, |into| put_sink(into, self))
    }

    /// Reads what was added.
    pub fn decode(bytes: &[u8]) -> Result<SinkProgress, Malformed> {
        let mut reader = Reader::new(bytes);
        let sink = read_sink(&mut reader)?;
        reader.finish()?;
        Ok(sink)
    }
}

/// The longest reason of a refusal that is kept.
const REASON_LIMIT: usize = 4 << 10;

/// A row that a target refused although it was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    /// The sink.
    pub node: NodeId,
    /// The chunk it was part of.
    pub chunk: ChunkId,
    /// Which of its rows.
    pub row_number: RowNumber,
    /// What the target said.
    pub reason: &'a str,
    /// The row, in the sink's own form.
    pub row: &'a [u8],
}

impl<'a> Refused<'a> {
    /// Adds it to a commit; a long reason is cut off.
    pub fn push(&self, commit: &mut Commit) -> Result<(), StateError> {
        let reason = &self.reason[..self.reason.floor_char_boundary(REASON_LIMIT)];
        commit.push(RecordKind::Refused, |into| {
            put_number(into, self.node.0.into());
            put_chunk_id(into, self.chunk);
            put_number(into, self.row_number.0.into());
            put_bytes(into, reason.as_bytes());
            into.extend_from_slice(self.row);
        })
    }

    /// Reads what was added.
    pub fn decode(bytes: &'a [u8]) -> Result<Refused<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let node = NodeId(reader.small()?);
        let chunk = read_chunk_id(&mut reader)?;
        let row_number = RowNumber(reader.small()?);
        let reason = std::str::from_utf8(reader.bytes(REASON_LIMIT)?);
        let reason = reason.map_err(|_| Malformed("a reason that is no text"))?;
        Ok(Refused { node, chunk, row_number, reason, row: reader.take(reader.remaining())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ChunkNumber, Epoch, Frame};

    #[test]
    fn what_was_added_comes_back() {
        let mut commit = Commit::new();
        let id = ChunkId { epoch: Epoch(300), number: ChunkNumber(2) };
        let frame = Frame { node: NodeId(1), partition: b"topic", payload: b"input" };
        let chunk = Chunk { node: NodeId(2), id, payload: b"" };
        let marker = SinkProgress { node: NodeId(2), delivered: Some(id), position: b"at".to_vec() };
        let long = "\u{e4}".repeat(REASON_LIMIT);
        let row_number = RowNumber(9);
        let refused = Refused { node: NodeId(2), chunk: id, row_number, reason: &long, row: b"row" };
        frame.push(&mut commit).unwrap();
        chunk.push(&mut commit).unwrap();
        marker.push(&mut commit).unwrap();
        refused.push(&mut commit).unwrap();
        let payloads: Vec<&[u8]> = commit.records().map(|(_, payload)| payload).collect();
        assert_eq!(Frame::decode(payloads[0]), Ok(frame));
        assert_eq!(Chunk::decode(payloads[1]), Ok(chunk));
        assert_eq!(SinkProgress::decode(payloads[2]), Ok(marker));
        assert_eq!(Refused::decode(payloads[3]), Ok(Refused { reason: &long[..REASON_LIMIT], ..refused }));
        assert!(payloads.iter().all(|payload| Chunk::decode(&payload[..1]).is_err()));
    }
}
