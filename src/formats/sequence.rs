//! Records that stand one behind the other with nothing between them: where one is none, nobody knows where the next one
//! starts.

use super::lines::flag;
use crate::event::bytes::Malformed;
use crate::event::{Batch, Span, Unreadable};
use std::ops::Range;

/// Whether the place of the next record of an input is known.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// Whether the end of the records was lost.
    pub lost: bool,
    /// Whether it was lost by an earlier run, which this one has not said yet.
    unsaid: bool,
}

impl Sequence {
    /// See [`super::Decoder::save`].
    pub fn save(&self, into: &mut Vec<u8>) {
        into.extend(self.lost.then_some(1));
    }

    /// See [`super::Decoder::load`].
    pub fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        self.lost = flag(saved)?;
        self.unsaid = self.lost;
        Ok(())
    }
}

/// Reads such records.
pub(super) trait ReadSequence {
    /// How the sequence stands.
    fn sequence(&mut self) -> &mut Sequence;

    /// Reads the next record of `rest`; returns the place behind it, or None if more bytes are needed.
    fn next(
        &mut self,
        batch: &mut Batch,
        rest: Range<usize>,
        last: bool,
        unreadable: &mut Vec<Unreadable>,
    ) -> Option<usize>;

    /// Rejects what stands there, behind which nobody knows where records are.
    fn lose(&mut self, batch: &Batch, rest: Range<usize>, why: &str, unreadable: &mut Vec<Unreadable>);

    /// See [`super::Decoder::decode`].
    fn decode_sequence(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let Range { start, end } = block.range();
        let mut at = start;
        if at < end && std::mem::take(&mut self.sequence().unsaid) {
            self.lose(batch, at..end, "it stands behind what was no record", unreadable);
        }
        while at < end && batch.len() < limit && !self.sequence().lost {
            match self.next(batch, at..end, last, unreadable) {
                Some(behind) => at = behind,
                None => break,
            }
        }
        if self.sequence().lost { end - start } else { at - start }
    }
}
