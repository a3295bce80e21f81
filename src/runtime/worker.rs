//! A worker: one thread that steps through its share of a pipeline.

use super::checkpoint::{Barrier, Loading, Origins, Outlet, Part, StateIds};
use super::dead_letters::DeadLetters;
use super::driver::Driver;
use super::exchange::{Frontiers, Mail, Mailbox};
use super::inquiry::{Inquiry, WorkerView};
use super::intake::{Intake, Step};
use super::reins::Reins;
use super::returned::ReturnIntake;
use super::stats::Counters;
use super::tables::Tables;
use super::tap::Taps;
use crate::dataflow::{Pressure, Room, Saving, SharedSink, Signal, SinkStatus, StageId, StepId};
use crate::state::{Epoch, Overflow, StateError};
use crate::time::{Clock, Millis, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Buffered output goes out at least this often, so that results are seen live.
pub const FLUSH_EVERY: Millis = Millis(200);
/// How often a run is looked at from outside.
pub const WATCH_EVERY: Millis = Millis(50);
/// Operators that wait for processing time are told this often that it has gone on.
pub const TICK_EVERY: Millis = Millis(10);
/// Time given to others when there is nothing to do, unless a source wakes the worker.
const IDLE_WAIT: Millis = Millis(5);
/// How often a worker that has stopped looks whether the others have.
const ROUND_WAIT: Millis = Millis(1);
/// So many keys may change before they are saved: on their way to the disk they are there several times.
const UNSAVED_KEYS: usize = 1 << 17;

/// What all workers of a pipeline share.
pub struct Shared<'a> {
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Set from outside when all pipelines are to stop: no window fires, what was put out is flushed. Never set here.
    pub stop: &'a AtomicBool,
    /// How far each worker has read.
    pub frontiers: &'a Frontiers,
    /// How many workers have come to the end of their input.
    pub finished: &'a AtomicUsize,
    /// How often workers have sent all that they had, after the last of their reads; see `Worker::run`.
    pub delivered: &'a AtomicUsize,
    /// Where workers meet for checkpoints, if state is kept.
    pub barrier: Option<&'a Barrier>,
    /// What is held for sinks, if state is kept.
    pub outlets: &'a [Outlet],
    /// Set when this pipeline alone is to end in the same way: it failed, or nobody reads it any more.
    pub ended: &'a AtomicBool,
    /// The opened sinks.
    pub sinks: &'a [SharedSink],
    /// What each worker counted, as of its last report.
    pub reports: &'a [Mutex<Counters>],
    /// Why the pipeline failed, if it did.
    pub failure: &'a Mutex<Option<String>>,
    /// What events are looked up in.
    pub tables: &'a Tables,
    /// What somebody wants to know.
    pub inquiry: &'a Inquiry,
    /// What somebody tells it.
    pub reins: &'a Reins,
}

impl Shared<'_> {
    /// Whether it is to end before its input does.
    pub fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.ended.load(Ordering::Relaxed) || self.reins.is_stopping()
    }

    fn have_all_finished(&self, workers: usize) -> bool {
        self.finished.load(Ordering::SeqCst) == workers
    }

    /// Whether it has failed.
    pub fn has_failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Ends the pipeline; the first failure is the one that is told.
    pub fn fail(&self, message: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Ends the pipeline when one of its threads panics: the others wait for it and would do so for ever.
pub struct PanicGuard<'a>(pub &'a Shared<'a>);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("a worker panicked: this is a fault of Headwater, please report it".to_owned());
        }
    }
}

