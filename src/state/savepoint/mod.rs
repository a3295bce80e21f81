//! A savepoint: all that a pipeline must not lose as one portable file.
//!
//! The file is a header and blocks, each with a checksum that also covers all blocks before it, the last of which says
//! that it is the last. Its layout stands in `docs/state-format.md`. It is written and read a block at a time.

mod block;
mod read;
mod restore;
mod write;

pub use block::{SAVEPOINT_MAGIC, SAVEPOINT_VERSION};
pub use read::{Part, SavepointReader};
pub use restore::{OnState, restore};
pub use write::write;

use super::checkpoint::{Checkpoint, NAME_LIMIT};
use super::number::Incarnation;
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_signed};
use crate::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

/// Where and when a savepoint was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id of the gateway: targets know this pipeline under it.
    pub instance: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// A hash of the pipeline's file, where that was at hand, see [`text_hash`].
    pub text: Option<u64>,
    /// The time of day.
    pub taken: Timestamp,
}

/// A hash of the text of a pipeline's file.
pub fn text_hash(text: &[u8]) -> u64 {
    xxh3_64(text)
}

/// What a savepoint begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavepointHead {
    /// Where and when it was taken.
    pub origin: Origin,
    /// The life of the folder that it was taken of.
    pub incarnation: Incarnation,
    /// All progress; a checkpoint without entries.
    pub progress: Checkpoint,
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys of all nodes.
    pub keys: u64,
    /// Frames of the journal that are not read.
    pub frames: u64,
    /// Chunks of output that are not delivered.
    pub chunks: u64,
    /// Rows that targets refused.
    pub refused: u64,
}

impl Counts {
    fn encode(&self, into: &mut Vec<u8>) {
        [self.keys, self.frames, self.chunks, self.refused].iter().for_each(|n| put_number(into, *n));
    }

    fn decode(bytes: &[u8]) -> Result<Counts, Malformed> {
        let mut reader = Reader::new(bytes);
        let counts = Counts {
            keys: reader.number()?,
            frames: reader.number()?,
            chunks: reader.number()?,
            refused: reader.number()?,
        };
        reader.finish()?;
        Ok(counts)
    }
}

impl Origin {
    fn encode(&self, incarnation: Incarnation, into: &mut Vec<u8>) {
        put_bytes(into, self.instance.as_bytes());
        put_bytes(into, self.pipeline.as_bytes());
        into.push(u8::from(self.text.is_some()));
        self.text.iter().for_each(|text| into.extend_from_slice(&text.to_le_bytes()));
        put_signed(into, self.taken.0);
        into.extend_from_slice(&incarnation.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<(Origin, Incarnation), Malformed> {
        let mut reader = Reader::new(bytes);
        let name = |reader: &mut Reader| -> Result<String, Malformed> {
            let name = std::str::from_utf8(reader.bytes(NAME_LIMIT)?);
            Ok(name.map_err(|_| Malformed("a name that is no text"))?.to_string())
        };
        let (instance, pipeline) = (name(&mut reader)?, name(&mut reader)?);
        let text = match reader.byte()? {
            0 => None,
            1 => Some(reader.fixed()?),
            _ => return Err(Malformed("neither yes nor no")),
        };
        let taken = Timestamp(reader.signed()?);
        let incarnation = Incarnation(reader.fixed()?);
        reader.finish()?;
        Ok((Origin { instance, pipeline, text, taken }, incarnation))
    }
}
