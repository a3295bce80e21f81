//! What every format implements.

use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Path, Reason, Row, Slot, Span, Unreadable};
use std::ops::Range;

/// What a pipeline reads of a source's events, decided at plan time.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The fields that are decoded and the slots they go to; a missing field stays null.
    pub fields: Vec<(Path, Slot)>,
    /// Whether [`Batch::raw`] must hold the whole event as a JSON object.
    pub whole: bool,
}

/// Turns bytes into rows.
pub trait Decoder: Send {
    /// Decodes records of `block`, a stretch of the batch's arena that starts at a record, into new rows
    /// (their times and watermarks are set by the caller later), and appends what cannot be read to `unreadable`.
    ///
    /// Stops once the batch has `limit` rows (one record that holds several events may go beyond). Returns the
    /// number of bytes consumed: whole records with their separators. Bytes of an unfinished record at the end
    /// stay unconsumed unless `last` says that no more will come.
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize;

    /// Whether the last call took nothing of the message that it was given, as it is not known yet how that is read: it is to
    /// be given again. Only formats that ask a server do so.
    fn has_left(&self) -> bool {
        false
    }

    /// Whether that is still not known.
    fn is_waiting(&self) -> bool {
        false
    }

    /// What has to be known besides the place to go on behind what was decoded so far; nothing where that is nothing.
    fn save(&self, _into: &mut Vec<u8>) {}

    /// Goes on behind what another decoder of the same has decoded and saved.
    fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        Reader::new(saved).finish()
    }

    /// A decoder of the same for another input, of which nothing was read yet.
    fn another(&self) -> Box<dyn Decoder>;
}

/// Decodes all of an input that is at hand as a whole: where records are lines, the last one without its end is read by itself.
pub fn decode_input(
    decoder: &mut dyn Decoder,
    batch: &mut Batch,
    input: Span,
    unreadable: &mut Vec<Unreadable>,
) {
    let Range { mut start, end } = input.range();
    loop {
        let read = decoder.decode(batch, Span::new(start, end - start), true, usize::MAX, unreadable);
        start += read;
        // Nothing at all may be a record as well.
        if read == 0 || start >= end {
            break;
        }
    }
}

/// Turns rows into bytes.
pub trait Encoder: Send {
    /// Appends the row's event, with its separator where the format has one. On an error nothing is appended.
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason>;

    /// Bytes that stand before the first event of a file, such as a CSV header.
    fn preamble(&self, _into: &mut Vec<u8>) {}

    /// What [`Encoder::encode`] puts behind each event: where an event is a message by itself it is taken off again.
    fn separator(&self) -> &'static [u8] {
        b"\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::influx::{InfluxDecoder, InfluxOptions};
    use crate::formats::tests::wanted;
    use crate::formats::{RegexDecoder, RegexOptions};

    #[test]
    fn the_last_line_of_an_input_needs_no_end() {
        let wanted = wanted(&["n"], false);
        let options = RegexOptions { pattern: "n=(?<n>.)".to_owned(), types: Vec::new() };
        let regex: Box<dyn Decoder> = Box::new(RegexDecoder::new(&options, &wanted).unwrap());
        let influx = Box::new(InfluxDecoder::new(&InfluxOptions::default(), &wanted));
        for mut decoder in [regex, influx] {
            for (text, rows) in [("m n=1", 1), ("m n=1\nm n=2", 2), ("m n=1\nm n=2\n", 2), ("", 0)] {
                let (mut batch, mut unreadable) = (Batch::new(1, b""), Vec::new());
                let input = batch.store(text.as_bytes());
                decode_input(&mut *decoder, &mut batch, input, &mut unreadable);
                assert_eq!((batch.len(), unreadable.len()), (rows, 0), "{text:?}");
            }
        }
    }
}
