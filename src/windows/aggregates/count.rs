//! `count(*)`, `count(x)`.

use super::column::{Arrival, Columns, Fold};
use super::near::{Near, events};
use super::{AggregateSpec, Argument, Example, ResultType, Takes, distinct};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::{Batch, Slot, Value};

/// Number of events, or of those where the argument is not null.
pub static COUNT: AggregateSpec = AggregateSpec {
    name: "count",
    summary: "number of events, or of those where `x` is not null",
    arguments: &[Argument::required("x", Takes::Any)],
    star: true,
    distinct: Some(&distinct::COUNT_DISTINCT),
    result: ResultType::Integer,
    mergeable: true,
    carries: false,
    example: Example { call: "count(x)", values: "[3, null, \"a\"]", result: "2" },
    make: |call, _| Box::new(Columns::new(Count { slot: call.slots.first().copied() })),
};

struct Count {
    slot: Option<Slot>,
}

impl Fold for Count {
    type State = u64;
    const FALLIBLE: bool = false;

    #[inline]
    fn add(&mut self, state: &mut u64, event: &Arrival) {
        let counts = self.slot.is_none_or(|slot| !event.batch.get(event.row, slot).is_null());
        *state += counts as u64;
    }

    fn merge(&mut self, into: &mut u64, from: &u64) {
        *into += from;
    }

    fn result(&mut self, state: &mut u64, _batch: &mut Batch) -> Value {
        Value::int(*state as i64)
    }

    fn save(&self, state: &u64, _near: Near, into: &mut Vec<u8>) {
        put_number(into, *state);
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<u64, Malformed> {
        events(from)
    }
}
