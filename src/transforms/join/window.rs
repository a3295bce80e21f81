//! The window join: two events of one key belong together in each window that holds both.
//!
//! A window gives its pairs when the watermark reaches its end. They have their own times, so nothing beyond the start of
//! the first window that is open may be told to what follows.

use super::Shape;
use super::late::Late;
use super::store::{Store, between};
use crate::dataflow::{Awaits, KeyId, MAIN, Operator, Output, Saved, Saving, Signal, StartContext, StepPlan};
use crate::event::bytes::{Malformed, Reader, put_time};
use crate::event::{Batch, Row};
use crate::time::{Cuts, Env, Interval, Millis, Timestamp};

/// The name under which a worker's watermark is saved.
const REACHED: &[u8] = b"reached";

/// Windows of one length that start every so often, without gaps between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// How long they are.
    pub size: Millis,
    /// From one start to the next; at most the size.
    pub every: Millis,
}

/// Joins rows of two sides by key and window.
#[derive(Clone, Debug)]
pub struct WindowJoinPlan {
    /// What it joins.
    pub shape: Shape,
    /// The windows.
    pub windows: Windows,
}

impl StepPlan for WindowJoinPlan {
    fn describe(&self) -> String {
        let Windows { size, every } = self.windows;
        let windows = match size == every {
            true => format!("tumbling windows of {size}"),
            false => format!("sliding windows of {size} every {every}"),
        };
        format!("join {} in {windows}", self.shape.text)
    }

    fn details(&self) -> Vec<String> {
        vec![
            "state: each event of both sides until its last window ends".to_owned(),
            "gives the pairs of a window when the watermark reaches its end".to_owned(),
            format!("holds the watermark back to the first open window, {} at most", self.windows.size),
        ]
    }

    fn state(&self) -> Option<String> {
        let Windows { size, every } = self.windows;
        Some(format!("1 window join {size} {every} {}", self.shape.state()))
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(WindowJoin {
            store: Store::new(&self.shape.key, context),
            late: Late::new(context, 2),
            shape: self.shape.clone(),
            size: self.windows.size,
            starts: Cuts::new(self.windows.every, Millis::ZERO, None),
            reached: Timestamp::MIN,
            done: Timestamp::MIN,
            saved: Timestamp::MIN,
            changed: false,
            passed: Timestamp::MIN,
        })
    }
}

struct WindowJoin {
    shape: Shape,
    size: Millis,
    starts: Cuts,
    store: Store,
    late: Late,
    /// The watermark as far as it came in: windows that end there have given their pairs.
    reached: Timestamp,
    /// The same, but at the end of input, where it is the end of the last window that gave its pairs.
    done: Timestamp,
    /// That as it was saved.
    saved: Timestamp,
    /// Whether rows came or windows ended since then.
    changed: bool,
    /// The watermark as far as it was handed on.
    passed: Timestamp,
}

impl WindowJoin {
    /// The end of the last window that holds a moment.
    fn last_end(&mut self, time: Timestamp) -> Timestamp {
        self.starts.around(time).start + self.size
    }

    /// Where the first window starts that ends behind a moment.
    fn first_open(&mut self, time: Timestamp) -> Timestamp {
        if time == Timestamp::MIN || time == Timestamp::MAX {
            return time;
        }
        // Behind the last start at which a window would have ended by then.
        self.starts.around(time - self.size).end
    }

    /// The end of the first window that holds a moment and ends behind another one, if there is one.
    fn next_end(&mut self, time: Timestamp, done: Timestamp) -> Option<Timestamp> {
        let past = done.max(time) - self.size;
        let end = self.starts.around(past).end + self.size;
        (end <= self.last_end(time)).then_some(end)
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        while let Some((end, key)) = self.store.keys.take_due(watermark) {
            self.passed = self.passed.max(self.first_open(end - Millis(1)));
            self.fire(key, end, out);
            self.expire(key, end);
            self.settle(key, end);
            self.done = self.done.max(end);
            self.changed = true;
        }
        if watermark < Timestamp::MAX {
            self.done = self.done.max(watermark);
        }
        self.reached = self.reached.max(watermark);
        self.passed = self.passed.max(self.first_open(self.reached));
    }

