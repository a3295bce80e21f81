//! Rows that know the file they come from.

use crate::dataflow::{Polled, Position, Refused, Resume, RowSource, SourceError};
use crate::event::{Batch, Row, Slot, Value, json};
use crate::time::Env;
use std::sync::Arc;

/// Sets a text in every row of a partition: what `source_topic()` gives.
pub struct Labelled {
    rows: Box<dyn RowSource>,
    slot: Slot,
    label: String,
}

impl Labelled {
    /// The same rows with a label, where somebody wants it.
    pub fn around(rows: Box<dyn RowSource>, slot: Option<Slot>, label: String) -> Box<dyn RowSource> {
        match slot {
            Some(slot) => Box::new(Labelled { rows, slot, label }),
            None => rows,
        }
    }
}

impl RowSource for Labelled {
    fn open(&mut self) -> Result<(), SourceError> {
        self.rows.open()
    }

    fn resume(&mut self, from: &Arc<Resume>) -> Result<Option<Vec<u8>>, SourceError> {
        self.rows.resume(from)
    }

    fn position(&self) -> Option<Position> {
        self.rows.position()
    }

    fn name(&self) -> Option<String> {
        self.rows.name()
    }

    fn checkpointed(&mut self) {
        self.rows.checkpointed();
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        env: &mut Env,
    ) -> Result<Polled, SourceError> {
        let polled = self.rows.fill(batch, refused, env)?;
        let span = batch.store(self.label.as_bytes());
        let is_plain = json::is_plain(self.label.as_bytes());
        let label = if is_plain { Value::plain_text(span) } else { Value::text(span) };
        (0..batch.len() as u32).for_each(|row| batch.set(Row(row), self.slot, label));
        Ok(polled)
    }

    fn acknowledges(&self) -> bool {
        self.rows.acknowledges()
    }

    fn close(&mut self) {
        self.rows.close();
    }
}
