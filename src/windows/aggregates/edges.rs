//! `first(x)`, `last(x)`, `any(x)`.

use super::column::{Arrival, Columns, Fold};
use super::near::{Near, is_there};
use super::{AggregateSpec, Argument, Example, ResultType, Takes};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Kept, Slot, Value};
use crate::time::Timestamp;

const ARGUMENTS: &[Argument] = &[Argument::required("x", Takes::Any)];

/// The value of the earliest event.
pub static FIRST: AggregateSpec = AggregateSpec {
    name: "first",
    summary: "`x` of the earliest event by event time; at equal times of the one that arrived first",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "first(x)", values: "[null, \"a\", \"b\"]", result: "\"a\"" },
    make: |call, _| Box::new(Columns::new(Edge { which: Which::First, slot: call.slot() })),
};

/// The value of the latest event.
pub static LAST: AggregateSpec = AggregateSpec {
    name: "last",
    summary: "`x` of the latest event by event time; at equal times of the one that arrived last",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "last(x)", values: "[\"a\", \"b\", null]", result: "\"b\"" },
    make: |call, _| Box::new(Columns::new(Edge { which: Which::Last, slot: call.slot() })),
};

/// Some value.
pub static ANY: AggregateSpec = AggregateSpec {
    name: "any",
    summary: "`x` of some event: of the one that arrived first",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "any(x)", values: "[null, 3, 4]", result: "3" },
    make: |call, _| Box::new(Columns::new(Edge { which: Which::Any, slot: call.slot() })),
};

#[derive(Clone, Copy)]
enum Which {
    First,
    Last,
    Any,
}

/// The place of a value: event time, then order of arrival.
type Place = (i64, u64);

struct Edge {
    which: Which,
    slot: Slot,
}

impl Edge {
    fn wins(&self, new: Place, old: Place) -> bool {
        match self.which {
            Which::First => new < old,
            Which::Last => new > old,
            Which::Any => new.1 < old.1,
        }
    }
}

impl Fold for Edge {
    type State = Option<(Place, Kept)>;
    const FALLIBLE: bool = false;

    fn add(&mut self, state: &mut Self::State, event: &Arrival) {
        let value = event.batch.get(event.row, self.slot);
        let place = (event.time.0, event.order);
        if !value.is_null() && state.as_ref().is_none_or(|(old, _)| self.wins(place, *old)) {
            *state = Some((place, Kept::of(event.batch, value)));
        }
    }

    fn merge(&mut self, into: &mut Self::State, from: &Self::State) {
        if let Some((place, _)) = from
            && into.as_ref().is_none_or(|(old, _)| self.wins(*place, *old))
        {
            into.clone_from(from);
        }
    }

    fn result(&mut self, state: &mut Self::State, batch: &mut Batch) -> Value {
        state.as_ref().map_or(Value::NULL, |(_, value)| value.write(batch))
    }

    fn save(&self, state: &Self::State, near: Near, into: &mut Vec<u8>) {
        into.push(state.is_some() as u8);
        if let Some(((time, order), value)) = state {
            near.put_time(into, Timestamp(*time));
            near.put_order(into, *order);
            value.put(into);
        }
    }

    fn load(&mut self, near: Near, from: &mut Reader<'_>) -> Result<Self::State, Malformed> {
        if !is_there(from)? {
            return Ok(None);
        }
        let place = (near.time(from)?.0, near.order(from)?);
        Ok(Some((place, Kept::take(from)?)))
    }
}
