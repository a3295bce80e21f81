//! Framing by lines: which stretch of a block is whole lines, and what becomes of the rest.

use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, RejectKind, Span, Unreadable};
use std::ops::Range;

/// The longest record in bytes. A longer one is rejected.
pub(super) const MAX_RECORD: usize = 16 << 20;

/// Bytes of a record that is too long that its rejection carries.
pub(super) const SAMPLE: usize = 64 << 10;

/// What is left over between blocks: whether a line that is too long still goes on.
#[derive(Debug, Default)]
pub(super) struct Lines {
    overlong: bool,
}

impl Lines {
    /// See [`super::Decoder::save`].
    pub fn save(&self, into: &mut Vec<u8>) {
        into.extend(self.overlong.then_some(1));
    }

    /// See [`super::Decoder::load`].
    pub fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        self.overlong = flag(saved)?;
        Ok(())
    }

    /// Hands whole lines, each with its newline, to `stretch`, which returns the place in the arena up to which it
    /// has read. A last line without newline is copied to the arena's end and gets one. Arguments and result
    /// are those of [`super::Decoder::decode`].
    pub fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
        mut stretch: impl FnMut(&mut Batch, Range<usize>, &mut Vec<Unreadable>) -> usize,
    ) -> usize {
        let Range { start, end } = block.range();
        let mut at = start;
        if self.overlong {
            let newline = memchr::memchr(b'\n', &batch.arena[at..end]);
            self.overlong = newline.is_none() && !last;
            at = newline.map_or(end, |i| at + i + 1);
        }
        let whole = memchr::memrchr(b'\n', &batch.arena[at..end]).map_or(at, |i| at + i + 1);
        if at < whole {
            at = stretch(batch, at..whole, unreadable);
        }
        if at == end || at < whole || (last && batch.len() >= limit) {
            return at - start;
        }
        if last {
            let copy = batch.arena.len();
            batch.arena.extend_from_within(at..end);
            batch.arena.push(b'\n');
            stretch(batch, copy..batch.arena.len(), unreadable);
            return end - start;
        }
        if end - at <= MAX_RECORD {
            return at - start;
        }
        self.overlong = true;
        unreadable.push(too_long(batch, at));
        end - start
    }
}

/// What was saved of what is rarely so: nothing, or a one.
pub(super) fn flag(saved: &[u8]) -> Result<bool, Malformed> {
    match saved {
        [] => Ok(false),
        [1] => Ok(true),
        _ => Err(Malformed("what a decoder never saves")),
    }
}

/// The rejection of a record that starts at `at` and is longer than [`MAX_RECORD`].
pub(super) fn too_long(batch: &Batch, at: usize) -> Unreadable {
    let text = "the record is longer than 16 MiB; only its start is kept";
    Unreadable::behind(batch, Span::new(at, SAMPLE), Reason::new(RejectKind::Decode, text))
}

/// Calls `line` with the place of each line (without its newline) in `lines` until the batch has `limit` rows;
/// lines that are too long are rejected. Returns the place behind the last one.
pub(super) fn each_line(
    batch: &mut Batch,
    lines: Range<usize>,
    limit: usize,
    unreadable: &mut Vec<Unreadable>,
    mut line: impl FnMut(&mut Batch, Range<usize>, &mut Vec<Unreadable>),
) -> usize {
    let mut at = lines.start;
    while at < lines.end && batch.len() < limit {
        let newline = memchr::memchr(b'\n', &batch.arena[at..lines.end]).map_or(lines.end, |i| at + i);
        if newline - at > MAX_RECORD {
            unreadable.push(too_long(batch, at));
        } else {
            line(batch, at..newline, unreadable);
        }
        at = newline + 1;
    }
    at.min(lines.end)
}
