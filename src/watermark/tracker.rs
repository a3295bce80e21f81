//! How far event time has come: a watermark a partition, merged by minimum.
//!
//! The watermark W of a partition is its highest event time minus `out_of_order`. W of the stream is the minimum
//! over the partitions that are not idle, and never goes back. It moves with every event, so that results
//! do not depend on how events are cut into batches.
//!
//! A partition of the source (a file, standard input) may be divided further by a key
//! (`partition_by`). It then holds W only until the first of its keys is seen.

mod lasting;
mod view;

pub use lasting::{KeyMark, key_name, read_key_name};
pub use view::{Hold, HolderView, TrackerView};

use super::Tournament;
use crate::event::{Reason, RejectKind};
use crate::time::{Millis, Reading, Timestamp};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// A partition of the source, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub u32);

/// What moves a watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Every event: W is the highest event time seen minus `out_of_order`.
    Events {
        /// How much earlier than the highest seen an event may still be.
        out_of_order: Millis,
    },
    /// The time of day: live sources whose events have no time of their own.
    Clock,
    /// Only [`WatermarkTracker::advance_to`] and [`WatermarkTracker::close`]: bounded input with
    /// `bounded: complete` or without `event_time`, and sources in a pipeline's tests.
    Explicit,
}

/// What holds for live sources only. Bounded input depends on its events alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// After how much time known to be without events a partition no longer holds the watermark.
    pub idle_after: Millis,
    /// What the watermark does when no partition holds it.
    pub when_all_idle: WhenAllIdle,
    /// How far beyond the wall clock an event may be.
    pub max_ahead: Millis,
}

impl Default for Liveness {
    fn default() -> Liveness {
        Liveness {
            idle_after: Millis(60_000),
            when_all_idle: WhenAllIdle::Advance,
            max_ahead: Millis(300_000),
        }
    }
}

/// What the watermark does when all partitions are idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAllIdle {
    /// It goes on with the monotonic clock: highest seen + time since - `out_of_order`.
    Advance,
    /// It stays.
    Hold,
}

/// Of the time between two polls that found nothing, no more than this counts as known to be without events: a
/// longer gap means that the worker was busy, blocked or stopped.
pub const LONGEST_POLL_GAP: Millis = Millis(1_000);

/// What the reason says for which an event is rejected that is too far ahead.
pub const TOO_FAR_AHEAD: &str = "beyond the clock";

/// How many keys `partition_by` tells apart.
const MOST_KEYS: usize = 1 << 20;

/// The watermarks of a stream that is read from one or more partitions.
pub struct WatermarkTracker {
    progress: Progress,
    live: Option<Liveness>,
    now: Reading,
    /// Events later than this are rejected.
    limit: Timestamp,
    watermark: Timestamp,
    /// The watermark before the end of input, once that has come.
    before_end: Option<Timestamp>,
    /// Whether the watermark is that of an earlier run.
    loaded: bool,
    highest: Timestamp,
    /// When the highest was seen, in elapsed time.
    highest_at: Millis,
    feeds: Vec<Feed>,
    /// What holds the watermark: each feed, in order, and then the keys.
    holders: Vec<Holder>,
    /// The watermark of each holder; [`Timestamp::MAX`] where it does not hold.
    least: Tournament<Timestamp>,
    /// Number of the feed and key to holder.
    keys: HashTable<(Box<[u8]>, u32)>,
    /// Whether any of them may have changed since changes were taken.
    has_changed: bool,
    /// Keys that were taken as changes and are gone.
    gone: Vec<Box<[u8]>>,
    scratch: Vec<u8>,
}

/// A partition of the source and what is known of its being empty.
#[derive(Clone, Copy, Default)]
struct Feed {
    /// How much time it is known to have been empty.
    quiet: Millis,
    /// When it was last known to be empty.
    empty_at: Millis,
    /// Whether nothing happened since `empty_at`.
    still_empty: bool,
    /// A lower bound of the `quiet` at which one of its holders becomes idle.
    next_idle: Millis,
    closed: bool,
}

