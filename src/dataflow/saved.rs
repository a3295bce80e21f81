//! What an operator keeps across restarts: bytes under keys, and bytes of each worker's own.
//!
//! Where state is durable, every operator is asked at each checkpoint what changed since the one before
//! ([`Saving`]), and at a start gets back all that was saved ([`Saved`]). Entries of a key belong to the worker that owns
//! the key's group, so that they find their way when the number of workers has changed. What belongs to no key (a
//! watermark, a count of arrivals) each worker saves for itself, and at a start every worker sees those of all.

use crate::event::bytes::{Malformed, Reader, put_number};
use crate::state::{Entry, KeyGroup, NodeId, StateKey};
use crate::time::Env;
use std::ops::RangeInclusive;

/// What bytes begin with that are every worker's: they are read first.
const SHARED: u8 = 0;
/// What bytes of a worker's own begin with: they are read before all that is kept by key.
const OWN: u8 = 1;
/// What bytes of a key begin with.
const KEYED: u8 = 2;

/// The group of a key of no fields, whose rows stay on the first worker, and of all that is not kept by key.
pub const KEYLESS: KeyGroup = KeyGroup(0);

/// The group whose worker owns a key, as [`crate::event::encode_key`] writes it.
pub fn group_of(key: &[u8]) -> KeyGroup {
    if key.is_empty() { KEYLESS } else { KeyGroup::of(key) }
}

/// The worker, of so many, that owns a group.
pub fn owner_of(group: KeyGroup, workers: usize) -> usize {
    // The high bits choose the worker, as the low ones place keys in its tables.
    (group.0 as usize * workers) >> 8
}

/// The groups that a worker, of so many, owns: neighbours. None where there are more workers than groups.
pub fn groups_of(worker: usize, workers: usize) -> Option<RangeInclusive<KeyGroup>> {
    let from = |worker: usize| (worker * KeyGroup::COUNT).div_ceil(workers);
    let (first, behind) = (from(worker), from(worker + 1));
    (first < behind).then(|| KeyGroup(first as u8)..=KeyGroup((behind - 1) as u8))
}

/// Where one operator says what changed since it was asked last.
pub struct Saving<'a> {
    node: NodeId,
    worker: usize,
    env: &'a Env,
    entries: &'a mut Vec<Entry>,
    scratch: Vec<u8>,
}

impl<'a> Saving<'a> {
    /// For the state of that number, on a worker.
    pub fn new(node: NodeId, worker: usize, env: &'a Env, entries: &'a mut Vec<Entry>) -> Saving<'a> {
        Saving { node, worker, env, entries, scratch: Vec::new() }
    }

    /// Time of day and time elapsed: deadlines in processing time are saved as the time that is left.
    pub fn env(&self) -> &Env {
        self.env
    }

    /// New bytes of a part of a key. `key` is as [`crate::event::encode_key`] writes it; a key that has one part only
    /// gives an empty one.
    pub fn put(&mut self, key: &[u8], part: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        let value = Some(self.scratch.as_slice().into());
        self.entries.push(Entry { key: keyed(self.node, key, part), value });
    }

    /// A part of a key is gone.
    pub fn remove(&mut self, key: &[u8], part: &[u8]) {
        self.entries.push(Entry { key: keyed(self.node, key, part), value: None });
    }

    /// New bytes of this worker's own, under a name of at least no bytes. To be called only when they have changed.
    pub fn put_own(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        let value = Some(self.scratch.as_slice().into());
        self.entries.push(Entry { key: own_key(self.node, self.worker, name), value });
    }

    /// Bytes that are every worker's own, and that stay: whoever saves something under the name saves the same.
    pub fn put_shared(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        let value = Some(self.scratch.as_slice().into());
        self.entries
            .push(Entry { key: StateKey::new(self.node, KEYLESS, &[&[SHARED], name].concat()), value });
    }

    /// The number of the worker.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Bytes of this worker's own are gone. Those of workers that are no more go without that: what this one took of them it
    /// saves as its own when it is asked first.
    pub fn remove_own(&mut self, name: &[u8]) {
        self.entries.push(Entry { key: own_key(self.node, self.worker, name), value: None });
    }
}

fn keyed(node: NodeId, key: &[u8], part: &[u8]) -> StateKey {
    let mut bytes = Vec::with_capacity(1 + key.len() + part.len());
    bytes.push(KEYED);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(part);
    StateKey::new(node, group_of(key), &bytes)
}

