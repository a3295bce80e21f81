//! A source at work on one worker: reads its partitions, gives rows their times and watermarks.

mod canonical;
mod lasting;

use lasting::Lasting;

use super::alignment::Alignment;
use super::checkpoint::Reached;
use super::driver::Driver;
use super::refusals::{Refusal, Refusals};
use super::rejected::RejectPort;
use super::stats::Counters;
use crate::dataflow::{
    Copier, MAIN, NodeId, Polled, Position, Refused, RowSource, Signal, SourceError, StageId,
};
use crate::event::{Batch, Rejects, Row, Slot};
use crate::expr::Program;
use crate::time::{Clock, Timestamp};
use crate::watermark::{Partition, TimeAssigner, Tournament, TrackerView, WatermarkTracker};

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Events were handled.
    Worked,
    /// Nothing was at hand.
    Idle,
    /// The source has ended.
    Ended,
}

/// How far a source has come on one worker.
#[derive(Clone, Debug)]
pub struct IntakeView {
    /// Its watermarks.
    pub times: TrackerView,
    /// What the partitions are called that are told of there, where they have names.
    pub names: Vec<Option<String>>,
    /// Whether it never ends by itself.
    pub is_live: bool,
    /// Whether it has ended.
    pub has_ended: bool,
    /// The source that it waits for where it runs ahead of its group, as a position among those of the plan.
    pub waits_for: Option<usize>,
}

/// One source on one worker.
pub struct Intake {
    node: NodeId,
    stage: StageId,
    partitions: Vec<PartitionIntake>,
    times: TimeAssigner,
    tracker: WatermarkTracker,
    prepare: Vec<(Slot, Program)>,
    rejected: Option<RejectPort>,
    /// Set where several bounded partitions are read in canonical order.
    canonical: Option<Canonical>,
    live: bool,
    has_steps: bool,
    ended: bool,
    /// Nanoseconds spent in its steps.
    busy: u64,
    /// Whether it was told that the source is idle.
    idle: bool,
    refused: Refused,
    rejects: Rejects,
    /// Whom it waits for.
    alignment: Option<Alignment>,
    /// Whether some of it was not read as it is ahead of its group.
    is_held: bool,
    /// Whether its partitions are read in canonical order, so that batches are left in the middle.
    is_canonical: bool,
    /// What its checkpoints need, where state is kept.
    lasting: Lasting,
    /// Whether anything was read since the last checkpoint.
    was_fed: bool,
}

/// What reading in canonical order takes.
struct Canonical {
    copier: Copier,
    /// Whose turn it is: of the partitions that have not ended, the one with the lowest time.
    turns: Tournament<Turn>,
}

/// Whether a partition has ended, and its highest event time, where that moves the watermark.
type Turn = (bool, Timestamp);

/// The turn of a partition that has ended.
const ENDED: Turn = (true, Timestamp::MAX);

/// One partition: where its rows come from and what was read but not handed on.
struct PartitionIntake {
    rows: Box<dyn RowSource>,
    number: Partition,
    pending: Option<Box<Pending>>,
    ended: bool,
    /// How many of the events to come went through in an earlier run.
    skip: u64,
    /// Where what is pending began, and how many events went through since; kept where the partition may be left in the
    /// middle of a batch.
    begun: Option<(Position, u64)>,
}

impl PartitionIntake {
    fn new(rows: Box<dyn RowSource>, number: Partition) -> PartitionIntake {
        PartitionIntake { rows, number, pending: None, ended: false, skip: 0, begun: None }
    }
}

/// What was read of a partition, and how far it was handed on.
struct Pending {
    batch: Batch,
    rows: Vec<Row>,
    /// The position in `rows` of the next.
    next: usize,
    refusals: Refusals,
}

