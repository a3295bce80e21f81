//! `quantile(x, q)`, `median(x)`: exact, so all values of a pane are kept, 8 bytes each.

use super::budget::Budget;
use super::column::{Arrival, Columns, Fold};
use super::near::{Near, put_float};
use super::{AggregateSpec, Argument, Example, ResultType, Takes, number};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::{Batch, Reason, Slot, Value, finite};

/// A quantile.
pub static QUANTILE: AggregateSpec = AggregateSpec {
    name: "quantile",
    summary: "exact quantile `q` (0 to 1) of `x`, with linear interpolation; keeps all values of a window",
    arguments: &[
        Argument::required("x", Takes::Numbers),
        Argument::required("q", Takes::Constant { from: 0.0, to: 1.0 }),
    ],
    star: false,
    distinct: None,
    result: ResultType::Float,
    mergeable: false,
    carries: false,
    example: Example { call: "quantile(x, 0.25)", values: "[4, 1, 3, 2]", result: "1.75" },
    make: |call, _| {
        let q = call.constants.first().copied().unwrap_or(0.5);
        Box::new(Columns::new(Quantile {
            name: "quantile",
            q,
            slot: call.slot(),
            budget: Budget::new("quantile"),
        }))
    },
};

/// The quantile 0.5.
pub static MEDIAN: AggregateSpec = AggregateSpec {
    name: "median",
    summary: "exact median of `x`; keeps all values of a window",
    arguments: &[Argument::required("x", Takes::Numbers)],
    star: false,
    distinct: None,
    result: ResultType::Float,
    mergeable: false,
    carries: false,
    example: Example { call: "median(x)", values: "[9, 1, 2, 4]", result: "3.0" },
    make: |call, _| {
        let budget = Budget::new("median");
        Box::new(Columns::new(Quantile { name: "median", q: 0.5, slot: call.slot(), budget }))
    },
};

struct Quantile {
    name: &'static str,
    q: f64,
    slot: Slot,
    budget: Budget,
}

impl Fold for Quantile {
    type State = Vec<f64>;
    const FALLIBLE: bool = true;

    fn check(&self, _state: &Vec<f64>, event: &Arrival) -> Result<(), Reason> {
        match number(self.name, event.batch.get(event.row, self.slot))? {
            Some(_) => self.budget.check(size_of::<f64>()),
            None => Ok(()),
        }
    }

    fn add(&mut self, state: &mut Vec<f64>, event: &Arrival) {
        if let Some(value) = event.batch.get(event.row, self.slot).as_number() {
            state.push(value);
            self.budget.take(size_of::<f64>());
        }
    }

    fn merge(&mut self, into: &mut Vec<f64>, from: &Vec<f64>) {
        into.extend_from_slice(from);
        self.budget.take(size_of_val(from.as_slice()));
    }

    fn result(&mut self, state: &mut Vec<f64>, _batch: &mut Batch) -> Value {
        quantile(state, self.q).map_or(Value::NULL, Value::float)
    }

    fn release(&mut self, state: &Vec<f64>) {
        self.budget.give_back(size_of_val(state.as_slice()));
    }

    fn save(&self, state: &Vec<f64>, _near: Near, into: &mut Vec<u8>) {
        put_number(into, state.len() as u64);
        state.iter().for_each(|value| put_float(into, *value));
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<Vec<f64>, Malformed> {
        let mut values = Vec::new();
        for _ in 0..from.count()? {
            values.push(finite(from)?);
        }
        self.budget.take(size_of_val(values.as_slice()));
        Ok(values)
    }
}

/// Between the two values whose ranks enclose `q * (n - 1)`, linearly (Hyndman and Fan's type 7).
fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = q * last as f64;
    let below = (rank.floor() as usize).min(last);
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let share = rank - below as f64;
    let high = above.iter().copied().min_by(f64::total_cmp);
    match high {
        // Each side by its weight: the difference of two finite floats may be infinite.
        Some(high) if share > 0.0 && high > low => Some(low * (1.0 - share) + high * share),
        _ => Some(low),
    }
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn ranks_interpolate() {
        assert_eq!(quantile(&mut [], 0.5), None);
        assert_eq!(quantile(&mut [7.0], 0.9), Some(7.0));
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.0), Some(1.0));
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 1.0), Some(3.0));
        assert_eq!(quantile(&mut [10.0, 20.0], 0.25), Some(12.5));
        assert_eq!(quantile(&mut [f64::MAX, -f64::MAX], 0.5), Some(0.0));
    }
}
