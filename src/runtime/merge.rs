//! Several ordered inputs into one: the partitions of a source, the upstream stages of a union, the workers of
//! an exchange.
//!
//! Where all inputs are bounded, rows leave in *canonical order*: next is always the row of the input with
//! the lowest watermark, and of equals that of the input with the lowest number. If that input has nothing at hand,
//! the merge waits. What leaves depends on the rows and their watermarks alone, never on how they were cut into
//! batches or which input was faster. Where an input is live, rows leave as they come.
//!
//! The merged watermark is the minimum over the inputs that are neither at their end nor idle; it never goes back.

mod lasting;

pub use lasting::MergeKeeper;

use crate::event::{Batch, Row, Slot, Span, Value};
use crate::time::Timestamp;
use crate::watermark::Tournament;
use std::collections::VecDeque;

/// The order in which rows leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeOrder {
    /// By watermark and number of the input: all inputs are bounded.
    Canonical,
    /// As they come: at least one input is live.
    Arrival,
}

/// What came of a [`Merge::drain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The batch is full and there may be more.
    Full,
    /// Nothing more can leave before an input delivers.
    Waiting,
    /// All inputs are at their end and everything has left.
    Ended,
}

/// Merges batches of several inputs, each with its own layout, into batches of one layout.
pub struct Merge {
    order: MergeOrder,
    keep_raw: bool,
    inputs: Vec<Input>,
    /// The watermark before the next row of each input, and whether the input takes no part now.
    heads: Tournament<(Timestamp, bool)>,
    /// The input of each pending batch, in order of arrival; empty in canonical order.
    arrivals: VecDeque<usize>,
    watermark: Timestamp,
    was_idle: bool,
}

/// An input and what it has delivered.
struct Input {
    /// Slots of the input and the slots of the merged layout that they go to.
    slots: Vec<(Slot, Slot)>,
    pending: VecDeque<Pending>,
    pending_rows: usize,
    /// Batches that were used up, for the input to fill again.
    spent: Vec<Batch>,
    /// The number of the first pending row among all that came.
    left: u64,
    /// The watermark behind everything that is pending.
    watermark: Timestamp,
    /// The watermark before the end of time, once that has come.
    before_end: Option<Timestamp>,
    idle: bool,
    closed: bool,
}

/// A batch and how far it was used up.
struct Pending {
    batch: Batch,
    rows: Vec<Row>,
    next: usize,
}

impl Pending {
    fn row(&self) -> Row {
        self.rows[self.next]
    }
}

impl Input {
    fn new(slots: Vec<(Slot, Slot)>) -> Input {
        Input {
            slots,
            pending: VecDeque::new(),
            pending_rows: 0,
            spent: Vec::new(),
            left: 0,
            watermark: Timestamp::MIN,
            before_end: None,
            idle: false,
            closed: false,
        }
    }

    /// Takes a watermark; it never goes back.
    fn reach(&mut self, watermark: Timestamp) {
        if watermark == Timestamp::MAX && self.before_end.is_none() {
            self.before_end = Some(self.watermark);
        }
        self.watermark = self.watermark.max(watermark);
    }

    /// What the watermark of this input is before its next row, and whether it takes no part in the merge.
    fn head(&self) -> (Timestamp, bool) {
        match self.pending.front() {
            Some(front) => (front.batch.watermarks[front.row().index()], false),
            None if self.closed || self.idle => (Timestamp::MAX, true),
            None => (self.watermark, false),
        }
    }
}

impl Merge {
    /// A merge of one input for each of `slots`, which maps slots of the input to slots of the merged layout;
    /// slots that nothing goes to are null. `keep_raw` also copies [`Batch::raw`].
    pub fn new(order: MergeOrder, slots: Vec<Vec<(Slot, Slot)>>, keep_raw: bool) -> Merge {
        let mut heads = Tournament::new((Timestamp::MAX, true));
        let inputs: Vec<Input> = slots.into_iter().map(Input::new).collect();
        inputs.iter().for_each(|input| heads.push(input.head()));
        Merge {
            order,
            keep_raw,
            inputs,
            heads,
            arrivals: VecDeque::new(),
            watermark: Timestamp::MIN,
            was_idle: false,
        }
    }

    /// Takes rows of an input, and the watermark behind them. The batch comes back by [`Merge::reclaim`].
    pub fn push(&mut self, input: usize, batch: Batch, rows: Vec<Row>) {
        let to = &mut self.inputs[input];
        to.reach(batch.watermark);
        to.idle = false;
        if rows.is_empty() {
            to.spent.push(batch);
        } else {
            to.pending_rows += rows.len();
            to.pending.push_back(Pending { batch, rows, next: 0 });
            if self.order == MergeOrder::Arrival {
                self.arrivals.push_back(input);
            }
        }
        self.heads.set(input, self.inputs[input].head());
    }

    /// Takes the watermark that holds behind everything an input has delivered.
    pub fn advance(&mut self, input: usize, watermark: Timestamp) {
        let to = &mut self.inputs[input];
        to.reach(watermark);
        self.heads.set(input, to.head());
    }

