//! When keys are due. Keys that are due at the same time form a list in the order they came to it.

use super::KeyId;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// The keys that are due, by time. Each is at most once in it.
pub struct Timers {
    lists: BTreeMap<Timestamp, List>,
    /// Where each key stands, by its number.
    links: Vec<Option<Link>>,
    /// The earliest time at which something is due; the end of time if nothing is.
    first: Timestamp,
}

#[derive(Clone, Copy)]
struct List {
    head: KeyId,
    tail: KeyId,
}

#[derive(Clone, Copy)]
struct Link {
    due: Timestamp,
    before: Option<KeyId>,
    behind: Option<KeyId>,
}

/// Room for so many keys stays when none is left.
const KEPT: usize = 4096;

impl Default for Timers {
    fn default() -> Timers {
        Timers { lists: BTreeMap::new(), links: Vec::new(), first: Timestamp::MAX }
    }
}

impl Timers {
    /// The earliest time at which a key is due.
    #[inline]
    pub fn next(&self) -> Option<Timestamp> {
        (!self.lists.is_empty()).then_some(self.first)
    }

    /// When the key is due.
    pub fn of(&self, key: KeyId) -> Option<Timestamp> {
        Some((*self.links.get(key.0 as usize)?)?.due)
    }

    /// Makes the key due at that time, and at no other.
    pub fn set(&mut self, key: KeyId, due: Timestamp) {
        self.clear(key);
        let index = key.0 as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, None);
        }
        let list = self.lists.entry(due).or_insert(List { head: key, tail: key });
        let before = (list.tail != key).then_some(list.tail);
        list.tail = key;
        if let Some(link) = before.and_then(|before| self.links[before.0 as usize].as_mut()) {
            link.behind = Some(key);
        }
        self.links[index] = Some(Link { due, before, behind: None });
        self.first = self.first.min(due);
    }

    /// Makes the key due at no time.
    pub fn clear(&mut self, key: KeyId) {
        let Some(link) = self.links.get_mut(key.0 as usize).and_then(Option::take) else { return };
        for (beside, to, is_before) in [(link.before, link.behind, true), (link.behind, link.before, false)] {
            if let Some(beside) = beside.and_then(|beside| self.links[beside.0 as usize].as_mut()) {
                *(if is_before { &mut beside.behind } else { &mut beside.before }) = to;
            }
        }
        match (link.before, link.behind) {
            (Some(_), Some(_)) => {}
            (None, None) => self.remove_list(link.due),
            (before, behind) => {
                if let Some(list) = self.lists.get_mut(&link.due) {
                    list.head = behind.filter(|_| before.is_none()).unwrap_or(list.head);
                    list.tail = before.filter(|_| behind.is_none()).unwrap_or(list.tail);
                }
            }
        }
    }

    fn remove_list(&mut self, due: Timestamp) {
        self.lists.remove(&due);
        if due == self.first {
            self.first = self.lists.first_key_value().map_or(Timestamp::MAX, |(due, _)| *due);
        }
        if self.lists.is_empty() && self.links.len() > KEPT {
            self.links = Vec::new();
        }
    }

    /// Takes out the key that is due first, if its time is not behind `until`.
    #[inline]
    pub fn take(&mut self, until: Timestamp) -> Option<(Timestamp, KeyId)> {
        if self.first > until {
            return None;
        }
        let (due, key) = self.lists.first_key_value().map(|(due, list)| (*due, list.head))?;
        self.clear(key);
        Some((due, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Random;

    /// Lists of keys by time, as plain vectors.
    #[test]
    fn keys_come_out_in_the_order_they_went_in() {
        let (mut timers, mut model) = (Timers::default(), Vec::<(Timestamp, KeyId)>::new());
        let mut random = Random::seeded(5);
        for _ in 0..20_000 {
            let roll = random.bits();
            let (key, due) = (KeyId((roll >> 8) as u32 % 20), Timestamp((roll >> 40) as i64 % 6));
            match roll % 4 {
                0 | 1 => {
                    timers.set(key, due);
                    model.retain(|(_, other)| *other != key);
                    model.push((due, key));
                    model.sort_by_key(|(due, _)| *due);
                }
                2 => {
                    timers.clear(key);
                    model.retain(|(_, other)| *other != key);
                }
                _ => {
                    let first = model.first().copied().filter(|(first, _)| *first <= due);
                    assert_eq!(timers.take(due), first);
                    model.retain(|entry| Some(*entry) != first);
                }
            }
            assert_eq!(timers.next(), model.first().map(|(due, _)| *due));
            let of = model.iter().find(|(_, other)| *other == key).map(|(due, _)| *due);
            assert_eq!(timers.of(key), of);
        }
    }

    #[test]
    fn what_is_due_at_the_end_of_time_comes_then() {
        let mut timers = Timers::default();
        assert_eq!(timers.take(Timestamp::MAX), None);
        timers.set(KeyId(7), Timestamp::MAX);
        assert_eq!((timers.next(), timers.take(Timestamp(0))), (Some(Timestamp::MAX), None));
        assert_eq!(timers.take(Timestamp::MAX), Some((Timestamp::MAX, KeyId(7))));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn memory_is_given_back() {
        let mut timers = Timers::default();
        (0..2 * KEPT as u32).for_each(|key| timers.set(KeyId(key), Timestamp(1)));
        while timers.take(Timestamp(1)).is_some() {}
        assert_eq!(timers.links.capacity(), 0);
    }
}
