//! The thread that takes snapshots of all pipelines of the process.

use super::super::error::StateError;
use super::super::number::{Epoch, Incarnation, Sequence};
use super::copying::{Copying, Taken};
use super::error::SnapshotError;
use super::manifest::SnapshotId;
use super::parts::Snapshot;
use super::retention::keep_newest;
use super::target::{SnapshotOwner, SnapshotTarget};
use crate::time::{Clock, Millis};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// After a failure it is tried again after this time, then after twice that, and so on.
const RETRY_FIRST: Millis = Millis(10_000);

/// But at least so often.
const RETRY_MOST: Millis = Millis(10 * 60 * 1000);

/// How often a pipeline is looked at that has no checkpoint yet.
const UNBEGUN: Millis = Millis(1_000);

/// When and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// The time between two snapshots of a pipeline.
    pub every: Millis,
    /// How many whole ones are kept; at least one.
    pub keep: usize,
}

/// A pipeline of which snapshots are taken: asks who owns the backend to call
/// [`super::super::StateBackend::begin_snapshot`], and waits for that.
pub trait SnapshotSource: Send {
    /// The pipeline's name.
    fn pipeline(&self) -> &str;

    /// Pins its state. None while it does not run.
    fn begin(&mut self) -> Result<Option<Snapshot>, StateError>;
}

/// What came of it since the start of the process.
#[derive(Debug, Default)]
pub struct SnapshotCounts {
    taken: AtomicU64,
    failed: AtomicU64,
    sent: AtomicU64,
}

impl SnapshotCounts {
    /// How many snapshots were taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// How often one failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// The bytes of parts that were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// The thread, while this lives. What it is at when this is dropped stays unfinished, which harms nobody: nothing
/// waits for a target that does not answer.
pub struct Snapshots {
    counts: Arc<SnapshotCounts>,
    stop: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<Asked>>>,
    place: String,
    thread: Thread,
}

/// Who waits for a snapshot of all pipelines: is told what went wrong.
type Asked = Sender<Vec<String>>;

impl Snapshots {
    /// Begins to take snapshots. The first of a pipeline is due when the newest at the target is old enough.
    ///
    /// # Errors
    /// A name that cannot be part of a snapshot's, or no thread is to be had.
    pub fn start(
        options: SnapshotOptions,
        instance: &str,
        sources: Vec<Box<dyn SnapshotSource>>,
        target: Box<dyn SnapshotTarget>,
        clock: Arc<dyn Clock>,
    ) -> Result<Snapshots, SnapshotError> {
        let job = |source: Box<dyn SnapshotSource>| {
            let owner = SnapshotOwner::new(instance, source.pipeline())?;
            Ok(Job { source, owner, due: clock.elapsed(), is_known: false, failures: 0, last: None })
        };
        let jobs = sources.into_iter().map(job).collect::<Result<Vec<_>, SnapshotError>>()?;
        let (counts, stop) = (Arc::<SnapshotCounts>::default(), Arc::<AtomicBool>::default());
        let (asked, place) = (Arc::<Mutex<Vec<Asked>>>::default(), target.place());
        let mut runner = Runner {
            options,
            jobs,
            target,
            clock,
            counts: counts.clone(),
            stop: stop.clone(),
            asked: asked.clone(),
        };
        let thread = thread::Builder::new().name("snapshots".to_owned()).spawn(move || runner.run());
        let thread = thread.map_err(|error: io::Error| StateError::disk("starting a thread", error))?;
        Ok(Snapshots { counts, stop, asked, place, thread: thread.thread().clone() })
    }

    /// Takes a snapshot of every pipeline that runs, and waits for that: what went wrong. None if it takes longer.
    pub fn take_now(&self, at_most: Millis) -> Option<Vec<String>> {
        let (sender, receiver) = channel();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        self.thread.unpark();
        receiver.recv_timeout(Duration::from_millis(at_most.0.max(0) as u64)).ok()
    }

