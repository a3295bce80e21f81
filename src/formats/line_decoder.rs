//! Formats of which each line is a record.

use super::Decoder;
use super::lines::{Lines, each_line};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, Span, Unreadable};
use std::ops::Range;

/// Reads the lines of such a format.
pub trait ReadLine: Send + 'static {
    /// Whether a carriage return at the end of a line belongs to it.
    const KEEPS_RETURN: bool = false;

    /// Adds the row of a line, which is without its end.
    ///
    /// # Errors
    /// Why there is none.
    fn read(&mut self, batch: &mut Batch, line: Span) -> Result<(), Reason>;

    /// The same for another input.
    fn another(&self) -> Self;
}

/// Reads each line as an event, or rejects it.
pub struct LineDecoder<R> {
    reader: R,
    lines: Lines,
}

impl<R> LineDecoder<R> {
    pub(super) fn of(reader: R) -> LineDecoder<R> {
        LineDecoder { reader, lines: Lines::default() }
    }
}

impl<R: ReadLine> Decoder for LineDecoder<R> {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let LineDecoder { reader, lines } = self;
        lines.decode(batch, block, last, limit, unreadable, |batch, stretch, unreadable| {
            each_line(batch, stretch, limit, unreadable, |batch, line, unreadable| {
                let line = if R::KEEPS_RETURN { span(line) } else { without_return(batch, line) };
                if let Err(reason) = reader.read(batch, line) {
                    unreadable.push(Unreadable::behind(batch, line, reason));
                }
            })
        })
    }

    fn save(&self, into: &mut Vec<u8>) {
        self.lines.save(into);
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        self.lines.load(saved)
    }

    fn another(&self) -> Box<dyn Decoder> {
        Box::new(LineDecoder::of(self.reader.another()))
    }
}

fn span(line: Range<usize>) -> Span {
    Span::new(line.start, line.len())
}

/// A line without a carriage return at its end.
fn without_return(batch: &Batch, line: Range<usize>) -> Span {
    let returns = batch.arena[line.clone()].ends_with(b"\r") as usize;
    Span::new(line.start, line.len() - returns)
}
