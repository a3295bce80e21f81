//! `approx_quantile(x, q)`: DDSketch (Masson, Rim, Lee: "DDSketch", VLDB 2019).
//!
//! Values are counted in buckets whose bounds grow by the factor γ = 1.01 / 0.99, so what a bucket stands for is within
//! 1 % of every value in it: the result is within 1 % of the value with rank ⌊q (n − 1)⌋. Negative values have buckets of
//! their own, and zero has one.
//!
//! A state has at most 4,096 buckets, of 16 bytes each, which values of one sign fill only if they span more than 35
//! orders of magnitude. Beyond that the buckets nearest to zero are merged with their neighbours, and the error holds
//! for quantiles that lie in the others, those furthest from zero.

use super::budget::Budget;
use super::column::{Arrival, Columns, Fold};
use super::near::{Near, events, put_float};
use super::{AggregateSpec, Argument, Example, ResultType, Takes, number};
use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::event::{Batch, Reason, Slot, Value, finite};

/// A quantile, nearly.
pub static APPROX_QUANTILE: AggregateSpec = AggregateSpec {
    name: "approx_quantile",
    summary: "quantile `q` (0 to 1) of `x` within 1 % of the value of that rank (DDSketch); keeps at most 64 KiB",
    arguments: &[
        Argument::required("x", Takes::Numbers),
        Argument::required("q", Takes::Constant { from: 0.0, to: 1.0 }),
    ],
    star: false,
    distinct: None,
    result: ResultType::Float,
    mergeable: true,
    carries: false,
    example: Example { call: "approx_quantile(x, 1)", values: "[5, -2, null, 0, 9]", result: "9.0" },
    make: |call, _| {
        let q = call.constants.first().copied().unwrap_or(0.5);
        let budget = Budget::new("approx_quantile");
        Box::new(Columns::new(ApproxQuantile { q, slot: call.slot(), budget }))
    },
};

/// Most buckets of a state.
const BUCKETS: usize = 4096;

/// The relative error.
const ERROR: f64 = 0.01;

/// γ, the growth of buckets.
const GROWTH: f64 = (1.0 + ERROR) / (1.0 - ERROR);

/// The least positive float lies in a bucket behind −`BASE`.
const BASE: i32 = 40_000;

/// No value lies in a bucket further from zero.
const FURTHEST: i32 = 2 * BASE;

/// Values that a bucket stands for.
#[derive(Clone, Copy)]
pub struct Bucket {
    /// In the order of values: 0 for zero, positive for positive ones.
    place: i32,
    count: u64,
}

/// How many values are in which bucket.
#[derive(Clone)]
pub struct Sketch {
    /// Those that are not empty, by place.
    buckets: Vec<Bucket>,
    count: u64,
    least: f64,
    greatest: f64,
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch { buckets: Vec::new(), count: 0, least: f64::INFINITY, greatest: f64::NEG_INFINITY }
    }
}

/// Where a value belongs.
fn place(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    let place = BASE + (value.abs().ln() / GROWTH.ln()).ceil() as i32;
    if value < 0.0 { -place } else { place }
}

/// The value that a bucket stands for.
fn value_at(place: i32) -> f64 {
    if place == 0 {
        return 0.0;
    }
    // As e^…, because a power of γ may lie beyond the range of floats where the value does not.
    let exponent = f64::from(place.abs() - BASE) * GROWTH.ln() + (2.0 / (GROWTH + 1.0)).ln();
    exponent.exp().copysign(f64::from(place))
}

impl Sketch {
    fn insert(&mut self, bucket: Bucket) {
        self.count += bucket.count;
        let at = self.buckets.partition_point(|old| old.place < bucket.place);
        match self.buckets.get_mut(at) {
            Some(old) if old.place == bucket.place => old.count += bucket.count,
            _ => {
                self.buckets.insert(at, bucket);
                if self.buckets.len() > BUCKETS {
                    self.collapse();
                }
            }
        }
    }

    /// Merges the bucket nearest to zero with its neighbour of the same sign, or with zero if it has none.
    fn collapse(&mut self) {
        let positive = self.buckets.partition_point(|bucket| bucket.place <= 0);
        let negative = self.buckets.partition_point(|bucket| bucket.place < 0);
        let nearest_below = negative.checked_sub(1).filter(|at| *at > 0);
        let nearest_above = Some(positive).filter(|at| at + 1 < self.buckets.len());
        let (from, into) = match (nearest_below, nearest_above) {
            (Some(below), Some(above)) if self.buckets[below].place > -self.buckets[above].place => {
                (below, below - 1)
            }
            (_, Some(above)) => (above, above + 1),
            (Some(below), None) => (below, below - 1),
            (None, None) => return,
        };
        self.buckets[into].count += self.buckets[from].count;
        self.buckets.remove(from);
    }

