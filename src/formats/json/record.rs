//! A whole block as one value, such as the text of a field.

use super::{JsonDecoder, JsonInput};
use crate::event::json::validate;
use crate::event::{Batch, Reason, RejectKind, Span, Unreadable};
use crate::formats::{Decoder, Wanted};

/// Reads a block as one JSON value, also if it is spread over several lines. Its arena must be the caller's own:
/// line breaks between tokens become spaces there.
pub struct JsonRecordDecoder {
    lines: JsonDecoder,
    /// Whether a block may also be lines with a value each.
    may_be_lines: bool,
}

impl JsonRecordDecoder {
    /// A decoder of the wanted fields.
    pub fn new(options: JsonInput, wanted: &Wanted) -> JsonRecordDecoder {
        JsonRecordDecoder { lines: JsonDecoder::new(options, wanted), may_be_lines: false }
    }

    /// The same for blocks that are one value, or lines with a value each.
    pub fn of_inputs(options: JsonInput, wanted: &Wanted) -> JsonRecordDecoder {
        JsonRecordDecoder { may_be_lines: true, ..JsonRecordDecoder::new(options, wanted) }
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
                if self.may_be_lines && are_lines(&batch.arena[block.range()]) {
                    return self.lines.decode(batch, block, last, limit, unreadable);
                }
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
        Box::new(JsonRecordDecoder { lines: self.lines.fresh(), may_be_lines: self.may_be_lines })
    }
}

/// Whether what is no value by itself looks like lines with a value each: one of the first two is one. What is spread over
/// several lines has a bracket and part of what is in it there.
fn are_lines(text: &[u8]) -> bool {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.take(2).any(|line| validate(line).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Path, Slot};

    /// How many rows and rejections an input gives.
    fn read(text: &str) -> (usize, usize) {
        let wanted = Wanted { fields: vec![(Path::field("n"), Slot(0))], whole: false };
        let mut decoder = JsonRecordDecoder::of_inputs(JsonInput::default(), &wanted);
        let (mut batch, mut unreadable) = (Batch::new(1, b""), Vec::new());
        let mut block = batch.store(text.as_bytes());
        while block.len > 0 {
            let read = decoder.decode(&mut batch, block, true, usize::MAX, &mut unreadable);
            block = Span::new(block.start as usize + read, block.range().len() - read);
        }
        (batch.len(), unreadable.len())
    }

    #[test]
    fn an_input_is_one_value_or_lines() {
        let cases = [
            ("{\"n\":1}", (1, 0)),
            ("{\n  \"n\": 1\n}\n", (1, 0)),
            ("[\n {\"n\":1},\n {\"n\":2}\n]", (2, 0)),
            ("{\"n\":1}\n{\"n\":2}", (2, 0)),
            ("\n{\"n\":1}\r\n\n{\"n\":2}\n[{\"n\":3}]\n", (3, 0)),
            ("{\"n\":\n{\"n\":2}\n{\"n\":3}", (2, 1)),
            ("{\"n\":1}\n{\"n\":\n{\"n\":3}", (2, 1)),
            // Spread over lines, with a fault: one rejection.
            ("{\n  \"n\": 1,\n}\n", (0, 1)),
            ("nothing\nof it", (0, 1)),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
