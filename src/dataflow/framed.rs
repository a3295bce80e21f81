//! A byte source and its decoder as a source of rows.

use super::source::{ByteSource, Polled, Refused, RowSource, SourceError};
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
pub struct Framed {
    bytes: Box<dyn ByteSource>,
    decoder: Box<dyn Decoder>,
    /// Bytes read but not decoded: an unfinished record, or more records than a batch takes.
    carry: Vec<u8>,
    read_size: usize,
    most_read: usize,
    ended: bool,
}

impl Framed {
    /// A source of the records in `bytes`, which is one of so many partitions: the more, the less each reads at once.
    pub fn new(bytes: Box<dyn ByteSource>, decoder: Box<dyn Decoder>, partitions: usize) -> Framed {
        let most_read = (MOST_TOGETHER / partitions.max(1)).clamp(LEAST_READ, MOST_READ);
        let read_size = FIRST_READ.min(most_read);
        Framed { bytes, decoder, carry: Vec::new(), read_size, most_read, ended: false }
    }

    /// Lets the next read be about as large as a full batch.
    fn adapt(&mut self, consumed: usize, rows: usize) {
        if let Some(size) = consumed.checked_div(rows) {
            self.read_size = (size * BATCH_ROWS).clamp(LEAST_READ, self.most_read);
        }
    }
}

impl RowSource for Framed {
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
