//! What of a tracker is kept across restarts: how far each partition and each of its keys has come.
//!
//! What is known of their being empty is not: a partition must be quiet anew before it is idle, but one that was idle
//! stays so until its next event.

use super::{Partition, Progress, WatermarkTracker};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_time};
use crate::time::Timestamp;

/// The longest name of a partition.
const MOST_NAME: usize = u32::MAX as usize;

/// What the name begins with under which it is kept how far a key has come.
const KEY: u8 = 1;

/// How far a key of `partition_by` has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyMark {
    /// Its highest event time.
    pub highest: Timestamp,
    /// Whether it holds the watermark: it is not idle.
    pub holds: bool,
}

impl KeyMark {
    /// Appends it.
    pub fn encode(self, into: &mut Vec<u8>) {
        put_time(into, self.highest);
        into.push(u8::from(self.holds));
    }

    /// Reads what [`KeyMark::encode`] wrote, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<KeyMark, Malformed> {
        let mut reader = Reader::new(bytes);
        let mark = KeyMark { highest: reader.time()?, holds: reader.flag()? };
        reader.finish().map(|()| mark)
    }
}

/// The name under which it is kept how far a key of a partition has come; no other begins so. Partitions go by their own
/// names, as others come and go.
pub fn key_name(partition: &[u8], key: &[u8]) -> Vec<u8> {
    let mut name = vec![KEY];
    put_bytes(&mut name, partition);
    name.extend_from_slice(key);
    name
}

/// The partition and the key that such a name is of.
///
/// # Errors
/// It is none.
pub fn read_key_name(name: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut reader = Reader::new(name);
    if reader.byte()? != KEY {
        return Err(Malformed("no name of a key"));
    }
    let partition = reader.bytes(MOST_NAME)?;
    Ok((partition, reader.take(reader.remaining())?))
}

