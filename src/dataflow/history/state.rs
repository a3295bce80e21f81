//! What one call of keyed history keeps for one key.

use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::event::{Batch, Comparable, Kept, Value, finite as take_finite};
use crate::expr::functions::History;
use crate::expr::is_same;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// More events than any process counts.
const MOST_COUNTED: i64 = 1 << 62;

/// Why a value cannot be taken.
pub type Refusal = Cow<'static, str>;

/// What is kept.
#[derive(Clone, Debug)]
pub enum State {
    /// The last values, for `previous`.
    Values {
        /// Oldest first.
        values: VecDeque<Kept>,
        /// How many are kept.
        most: usize,
    },
    /// The last number, for `delta`; or the sum of all. Null for none.
    Number(Value),
    /// The last value, for `had_changed`; or the least or greatest. Null for none.
    Value(Kept),
    /// The number of events.
    Count(i64),
    /// The last numbers.
    Mean(Mean),
}

impl State {
    /// That of a key without events.
    pub fn new(history: History, back: usize) -> State {
        match history {
            History::Previous => State::Values { values: VecDeque::new(), most: back },
            History::Delta | History::RunningSum => State::Number(Value::NULL),
            History::HadChanged | History::RunningMin | History::RunningMax => {
                State::Value(Kept::Scalar(Value::NULL))
            }
            History::RunningCount => State::Count(0),
            History::RunningAvg => State::Mean(Mean { most: back, ..Mean::default() }),
        }
    }

    /// Appends what is kept.
    pub fn put(&self, into: &mut Vec<u8>) {
        match self {
            State::Values { values, .. } => {
                put_number(into, values.len() as u64);
                values.iter().for_each(|value| value.put(into));
            }
            State::Number(number) => Kept::Scalar(*number).put(into),
            State::Value(kept) => kept.put(into),
            State::Count(count) => put_signed(into, *count),
            State::Mean(mean) => mean.put(into),
        }
    }

    /// Reads what [`State::put`] wrote of the same call.
    ///
    /// # Errors
    /// The bytes are none of that.
    pub fn load(history: History, back: usize, reader: &mut Reader<'_>) -> Result<State, Malformed> {
        Ok(match State::new(history, back) {
            State::Values { most, .. } => {
                let count = reader.count()?;
                if count > most {
                    return Err(Malformed("more values than are kept"));
                }
                State::Values {
                    values: (0..count).map(|_| Kept::take(reader)).collect::<Result<_, _>>()?,
                    most,
                }
            }
            State::Number(_) => match Kept::take(reader)? {
                Kept::Scalar(number) if number.is_null() || number.as_number().is_some() => {
                    State::Number(number)
                }
                _ => return Err(Malformed("no number")),
            },
            State::Value(_) => State::Value(Kept::take(reader)?),
            State::Count(_) => match reader.signed()? {
                count @ 0..=MOST_COUNTED => State::Count(count),
                _ => return Err(Malformed("no count")),
            },
            State::Mean(mean) => State::Mean(mean.load(reader)?),
        })
    }

    /// Whether the value can be taken.
    ///
    /// # Errors
    /// It is of the wrong kind, or what is computed of it has no value.
    pub fn check(&self, history: History, batch: &Batch, value: Value) -> Result<(), Refusal> {
        if value.is_null() {
            return Ok(());
        }
        match self {
            State::Number(last) if history == History::Delta => difference(value, *last).map(drop),
            State::Number(sum) => total(*sum, value).map(drop),
            State::Mean(mean) => mean.check(value),
            State::Value(kept) if history != History::HadChanged => ordered(batch, value, kept).map(drop),
            State::Values { .. } | State::Value(_) | State::Count(_) => Ok(()),
        }
    }

    /// Takes a checked value and gives the result.
    pub fn take(&mut self, history: History, batch: &mut Batch, value: Value) -> Value {
        match self {
            State::Values { values, most } => {
                let full = values.len() == *most;
                let kept = if full { values.pop_front() } else { None };
                let mut room = kept.unwrap_or(Kept::Scalar(Value::NULL));
                let result = room.write(batch);
                room.replace(batch, value);
                values.push_back(room);
                result
            }
            State::Number(last) if history == History::Delta => {
                // It was checked.
                let result = difference(value, *last).unwrap_or(Value::NULL);
                *last = if value.is_null() { *last } else { value };
                result
            }
            State::Number(sum) => {
                if !value.is_null() {
                    // It was checked.
                    *sum = total(*sum, value).unwrap_or(*sum);
                }
                *sum
            }
            State::Value(kept) if history == History::HadChanged => {
                let same = is_same(kept.parts(), (value, batch.bytes(value)));
                kept.replace(batch, value);
                Value::bool(!same)
            }
            State::Value(kept) => {
                let wins = if history == History::RunningMin { Ordering::Less } else { Ordering::Greater };
                let is_first = kept.parts().0.is_null();
                if !value.is_null() && (is_first || ordered(batch, value, kept) == Ok(wins)) {
                    kept.replace(batch, value);
                }
                kept.write(batch)
            }
            State::Count(count) => {
                *count += 1;
                Value::int(*count)
            }
            State::Mean(mean) => mean.take(value),
        }
    }
}

