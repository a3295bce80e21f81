//! Who keeps the state of a pipeline: asks for checkpoints, commits them, and has output delivered.

use super::barrier::Barrier;
use super::delivery::{Delivery, DeliveryError};
use super::frames::{JournalFeed, ONLY};
use super::handle::{CheckpointFigures, KeeperFigures, KeeperHandle};
use super::ids::StateIds;
use super::part::{Part, Reached};
use super::room::{AGAIN, Room};
use crate::config::Checkpointing;
use crate::dataflow::{self, OnDoubt, SinkError};
use crate::runtime::dead_letters::SharedDeadLetters;
use crate::runtime::pipeline::Spilling;
use crate::state::{
    Changes, Checkpoint, DeadLetterLog, Entry, Epoch, Offset, Remedy, SourceProgress, StateBackend,
    StateError,
};
use crate::time::{Clock, Millis};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// State that a pipeline is to keep, and what limits that.
pub struct Keeping {
    /// The state.
    pub backend: StateBackend,
    /// Where it is, for messages.
    pub folder: PathBuf,
    /// Where keys go that memory has no room for, if that is limited.
    pub spilling: Option<Spilling>,
    /// Bytes that may be written a day: beyond, checkpoints become rarer.
    pub bytes_per_day: Option<u64>,
    /// Bytes that log and store may take on the disk: beyond, sources are held back.
    pub disk_bytes: Option<u64>,
    /// What to do with output that waits where a target does not say what has arrived.
    pub on_doubt: OnDoubt,
    /// Nodes whose state may be dropped.
    pub may_drop: Vec<String>,
    /// Where rejected events are kept that nobody reads.
    pub dead_letters: Option<DeadLetterLog>,
}

/// The shortest rest between two checkpoints, as a share of the interval.
const SHORTEST_REST: i64 = 2;
/// A checkpoint that takes longer than this, or than three intervals, has failed where nobody says.
const LONG: Millis = Millis(60_000);
/// How long output that waits is delivered once somebody wants an end; the rest waits for the next run.
const LAST: Millis = Millis(3_000);
/// How often a worker that is busy, or a disk that may take something, is looked at.
const LOOK: [Millis; 2] = [Millis(5), Millis(1_000)];
/// The longest time for which nobody looks.
const LONGEST_REST: Millis = Millis(10_000);
const DAY: i64 = 24 * 3_600_000;

/// Where a checkpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// None is under way.
    Resting { until: Millis },
    /// Workers save.
    Gathering { since: Millis, told: bool },
    /// All is gathered; the disk has not taken it yet.
    Writing { since: Millis },
}

/// The state of a pipeline while it runs. Steps like a worker does, on a thread of its own; see `checkpoint/mod.rs`.
pub struct Coordinator {
    pub(super) keeping: Keeping,
    pub(super) pipeline: String,
    ids: Arc<StateIds>,
    pub(super) barrier: Arc<Barrier>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) feeds: Vec<JournalFeed>,
    pub(super) checkpoint: Checkpointing,
    phase: Phase,
    pub(super) room: Room,
    /// Whether the checkpoint waits for a sink whose target is away.
    pub(super) is_postponed: bool,
    /// A sink failed for good: nothing is committed any more, as what it was given may be lost.
    pub(super) has_failed: bool,
    epoch: Epoch,
    /// What workers gave and no commit has yet.
    pub(super) gathered: Part,
    /// Whether the log knows the nodes.
    pub(super) is_announced: bool,
    /// Who asked for a checkpoint that is not under way yet, and who for the one that is.
    asked: Vec<Sender<CheckpointFigures>>,
    awaited: Vec<Sender<CheckpointFigures>>,
    handle: KeeperHandle,
    pub(super) figures: CheckpointFigures,
    written_bytes: u64,
    /// When something was written last; None once that was long ago.
    pub(super) written: Option<Millis>,
    /// Positions that are of no partition any more.
    gone: Vec<SourceProgress>,
    pub(super) dead_letters: Option<SharedDeadLetters>,
}