#[derive(Clone, Copy)]
struct Holder {
    highest: Timestamp,
    /// The feed's `quiet` when the last event was seen.
    quiet_since: Millis,
    feed: u32,
    /// Whether it holds the watermark: it is neither idle nor at its end.
    holds: bool,
    /// Whether it has changed since changes were taken.
    changed: bool,
    /// Whether it was ever taken as a change.
    saved: bool,
}

impl Holder {
    fn new(feed: u32, quiet_since: Millis, holds: bool) -> Holder {
        Holder { highest: Timestamp::MIN, quiet_since, feed, holds, changed: false, saved: false }
    }
}

impl WatermarkTracker {
    /// Tracks `partitions` partitions; `live` is None for bounded input.
    pub fn new(progress: Progress, live: Option<Liveness>, partitions: u32) -> WatermarkTracker {
        let mut least = Tournament::new(Timestamp::MAX);
        let holder = |feed| Holder::new(feed, Millis::ZERO, true);
        (0..partitions).for_each(|_| least.push(Timestamp::MIN));
        WatermarkTracker {
            progress,
            live,
            now: Reading { wall: Timestamp::MIN, elapsed: Millis::ZERO, synchronised: false },
            limit: Timestamp::MAX,
            watermark: Timestamp::MIN,
            before_end: None,
            loaded: false,
            highest: Timestamp::MIN,
            highest_at: Millis::ZERO,
            feeds: vec![Feed::default(); partitions as usize],
            holders: (0..partitions).map(holder).collect(),
            least,
            keys: HashTable::new(),
            has_changed: false,
            gone: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Adds a partition behind all others, or opens one anew that was closed. It holds the watermark until its first
    /// event, or until it is idle.
    pub fn add(&mut self, partition: Partition) {
        let number = partition.0 as usize;
        let holder = Holder::new(partition.0, Millis::ZERO, true);
        if number < self.feeds.len() {
            self.feeds[number] = Feed::default();
            self.holders[number] = holder;
            self.least.set(number, Timestamp::MIN);
            return;
        }
        // The keys, whose holders stand behind those of the partitions, move on by one.
        self.feeds.push(Feed::default());
        self.holders.insert(number, holder);
        let mut moved: Vec<Timestamp> = (number..self.least.len()).map(|n| self.least.get(n)).collect();
        self.least.truncate(number);
        self.least.push(Timestamp::MIN);
        moved.drain(..).for_each(|key| self.least.push(key));
        self.keys.retain(|(_, number)| {
            *number += 1;
            true
        });
    }

    /// Says that a partition has no events of its own and holds no watermark.
    pub fn stand_aside(&mut self, partition: Partition) {
        self.release(partition.0 as usize);
    }

    /// The watermark of the stream.
    #[inline]
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// How far a partition has come by itself: where it is divided by keys, or holds no watermark now, as far as the stream
    /// has. None where nothing holds it.
    pub fn reached(&self, partition: Partition) -> Option<Timestamp> {
        let own = self.least.get(partition.0 as usize);
        let reached = if own < Timestamp::MAX { own } else { self.least.least() };
        (reached < Timestamp::MAX).then_some(reached)
    }

    /// The latest event time.
    pub fn highest(&self) -> Timestamp {
        self.highest
    }

    /// The time that an event without a time of its own gets. Behind a clock that was set back it
    /// stands still, so that such events are not late.
    pub fn ingestion_time(&self) -> Timestamp {
        match self.progress {
            Progress::Clock => self.watermark,
            _ => self.now.wall,
        }
    }

    /// Whether events move the watermark.
    #[inline]
    pub fn follows_events(&self) -> bool {
        matches!(self.progress, Progress::Events { .. })
    }

    /// Whether no partition holds the watermark though some are open.
    pub fn is_idle(&self) -> bool {
        matches!(self.progress, Progress::Events { .. })
            && self.least.least() == Timestamp::MAX
            && !self.feeds.iter().all(|feed| feed.closed)
    }

    /// Takes the time. To be called before the events of each pass.
    pub fn tick(&mut self, now: Reading) {
        if self.now.wall == Timestamp::MIN {
            // What was loaded counts as seen when the clock was first read.
            self.highest_at = now.elapsed;
        }
        self.now = now;
        self.limit = match (self.progress, self.live) {
            (Progress::Events { .. }, Some(live)) if now.synchronised => now.wall + live.max_ahead,
            _ => Timestamp::MAX,
        };
        if self.progress == Progress::Clock {
            self.advance_to(now.wall);
        }
    }

    /// Takes an event. On an error it is to be rejected and has moved nothing.
    #[inline]
    pub fn observe(&mut self, partition: Partition, time: Timestamp) -> Result<(), Reason> {
        if time > self.limit {
            return Err(self.too_far_ahead(time));
        }
        self.raise(partition.0 as usize, time);
        Ok(())
    }

    /// Takes an event of one key of a partition. Returns the watermark that the key by itself had before. On an error it is
    /// to be rejected and has moved nothing.
    pub fn observe_key(
        &mut self,
        partition: Partition,
        key: &[u8],
        time: Timestamp,
    ) -> Result<Timestamp, Reason> {
        if time > self.limit {
            return Err(self.too_far_ahead(time));
        }
        let holder = self.holder_of(partition, key)?;
        // The keys hold the watermark from now on; the partition itself no longer does.
        self.release(partition.0 as usize);
        let before = match self.progress {
            Progress::Events { out_of_order } => self.holders[holder].highest - out_of_order,
            Progress::Clock | Progress::Explicit => self.watermark,
        };
        self.raise(holder, time);
        Ok(before)
    }

    #[inline]
    fn raise(&mut self, number: usize, time: Timestamp) {
        let holder = &mut self.holders[number];
        holder.quiet_since = self.feeds[holder.feed as usize].quiet;
        if time <= holder.highest && holder.holds {
            return;
        }
        (holder.holds, holder.changed) = (true, true);
        holder.highest = holder.highest.max(time);
        self.has_changed = true;
        if time > self.highest {
            self.highest = time;
            self.highest_at = self.now.elapsed;
        }
        if let Progress::Events { out_of_order } = self.progress {
            self.least.set(number, holder.highest - out_of_order);
            self.watermark = self.watermark.max(self.least.least());
        }
    }

    fn release(&mut self, number: usize) {
        if self.holders[number].holds {
            self.holders[number].holds = false;
            self.least.set(number, Timestamp::MAX);
        }
    }

    #[cold]
    fn too_far_ahead(&self, time: Timestamp) -> Reason {
        let ahead = Millis(time.0.saturating_sub(self.now.wall.0));
        let most = self.live.unwrap_or_default().max_ahead;
        let text = format!("the event time is {ahead} {TOO_FAR_AHEAD}, more than max_ahead ({most})");
        Reason::new(RejectKind::Time, text)
    }

    /// The holder of a key, made at its first event.
    fn holder_of(&mut self, partition: Partition, key: &[u8]) -> Result<usize, Reason> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&partition.0.to_le_bytes());
        self.scratch.extend_from_slice(key);
        let hash = xxh3_64(&self.scratch);
        if let Some((_, holder)) = self.keys.find(hash, |(key, _)| **key == *self.scratch) {
            return Ok(*holder as usize);
        }
        if self.keys.len() >= MOST_KEYS {
            self.forget_idle_keys();
        }
        if self.keys.len() >= MOST_KEYS {
            return Err(Reason::new(RejectKind::Time, "partition_by has too many different values"));
        }
        let number = self.holders.len();
        let key = self.scratch.as_slice().into();
        self.keys.insert_unique(hash, (key, number as u32), |(key, _)| xxh3_64(key));
        let quiet_since = self.feeds[partition.0 as usize].quiet;
        self.holders.push(Holder::new(partition.0, quiet_since, false));
        self.least.push(Timestamp::MAX);
        Ok(number)
    }

