//! `min(x)`, `max(x)`.

use super::column::{Arrival, Columns, Fold};
use super::near::{Near, is_there};
use super::{AggregateSpec, Argument, Example, ResultType, Takes};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Comparable, Kept, Reason, RejectKind, Slot, Value};
use std::cmp::Ordering;

const ARGUMENTS: &[Argument] = &[Argument::required("x", Takes::Ordered)];

/// The least value.
pub static MIN: AggregateSpec = AggregateSpec {
    name: "min",
    summary: "least `x`: of numbers, text, timestamps or booleans",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "min(x)", values: "[3, 1.5, null, 2]", result: "1.5" },
    make: |call, _| Box::new(Columns::new(Extreme::new("min", Ordering::Less, call.slot()))),
};

/// The greatest value.
pub static MAX: AggregateSpec = AggregateSpec {
    name: "max",
    summary: "greatest `x`: of numbers, text, timestamps or booleans",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "max(x)", values: "[\"a\", \"c\", \"b\"]", result: "\"c\"" },
    make: |call, _| Box::new(Columns::new(Extreme::new("max", Ordering::Greater, call.slot()))),
};

/// Whether the two can be compared.
pub fn same_class(name: &str, old: Comparable, new: Comparable) -> Result<(), Reason> {
    if old.class() == new.class() {
        return Ok(());
    }
    let (old, new) = (Comparable::class_name(old.class()), Comparable::class_name(new.class()));
    let text = format!("{name}: compares {old} with {old}, not with {new}");
    Err(Reason::new(RejectKind::Aggregate, text))
}

/// The value to compare; None for null.
pub fn comparable<'a>(name: &str, batch: &'a Batch, value: Value) -> Result<Option<Comparable<'a>>, Reason> {
    match Comparable::of(batch, value) {
        None if !value.is_null() => {
            let text = format!("{name}: {} has no order", value.kind().name());
            Err(Reason::new(RejectKind::Aggregate, text))
        }
        comparable => Ok(comparable),
    }
}

struct Extreme {
    name: &'static str,
    /// How a value compares to the one that it replaces.
    wins: Ordering,
    slot: Slot,
    /// How many states hold a value of each class.
    held: [usize; Comparable::CLASSES],
}

impl Extreme {
    fn new(name: &'static str, wins: Ordering, slot: Slot) -> Extreme {
        Extreme { name, wins, slot, held: [0; Comparable::CLASSES] }
    }

    /// Replaces a state and keeps the number of each class.
    fn put(&mut self, state: &mut Option<Kept>, value: Kept) {
        self.release(state);
        *state = Some(value);
        if let Some(value) = state.as_ref().and_then(Kept::comparable) {
            self.held[value.class()] += 1;
        }
    }
}

impl Fold for Extreme {
    type State = Option<Kept>;
    const FALLIBLE: bool = true;

    fn check(&self, state: &Option<Kept>, event: &Arrival) -> Result<(), Reason> {
        let new = comparable(self.name, event.batch, event.batch.get(event.row, self.slot))?;
        match state.as_ref().and_then(Kept::comparable).zip(new) {
            Some((old, new)) => same_class(self.name, old, new),
            None => Ok(()),
        }
    }

    fn scarce(&self, event: Option<&Arrival>) -> bool {
        let new = event.and_then(|event| Comparable::of(event.batch, event.batch.get(event.row, self.slot)));
        let classes = self.held.iter().enumerate();
        classes.filter(|(class, held)| **held > 0 || new.is_some_and(|new| new.class() == *class)).count() > 1
    }

    fn check_combined(&self, parts: &[&Option<Kept>], event: Option<&Arrival>) -> Result<(), Reason> {
        let new = event.and_then(|event| Comparable::of(event.batch, event.batch.get(event.row, self.slot)));
        let parts = parts.iter().filter_map(|part| part.as_ref().and_then(Kept::comparable));
        let mut all = parts.chain(new);
        let Some(first) = all.next() else { return Ok(()) };
        all.try_for_each(|other| same_class(self.name, first, other))
    }

    fn add(&mut self, state: &mut Option<Kept>, event: &Arrival) {
        let value = event.batch.get(event.row, self.slot);
        let Some(new) = Comparable::of(event.batch, value) else { return };
        let old = state.as_ref().and_then(Kept::comparable);
        if old.is_none_or(|old| new.compare(old) == self.wins) {
            self.put(state, Kept::of(event.batch, value));
        }
    }

    fn merge(&mut self, into: &mut Option<Kept>, from: &Option<Kept>) {
        let Some(value) = from else { return };
        let old = into.as_ref().and_then(Kept::comparable);
        let new = value.comparable();
        if old.is_none_or(|old| new.is_some_and(|new| new.compare(old) == self.wins)) {
            self.put(into, value.clone());
        }
    }

    fn result(&mut self, state: &mut Option<Kept>, batch: &mut Batch) -> Value {
        state.as_ref().map_or(Value::NULL, |value| value.write(batch))
    }

    fn release(&mut self, state: &Option<Kept>) {
        if let Some(value) = state.as_ref().and_then(Kept::comparable) {
            self.held[value.class()] -= 1;
        }
    }

    fn save(&self, state: &Option<Kept>, _near: Near, into: &mut Vec<u8>) {
        into.push(state.is_some() as u8);
        state.iter().for_each(|value| value.put(into));
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<Option<Kept>, Malformed> {
        let mut state = None;
        if is_there(from)? {
            let value = Kept::take(from)?;
            value.comparable().ok_or(Malformed("a value without order"))?;
            self.put(&mut state, value);
        }
        Ok(state)
    }
}
