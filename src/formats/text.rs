//! Lines of text: the field `line`.

use super::columns::Columns;
use super::line_decoder::{LineDecoder, ReadLine};
use super::lookup::{BytesAs, Lookup};
use super::{Decoder, Encoder, Wanted};
use crate::event::{Batch, Reason, RejectKind, Row, Span, Unreadable, View};

/// The field that a line is.
const FIELD: &str = "line";

/// Reads each line, without its end (`\n` or `\r\n`), as the text field `line`. Where it is wanted it must be
/// UTF-8, or it is rejected.
pub type TextDecoder = LineDecoder<Text>;

/// Reads a line as a field.
#[derive(Clone)]
pub struct Text {
    columns: Columns,
}

impl TextDecoder {
    /// A decoder of the wanted fields.
    pub fn new(wanted: &Wanted) -> TextDecoder {
        LineDecoder::of(Text { columns: Columns::of_one(FIELD, wanted) })
    }
}

impl ReadLine for Text {
    fn read(&mut self, batch: &mut Batch, line: Span) -> Result<(), Reason> {
        let added = self.columns.add_row(batch, |_, _| Some(line));
        added.map_err(|reason| Reason::new(RejectKind::Decode, reason))
    }

    fn another(&self) -> Text {
        self.clone()
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
