//! `delta(x[, modulus])`, `rate(x[, modulus])`: what a counter counted.

use super::column::Arrival;
use super::near::put_float;
use super::timeline::{Follow, Timelines};
use super::{AggregateSpec, Argument, Call, Example, ResultType, Setup, Takes, overflow, refusal};
use crate::event::bytes::{Malformed, Reader, put_signed};
use crate::event::{Reason, RejectKind, Slot, Value, finite};
use crate::time::{Interval, Timestamp};

const ARGUMENTS: &[Argument] = &[
    Argument::required("x", Takes::Numbers),
    // From one to the number of different 64-bit counts.
    Argument::optional("modulus", Takes::Constant { from: 1.0, to: 18_446_744_073_709_551_616.0 }),
];

/// The sum of differences.
pub static DELTA: AggregateSpec = AggregateSpec {
    name: "delta",
    summary: "sum of successive differences of `x` in event-time order, from the key's last value before the window \
              (not older than `carry`); a fall wraps at `modulus`, or is a reset: then the new value counts",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Number,
    mergeable: true,
    carries: true,
    example: Example { call: "delta(x, 100)", values: "[90, null, 97, 5]", result: "15" },
    make: |call, setup| timelines("delta", call, setup, false),
};

/// The differences by time.
pub static RATE: AggregateSpec = AggregateSpec {
    name: "rate",
    summary: "`delta` a second: divided by the seconds from the first to the last of the values that it is made of, the one before \
              the window included",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Float,
    mergeable: true,
    carries: true,
    example: Example { call: "rate(x)", values: "[10, 12, 1]", result: "1500.0" },
    make: |call, setup| timelines("rate", call, setup, true),
};

fn timelines(name: &'static str, call: &Call, setup: Setup, per_second: bool) -> Box<dyn super::Accumulator> {
    let modulus = call.constants.first().copied();
    let differences = Differences { name, slot: call.slot(), modulus, per_second };
    Box::new(Timelines::new(name, differences, setup.carry))
}

/// Floats beyond it are rejected: no number of differences below it leaves the range of floats.
const MAX_FLOAT: f64 = 1e290;

struct Differences {
    name: &'static str,
    slot: Slot,
    modulus: Option<f64>,
    per_second: bool,
}

/// A count, by its type.
#[derive(Clone, Copy)]
enum Reading {
    Int(i64),
    Float(f64),
}

impl Reading {
    fn float(self) -> f64 {
        match self {
            Reading::Int(int) => int as f64,
            Reading::Float(float) => float,
        }
    }
}

/// A sum of differences: of integers as long as all are.
#[derive(Clone, Copy)]
enum Sum {
    Int(i128),
    Float(f64),
}

impl Sum {
    fn float(self) -> f64 {
        match self {
            Sum::Int(int) => int as f64,
            Sum::Float(float) => float,
        }
    }

    fn plus(self, other: Sum) -> Sum {
        match (self, other) {
            (Sum::Int(a), Sum::Int(b)) => Sum::Int(a + b),
            (a, b) => Sum::Float(a.float() + b.float()),
        }
    }

    /// Integers beyond 64 bits become floats, as they do in JSON.
    fn value(self) -> Value {
        match self {
            Sum::Int(int) => i64::try_from(int).map_or(Value::float(int as f64), Value::int),
            Sum::Float(float) => Value::float(float),
        }
    }
}

impl Differences {
    fn between(&self, old: Reading, new: Reading) -> Sum {
        if let (Reading::Int(old), Reading::Int(new)) = (old, new) {
            let difference = new as i128 - old as i128;
            return match self.modulus {
                _ if difference >= 0 => Sum::Int(difference),
                None => Sum::Int(new as i128),
                Some(modulus) if modulus.fract() == 0.0 => Sum::Int(difference + modulus as i128),
                Some(modulus) => Sum::Float(difference as f64 + modulus),
            };
        }
        let difference = new.float() - old.float();
        Sum::Float(match self.modulus {
            _ if difference >= 0.0 => difference,
            None => new.float(),
            Some(modulus) => difference + modulus,
        })
    }
}

impl Follow for Differences {
    type Reading = Reading;

    fn read(&self, event: &Arrival) -> Result<Option<Reading>, Reason> {
        let value = event.batch.get(event.row, self.slot);
        let reading = match (value.as_int(), value.as_float()) {
            (Some(int), _) => Reading::Int(int),
            (_, Some(float)) if float.abs() > MAX_FLOAT => return Err(overflow(self.name, "float")),
            (_, Some(float)) => Reading::Float(float),
            _ if value.is_null() => return Ok(None),
            _ => return Err(refusal(self.name, value)),
        };
        if let Some(modulus) = self.modulus
            && !(0.0..modulus).contains(&reading.float())
        {
            let text = format!("{}: {} is not below its modulus {modulus}", self.name, reading.float());
            return Err(Reason::new(RejectKind::Aggregate, text));
        }
        Ok(Some(reading))
    }

    fn result(&self, _window: Interval, samples: impl Iterator<Item = (Timestamp, Reading)>) -> Value {
        let mut samples = samples;
        let Some((first, mut old)) = samples.next() else { return Value::NULL };
        let mut sum = None;
        let mut last = first;
        for (time, new) in samples {
            let difference = self.between(old, new);
            sum = Some(sum.map_or(difference, |sum: Sum| sum.plus(difference)));
            (last, old) = (time, new);
        }
        match sum {
            None => Value::NULL,
            Some(sum) if !self.per_second => sum.value(),
            Some(_) if last == first => Value::NULL,
            Some(sum) => Value::float(sum.float() / (last.0.abs_diff(first.0) as f64 / 1000.0)),
        }
    }

    fn save(reading: Reading, into: &mut Vec<u8>) {
        match reading {
            Reading::Int(int) => {
                into.push(0);
                put_signed(into, int);
            }
            Reading::Float(float) => {
                into.push(1);
                put_float(into, float);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Reading, Malformed> {
        match from.byte()? {
            0 => from.signed().map(Reading::Int),
            1 => finite(from).map(Reading::Float),
            _ => Err(Malformed("a count of no type that is known")),
        }
    }
}
