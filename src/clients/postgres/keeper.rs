//! The thread that writes: connects, writes batch after batch, and connects again when that fails.

use super::job::Job;
use super::lease::Lease;
use super::queue::Queue;
use super::reason::Failure;
use super::session::{Session, WriteError};
use crate::clients::keeper::{Keeper, Keeping};
use crate::clients::tls::{Stamp, TlsFiles};
use crate::dataflow::{Marked, RefusedEvent};
use crate::time::{Clock, Millis, Random, SystemClock};
use std::sync::Arc;
use std::time::Duration;

/// The wait behind the first failure; each further one doubles it.
const FIRST_WAIT: u64 = 100;
/// The longest wait, in milliseconds.
const LONGEST_WAIT: u64 = 30_000;
/// How often certificates and the connection are looked at while there is nothing to do.
const LOOK: Duration = Duration::from_secs(1);

/// Starts a thread that writes. What is not committed when it is stopped stays in the queue.
///
/// # Errors
/// The system gives no thread.
pub fn start(job: Arc<Job>, queue: Arc<Queue>) -> Result<Keeper, String> {
    let mut random = Random::seeded(SystemClock::new().entropy());
    let lease = job.exactly_once.then(|| Lease::new(job.name.clone(), random.bits()));
    Keeper::start(
        "postgres",
        Writing { job, queue, lease, random, failures: 0, said: String::new(), refused: 0 },
    )
}

struct Writing {
    job: Arc<Job>,
    queue: Arc<Queue>,
    /// None where no marker is kept.
    lease: Option<Lease>,
    random: Random,
    failures: u32,
    /// Why the last attempt failed.
    said: String,
    /// How many rows were refused.
    refused: usize,
}

impl Keeping for Writing {
    async fn keep(&mut self) {
        loop {
            let job = self.job.clone();
            let outcome = match Session::open(&job).await {
                Ok(session) => self.serve(session).await,
                Err(failure) => Err(WriteError::Again(failure)),
            };
            self.queue.backlog.note_lost();
            match outcome {
                Ok(()) => self.failures = 0,
                Err(WriteError::Over(why)) => {
                    tracing::error!("{}: {why}", self.job.server.who);
                    self.queue.backlog.fail(why);
                    return;
                }
                Err(WriteError::Again(failure)) => self.pause(failure).await,
            }
        }
    }

    fn is_over(&self) -> bool {
        self.queue.backlog.failed().is_some()
    }

    fn who(&self) -> &str {
        &self.job.server.who
    }

    fn rests(&mut self) {
        self.queue.backlog.note_lost();
    }
}

impl Writing {
    /// Says why the connection ended, once a change, and waits.
    async fn pause(&mut self, failure: Failure) {
        self.failures += 1;
        let wait = wait(self.failures, &mut self.random);
        let (who, server, delay) = (&self.job.server.who, &self.job.server.shown, Millis(wait as i64));
        let server = self.job.server.secrets.mask(server);
        let Failure { text, .. } = failure;
        self.queue.backlog.note_trouble(&format!("{server}: {text}"));
        if self.said == text {
            tracing::debug!(
                "{who}: still nothing can be written to {server}: {text}; next attempt in {delay}"
            );
        } else {
            tracing::warn!("{who}: nothing can be written to {server}: {text}; next attempt in {delay}");
        }
        self.said = text;
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }

    /// Writes batches until the connection should be made anew.
    async fn serve(&mut self, mut session: Session<'_>) -> Result<(), WriteError> {
        self.look(&session).await?;
        self.queue.backlog.note_connected();
        let (who, server) = (&self.job.server.who, self.job.server.secrets.mask(&self.job.server.shown));
        tracing::info!("{who}: writes to {} at {server}", self.job.table);
        let stamp = self.job.server.tls.as_ref().map(TlsFiles::stamp);
        loop {
            let (batch, at_once) = self.queue.batch(&self.job.batching);
            if batch.is_empty() {
                // What wakes it is looked at in either case.
                let _ = tokio::time::timeout(LOOK, self.queue.backlog.wake.notified()).await;
            } else {
                if !at_once {
                    self.gather().await;
                }
                let (batch, _) = self.queue.batch(&self.job.batching);
                let refused = session.write(&batch, &mut self.lease, &self.queue).await?;
                self.say_refused(&refused);
                self.queue.committed(batch.len(), refused);
                // Only now it is known that all is well: connecting alone proves little.
                self.failures = 0;
                self.said.clear();
            }
            if session.is_closed() {
                return Err(WriteError::Again(Failure::of_connection("the server closed the connection")));
            }
            if self.has_new_certificates(stamp.as_ref()) {
                return Ok(());
            }
        }
    }

    /// A table that refuses one row often refuses all: ever fewer of them are told of.
    fn say_refused(&mut self, refused: &[RefusedEvent]) {
        let before = self.refused;
        self.refused += refused.len();
        if let Some(first) = refused.first()
            && self.refused.checked_ilog2() > before.checked_ilog2()
        {
            let (who, all) = (&self.job.server.who, self.refused);
            let reason = self.job.server.secrets.mask(&first.reason);
            tracing::error!("{who}: {reason}; {all} so far");
        }
    }

    /// Waits for the batch to become full, for as long as it may wait.
    async fn gather(&self) {
        let full = async {
            while !self.queue.batch(&self.job.batching).1 {
                self.queue.backlog.wake.notified().await;
            }
        };
        let every = Duration::from_millis(self.job.batching.every.0.max(0) as u64);
        // Full or not, it goes.
        let _ = tokio::time::timeout(every, full).await;
    }

    /// Finds out what has arrived, before anything is written.
    async fn look(&mut self, session: &Session<'_>) -> Result<(), WriteError> {
        let Some(lease) = &mut self.lease else { return Ok(()) };
        let found = session.look(lease).await?;
        match found.marker {
            _ if self.queue.marked() == Ok(Marked::Unknown) => self.queue.note_marked(found.marker),
            marker if marker == lease.stands() => {}
            // A commit whose outcome was unknown has been one.
            Some(marker) if self.queue.committed_through(marker) => {}
            Some(_) if found.is_foreign => return Err(session.of_lease(lease.lost())),
            _ => {
                let server = &self.job.server.shown;
                return Err(WriteError::Over(format!(
                    "{server} holds another marker than was written there: it has lost output that it had taken, or \
                     somebody changed it; start again to decide"
                )));
            }
        }
        lease.accept(&found);
        Ok(())
    }

    /// Whether certificates have changed, and can be used.
    fn has_new_certificates(&self, before: Option<&Stamp>) -> bool {
        let Some((files, before)) = self.job.server.tls.as_ref().zip(before) else { return false };
        files.stamp() != *before && files.load().is_ok()
    }
}

/// Milliseconds until the next attempt: doubled with every failure, and scattered by half.
fn wait(failures: u32, random: &mut Random) -> u64 {
    let longest = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    longest / 2 + random.bits() % (longest / 2 + 1)
}
