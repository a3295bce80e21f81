//! A commit in the making: records that become durable together.

use super::super::error::StateError;
use super::super::number::{SegmentNumber, Sequence};
use super::record::{RECORD_LIMIT, RecordHeader, RecordId, RecordKind, RecordPlace};
use std::ops::Range;

/// The most bytes that a commit may have, headers included.
pub const COMMIT_LIMIT: usize = 2 << 30;

/// Records gathered in memory. Nothing is on disk before [`super::Log::commit`] returns.
#[derive(Debug, Default)]
pub struct Commit {
    /// Room for each header and its payload behind it.
    bytes: Vec<u8>,
    records: Vec<(RecordKind, Range<usize>)>,
}

impl Commit {
    /// An empty one.
    pub fn new() -> Commit {
        Commit::default()
    }

    /// Whether there is nothing to be written.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many bytes it will take in the log.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record whose payload `write` appends. Beyond a limit nothing is added.
    pub fn push(&mut self, kind: RecordKind, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), StateError> {
        let start = self.bytes.len();
        self.bytes.resize(start + RecordHeader::BYTES, 0);
        let payload = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - payload;
        let too_large = if length > RECORD_LIMIT {
            Some(("a record", length, RECORD_LIMIT))
        } else {
            (self.bytes.len() > COMMIT_LIMIT).then_some(("a commit", self.bytes.len(), COMMIT_LIMIT))
        };
        if let Some((what, bytes, limit)) = too_large {
            self.bytes.truncate(start);
            return Err(StateError::TooLarge { what, bytes, limit });
        }
        self.records.push((kind, payload..self.bytes.len()));
        Ok(())
    }

    /// The records so far: kind and payload.
    pub fn records(&self) -> impl Iterator<Item = (RecordKind, &[u8])> {
        self.records.iter().map(|(kind, payload)| (*kind, &self.bytes[payload.clone()]))
    }

    /// Writes the headers, and says where each record will lie if the commit starts at `offset`.
    pub(super) fn seal(
        &mut self,
        sequence: Sequence,
        segment: SegmentNumber,
        seed: u64,
        offset: u64,
    ) -> (&[u8], Vec<RecordPlace>) {
        let mut places = Vec::with_capacity(self.records.len());
        for (i, (kind, payload)) in self.records.iter().enumerate() {
            let id = RecordId { sequence, index: i as u32 };
            let length = payload.len() as u32;
            let last = i + 1 == self.records.len();
            let header = RecordHeader { length, kind: *kind, last, id };
            let start = payload.start - RecordHeader::BYTES;
            let encoded = header.encode(seed, &self.bytes[payload.clone()]);
            self.bytes[start..payload.start].copy_from_slice(&encoded);
            places.push(RecordPlace {
                id,
                kind: *kind,
                segment,
                offset: offset + start as u64,
                length,
                last,
            });
        }
        (&self.bytes, places)
    }
}
