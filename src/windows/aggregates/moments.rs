//! `avg(x)`, `stddev(x)`, `variance(x)` and those of a population.

use super::column::{Accumulator, Arrival, Columns, Fold};
use super::near::{Near, counter, events, float, put_counter, put_float};
use super::sum::{Limits, Total};
use super::{
    AggregateSpec, Argument, Call, Example, ResultType, Setup, Takes, finite, number, overflow, refusal,
};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::{Batch, Reason, Slot, Value};

const ARGUMENTS: &[Argument] = &[Argument::required("x", Takes::Numbers)];

type Make = fn(&Call, Setup) -> Box<dyn Accumulator>;

const fn spec(name: &'static str, summary: &'static str, example: Example, make: Make) -> AggregateSpec {
    AggregateSpec {
        name,
        summary,
        arguments: ARGUMENTS,
        star: false,
        distinct: None,
        result: ResultType::Float,
        mergeable: true,
        carries: false,
        example,
        make,
    }
}

/// The mean.
pub static AVG: AggregateSpec = spec(
    "avg",
    "arithmetic mean of `x`",
    Example { call: "avg(x)", values: "[1, 2, null, 6]", result: "3.0" },
    |call, setup| {
        let limits = Limits::of(setup.parts);
        Box::new(Columns::new(Mean { slot: call.slot(), limits, large: 0 }))
    },
);

/// The standard deviation of a sample.
pub static STDDEV: AggregateSpec = spec(
    "stddev",
    "standard deviation of `x` as of a sample; null for one value",
    Example { call: "stddev(x)", values: "[1, 3, 5]", result: "2.0" },
    |call, _| Box::new(Columns::new(Spread::new("stddev", Of::Sample, true, call.slot()))),
);

/// The variance of a sample.
pub static VARIANCE: AggregateSpec = spec(
    "variance",
    "variance of `x` as of a sample; null for one value",
    Example { call: "variance(x)", values: "[1, 3, 5]", result: "4.0" },
    |call, _| Box::new(Columns::new(Spread::new("variance", Of::Sample, false, call.slot()))),
);

/// The standard deviation of a population.
pub static STDDEV_POP: AggregateSpec = spec(
    "stddev_pop",
    "standard deviation of `x` as of a whole population",
    Example { call: "stddev_pop(x)", values: "[1, 3]", result: "1.0" },
    |call, _| Box::new(Columns::new(Spread::new("stddev_pop", Of::Population, true, call.slot()))),
);

/// The variance of a population.
pub static VAR_POP: AggregateSpec = spec(
    "var_pop",
    "variance of `x` as of a whole population",
    Example { call: "var_pop(x)", values: "[1, 5]", result: "4.0" },
    |call, _| Box::new(Columns::new(Spread::new("var_pop", Of::Population, false, call.slot()))),
);

struct Mean {
    slot: Slot,
    limits: Limits,
    /// How many states are beyond the limits.
    large: usize,
}

impl Mean {
    /// Only floats can be too large: of integers the sum has room enough.
    fn is_large(&self, total: Total) -> bool {
        matches!(total, Total::Float(_)) && self.limits.are_passed(total)
    }

    fn number(&self, event: Option<&Arrival>) -> Total {
        event.map_or(Total::Empty, |event| Total::of(event.batch.get(event.row, self.slot)))
    }

    fn put(&mut self, state: &mut (Total, u64), other: Total, count: u64) {
        let total = state.0.plus(other);
        self.large += self.is_large(total) as usize;
        self.large -= self.is_large(state.0) as usize;
        *state = (total, state.1 + count);
    }
}

/// Whether a sum can be divided.
fn valid(total: Total) -> Result<(), Reason> {
    match total {
        Total::Float(sum) if !sum.is_finite() => Err(overflow("avg", "float")),
        _ => Ok(()),
    }
}

impl Fold for Mean {
    type State = (Total, u64);
    const FALLIBLE: bool = true;

    fn check(&self, state: &Self::State, event: &Arrival) -> Result<(), Reason> {
        let value = event.batch.get(event.row, self.slot);
        let number = Total::of(value);
        if number == Total::Empty && !value.is_null() {
            return Err(refusal("avg", value));
        }
        let total = state.0.plus(number);
        valid(total)
    }

    fn scarce(&self, event: Option<&Arrival>) -> bool {
        self.large > 0 || self.is_large(self.number(event))
    }

    fn check_combined(&self, parts: &[&Self::State], event: Option<&Arrival>) -> Result<(), Reason> {
        valid(parts.iter().fold(self.number(event), |sum, part| sum.plus(part.0)))
    }

    fn add(&mut self, state: &mut Self::State, event: &Arrival) {
        let number = Total::of(event.batch.get(event.row, self.slot));
        self.put(state, number, (number != Total::Empty) as u64);
    }