/// The partition and the key that stand together in the table.
pub(super) fn split(key: &[u8]) -> (Partition, &[u8]) {
    // What is in the table was put together of both.
    key.split_first_chunk()
        .map_or((Partition(0), key), |(number, key)| (Partition(u32::from_le_bytes(*number)), key))
}

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

    /// Appends the watermark.
    pub fn save(&self, into: &mut Vec<u8>) {
        put_time(into, self.last());
    }

    /// Tells which keys of `partition_by` are gone of those that [`WatermarkTracker::take_changes`] told of. To be asked
    /// before that, as they may have come back.
    pub fn take_gone(&mut self, tell: &mut dyn FnMut(Partition, &[u8])) {
        for key in self.gone.drain(..) {
            let (partition, key) = split(&key);
            tell(partition, key);
        }
    }

    /// Tells how far keys of `partition_by` have come that have changed since this was called last.
    pub fn take_changes(&mut self, tell: &mut dyn FnMut(Partition, &[u8], KeyMark)) {
        if !std::mem::take(&mut self.has_changed) {
            return;
        }
        for (key, number) in &self.keys {
            let holder = &mut self.holders[*number as usize];
            if std::mem::take(&mut holder.changed) {
                holder.saved = true;
                // At the end of input nothing holds any more; there may be more input behind a restart.
                let holds = holder.holds || self.feeds[holder.feed as usize].closed;
                let (partition, key) = split(key);
                tell(partition, key, KeyMark { highest: holder.highest, holds });
            }
        }
    }

    /// A key of `partition_by` had come so far, before the first event. Where it is told of more than once, the farthest
    /// counts. `is_saved` says that it need not be saved again.
    ///
    /// # Errors
    /// There are too many.
    pub fn load_key(
        &mut self,
        partition: Partition,
        key: &[u8],
        mark: KeyMark,
        is_saved: bool,
    ) -> Result<(), Malformed> {
        let number = self.holder_of(partition, key).map_err(|_| Malformed("too many keys"))?;
        // The keys hold the watermark, and the partition itself no longer does.
        self.release(partition.0 as usize);
        self.place(number, mark.highest, mark.holds);
        let holder = &mut self.holders[number];
        (holder.saved, holder.changed) = (holder.saved || is_saved, holder.changed || !is_saved);
        self.has_changed |= !is_saved;
        Ok(())
    }

    /// Takes back what [`WatermarkTracker::save`] wrote, before the first event. Where several were saved for what is one
    /// now, the watermark is the least of theirs.
    ///
    /// # Errors
    /// The bytes do not begin with one.
    pub fn load(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        self.load_watermark(reader.time()?);
        Ok(())
    }

    /// The same of a watermark that was read already.
    pub fn load_watermark(&mut self, watermark: Timestamp) {
        self.watermark = if self.loaded { self.watermark.min(watermark) } else { watermark };
        self.loaded = true;
    }

    /// The watermark of a partition that is not divided by keys: [`Timestamp::MIN`] before its first event, and
    /// [`Timestamp::MAX`] where it holds nothing back.
    pub fn watermark_of(&self, partition: Partition) -> Timestamp {
        self.least.get(partition.0 as usize)
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
    use std::collections::{BTreeMap, BTreeSet};

    const IN_ORDER: Progress = Progress::Events { out_of_order: Millis(3) };

    /// What was saved of a tracker: watermark and partitions, and the keys.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Kept {
        bytes: Vec<u8>,
        keys: BTreeMap<Vec<u8>, Vec<u8>>,
    }

    impl Kept {
        /// Returns how many keys were saved.
        fn save(&mut self, tracker: &mut WatermarkTracker, partitions: u32) -> usize {
            self.bytes.clear();
            for number in 0..partitions {
                put_time(&mut self.bytes, tracker.highest_of(Partition(number)).unwrap_or(Timestamp::MIN));
            }
            tracker.save(&mut self.bytes);
            let (mut saved, keys) = (0, &mut self.keys);
            let name = |partition: Partition, key: &[u8]| key_name(&partition.0.to_le_bytes(), key);
            tracker.take_gone(&mut |partition, key| {
                assert!(keys.remove(&name(partition, key)).is_some(), "it was never told of");
            });
            tracker.take_changes(&mut |partition, key, mark| {
                let bytes = keys.entry(name(partition, key)).or_default();
                bytes.clear();
                mark.encode(bytes);
                saved += 1;
            });
            saved
        }

        fn load(&self, partitions: u32) -> Result<WatermarkTracker, Malformed> {
            let mut tracker = WatermarkTracker::new(IN_ORDER, None, partitions);
            let mut reader = Reader::new(&self.bytes);
            for number in 0..partitions {
                tracker.resume(Partition(number), reader.time()?);
            }
            tracker.load(&mut reader)?;
            reader.finish()?;
            for (name, mark) in &self.keys {
                let (partition, key) = read_key_name(name)?;
                let partition = Partition(partition.first().copied().unwrap_or_default().into());
                tracker.load_key(partition, key, KeyMark::decode(mark)?, true)?;
            }
            Ok(tracker)
        }
    }

    #[test]
    fn a_tracker_that_was_saved_goes_on_the_same() {
        for seed in 0..40 {
            let mut random = Random::seeded(seed);
            let by_key = seed % 2 == 0;
            let mut one = WatermarkTracker::new(IN_ORDER, None, 3);
            let mut other = WatermarkTracker::new(IN_ORDER, None, 3);
            let (mut kept, mut touched) = (Kept::default(), BTreeSet::new());
            for _ in 0..200 {
                let roll = random.bits();
                let (partition, time) = (Partition(roll as u32 % 3), Timestamp((roll >> 8) as i64 % 500));
                for tracker in [&mut one, &mut other] {
                    let key = [(roll >> 40) as u8 % 5];
                    let taken = match by_key && partition.0 > 0 {
                        true => tracker.observe_key(partition, &key, time).map(drop),
                        false => tracker.observe(partition, time),
                    };
                    assert!(taken.is_ok());
                }
                assert_eq!(one.watermark(), other.watermark());
                touched.insert((partition, by_key && partition.0 > 0, (roll >> 40) as u8 % 5));
                if (roll >> 50).is_multiple_of(8) {
                    let saved = kept.save(&mut other, 3);
                    let most = touched.iter().filter(|(_, is_key, _)| *is_key).count();
                    assert!(saved <= most, "only what has changed: {saved}, {most}");
                    touched.clear();
                    other = kept.load(3).expect("readable");
                    let before = kept.clone();
                    assert_eq!(kept.save(&mut other, 3), 0);
                    assert_eq!(kept, before);
                    assert_eq!(other.watermark(), one.watermark());
                    for end in 0..kept.bytes.len() {
                        let cut = Kept { bytes: kept.bytes[..end].to_vec(), ..kept.clone() };
                        assert!(cut.load(3).is_err());
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
        let mut kept = Kept::default();
        kept.save(&mut tracker, 1);
        let mut again = kept.load(1).expect("readable");
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
        let mut kept = Kept::default();
        kept.save(&mut tracker, 1);
        for bit in 0..kept.bytes.len() * 8 {
            let mut broken = kept.clone();
            broken.bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(mut tracker) = broken.load(1) {
                let _ = tracker.observe_key(Partition(0), &[1], Timestamp(50));
            }
        }
        for name in [&[][..], &[0], &[1], &[1, 5, 0]] {
            assert!(read_key_name(name).is_err());
        }
    }

    #[test]
    fn keys_that_go_are_told_of_once() {
        let mut tracker = WatermarkTracker::new(IN_ORDER, None, 2);
        let mut kept = Kept::default();
        for (partition, key) in [(0, 1), (0, 2), (1, 1)] {
            assert!(tracker.observe_key(Partition(partition), &[key], Timestamp(10)).is_ok());
        }
        assert_eq!(kept.save(&mut tracker, 2), 3);
        assert!(tracker.observe_key(Partition(0), &[3], Timestamp(4)).is_ok());
        assert_eq!(tracker.watermark(), Timestamp(7));
        tracker.close(Partition(0));
        tracker.forget(Partition(0));
        // It was never saved, and another comes back before the next save.
        tracker.add(Partition(0));
        assert!(tracker.observe_key(Partition(0), &[2], Timestamp(11)).is_ok());
        assert_eq!(kept.save(&mut tracker, 2), 1);
        assert_eq!(kept.keys.len(), 2);
        assert!(tracker.observe_key(Partition(1), &[1], Timestamp(20)).is_ok());
        assert_eq!(tracker.watermark(), Timestamp(8));
    }
}