/// One worker's share of a pipeline.
pub struct Worker {
    number: usize,
    driver: Driver,
    intakes: Vec<Intake>,
    /// What targets refuse comes back to the first worker.
    returns: Vec<ReturnIntake>,
    /// Stages into which rows come from other workers.
    exchanges: Vec<StageId>,
    /// How many of those have not ended.
    open_exchanges: usize,
    mail: Mail,
    mailbox: Mailbox,
    /// Whether a server forgets what was read when it is acknowledged: then it must have gone out before.
    acknowledges: bool,
    flushed: Millis,
    unflushed: bool,
    ticked: Millis,
    /// Whether all of its input has ended.
    finished: bool,
    /// Where its state stands; None where none is kept.
    ids: Option<Arc<StateIds>>,
    /// The last checkpoint that it has saved for.
    saved: Epoch,
    /// The last durable checkpoint that its sources were told of.
    told: Epoch,
    /// How many checkpoints it has saved for in all.
    meetings: usize,
    /// The last inquiry that it has answered.
    answered: u64,
    /// The last list of those who look on that it has seen.
    tapped: u64,
    /// Nanoseconds in which nothing was read as those behind sources took nothing.
    blocked: u64,
    /// Since when that is so.
    blocked_since: Option<u64>,
    /// Of the checkpoint under way: how many rounds of letting rows arrive are done, and whether it waits in the next.
    rounds: (usize, bool),
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// Something was done.
    Worked,
    /// There is nothing to do.
    Idle,
    /// Other workers are waited for.
    Waits,
    /// All input has ended, or the pipeline is to stop.
    Ended,
}

impl Worker {
    /// A worker over opened intakes.
    pub fn new(
        number: usize,
        driver: Driver,
        intakes: Vec<Intake>,
        exchanges: Vec<StageId>,
        mail: Mail,
        mailbox: Mailbox,
        ids: Option<(Arc<StateIds>, Epoch)>,
    ) -> Worker {
        let open_exchanges = exchanges.len();
        let acknowledges = intakes.iter().any(Intake::acknowledges);
        let (flushed, unflushed, ticked) = (Millis::ZERO, false, Millis::ZERO);
        let (ids, last) = ids.map_or((None, Epoch::default()), |(ids, last)| (Some(ids), last));
        Worker {
            number,
            driver,
            intakes,
            returns: Vec::new(),
            exchanges,
            open_exchanges,
            mail,
            mailbox,
            acknowledges,
            flushed,
            unflushed,
            ticked,
            finished: false,
            saved: last,
            told: last,
            ids,
            meetings: 0,
            answered: 0,
            tapped: 0,
            blocked: 0,
            blocked_since: None,
            rounds: (0, false),
        }
    }

    /// Steps until all input has ended, a sink's reader went away, or the pipeline is to stop. Returns itself: what it read
    /// from is to be closed once all has arrived, and what it keeps to be saved.
    pub fn run(mut self, shared: &Shared<'_>) -> Worker {
        let _guard = PanicGuard(shared);
        while !shared.tables.are_loaded() {
            if shared.must_stop() {
                // Nothing was read, and what an earlier run left stays as it is.
                return self;
            }
            shared.clock.doze(IDLE_WAIT);
        }
        loop {
            match self.step(shared) {
                Ok(Stepped::Worked) => {}
                Ok(Stepped::Idle) => shared.clock.doze(IDLE_WAIT),
                Ok(Stepped::Waits) => shared.clock.wait(ROUND_WAIT),
                Ok(Stepped::Ended) => break,
                Err(message) => {
                    shared.fail(message);
                    break;
                }
            }
        }
        self.deliver_mail(shared);
        self.conclude(shared);
        self
    }

    /// What [`Worker::run`] does behind the last step, for workers that one thread drives.
    pub fn end_together(workers: &mut [Worker], shared: &Shared<'_>) {
        let rounds = workers.iter().map(|worker| worker.exchanges.len()).max().unwrap_or_default();
        for _ in 0..rounds {
            workers.iter_mut().for_each(Worker::flush);
            workers.iter_mut().for_each(|worker| _ = worker.receive());
        }
        workers.iter_mut().for_each(|worker| worker.conclude(shared));
    }

    fn conclude(&mut self, shared: &Shared<'_>) {
        self.flush();
        if let Err(message) = self.check_sinks(shared) {
            shared.fail(message);
        }
        self.report(shared);
    }