    /// Puts out the pairs of a key in the window that ends there.
    fn fire(&mut self, key: KeyId, end: Timestamp, out: &mut dyn Output) {
        let sides = &self.store.keys.entry(key).item.rows;
        let [lefts, rights] = [0, 1].map(|side| {
            let range = between(&sides[side], end - self.size, end - Millis(1));
            sides[side].range(range)
        });
        let keepers = &self.store.keepers;
        for (side, rows) in [lefts.clone(), rights.clone()].into_iter().enumerate() {
            let others = if side == 0 { rights.len() } else { lefts.len() };
            for row in rows.filter(|_| self.shape.kept[side] && others == 0) {
                keepers[side].write(&row.row, self.passed, out.emit(MAIN));
            }
        }
        for left in lefts {
            for right in rights.clone() {
                let into = out.emit(MAIN);
                let pair = into.push_row(left.row.time.max(right.row.time), self.passed);
                keepers[0].fill(&left.row, pair, into);
                keepers[1].fill(&right.row, pair, into);
            }
        }
    }

    /// Lets go of the rows of a key whose last window has ended.
    fn expire(&mut self, key: KeyId, end: Timestamp) {
        for side in 0..2 {
            while let Some(time) = self.store.first(key, side)
                && self.last_end(time) <= end
            {
                self.store.take_first(key, side);
            }
        }
    }

    /// Has a key looked at when its next window ends, or forgets it.
    fn settle(&mut self, key: KeyId, done: Timestamp) {
        let firsts = [0, 1].map(|side| self.store.first(key, side));
        let next = firsts.into_iter().flatten().filter_map(|first| self.next_end(first, done)).min();
        match next {
            Some(due) => self.store.keys.set_due(key, due),
            None => self.store.keys.forget(key),
        }
    }

    fn take(&mut self, batch: &Batch, row: Row, out: &mut dyn Output) {
        let (side, time) = (self.shape.side_of(batch, row), batch.times[row.index()]);
        if self.next_end(time, Timestamp::MIN) != self.next_end(time, self.reached) {
            // It misses a window at least.
            self.late.take(side, batch, row, self.reached, out);
        }
        let Some(mut end) = self.next_end(time, self.reached) else { return };
        let kept = self.store.keepers[side].keep(batch, row);
        if self.shape.has_null(batch, row) {
            // It waits for nobody, and is alone in each of its windows.
            let mut windows = Some(end);
            while let Some(window) = windows {
                self.store.keepers[side].write(&kept, self.passed, out.emit(MAIN));
                windows = self.next_end(time, window);
            }
            return;
        }
        let key = self.store.key(batch, row);
        self.store.insert(key, side, kept, false);
        self.changed = true;
        end = self.store.keys.due(key).map_or(end, |due| due.min(end));
        self.store.keys.set_due(key, end);
    }
}

impl Operator for WindowJoin {
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
        // Time that only goes on writes nothing.
        if std::mem::take(&mut self.changed) && self.done != self.saved {
            into.put_own(REACHED, |bytes| put_time(bytes, self.done));
            self.saved = self.done;
        }
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        if let Saved::Own { mine, moved, name: REACHED, value } = saved {
            let mut reader = Reader::new(value);
            let reached = reader.time()?;
            reader.finish()?;
            if mine || moved {
                let known = self.done;
                self.done = if known == Timestamp::MIN { reached } else { known.min(reached) };
                self.reached = self.done;
                self.saved = if moved { Timestamp::MIN } else { reached };
            }
            return Ok(());
        }
        if let Some(row) = self.store.load(saved)? {
            self.settle(row.key, self.reached);
        }
        Ok(())
    }

    fn awaits(&self) -> Option<Awaits> {
        let window = |end| Interval { start: end - self.size, end };
        let next = |key| self.store.keys.due(key).map(|end| (end, Some(window(end))));
        Some(self.store.awaits(self.done, next))
    }
}