/// What an intake is made of.
pub struct IntakeParts {
    /// The source's node.
    pub node: NodeId,
    /// The stage its rows go to.
    pub stage: StageId,
    /// Its partitions on this worker.
    pub partitions: Vec<Box<dyn RowSource>>,
    /// Where event times come from.
    pub times: TimeAssigner,
    /// The watermarks.
    pub tracker: WatermarkTracker,
    /// What is computed before events get their times.
    pub prepare: Vec<(Slot, Program)>,
    /// The `.rejected` port, if it is read.
    pub rejected: Option<RejectPort>,
    /// Copies whole rows of the stage, for partitions that are read in canonical order.
    pub copier: Copier,
    /// Whether the source never ends by itself.
    pub live: bool,
    /// Whether the source has steps of its own behind it, which count what leaves it.
    pub has_steps: bool,
}

impl Intake {
    /// An intake over opened partitions.
    pub fn new(parts: IntakeParts) -> Intake {
        let (several, mut tracker) = (parts.partitions.len() > 1, parts.tracker);
        for (number, rows) in (0..).map(Partition).zip(&parts.partitions) {
            if !rows.gives_rows() {
                tracker.stand_aside(number);
            }
        }
        let mut turns = Tournament::new(ENDED);
        parts.partitions.iter().for_each(|_| turns.push((false, Timestamp::MIN)));
        let numbered = (0..).map(Partition).zip(parts.partitions);
        let partitions = numbered.map(|(number, rows)| PartitionIntake::new(rows, number));
        Intake {
            node: parts.node,
            stage: parts.stage,
            partitions: partitions.collect(),
            times: parts.times,
            tracker,
            prepare: parts.prepare,
            rejected: parts.rejected,
            canonical: (several && !parts.live).then_some(Canonical { copier: parts.copier, turns }),
            live: parts.live,
            has_steps: parts.has_steps,
            ended: false,
            busy: 0,
            idle: false,
            refused: Refused::default(),
            rejects: Rejects::new(),
            alignment: None,
            is_held: false,
            is_canonical: several && !parts.live,
            lasting: Lasting::default(),
            was_fed: false,
        }
    }

    /// The same, waiting for others.
    pub fn aligned(self, alignment: Option<Alignment>) -> Intake {
        Intake { alignment, ..self }
    }

    /// The watermark of the source on this worker.
    pub fn watermark(&self) -> Timestamp {
        self.tracker.watermark()
    }

    /// Whether the source never ends by itself.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether the source has ended.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Tells what is known of it; `blocked` is how many nanoseconds it was not read as those behind it took nothing.
    pub fn report(&self, counters: &mut Counters, blocked: u64) {
        if let Some(lag) = self.lag() {
            counters.lag(self.node, lag);
        }
        counters.reached(self.node, self.tracker.watermark());
        counters.seen(self.node, self.tracker.highest());
        counters.spent(self.node, self.busy, blocked);
    }

    /// Reads about a batch from each partition, or one batch across them in canonical order, and drives it.
    pub fn step(&mut self, driver: &mut Driver, clock: &dyn Clock) -> Result<Step, SourceError> {
        let began = clock.nanos();
        let stepped = self.step_on(driver, clock);
        // An idle poll is no work.
        if !matches!(stepped, Ok(Step::Idle)) {
            self.busy += clock.nanos().saturating_sub(began);
        }
        stepped
    }

    fn step_on(&mut self, driver: &mut Driver, clock: &dyn Clock) -> Result<Step, SourceError> {
        self.tracker.tick(clock.read());
        let limit = self.alignment.as_ref().map_or(Timestamp::MAX, Alignment::limit);
        self.is_held = false;
        let worked = match self.canonical.is_some() {
            true => self.step_canonical(driver, limit)?,
            false => self.step_each(driver, clock, limit)?,
        };
        let ended = self.step_end(driver);
        self.tell_reached();
        if ended {
            return Ok(Step::Ended);
        }
        Ok(if worked { Step::Worked } else { Step::Idle })
    }