    /// Lets rows that are under way between workers arrive, now that none of them reads. A row goes through each exchange
    /// once at the most, so as many rounds as there are exchanges do.
    fn deliver_mail(&mut self, shared: &Shared<'_>) {
        for round in 1..=self.exchanges.len() {
            self.flush();
            shared.delivered.fetch_add(1, Ordering::SeqCst);
            while shared.delivered.load(Ordering::SeqCst) < round * self.mail.workers() {
                if shared.has_failed() {
                    return;
                }
                shared.clock.wait(ROUND_WAIT);
            }
            self.receive();
        }
    }

    /// One pass, or what comes next of a checkpoint.
    pub fn step(&mut self, shared: &Shared<'_>) -> Result<Stepped, String> {
        self.tell(shared);
        self.look_for_taps(&shared.reins.taps);
        if shared.must_stop() || shared.have_all_finished(self.mail.workers()) {
            return Ok(Stepped::Ended);
        }
        if let Some(barrier) = shared.barrier
            && let Some(stepped) = self.meet(barrier, shared)?
        {
            return Ok(stepped);
        }
        if self.finished {
            return Ok(Stepped::Idle);
        }
        self.driver.env().now = shared.clock.wall();
        self.driver.env().elapsed = shared.clock.elapsed();
        self.tick();
        let received = self.receive() | self.take_returned();
        if shared.reins.is_draining() {
            self.intakes.iter_mut().for_each(|intake| intake.end(&mut self.driver));
        }
        let held_back = shared.barrier.is_some_and(Barrier::is_held_back);
        let ready = !held_back && shared.sinks.iter().all(SharedSink::is_ready);
        let waits = self.driver.waits();
        self.note_blocked(ready && !waits, shared.clock);
        let read = ready && !waits && !shared.reins.is_paused() && self.read(shared)?;
        let has_ended = self.open_exchanges == 0 && self.intakes.iter().all(Intake::has_ended);
        if has_ended && !self.driver.waits() {
            self.finished = true;
            // Nobody is to wait for this one to go on.
            shared.frontiers.reach(self.number, Timestamp::MAX);
            shared.finished.fetch_add(1, Ordering::SeqCst);
            return Ok(Stepped::Worked);
        }
        self.unflushed |= received || read;
        let now = shared.clock.elapsed();
        // Windows fire by time as well, when nothing has come.
        let due = now.0 - self.flushed.0 >= FLUSH_EVERY.0 || (self.acknowledges && read);
        if due || (self.unflushed && !(received || read)) {
            self.flush();
            self.report(shared);
            self.flushed = now;
        }
        // Before the next read, which may acknowledge what a sink did not take.
        self.check_sinks(shared)?;
        if let Some(barrier) = shared.barrier {
            check_memory(barrier)?;
            if self.driver.unsaved() * self.mail.workers() > UNSAVED_KEYS {
                barrier.pressure().press();
            }
            barrier.urge();
        }
        Ok(if received || read { Stepped::Worked } else { Stepped::Idle })
    }

    /// Shows events to those who look on now.
    fn look_for_taps(&mut self, taps: &Taps) {
        let number = taps.number();
        if number != self.tapped {
            self.tapped = number;
            self.driver.show(taps.showings());
        }
    }

    /// Counts how long nothing was read.
    fn note_blocked(&mut self, reads: bool, clock: &dyn Clock) {
        if reads && self.blocked_since.is_none() {
            return;
        }
        let now = clock.nanos();
        self.blocked += self.blocked_since.map_or(0, |since| now.saturating_sub(since));
        self.blocked_since = (!reads).then_some(now);
    }

    /// Answers whoever has asked since this was called last.
    fn tell(&mut self, shared: &Shared<'_>) {
        let asked = shared.inquiry.number();
        if asked == self.answered {
            return;
        }
        self.answered = asked;
        shared.inquiry.answer(|node, stage| WorkerView {
            number: self.number,
            now: shared.clock.wall(),
            intakes: self.intakes.iter().map(Intake::view).collect(),
            watermark: self.driver.watermark(stage),
            awaits: self.driver.awaits(node),
            counters: self.driver.counters().clone(),
        });
    }