fn not_a_number(value: Value) -> Refusal {
    format!("{} is not a number", value.kind().name()).into()
}

/// How a value compares to the one that is kept; equal where none is.
fn ordered(batch: &Batch, value: Value, kept: &Kept) -> Result<Ordering, Refusal> {
    let Some(new) = Comparable::of(batch, value) else {
        return Err(format!("{} has no order", value.kind().name()).into());
    };
    let Some(old) = kept.comparable() else { return Ok(Ordering::Equal) };
    if old.class() != new.class() {
        let (old, new) = (Comparable::class_name(old.class()), Comparable::class_name(new.class()));
        return Err(format!("compares {old} with {old}, not with {new}").into());
    }
    Ok(new.compare(old))
}

/// What a number is more than the last one; null where there is none.
fn difference(value: Value, last: Value) -> Result<Value, Refusal> {
    if let (Some(value), Some(last)) = (value.as_int(), last.as_int()) {
        return value.checked_sub(last).map(Value::int).ok_or("integer overflow".into());
    }
    if value.is_null() {
        return Ok(Value::NULL);
    }
    let Some(number) = value.as_number() else { return Err(not_a_number(value)) };
    last.as_number().map_or(Ok(Value::NULL), |last| finite(number - last))
}

/// A sum with one more number: an integer of integers, else a float.
fn total(sum: Value, value: Value) -> Result<Value, Refusal> {
    if let (Some(sum), Some(value)) = (sum.as_int(), value.as_int()) {
        return sum.checked_add(value).map(Value::int).ok_or("integer overflow".into());
    }
    match value.as_number() {
        None => Err(not_a_number(value)),
        Some(number) => sum.as_number().map_or(Ok(value), |sum| finite(sum + number)),
    }
}

fn finite(number: f64) -> Result<Value, Refusal> {
    if number.is_finite() {
        Ok(Value::float(number))
    } else {
        Err("the result is not a finite number".into())
    }
}

/// The mean of the last numbers.
///
/// They are in two stacks, of which one holds sums (Tangwongsan, Hirzel, Schneider 2021 call it two-stacks): nothing is
/// ever subtracted from a sum, so that no error stays behind when a large number leaves.
#[derive(Clone, Debug, Default)]
pub struct Mean {
    /// Sums of the older numbers: the last is that of all of them, each one before lacks the oldest.
    sums: Vec<f64>,
    /// The younger numbers.
    younger: Vec<f64>,
    /// Their sum.
    sum: f64,
    most: usize,
}

impl Mean {
    /// Sums are kept as they are: made anew, they would round otherwise.
    fn put(&self, into: &mut Vec<u8>) {
        for numbers in [&self.sums, &self.younger] {
            put_number(into, numbers.len() as u64);
            numbers.iter().for_each(|number| into.extend_from_slice(&number.to_le_bytes()));
        }
        into.extend_from_slice(&self.sum.to_le_bytes());
    }

    fn load(mut self, reader: &mut Reader<'_>) -> Result<Mean, Malformed> {
        for numbers in [&mut self.sums, &mut self.younger] {
            for _ in 0..reader.count()? {
                numbers.push(take_finite(reader)?);
            }
        }
        self.sum = take_finite(reader)?;
        if self.len() > self.most { Err(Malformed("more numbers than are kept")) } else { Ok(self) }
    }

    /// Whether the sum of so many such numbers is finite.
    fn check(&self, value: Value) -> Result<(), Refusal> {
        match value.as_number() {
            None => Err(not_a_number(value)),
            Some(number) if number.abs() > f64::MAX / self.most as f64 => {
                Err("the number is too large".into())
            }
            Some(_) => Ok(()),
        }
    }

    fn take(&mut self, value: Value) -> Value {
        if let Some(number) = value.as_number() {
            if self.len() == self.most {
                self.forget_oldest();
            }
            self.younger.push(number);
            self.sum += number;
        }
        let sum = self.sums.last().map_or(self.sum, |older| older + self.sum);
        if self.len() == 0 { Value::NULL } else { Value::float(sum / self.len() as f64) }
    }

    fn len(&self) -> usize {
        self.sums.len() + self.younger.len()
    }

    fn forget_oldest(&mut self) {
        if self.sums.is_empty() {
            let mut sum = 0.0;
            while let Some(number) = self.younger.pop() {
                sum += number;
                self.sums.push(sum);
            }
            self.sum = 0.0;
        }
        self.sums.pop();
    }
}
