//! `bool_and(x)`, `bool_or(x)`.

use super::column::{Arrival, Columns, Fold};
use super::near::Near;
use super::{AggregateSpec, Argument, Example, ResultType, Takes, truth};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Reason, Slot, Value};

const ARGUMENTS: &[Argument] = &[Argument::required("x", Takes::Booleans)];

/// Whether all are true.
pub static BOOL_AND: AggregateSpec = AggregateSpec {
    name: "bool_and",
    summary: "whether `x` is true in all events, nulls aside",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "bool_and(x)", values: "[true, null, true]", result: "true" },
    make: |call, _| Box::new(Columns::new(Logic { name: "bool_and", decides: false, slot: call.slot() })),
};

/// Whether one is true.
pub static BOOL_OR: AggregateSpec = AggregateSpec {
    name: "bool_or",
    summary: "whether `x` is true in at least one event",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "bool_or(x)", values: "[false, null, true]", result: "true" },
    make: |call, _| Box::new(Columns::new(Logic { name: "bool_or", decides: true, slot: call.slot() })),
};

struct Logic {
    name: &'static str,
    /// The value that settles it.
    decides: bool,
    slot: Slot,
}

impl Logic {
    fn put(&self, state: &mut Option<bool>, value: Option<bool>) {
        if *state != Some(self.decides) {
            *state = value.or(*state);
        }
    }
}

impl Fold for Logic {
    type State = Option<bool>;
    const FALLIBLE: bool = true;

    fn check(&self, _state: &Option<bool>, event: &Arrival) -> Result<(), Reason> {
        truth(self.name, event.batch.get(event.row, self.slot)).map(|_| ())
    }

    fn add(&mut self, state: &mut Option<bool>, event: &Arrival) {
        self.put(state, event.batch.get(event.row, self.slot).as_bool());
    }

    fn merge(&mut self, into: &mut Option<bool>, from: &Option<bool>) {
        self.put(into, *from);
    }

    fn result(&mut self, state: &mut Option<bool>, _batch: &mut Batch) -> Value {
        state.map_or(Value::NULL, Value::bool)
    }

    fn save(&self, state: &Option<bool>, _near: Near, into: &mut Vec<u8>) {
        into.push(state.map_or(0, |truth| 1 + truth as u8));
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<Option<bool>, Malformed> {
        match from.byte()? {
            0 => Ok(None),
            1 => Ok(Some(false)),
            2 => Ok(Some(true)),
            _ => Err(Malformed("neither true nor false")),
        }
    }
}