    /// Takes part in a checkpoint if one is asked for; None if there is nothing to do for it.
    fn meet(&mut self, barrier: &Barrier, shared: &Shared<'_>) -> Result<Option<Stepped>, String> {
        // In this order: whoever sees that a checkpoint is asked for also sees that the one before is durable, and tells
        // sources so before they are asked how far they are now.
        let epoch = barrier.requested();
        let committed = barrier.committed();
        if self.told < committed {
            self.told = committed;
            self.intakes.iter_mut().for_each(Intake::checkpointed);
        }
        if self.saved >= epoch && barrier.released() >= self.saved {
            return Ok(None);
        }
        let rounds = self.exchanges.len();
        match self.rounds {
            // Saved, and others have not yet.
            _ if self.saved >= epoch => return Ok(Some(Stepped::Waits)),
            (done, false) if done < rounds => {
                self.flush();
                barrier.arrive();
                self.rounds = (done, true);
            }
            (done, true) => {
                if !barrier.have_all_arrived(self.meetings * rounds + done + 1) {
                    self.receive();
                    return Ok(Some(Stepped::Waits));
                }
                self.receive();
                self.rounds = (done + 1, false);
            }
            _ => {
                self.flush();
                // What a sink did not take must not count as done.
                self.check_sinks(shared)?;
                self.rounds = (0, false);
                self.meetings += 1;
                self.saved = epoch;
                let part = self.save();
                check_memory(barrier)?;
                barrier.deposit(epoch, part, || shared.outlets.iter().for_each(Outlet::cut));
            }
        }
        Ok(Some(Stepped::Worked))
    }

    /// Keys of some steps may leave memory; those of each step have so much room.
    pub fn spill(
        &mut self,
        steps: &[StepId],
        overflow: &Arc<Overflow>,
        pressure: &Arc<Pressure>,
        room: Room,
    ) {
        self.driver.spill(steps, overflow, pressure, room);
    }

    /// Takes what targets refuse.
    pub fn returning(&mut self, returns: Vec<ReturnIntake>) {
        self.returns = returns;
    }

    /// Has what targets refused go on. Tells whether there was anything that somebody reads.
    fn take_returned(&mut self) -> bool {
        let mut any = false;
        self.returns.iter_mut().for_each(|from| any |= from.step(&mut self.driver));
        any
    }

    /// The same behind the last step, for workers that one thread drives, with all that follows from it. Behind the end of
    /// input nothing is passed on between workers: what may be waits for the next run.
    pub fn take_last_returned(workers: &mut [Worker], shared: &Shared<'_>) -> bool {
        let Some(first) = workers.first_mut() else { return false };
        first.driver.env().now = shared.clock.wall();
        let has_ended = !first.exchanges.is_empty() && first.open_exchanges == 0;
        let returns = first.returns.iter_mut().filter(|from| !(has_ended && from.is_shared()));
        let mut any = false;
        returns.for_each(|from| any |= from.step(&mut first.driver));
        if any {
            Worker::end_together(workers, shared);
        }
        any
    }

    /// Where rejected events go that nobody reads.
    pub fn keep_dead_letters(&mut self, part: DeadLetters) {
        self.driver.keep_dead_letters(part);
    }

    /// Goes on with what an earlier run left.
    pub fn load(&mut self, loading: &Loading<'_>, origins: &[Origins]) -> Result<(), String> {
        let failed = |error: StateError| error.to_string();
        self.driver.load(loading).map_err(failed)?;
        for stage in &self.exchanges {
            self.driver.with_inlet(*stage, |_, inlet| self.mailbox.restored(inlet.waiting()));
        }
        for (source, intake) in self.intakes.iter_mut().enumerate() {
            intake.resume(source, &origins[source]).map_err(|error| error.to_string())?;
            let node = loading.ids.sources[source];
            loading.node(node, &mut |saved| intake.load(saved)).map_err(failed)?;
            intake.announce(&mut self.driver);
        }
        Ok(())
    }

    /// Says what changed since this was called last; nothing where state is not kept.
    pub fn save(&mut self) -> Part {
        let mut part = Part::default();
        let Some(ids) = self.ids.clone() else { return part };
        let mut entries = Vec::new();
        self.driver.save(self.number, &ids, &mut entries);
        for (source, intake) in self.intakes.iter_mut().enumerate() {
            let (env, workers) = (&*self.driver.env(), self.mail.workers());
            let mut saving = Saving::new(ids.sources[source], self.number, env, &mut entries);
            intake.save(&mut part, &mut saving, workers);
        }
        self.returns.iter_mut().for_each(|from| from.save(&mut part));
        part.entries = entries;
        part
    }