/// What a coordinator works with.
pub struct Coordinating {
    /// The state; what is in [`Keeping::dead_letters`] goes by `dead_letters`.
    pub keeping: Keeping,
    /// The pipeline's name, for messages.
    pub pipeline: String,
    /// Whose is which.
    pub ids: Arc<StateIds>,
    /// Where workers meet.
    pub barrier: Arc<Barrier>,
    /// Each sink's output.
    pub deliveries: Vec<Delivery>,
    /// The journals.
    pub feeds: Vec<JournalFeed>,
    /// From one checkpoint to the next.
    pub checkpoint: Checkpointing,
    /// Positions that are of no partition any more, to be forgotten.
    pub gone: Vec<SourceProgress>,
    /// State that nobody has any more, to be forgotten.
    pub surplus: Vec<Entry>,
    /// Where rejected events are kept.
    pub dead_letters: Option<SharedDeadLetters>,
}

impl Coordinator {
    /// A coordinator that asks for its first checkpoint an interval from now.
    pub fn new(with: Coordinating, now: Millis) -> Coordinator {
        let Coordinating { keeping, pipeline, ids, barrier, deliveries, feeds, checkpoint, .. } = with;
        let (epoch, until) = (keeping.backend.epoch(), now + checkpoint.every);
        let figures = CheckpointFigures { epoch, ..CheckpointFigures::default() };
        Coordinator {
            handle: KeeperHandle::new(barrier.bell().clone()),
            keeping,
            pipeline,
            ids,
            barrier,
            deliveries,
            feeds,
            checkpoint,
            phase: Phase::Resting { until },
            room: Room::default(),
            is_postponed: false,
            has_failed: false,
            epoch,
            gathered: Part { entries: with.surplus, ..Part::default() },
            gone: with.gone,
            dead_letters: with.dead_letters,
            is_announced: false,
            asked: Vec::new(),
            awaited: Vec::new(),
            figures,
            written_bytes: 0,
            written: Some(now),
        }
    }

    /// The state, as of the last commit.
    pub fn backend(&mut self) -> &mut StateBackend {
        &mut self.keeping.backend
    }

    /// Figures of its checkpoints.
    pub fn figures(&self) -> CheckpointFigures {
        self.figures
    }

    /// A way to it for other threads.
    pub fn handle(&self) -> KeeperHandle {
        self.handle.clone()
    }

    /// From now on this thread is woken when there is something to do.
    pub fn wake_this_thread(&self) {
        self.barrier.bell().wake_this_thread();
    }

    /// How long nothing is to be done, unless somebody rings.
    pub fn rest(&mut self, now: Millis) -> Millis {
        let phase = match self.phase {
            Phase::Resting { until } => until,
            Phase::Gathering { .. } => now + LOOK[1],
            Phase::Writing { .. } => self.room.again().unwrap_or(now + LOOK[0]),
        };
        let feeds = self.feeds.iter().filter_map(JournalFeed::next_due);
        // The disk is not asked before it may be.
        let feeds = feeds.map(|due| due.max(self.room.again().unwrap_or(due)));
        let sinks = self
            .deliveries
            .iter_mut()
            .filter(|_| !self.has_failed)
            .filter_map(|delivery| delivery.next_due(now));
        let next = feeds.chain(sinks).min().unwrap_or(phase).min(phase);
        Millis((next - now).0.clamp(1, LONGEST_REST.0))
    }

    /// Takes a checkpoint as soon as none is under way, and tells when it is durable.
    pub fn ask(&mut self, told: Sender<CheckpointFigures>) {
        self.asked.push(told);
    }

