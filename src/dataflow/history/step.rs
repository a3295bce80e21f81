//! The step that computes keyed history.

use super::state::State;
use crate::config::StateTtl;
use crate::dataflow::{
    Codec, ColdKeys, KeyedState, Operator, Output, Saved, Saving, Signal, StartContext, StepPlan,
};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Reason, Row, Slot, Value};
use crate::expr::Type;
use crate::expr::functions::History;
use crate::time::Env;

/// A call, resolved.
#[derive(Clone, Debug)]
pub struct HistoryCall {
    /// What is kept for each key.
    pub history: History,
    /// The call as written, without OVER.
    pub written: String,
    /// Where the argument stands, if there is one.
    pub from: Option<Slot>,
    /// How many events it looks back.
    pub back: usize,
    /// Where the result goes.
    pub into: Slot,
    /// The type of the result.
    pub ty: Type,
}

impl HistoryCall {
    /// What is kept, for people.
    fn kept(&self) -> String {
        let what = match self.history {
            History::Previous | History::RunningAvg if self.back > 1 => {
                return format!("{}: the last {} values", self.written, self.back);
            }
            History::Previous | History::RunningAvg | History::HadChanged | History::Delta => {
                "the last value"
            }
            History::RunningSum => "the sum",
            History::RunningCount => "the count",
            History::RunningMin => "the least value",
            History::RunningMax => "the greatest value",
        };
        format!("{}: {what}", self.written)
    }
}

/// Computes calls that share a key into slots of the batch at hand. Rows come by key and in their order.
#[derive(Clone, Debug)]
pub struct HistoryPlan {
    /// Where the key stands.
    pub key: Vec<Slot>,
    /// The names of the key's fields.
    pub names: Vec<String>,
    /// The calls.
    pub calls: Vec<HistoryCall>,
    /// How long a key without events is remembered.
    pub ttl: StateTtl,
}

impl StepPlan for HistoryPlan {
    fn describe(&self) -> String {
        let calls: Vec<&str> = self.calls.iter().map(|call| call.written.as_str()).collect();
        match self.names.is_empty() {
            true => format!("keep {}, one key for all", calls.join(", ")),
            false => format!("keep {} for each {}", calls.join(", "), self.names.join(", ")),
        }
    }

    fn details(&self) -> Vec<String> {
        let kept: Vec<String> = self.calls.iter().map(HistoryCall::kept).collect();
        vec![format!("state for each key, {}: {}", self.ttl.words(), kept.join("; "))]
    }

    fn state(&self) -> Option<String> {
        let calls: Vec<String> =
            self.calls.iter().map(|call| format!("{} {}", call.written, call.back)).collect();
        Some(format!("1 history {calls:?} by {:?}", self.names))
    }

    fn spills(&self) -> bool {
        self.ttl.0.is_none()
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let keys = KeyedState::durable(self.key.clone(), context.hash_seed, context.durable);
        Box::new(KeyedHistory { calls: self.calls.clone(), keys: keys.forgetting(self.ttl) })
    }
}

struct KeyedHistory {
    calls: Vec<HistoryCall>,
    /// A state for each call.
    keys: KeyedState<Box<[State]>>,
}

impl KeyedHistory {
    /// Takes a row whole or not at all.
    fn take(&mut self, batch: &mut Batch, row: Row) -> Result<(), Reason> {
        let key = match self.keys.meet(batch, row) {
            Some(key) => key,
            None => {
                let key = self.keys.insert(batch, row);
                *self.keys.item(key) = self.calls.iter().map(|c| State::new(c.history, c.back)).collect();
                key
            }
        };
        let value =
            |batch: &Batch, call: &HistoryCall| call.from.map_or(Value::NULL, |slot| batch.get(row, slot));
        for (call, state) in self.calls.iter().zip(&self.keys.entry(key).item) {
            state
                .check(call.history, batch, value(batch, call))
                .map_err(|why| Reason::expression(format!("`{}`: {why}", call.written)))?;
        }
        for (call, state) in self.calls.iter().zip(self.keys.item(key)) {
            let result = state.take(call.history, batch, value(batch, call));
            batch.set(row, call.into, result);
        }
        Ok(())
    }
}

fn put(states: &[State], into: &mut Vec<u8>) {
    states.iter().for_each(|state| state.put(into));
}

fn take(calls: &[HistoryCall], reader: &mut Reader<'_>) -> Result<Box<[State]>, Malformed> {
    calls.iter().map(|call| State::load(call.history, call.back, reader)).collect()
}

impl Operator for KeyedHistory {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.keys.read(batch, rows);
        rows.retain(|&row| {
            let taken = self.take(batch, row);
            self.keys.advance();
            match taken {
                Ok(()) => true,
                Err(reason) => {
                    out.reject(batch, row, reason);
                    false
                }
            }
        });
    }

    fn signal(&mut self, signal: Signal, _out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.keys.reach(watermark);
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.keys.save(into, |states, into| put(states, into));
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        self.keys.load(saved, |reader| take(&self.calls, reader)).map(drop)
    }

    fn unsaved(&mut self) -> usize {
        self.keys.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        let calls = self.calls.clone();
        let codec =
            Codec::<Box<[State]>>::new(|states, into| put(states, into), move |reader| take(&calls, reader));
        self.keys.spill(cold, codec);
    }
}
