//! Bytes as they are: the field `payload`.

use super::columns::Columns;
use super::line_decoder::{LineDecoder, ReadLine};
use super::lookup::{BytesAs, Lookup};
use super::{Decoder, Encoder, Wanted};
use crate::event::{Batch, Reason, RejectKind, Row, Span, Unreadable, View};

/// The field that a record is.
const FIELD: &str = "payload";

/// Reads each line, without its newline, as the bytes field `payload`.
pub type RawDecoder = LineDecoder<Raw>;

/// Reads a line as a field.
#[derive(Clone)]
pub struct Raw {
    columns: Columns,
}

impl RawDecoder {
    /// A decoder of the wanted fields.
    pub fn new(wanted: &Wanted) -> RawDecoder {
        LineDecoder::of(Raw { columns: Columns::of_one(FIELD, wanted) })
    }
}

impl ReadLine for Raw {
    const KEEPS_RETURN: bool = true;

    fn read(&mut self, batch: &mut Batch, line: Span) -> Result<(), Reason> {
        self.columns.add_bytes(batch, line);
        Ok(())
    }

    fn another(&self) -> Raw {
        self.clone()
    }
}

/// Takes a whole block as the bytes field `payload`.
pub struct RawRecordDecoder {
    columns: Columns,
}

impl RawRecordDecoder {
    /// A decoder of the wanted fields.
    pub fn new(wanted: &Wanted) -> RawRecordDecoder {
        RawRecordDecoder { columns: Columns::of_one(FIELD, wanted) }
    }
}

impl Decoder for RawRecordDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        _last: bool,
        _limit: usize,
        _unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        self.columns.add_bytes(batch, block);
        block.len as usize
    }

    fn another(&self) -> Box<dyn Decoder> {
        Box::new(RawRecordDecoder { columns: self.columns.clone() })
    }
}

/// Writes the field `payload` and a newline.
pub struct RawEncoder {
    payload: Lookup,
}

impl RawEncoder {
    /// An encoder of events that look like `view`.
    pub fn new(view: &View) -> RawEncoder {
        RawEncoder { payload: Lookup::new(view, FIELD) }
    }
}

impl Encoder for RawEncoder {
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason> {
        if !self.payload.write(batch, row, BytesAs::Themselves, into) {
            return Err(Reason::new(
                RejectKind::Encode,
                "format `raw` writes the field `payload`, which is null",
            ));
        }
        into.push(b'\n');
        Ok(())
    }
}