    /// Makes room: an idle key that comes back is a new one.
    fn forget_idle_keys(&mut self) {
        self.forget_keys(|holder| !holder.holds);
    }

    /// A partition has ended and does not come again, nor do its keys.
    pub fn forget(&mut self, partition: Partition) {
        self.forget_keys(|holder| holder.feed == partition.0);
    }

    fn forget_keys(&mut self, is_old: impl Fn(&Holder) -> bool) {
        if self.keys.is_empty() {
            return;
        }
        let feeds = self.feeds.len();
        let old = std::mem::take(&mut self.holders);
        self.holders.extend_from_slice(&old[..feeds]);
        self.least.truncate(feeds);
        let (holders, least, gone) = (&mut self.holders, &mut self.least, &mut self.gone);
        let out_of_order = match self.progress {
            Progress::Events { out_of_order } => out_of_order,
            Progress::Clock | Progress::Explicit => Millis::ZERO,
        };
        self.keys.retain(|(key, number)| {
            let holder = old[*number as usize];
            if is_old(&holder) {
                gone.extend(holder.saved.then(|| std::mem::take(key)));
                return false;
            }
            *number = holders.len() as u32;
            holders.push(holder);
            least.push(if holder.holds { holder.highest - out_of_order } else { Timestamp::MAX });
            true
        });
    }

