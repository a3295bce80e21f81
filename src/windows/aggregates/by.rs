//! `min_by(x, y)`, `max_by(x, y)`: the value that goes with an extreme.

use super::column::{Arrival, Columns, Fold};
use super::extremes::{comparable, same_class};
use super::near::{Near, is_there};
use super::{AggregateSpec, Argument, Call, Example, ResultType, Takes};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Comparable, Kept, Reason, Slot, Value};
use std::cmp::Ordering;

const ARGUMENTS: &[Argument] =
    &[Argument::required("x", Takes::Any), Argument::required("y", Takes::Ordered)];

/// The value at the least other one.
pub static MIN_BY: AggregateSpec = AggregateSpec {
    name: "min_by",
    summary: "`x` of the event with the least `y`, of those that have both; of equal ones of the first to arrive",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "min_by(x, x)", values: "[3, 1, null, 2]", result: "1" },
    make: |call, _| Box::new(Columns::new(By::new("min_by", Ordering::Less, call))),
};

/// The value at the greatest other one.
pub static MAX_BY: AggregateSpec = AggregateSpec {
    name: "max_by",
    summary: "`x` of the event with the greatest `y`, of those that have both; of equal ones of the first to arrive",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::Argument,
    mergeable: true,
    carries: false,
    example: Example { call: "max_by(x, x)", values: "[\"a\", \"c\", null, \"b\"]", result: "\"c\"" },
    make: |call, _| Box::new(Columns::new(By::new("max_by", Ordering::Greater, call))),
};

struct By {
    name: &'static str,
    /// How a value compares to the one that it replaces.
    wins: Ordering,
    x: Slot,
    y: Slot,
    /// How many states hold a value of each class.
    held: [usize; Comparable::CLASSES],
}

/// What an event has, if it has both.
#[derive(Clone)]
pub struct Best {
    order: u64,
    y: Kept,
    x: Kept,
}

impl By {
    fn new(name: &'static str, wins: Ordering, call: &Call) -> By {
        let [x, y] = call.two_slots();
        By { name, wins, x, y, held: [0; Comparable::CLASSES] }
    }

    /// The value by which the event is judged, if it is.
    fn y<'a>(&self, event: &Arrival<'a>) -> Option<Comparable<'a>> {
        let has_x = !event.batch.get(event.row, self.x).is_null();
        Comparable::of(event.batch, event.batch.get(event.row, self.y)).filter(|_| has_x)
    }

    /// Whether a value that came then replaces the state.
    fn replaces(&self, state: &Option<Best>, new: Comparable, order: u64) -> bool {
        let old = state.as_ref().and_then(|old| Some((old.y.comparable()?, old.order)));
        old.is_none_or(|(old, old_order)| match new.compare(old) {
            Ordering::Equal => order < old_order,
            ordering => ordering == self.wins,
        })
    }

    fn put(&mut self, state: &mut Option<Best>, best: Best) {
        self.release(state);
        if let Some(value) = best.y.comparable() {
            self.held[value.class()] += 1;
        }
        *state = Some(best);
    }
}

/// The value that was judged.
fn held(state: &Option<Best>) -> Option<Comparable<'_>> {
    state.as_ref().and_then(|best| best.y.comparable())
}

impl Fold for By {
    type State = Option<Best>;
    const FALLIBLE: bool = true;

    fn check(&self, state: &Option<Best>, event: &Arrival) -> Result<(), Reason> {
        comparable(self.name, event.batch, event.batch.get(event.row, self.y))?;
        match held(state).zip(self.y(event)) {
            Some((old, new)) => same_class(self.name, old, new),
            None => Ok(()),
        }
    }

    fn scarce(&self, event: Option<&Arrival>) -> bool {
        let new = event.and_then(|event| self.y(event));
        let classes = self.held.iter().enumerate();
        classes.filter(|(class, held)| **held > 0 || new.is_some_and(|new| new.class() == *class)).count() > 1
    }

    fn check_combined(&self, parts: &[&Option<Best>], event: Option<&Arrival>) -> Result<(), Reason> {
        let new = event.and_then(|event| self.y(event));
        let mut all = parts.iter().filter_map(|part| held(part)).chain(new);
        let Some(first) = all.next() else { return Ok(()) };
        all.try_for_each(|other| same_class(self.name, first, other))
    }

    fn add(&mut self, state: &mut Option<Best>, event: &Arrival) {
        let Some(new) = self.y(event) else { return };
        if self.replaces(state, new, event.order) {
            let [x, y] = [self.x, self.y].map(|slot| Kept::of(event.batch, event.batch.get(event.row, slot)));
            self.put(state, Best { order: event.order, y, x });
        }
    }

    fn merge(&mut self, into: &mut Option<Best>, from: &Option<Best>) {
        if let Some(best) = from
            && let Some(new) = best.y.comparable()
            && self.replaces(into, new, best.order)
        {
            self.put(into, best.clone());
        }
    }

    fn result(&mut self, state: &mut Option<Best>, batch: &mut Batch) -> Value {
        state.as_ref().map_or(Value::NULL, |best| best.x.write(batch))
    }

    fn release(&mut self, state: &Option<Best>) {
        if let Some(value) = held(state) {
            self.held[value.class()] -= 1;
        }
    }

    fn save(&self, state: &Option<Best>, near: Near, into: &mut Vec<u8>) {
        into.push(state.is_some() as u8);
        if let Some(Best { order, y, x }) = state {
            near.put_order(into, *order);
            y.put(into);
            x.put(into);
        }
    }

    fn load(&mut self, near: Near, from: &mut Reader<'_>) -> Result<Option<Best>, Malformed> {
        let mut state = None;
        if is_there(from)? {
            let best = Best { order: near.order(from)?, y: Kept::take(from)?, x: Kept::take(from)? };
            best.y.comparable().ok_or(Malformed("a value without order"))?;
            self.put(&mut state, best);
        }
        Ok(state)
    }
}