    /// What it read from, to be closed.
    pub fn into_intakes(self) -> Vec<Intake> {
        self.intakes
    }

    /// Takes what other workers have sent.
    fn receive(&mut self) -> bool {
        let mut received = false;
        while let Some(parcel) = self.mailbox.next() {
            received = true;
            let (mut done, mut ended) = (0, false);
            self.driver
                .with_inlet(parcel.stage, |driver, inlet| (done, ended) = inlet.receive(driver, parcel));
            self.mailbox.done(done);
            self.open_exchanges -= usize::from(ended);
        }
        received
    }

    /// Reads from the bounded source that lags furthest behind, and from every live one.
    fn read(&mut self, shared: &Shared<'_>) -> Result<bool, String> {
        let reached = self.intakes.iter().filter(|i| !i.has_ended()).map(Intake::watermark).min();
        shared.frontiers.reach(self.number, reached.unwrap_or(Timestamp::MAX));
        // Whoever lags behind goes on: all others may be waiting for what it has not read yet.
        if self.mail.is_congested() && !shared.frontiers.is_last(self.number) {
            return Ok(false);
        }
        let bounded = self.intakes.iter().enumerate().filter(|(_, i)| !i.is_live() && !i.has_ended());
        let next =
            bounded.min_by_key(|(number, intake)| (intake.watermark(), *number)).map(|(number, _)| number);
        let mut worked = false;
        for number in 0..self.intakes.len() {
            let intake = &mut self.intakes[number];
            if intake.has_ended() || !(intake.is_live() || Some(number) == next) {
                continue;
            }
            let step = intake.step(&mut self.driver, shared.clock).map_err(|error| error.to_string())?;
            worked |= step != Step::Idle;
        }
        Ok(worked)
    }

    fn check_sinks(&self, shared: &Shared<'_>) -> Result<(), String> {
        if let Some(failure) = self.driver.failure() {
            return Err(failure);
        }
        for sink in shared.sinks {
            match sink.status() {
                SinkStatus::Open => {}
                SinkStatus::Closed => shared.ended.store(true, Ordering::Relaxed),
                SinkStatus::Failed(message) => return Err(message),
            }
        }
        Ok(())
    }

    /// Says that processing time has gone on, every now and then.
    fn tick(&mut self) {
        let now = self.driver.env().elapsed;
        if now.0 - self.ticked.0 >= TICK_EVERY.0 {
            self.ticked = now;
            self.signal(Signal::Tick);
            // What that made operators put out is to be seen.
            self.unflushed = true;
        }
    }

    /// Lets everything that was buffered for the sake of speed go out.
    fn flush(&mut self) {
        self.signal(Signal::Flush);
        self.unflushed = false;
    }

    /// Signals to all that this worker drives.
    fn signal(&mut self, signal: Signal) {
        for intake in &mut self.intakes {
            intake.signal(&mut self.driver, signal);
        }
        for stage in &self.exchanges {
            self.driver.signal(*stage, signal);
        }
    }

    fn report(&mut self, shared: &Shared<'_>) {
        for (node, held) in self.intakes.iter().filter_map(Intake::held) {
            self.driver.counters().held(node, held);
        }
        self.driver.note_watermarks();
        let blocked = self.blocked;
        self.intakes.iter().for_each(|intake| intake.report(self.driver.counters(), blocked));
        let mut report = shared.reports[self.number].lock().unwrap_or_else(PoisonError::into_inner);
        report.clone_from(self.driver.counters());
    }
}

/// Fails if state could not be read that is not in memory: what was made of that is not saved.
fn check_memory(barrier: &Barrier) -> Result<(), String> {
    barrier.pressure().failure().map_or(Ok(()), |failure| Err(failure.to_owned()))
}

#[cfg(test)]
mod tests;