    /// Where they go, to be shown to people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What came of it so far.
    pub fn counts(&self) -> &SnapshotCounts {
        &self.counts
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}

/// A pipeline and when its next snapshot is due.
struct Job {
    source: Box<dyn SnapshotSource>,
    owner: SnapshotOwner,
    due: Millis,
    /// Whether the target was asked for the newest snapshot.
    is_known: bool,
    failures: u32,
    /// What the last one was of: what has not changed is not copied.
    last: Option<(Incarnation, Sequence)>,
}

struct Runner {
    options: SnapshotOptions,
    jobs: Vec<Job>,
    target: Box<dyn SnapshotTarget>,
    clock: Arc<dyn Clock>,
    counts: Arc<SnapshotCounts>,
    stop: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Runner {
    fn run(&mut self) {
        while !self.is_stopped() {
            self.answer();
            for at in 0..self.jobs.len() {
                if self.jobs[at].due <= self.clock.elapsed() && !self.is_stopped() {
                    // Said already.
                    let _ = self.attend(at);
                }
            }
            let next = self.jobs.iter().map(|job| job.due.0).min();
            let Some(next) = next else { return };
            let left = next - self.clock.elapsed().0;
            if left > 0 && !self.is_stopped() {
                self.clock.doze(Millis(left));
            }
        }
    }

    /// Takes the snapshots that were asked for.
    fn answer(&mut self) {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        if asked.is_empty() {
            return;
        }
        let mut wrong = Vec::new();
        for at in 0..self.jobs.len() {
            self.jobs[at].is_known = true;
            if let Err(error) = self.attend(at) {
                wrong.push(format!("pipeline `{}`: {error}", self.jobs[at].owner.pipeline));
            }
        }
        // Who asked may be gone.
        asked.into_iter().for_each(|asked| _ = asked.send(wrong.clone()));
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Does what is due for a pipeline, and says when the next is.
    fn attend(&mut self, at: usize) -> Result<(), SnapshotError> {
        let outcome = self.advance(at);
        let (now, every, job) = (self.clock.elapsed(), self.options.every, &mut self.jobs[at]);
        let pipeline = job.owner.pipeline.as_str();
        match outcome {
            Ok(wait) => {
                job.failures = 0;
                job.due = Millis(now.0.saturating_add(wait.0));
                Ok(())
            }
            Err(error) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                let wait = backoff(job.failures).0.min(every.0);
                job.failures = job.failures.saturating_add(1);
                job.due = Millis(now.0.saturating_add(wait));
                let place = self.target.place();
                tracing::warn!(
                    "no snapshot of `{pipeline}` to {place}: {error}; trying again in {} s",
                    wait / 1000
                );
                Err(error)
            }
        }
    }

    /// Returns the time to the next look.
    fn advance(&mut self, at: usize) -> Result<Millis, SnapshotError> {
        if !self.jobs[at].is_known {
            let age = self.age_of_newest(at)?;
            self.jobs[at].is_known = true;
            if let Some(age) = age.filter(|age| (0..self.options.every.0).contains(age)) {
                return Ok(Millis(self.options.every.0 - age));
            }
        }
        let Some(snapshot) = self.jobs[at].source.begin()? else { return Ok(self.options.every) };
        if snapshot.epoch == Epoch::default() {
            // Nothing is known yet of what sinks have: whoever restored that would write their output again.
            return Ok(UNBEGUN.min(self.options.every));
        }
        let state = (snapshot.incarnation, snapshot.last);
        if self.jobs[at].last == Some(state) {
            return Ok(self.options.every);
        }
        let begun = self.clock.elapsed();
        let Some(taken) = self.copy(at, snapshot)? else { return Ok(self.options.every) };
        self.jobs[at].last = Some(state);
        self.counts.taken.fetch_add(1, Ordering::Relaxed);
        let (pipeline, id) = (&taken.manifest.owner.pipeline, taken.manifest.id());
        let (all, place) = (taken.manifest.bytes(), self.target.place());
        tracing::info!(
            "snapshot {id} of `{pipeline}` is at {place}: {all} bytes, {} of them new",
            taken.sent
        );
        let now = self.clock.wall();
        keep_newest(&taken.manifest.owner, self.options.keep, now, &mut *self.target)?;
        // From when it was begun: how long it takes does not shift the next.
        let spent = self.clock.elapsed().0 - begun.0;
        Ok(Millis((self.options.every.0 - spent).max(0)))
    }

    /// How long ago the newest snapshot of a pipeline was taken.
    fn age_of_newest(&mut self, at: usize) -> Result<Option<i64>, SnapshotError> {
        let folder = self.jobs[at].owner.manifests();
        let stored = self.target.list(&folder)?;
        let time = |name: &str| SnapshotId::parse(name.strip_prefix(&folder)?)?.time();
        let newest = stored.iter().filter_map(|stored| time(&stored.name)).max();
        Ok(newest.map(|time| self.clock.wall().0 - time.0))
    }

    /// None if it is to stop.
    fn copy(&mut self, at: usize, snapshot: Snapshot) -> Result<Option<Taken>, SnapshotError> {
        let owner = &self.jobs[at].owner;
        let mut copying = Copying::begin(snapshot, owner, self.clock.wall(), &mut *self.target)?;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let before = copying.sent();
            let taken = copying.step(&mut *self.target)?;
            self.counts.sent.fetch_add(copying.sent() - before, Ordering::Relaxed);
            if taken.is_some() {
                return Ok(taken);
            }
        }
    }
}

fn backoff(failures: u32) -> Millis {
    Millis(RETRY_FIRST.0.saturating_mul(1 << failures.min(10)).min(RETRY_MOST.0))
}