    /// Says that a partition was polled, that all it gave was observed, and that nothing more is at hand.
    /// Idle time passes between two such calls without [`WatermarkTracker::behind`] in between.
    pub fn caught_up(&mut self, partition: Partition, now: Reading) {
        self.tick(now);
        let Some(live) = self.live else { return };
        let feed = &mut self.feeds[partition.0 as usize];
        if feed.still_empty {
            let gap = now.elapsed.0 - feed.empty_at.0;
            feed.quiet.0 += gap.clamp(0, LONGEST_POLL_GAP.0);
        }
        feed.still_empty = true;
        feed.empty_at = now.elapsed;
        if feed.quiet >= feed.next_idle {
            self.find_idle(partition, live.idle_after);
        }
        self.settle(live);
    }

    /// Says that a partition may hold events that were not read yet: it gave some and was not polled since, or
    /// it is paused, or its connection is down.
    #[inline]
    pub fn behind(&mut self, partition: Partition) {
        self.feeds[partition.0 as usize].still_empty = false;
    }

    /// Finds the holders of a feed that had nothing for `idle_after`.
    fn find_idle(&mut self, partition: Partition, idle_after: Millis) {
        let quiet = self.feeds[partition.0 as usize].quiet;
        let mut next = quiet.0.saturating_add(idle_after.0);
        for number in 0..self.holders.len() {
            let holder = self.holders[number];
            if holder.feed != partition.0 || !holder.holds {
                continue;
            }
            let idle_at = holder.quiet_since.0.saturating_add(idle_after.0);
            if quiet.0 >= idle_at {
                self.release(number);
                (self.holders[number].changed, self.has_changed) = (true, true);
            } else {
                next = next.min(idle_at);
            }
        }
        self.feeds[partition.0 as usize].next_idle = Millis(next);
    }

    /// Moves the watermark after holders have let it go.
    fn settle(&mut self, live: Liveness) {
        let Progress::Events { out_of_order } = self.progress else { return };
        if !self.is_idle() {
            self.advance_to(self.least.least());
        } else if live.when_all_idle == WhenAllIdle::Advance && self.highest > Timestamp::MIN {
            // Only up to where all are known to have had nothing.
            let open = self.feeds.iter().filter(|feed| !feed.closed);
            let known = open.map(|feed| feed.empty_at.0).min().unwrap_or_default();
            let since = Millis(known.saturating_sub(self.highest_at.0).max(0));
            self.advance_to(self.highest + since - out_of_order);
        }
    }

    /// Says that a partition has ended. When all have, the watermark is at [`Timestamp::MAX`].
    pub fn close(&mut self, partition: Partition) {
        self.feeds[partition.0 as usize].closed = true;
        for number in 0..self.holders.len() {
            if self.holders[number].feed == partition.0 {
                self.release(number);
            }
        }
        if self.feeds.iter().all(|feed| feed.closed) {
            self.advance_to(Timestamp::MAX);
        } else if let Progress::Events { .. } = self.progress
            && !self.is_idle()
        {
            self.advance_to(self.least.least());
        }
    }

    /// Moves the watermark forward; it never goes back.
    pub fn advance_to(&mut self, watermark: Timestamp) {
        if watermark == Timestamp::MAX && self.before_end.is_none() {
            self.before_end = Some(self.watermark);
        }
        self.watermark = self.watermark.max(watermark);
    }
}

#[cfg(test)]
mod tests;