    /// Tells those behind it whether it has ended, or whether it is idle.
    fn step_end(&mut self, driver: &mut Driver) -> bool {
        if self.partitions.iter().all(|p| p.ended && p.pending.is_none()) {
            self.end(driver);
        } else {
            self.tell_idleness(driver);
        }
        self.ended
    }

    /// Tells the others of its group how far it has come.
    fn tell_reached(&self) {
        if let Some(alignment) = &self.alignment {
            let is_out = self.ended || self.tracker.is_idle();
            alignment.reach(if is_out { Timestamp::MAX } else { self.tracker.watermark() });
        }
    }

    /// Whether a partition is not to be read, as it has come further than that.
    fn is_ahead(&mut self, i: usize, limit: Timestamp) -> bool {
        let PartitionIntake { rows, number, .. } = &self.partitions[i];
        let is_ahead =
            self.tracker.reached(*number).is_some_and(|reached| reached > limit) && rows.gives_rows();
        self.is_held |= is_ahead;
        is_ahead
    }

    /// Ends it, whatever is still to be read of its partitions: a later run goes on there.
    pub fn end(&mut self, driver: &mut Driver) {
        if !std::mem::replace(&mut self.ended, true) {
            self.signal(driver, Signal::Watermark(Timestamp::MAX));
            self.signal(driver, Signal::End);
        }
    }

    /// Tells what is joined with this source when it stops holding the watermark, and when it holds it again.
    fn tell_idleness(&mut self, driver: &mut Driver) {
        let idle = self.tracker.is_idle();
        if idle != self.idle {
            self.idle = idle;
            self.signal(driver, Signal::Idle(idle));
        }
    }

    /// Whether what it reads is acknowledged to a server by and by.
    pub fn acknowledges(&self) -> bool {
        self.partitions.iter().any(|partition| partition.rows.acknowledges())
    }

    /// How many events the source's servers have that were not read, as far as is known.
    fn lag(&self) -> Option<u64> {
        let known = self.partitions.iter().filter_map(|partition| partition.rows.lag());
        known.reduce(|one, other| one + other)
    }

    /// Whether it is held back, as it runs ahead of its group; None where it has none.
    pub fn held(&self) -> Option<(NodeId, bool)> {
        self.alignment.as_ref().map(|_| (self.node, self.is_held))
    }

    /// How far it has come, and what its partitions are called that are furthest behind.
    pub fn view(&self) -> IntakeView {
        let times = self.tracker.view();
        let name = |number: Partition| self.partitions.get(number.0 as usize)?.rows.name();
        let names = times.slowest.iter().map(|holder| name(holder.partition)).collect();
        let waits_for = self.alignment.as_ref().filter(|_| self.is_held).map(Alignment::last);
        IntakeView { times, names, is_live: self.live, has_ended: self.ended, waits_for }
    }

    /// The pipeline ends well, and all that was read has gone through and arrived.
    pub fn close(&mut self) {
        self.partitions.iter_mut().for_each(|partition| partition.rows.close());
    }

    /// Moves the source's watermark forward by hand; it never goes back.
    pub fn advance_to(&mut self, driver: &mut Driver, watermark: Timestamp) {
        self.tracker.advance_to(watermark);
        self.signal(driver, Signal::Watermark(self.tracker.watermark()));
    }

    /// Sends a signal through the source's stage and its `.rejected` port.
    pub fn signal(&mut self, driver: &mut Driver, signal: Signal) {
        if let Some(port) = &self.rejected {
            driver.signal_rejected(port, signal);
        }
        driver.signal(self.stage, signal);
    }

