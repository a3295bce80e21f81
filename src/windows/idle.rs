//! Keys without windows that stay because of what they carry into the next one.

use super::aggregates::Settled;
use super::panes::Panes;
use crate::dataflow::{KeyId, Keys};
use crate::time::{Millis, Timestamp};
use std::collections::BTreeMap;

/// When to look at such keys. A key is in the list at most once; one that had windows again by then is looked at anew.
pub struct Idle {
    /// How long a key is of use behind its last value.
    keep: Millis,
    by_time: BTreeMap<Timestamp, Vec<KeyId>>,
    /// By key: whether it is in the list.
    listed: Vec<bool>,
}

impl Idle {
    /// No keys. `keep` is how long behind its last value a window may start with it.
    pub fn new(keep: Millis) -> Idle {
        Idle { keep, by_time: BTreeMap::new(), listed: Vec::new() }
    }

    /// Whether a key is in the list.
    pub fn lists(&self, key: KeyId) -> bool {
        self.listed.get(key.0 as usize).is_some_and(|listed| *listed)
    }

    /// A key has no windows, and its last value is of that time.
    pub fn add(&mut self, key: KeyId, last: Timestamp) {
        let index = key.0 as usize;
        if index >= self.listed.len() {
            self.listed.resize(index + 1, false);
        }
        if !self.listed[index] {
            self.listed[index] = true;
            self.by_time.entry(last + self.keep).or_default().push(key);
        }
    }

    /// Gives up the keys that are over by then. What is kept for a key says whether it has windows.
    pub fn expire<T: Default>(
        &mut self,
        watermark: Timestamp,
        keys: &mut Keys<T>,
        panes: &mut Panes,
        has_windows: impl Fn(&T) -> bool,
    ) {
        for key in self.take_due(watermark) {
            if has_windows(&keys.entry(key).item) {
                continue;
            }
            match panes.settle(key, Settled::Before(Timestamp::MIN)) {
                Some(last) if last + self.keep >= watermark => self.add(key, last),
                _ => {
                    panes.forget(key);
                    keys.remove(key);
                }
            }
        }
    }

    /// Takes the keys out that are to be looked at by then.
    fn take_due(&mut self, watermark: Timestamp) -> Vec<KeyId> {
        let mut due = Vec::new();
        while let Some(entry) = self.by_time.first_entry()
            && *entry.key() < watermark
        {
            due.append(&mut entry.remove());
        }
        due.iter().for_each(|key| self.listed[key.0 as usize] = false);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_listed_once_and_looked_at_when_it_is_over() {
        let mut idle = Idle::new(Millis(10));
        idle.add(KeyId(3), Timestamp(5));
        idle.add(KeyId(3), Timestamp(9));
        idle.add(KeyId(1), Timestamp(6));
        assert_eq!(idle.take_due(Timestamp(15)), []);
        assert_eq!(idle.take_due(Timestamp(17)), [KeyId(3), KeyId(1)]);
        idle.add(KeyId(3), Timestamp(9));
        assert_eq!(idle.take_due(Timestamp::MAX), [KeyId(3)]);
        assert_eq!(idle.take_due(Timestamp::MAX), []);
    }
}
