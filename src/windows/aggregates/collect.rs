//! `collect(x)`, `collect_distinct(x)`: lists of values in order of arrival.

use super::budget::Budget;
use super::column::{Arrival, Columns, Fold};
use super::distinct::{Distinct, Member};
use super::near::Near;
use super::{AggregateSpec, Argument, Example, ResultType, Takes};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::json::{validate, write_value};
use crate::event::{Batch, Reason, Slot, Value, decode_value};
use hashbrown::HashTable;

const ARGUMENTS: &[Argument] = &[Argument::required("x", Takes::Any)];

/// All values.
pub static COLLECT: AggregateSpec = AggregateSpec {
    name: "collect",
    summary: "list of all `x` in order of arrival, nulls aside",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::List,
    mergeable: false,
    carries: false,
    example: Example { call: "collect(x)", values: "[3, \"a\", null, 3]", result: "[3,\"a\",3]" },
    make: |call, _| Box::new(Columns::new(Collect { slot: call.slot(), budget: Budget::new("collect") })),
};

/// All different values.
pub static COLLECT_DISTINCT: AggregateSpec = AggregateSpec {
    name: "collect_distinct",
    summary: "list of all different `x` in order of their first arrival, nulls aside",
    arguments: ARGUMENTS,
    star: false,
    distinct: None,
    result: ResultType::List,
    mergeable: false,
    carries: false,
    example: Example { call: "collect_distinct(x)", values: "[3, 1, null, 3]", result: "[3,1]" },
    make: |call, setup| {
        let set = Distinct::new("collect_distinct", call.slot(), setup.seed);
        Box::new(Columns::new(CollectDistinct { set }))
    },
};

/// Values as JSON text, one behind the other.
#[derive(Default)]
pub struct List {
    text: Vec<u8>,
    /// Order of arrival and where the value ends in the text, by order.
    items: Vec<(u64, u32)>,
}

impl List {
    /// What it takes in memory.
    fn size(&self) -> usize {
        self.text.len() + size_of_val(self.items.as_slice())
    }

    fn item(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.items[before].1);
        &self.text[start as usize..self.items[index].1 as usize]
    }

    fn push(&mut self, order: u64, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.items.push((order, self.text.len() as u32));
    }

    /// Both lists as one, by order of arrival.
    fn merged(&self, other: &List) -> List {
        let mut all = List::default();
        all.text.reserve(self.text.len() + other.text.len());
        let (mut a, mut b) = (0, 0);
        while a < self.items.len() || b < other.items.len() {
            let from_self = match (self.items.get(a), other.items.get(b)) {
                (Some(a), Some(b)) => a.0 < b.0,
                (a, _) => a.is_some(),
            };
            let (list, index) = if from_self { (self, &mut a) } else { (other, &mut b) };
            all.push(list.items[*index].0, list.item(*index));
            *index += 1;
        }
        all
    }
}

struct Collect {
    slot: Slot,
    budget: Budget,
}

impl Fold for Collect {
    type State = List;
    const FALLIBLE: bool = true;

    fn check(&self, _state: &List, event: &Arrival) -> Result<(), Reason> {
        // Escapes make text up to six times as long, base64 bytes a third.
        let span = event.batch.get(event.row, self.slot).span();
        self.budget.check(32 + 6 * span.len as usize)
    }

    fn add(&mut self, state: &mut List, event: &Arrival) {
        let value = event.batch.get(event.row, self.slot);
        if value.is_null() {
            return;
        }
        let before = state.size();
        write_value(event.batch, value, &mut state.text);
        state.items.push((event.order, state.text.len() as u32));
        self.budget.take(state.size() - before);
    }

    fn merge(&mut self, into: &mut List, from: &List) {
        self.budget.take(from.size());
        let follows = match (into.items.last(), from.items.first()) {
            (Some(last), Some(first)) => last.0 < first.0,
            _ => true,
        };
        if !follows {
            *into = into.merged(from);
            return;
        }
        let start = into.text.len() as u32;
        into.text.extend_from_slice(&from.text);
        into.items.extend(from.items.iter().map(|(order, end)| (*order, start + end)));
    }

    fn result(&mut self, state: &mut List, batch: &mut Batch) -> Value {
        write_list(batch, (0..state.items.len()).map(|i| state.item(i)))
    }

    fn release(&mut self, state: &List) {
        self.budget.give_back(state.size());
    }

    fn save(&self, state: &List, near: Near, into: &mut Vec<u8>) {
        put_number(into, state.items.len() as u64);
        let (mut near, mut start) = (near, 0);
        for (order, end) in &state.items {
            near.put_order(into, *order);
            near.order = *order;
            put_number(into, u64::from(end - start));
            start = *end;
        }
        into.extend_from_slice(&state.text);
    }

    fn load(&mut self, near: Near, from: &mut Reader<'_>) -> Result<List, Malformed> {
        let (mut near, mut end, mut items) = (near, 0u32, Vec::new());
        for _ in 0..from.count()? {
            near.order = near.order(from)?;
            end = end.checked_add(from.small()?).ok_or(Malformed("a list beyond 32 bits"))?;
            items.push((near.order, end));
        }
        let text = from.take(end as usize)?;
        let list = List { text: text.into(), items };
        let valid = (0..list.items.len()).all(|index| validate(list.item(index)).is_ok());
        self.budget.take(list.size());
        if valid { Ok(list) } else { Err(Malformed("a list of no values")) }
    }
}

/// The JSON list of these values in the batch's arena; null if there are none.
fn write_list<'a>(batch: &mut Batch, items: impl Iterator<Item = &'a [u8]>) -> Value {
    let start = batch.arena.len();
    for item in items {
        batch.arena.push(if batch.arena.len() == start { b'[' } else { b',' });
        batch.arena.extend_from_slice(item);
    }
    if batch.arena.len() == start {
        return Value::NULL;
    }
    batch.arena.push(b']');
    Value::json(crate::event::Span::new(start, batch.arena.len() - start))
}

struct CollectDistinct {
    set: Distinct,
}

impl Fold for CollectDistinct {
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

    fn result(&mut self, state: &mut Self::State, batch: &mut Batch) -> Value {
        let mut members: Vec<&Member> = state.iter().collect();
        members.sort_unstable_by_key(|member| member.order);
        let mut list = List::default();
        let start = batch.arena.len();
        for member in members {
            if let Some((value, _)) = decode_value(member.bytes.as_slice(), batch) {
                let mut text = Vec::new();
                write_value(batch, value, &mut text);
                list.push(member.order, &text);
            }
            batch.arena.truncate(start);
        }
        write_list(batch, (0..list.items.len()).map(|i| list.item(i)))
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