    fn step_each(
        &mut self,
        driver: &mut Driver,
        clock: &dyn Clock,
        limit: Timestamp,
    ) -> Result<bool, SourceError> {
        let mut worked = false;
        for i in 0..self.partitions.len() {
            if self.partitions[i].ended {
                continue;
            }
            if self.is_ahead(i, limit) {
                // Nobody looks whether it is empty.
                self.tracker.behind(self.partitions[i].number);
                continue;
            }
            let (polled, mut read) = self.read(i, driver)?;
            let number = self.partitions[i].number;
            if polled != Polled::Empty {
                self.tracker.behind(number);
            }
            worked |= !matches!(polled, Polled::Empty | Polled::Waiting);
            let rows = self.place(driver, number, &mut read);
            let mut batch = read.batch;
            if polled == Polled::Empty {
                self.tracker.caught_up(number, clock.read());
            }
            if self.partitions[i].ended {
                self.tracker.close(number);
                self.forget_keys(i);
            }
            batch.watermark = self.tracker.watermark();
            self.drive(driver, &mut batch, &rows);
            driver.return_batch(self.stage, batch);
        }
        for i in 0..self.partitions.len() {
            let turned_up = self.partitions[i].rows.turned_up();
            turned_up.into_iter().try_for_each(|rows| self.add(rows))?;
            if !self.partitions[i].rows.gives_rows() {
                self.tracker.stand_aside(self.partitions[i].number);
            }
        }
        Ok(worked)
    }

    /// Adds a partition that has turned up, in the place of one that has ended if there is one.
    fn add(&mut self, rows: Box<dyn RowSource>) -> Result<(), SourceError> {
        let ended = self.partitions.iter().position(|partition| partition.ended);
        let number = Partition(ended.unwrap_or(self.partitions.len()) as u32);
        ended.into_iter().for_each(|place| self.leave(place));
        self.tracker.add(number);
        let added = PartitionIntake::new(rows, number);
        match ended {
            Some(place) => self.partitions[place] = added,
            None => self.partitions.push(added),
        }
        self.turned_up(number)
    }

    /// Reads rows of a partition, and tells what of it is to be rejected.
    fn read(&mut self, i: usize, driver: &mut Driver) -> Result<(Polled, Pending), SourceError> {
        let mut batch = driver.take_batch(self.stage);
        batch.ingested = driver.env().now;
        batch.watermark = self.tracker.watermark();
        if self.lasting.is_kept() && self.is_canonical {
            self.partitions[i].begin();
        }
        let before = batch.arena.len();
        let polled = self.partitions[i].rows.fill(&mut batch, &mut self.refused, driver.env())?;
        self.partitions[i].ended = polled == Polled::End;
        self.was_fed |= polled == Polled::Data;
        // What is refused before times are assigned keeps these.
        batch.times.fill(self.tracker.ingestion_time());
        batch.watermarks.fill(batch.watermark);
        let input = batch.len() + self.refused.unreadable.len();
        driver.counters().received(self.node, input as u64);
        driver.counters().read(self.node, (batch.arena.len() - before) as u64);
        for (reason, events) in self.refused.discarded.drain(..) {
            driver.counters().discarded(self.node, reason, events);
        }
        for (what, times) in self.refused.noted.drain(..) {
            driver.counters().noted(self.node, what, times);
        }
        let refused = &mut self.refused.rows;
        refused.sort_by_key(|(row, _)| *row);
        let is_refused = |row: &Row| refused.binary_search_by_key(row, |(row, _)| *row).is_ok();
        let mut rows: Vec<Row> = (0..batch.len() as u32).map(Row).filter(|row| !is_refused(row)).collect();
        for (slot, program) in &mut self.prepare {
            program.store(&mut batch, &mut rows, *slot, driver.env(), &mut self.refused.rows);
        }
        let mut read = Pending { batch, rows, next: 0, refusals: Refusals::take(&mut self.refused) };
        self.partitions[i].skip_known(&mut read);
        Ok((polled, read))
    }

