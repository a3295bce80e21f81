//! The interval join: two events of one key belong together if their times are close enough.
//!
//! A right event may be up to `before` earlier and `after` later than a left one (Flink's interval join). So a row waits
//! until the watermark is past its last possible partner: then all of them have come.

use super::Shape;
use super::late::Late;
use super::store::{Store, between};
use crate::dataflow::{
    Awaits, KeptRow, KeyId, MAIN, Operator, Output, Saved, Saving, Signal, StartContext, StepPlan,
};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Row};
use crate::time::{Env, Millis, Timestamp};
use std::collections::BTreeMap;

/// Joins rows of two sides by key and time.
#[derive(Clone, Debug)]
pub struct IntervalPlan {
    /// What it joins.
    pub shape: Shape,
    /// How much later a partner may be: that of a left row, and that of a right one.
    pub reach: [Millis; 2],
}

impl StepPlan for IntervalPlan {
    fn describe(&self) -> String {
        let [after, before] = self.reach;
        let apart = match (before, after) {
            (before, after) if before == after => format!("at most {after} apart"),
            (Millis::ZERO, after) => format!("the right one at most {after} later"),
            (before, Millis::ZERO) => format!("the right one at most {before} earlier"),
            (before, after) => format!("the right one at most {before} earlier or {after} later"),
        };
        format!("join {}, {apart}", self.shape.text)
    }

    fn details(&self) -> Vec<String> {
        let [after, before] = self.reach;
        let waits = "state: each event of the left side until the watermark is beyond it";
        let mut details = vec![format!("{waits} by {after}, of the right side by {before}")];
        let longest = (0..2).filter(|side| self.shape.kept[*side]).map(|side| self.reach[side]).max();
        details.extend(longest.map(|longest| {
            format!("holds the watermark back to the first event without a partner, {longest} at most")
        }));
        details
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 interval join {}", self.shape.state()))
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Interval {
            store: Store::new(&self.shape.key, context),
            late: Late::new(context, 2),
            shape: self.shape.clone(),
            reach: self.reach,
            alone: BTreeMap::new(),
            reached: Timestamp::MIN,
            passed: Timestamp::MIN,
        })
    }
}

/// Rows without partner leave with their own times, so nothing beyond the earliest of them that waits may be told to what
/// follows. A pair leaves when the second of it comes, which is not late, and so neither is the pair.
struct Interval {
    shape: Shape,
    reach: [Millis; 2],
    store: Store,
    late: Late,
    /// How many rows of each time wait that will leave by themselves if no partner comes.
    alone: BTreeMap<Timestamp, u32>,
    /// The watermark as far as it came in.
    reached: Timestamp,
    /// The same as far as it was handed on.
    passed: Timestamp,
}

impl Interval {
    /// Lets go of all rows to which no partner can come any more.
    fn advance(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        // At the watermark there may still be one.
        while let Some((due, key)) = self.store.keys.take_due(watermark - Millis(1)) {
            for side in 0..2 {
                self.expire(key, side, due, out);
            }
            self.settle(key);
        }
        self.reached = self.reached.max(watermark);
        self.pass(watermark);
    }

    /// Lets go of the rows of a side for which all partners have come by then.
    fn expire(&mut self, key: KeyId, side: usize, due: Timestamp, out: &mut dyn Output) {
        let reach = self.reach[side];
        while self.store.first(key, side).is_some_and(|first| first + reach <= due)
            && let Some(first) = self.store.take_first(key, side)
        {
            if self.shape.kept[side] && !first.matched {
                self.pass(first.row.time);
                self.store.keepers[side].write(&first.row, self.passed, out.emit(MAIN));
                self.is_not_alone(first.row.time);
            }
        }
    }

    /// Has a key looked at when its next row goes, or forgets it.
    fn settle(&mut self, key: KeyId) {
        match self.next_due(key) {
            Some(due) => self.store.keys.set_due(key, due),
            None => self.store.keys.forget(key),
        }
    }

    fn next_due(&self, key: KeyId) -> Option<Timestamp> {
        let due = |side: usize| Some(self.store.first(key, side)? + self.reach[side]);
        due(0).into_iter().chain(due(1)).min()
    }

    /// The watermark may be told as far as here, or as far as no row that waits is later than it.
    fn pass(&mut self, watermark: Timestamp) {
        let held = self.alone.first_key_value().map_or(watermark, |(first, _)| watermark.min(*first));
        self.passed = self.passed.max(held);
    }

    fn is_not_alone(&mut self, time: Timestamp) {
        if let Some(count) = self.alone.get_mut(&time) {
            *count -= 1;
            if *count == 0 {
                self.alone.remove(&time);
            }
        }
    }

    fn take(&mut self, batch: &Batch, row: Row, out: &mut dyn Output) {
        let (side, time) = (self.shape.side_of(batch, row), batch.times[row.index()]);
        if time < batch.watermarks[row.index()] {
            self.late.take(side, batch, row, batch.watermarks[row.index()], out);
            return;
        }
        let kept = self.store.keepers[side].keep(batch, row);
        if self.shape.has_null(batch, row) {
            // It waits for nobody.
            self.store.keepers[side].write(&kept, self.passed, out.emit(MAIN));
            return;
        }
        let key = self.store.key(batch, row);
        let matched = self.pair(key, side, &kept, out);
        if self.shape.kept[side] && !matched {
            *self.alone.entry(time).or_default() += 1;
        }
        self.store.insert(key, side, kept, matched);
        let due = time + self.reach[side];
        if self.store.keys.due(key).is_none_or(|first| due < first) {
            self.store.keys.set_due(key, due);
        }
    }

    /// Puts out all pairs with a row that has come. Tells whether there are any.
    fn pair(&mut self, key: KeyId, side: usize, row: &KeptRow, out: &mut dyn Output) -> bool {
        let other = 1 - side;
        let (from, to) = (row.time - self.reach[other], row.time + self.reach[side]);
        let partners = between(&self.store.keys.entry(key).item.rows[other], from, to);
        for position in partners.clone() {
            if self.shape.kept[other] && self.store.set_matched(key, other, position) {
                let time = self.store.keys.entry(key).item.rows[other][position].row.time;
                self.is_not_alone(time);
            }
            let partner = &self.store.keys.entry(key).item.rows[other][position].row;
            let into = out.emit(MAIN);
            let pair = into.push_row(row.time.max(partner.time), self.passed);
            self.store.keepers[side].fill(row, pair, into);
            self.store.keepers[other].fill(partner, pair, into);
        }
        !partners.is_empty()
    }
}

impl Operator for Interval {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.store.keys.read(batch, rows);
        for row in rows.drain(..) {
            self.advance(batch.watermarks[row.index()], out);
            self.take(batch, row, out);
            self.store.keys.advance();
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.advance(watermark, out);
        }
        self.late.signal(signal, self.passed, out);
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.store.save(into);
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        if let Some(row) = self.store.load(saved)? {
            self.settle(row.key);
            if self.shape.kept[row.side] && !row.matched {
                *self.alone.entry(row.time).or_default() += 1;
            }
        }
        Ok(())
    }

    fn awaits(&self) -> Option<Awaits> {
        let next = |key| Some((self.store.keys.due(key)? + Millis(1), None));
        Some(self.store.awaits(self.reached, next))
    }
}