    /// Does what is due. Tells whether anything was done.
    ///
    /// # Errors
    /// State cannot be kept and trying again would not help; or a sink failed for good, which workers were told.
    pub fn step(&mut self, clock: &dyn Clock) -> Result<bool, StateError> {
        let now = clock.elapsed();
        for request in self.handle.take() {
            request(self);
        }
        let mut worked = self.keep_journals(now)?;
        worked |= self.keep_checkpoints(clock, now)?;
        worked |= self.deliver(clock)?;
        if self.keeping.backend.fold_is_due() && !self.is_waiting(now) {
            // What is not folded stays in the log.
            match self.keeping.backend.fold() {
                Ok(folded) => self.recover(folded, now),
                Err(error) => self.fail_or_wait(error, now)?,
            }
            worked = true;
        }
        if matches!(self.phase, Phase::Resting { .. }) && !self.is_waiting(now) {
            self.give_back(now)?;
        }
        if worked {
            self.publish();
        }
        Ok(worked)
    }

    /// Tells others how things stand.
    pub(super) fn publish(&self) {
        let (checkpoints, written_bytes, disk_bytes) =
            (self.figures, self.keeping.backend.written_bytes(), self.room.disk_bytes);
        self.handle.publish(|figures| {
            let mut sinks = std::mem::take(&mut figures.sinks);
            sinks.clear();
            sinks.extend(self.deliveries.iter().map(Delivery::figures));
            *figures = KeeperFigures { checkpoints, written_bytes, disk_bytes, sinks };
        });
    }

    /// All workers have ended and given what they had: takes the last checkpoint and delivers what can be. `patience` says
    /// whether to wait on for a target that takes nothing now.
    pub fn finish(
        &mut self,
        clock: &dyn Clock,
        last: Part,
        patience: &dyn Fn() -> bool,
    ) -> Result<(), StateError> {
        self.handle.close();
        let gathered = self.barrier.take();
        self.gathered.absorb(gathered);
        self.gathered.absorb(last);
        self.deliveries.iter().for_each(|delivery| delivery.outlet().cut());
        self.epoch = self.epoch.max(self.barrier.requested()).next();
        self.barrier.request(self.epoch);
        loop {
            let now = clock.elapsed();
            self.feeds.iter_mut().for_each(|feed| feed.take(now, true));
            let done = self.commit_frames().and_then(|_| self.commit(clock));
            match done {
                Ok(_) if self.is_postponed && patience() => {
                    self.deliver(clock)?;
                    clock.wait(AGAIN[0]);
                }
                Ok(_) if self.is_postponed => {
                    self.fail_away();
                    break;
                }
                Ok(_) => break,
                Err(error) if error.remedy() == Remedy::Retry && patience() => clock.wait(AGAIN[0]),
                Err(error) => return Err(error),
            }
        }
        let mut until = None;
        while !self.has_failed {
            let moved = self.deliver(clock)?;
            let (is_patient, now) = (patience(), clock.elapsed());
            let waits = self.deliveries.iter().any(Delivery::is_busy);
            let is_over = !is_patient && now >= *until.get_or_insert(now + LAST);
            if !waits || is_over || !(moved || is_patient) {
                break;
            }
            if !moved {
                clock.wait(Millis(10));
            }
        }
        self.mark(clock)
    }

    /// Writes down how far sinks have come: what they have acknowledged is not delivered again. Nothing of sinks that have
    /// failed, nor while chunks that were announced to them are not durable.
    pub fn mark(&mut self, clock: &dyn Clock) -> Result<(), StateError> {
        self.deliver(clock)?;
        if self.has_failed || self.deliveries.iter().any(Delivery::is_making) {
            return Ok(());
        }
        self.keep_refused(clock)?;
        self.deliveries.iter_mut().for_each(Delivery::locate);
        let markers =
            self.deliveries.iter().filter_map(|delivery| delivery.marker(&self.keeping.backend)).collect();
        self.keeping.backend.commit(Changes { markers, ..Changes::default() })?;
        self.tell_committed();
        self.publish();
        Ok(())
    }

