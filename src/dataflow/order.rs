//! `ordered: true`: events wait for the watermark and go on in order of event time.

use super::copy::Copier;
use super::operator::{MAIN, Operator, Output, Port, Signal};
use super::planning::NodePlanner;
use super::scope::{Point, Scope};
use super::step::{StartContext, StepPlan};
use super::{Copies, KeyField, Origin, RowForm, Saved, Saving, key_names};
use crate::config::Section;
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::{Batch, Row, Slot, encode_key, is_key, split_key};
use crate::time::{Env, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The port of events that came too late to be put in order.
const LATE: Port = Port(1);

/// More rows than ever arrive.
const MOST_ARRIVED: u64 = 1 << 62;

impl NodePlanner<'_> {
    /// Where a node that keeps something for each key stands: reads its `key` (absent: one key for all), lets rows move
    /// to the worker that owns theirs, and puts them in order where `ordered` says so, or is absent and `ordered` by
    /// default. `taken` are names of fields that the node puts out beside its key.
    pub fn keyed(
        &mut self,
        at: &Point,
        section: &Section<'_>,
        taken: &[&str],
        ordered: bool,
    ) -> Option<(Point, Vec<KeyField>)> {
        let mut at = at.clone();
        let mut key = match section.get("key") {
            Some(setting) => self.key_fields(&mut at, setting, taken)?,
            None => Vec::new(),
        };
        let at = self.gather(&at, &mut key, ordered);
        Some((at, key))
    }

    /// Lets rows move to the worker that owns their key, and puts them in order where `ordered` says so, or is absent and
    /// `ordered` by default. The key then stands in slots of the stage of the returned point.
    pub fn gather(&mut self, at: &Point, key: &mut [KeyField], ordered: bool) -> Point {
        let at = self.exchange(at, key);
        if self.ordered.unwrap_or(ordered) { self.order(&at, key, Lateness::Leaves) } else { at }
    }

    /// Puts rows in order of event time. The key then stands in slots of the stage of the returned point.
    pub fn order(&mut self, at: &Point, key: &mut [KeyField], lateness: Lateness) -> Point {
        let stage = self.draft.stage(Origin::Copied(vec![super::key_fields::with_key(at, key)]));
        self.is_ordered |= lateness == Lateness::Leaves;
        let read = lateness == Lateness::Leaves && self.is_listened("late");
        let late = read.then(|| self.draft.stage(Origin::Copied(vec![at.clone()])));
        let to = Point { stage, behind: None, scope: Scope::origin() };
        self.find_key(&to, key);
        let slots = key.iter().map(|field| field.slot).collect();
        let step = self.attach(at, Box::new(OrderPlan { names: key_names(key), key: slots, lateness }));
        self.draft.emit_to(step, MAIN, stage);
        if let Some(stage) = late {
            self.draft.emit_to(step, LATE, stage);
            self.late = Some(Point { stage, behind: None, scope: Scope::origin() });
        }
        to
    }
}

/// What becomes of an event that is behind the watermark already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lateness {
    /// It leaves by the node's `.late` port.
    Leaves,
    /// It goes on at once: what follows knows what to do with late events.
    GoesOn,
}

/// Holds rows until the watermark has reached their time.
#[derive(Debug)]
struct OrderPlan {
    names: String,
    /// Where the key stands in the stage that rows go to.
    key: Vec<Slot>,
    lateness: Lateness,
}

impl StepPlan for OrderPlan {
    fn describe(&self) -> String {
        "hold until the watermark, then go on in order of event time".to_owned()
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 rows in order {}", self.names))
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let copies = context.copies(MAIN, 0);
        let same = copies.cells.iter().map(|(_, slot)| (*slot, *slot)).collect();
        let whole = copies.whole.is_some();
        let late = context.is_connected(LATE).then(|| Copier::new(&context.copies(LATE, 0)));
        Box::new(Order {
            hold: Copier::new(&copies),
            release: Copier::new(&Copies { cells: same, ..Copies::default() }),
            whole,
            key: self.key.clone(),
            form: context.row_form(MAIN),
            durable: context.durable,
            saved: 0,
            gone: Vec::new(),
            lateness: self.lateness,
            late,
            waiting: BinaryHeap::new(),
            slots: context.slots(MAIN),
            segments: Vec::new(),
            free: Vec::new(),
            filling: None,
            arrivals: 0,
            reached: Timestamp::MIN,
            passed: Timestamp::MIN,
        })
    }
}

/// A row that waits. Order is that of fields: event time, then arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    time: Timestamp,
    arrival: u64,
    segment: u32,
    row: u32,
}

/// Rows that wait, in the layout of the stage that they go to, until none of them does any more.
struct Segment {
    batch: Batch,
    waiting: usize,
}

/// Every row waits until the watermark is at its time or beyond, so that nothing that is not late comes before it any
/// more. Rows leave with their own time as the watermark before them: it holds, and it depends neither on how far the
/// watermark jumped nor on how events were batched.
struct Order {
    hold: Copier,
    release: Copier,
    whole: bool,
    /// Where the key stands in rows that wait.
    key: Vec<Slot>,
    form: RowForm,
    durable: bool,
    /// Rows that wait and did not arrive behind this one are part of what was saved.
    saved: u64,
    /// Key and arrival of rows that were saved and are gone.
    gone: Vec<(Box<[u8]>, u64)>,
    lateness: Lateness,
    late: Option<Copier>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Columns of the stage that rows go to.
    slots: usize,
    segments: Vec<Segment>,
    /// Segments in which no row waits.
    free: Vec<u32>,
    /// The segment that takes rows.
    filling: Option<u32>,
    arrivals: u64,
    /// The watermark as far as it came in.
    reached: Timestamp,
    /// The watermark as far as it was handed on.
    passed: Timestamp,
}