    /// Gives all rows that were read their times, and rejects what is to be rejected where it stands among them.
    /// Returns the rows that go on.
    fn place(&mut self, driver: &mut Driver, number: Partition, read: &mut Pending) -> Vec<Row> {
        let mut placed = Vec::with_capacity(read.rows.len());
        loop {
            let before = read.refusals.rows_before();
            let stretch = read.rows[read.next..].partition_point(|row| row.index() < before);
            let mut rows = read.rows[read.next..read.next + stretch].to_vec();
            read.next += stretch;
            self.assign(driver, number, &mut read.batch, &mut rows);
            placed.append(&mut rows);
            let Some(refusal) = read.refusals.next() else { return placed };
            self.reject(driver, &mut read.batch, refusal);
        }
    }

    /// Gives rows their times, and rejects those that have none.
    fn assign(&mut self, driver: &mut Driver, number: Partition, batch: &mut Batch, rows: &mut Vec<Row>) {
        self.times.assign(&mut self.tracker, number, batch, rows, &mut self.rejects);
        for (row, reason) in self.rejects.drain(..) {
            driver.reject_row(self.node, self.rejected.as_mut(), batch, row, &reason);
        }
    }

    /// Rejects what stands behind all that was handed on so far.
    fn reject(&mut self, driver: &mut Driver, batch: &mut Batch, refusal: Refusal) {
        batch.watermark = self.tracker.watermark();
        match refusal {
            Refusal::Unreadable(unreadable) => {
                driver.reject_unreadable(self.node, self.rejected.as_mut(), batch, &unreadable);
            }
            Refusal::Row(row, reason) => {
                batch.watermarks[row.index()] = batch.watermark;
                driver.reject_row(self.node, self.rejected.as_mut(), batch, row, &reason);
            }
        }
    }

    /// Drives rows, then the watermark, through the source's stage and its `.rejected` port.
    fn drive(&mut self, driver: &mut Driver, batch: &mut Batch, rows: &[Row]) {
        if !self.has_steps {
            driver.counters().sent(self.node, MAIN, rows.len() as u64);
        }
        let watermark = batch.watermark;
        if let Some(port) = &self.rejected {
            driver.signal_rejected(port, Signal::Watermark(watermark));
        }
        driver.drive(self.stage, batch, rows);
    }
}

impl PartitionIntake {
    fn has_row(&self) -> bool {
        self.pending.as_ref().is_some_and(|read| read.next < read.rows.len())
    }

    /// Another batch is about to be read.
    fn begin(&mut self) {
        // What was to be skipped may reach into it.
        let position = self.rows.position();
        self.begun = position.map(|position| (position, self.skip));
    }

    /// An event of what is pending went on, or was rejected.
    fn gone_through(&mut self) {
        if let Some((_, events)) = &mut self.begun {
            *events += 1;
        }
    }

    /// Leaves out what went through in an earlier run.
    fn skip_known(&mut self, read: &mut Pending) {
        while self.skip > 0 {
            let next = read.rows.get(read.next).map(|row| row.index());
            if read.refusals.rows_before() <= next.unwrap_or(usize::MAX) && read.refusals.next().is_some() {
                self.skip -= 1;
            } else if next.is_some() {
                read.next += 1;
                self.skip -= 1;
            } else {
                return;
            }
        }
    }

    /// What the source calls it; nothing where it cannot be read again.
    fn name(&self) -> Vec<u8> {
        self.rows.position().map(|position| position.partition).unwrap_or_default()
    }

    /// What a checkpoint has of it.
    fn saved(&self, source: usize, tracker: &WatermarkTracker) -> Option<Reached> {
        let (position, skip) = self.reached()?;
        Some(Reached { source, position, skip, highest: tracker.highest_of(self.number) })
    }

    /// How far it was read and has gone through, and how many events behind that have gone through too.
    fn reached(&self) -> Option<(Position, u64)> {
        match (&self.pending, &self.begun) {
            (Some(_), Some(begun)) => Some(begun.clone()),
            _ => Some((self.rows.position()?, self.skip)),
        }
    }
}
