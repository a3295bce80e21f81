//! `top(x, n)`: the most frequent values, exactly, so all different values of a pane are kept.

use super::budget::Budget;
use super::column::{Arrival, Columns, Fold};
use super::near::{Near, canonical, events};
use super::{AggregateSpec, Argument, Example, ResultType, Takes};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number};
use crate::event::json::write_value;
use crate::event::{Batch, Comparable, Reason, ShortBytes, Slot, Span, Value, decode_value, encode_value};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::cmp::Ordering;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The most frequent values.
pub static TOP: AggregateSpec = AggregateSpec {
    name: "top",
    summary: "list of the `n` most frequent `x` with their counts, nulls aside; the lesser value first where counts \
              are equal; exact: keeps each different value",
    arguments: &[
        Argument::required("x", Takes::Any),
        Argument::required("n", Takes::Whole { from: 1, to: 10_000 }),
    ],
    star: false,
    distinct: None,
    result: ResultType::List,
    mergeable: false,
    carries: false,
    example: Example {
        call: "top(x, 2)",
        values: "[\"b\", \"a\", null, \"c\", \"c\"]",
        result: "[{\"value\":\"c\",\"count\":2},{\"value\":\"a\",\"count\":1}]",
    },
    make: |call, setup| {
        let n = call.constants.first().map_or(1, |n| *n as usize);
        let (slot, seed) = (call.slot(), setup.seed);
        Box::new(Columns::new(Top { slot, n, seed, budget: Budget::new("top"), scratch: Vec::new() }))
    },
};

/// A value in its canonical form, and how often it came.
pub struct Tally {
    bytes: ShortBytes,
    count: u64,
}

impl Tally {
    fn size(&self) -> usize {
        self.bytes.size() + size_of::<u64>()
    }
}

struct Top {
    slot: Slot,
    n: usize,
    seed: u64,
    budget: Budget,
    scratch: Vec<u8>,
}

impl Top {
    fn insert(&mut self, state: &mut HashTable<Tally>, bytes: &[u8], count: u64) {
        let seed = self.seed;
        let same = |tally: &Tally| tally.bytes.as_slice() == bytes;
        let rehash = |tally: &Tally| xxh3_64_with_seed(tally.bytes.as_slice(), seed);
        match state.entry(xxh3_64_with_seed(bytes, seed), same, rehash) {
            Entry::Occupied(mut old) => old.get_mut().count += count,
            Entry::Vacant(place) => {
                let tally = Tally { bytes: ShortBytes::new(bytes), count };
                self.budget.take(tally.size());
                place.insert(tally);
            }
        }
    }
}

/// The order of two values: numbers, text, timestamps, booleans, each by value; then lists, maps and bytes.
fn compare(batch: &Batch, a: (Value, &[u8]), b: (Value, &[u8])) -> Ordering {
    match (Comparable::of(batch, a.0), Comparable::of(batch, b.0)) {
        (Some(a), Some(b)) => a.compare(b),
        (None, None) => a.1.cmp(b.1),
        (a, _) => {
            if a.is_some() {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
    }
}

impl Fold for Top {
    type State = HashTable<Tally>;
    const FALLIBLE: bool = true;

    fn check(&self, _state: &Self::State, event: &Arrival) -> Result<(), Reason> {
        let span = event.batch.get(event.row, self.slot).span();
        self.budget.check(size_of::<Tally>() + span.len as usize)
    }

    fn add(&mut self, state: &mut Self::State, event: &Arrival) {
        let value = event.batch.get(event.row, self.slot);
        if value.is_null() {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        encode_value(event.batch, value, &mut scratch);
        self.insert(state, &scratch, 1);
        self.scratch = scratch;
    }

    fn merge(&mut self, into: &mut Self::State, from: &Self::State) {
        for tally in from {
            self.insert(into, tally.bytes.as_slice(), tally.count);
        }
    }

    fn result(&mut self, state: &mut Self::State, batch: &mut Batch) -> Value {
        let mut tallies: Vec<&Tally> = state.iter().collect();
        // Only those that can be among the first are read and compared by value.
        if tallies.len() > self.n {
            let (_, last, _) = tallies.select_nth_unstable_by_key(self.n - 1, |tally| u64::MAX - tally.count);
            let least = last.count;
            tallies.retain(|tally| tally.count >= least);
        }
        let mut values = Batch::new(1, b"");
        let decoded = tallies.iter().filter_map(|tally| {
            let (value, _) = decode_value(tally.bytes.as_slice(), &mut values)?;
            Some((tally.count, value, tally.bytes.as_slice()))
        });
        let mut decoded: Vec<(u64, Value, &[u8])> = decoded.collect();
        decoded.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| compare(&values, (a.1, a.2), (b.1, b.2))));
        if decoded.is_empty() {
            return Value::NULL;
        }
        let start = batch.arena.len();
        for (count, value, _) in decoded.into_iter().take(self.n) {
            batch.arena.push(if batch.arena.len() == start { b'[' } else { b',' });
            batch.arena.extend_from_slice(b"{\"value\":");
            write_value(&values, value, &mut batch.arena);
            batch.arena.extend_from_slice(b",\"count\":");
            batch.arena.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
            batch.arena.push(b'}');
        }
        batch.arena.push(b']');
        Value::json(Span::new(start, batch.arena.len() - start))
    }

    fn release(&mut self, state: &Self::State) {
        self.budget.give_back(state.iter().map(Tally::size).sum());
    }

    fn save(&self, state: &Self::State, _near: Near, into: &mut Vec<u8>) {
        let mut tallies: Vec<&Tally> = state.iter().collect();
        tallies.sort_unstable_by_key(|tally| tally.bytes.as_slice());
        put_number(into, tallies.len() as u64);
        for tally in tallies {
            put_number(into, tally.count);
            put_bytes(into, tally.bytes.as_slice());
        }
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<Self::State, Malformed> {
        let mut state = HashTable::new();
        for _ in 0..from.count()? {
            let count = events(from)?;
            self.insert(&mut state, canonical(from)?, count);
        }
        Ok(state)
    }
}
