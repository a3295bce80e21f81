//! Bytes as they are: the field `payload`.

use super::columns::Columns;
use super::lines::{Lines, each_line};
use super::lookup::{BytesAs, Lookup};
use super::{Decoder, Encoder, Wanted};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, RejectKind, Row, Span, Unreadable, View};

/// The field that a record is.
const FIELD: &str = "payload";

/// Reads each line, without its newline, as the bytes field `payload`.
pub struct RawDecoder {
    columns: Columns,
    lines: Lines,
}

impl RawDecoder {
    /// A decoder of the wanted fields.
    pub fn new(wanted: &Wanted) -> RawDecoder {
        RawDecoder { columns: Columns::of_one(FIELD, wanted), lines: Lines::default() }
    }
}

impl Decoder for RawDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let RawDecoder { columns, lines } = self;
        lines.decode(batch, block, last, limit, unreadable, |batch, stretch, unreadable| {
            each_line(batch, stretch, limit, unreadable, |batch, line, _| {
                columns.add_bytes(batch, Span::new(line.start, line.len()));
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
        Box::new(RawDecoder { columns: self.columns.clone(), lines: Lines::default() })
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
