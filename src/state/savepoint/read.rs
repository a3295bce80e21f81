//! Reading a savepoint, a part at a time, each verified before it is given.

use super::super::checkpoint::{Checkpoint, Entry};
use super::super::error::StateError;
use super::super::journal::Frame;
use super::super::keyed::StateKey;
use super::super::outbox::{Chunk, Refused};
use super::super::piece::{Assembly, Piece};
use super::block::{BlockKind, BlockReader};
use super::{Counts, Origin, SavepointHead};
use crate::event::bytes::Malformed;
use std::io::Read;

/// Something of a savepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Keys with their values, greater than all before; none while a long value is read.
    Keys(Vec<Entry>),
    /// The payload of a record: a [`Frame`].
    Frame(Vec<u8>),
    /// The same: a [`Chunk`].
    Chunk(Vec<u8>),
    /// The same: a [`Refused`] row.
    Refused(Vec<u8>),
}

/// A savepoint that is being read.
pub struct SavepointReader<R> {
    blocks: BlockReader<R>,
    head: SavepointHead,
    /// The kind of the block before.
    before: BlockKind,
    last_key: Option<StateKey>,
    /// A value whose pieces are coming in.
    assembly: Assembly,
    counts: Counts,
}

impl<R: Read> SavepointReader<R> {
    /// Reads what it begins with. `file` is what it is called in errors.
    ///
    /// # Errors
    /// It cannot be read, is of a later version, or is not what it should be.
    pub fn open(from: R, file: &str) -> Result<SavepointReader<R>, StateError> {
        let mut blocks = BlockReader::begin(from, file)?;
        let mut take = |kind| match blocks.take()? {
            (found, payload) if found == kind => Ok(payload),
            _ => Err(blocks.corrupt("it does not begin as a savepoint does")),
        };
        let (origin, basis) = (take(BlockKind::Origin)?, take(BlockKind::Basis)?);
        let malformed = |Malformed(what)| StateError::corrupt(file, what);
        let (origin, incarnation) = Origin::decode(&origin).map_err(malformed)?;
        let progress = Checkpoint::decode(&basis).map_err(malformed)?;
        if !progress.entries.is_empty() || !progress.dropped.is_empty() {
            return Err(blocks.corrupt("its progress says more than that"));
        }
        let head = SavepointHead { origin, incarnation, progress };
        Ok(SavepointReader {
            blocks,
            head,
            before: BlockKind::Basis,
            last_key: None,
            assembly: Assembly::default(),
            counts: Counts::default(),
        })
    }

    /// What it begins with.
    pub fn head(&self) -> &SavepointHead {
        &self.head
    }

    /// How much of everything was read.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The next part. None: all was read, and the savepoint is whole.
    pub fn next_part(&mut self) -> Result<Option<Part>, StateError> {
        if self.before == BlockKind::End {
            return Ok(None);
        }
        let (kind, payload) = self.blocks.take()?;
        if kind < self.before || kind <= BlockKind::Basis {
            return Err(self.blocks.corrupt("its blocks are out of order"));
        }
        self.before = kind;
        self.part(kind, payload)
            .map_err(|Malformed(what)| self.blocks.corrupt(what))?
            .map_or_else(|| self.blocks.finish().map(|()| None), |part| Ok(Some(part)))
    }

    fn part(&mut self, kind: BlockKind, payload: Vec<u8>) -> Result<Option<Part>, Malformed> {
        if kind != BlockKind::Checkpoint {
            self.assembly.finish()?;
        }
        Ok(Some(match kind {
            BlockKind::Origin | BlockKind::Basis => return Err(Malformed("its blocks are out of order")),
            BlockKind::Checkpoint => Part::Keys(self.keys(&payload)?),
            BlockKind::Frame => {
                Frame::decode(&payload)?;
                self.counts.frames += 1;
                Part::Frame(payload)
            }
            BlockKind::Chunk => {
                Chunk::decode(&payload)?;
                self.counts.chunks += 1;
                Part::Chunk(payload)
            }
            BlockKind::Refused => {
                Refused::decode(&payload)?;
                self.counts.refused += 1;
                Part::Refused(payload)
            }
            BlockKind::End if Counts::decode(&payload)? != self.counts => {
                return Err(Malformed("it holds another number of things than it says"));
            }
            BlockKind::End => return Ok(None),
        }))
    }

    /// None of them while the pieces of a value come in.
    fn keys(&mut self, payload: &[u8]) -> Result<Vec<Entry>, Malformed> {
        let entries = match Piece::is_in(payload) {
            true => self.assembly.take(&Piece::decode(payload)?)?.into_iter().collect(),
            false => {
                self.assembly.finish()?;
                Checkpoint::decode(payload)?.entries
            }
        };
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            let is_piece = self.assembly.finish().is_err();
            return if is_piece { Ok(entries) } else { Err(Malformed("a block without keys")) };
        };
        let follows = Some(&first.key) > self.last_key.as_ref();
        if !follows || entries.iter().any(|entry| entry.value.is_none()) {
            return Err(Malformed("its keys are out of order"));
        }
        self.last_key = Some(last.key.clone());
        self.counts.keys += entries.len() as u64;
        Ok(entries)
    }
}
