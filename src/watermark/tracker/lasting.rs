//! What of a tracker is kept across restarts: how far each partition and each of its keys has come.
//!
//! What is known of their being empty is not: a partition must be quiet anew before it is idle, but one that was idle
//! stays so until its next event.

use super::{Partition, Progress, WatermarkTracker};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_time};
use crate::time::Timestamp;

/// Bytes of a key.
const MOST_KEY: usize = u32::MAX as usize;

/// Bytes before a key that say which partition it is of.
const PREFIX: usize = 4;

impl WatermarkTracker {
    /// The watermark; once all input has ended, what it was before.
    pub fn last(&self) -> Timestamp {
        self.before_end.unwrap_or(self.watermark)
    }

    /// The highest event time of a partition, if it has begun and is not divided by keys.
    pub fn highest_of(&self, partition: Partition) -> Option<Timestamp> {
        let highest = self.holders.get(partition.0 as usize)?.highest;
        (highest > Timestamp::MIN).then_some(highest)
    }

    /// A partition had come so far before a restart. To be called before its first event.
    pub fn resume(&mut self, partition: Partition, highest: Timestamp) {
        let holds = self.holders[partition.0 as usize].holds;
        self.place(partition.0 as usize, highest, holds);
    }

    /// Appends the watermark, and how far each key of `partition_by` has come.
    pub fn save(&self, into: &mut Vec<u8>) {
        put_time(into, self.last());
        let mut keys: Vec<&(Box<[u8]>, u32)> = self.keys.iter().collect();
        // In the order in which they came.
        keys.sort_unstable_by_key(|(_, holder)| *holder);
        put_number(into, keys.len() as u64);
        for (key, number) in keys {
            let holder = &self.holders[*number as usize];
            put_number(into, u64::from(holder.feed));
            put_bytes(into, &key[PREFIX..]);
            put_time(into, holder.highest);
            // At the end of input nothing holds any more; there may be more input behind a restart.
            into.push(u8::from(holder.holds || self.feeds[holder.feed as usize].closed));
        }
    }

    /// Takes back what [`WatermarkTracker::save`] wrote, before the first event. Where several were saved for what is one
    /// now, the watermark is the least of theirs, and of a key the farthest counts.
    ///
    /// # Errors
    /// The bytes are none of that, or `partition_by` has too many different values.
    pub fn load(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        self.load_watermark(reader)?;
        for _ in 0..reader.count()? {
            let partition = reader.small()?.checked_rem(self.feeds.len() as u32);
            let partition = Partition(partition.ok_or(Malformed("a key of no partition"))?);
            let key = reader.bytes(MOST_KEY)?;
            let number = self.holder_of(partition, key).map_err(|_| Malformed("too many keys"))?;
            let (highest, holds) = (reader.time()?, reader.flag()?);
            // The keys hold the watermark, and the partition itself no longer does.
            self.release(partition.0 as usize);
            self.place(number, highest, holds);
        }
        Ok(())
    }

    /// Reads the watermark alone of what [`WatermarkTracker::save`] wrote.
    ///
    /// # Errors
    /// The bytes do not begin with one.
    pub fn load_watermark(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let watermark = reader.time()?;
        self.watermark = if self.loaded { self.watermark.min(watermark) } else { watermark };
        self.loaded = true;
        Ok(())
    }

    /// All was taken back. Partitions of several workers may have come together: none holds back what all have passed.
    pub fn loaded(&mut self) {
        if matches!(self.progress, Progress::Events { .. }) && self.least.least() < Timestamp::MAX {
            self.advance_to(self.least.least());
        }
    }

    fn place(&mut self, number: usize, highest: Timestamp, holds: bool) {
        let holder = &mut self.holders[number];
        (holder.highest, holder.holds) = (holder.highest.max(highest), holds);
        if let Progress::Events { out_of_order } = self.progress {
            let least = if holds { holder.highest - out_of_order } else { Timestamp::MAX };
            self.least.set(number, least);
        }
        if highest > self.highest {
            self.highest = highest;
            self.highest_at = self.now.elapsed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Millis, Random};

    const IN_ORDER: Progress = Progress::Events { out_of_order: Millis(3) };

    fn saved(tracker: &WatermarkTracker, partitions: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in 0..partitions {
            put_time(&mut bytes, tracker.highest_of(Partition(number)).unwrap_or(Timestamp::MIN));
        }
        tracker.save(&mut bytes);
        bytes
    }

    fn loaded(bytes: &[u8], partitions: u32) -> Result<WatermarkTracker, Malformed> {
        let mut tracker = WatermarkTracker::new(IN_ORDER, None, partitions);
        let mut reader = Reader::new(bytes);
        for number in 0..partitions {
            tracker.resume(Partition(number), reader.time()?);
        }
        tracker.load(&mut reader)?;
        reader.finish().map(|()| tracker)
    }

    #[test]
    fn a_tracker_that_was_saved_goes_on_the_same() {
        for seed in 0..40 {
            let mut random = Random::seeded(seed);
            let by_key = seed % 2 == 0;
            let mut one = WatermarkTracker::new(IN_ORDER, None, 3);
            let mut other = WatermarkTracker::new(IN_ORDER, None, 3);
            for _ in 0..200 {
                let roll = random.bits();
                let (partition, time) = (Partition(roll as u32 % 3), Timestamp((roll >> 8) as i64 % 500));
                for tracker in [&mut one, &mut other] {
                    let key = [(roll >> 40) as u8 % 5];
                    let taken = match by_key && partition.0 > 0 {
                        true => tracker.observe_key(partition, &key, time),
                        false => tracker.observe(partition, time),
                    };
                    assert!(taken.is_ok());
                }
                assert_eq!(one.watermark(), other.watermark());
                if (roll >> 50).is_multiple_of(8) {
                    let bytes = saved(&other, 3);
                    other = loaded(&bytes, 3).expect("readable");
                    assert_eq!(saved(&other, 3), bytes);
                    assert_eq!(other.watermark(), one.watermark());
                    for end in 0..bytes.len() {
                        assert!(loaded(&bytes[..end], 3).is_err());
                    }
                }
            }
        }
    }

    #[test]
    fn the_end_of_time_is_not_kept() {
        let mut tracker = WatermarkTracker::new(IN_ORDER, None, 1);
        assert!(tracker.observe(Partition(0), Timestamp(10)).is_ok());
        tracker.close(Partition(0));
        assert_eq!((tracker.watermark(), tracker.last()), (Timestamp::MAX, Timestamp(7)));
        let mut again = loaded(&saved(&tracker, 1), 1).expect("readable");
        assert_eq!(again.watermark(), Timestamp(7));
        assert!(again.observe(Partition(0), Timestamp(11)).is_ok());
        assert_eq!(again.watermark(), Timestamp(8));
    }

    #[test]
    fn broken_bytes_are_no_reason_to_panic() {
        let mut tracker = WatermarkTracker::new(IN_ORDER, None, 1);
        for key in 0..4u8 {
            assert!(tracker.observe_key(Partition(0), &[key], Timestamp(i64::from(key))).is_ok());
        }
        let bytes = saved(&tracker, 1);
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            if let Ok(mut tracker) = loaded(&broken, 1) {
                let _ = tracker.observe_key(Partition(0), &[1], Timestamp(50));
            }
        }
    }
}
