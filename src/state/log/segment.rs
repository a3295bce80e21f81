//! A segment: one file of the log, with a header that says where in the log it belongs.

use super::super::error::StateError;
use super::super::number::{Incarnation, SegmentNumber, Sequence};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The first bytes of a segment. A file that was sent through a text conversion no longer has them.
const MAGIC: [u8; 8] = *b"HWLOG\r\n\x1a";

/// The format of segments and of what is in them. In the first, values were not cut into pieces.
pub const VERSION: u32 = 2;

const PREFIX: &str = "log-";

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The life of the folder in which it was written.
    pub incarnation: Incarnation,
    /// Its place among the segments; also in its name.
    pub number: SegmentNumber,
    /// The commit that it starts with.
    pub first: Sequence,
}

impl SegmentHeader {
    /// Its size in bytes.
    pub const BYTES: usize = 48;

    /// As it stands in the file.
    pub fn encode(&self) -> [u8; SegmentHeader::BYTES] {
        self.encode_as(VERSION)
    }

    fn encode_as(&self, version: u32) -> [u8; SegmentHeader::BYTES] {
        let mut bytes = [0; SegmentHeader::BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.incarnation.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.number.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first.0.to_le_bytes());
        let checksum = xxh3_64(&bytes[..40]);
        bytes[40..48].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads it from the start of a file. None if it is torn or corrupt.
    pub fn decode(file: &str, bytes: &[u8]) -> Result<Option<SegmentHeader>, StateError> {
        let Some(bytes) = bytes.first_chunk::<{ SegmentHeader::BYTES }>() else { return Ok(None) };
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..8] != MAGIC || number(40) != xxh3_64(&bytes[..40]) {
            return Ok(None);
        }
        let version = number(8) as u32;
        if version > VERSION {
            return Err(StateError::Newer { file: file.to_string(), version });
        }
        let header = SegmentHeader {
            incarnation: Incarnation(number(16)),
            number: SegmentNumber(number(24)),
            first: Sequence(number(32)),
        };
        // One way to write it: what is unused is zero.
        Ok((version > 0 && header.encode_as(version) == *bytes).then_some(header))
    }
}

impl SegmentNumber {
    /// The name of the segment's file: names sort as numbers do.
    pub fn file_name(self) -> String {
        format!("{PREFIX}{:016x}", self.0)
    }

    /// The segment that a file of this name is.
    pub fn from_file_name(name: &str) -> Option<SegmentNumber> {
        let number = SegmentNumber(u64::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok()?);
        (number.file_name() == name).then_some(number)
    }
}

/// What the checksums of a segment's records start from: a record of another segment is none of this one, and
/// nobody who sends input can make bytes that pass for a record, as the incarnation is random.
pub fn seed(incarnation: Incarnation, number: SegmentNumber) -> u64 {
    xxh3_64_with_seed(&incarnation.0.to_le_bytes(), number.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_no_other_passes() {
        let header = SegmentHeader {
            incarnation: Incarnation(0xfeed),
            number: SegmentNumber(7),
            first: Sequence(1 << 40),
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode("log", &bytes).unwrap(), Some(header));
        assert_eq!(SegmentHeader::decode("log", &header.encode_as(1)).unwrap(), Some(header));
        assert_eq!(SegmentHeader::decode("log", &header.encode_as(0)).unwrap(), None);
        assert_eq!(SegmentHeader::decode("log", &bytes[..47]).unwrap(), None);
        for (at, bit) in (0..SegmentHeader::BYTES).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut flipped = bytes;
            flipped[at] ^= 1 << bit;
            assert_eq!(SegmentHeader::decode("log", &flipped).unwrap(), None);
        }
    }

    #[test]
    fn a_later_version_is_refused_as_such() {
        let mut bytes =
            SegmentHeader { incarnation: Incarnation(1), number: SegmentNumber(1), first: Sequence(1) }
                .encode();
        bytes[8] = 3;
        let checksum = xxh3_64(&bytes[..40]);
        bytes[40..].copy_from_slice(&checksum.to_le_bytes());
        let refused = SegmentHeader::decode("log-1", &bytes).unwrap_err();
        assert!(refused.to_string().starts_with("log-1 was written by a later version (format 3)"));
    }

    #[test]
    fn names_are_numbers() {
        assert_eq!(SegmentNumber(26).file_name(), "log-000000000000001a");
        assert_eq!(SegmentNumber::from_file_name("log-000000000000001a"), Some(SegmentNumber(26)));
        for other in ["log-1a", "log-000000000000001A", "log-+00000000000001a", "store.redb", "log-"] {
            assert_eq!(SegmentNumber::from_file_name(other), None, "{other}");
        }
    }
}
