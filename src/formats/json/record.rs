//! A whole block as one value, such as the text of a field.

use super::{JsonDecoder, JsonInput};
use crate::event::json::validate;
use crate::event::{Batch, Reason, RejectKind, Span, Unreadable};
use crate::formats::{Decoder, Wanted};

/// Reads a block as one JSON value, also if it is spread over several lines. Its arena must be the caller's own:
/// line breaks between tokens become spaces there.
pub struct JsonRecordDecoder {
    lines: JsonDecoder,
}

impl JsonRecordDecoder {
    /// A decoder of the wanted fields.
    pub fn new(options: JsonInput, wanted: &Wanted) -> JsonRecordDecoder {
        JsonRecordDecoder { lines: JsonDecoder::new(options, wanted) }
    }
}

impl Decoder for JsonRecordDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        if memchr::memchr(b'\n', &batch.arena[block.range()]).is_some() {
            // In what is valid no string holds a line break, so those that are there mean nothing.
            if let Err(fault) = validate(&batch.arena[block.range()]) {
                let text = format!("{} at byte {}", fault.message, fault.offset + 1);
                let reason = Reason::new(RejectKind::Decode, text);
                unreadable.push(Unreadable::behind(batch, block, reason));
                return block.range().len();
            }
            let breaks = batch.arena[block.range()].iter_mut().filter(|byte| **byte == b'\n');
            breaks.for_each(|byte| *byte = b' ');
        }
        self.lines.decode(batch, block, last, limit, unreadable)
    }

    fn another(&self) -> Box<dyn Decoder> {
        Box::new(JsonRecordDecoder { lines: self.lines.fresh() })
    }
}
