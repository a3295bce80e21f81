//! Rows that move from the batch of one stage into that of another.

use crate::event::{Batch, Row, Slot, Span, Value, View};
use crate::formats::Encoder;
use crate::formats::json::{JsonEncoder, JsonOutput};
use crate::time::Timestamp;

/// What of a row is needed behind a stage boundary; fixed once the whole pipeline is planned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Copies {
    /// Cells, from a slot of the one layout to a slot of the other.
    pub cells: Vec<(Slot, Slot)>,
    /// How the whole event reads on this side, if the other side needs [`Batch::raw`].
    pub whole: Option<View>,
    /// Whole events of this side that become maps in slots of the other layout.
    pub maps: Vec<(View, Slot)>,
}

/// Copies rows as a [`Copies`] says.
pub struct Copier {
    cells: Vec<(Slot, Slot)>,
    whole: Option<JsonEncoder>,
    maps: Vec<(JsonEncoder, Slot)>,
}

impl Copier {
    /// A copier for the given copies.
    pub fn new(copies: &Copies) -> Copier {
        let encoder = |view: &View| JsonEncoder::new(JsonOutput::default(), view);
        let maps = copies.maps.iter().map(|(view, slot)| (encoder(view), *slot)).collect();
        Copier { cells: copies.cells.clone(), whole: copies.whole.as_ref().map(encoder), maps }
    }

    /// Adds a copy of the row, with its event time, to `into`.
    #[inline]
    pub fn copy(&mut self, from: &Batch, row: Row, watermark: Timestamp, into: &mut Batch) -> Row {
        let copy = into.push_row(from.times[row.index()], watermark);
        for &(source, target) in &self.cells {
            let value = into.adopt(from, from.get(row, source));
            into.set(copy, target, value);
        }
        if let Some(encoder) = &mut self.whole {
            into.raw[copy.index()] = whole_event(encoder, from, row, &mut into.arena);
        }
        for (encoder, slot) in &mut self.maps {
            let span = whole_event(encoder, from, row, &mut into.arena);
            into.set(copy, *slot, if span.len == 0 { Value::NULL } else { Value::json(span) });
        }
        copy
    }
}

/// Appends the event as a JSON object and tells where it stands; empty if it cannot be written.
pub fn whole_event(encoder: &mut JsonEncoder, batch: &Batch, row: Row, arena: &mut Vec<u8>) -> Span {
    let start = arena.len();
    if encoder.encode(batch, row, arena).is_err() {
        arena.truncate(start);
    } else if arena.last() == Some(&b'\n') {
        arena.pop();
    }
    Span::new(start, arena.len() - start)
}
