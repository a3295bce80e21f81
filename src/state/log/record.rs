//! A record: the unit of the log that has a checksum. A commit is one or more of them.
//!
//! All records of a commit carry its sequence number, each its index in the commit, and the last says that it is
//! the last. So a commit is there as a whole or not at all, and a valid record of a later commit behind a broken
//! one tells corruption from a write that a power cut tore.

use super::super::number::{SegmentNumber, Sequence};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What the payload of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordKind {
    /// Nodes and all progress, at the head of each segment: a [`super::super::Checkpoint`] without entries.
    Basis = 1,
    /// What changed since the checkpoint before: a [`super::super::Checkpoint`].
    Checkpoint = 2,
    /// The journal: a [`super::super::Frame`] of input that its sender will not repeat.
    Frame = 3,
    /// The outbox: a [`super::super::Chunk`] of output to be delivered.
    Chunk = 4,
    /// How far a sink has delivered: a [`super::super::SinkProgress`].
    Marker = 5,
    /// A row that a target refused: a [`super::super::Refused`].
    Refused = 6,
}

impl RecordKind {
    /// All kinds, by number.
    pub const ALL: [RecordKind; 6] = [
        RecordKind::Basis,
        RecordKind::Checkpoint,
        RecordKind::Frame,
        RecordKind::Chunk,
        RecordKind::Marker,
        RecordKind::Refused,
    ];

    fn of(byte: u8) -> Option<RecordKind> {
        RecordKind::ALL.into_iter().find(|&kind| kind as u8 == byte)
    }
}

/// Which record of the log: the commit, and the place in it, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The commit.
    pub sequence: Sequence,
    /// The place in the commit.
    pub index: u32,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// Which it is.
    pub id: RecordId,
    /// What it is.
    pub kind: RecordKind,
    /// In which segment.
    pub segment: SegmentNumber,
    /// Where in the file its header starts.
    pub offset: u64,
    /// The length of its payload.
    pub length: u32,
    /// Whether its commit ends with it.
    pub last: bool,
}

/// The most bytes that a payload may have.
pub const RECORD_LIMIT: usize = 64 << 20;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// The length of the payload.
    pub length: u32,
    /// What it is.
    pub kind: RecordKind,
    /// Whether its commit ends with it.
    pub last: bool,
    /// Which record it is.
    pub id: RecordId,
}

impl RecordHeader {
    /// Its size in bytes.
    pub const BYTES: usize = 28;

    /// As it stands before `payload` in a segment of that seed.
    pub fn encode(&self, seed: u64, payload: &[u8]) -> [u8; RecordHeader::BYTES] {
        let mut bytes = [0; RecordHeader::BYTES];
        bytes[0..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[5] = u8::from(self.last);
        bytes[8..12].copy_from_slice(&self.id.index.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.id.sequence.0.to_le_bytes());
        let checksum = checksum(seed, &bytes[..20], payload);
        bytes[20..28].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header and its payload, if a valid record of a segment of that seed starts here.
    pub fn decode(seed: u64, bytes: &[u8]) -> Option<(RecordHeader, &[u8])> {
        let (head, rest) = bytes.split_first_chunk::<{ RecordHeader::BYTES }>()?;
        let header = RecordHeader::plausible(head)?;
        let payload = rest.get(..header.length as usize)?;
        (header.encode(seed, payload) == *head).then_some((header, payload))
    }

    /// What a header says, without its checksum.
    fn plausible(head: &[u8; RecordHeader::BYTES]) -> Option<RecordHeader> {
        let small = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let sequence = Sequence(u64::from_le_bytes(std::array::from_fn(|i| head[12 + i])));
        let length = small(0);
        (length as usize <= RECORD_LIMIT && head[5] <= 1 && head[6..8] == [0; 2]).then_some(())?;
        let id = RecordId { sequence, index: small(8) };
        Some(RecordHeader { length, kind: RecordKind::of(head[4])?, last: head[5] == 1, id })
    }
}

/// XXH3 of the payload, seeded by that of the header, seeded by the segment's.
fn checksum(seed: u64, head: &[u8], payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, xxh3_64_with_seed(head, seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_comes_back_and_no_other_passes(
            payload in prop::collection::vec(any::<u8>(), 0..100),
            sequence in any::<u64>(),
            index in any::<u32>(),
            kind in 0..6usize,
            last in any::<bool>(),
            flip in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let id = RecordId { sequence: Sequence(sequence), index };
            let header = RecordHeader { length: payload.len() as u32, kind: RecordKind::ALL[kind], last, id };
            let mut bytes = header.encode(7, &payload).to_vec();
            bytes.extend_from_slice(&payload);
            prop_assert_eq!(RecordHeader::decode(7, &bytes), Some((header, payload.as_slice())));
            prop_assert_eq!(RecordHeader::decode(8, &bytes), None);
            prop_assert_eq!(RecordHeader::decode(7, &bytes[..bytes.len() - 1]), None);
            let at = flip.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(RecordHeader::decode(7, &bytes), None);
        }
    }
}