    fn add(&mut self, value: f64) {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        self.insert(Bucket { place: place(value), count: 1 });
    }

    fn merge(&mut self, other: &Sketch) {
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        other.buckets.iter().for_each(|bucket| self.insert(*bucket));
    }

    fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.count.checked_sub(1)? as f64;
        let rank = q * last;
        if rank >= last {
            return Some(self.greatest);
        }
        let mut before = 0;
        let found = self.buckets.iter().find(|bucket| {
            before += bucket.count;
            before as f64 > rank
        });
        let bucket = found.or(self.buckets.last())?;
        Some(value_at(bucket.place).clamp(self.least, self.greatest))
    }

    /// Memory taken, in bytes.
    fn size(&self) -> usize {
        size_of_val(self.buckets.as_slice())
    }

    /// Appends the sketch: buckets by their distances, then the least and the greatest value.
    fn save(&self, into: &mut Vec<u8>) {
        put_number(into, self.buckets.len() as u64);
        let mut before = 0;
        for bucket in &self.buckets {
            put_signed(into, i64::from(bucket.place) - before);
            put_number(into, bucket.count);
            before = bucket.place.into();
        }
        if !self.buckets.is_empty() {
            [self.least, self.greatest].into_iter().for_each(|float| put_float(into, float));
        }
    }

    /// Reads what [`Sketch::save`] wrote.
    fn load(from: &mut Reader<'_>) -> Result<Sketch, Malformed> {
        let count = from.count()?;
        if count > BUCKETS {
            return Err(Malformed("too many buckets"));
        }
        let mut sketch = Sketch::default();
        for _ in 0..count {
            let last = sketch.buckets.last().map(|bucket| i64::from(bucket.place));
            let place = last.unwrap_or(0).saturating_add(from.signed()?);
            let ascends = last.is_none_or(|last| place > last);
            let place =
                i32::try_from(place).ok().filter(|place| ascends && (-FURTHEST..=FURTHEST).contains(place));
            let bucket =
                Bucket { place: place.ok_or(Malformed("a bucket out of place"))?, count: events(from)? };
            sketch.count += bucket.count;
            sketch.buckets.push(bucket);
        }
        if count > 0 {
            (sketch.least, sketch.greatest) = (finite(from)?, finite(from)?);
        }
        let ordered = count == 0 || sketch.least <= sketch.greatest;
        if ordered { Ok(sketch) } else { Err(Malformed("a least value beyond the greatest")) }
    }
}

struct ApproxQuantile {
    q: f64,
    slot: Slot,
    budget: Budget,
}

impl Fold for ApproxQuantile {
    type State = Sketch;
    const FALLIBLE: bool = true;

    fn check(&self, _state: &Sketch, event: &Arrival) -> Result<(), Reason> {
        match number("approx_quantile", event.batch.get(event.row, self.slot))? {
            Some(_) => self.budget.check(size_of::<Bucket>()),
            None => Ok(()),
        }
    }

    fn add(&mut self, state: &mut Sketch, event: &Arrival) {
        if let Some(value) = event.batch.get(event.row, self.slot).as_number() {
            let before = state.size();
            state.add(value);
            self.budget.give_back(before);
            self.budget.take(state.size());
        }
    }

    fn merge(&mut self, into: &mut Sketch, from: &Sketch) {
        let before = into.size();
        into.merge(from);
        self.budget.give_back(before);
        self.budget.take(into.size());
    }

    fn result(&mut self, state: &mut Sketch, _batch: &mut Batch) -> Value {
        state.quantile(self.q).map_or(Value::NULL, Value::float)
    }

    fn release(&mut self, state: &Sketch) {
        self.budget.give_back(state.size());
    }

    fn save(&self, state: &Sketch, _near: Near, into: &mut Vec<u8>) {
        state.save(into);
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<Sketch, Malformed> {
        let sketch = Sketch::load(from)?;
        self.budget.take(sketch.size());
        Ok(sketch)
    }
}

#[cfg(test)]
mod tests;
