//! What is done on each side of a join before the two come together: rows get their side and their key.

use crate::dataflow::{Operator, Output, StartContext, StepPlan};
use crate::event::{Batch, Kind, Row, Slot, Value};

/// Marks the rows of one side.
#[derive(Clone, Debug)]
pub struct SidePlan {
    /// What the rows are, for people.
    pub text: String,
    /// Where the side is noted.
    pub mark: Slot,
    /// Whether this is the right side.
    pub right: bool,
    /// Where each value of the key is, and where it goes.
    pub key: Vec<(Slot, Slot)>,
    /// Whether rows leave that have no partner.
    pub kept: bool,
}

impl StepPlan for SidePlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn start(&self, _context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}

impl Operator for SidePlan {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let before = rows.len();
        if !self.kept {
            // Null is equal to nothing.
            rows.retain(|row| self.key.iter().all(|(from, _)| !batch.get(*row, *from).is_null()));
        }
        for &row in rows.iter() {
            batch.set(row, self.mark, Value::bool(self.right));
            for &(from, to) in &self.key {
                let value = batch.get(row, from);
                batch.set(row, to, comparable(value));
            }
        }
        if rows.len() < before {
            out.discard("null_key", (before - rows.len()) as u64);
        }
    }
}

/// The same value for all numbers that are equal: as keys, 1 and 1.0 are two.
fn comparable(value: Value) -> Value {
    // Beyond this not every integer is a float.
    const MOST: f64 = (1_i64 << 53) as f64;
    match value.as_float().filter(|_| value.kind() == Kind::Float) {
        Some(float) if float.fract() == 0.0 && float.abs() <= MOST => Value::int(float as i64),
        _ => value,
    }
}
