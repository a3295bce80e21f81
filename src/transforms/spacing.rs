//! Events of a key no closer to each other than a span of event time: what `dedupe` and `throttle` let pass.

use super::retain::retain;
use super::spans::{Span, Spans};
use crate::dataflow::{
    Codec, ColdKeys, KeyedState, Operator, Output, Saved, Saving, Signal, StartContext, StepPlan,
};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Row, Slot};
use crate::time::{Env, Millis, Timestamp};

/// Lets an event pass unless one of its key passed less than `length` before or after it in event time.
#[derive(Clone, Debug)]
pub struct SpacingPlan {
    /// What it does, in words.
    pub text: String,
    /// The names of the key, as in [`StepPlan::state`].
    pub names: String,
    /// Where the key stands.
    pub key: Vec<Slot>,
    /// How far apart events are that pass.
    pub length: Millis,
    /// Why the others do not, as it is counted.
    pub reason: &'static str,
}

impl StepPlan for SpacingPlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn details(&self) -> Vec<String> {
        vec![format!(
            "state: a time for each event that passed, until the watermark is {} past it",
            self.length
        )]
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 {} {}", self.reason, self.names))
    }

    fn drops_repeats(&self) -> Option<Millis> {
        (self.reason == "duplicate").then_some(self.length)
    }

    fn spills(&self) -> bool {
        true
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let passed = KeyedState::durable(self.key.clone(), context.hash_seed, context.durable);
        Box::new(Spacing { passed, length: self.length, reason: self.reason })
    }
}

struct Spacing {
    passed: KeyedState<Spans<()>>,
    length: Millis,
    reason: &'static str,
}

impl Spacing {
    /// Forgets what no event can be too close to any more but late ones.
    fn reach(&mut self, watermark: Timestamp) {
        while let Some((due, key)) = self.passed.take_due(watermark) {
            let spans = self.passed.item(key);
            spans.take_due(due, |()| ());
            match spans.next_due() {
                Some(next) => self.passed.set_due(key, next),
                None => self.passed.forget(key),
            }
        }
    }

    /// Whether the event passes. What is late is remembered as long as what is not.
    fn passes(&mut self, batch: &Batch, row: Row) -> bool {
        let (time, watermark) = (batch.times[row.index()], batch.watermarks[row.index()]);
        let found = self.passed.find();
        if found.is_some_and(|key| self.passed.entry(key).item.find(time, self.length).is_some()) {
            return false;
        }
        let key = found.unwrap_or_else(|| self.passed.insert(batch, row));
        let due = time.max(watermark) + self.length;
        self.passed.item(key).open(Span { start: time, due, kept: () });
        if self.passed.due(key).is_none_or(|next| due < next) {
            self.passed.set_due(key, due);
        }
        true
    }
}

fn put(spans: &Spans<()>, into: &mut Vec<u8>) {
    spans.put(into, |(), _| ());
}

fn take(reader: &mut Reader<'_>) -> Result<Spans<()>, Malformed> {
    Spans::take(reader, |_| Ok(()))
}

impl Operator for Spacing {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.passed.read(batch, rows);
        let reason = self.reason;
        retain(batch, rows, out, reason, |batch, row| {
            self.reach(batch.watermarks[row.index()]);
            let passes = self.passes(batch, row);
            self.passed.advance();
            Ok(passes)
        });
    }

    fn signal(&mut self, signal: Signal, _out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.reach(watermark);
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.passed.save(into, put);
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        self.passed.load(saved, take).map(drop)
    }

    fn unsaved(&mut self) -> usize {
        self.passed.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        self.passed.spill(cold, Codec::new(put, take));
    }
}