impl Order {
    /// Lets go what waited for the watermark to come this far.
    fn advance(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        self.reached = self.reached.max(watermark);
        while let Some(Reverse(next)) = self.waiting.peek().copied()
            && next.time <= self.reached
        {
            self.waiting.pop();
            self.passed = self.passed.max(next.time);
            let segment = &mut self.segments[next.segment as usize];
            let into = out.emit(MAIN);
            let copy = self.release.copy(&segment.batch, Row(next.row), self.passed, into);
            if self.whole {
                let raw = segment.batch.raw[next.row as usize];
                into.raw[copy.index()] = into.store(&segment.batch.arena[raw.range()]);
            }
            if self.durable && next.arrival <= self.saved {
                self.gone.push((key_of(&segment.batch, Row(next.row), &self.key), next.arrival));
            }
            segment.waiting -= 1;
            if segment.waiting == 0 && self.filling != Some(next.segment) {
                segment.batch.clear();
                self.free.push(next.segment);
            }
        }
        self.passed = self.reached;
    }

    fn hold(&mut self, batch: &Batch, row: Row) {
        let number = self.room();
        let segment = &mut self.segments[number as usize];
        let copy = self.hold.copy(batch, row, Timestamp::MIN, &mut segment.batch);
        self.arrivals += 1;
        self.wait(number, copy, self.arrivals);
    }

    /// A row of a segment waits from now on.
    fn wait(&mut self, number: u32, row: Row, arrival: u64) {
        let segment = &mut self.segments[number as usize];
        segment.waiting += 1;
        let time = segment.batch.times[row.index()];
        self.waiting.push(Reverse(Waiting { time, arrival, segment: number, row: row.0 }));
    }

    /// A segment with room for a row.
    fn room(&mut self) -> u32 {
        let number = match self.filling {
            Some(number) if !self.segments[number as usize].batch.is_full() => number,
            _ => self.new_segment(),
        };
        let segment = &mut self.segments[number as usize];
        if segment.waiting == 0 {
            segment.batch.clear();
        }
        number
    }

    /// Begins another segment.
    fn new_segment(&mut self) -> u32 {
        if let Some(full) = self.filling.take()
            && self.segments[full as usize].waiting == 0
        {
            self.segments[full as usize].batch.clear();
            self.free.push(full);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.segments.push(Segment { batch: Batch::new(self.slots, b""), waiting: 0 });
            self.segments.len() as u32 - 1
        });
        self.filling = Some(number);
        number
    }

    fn too_late(&mut self, batch: &Batch, row: Row, out: &mut dyn Output) {
        if self.lateness == Lateness::GoesOn {
            self.hold.copy(batch, row, self.passed, out.emit(MAIN));
            return;
        }
        out.discard("late", 1);
        if let Some(copier) = &mut self.late {
            copier.copy(batch, row, self.reached, out.emit(LATE));
        }
    }
}

impl Operator for Order {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        for row in rows.drain(..) {
            self.advance(batch.watermarks[row.index()], out);
            if batch.times[row.index()] < self.reached {
                self.too_late(batch, row, out);
            } else {
                self.hold(batch, row);
            }
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.advance(watermark, out);
        }
        out.signal(MAIN, signal);
        if self.late.is_some() {
            out.signal(LATE, signal);
        }
    }

    /// Each row that waits is an entry of its own, so that only what came since is written; what came and went since
    /// costs nothing.
    fn save(&mut self, into: &mut Saving<'_>) {
        for (key, arrival) in self.gone.drain(..) {
            into.remove(&key, &part_of(arrival));
        }
        let waiting = self.waiting.iter().map(|Reverse(row)| *row);
        let mut fresh: Vec<Waiting> = waiting.filter(|row| row.arrival > self.saved).collect();
        fresh.sort_unstable_by_key(|row| row.arrival);
        if !fresh.is_empty() {
            self.form.save(into);
        }
        for row in fresh {
            let batch = &self.segments[row.segment as usize].batch;
            let key = key_of(batch, Row(row.row), &self.key);
            into.put(&key, &part_of(row.arrival), |bytes| self.form.put_row(batch, Row(row.row), bytes));
        }
        self.saved = self.arrivals;
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        if self.form.load(saved)? {
            return Ok(());
        }
        let Saved::Keyed { key, value } = saved else {
            return Err(Malformed("nothing that this node keeps"));
        };
        let split = split_key(key, self.key.len()).filter(|(key, _)| is_key(key, self.key.len()));
        let (_, part) = split.ok_or(Malformed("no key of this node"))?;
        let (mut part, mut reader) = (Reader::new(part), Reader::new(value));
        let arrival = part.number()?;
        part.finish()?;
        if arrival > MOST_ARRIVED {
            return Err(Malformed("no number of a row"));
        }
        let row = self.form.take(&mut reader)?;
        reader.finish()?;
        let number = self.room();
        let copy = self.form.write(&row, Timestamp::MIN, &mut self.segments[number as usize].batch);
        self.wait(number, copy, arrival);
        self.arrivals = self.arrivals.max(arrival);
        self.saved = self.arrivals;
        Ok(())
    }
}

/// What tells a row that waits from others of its key.
fn part_of(arrival: u64) -> Vec<u8> {
    let mut part = Vec::new();
    put_number(&mut part, arrival);
    part
}

/// The key of a row that waits.
fn key_of(batch: &Batch, row: Row, slots: &[Slot]) -> Box<[u8]> {
    let mut key = Vec::new();
    encode_key(batch, row, slots, &mut key);
    key.into()
}
