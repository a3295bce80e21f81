//! What decides: which chunks share a transaction, and what follows from what became of it.
//!
//! A transaction holds whole chunks and the marker of its last one, so what stands in the target always says which chunks
//! have arrived. Whenever it is not certain what became of one, nothing is guessed: the producer is made anew, which
//! settles whatever was under way under its name, and the marker is read again.

use super::queue::{Delivered, Stopped, TransactionQueue};
use crate::dataflow::{Marker, RefusedEvent};
use crate::time::{Clock, Millis, Timestamp};
use std::sync::Arc;

/// Bytes of the first transaction: one chunk.
const LEAST_BYTES: usize = 1 << 20;
/// Bytes of a transaction at the most, over a link on which these are quick.
const MOST_BYTES: usize = 8 << 20;
/// A transaction that is through sooner may be larger the next time; and the share of its timeout.
const QUICK: (Millis, i64) = (Millis(500), 20);
/// One that takes longer was too large, if it held more than one chunk; and the share of its timeout.
const SLOW: (Millis, i64) = (Millis(3_000), 4);
/// The wait behind the first failure; each further one doubles it, up to the second.
const AGAIN: [Millis; 2] = [Millis(100), Millis(10_000)];
/// A marker that stands for so long is written again, as targets forget those that nobody writes.
const REFRESH: Millis = Millis(24 * 3_600_000);
/// How long nothing happens while nothing is to be done.
const REST: Millis = Millis(1_000);

/// What transactions are made with. Calls may block, but not for long once the queue is left.
pub trait Transactions {
    /// Makes the producer anew: shuts out whoever wrote under this name before, settles what was under way, and reads
    /// the marker.
    ///
    /// # Errors
    /// Why not now, or never.
    fn begin_anew(&mut self) -> Result<Option<Marker>, Trouble>;

    /// Writes records and marker in one transaction.
    ///
    /// # Errors
    /// What became of it.
    fn transact(&mut self, chunks: &[Arc<Delivered>], marker: Marker) -> Result<(), Trouble>;
}

/// Why something did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The target is away, or does not let us in. What it was.
    Away(String),
    /// Nothing of the transaction has arrived, nor will; it may be tried again. What it was.
    Aborted(String),
    /// The same; these records will never be taken.
    Refused(Vec<Refusal>),
    /// It is not known whether the transaction has committed. What it was.
    Unknown(String),
    /// We were shut out. Whether the transaction has committed is not known.
    Fenced,
    /// There is no use in trying again. Why.
    Failed(String),
}

/// A record that will never be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which of the chunks it stands in.
    pub chunk: usize,
    /// Which of its records it is.
    pub record: usize,
    /// The event, and why.
    pub event: RefusedEvent,
}

/// What messages say of a sink.
#[derive(Clone, Debug)]
pub struct Naming {
    /// The sink and its pipeline.
    pub who: String,
    /// The gateway.
    pub instance: String,
    /// The target.
    pub target: String,
    /// How long a transaction may be open before the target ends it.
    pub timeout: Millis,
}

/// When a [`Committer`] wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// When a chunk has come, or after that long.
    Chunk(Millis),
    /// After that long.
    After(Millis),
    /// Never.
    Never,
}

/// The state machine, driven by a thread of its own.
pub struct Committer {
    naming: Naming,
    queue: Arc<TransactionQueue>,
    /// Whether there is a producer that can be used.
    is_up: bool,
    /// Whether the target has ever told its marker.
    has_found: bool,
    /// The marker that stands there, as far as is known.
    stands: Option<Marker>,
    /// The transaction of which nobody knows whether it has committed: its marker, and how many of the first chunks.
    unknown: Option<(Marker, usize)>,
    /// What may go into the next transaction.
    bytes: usize,
    again: Millis,
    pause: Millis,
    /// When the marker was last written.
    written: Millis,
    /// Whether it was said that the target is away.
    was_told: bool,
}

impl Committer {
    /// One that has done nothing yet.
    pub fn new(naming: Naming, queue: Arc<TransactionQueue>) -> Committer {
        Committer {
            naming,
            queue,
            is_up: false,
            has_found: false,
            stands: None,
            unknown: None,
            bytes: LEAST_BYTES,
            again: Millis(0),
            pause: Millis(0),
            written: Millis(0),
            was_told: false,
        }
    }

    /// Does what is due.
    pub fn step(&mut self, target: &mut dyn Transactions, clock: &dyn Clock) -> Next {
        if self.queue.is_leaving() || self.queue.stopped().is_some() {
            return Next::Never;
        }
        let now = clock.elapsed();
        if now < self.again {
            return Next::After(self.again - now);
        }
        if !self.is_up {
            return self.come_up(target, clock);
        }
        let mut chunks = self.queue.first(self.bytes);
        if self.stands.is_none() {
            // The first marker goes alone: what nobody knows of it can be written again.
            chunks.truncate(1);
        }
        let marker = match chunks.last() {
            Some(last) => last.marker,
            None => match self.stands.filter(|_| now - self.written >= REFRESH) {
                Some(stands) => stands,
                None => return Next::Chunk(REST),
            },
        };
        let begun = (now, clock.wall());
        match target.transact(&chunks, marker) {
            Ok(()) => self.committed(&chunks, marker, clock, now),
            Err(trouble) => self.failed(trouble, (marker, chunks.len()), begun, clock),
        }
    }

