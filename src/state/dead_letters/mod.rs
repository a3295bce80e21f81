//! Rejected events that nobody reads: kept for a while, so that a person can see what was lost and give it in again.
//!
//! A folder of segments that are appended to, of which the oldest goes when there is too much. It is no part of a
//! pipeline's state: what the power takes of the last seconds is not missed, and an error of the disk stops nothing. The
//! layout stands in `docs/state-format.md`.

mod letter;
mod log;
mod read;

pub use letter::{Content, DeadLetter, LetterBuffer};
pub use log::{DeadLetterLimits, DeadLetterLog};
pub use read::read_dead_letters;

use super::SegmentNumber;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The first bytes of a segment.
const MAGIC: [u8; 8] = *b"HWDLQ\r\n\x1a";

/// The format of segments and letters.
const VERSION: u32 = 1;

const PREFIX: &str = "dead-";

/// The folder of a pipeline's dead letters in a data directory.
pub fn dead_letters_folder(data_dir: &Path, pipeline: &str) -> PathBuf {
    data_dir.join("dead_letters").join(pipeline)
}

/// The size of the header of a segment.
const HEADER: usize = 32;

/// The header of a segment; `seed` is what its checksums start from.
fn encode_header(seed: u64) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&seed.to_le_bytes());
    let checksum = xxh3_64(&bytes[..24]);
    bytes[24..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The seed of a segment; None if it is torn, corrupt, or of another version.
fn decode_header(bytes: &[u8]) -> Option<u64> {
    let head = bytes.first_chunk::<HEADER>()?;
    let seed = u64::from_le_bytes(std::array::from_fn(|i| head[16 + i]));
    (encode_header(seed) == *head).then_some(seed)
}

fn file_name(number: SegmentNumber) -> String {
    format!("{PREFIX}{:016x}", number.0)
}

/// The segments among the files of a folder, the oldest first.
fn segments(names: &[String]) -> impl Iterator<Item = SegmentNumber> {
    let number = |name: &String| {
        let number = SegmentNumber(u64::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok()?);
        (file_name(number) == *name).then_some(number)
    };
    names.iter().filter_map(number)
}

#[cfg(test)]
mod tests;
