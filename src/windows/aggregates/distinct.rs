//! Sets of values, and `count(DISTINCT x)`.

use super::budget::Budget;
use super::column::{Arrival, Columns, Fold};
use super::near::{Near, canonical};
use super::{AggregateSpec, Argument, Example, ResultType, Takes};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number};
use crate::event::{Batch, Reason, ShortBytes, Slot, Value, encode_value};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Number of different values. Not in the registry by a name of its own: it is `count` with DISTINCT.
pub static COUNT_DISTINCT: AggregateSpec = AggregateSpec {
    name: "count",
    summary: "number of different values of `x`, nulls aside; keeps each of them",
    arguments: &[Argument::required("x", Takes::Any)],
    star: false,
    distinct: None,
    result: ResultType::Integer,
    mergeable: false,
    carries: false,
    example: Example { call: "count(DISTINCT x)", values: "[1, 2, 1, null]", result: "2" },
    make: |call, setup| {
        Box::new(Columns::new(CountDistinct { set: Distinct::new("count", call.slot(), setup.seed) }))
    },
};

/// A value in its canonical form, and the place of its first arrival.
pub struct Member {
    /// As by [`encode_value`].
    pub bytes: ShortBytes,
    /// The order of arrival of the first event that had it.
    pub order: u64,
}

/// What is common to aggregates over the different values of an argument.
pub struct Distinct {
    slot: Slot,
    seed: u64,
    budget: Budget,
    scratch: Vec<u8>,
}

impl Distinct {
    /// For the aggregate of that name.
    pub fn new(name: &'static str, slot: Slot, seed: u64) -> Distinct {
        Distinct { slot, seed, budget: Budget::new(name), scratch: Vec::new() }
    }

    /// Whether the event's value may be kept.
    pub fn check(&self, event: &Arrival) -> Result<(), Reason> {
        let span = event.batch.get(event.row, self.slot).span();
        self.budget.check(size_of::<Member>() + span.len as usize)
    }

    /// Adds the event's value unless it is null.
    pub fn add(&mut self, set: &mut HashTable<Member>, event: &Arrival) {
        let value = event.batch.get(event.row, self.slot);
        if value.is_null() {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        encode_value(event.batch, value, &mut scratch);
        self.insert(set, &scratch, event.order);
        self.scratch = scratch;
    }

    /// Adds all of another set.
    pub fn merge(&mut self, into: &mut HashTable<Member>, from: &HashTable<Member>) {
        for member in from {
            self.insert(into, member.bytes.as_slice(), member.order);
        }
    }

    /// Gives back what a set takes.
    pub fn release(&mut self, set: &HashTable<Member>) {
        self.budget.give_back(set.iter().map(|member| member.bytes.size()).sum());
    }

    fn insert(&mut self, set: &mut HashTable<Member>, bytes: &[u8], order: u64) {
        let seed = self.seed;
        let hash = xxh3_64_with_seed(bytes, seed);
        let same = |member: &Member| member.bytes.as_slice() == bytes;
        let rehash = |member: &Member| xxh3_64_with_seed(member.bytes.as_slice(), seed);
        match set.entry(hash, same, rehash) {
            Entry::Occupied(mut old) => old.get_mut().order = old.get().order.min(order),
            Entry::Vacant(place) => {
                let bytes = ShortBytes::new(bytes);
                self.budget.take(bytes.size());
                place.insert(Member { bytes, order });
            }
        }
    }

    /// Appends a set, by the order of first arrival.
    pub fn save(&self, set: &HashTable<Member>, near: Near, into: &mut Vec<u8>) {
        let mut members: Vec<&Member> = set.iter().collect();
        members.sort_unstable_by_key(|member| member.order);
        put_number(into, members.len() as u64);
        let mut near = near;
        for member in members {
            near.put_order(into, member.order);
            near.order = member.order;
            put_bytes(into, member.bytes.as_slice());
        }
    }

    /// Reads a set.
    pub fn load(&mut self, near: Near, from: &mut Reader<'_>) -> Result<HashTable<Member>, Malformed> {
        let (mut near, mut set) = (near, HashTable::new());
        for _ in 0..from.count()? {
            near.order = near.order(from)?;
            self.insert(&mut set, canonical(from)?, near.order);
        }
        Ok(set)
    }
}

struct CountDistinct {
    set: Distinct,
}

impl Fold for CountDistinct {
    type State = HashTable<Member>;
    const FALLIBLE: bool = true;

    fn check(&self, _state: &Self::State, event: &Arrival) -> Result<(), Reason> {
        self.set.check(event)
    }

    fn add(&mut self, state: &mut Self::State, event: &Arrival) {
        self.set.add(state, event);
    }

    fn merge(&mut self, into: &mut Self::State, from: &Self::State) {
        self.set.merge(into, from);
    }

    fn result(&mut self, state: &mut Self::State, _batch: &mut Batch) -> Value {
        Value::int(state.len() as i64)
    }

    fn release(&mut self, state: &Self::State) {
        self.set.release(state);
    }

    fn save(&self, state: &Self::State, near: Near, into: &mut Vec<u8>) {
        self.set.save(state, near, into);
    }

    fn load(&mut self, near: Near, from: &mut Reader<'_>) -> Result<Self::State, Malformed> {
        self.set.load(near, from)
    }
}
