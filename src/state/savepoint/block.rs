//! Blocks: the unit of a savepoint that has a checksum, which goes on from that of the block before.

use super::super::error::StateError;
use super::super::log::RECORD_LIMIT;
use std::io::{self, Read, Write};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The format of savepoints. In the first, values were not cut into pieces.
pub const SAVEPOINT_VERSION: u32 = 2;

/// The first bytes of a savepoint. A file that was sent through a text conversion no longer has them.
pub const SAVEPOINT_MAGIC: [u8; 8] = *b"HWSAV\r\n\x1a";

/// What stands before a payload.
const HEAD_BYTES: usize = 16;

/// What the payload of a block is. In a savepoint they come in this order; those with numbers of records are what these
/// are in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum BlockKind {
    /// Where and when: exactly one.
    Origin = 0,
    /// All progress: exactly one.
    Basis = 1,
    /// Keys and their values.
    Checkpoint = 2,
    /// A frame of the journal that was not read.
    Frame = 3,
    /// A chunk of output that was not delivered.
    Chunk = 4,
    /// A row that its target refused.
    Refused = 6,
    /// How many of each there were: exactly one.
    End = 7,
}

impl BlockKind {
    const ALL: [BlockKind; 7] = [
        BlockKind::Origin,
        BlockKind::Basis,
        BlockKind::Checkpoint,
        BlockKind::Frame,
        BlockKind::Chunk,
        BlockKind::Refused,
        BlockKind::End,
    ];

    fn of(byte: u8) -> Option<BlockKind> {
        BlockKind::ALL.into_iter().find(|&kind| kind as u8 == byte)
    }
}

fn header(version: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[..8].copy_from_slice(&SAVEPOINT_MAGIC);
    header[8..12].copy_from_slice(&version.to_le_bytes());
    header
}

fn head(kind: BlockKind, payload: &[u8], before: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[4] = kind as u8;
    let checksum = xxh3_64_with_seed(payload, xxh3_64_with_seed(&head[..8], before));
    head[8..].copy_from_slice(&checksum.to_le_bytes());
    head
}

fn checksum_in(head: &[u8; HEAD_BYTES]) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| head[8 + i]))
}

/// Writes blocks.
pub struct BlockWriter<'w> {
    into: &'w mut dyn Write,
    chain: u64,
}

impl<'w> BlockWriter<'w> {
    /// Writes the header of the file.
    pub fn begin(into: &'w mut dyn Write) -> Result<BlockWriter<'w>, StateError> {
        let header = header(SAVEPOINT_VERSION);
        into.write_all(&header).map_err(failed)?;
        Ok(BlockWriter { into, chain: xxh3_64(&header) })
    }

    /// Writes a block.
    pub fn put(&mut self, kind: BlockKind, payload: &[u8]) -> Result<(), StateError> {
        if payload.len() > RECORD_LIMIT {
            let (what, bytes) = ("a block of a savepoint", payload.len());
            return Err(StateError::TooLarge { what, bytes, limit: RECORD_LIMIT });
        }
        let head = head(kind, payload, self.chain);
        self.chain = checksum_in(&head);
        self.into.write_all(&head).and_then(|()| self.into.write_all(payload)).map_err(failed)
    }
}

fn failed(error: io::Error) -> StateError {
    StateError::disk("writing the savepoint", error)
}

/// Reads blocks, each verified.
pub struct BlockReader<R> {
    from: R,
    file: String,
    chain: u64,
}

impl<R: Read> BlockReader<R> {
    /// Reads the header of the file. `file` is what it is called in errors.
    pub fn begin(mut from: R, file: &str) -> Result<BlockReader<R>, StateError> {
        let mut found = [0; 16];
        let read = from.read_exact(&mut found);
        read.map_err(|error| unreadable(file, error))?;
        if found[..8] != SAVEPOINT_MAGIC {
            return Err(StateError::corrupt(file, "it is no savepoint"));
        }
        let version = u32::from_le_bytes(std::array::from_fn(|i| found[8 + i]));
        if version > SAVEPOINT_VERSION {
            return Err(StateError::Newer { file: file.to_string(), version });
        }
        if version == 0 || found != header(version) {
            return Err(StateError::corrupt(file, "its header is not readable"));
        }
        Ok(BlockReader { from, file: file.to_string(), chain: xxh3_64(&found) })
    }

    /// The next block.
    pub fn take(&mut self) -> Result<(BlockKind, Vec<u8>), StateError> {
        let mut found = [0; HEAD_BYTES];
        let read = self.from.read_exact(&mut found);
        read.map_err(|error| unreadable(&self.file, error))?;
        let length = u32::from_le_bytes(std::array::from_fn(|i| found[i]));
        if length as usize > RECORD_LIMIT {
            return Err(self.corrupt("a block is too long"));
        }
        // Room is taken as bytes come: a length alone costs nothing.
        let mut payload = Vec::new();
        let read = (&mut self.from).take(length.into()).read_to_end(&mut payload);
        read.map_err(|error| unreadable(&self.file, error))?;
        if payload.len() < length as usize {
            return Err(self.corrupt("it is cut off"));
        }
        let kind = BlockKind::of(found[4]).filter(|kind| head(*kind, &payload, self.chain) == found);
        self.chain = checksum_in(&found);
        kind.map(|kind| (kind, payload)).ok_or_else(|| self.corrupt("a block has the wrong checksum"))
    }

    /// Nothing may be left.
    pub fn finish(&mut self) -> Result<(), StateError> {
        match self.from.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.corrupt("there are bytes behind its end")),
            Err(error) => Err(unreadable(&self.file, error)),
        }
    }

    /// That the file is not what it should be.
    pub fn corrupt(&self, what: &str) -> StateError {
        StateError::corrupt(&self.file, what)
    }
}

fn unreadable(file: &str, error: io::Error) -> StateError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => StateError::corrupt(file, "it is cut off"),
        _ => StateError::disk(format!("reading {file}"), error),
    }
}
