//! Lines of text: the field `line`.

use super::columns::Columns;
use super::lines::{Lines, each_line};
use super::lookup::{BytesAs, Lookup};
use super::{Decoder, Encoder, Wanted};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, RejectKind, Row, Span, Unreadable, View};

/// The field that a line is.
const FIELD: &str = "line";

/// Reads each line, without its end (`\n` or `\r\n`), as the text field `line`. Where it is wanted it must be
/// UTF-8, or it is rejected.
pub struct TextDecoder {
    columns: Columns,
    lines: Lines,
}

impl TextDecoder {
    /// A decoder of the wanted fields.
    pub fn new(wanted: &Wanted) -> TextDecoder {
        TextDecoder { columns: Columns::of_one(FIELD, wanted), lines: Lines::default() }
    }
}

impl Decoder for TextDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let TextDecoder { columns, lines } = self;
        lines.decode(batch, block, last, limit, unreadable, |batch, stretch, unreadable| {
            each_line(batch, stretch, limit, unreadable, |batch, line, unreadable| {
                let line = without_return(batch, line);
                if let Err(reason) = columns.add_row(batch, |_, _| Some(line)) {
                    let reason = Reason::new(RejectKind::Decode, reason);
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
        Box::new(TextDecoder { columns: self.columns.clone(), lines: Lines::default() })
    }
}

/// Takes a whole block as the text field `line`, which must be UTF-8 where it is wanted.
pub struct TextRecordDecoder {
    columns: Columns,
}

impl TextRecordDecoder {
    /// A decoder of the wanted fields.
    pub fn new(wanted: &Wanted) -> TextRecordDecoder {
        TextRecordDecoder { columns: Columns::of_one(FIELD, wanted) }
    }
}

impl Decoder for TextRecordDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        _last: bool,
        _limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        if let Err(reason) = self.columns.add_row(batch, |_, _| Some(block)) {
            unreadable.push(Unreadable::behind(batch, block, Reason::new(RejectKind::Decode, reason)));
        }
        block.len as usize
    }

    fn another(&self) -> Box<dyn Decoder> {
        Box::new(TextRecordDecoder { columns: self.columns.clone() })
    }
}

/// A line without a carriage return at its end.
pub(super) fn without_return(batch: &Batch, line: std::ops::Range<usize>) -> Span {
    let returns = batch.arena[line.clone()].ends_with(b"\r") as usize;
    Span::new(line.start, line.len() - returns)
}

/// Writes the field `line` and a newline.
pub struct TextEncoder {
    line: Lookup,
}

impl TextEncoder {
    /// An encoder of events that look like `view`.
    pub fn new(view: &View) -> TextEncoder {
        TextEncoder { line: Lookup::new(view, FIELD) }
    }
}

impl Encoder for TextEncoder {
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason> {
        if !self.line.write(batch, row, BytesAs::Base64, into) {
            return Err(Reason::new(
                RejectKind::Encode,
                "format `text` writes the field `line`, which is null",
            ));
        }
        into.push(b'\n');
        Ok(())
    }
}
