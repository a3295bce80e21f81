//! The numbers of this module. Each kind is a type of its own, so that none is taken for another.

use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($of:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $of);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Counts checkpoints, from 1; 0 is before the first.
    Epoch(u64)
}
number! {
    /// Counts commits of a log, from 1; 0 is before the first. One commit is one sync.
    Sequence(u64)
}
number! {
    /// Counts segments of a log, from 1.
    SegmentNumber(u64)
}
number! {
    /// Which life of a data directory this is: random, and renewed when it starts afresh, is restored, or lost
    /// something.
    Incarnation(u64)
}
number! {
    /// One state of one node of the pipeline, or its source or sink: a number given once in the life of a data
    /// directory, see [`super::Node`].
    NodeId(u32)
}
number! {
    /// A hash of how a node's state is laid out: state is only given back to a node of the same shape.
    ShapeHash(u64)
}
number! {
    /// Counts the chunks of output that a sink gets of one epoch, from 0.
    ChunkNumber(u32)
}
number! {
    /// Counts the rows of a chunk, from 0.
    RowNumber(u32)
}
number! {
    /// Which 256th of all keys a key belongs to. A node's state is saved, restored and moved to other workers by
    /// these.
    KeyGroup(u8)
}

impl KeyGroup {
    /// How many there are.
    pub const COUNT: usize = 256;

    /// The group of a key in its canonical form: the top byte of its hash.
    pub fn of(key: &[u8]) -> KeyGroup {
        KeyGroup::of_hash(xxh3_64(key))
    }

    /// The same where the unseeded XXH3 hash of the key is known.
    pub fn of_hash(hash: u64) -> KeyGroup {
        KeyGroup((hash >> 56) as u8)
    }

    /// All groups, in order.
    pub fn all() -> impl Iterator<Item = KeyGroup> {
        (0..=u8::MAX).map(KeyGroup)
    }
}

impl Epoch {
    /// The one after.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl Sequence {
    /// The one after.
    pub fn next(self) -> Sequence {
        Sequence(self.0 + 1)
    }
}

impl SegmentNumber {
    /// The one after.
    pub fn next(self) -> SegmentNumber {
        SegmentNumber(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_in_its_group() {
        // These are on people's disks: they never change.
        let groups = [b"".as_slice(), b"a"].map(KeyGroup::of);
        assert_eq!(groups.map(|group| group.0), [0x2d, 0xe6]);
    }

    #[test]
    fn keys_spread_over_all_groups() {
        let mut found = [0; KeyGroup::COUNT];
        for key in 0..100_000u32 {
            found[KeyGroup::of(&key.to_le_bytes()).0 as usize] += 1;
        }
        assert!(found.iter().all(|&count| (250..550).contains(&count)));
    }
}
