//! The thread that keeps the client: it listens to it, finds partitions, and tells the group how far checkpoints are.

use super::discovery::Discovery;
use super::kept::Kept;
use super::looking;
use super::shared::{Client, Shared};
use crate::clients::tls::Stamp;
use crate::time::{Clock, Millis, SystemClock};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often certificates are looked at, and the group is told.
const TICK: Millis = Millis(1_000);
/// How long the client is listened to at once, while partitions are sought and else.
const LISTEN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));
/// How long the last commit may take, in tenths of a second.
const LAST_COMMIT: usize = 20;

/// Keeps the client of one source.
pub struct Keeper {
    kept: Kept,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// A keeper for so many workers, whose thread does not run yet.
    pub fn new(kept: Kept, workers: usize) -> Arc<Keeper> {
        Arc::new(Keeper { kept, shared: Shared::new(workers), thread: Mutex::default() })
    }

    /// Who reads, for messages.
    pub fn who(&self) -> &str {
        &self.kept.connection.who
    }

    /// What the thread and the workers share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Starts the thread, if it does not run yet.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(&self) -> Result<(), String> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_some() {
            return Ok(());
        }
        let mut keeping = Keeping::new(self.kept.clone(), self.shared.clone());
        let builder = std::thread::Builder::new().name("kafka".to_owned());
        let started = builder.spawn(move || keeping.keep_always());
        *thread = Some(started.map_err(|error| format!("cannot start a connection: {error}"))?);
        Ok(())
    }

    /// Tells the group how far checkpoints are, and ends the thread.
    pub fn stop(&self) {
        self.shared.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // One that panicked is over as well.
            let _ = thread.join();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Keeping {
    kept: Kept,
    shared: Arc<Shared>,
    clock: SystemClock,
    discovery: Discovery,
    /// Clients of before that partitions still hold. Whoever lets go of one last waits for its threads: not a worker.
    old: Vec<Arc<Client>>,
    /// When partitions are to be looked for.
    look_at: Millis,
    ticked: Millis,
    /// When messages came last, or could not.
    arrived: Millis,
    /// How the certificates were when they were loaded.
    stamp: Stamp,
    /// How often the present client was told to commit.
    commits: u64,
}

impl Keeping {
    fn new(kept: Kept, shared: Arc<Shared>) -> Keeping {
        Keeping {
            discovery: Discovery::new(kept.clone(), shared.clone()),
            kept,
            shared,
            clock: SystemClock::new(),
            old: Vec::new(),
            look_at: Millis::ZERO,
            ticked: Millis::ZERO,
            arrived: Millis::ZERO,
            stamp: Stamp::new(),
            commits: 0,
        }
    }

    /// Keeps the client until it is to end, also where something in it panics.
    fn keep_always(&mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.keep())).is_err() {
            let who = &self.kept.connection.who;
            tracing::error!("{who}: the connection panicked: this is a fault of Headwater, please report it");
            self.shared.tell_first(Err("the connection panicked".to_owned()));
            self.shared.pause(Duration::from_secs(10));
        }
    }

    fn keep(&mut self) {
        while !self.shared.lock().stopping {
            let client = self.shared.lock().client.clone();
            let Some(client) = client else {
                self.make();
                continue;
            };
            self.listen(&client);
            self.answer(&client);
            self.tick(&client);
            if self.clock.elapsed() >= self.look_at {
                let wait = self.discovery.look(&client);
                self.look_at = Millis(self.clock.elapsed().0 + wait.0);
            }
            drop(client);
            if self.discovery.outgrown() {
                self.make();
            }
            self.old.retain(|client| Arc::strong_count(client) > 1);
        }
        self.end();
    }

    /// Makes a client in place of the one before.
    fn make(&mut self) {
        self.stamp = self.kept.stamp();
        match self.kept.client(self.discovery.size()) {
            Ok(client) => {
                self.old.extend(self.shared.replace(Some(Arc::new(client))));
                (self.arrived, self.commits, self.look_at) = (self.clock.elapsed(), 0, Millis::ZERO);
            }
            Err(reason) => {
                let brokers = self.kept.connection.shown_brokers();
                self.discovery.say(format!("no connection to {brokers}: {reason}"));
                self.shared.pause(Duration::from_secs(1));
            }
        }
    }

    /// Hears what the client has to say. Messages come by the queues of their partitions.
    fn listen(&self, client: &Client) {
        let patience = if self.discovery.is_complete() { LISTEN.1 } else { LISTEN.0 };
        // Of errors the context was told.
        let mut more = client.poll(patience).is_some();
        while more {
            more = client.poll(Duration::ZERO).is_some();
        }
    }

    /// Answers partitions whose next offset does not exist.
    fn answer(&self, client: &Client) {
        let lost = std::mem::take(&mut self.shared.lock().lost);
        for place in lost {
            let range = looking::range(client, &place);
            let mut state = self.shared.lock();
            match range {
                Ok(range) => _ = state.ranges.insert(place, range),
                Err(_) => _ = state.lost.insert(place),
            }
        }
    }

    /// What is to be done every second.
    fn tick(&mut self, client: &Client) {
        let now = self.clock.elapsed();
        if (now - self.ticked).0 < TICK.0 {
            return;
        }
        self.ticked = now;
        self.commit(client);
        let (arrived, asked) = (&self.shared.arrived, &self.shared.asked);
        if arrived.swap(false, Ordering::Relaxed) || !asked.swap(false, Ordering::Relaxed) {
            self.arrived = now;
        }
        let stale = self.kept.stale_after.filter(|span| (now - self.arrived).0 >= span.0);
        let who = &self.kept.connection.who;
        if client.context().is_fatal() {
            tracing::error!("{who}: the client has failed and is made anew");
        } else if let Some(span) = stale.filter(|_| self.discovery.is_complete()) {
            tracing::info!("{who}: connecting anew: nothing has come for {span}");
        } else if !self.kept.certificates_changed(&mut self.stamp) {
            if client.context().is_doubtful() {
                // Whether it is there again is seen when it answers.
                self.look_at = self.look_at.min(now);
            }
            return;
        }
        self.make();
    }

    /// Tells the group how far checkpoints are.
    fn commit(&mut self, client: &Client) {
        let commits = std::mem::take(&mut self.shared.lock().commits);
        if commits.is_empty() {
            return;
        }
        if !client.context().is_connected() {
            // Until brokers are there again; what is newer stays.
            let mut state = self.shared.lock();
            commits.into_iter().for_each(|(place, next)| _ = state.commits.entry(place).or_insert(next));
            return;
        }
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for (place, next) in &commits {
            // Offsets are never negative.
            let _ = list.add_partition_offset(&place.topic, place.partition, Offset::Offset(*next));
        }
        self.commits += u64::from(client.commit(&list, CommitMode::Async).is_ok());
    }

    /// Tells the group for the last time, and lets go of the client.
    fn end(&mut self) {
        let Some(client) = self.shared.lock().client.clone() else { return };
        self.commit(&client);
        for _ in 0..LAST_COMMIT {
            if client.context().commits() >= self.commits {
                break;
            }
            let _ = client.poll(Duration::from_millis(100));
        }
        self.shared.replace(None);
        self.old.clear();
    }
}