    fn keep_journals(&mut self, now: Millis) -> Result<bool, StateError> {
        if self.is_waiting(now) {
            return Ok(false);
        }
        self.feeds.iter_mut().for_each(|feed| feed.take(now, false));
        match self.commit_frames() {
            Ok(written) => {
                self.recover(written, now);
                Ok(written)
            }
            Err(error) => self.fail_or_wait(error, now).map(|()| true),
        }
    }

    fn keep_checkpoints(&mut self, clock: &dyn Clock, now: Millis) -> Result<bool, StateError> {
        match self.phase {
            Phase::Resting { until } if now >= until || self.is_wanted() => {
                self.awaited.append(&mut self.asked);
                self.epoch = self.epoch.next();
                self.barrier.request(self.epoch);
                self.phase = Phase::Gathering { since: now, told: false };
                Ok(true)
            }
            Phase::Gathering { since, .. } if self.barrier.released() >= self.epoch => {
                let gathered = self.barrier.take();
                self.gathered.absorb(gathered);
                self.feeds.iter_mut().for_each(|feed| feed.take(now, true));
                self.phase = Phase::Writing { since };
                Ok(true)
            }
            Phase::Gathering { since, told: false } if (now - since) > self.timeout() => {
                tracing::warn!(
                    "checkpoint {} is under way for {}: a worker is busy",
                    self.epoch,
                    now - since
                );
                self.phase = Phase::Gathering { since, told: true };
                let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "it is under way for too long");
                self.count_failure(StateError::disk(format!("checkpoint {}", self.epoch), late))?;
                Ok(true)
            }
            Phase::Writing { since } if !self.is_waiting(now) && !self.postpones() => {
                self.try_commit(clock, since)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether the checkpoint is to wait for a target that is away.
    fn postpones(&self) -> bool {
        self.deliveries.iter().any(Delivery::postpones)
    }

    /// Whether somebody asks for a checkpoint, or so much output or state waits for one that it should not wait.
    fn is_wanted(&self) -> bool {
        !self.asked.is_empty()
            || self.barrier.pressure().is_pressed()
            || self.deliveries.iter().any(|delivery| delivery.outlet().holds_much())
    }

    fn try_commit(&mut self, clock: &dyn Clock, since: Millis) -> Result<(), StateError> {
        let committed = self.commit_frames().and_then(|_| self.commit(clock));
        let now = clock.elapsed();
        match committed {
            Ok(_) if self.has_failed || self.is_postponed => Ok(()),
            Ok(written) => {
                self.room.failed_in_a_row = 0;
                self.recover(written, now);
                self.weigh(now);
                self.hold_back();
                self.figures = CheckpointFigures { took: now - since, at: now, ..self.figures };
                self.figures.durations.add(now - since);
                self.phase = Phase::Resting { until: self.next_due(since, now) };
                self.publish();
                // Who asked may be gone.
                self.awaited.drain(..).for_each(|told| _ = told.send(self.figures));
                Ok(())
            }
            Err(error) => self.fail_or_wait(error, now),
        }
    }

    /// When the next checkpoint is due: by the interval, but not at once, and not before the budget allows it.
    fn next_due(&mut self, since: Millis, now: Millis) -> Millis {
        let Checkpointing { every, min_pause, .. } = self.checkpoint;
        let due = (since + every).max(now + min_pause.unwrap_or(Millis(every.0 / SHORTEST_REST)));
        let written = self.keeping.backend.written_bytes();
        let cost = written - std::mem::replace(&mut self.written_bytes, written);
        self.figures.bytes = cost;
        let stretched = self.keeping.bytes_per_day.map_or(0, |most| {
            let millis = u128::from(cost) * DAY as u128 / u128::from(most.max(1));
            i64::try_from(millis).unwrap_or(DAY).min(DAY)
        });
        due.max(since + Millis(stretched))
    }

    /// A checkpoint that is under way for longer counts as failed.
    fn timeout(&self) -> Millis {
        let Checkpointing { every, timeout, .. } = self.checkpoint;
        timeout.unwrap_or(LONG.max(Millis(3 * every.0)))
    }

    /// Commits what was gathered for the epoch, if it says anything new. Tells whether it did.
    fn commit(&mut self, clock: &dyn Clock) -> Result<bool, StateError> {
        let (epoch, mut is_ready) = (self.epoch, true);
        each_sink(&mut self.deliveries, &mut self.has_failed, |delivery| {
            delivery.prepare(epoch, clock).map(|ready| is_ready &= ready)
        });
        self.tell_given_up();
        self.is_postponed = !is_ready;
        if self.is_postponed || self.has_failed {
            self.hold_back();
            return Ok(false);
        }
        self.keep_refused(clock)?;
        let sources = [self.sources(), self.gone.clone()].concat();
        let sinks: Vec<_> =
            self.deliveries.iter().filter_map(|delivery| delivery.marker(&self.keeping.backend)).collect();
        self.gathered.entries.extend(self.deliveries.iter_mut().filter_map(Delivery::entry));
        let chunks: Vec<_> = self.deliveries.iter().flat_map(Delivery::chunks).collect();
        let keyed = self.gathered.entries.iter().any(|entry| !dataflow::is_own(entry.key.key()));
        // What a worker keeps for itself alone is how far time has come, unless something was read.
        let is_changed = keyed || (self.gathered.was_fed && !self.gathered.entries.is_empty());
        // What was given up must not be asked about at the next start, nor what a node was called.
        let is_news = !self.is_announced && self.ids.are_news();
        let is_new = is_changed || is_news || !(sources.is_empty() && sinks.is_empty() && chunks.is_empty());
        if !is_new {
            self.gathered.forget_replaced();
        } else {
            // Behind this nobody reads again what was rejected.
            self.dead_letters.iter().for_each(SharedDeadLetters::sync);
            let entries = std::mem::take(&mut self.gathered.entries);
            let checkpoint = self.announced(Checkpoint {
                epoch: self.epoch,
                sources,
                sinks,
                entries,
                ..Checkpoint::default()
            });
            #[cfg(feature = "simulation")]
            let checkpoint = crate::state::mutation::mutated(checkpoint);
            let mut changes = Changes { checkpoint: Some(checkpoint), chunks, ..Changes::default() };
            if let Err(error) = self.keeping.backend.commit_all(&mut changes) {
                self.gathered.entries = changes.checkpoint.map(|left| left.entries).unwrap_or_default();
                return Err(self.ids.named(error, &self.keeping.backend));
            }
            self.is_announced = true;
            self.gathered = Part::default();
            self.figures =
                CheckpointFigures { epoch: self.epoch, written: self.figures.written + 1, ..self.figures };
            self.gone.clear();
            let (now, backend) = (clock.elapsed(), &self.keeping.backend);
            self.deliveries.iter_mut().for_each(|delivery| delivery.committed(now, backend));
            self.tell_committed();
            self.tell_given_up();
        }
        self.barrier.commit(self.epoch);
        Ok(is_new)
    }

    /// A checkpoint that says which nodes there are, if no earlier one of this run does.
    fn announced(&self, checkpoint: Checkpoint) -> Checkpoint {
        if self.is_announced {
            return checkpoint;
        }
        let dropped = self.ids.dropped.iter().map(|node| node.id).collect();
        Checkpoint { dropped, nodes: self.ids.new.clone(), ..checkpoint }
    }

    /// Sinks do what waited for their positions to be durable.
    fn tell_committed(&mut self) {
        each_sink(&mut self.deliveries, &mut self.has_failed, |delivery| {
            match delivery.outlet().committed() {
                // It is asked again behind the next commit.
                Err(SinkError::Away(why)) => {
                    delivery.outlet().begin_outage(why);
                    Ok(())
                }
                committed => committed,
            }
        });
    }

    /// Nobody waits any longer for sinks whose output could not be prepared: the next run makes it again.
    fn fail_away(&mut self) {
        each_sink(&mut self.deliveries, &mut self.has_failed, |delivery| {
            match delivery.outlet().why_away() {
                Some(why) if delivery.postpones() => Err(SinkError::Failed(why)),
                _ => Ok(()),
            }
        });
        self.has_failed = true;
    }

    /// Says what is given up before the loss is durable.
    fn tell_given_up(&mut self) {
        let told = self.deliveries.iter_mut().filter_map(Delivery::tell_given_up).count();
        if told > 0 {
            self.publish();
        }
    }

    /// How far sources have come, where the log does not know it yet.
    fn sources(&mut self) -> Vec<SourceProgress> {
        let (ids, feeds) = (&self.ids, &mut self.feeds);
        let progress = |reached: &Reached| {
            let node = ids.input(reached.source);
            let (partition, offset) = match &reached.position.at {
                dataflow::Offset::Replay(at) => {
                    (reached.position.partition.clone(), Offset::Replay(reached.encode_replay(at)))
                }
                dataflow::Offset::Journal(last) => {
                    let feed = feeds.iter_mut().find(|feed| feed.source == reached.source)?;
                    (ONLY.to_vec(), Offset::Journal(feed.cover(*last)?))
                }
            };
            Some(SourceProgress { node, partition, offset, watermark: reached.highest })
        };
        let all: Vec<SourceProgress> = self.gathered.reached.iter().filter_map(progress).collect();
        let known = &self.keeping.backend.progress().sources;
        let is_new = |source: &SourceProgress| {
            let known = known.get(&(source.node, source.partition.clone()));
            known.is_none_or(|known| known.offset != source.offset)
        };
        all.into_iter().filter(is_new).collect()
    }

    /// Delivers committed output.
    fn deliver(&mut self, clock: &dyn Clock) -> Result<bool, StateError> {
        let (mut worked, mut fatal) = (false, None);
        if self.has_failed {
            return Ok(false);
        }
        let (now, backend) = (clock.elapsed(), &self.keeping.backend);
        each_sink(&mut self.deliveries, &mut self.has_failed, |delivery| {
            match delivery.deliver(backend, now) {
                Ok(moved) => worked |= moved,
                Err(DeliveryError::Sink(error)) => return Err(error),
                Err(DeliveryError::State(error)) if error.remedy() == Remedy::Retry => {
                    delivery.tell_unread(&error);
                }
                Err(DeliveryError::State(error)) => fatal = Some(error),
            }
            Ok(())
        });
        fatal.map_or(Ok(worked), Err)?;
        if !self.is_waiting(now) {
            match self.keep_refused(clock) {
                Ok(kept) => worked |= kept,
                Err(error) => self.fail_or_wait(error, now)?,
            }
        }
        Ok(self.note_marked(clock.elapsed())? || worked)
    }

    /// Says which nodes there are, if the log does not know.
    pub(super) fn announcement(&self) -> Option<Checkpoint> {
        let bare = || Checkpoint { epoch: self.keeping.backend.epoch(), ..Checkpoint::default() };
        (!self.is_announced).then(|| self.announced(bare()))
    }
}

/// Does something with each sink; workers hear of one that fails for good.
fn each_sink(
    deliveries: &mut [Delivery],
    has_failed: &mut bool,
    mut work: impl FnMut(&mut Delivery) -> Result<(), SinkError>,
) {
    for delivery in deliveries {
        if let Err(error) = work(delivery) {
            delivery.outlet().fail(error);
            *has_failed = true;
        }
    }
}

/// Who still waits for an answer is told that there will be none.
impl Drop for Coordinator {
    fn drop(&mut self) {
        self.handle.close();
    }
}

#[cfg(test)]
mod tests;
