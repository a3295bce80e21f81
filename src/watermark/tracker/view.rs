//! What a tracker tells those who ask why time does not go on: who holds the watermark, and since when.

use super::lasting::split;
use super::{Partition, Progress, WatermarkTracker};
use crate::time::{Millis, Timestamp};
use std::collections::BTreeSet;

/// The most partitions and keys that are told of one by one: those that are furthest behind.
pub const MOST_SHOWN: usize = 8;

/// Whether a partition, or a key of it, holds the watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// It does.
    Holds,
    /// It has had nothing for so long that it does not, or it only finds others.
    Idle,
    /// It has ended.
    Ended,
}

/// How far a partition has come, or a key of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderView {
    /// The partition.
    pub partition: Partition,
    /// The fields of the key, as bytes; None for the partition itself.
    pub key: Option<Vec<u8>>,
    /// The watermark of its own; [`Timestamp::MIN`] before its first event.
    pub watermark: Timestamp,
    /// Its latest event time; [`Timestamp::MIN`] before its first event.
    pub highest: Timestamp,
    /// Whether it holds the watermark of all.
    pub hold: Hold,
    /// For how long it is known to have had nothing.
    pub quiet: Millis,
}

/// How far a source has come on one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerView {
    /// The watermark; before the end of input, if that has come.
    pub watermark: Timestamp,
    /// The latest event time.
    pub highest: Timestamp,
    /// Whether no partition holds the watermark though some are open.
    pub is_idle: bool,
    /// How many partitions and keys hold it, are idle, have ended.
    pub counts: [usize; 3],
    /// Those that are furthest behind, those that hold the watermark first.
    pub slowest: Vec<HolderView>,
}

impl WatermarkTracker {
    /// Who holds the watermark.
    pub fn view(&self) -> TrackerView {
        let mut keys: Vec<Option<&[u8]>> = vec![None; self.holders.len()];
        for (key, number) in &self.keys {
            keys[*number as usize] = Some(split(key).1);
        }
        // A partition that is divided by keys does not count itself.
        let divided: BTreeSet<u32> =
            self.holders[self.feeds.len()..].iter().map(|holder| holder.feed).collect();
        let mut counts = [0; 3];
        let mut all: Vec<HolderView> = Vec::new();
        for (number, holder) in self.holders.iter().enumerate() {
            if keys[number].is_none() && !holder.holds && divided.contains(&holder.feed) {
                continue;
            }
            let view = self.holder_view(number, keys[number]);
            counts[view.hold as usize] += 1;
            all.push(view);
            if all.len() > 4 * MOST_SHOWN {
                keep_slowest(&mut all);
            }
        }
        keep_slowest(&mut all);
        TrackerView {
            watermark: self.last(),
            highest: self.highest,
            is_idle: self.is_idle(),
            counts,
            slowest: all,
        }
    }

    fn holder_view(&self, number: usize, key: Option<&[u8]>) -> HolderView {
        let holder = self.holders[number];
        let feed = self.feeds[holder.feed as usize];
        let hold = match (holder.holds, feed.closed) {
            (_, true) => Hold::Ended,
            (true, false) => Hold::Holds,
            (false, false) => Hold::Idle,
        };
        let watermark = match self.progress {
            Progress::Events { out_of_order } if holder.highest > Timestamp::MIN => {
                holder.highest - out_of_order
            }
            Progress::Events { .. } => Timestamp::MIN,
            Progress::Clock | Progress::Explicit => self.watermark,
        };
        HolderView {
            partition: Partition(holder.feed),
            key: key.map(<[u8]>::to_vec),
            watermark,
            highest: holder.highest,
            hold,
            quiet: feed.quiet - holder.quiet_since,
        }
    }
}

fn keep_slowest(all: &mut Vec<HolderView>) {
    all.sort_by_key(|view| (view.hold, view.watermark));
    all.truncate(MOST_SHOWN);
}
