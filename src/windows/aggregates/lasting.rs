//! `time_in(cond)`, `time_weighted_avg(x)`: values that hold from one event to the next.
//!
//! A value holds from its event to the key's next one, and the last to the end of the window. A window starts with what
//! held before it; without that, time counts from its first value.

use super::column::Arrival;
use super::near::{is_there, put_float};
use super::timeline::{Follow, Timelines};
use super::{AggregateSpec, Argument, Example, ResultType, Takes, number, overflow, truth};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Reason, Slot, Value, finite};
use crate::time::{Interval, Timestamp};

/// How long a condition held.
pub static TIME_IN: AggregateSpec = AggregateSpec {
    name: "time_in",
    summary: "seconds of the window, with fractions, for which `condition` held: what an event says holds until the key's \
              next one, the last until the window's end; starts with what held before the window, if that is not older \
              than `carry`; null counts for nothing",
    arguments: &[Argument::required("condition", Takes::Booleans)],
    star: false,
    distinct: None,
    result: ResultType::Float,
    mergeable: true,
    carries: true,
    example: Example { call: "time_in(x)", values: "[true, null, false, true]", result: "0.003" },
    make: |call, setup| Box::new(Timelines::new("time_in", TimeIn { slot: call.slot() }, setup.carry)),
};

/// The mean over time.
pub static TIME_WEIGHTED_AVG: AggregateSpec = AggregateSpec {
    name: "time_weighted_avg",
    summary: "mean of `x` by the time for which each value held: until the key's next one, the last until the window's end; \
              starts with what held before the window, if that is not older than `carry`",
    arguments: &[Argument::required("x", Takes::Numbers)],
    star: false,
    distinct: None,
    result: ResultType::Float,
    mergeable: true,
    carries: true,
    example: Example { call: "time_weighted_avg(x)", values: "[1, null, 4]", result: "2.0" },
    make: |call, setup| {
        let average = TimeWeighted { slot: call.slot() };
        Box::new(Timelines::new("time_weighted_avg", average, setup.carry))
    },
};

/// Calls for each value with the milliseconds of the window for which it held. Returns whether there were any.
fn spans<R: Copy>(
    window: Interval,
    samples: impl Iterator<Item = (Timestamp, R)>,
    mut held: impl FnMut(R, f64),
) -> bool {
    let mut now: Option<(Timestamp, R)> = None;
    for (time, reading) in samples {
        let time = time.max(window.start);
        if let Some((since, before)) = now {
            held(before, time.0.abs_diff(since.0) as f64);
        }
        now = Some((time, reading));
    }
    if let Some((since, last)) = now {
        held(last, window.end.max(since).0.abs_diff(since.0) as f64);
    }
    now.is_some()
}

struct TimeIn {
    slot: Slot,
}

impl Follow for TimeIn {
    type Reading = bool;

    fn read(&self, event: &Arrival) -> Result<Option<bool>, Reason> {
        truth("time_in", event.batch.get(event.row, self.slot))
    }

    fn result(&self, window: Interval, samples: impl Iterator<Item = (Timestamp, bool)>) -> Value {
        let mut total = 0.0;
        let any = spans(window, samples, |holds, ms| total += if holds { ms } else { 0.0 });
        if any { Value::float(total / 1000.0) } else { Value::NULL }
    }

    fn save(reading: bool, into: &mut Vec<u8>) {
        into.push(reading as u8);
    }

    fn load(from: &mut Reader<'_>) -> Result<bool, Malformed> {
        is_there(from)
    }
}

struct TimeWeighted {
    slot: Slot,
}

/// Values beyond it are rejected, so that differences between two of them stay in the range of floats.
const MAX_FLOAT: f64 = 1e290;

impl Follow for TimeWeighted {
    type Reading = f64;

    fn read(&self, event: &Arrival) -> Result<Option<f64>, Reason> {
        match number("time_weighted_avg", event.batch.get(event.row, self.slot))? {
            Some(value) if value.abs() > MAX_FLOAT => Err(overflow("time_weighted_avg", "float")),
            value => Ok(value),
        }
    }

    fn result(&self, window: Interval, samples: impl Iterator<Item = (Timestamp, f64)>) -> Value {
        let (mut mean, mut total) = (0.0, 0.0);
        spans(window, samples, |value, ms| {
            total += ms;
            if ms > 0.0 {
                mean += (value - mean) * (ms / total);
            }
        });
        if total > 0.0 { Value::float(mean) } else { Value::NULL }
    }

    fn save(reading: f64, into: &mut Vec<u8>) {
        put_float(into, reading);
    }

    fn load(from: &mut Reader<'_>) -> Result<f64, Malformed> {
        finite(from)
    }
}
