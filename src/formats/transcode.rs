//! Notations whose records are written as JSON before they are read: the events of a pipeline are JSON objects, and a
//! schema says how the two correspond.

use super::json::{JsonEncoder, JsonInput, JsonOutput, JsonRecordDecoder};
use super::lines::{MAX_RECORD, SAMPLE};
use super::sequence::{ReadSequence, Sequence};
use super::{Decoder, Encoder, Wanted};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, RejectKind, Row, Span, Unreadable, View};
use std::ops::Range;
use std::sync::Arc;

/// A notation with its schema.
pub trait Transcode: Send + Sync + 'static {
    /// Where the next record of a sequence stands, and the place behind it; None if more bytes are needed.
    ///
    /// # Errors
    /// It is none, so nobody knows where the next one starts.
    fn next(&self, bytes: &[u8]) -> Result<Option<(Range<usize>, usize)>, String>;

    /// Whether it is known by now how a record is read: else it is to be asked for again.
    fn is_ready(&self, _record: &[u8]) -> bool {
        true
    }

    /// The same for another input.
    fn another(self: &Arc<Self>) -> Arc<Self> {
        self.clone()
    }

    /// Appends a record as one JSON object.
    ///
    /// # Errors
    /// Why it is none.
    fn to_json(&self, record: &[u8], into: &mut Vec<u8>) -> Result<(), String>;

    /// Appends an event, one JSON object, as a record.
    ///
    /// # Errors
    /// Why it does not fit the schema.
    fn write(&self, event: &[u8], into: &mut Vec<u8>) -> Result<(), String>;

    /// Appends the same as it stands in a sequence.
    ///
    /// # Errors
    /// Those of [`Transcode::write`].
    fn write_in_sequence(&self, event: &[u8], into: &mut Vec<u8>) -> Result<(), String>;
}

/// Reads records as events.
pub struct TranscodingDecoder<T> {
    notation: Arc<T>,
    events: JsonRecordDecoder,
    wanted: Wanted,
    /// Whether each block is one record.
    messages: bool,
    sequence: Sequence,
    /// The message that was left, as it is not known yet how it is read: what of it says that.
    left: Vec<u8>,
    text: Vec<u8>,
}

/// Bytes of a message that say how it is read.
const HEAD: usize = 16;

impl<T: Transcode> TranscodingDecoder<T> {
    /// A decoder of the wanted fields in a sequence of records, or of blocks that are one record each.
    pub fn new(notation: Arc<T>, messages: bool, wanted: &Wanted) -> TranscodingDecoder<T> {
        let events = JsonRecordDecoder::new(JsonInput::default(), wanted);
        let (wanted, left, text) = (wanted.clone(), Vec::new(), Vec::new());
        TranscodingDecoder { notation, events, wanted, messages, sequence: Sequence::default(), left, text }
    }

    fn record(&mut self, batch: &mut Batch, record: Range<usize>, unreadable: &mut Vec<Unreadable>) {
        self.text.clear();
        if let Err(reason) = self.notation.to_json(&batch.arena[record.clone()], &mut self.text) {
            return unreadable.push(refusal(batch, record, reason));
        }
        let text = batch.store(&self.text);
        let before = unreadable.len();
        self.events.decode(batch, text, true, usize::MAX, unreadable);
        // Whoever looks at a rejected event wants what came, not what was made of it.
        let raw = Span::new(record.start, record.len());
        unreadable[before..].iter_mut().for_each(|unreadable| unreadable.raw = raw);
    }
}

impl<T: Transcode> ReadSequence for TranscodingDecoder<T> {
    fn sequence(&mut self) -> &mut Sequence {
        &mut self.sequence
    }

    fn lose(&mut self, batch: &Batch, rest: Range<usize>, why: &str, unreadable: &mut Vec<Unreadable>) {
        self.sequence.lost = true;
        let sample = rest.start..rest.end.min(rest.start + SAMPLE);
        unreadable.push(refusal(batch, sample, format!("{why}; what follows cannot be read")));
    }

    fn next(
        &mut self,
        batch: &mut Batch,
        rest: Range<usize>,
        last: bool,
        unreadable: &mut Vec<Unreadable>,
    ) -> Option<usize> {
        let Range { start, end } = rest;
        match self.notation.next(&batch.arena[start..end]) {
            Ok(Some((record, behind))) => {
                self.record(batch, start + record.start..start + record.end, unreadable);
                return Some(start + behind);
            }
            Ok(None) if end - start > MAX_RECORD => {
                self.lose(batch, rest, "a record longer than 16 MiB", unreadable);
            }
            Ok(None) if !last => return None,
            Ok(None) => self.lose(batch, rest, "the input ends within a record", unreadable),
            Err(why) => self.lose(batch, rest, &why, unreadable),
        }
        Some(end)
    }
}

fn refusal(batch: &Batch, place: Range<usize>, reason: String) -> Unreadable {
    let raw = Span::new(place.start, place.len());
    Unreadable::behind(batch, raw, Reason::new(RejectKind::Decode, reason))
}

impl<T: Transcode> Decoder for TranscodingDecoder<T> {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let Range { start, end } = block.range();
        self.left.clear();
        if self.messages {
            if !self.notation.is_ready(&batch.arena[start..end]) {
                self.left.extend_from_slice(&batch.arena[start..end.min(start + HEAD)]);
                return 0;
            }
            self.record(batch, start..end, unreadable);
            return end - start;
        }
        self.decode_sequence(batch, block, last, limit, unreadable)
    }

    fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    fn is_waiting(&self) -> bool {
        self.has_left() && !self.notation.is_ready(&self.left)
    }

    fn save(&self, into: &mut Vec<u8>) {
        self.sequence.save(into);
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        self.sequence.load(saved)
    }

    fn another(&self) -> Box<dyn Decoder> {
        Box::new(TranscodingDecoder::new(self.notation.another(), self.messages, &self.wanted))
    }
}

/// Writes events as records.
pub struct TranscodingEncoder<T> {
    notation: Arc<T>,
    events: JsonEncoder,
    /// Whether each event is a message by itself.
    messages: bool,
    text: Vec<u8>,
}

impl<T: Transcode> TranscodingEncoder<T> {
    /// An encoder of events that look like `view`, for a sequence of records or for messages.
    pub fn new(notation: Arc<T>, messages: bool, view: &View) -> TranscodingEncoder<T> {
        let events = JsonEncoder::new(JsonOutput::default(), view);
        TranscodingEncoder { notation, events, messages, text: Vec::new() }
    }
}

impl<T: Transcode> Encoder for TranscodingEncoder<T> {
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason> {
        self.text.clear();
        self.events.encode(batch, row, &mut self.text)?;
        let start = into.len();
        let written = match self.messages {
            true => self.notation.write(&self.text, into),
            false => self.notation.write_in_sequence(&self.text, into),
        };
        written.map_err(|why| {
            into.truncate(start);
            Reason::new(RejectKind::Encode, why)
        })
    }

    fn separator(&self) -> &'static [u8] {
        b""
    }
}
