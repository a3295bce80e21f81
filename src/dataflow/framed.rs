//! A byte source and its decoder as a source of rows.

use super::source::{ByteSource, Polled, Refused, RowSource, SourceError};
use crate::event::bytes::Malformed;
use crate::event::{BATCH_ROWS, Batch, Span};
use crate::formats::Decoder;
use crate::time::Env;

/// Bytes read at first; what is read later follows the size of events, so that a read is about a batch.
const FIRST_READ: usize = 64 << 10;
const LEAST_READ: usize = 4 << 10;
const MOST_READ: usize = 512 << 10;
/// Bytes that the partitions of a source read ahead together, as each has its own batch at hand.
const MOST_TOGETHER: usize = 8 << 20;

/// Reads bytes straight into the arena of the batch that is decoded from them.
pub struct Framed<B> {
    bytes: B,
    decoder: Box<dyn Decoder>,
    /// Where the first byte stands that is not decoded: behind so many.
    offset: u64,
    /// Bytes read but not decoded: an unfinished record, or more records than a batch takes.
    carry: Vec<u8>,
    read_size: usize,
    most_read: usize,
    ended: bool,
}

impl<B: ByteSource> Framed<B> {
    /// A source of the records in `bytes`, which is one of so many partitions: the more, the less each reads at once.
    pub fn new(bytes: B, decoder: Box<dyn Decoder>, partitions: usize) -> Framed<B> {
        let most_read = (MOST_TOGETHER / partitions.max(1)).clamp(LEAST_READ, MOST_READ);
        let read_size = FIRST_READ.min(most_read);
        Framed { bytes, decoder, offset: 0, carry: Vec::new(), read_size, most_read, ended: false }
    }

    /// Where the bytes come from.
    pub fn bytes(&self) -> &B {
        &self.bytes
    }

    /// The same, to be told something.
    pub fn bytes_mut(&mut self) -> &mut B {
        &mut self.bytes
    }

    /// How many bytes stand before the first record that was not given yet; a record that was begun is not given.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the decoder has to know to go on there.
    pub fn save_decoder(&self, into: &mut Vec<u8>) {
        self.decoder.save(into);
    }

    /// Nothing was read yet, and what is read first stands behind so many bytes, of which the decoder saved that.
    pub fn go_on(&mut self, offset: u64, decoder: &[u8]) -> Result<(), Malformed> {
        self.offset = offset;
        self.decoder.load(decoder)
    }

    /// Lets the next read be about as large as a full batch.
    fn adapt(&mut self, consumed: usize, rows: usize) {
        if let Some(size) = consumed.checked_div(rows) {
            self.read_size = (size * BATCH_ROWS).clamp(LEAST_READ, self.most_read);
        }
    }
}

impl<B: ByteSource> RowSource for Framed<B> {
    fn open(&mut self) -> Result<(), SourceError> {
        self.bytes.open()
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        _env: &mut Env,
    ) -> Result<Polled, SourceError> {
        let start = batch.arena.len();
        batch.arena.append(&mut self.carry);
        let carried = batch.arena.len() - start;
        let mut polled = Polled::Data;
        if !self.ended && carried < self.read_size {
            polled = self.bytes.read(&mut batch.arena, self.read_size - carried)?;
            self.ended = polled == Polled::End;
        }
        let length = batch.arena.len() - start;
        let block = Span::new(start, length);
        let consumed = self.decoder.decode(batch, block, self.ended, BATCH_ROWS, &mut refused.unreadable);
        self.offset += consumed as u64;
        self.adapt(consumed, batch.len());
        // Unescaped text may stand behind the block, so only the block's own rest is kept.
        self.carry.extend_from_slice(&batch.arena[start + consumed..start + length]);
        if consumed == 0 && length > self.read_size / 2 {
            // Decoders give up on a record that is too long, so this comes to an end.
            self.read_size = (self.read_size * 2).max(length * 2);
        }
        Ok(match polled {
            _ if self.ended && self.carry.is_empty() => Polled::End,
            Polled::Empty if consumed == 0 => Polled::Empty,
            _ => Polled::Data,
        })
    }
}
