//! What every format implements.

use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Path, Reason, Row, Slot, Span, Unreadable};

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