/// The key of bytes of a worker's own.
pub fn own_key(node: NodeId, worker: usize, name: &[u8]) -> StateKey {
    let mut bytes = vec![OWN];
    put_number(&mut bytes, worker as u64);
    bytes.extend_from_slice(name);
    StateKey::new(node, KEYLESS, &bytes)
}

/// Whether a key of a node's state is that of a worker's own bytes, or of every worker's.
pub fn is_own(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(SHARED | OWN)))
}

/// The worker whose own bytes a key of a node's state is that of; None if it is no such key.
pub fn own_worker(key: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(key);
    if reader.byte().ok()? == OWN { reader.number().ok() } else { None }
}

/// One thing that was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved<'a> {
    /// Bytes of a part of a key of this worker. A key's parts come one after the other, in order.
    Keyed {
        /// The key and behind it the part. A key says itself where it ends, see [`crate::event::split_key`].
        key: &'a [u8],
        /// The bytes.
        value: &'a [u8],
    },
    /// Bytes that a worker saved for itself, or that are every worker's. They come before all that is kept by key, and those
    /// that are every worker's before the others.
    Own {
        /// Whether this worker is to go on with them; each is given to exactly one that is. Others may look at them.
        mine: bool,
        /// Whether there were more workers then, or fewer: what any of them had passed, rows that come to this one may not
        /// have.
        moved: bool,
        /// Their name.
        name: &'a [u8],
        /// The bytes.
        value: &'a [u8],
    },
}

impl<'a> Saved<'a> {
    /// What an entry of a node's state is to a worker of so many; None if it is another's.
    pub fn read(
        group: KeyGroup,
        key: &'a [u8],
        value: &'a [u8],
        (me, workers): (usize, usize),
    ) -> Result<Option<Saved<'a>>, Malformed> {
        let mut reader = Reader::new(key);
        match reader.byte()? {
            SHARED => {
                let name = reader.take(reader.remaining())?;
                Ok(Some(Saved::Own { mine: false, moved: false, name, value }))
            }
            OWN => {
                let from = reader.number()?;
                let name = reader.take(reader.remaining())?;
                let mine = from % workers as u64 == me as u64;
                Ok(Some(Saved::Own { mine, moved: false, name, value }))
            }
            KEYED if owner_of(group, workers) != me => Ok(None),
            KEYED => Ok(Some(Saved::Keyed { key: reader.take(reader.remaining())?, value })),
            _ => Err(Malformed("a key of no kind that is known")),
        }
    }

    /// The same, saved by more workers than there are now, or by fewer, if `moved`.
    pub fn moved(self, moved: bool) -> Saved<'a> {
        match self {
            Saved::Own { mine, name, value, .. } => Saved::Own { mine, moved, name, value },
            Saved::Keyed { .. } => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Millis, Random, Timestamp};

    #[test]
    fn groups_of_a_worker_are_those_that_it_owns() {
        for workers in [1, 2, 3, 7, 64, 255, 256, 300] {
            let mut next = 0;
            for worker in 0..workers {
                for group in
                    groups_of(worker, workers).into_iter().flat_map(|all| all.start().0..=all.end().0)
                {
                    assert_eq!((usize::from(group), owner_of(KeyGroup(group), workers)), (next, worker));
                    next += 1;
                }
            }
            assert_eq!(next, KeyGroup::COUNT);
        }
    }

    #[test]
    fn what_was_saved_is_given_to_who_owns_it() {
        let env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
        let mut entries = Vec::new();
        for worker in 0..3 {
            let mut saving = Saving::new(NodeId(4), worker, &env, &mut entries);
            saving.put_own(b"", |into| into.push(worker as u8));
        }
        let mut saving = Saving::new(NodeId(4), 0, &env, &mut entries);
        (0..100u8).for_each(|key| saving.put(&[key], b"p", |into| into.push(key)));
        saving.put(b"", b"", |into| into.push(200));
        for workers in 1..5 {
            let (mut mine, mut keyed) = (0, 0);
            for entry in &entries {
                let (group, key) = (entry.key.group(), entry.key.key());
                for me in 0..workers {
                    let value = entry.value.as_deref().expect("nothing was removed");
                    match Saved::read(group, key, value, (me, workers)).expect("readable") {
                        Some(Saved::Own { mine: true, name: b"", .. }) => mine += 1,
                        Some(Saved::Keyed { key, value: [byte] }) if *byte != 200 => {
                            assert_eq!(key, [*byte, b'p']);
                            keyed += 1;
                        }
                        Some(Saved::Keyed { key: b"", .. }) => assert_eq!(me, 0),
                        _ => {}
                    }
                }
            }
            assert_eq!((mine, keyed), (3, 100));
        }
    }
}
