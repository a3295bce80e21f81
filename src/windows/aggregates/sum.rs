//! `sum(x)`.

use super::column::{Arrival, Columns, Fold};
use super::near::{Near, float, put_float};
use super::{AggregateSpec, Argument, Example, ResultType, Takes, finite, overflow, refusal};
use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::event::{Batch, Reason, Slot, Value};

/// The sum.
pub static SUM: AggregateSpec = AggregateSpec {
    name: "sum",
    summary: "sum of `x`: an integer of integers, a float as soon as one is",
    arguments: &[Argument::required("x", Takes::Numbers)],
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "sum(x)", values: "[1, 2, null, 4]", result: "7" },
    make: |call, setup| {
        Box::new(Columns::new(Sum { slot: call.slot(), limits: Limits::of(setup.parts), large: 0 }))
    },
};

/// A sum that keeps the type of what it sums up.
///
/// Integers are kept in 96 bits: parts of a window may come to more than 64, while all of it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Total {
    /// No number yet.
    #[default]
    Empty,
    /// Of integers only.
    Int {
        /// The lower 64 bits.
        low: u64,
        /// The upper 32 bits, with the sign.
        high: i32,
    },
    /// Of floats, or of integers and floats.
    Float(f64),
}

const _: () = assert!(size_of::<Total>() == 16);

impl Total {
    #[inline]
    fn int(int: i128) -> Total {
        Total::Int { low: int as u64, high: (int >> 64) as i32 }
    }

    /// A number as a sum; empty for anything else.
    #[inline]
    pub fn of(value: Value) -> Total {
        match (value.as_int(), value.as_float()) {
            (Some(int), _) => Total::int(int as i128),
            (_, Some(float)) => Total::Float(float),
            _ => Total::Empty,
        }
    }

    /// The sum of both.
    #[inline]
    pub fn plus(self, other: Total) -> Total {
        match (self, other) {
            (Total::Empty, total) | (total, Total::Empty) => total,
            (Total::Int { low: a, high: a_high }, Total::Int { low: b, high: b_high }) => {
                Total::int(wide(a, a_high) + wide(b, b_high))
            }
            (Total::Float(a), Total::Float(b)) => Total::Float(a + b),
            (Total::Int { low, high }, Total::Float(b)) | (Total::Float(b), Total::Int { low, high }) => {
                Total::Float(wide(low, high) as f64 + b)
            }
        }
    }

    /// The sum as an integer of any size, if it is one.
    #[inline]
    pub fn as_int(self) -> Option<i128> {
        if let Total::Int { low, high } = self { Some(wide(low, high)) } else { None }
    }

    /// Whether the sum is a finite float, an integer of 64 bits, or nothing.
    #[inline]
    fn fits(self) -> bool {
        match self {
            Total::Empty => true,
            Total::Int { low, high } => high as i64 == (low as i64) >> 63,
            Total::Float(sum) => sum.is_finite(),
        }
    }

    /// The sum as a cell.
    fn value(self) -> Value {
        match self {
            Total::Float(sum) => finite(sum),
            total => total.as_int().and_then(|sum| i64::try_from(sum).ok()).map_or(Value::NULL, Value::int),
        }
    }

    /// Appends the sum, bit by bit.
    pub fn save(self, into: &mut Vec<u8>) {
        match self {
            Total::Empty => into.push(0),
            Total::Int { low, .. } if self.fits() => {
                into.push(1);
                put_signed(into, low as i64);
            }
            Total::Float(sum) => {
                into.push(2);
                put_float(into, sum);
            }
            Total::Int { low, high } => {
                into.push(3);
                put_number(into, low);
                put_signed(into, high.into());
            }
        }
    }

    /// Reads what [`Total::save`] wrote.
    pub fn load(from: &mut Reader<'_>) -> Result<Total, Malformed> {
        Ok(match from.byte()? {
            0 => Total::Empty,
            1 => Total::int(from.signed()?.into()),
            2 => Total::Float(float(from)?),
            3 => {
                let (low, high) = (from.number()?, from.signed()?);
                let high = i32::try_from(high).map_err(|_| Malformed("a sum beyond 96 bits"))?;
                Some(Total::Int { low, high })
                    .filter(|total| !total.fits())
                    .ok_or(Malformed("a short sum in long form"))?
            }
            _ => return Err(Malformed("a sum of no type that is known")),
        })
    }
}

#[inline]
fn wide(low: u64, high: i32) -> i128 {
    (high as i128) << 64 | low as i128
}

/// From where on sums could leave the range of their type together.
#[derive(Clone, Copy)]
pub struct Limits {
    int: i128,
    float: f64,
}

impl Limits {
    /// For sums of so many parts and one event.
    pub fn of(parts: usize) -> Limits {
        // One more, because floats round.
        let parts = parts.saturating_add(2);
        Limits { int: i64::MAX as i128 / parts as i128, float: f64::MAX / parts as f64 }
    }

    /// Whether a sum is beyond.
    #[inline]
    pub fn are_passed(&self, total: Total) -> bool {
        match total {
            Total::Empty => false,
            Total::Int { low, high } => wide(low, high).abs() > self.int,
            Total::Float(sum) => sum.abs() > self.float || sum.is_nan(),
        }
    }
}

struct Sum {
    slot: Slot,
    limits: Limits,
    /// How many states are beyond the limits. While none is, and the event is not, combinations fit.
    large: usize,
}

impl Sum {
    fn number(&self, event: Option<&Arrival>) -> Total {
        event.map_or(Total::Empty, |event| Total::of(event.batch.get(event.row, self.slot)))
    }

    #[inline]
    fn put(&mut self, state: &mut Total, total: Total) {
        if self.limits.are_passed(total) != self.limits.are_passed(*state) {
            self.large = if self.limits.are_passed(total) { self.large + 1 } else { self.large - 1 };
        }
        *state = total;
    }
}

/// Whether a sum can be given out.
fn in_range(total: Total) -> Result<(), Reason> {
    if total.fits() { Ok(()) } else { Err(overflow("sum", "number")) }
}

impl Fold for Sum {
    type State = Total;
    const FALLIBLE: bool = true;

    #[inline]
    fn check(&self, state: &Total, event: &Arrival) -> Result<(), Reason> {
        let value = event.batch.get(event.row, self.slot);
        let number = Total::of(value);
        if number == Total::Empty && !value.is_null() {
            return Err(refusal("sum", value));
        }
        in_range(state.plus(number))
    }

    fn scarce(&self, event: Option<&Arrival>) -> bool {
        self.large > 0 || self.limits.are_passed(self.number(event))
    }

    fn check_combined(&self, parts: &[&Total], event: Option<&Arrival>) -> Result<(), Reason> {
        in_range(parts.iter().fold(self.number(event), |sum, part| sum.plus(**part)))
    }

    #[inline]
    fn add(&mut self, state: &mut Total, event: &Arrival) {
        let number = Total::of(event.batch.get(event.row, self.slot));
        self.put(state, state.plus(number));
    }

    fn merge(&mut self, into: &mut Total, from: &Total) {
        self.put(into, into.plus(*from));
    }

    fn result(&mut self, state: &mut Total, _batch: &mut Batch) -> Value {
        state.value()
    }

    fn release(&mut self, state: &Total) {
        self.large -= self.limits.are_passed(*state) as usize;
    }

    fn save(&self, state: &Total, _near: Near, into: &mut Vec<u8>) {
        state.save(into);
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<Total, Malformed> {
        let total = Total::load(from)?;
        self.large += self.limits.are_passed(total) as usize;
        Ok(total)
    }
}