    fn come_up(&mut self, target: &mut dyn Transactions, clock: &dyn Clock) -> Next {
        match target.begin_anew() {
            Ok(found) => match self.agree(found) {
                Ok(()) => {
                    self.is_up = true;
                    self.written = clock.elapsed();
                    self.queue.note_served(true);
                    self.queue.note_trouble(None);
                    Next::Now
                }
                Err(stopped) => self.stop(stopped),
            },
            Err(Trouble::Failed(why)) => self.stop(Stopped::Failed(self.failure(&why))),
            Err(Trouble::Away(why) | Trouble::Aborted(why) | Trouble::Unknown(why)) => self.wait(&why, clock),
            Err(Trouble::Fenced | Trouble::Refused(_)) => self.wait("it shut us out", clock),
        }
    }

    /// Compares the marker that was found with what was known.
    fn agree(&mut self, found: Option<Marker>) -> Result<(), Stopped> {
        let unknown = self.unknown.take();
        if !self.has_found {
            self.has_found = true;
            self.queue.note_found(found);
        } else if let Some((_, chunks)) = unknown.filter(|(marker, _)| found == Some(*marker)) {
            self.queue.committed(chunks);
        } else if found.is_none() && unknown.is_some() && self.stands.is_some() {
            return Err(Stopped::Failed(format!(
                "{}: {} no longer knows how far output had come, and it is unknown whether the last of it arrived; \
                 start with `--accept-duplicates` to deliver it though it may be there twice, or with `--accept-gap` to \
                 leave it out though it may be missing",
                self.naming.who, self.naming.target
            )));
        } else if found.is_some() && found != self.stands {
            return Err(self.fenced());
        }
        self.stands = found;
        Ok(())
    }

    fn committed(
        &mut self,
        chunks: &[Arc<Delivered>],
        marker: Marker,
        clock: &dyn Clock,
        since: Millis,
    ) -> Next {
        self.stands = Some(marker);
        self.queue.committed(chunks.len());
        self.written = clock.elapsed();
        let took = self.written - since;
        let bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        let at_most = |(span, share): (Millis, i64)| span.min(Millis(self.naming.timeout.0 / share));
        if took > at_most(SLOW) {
            self.bytes = LEAST_BYTES;
        } else if took < at_most(QUICK) && bytes * 2 > self.bytes {
            self.bytes = (self.bytes * 2).min(MOST_BYTES);
        }
        self.pause = Millis(0);
        self.queue.note_trouble(None);
        if std::mem::take(&mut self.was_told) {
            tracing::info!("{}: {} takes output again", self.naming.who, self.naming.target);
        }
        Next::Now
    }

    fn failed(
        &mut self,
        trouble: Trouble,
        transaction: (Marker, usize),
        (since, begun): (Millis, Timestamp),
        clock: &dyn Clock,
    ) -> Next {
        match trouble {
            Trouble::Refused(refusals) => {
                for Refusal { chunk, record, event } in refusals {
                    self.queue.leave_out(chunk, record, event);
                }
                Next::Now
            }
            Trouble::Aborted(why) => {
                self.bytes = LEAST_BYTES;
                self.wait(&why, clock)
            }
            // The machine may have slept, which only the time of day tells.
            Trouble::Fenced => {
                let open = (clock.elapsed() - since).max(Millis(clock.wall().0 - begun.0));
                if open < self.naming.timeout {
                    let stopped = self.fenced();
                    return self.stop(stopped);
                }
                self.go_down(transaction);
                self.wait("a transaction took longer than `transaction.timeout.ms`", clock)
            }
            Trouble::Failed(why) => self.stop(Stopped::Failed(self.failure(&why))),
            Trouble::Away(why) | Trouble::Unknown(why) => {
                self.go_down(transaction);
                self.wait(&why, clock)
            }
        }
    }

    /// The producer is of no use any more.
    fn go_down(&mut self, unknown: (Marker, usize)) {
        self.is_up = false;
        self.bytes = LEAST_BYTES;
        self.unknown = Some(unknown);
        self.queue.note_served(false);
    }

    /// Tries again later. Says once why.
    fn wait(&mut self, why: &str, clock: &dyn Clock) -> Next {
        self.queue.note_trouble(Some(format!("{}: {why}", self.naming.target)));
        if !std::mem::replace(&mut self.was_told, true) {
            let Naming { who, target, .. } = &self.naming;
            tracing::warn!(
                "{who}: {target} takes no output: {why}; what waits is kept, and it is tried again"
            );
        }
        self.pause = Millis((self.pause.0 * 2).clamp(AGAIN[0].0, AGAIN[1].0));
        self.again = clock.elapsed() + self.pause;
        Next::After(self.pause)
    }

    fn stop(&mut self, stopped: Stopped) -> Next {
        self.queue.stop(stopped);
        Next::Never
    }

    fn failure(&self, why: &str) -> String {
        format!("{}: {}: {why}", self.naming.who, self.naming.target)
    }

    fn fenced(&self) -> Stopped {
        let Naming { who, instance, target, .. } = &self.naming;
        Stopped::Fenced(format!(
            "{who}: another copy of instance `{instance}` delivers to {target} under the same name and has shut this one \
             out: give each gateway an `instance` of its own in headwater.yaml, or stop the other copy"
        ))
    }
}

#[cfg(test)]
mod tests;