    /// Says whether an input is idle, so that it does not hold the watermark; its next rows end that. Has no
    /// effect in canonical order, where results depend on events alone.
    pub fn set_idle(&mut self, input: usize, idle: bool) {
        if self.order == MergeOrder::Arrival {
            self.inputs[input].idle = idle;
            self.heads.set(input, self.inputs[input].head());
        }
    }

    /// Whether every input that has not ended is idle, and nothing is pending.
    fn is_idle(&self) -> bool {
        self.inputs.iter().all(|input| (input.idle || input.closed) && input.pending.is_empty())
    }

    /// Says that an input has delivered everything.
    pub fn close(&mut self, input: usize) {
        self.inputs[input].closed = true;
        self.heads.set(input, self.inputs[input].head());
    }

    /// A batch that was used up, to be filled again; it is empty.
    pub fn reclaim(&mut self) -> Option<Batch> {
        let mut batch = self.inputs.iter_mut().find_map(|input| input.spent.pop())?;
        batch.clear();
        Some(batch)
    }

    /// Rows of all inputs that have not left.
    pub fn pending_rows(&self) -> usize {
        self.inputs.iter().map(|input| input.pending_rows).sum()
    }

    /// Whether the merge has become idle, or is no longer, since this was asked last.
    pub fn idleness_changed(&mut self) -> Option<bool> {
        let open = self.inputs.iter().any(|input| !input.closed);
        let idle = open && self.is_idle();
        (std::mem::replace(&mut self.was_idle, idle) != idle).then_some(idle)
    }

    /// The merged watermark behind everything that has left.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Moves rows that can leave into `out`, until it is full, and sets its watermark.
    pub fn drain(&mut self, out: &mut Batch) -> Drained {
        let drained = loop {
            self.settle();
            let Some(input) = self.next_input() else {
                let ended = self.inputs.iter().all(|input| input.closed && input.pending.is_empty());
                break if ended { Drained::Ended } else { Drained::Waiting };
            };
            if out.is_full() {
                break Drained::Full;
            }
            self.move_row(input, out);
        };
        out.watermark = self.watermark;
        drained
    }

    /// The input whose row leaves next, if there is one.
    fn next_input(&self) -> Option<usize> {
        match self.order {
            MergeOrder::Arrival => self.arrivals.front().copied(),
            MergeOrder::Canonical => {
                let winner = self.heads.winner();
                let has_rows = self.inputs.get(winner).is_some_and(|input| !input.pending.is_empty());
                has_rows.then_some(winner)
            }
        }
    }

    /// Moves the merged watermark to the minimum over the inputs that take part.
    #[inline]
    fn settle(&mut self) {
        let (mut least, nobody) = self.heads.least();
        if nobody {
            // At the end, or when all are idle: then each one's own watermark goes on with the clock (or not), and
            // the one that is farthest speaks for all.
            let open = self.inputs.iter().filter(|input| !input.closed);
            least = open.map(|input| input.watermark).max().unwrap_or(Timestamp::MAX);
        }
        self.watermark = self.watermark.max(least);
    }

    fn move_row(&mut self, number: usize, out: &mut Batch) {
        let input = &mut self.inputs[number];
        let Some(front) = input.pending.front_mut() else { return };
        let row = front.row();
        copy_row(&front.batch, row, &input.slots, self.keep_raw, self.watermark, out);
        let before = front.batch.watermarks[row.index()];
        front.next += 1;
        input.left += 1;
        input.pending_rows -= 1;
        let used_up = front.next == front.rows.len();
        if used_up {
            self.retire(number);
        }
        let head = self.inputs[number].head();
        if used_up || head.0 != before {
            self.heads.set(number, head);
        }
    }

    /// Puts the first pending batch of an input aside.
    fn retire(&mut self, number: usize) {
        let input = &mut self.inputs[number];
        if let Some(Pending { batch, .. }) = input.pending.pop_front() {
            input.spent.push(batch);
        }
        self.arrivals.pop_front();
    }
}

/// Copies one row, with what its cells point to.
fn copy_row(
    from: &Batch,
    row: Row,
    slots: &[(Slot, Slot)],
    keep_raw: bool,
    watermark: Timestamp,
    out: &mut Batch,
) {
    out.ingested = if out.is_empty() { from.ingested } else { out.ingested.max(from.ingested) };
    let to = out.push_row(from.times[row.index()], watermark);
    let raw = if keep_raw { from.raw[row.index()] } else { Span::default() };
    let kept = out.store(&from.arena[raw.range()]);
    out.raw[to.index()] = kept;
    for &(source, target) in slots {
        let value = from.get(row, source);
        let value = inside(value, raw, kept).unwrap_or_else(|| out.adopt(from, value));
        out.set(to, target, value);
    }
}

/// A value that points into the raw event, moved to the copy of that: it need not be copied twice.
#[inline]
fn inside(value: Value, raw: Span, kept: Span) -> Option<Value> {
    let span = value.span();
    let offset = span.start.checked_sub(raw.start)?;
    let fits = span.len > 0 && offset + span.len <= raw.len;
    fits.then(|| value.moved_to((kept.start + offset) as usize))
}

#[cfg(test)]
mod tests;
