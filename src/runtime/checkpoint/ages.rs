//! Since when output waits, also over restarts: now and then the time is kept beside the epoch.

use crate::dataflow::KEYLESS;
use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::state::{Entry, Epoch, NodeId, StateBackend, StateKey};
use crate::time::{Clock, Millis, Timestamp};

/// The key of a sink's node under which they are kept. A worker's own bytes begin like that: alone it is no change.
const KEY: &[u8] = b"\x00ages";
const VERSION: u8 = 1;
/// How finely ages are known, as a share of the most that output may wait.
const SHARE: i64 = 64;
/// No more are kept than cover that time twice.
const MOST: usize = 2 * SHARE as usize;

/// When epochs were committed.
pub struct Ages {
    node: NodeId,
    /// The least time from one to the next; None where nothing becomes too old.
    every: Option<Millis>,
    samples: Vec<Sample>,
    /// When this run began.
    began: Millis,
    is_new: bool,
}

#[derive(Clone, Copy)]
struct Sample {
    epoch: Epoch,
    /// In elapsed time of this run, before which it may have been.
    at: Millis,
    /// The time of day, where it could be relied on.
    wall: Option<Timestamp>,
}

impl Ages {
    /// Those that an earlier run has kept for a sink whose output may wait for `max_age`.
    pub fn find(node: NodeId, max_age: Option<Millis>, backend: &StateBackend, clock: &dyn Clock) -> Ages {
        let began = clock.elapsed();
        let every = max_age.map(|most| Millis((most.0 / SHARE).max(1)));
        // What cannot be read counts from now, as what was never written.
        let kept = backend.keyed().get(node, KEYLESS, KEY).ok().flatten();
        let kept = kept.and_then(|bytes| decode(&bytes).ok()).unwrap_or_default();
        let now = clock.synchronised().then(|| clock.wall());
        let mut latest = Millis(i64::MIN);
        let sample = |(epoch, wall): (Epoch, Option<Timestamp>)| {
            let age = wall.zip(now).map_or(0, |(wall, now)| (now.0 - wall.0).max(0));
            // Of two the later is not older, whatever the clock was.
            latest = latest.max(Millis(began.0 - age));
            Sample { epoch, at: latest, wall }
        };
        Ages { node, every, samples: kept.into_iter().map(sample).collect(), began, is_new: false }
    }

    /// Output is about to be committed with that epoch; `first` is the first that waits.
    pub fn note(&mut self, epoch: Epoch, first: Option<Epoch>, clock: &dyn Clock) {
        let now = clock.elapsed();
        let Some(every) = self.every else { return };
        if self.samples.last().is_some_and(|last| first.is_some() && now.0 - last.at.0 < every.0) {
            return;
        }
        // What nobody waits for need not be known.
        let first = first.unwrap_or(epoch);
        let needed = self.samples.partition_point(|sample| sample.epoch <= first);
        self.samples.drain(..needed.saturating_sub(1).max(self.samples.len().saturating_sub(MOST)));
        let wall = clock.synchronised().then(|| clock.wall());
        self.samples.push(Sample { epoch, at: now, wall });
        self.is_new = true;
    }

    /// What is to be kept with the next commit, if anything new is.
    pub fn entry(&mut self) -> Option<Entry> {
        if !std::mem::take(&mut self.is_new) {
            return None;
        }
        let mut value = vec![VERSION];
        put_number(&mut value, self.samples.len() as u64);
        for sample in &self.samples {
            put_number(&mut value, sample.epoch.0);
            put_signed(&mut value, sample.wall.map_or(i64::MIN, |wall| wall.0));
        }
        Some(Entry { key: StateKey::new(self.node, KEYLESS, KEY), value: Some(value.into()) })
    }

    /// The last epoch whose output has waited for longer than that; None if none has.
    pub fn older_than(&self, most: Millis, now: Millis) -> Option<Epoch> {
        let limit = now.0 - most.0;
        let Some(last) = self.samples.partition_point(|sample| sample.at.0 < limit).checked_sub(1) else {
            let is_unknown = self.samples.is_empty() && self.began.0 < limit;
            return is_unknown.then_some(Epoch(u64::MAX));
        };
        // What came behind a sample came soon, else there would be another.
        let (known, next) = (&self.samples[last], self.samples.get(last + 1));
        let is_over = known.at.0 + self.every.unwrap_or_default().0 < limit;
        Some(match (is_over, next) {
            (false, _) => known.epoch,
            (true, Some(next)) => Epoch(next.epoch.0.saturating_sub(1)),
            (true, None) => Epoch(u64::MAX),
        })
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<(Epoch, Option<Timestamp>)>, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(Malformed("ages of a later version"));
    }
    let mut samples = Vec::new();
    for _ in 0..reader.count()? {
        let (epoch, wall) = (Epoch(reader.number()?), reader.signed()?);
        samples.push((epoch, (wall != i64::MIN).then_some(Timestamp(wall))));
    }
    reader.finish()?;
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::disk::{Disk, SimulatedDisk};
    use crate::state::{self, Changes, Checkpoint, OnCorruption, OpenOptions, StateLimits};
    use crate::time::VirtualClock;
    use std::sync::Arc;

    #[test]
    fn ages_count_from_the_making_of_output() {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new(1));
        let (limits, on_corruption) = (StateLimits::default(), OnCorruption::Refuse);
        let how = OpenOptions { limits, on_corruption, entropy: 1, now: Timestamp(0) };
        let (mut backend, _) = state::open(&disk, &how).unwrap();
        let (node, most) = (NodeId(3), Millis(64_000));
        let clock = VirtualClock::new(Timestamp(1_000_000));
        let mut ages = Ages::find(node, Some(most), &backend, &clock);
        let mut entries = Vec::new();
        for epoch in 1..=30 {
            ages.note(Epoch(epoch), Some(Epoch(1)), &clock);
            entries.extend(ages.entry());
            clock.advance(Millis(500));
        }
        assert_eq!(entries.len(), 15, "a 64th of the time is a second");
        let checkpoint =
            Checkpoint { epoch: Epoch(30), entries: entries.split_off(14), ..Checkpoint::default() };
        backend.commit(Changes { checkpoint: Some(checkpoint), ..Changes::default() }).unwrap();

        // A minute later, in another run.
        let clock = VirtualClock::new(Timestamp(1_060_000));
        let ages = Ages::find(node, Some(most), &backend, &clock);
        let old = |after: i64| ages.older_than(most, clock.elapsed() + Millis(after));
        assert_eq!(old(4_000), None);
        assert_eq!(old(4_001), Some(Epoch(1)));
        assert_eq!(old(5_002), Some(Epoch(3)));
        assert_eq!(old(20_000), Some(Epoch(u64::MAX)));
        // Nobody knows what the time was.
        let clock = VirtualClock::new(Timestamp(0));
        clock.set_synchronised(false);
        let ages = Ages::find(node, Some(most), &backend, &clock);
        assert_eq!(ages.older_than(most, most), None);
        assert!(ages.older_than(most, most + Millis(2)).is_some());
    }
}