    fn merge(&mut self, into: &mut Self::State, from: &Self::State) {
        self.put(into, from.0, from.1);
    }

    fn result(&mut self, state: &mut Self::State, _batch: &mut Batch) -> Value {
        match state.0 {
            Total::Empty => Value::NULL,
            Total::Float(sum) => finite(sum / state.1 as f64),
            total => Value::float(total.as_int().unwrap_or_default() as f64 / state.1 as f64),
        }
    }

    fn release(&mut self, state: &Self::State) {
        self.large -= self.is_large(state.0) as usize;
    }

    fn save(&self, state: &Self::State, _near: Near, into: &mut Vec<u8>) {
        state.0.save(into);
        put_number(into, state.1);
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<Self::State, Malformed> {
        let state = (Total::load(from)?, events(from)?);
        self.large += self.is_large(state.0) as usize;
        Ok(state)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Of {
    Sample,
    Population,
}

/// Number, mean and sum of squared distances from the mean, one value at a time by Welford (1962), two states
/// at a time by Chan, Golub and LeVeque (1979).
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn with(self, value: f64) -> Moments {
        let count = self.count + 1.0;
        let delta = value - self.mean;
        let mean = self.mean + delta / count;
        Moments { count, mean, squares: self.squares + delta * (value - mean) }
    }

    fn and(self, other: Moments) -> Moments {
        if self.count == 0.0 || other.count == 0.0 {
            return if self.count == 0.0 { other } else { self };
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        Moments {
            count,
            mean: self.mean + delta * (other.count / count),
            squares: self.squares + other.squares + delta * delta * (self.count * other.count / count),
        }
    }

    /// Far below what a million states and 10^12 values could combine to beyond the range of floats.
    fn is_large(self) -> bool {
        self.mean.abs() > 1e139 || self.squares > 1e279
    }
}

struct Spread {
    name: &'static str,
    of: Of,
    root: bool,
    slot: Slot,
    /// How many states are large.
    large: usize,
}

impl Spread {
    fn new(name: &'static str, of: Of, root: bool, slot: Slot) -> Spread {
        Spread { name, of, root, slot, large: 0 }
    }

    /// The moments of the event's value alone.
    fn value(&self, event: Option<&Arrival>) -> Moments {
        let value = event.and_then(|event| event.batch.get(event.row, self.slot).as_number());
        value.map_or(Moments::default(), |value| Moments::default().with(value))
    }

    fn valid(&self, moments: Moments) -> Result<(), Reason> {
        let finite = moments.mean.is_finite() && moments.squares.is_finite();
        if finite { Ok(()) } else { Err(overflow(self.name, "float")) }
    }

    fn put(&mut self, state: &mut Moments, moments: Moments) {
        self.large += moments.is_large() as usize;
        self.large -= state.is_large() as usize;
        *state = moments;
    }
}

impl Fold for Spread {
    type State = Moments;
    const FALLIBLE: bool = true;

    fn check(&self, state: &Moments, event: &Arrival) -> Result<(), Reason> {
        let value = event.batch.get(event.row, self.slot);
        let moments = number(self.name, value)?.map_or(*state, |value| state.with(value));
        self.valid(moments)
    }

    fn scarce(&self, event: Option<&Arrival>) -> bool {
        self.large > 0 || self.value(event).is_large()
    }

    fn check_combined(&self, parts: &[&Moments], event: Option<&Arrival>) -> Result<(), Reason> {
        self.valid(parts.iter().fold(self.value(event), |whole, part| whole.and(**part)))
    }

    fn add(&mut self, state: &mut Moments, event: &Arrival) {
        if let Some(value) = event.batch.get(event.row, self.slot).as_number() {
            self.put(state, state.with(value));
        }
    }

    fn merge(&mut self, into: &mut Moments, from: &Moments) {
        self.put(into, into.and(*from));
    }

    fn result(&mut self, state: &mut Moments, _batch: &mut Batch) -> Value {
        let freedom = if self.of == Of::Sample { state.count - 1.0 } else { state.count };
        if freedom <= 0.0 {
            return Value::NULL;
        }
        let variance = state.squares / freedom;
        finite(if self.root { variance.sqrt() } else { variance })
    }

    fn release(&mut self, state: &Moments) {
        self.large -= state.is_large() as usize;
    }

    fn save(&self, state: &Moments, _near: Near, into: &mut Vec<u8>) {
        if put_counter(into, state.count) {
            [state.mean, state.squares].into_iter().for_each(|float| put_float(into, float));
        }
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<Moments, Malformed> {
        let mut state = Moments { count: counter(from)?, ..Moments::default() };
        if state.count > 0.0 {
            (state.mean, state.squares) = (float(from)?, float(from)?);
        }
        self.large += state.is_large() as usize;
        Ok(state)
    }
}
