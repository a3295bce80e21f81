//! An event put together from maps that are only known when they are seen.

use super::splice::MapWriter;
use crate::event::json::{Timestamps, write_string, write_value_as};
use crate::event::{Batch, Row, View};
use crate::formats::members::{Members, Source};

/// The layers of an event, written as one map.
pub(super) struct Merge {
    members: Members,
    key: Vec<u8>,
}

impl Merge {
    /// The merge of the view's layers.
    pub fn new(view: &View) -> Merge {
        Merge { members: Members::new(view), key: Vec::new() }
    }

    /// Appends the row's event and a newline.
    pub fn write(&mut self, batch: &Batch, row: Row, timestamps: Timestamps, into: &mut Vec<u8>) {
        let Merge { members, key } = self;
        members.gather(batch, row);
        let mut map = MapWriter::open(into);
        for (name, value) in members.iter() {
            key.clear();
            write_string(name, key);
            key.push(b':');
            map.entry(key);
            match value {
                Source::Cell(slot) => write_value_as(batch, batch.get(row, slot), timestamps, map.into),
                Source::Text(span) => map.into.extend_from_slice(&batch.arena[span.range()]),
            }
        }
        map.close();
    }
}
