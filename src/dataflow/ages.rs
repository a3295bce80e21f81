//! When keys are forgotten that have no events any more: `state_ttl`.

use super::keys::KeyId;
use super::timers::Timers;
use crate::time::{Millis, Timestamp};

/// A time-to-live is cut into so many granules of event time.
const GRANULES: i64 = 32;

/// When each key is forgotten: once the watermark is the time-to-live behind the end of the granule in which the last
/// event of the key fell. An event falls where its time is, or where the watermark was that it met, if that is later.
///
/// So a key lives for the time-to-live since its last event, and for up to a granule longer. What has to be saved of that
/// changes with the granule and not with every event, and follows from the events alone: keys are forgotten at the same
/// event however events were cut into batches, whenever the process was started again, and on whichever worker.
pub struct Ages {
    ttl: Millis,
    granule: i64,
    timers: Timers,
    /// The granule that was asked for last: where it begins and ends.
    at_hand: (Timestamp, Timestamp),
}

impl Ages {
    /// For that time-to-live, which is positive.
    pub fn new(ttl: Millis) -> Ages {
        let granule = (ttl.0 / GRANULES).max(1);
        Ages { ttl, granule, timers: Timers::default(), at_hand: (Timestamp::MAX, Timestamp::MIN) }
    }

    /// The key has an event, or is new. Tells whether what has to be saved of it has changed.
    #[inline]
    pub fn touch(&mut self, key: KeyId, time: Timestamp, watermark: Timestamp) -> bool {
        // At the end of input the watermark is no time.
        let at = if watermark == Timestamp::MAX { time } else { time.max(watermark) };
        let due = self.end_of(at) + self.ttl;
        if self.timers.of(key).is_some_and(|known| known >= due) {
            return false;
        }
        self.timers.set(key, due);
        true
    }

    /// The end of the granule of a time.
    #[inline]
    fn end_of(&mut self, time: Timestamp) -> Timestamp {
        if time < self.at_hand.0 || time >= self.at_hand.1 {
            let start = Timestamp(time.0.div_euclid(self.granule).saturating_mul(self.granule));
            self.at_hand = (start, start + Millis(self.granule));
        }
        self.at_hand.1
    }

    /// Takes out a key whose time has come by then.
    #[inline]
    pub fn take(&mut self, watermark: Timestamp) -> Option<KeyId> {
        // At the end of input nothing is forgotten: a run that follows goes on.
        if watermark == Timestamp::MAX { None } else { self.timers.take(watermark).map(|(_, key)| key) }
    }

    /// When the next key is forgotten.
    pub fn next(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// The key is gone.
    pub fn clear(&mut self, key: KeyId) {
        self.timers.clear(key);
    }

    /// The end of the granule of its last event: what has to be saved of a key.
    pub fn stamp(&self, key: KeyId) -> Option<Timestamp> {
        self.timers.of(key).map(|due| due - self.ttl)
    }

    /// Takes back what was saved of a key, maybe with another time-to-live.
    pub fn restore(&mut self, key: KeyId, stamp: Timestamp) {
        self.timers.set(key, stamp + self.ttl);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_as_long_as_it_should_and_a_granule_at_most() {
        let (ttl, granule) = (3_200, 100);
        for at in [-250, 0, 1, 99, 100, 12_345] {
            let mut ages = Ages::new(Millis(ttl));
            assert!(ages.touch(KeyId(1), Timestamp(at), Timestamp::MIN));
            assert_eq!(ages.take(Timestamp(at + ttl)), None);
            assert_eq!(ages.take(Timestamp(at + ttl + granule)), Some(KeyId(1)));
            assert_eq!(ages.stamp(KeyId(1)), None);
        }
    }

    #[test]
    fn events_of_one_granule_change_nothing_and_late_ones_count_when_they_come() {
        let mut ages = Ages::new(Millis(3_200));
        assert!(ages.touch(KeyId(0), Timestamp(10), Timestamp::MIN));
        assert!(!ages.touch(KeyId(0), Timestamp(99), Timestamp(20)));
        assert!(!ages.touch(KeyId(0), Timestamp(-500), Timestamp(20)), "an early time takes nothing back");
        assert!(ages.touch(KeyId(0), Timestamp(-500), Timestamp(101)), "a late event counts as of now");
        assert_eq!(ages.stamp(KeyId(0)), Some(Timestamp(200)));
    }

    #[test]
    fn the_end_of_input_is_no_time() {
        let mut ages = Ages::new(Millis(3_200));
        ages.touch(KeyId(0), Timestamp(10), Timestamp::MAX);
        assert_eq!(ages.stamp(KeyId(0)), Some(Timestamp(100)));
        assert_eq!(ages.take(Timestamp::MAX), None);
        let stamp = ages.stamp(KeyId(0)).expect("it is there");
        let mut later = Ages::new(Millis(50));
        later.restore(KeyId(7), stamp);
        assert_eq!((later.next(), later.take(Timestamp(150))), (Some(Timestamp(150)), Some(KeyId(7))));
    }
}
