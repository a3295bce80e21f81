//! Thresholds: a number on whose one side a value must be.

use crate::event::{Batch, Reason, Row, Slot, Value};
use crate::expr::Literal;

/// On which side of a threshold a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Greater.
    Above,
    /// Less.
    Below,
}

impl Direction {
    /// The user's word.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Above => "above",
            Direction::Below => "below",
        }
    }

    /// The other side.
    pub fn other(self) -> Direction {
        match self {
            Direction::Above => Direction::Below,
            Direction::Below => Direction::Above,
        }
    }
}

/// A number and a side of it.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// The side.
    pub direction: Direction,
    limit: Limit,
}

#[derive(Clone, Debug)]
enum Limit {
    Constant(f64),
    /// Each event's own, and what it is as written.
    Slot(Slot, String),
}

impl Threshold {
    /// A threshold that is the same for all events, if the value is one.
    pub fn constant(direction: Direction, value: Option<&Literal>) -> Option<Threshold> {
        let limit = match value? {
            Literal::Int(int) => *int as f64,
            Literal::Float(float) => *float,
            _ => return None,
        };
        Some(Threshold { direction, limit: Limit::Constant(limit) })
    }

    /// A threshold that stands in each event.
    pub fn at(direction: Direction, slot: Slot, written: String) -> Threshold {
        Threshold { direction, limit: Limit::Slot(slot, written) }
    }

    /// Whether some value is known to be on the right side of both; they have different directions.
    pub fn overlaps(&self, other: &Threshold) -> bool {
        match (&self.limit, &other.limit) {
            (Limit::Constant(a), Limit::Constant(b)) if self.direction == Direction::Above => a < b,
            (Limit::Constant(a), Limit::Constant(b)) => b < a,
            _ => false,
        }
    }

    /// Whether the value is on the right side of it; None if the event has no threshold.
    #[inline]
    pub fn is_crossed(&self, value: f64, batch: &Batch, row: Row) -> Result<Option<bool>, Reason> {
        let limit = match &self.limit {
            Limit::Constant(limit) => Some(*limit),
            Limit::Slot(slot, written) => number(batch.get(row, *slot), written)?,
        };
        Ok(limit.map(|limit| match self.direction {
            Direction::Above => value > limit,
            Direction::Below => value < limit,
        }))
    }
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.limit {
            Limit::Constant(limit) => write!(f, "{} {limit}", self.direction.word()),
            Limit::Slot(_, written) => write!(f, "{} {written}", self.direction.word()),
        }
    }
}

/// A number, null, or neither, which is no event to go on with.
#[inline]
pub fn number(value: Value, written: &str) -> Result<Option<f64>, Reason> {
    match value.as_number() {
        Some(number) => Ok(Some(number)),
        None if value.is_null() => Ok(None),
        None => Err(Reason::expression(format!("`{written}` is {}, not a number", value.kind().name()))),
    }
}
