//! Where an event came from: the path of its file.

use crate::dataflow::{Polled, Refused, RowSource, SourceError};
use crate::event::{Batch, Row, Slot, Value};
use crate::time::Env;
use std::path::Path;

/// Puts the path of a file beside all that is read of it, for `source_topic()`.
pub(super) struct Topical {
    rows: Box<dyn RowSource>,
    path: String,
    slots: Vec<Slot>,
}

/// The rows of a file, with its path in the given slots.
pub(super) fn with_topic(rows: Box<dyn RowSource>, path: &Path, slots: &[Slot]) -> Box<dyn RowSource> {
    match slots.is_empty() {
        true => rows,
        false => Box::new(Topical { rows, path: path.display().to_string(), slots: slots.to_vec() }),
    }
}

impl RowSource for Topical {
    fn open(&mut self) -> Result<(), SourceError> {
        self.rows.open()
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        env: &mut Env,
    ) -> Result<Polled, SourceError> {
        let polled = self.rows.fill(batch, refused, env)?;
        if !batch.is_empty() {
            let path = Value::text(batch.store(self.path.as_bytes()));
            for row in (0..batch.len() as u32).map(Row) {
                self.slots.iter().for_each(|slot| batch.set(row, *slot, path));
            }
        }
        Ok(polled)
    }

    fn close(&mut self) {
        self.rows.close();
    }
}
