//! What is in the log but not yet in the store, packed: a million small keys may be there at once.
//!
//! Keys in order, cut into blocks of some kilobytes, each key as the number of bytes that it shares with the one before and
//! the rest. A key alone in a tree with its value takes twice as much. Whatever changes in a block, the block is written anew.

use super::checkpoint::Entry;
use super::keyed::{KeyBounds, StateKey, prefix_bounds};
use super::number::NodeId;
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number};
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::Bound;

/// At about this size a block is divided.
const BLOCK_BYTES: usize = 4 << 10;
/// What a block takes in memory beside its bytes and its first key, about.
const BLOCK_OVERHEAD: usize = 64;

/// New bytes of keys, or that they are gone.
#[derive(Clone, Debug, Default)]
pub struct Memtable {
    /// Nodes of which nothing counts that is in the store.
    dropped: BTreeSet<NodeId>,
    /// By the first key in them.
    blocks: BTreeMap<Box<[u8]>, Box<[u8]>>,
    entries: usize,
    bytes: usize,
}

impl Memtable {
    /// Takes the newest bytes of a key; None if it is gone.
    pub fn put(&mut self, key: StateKey, value: Option<Box<[u8]>>) {
        self.take_in(&[Entry { key, value }]);
    }

    /// The same for keys in their order, none of them twice.
    pub fn take_in(&mut self, entries: &[Entry]) {
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let place = self.place(first.key.as_bytes());
            let next = place.as_ref().and_then(|place| self.place_behind(place));
            let count = rest.partition_point(|entry| next.is_none_or(|next| entry.key.as_bytes() < next));
            let (here, behind) = rest.split_at(count);
            let old = place.and_then(|place| self.take_block(&place)).unwrap_or_default();
            self.merge(&old, here);
            rest = behind;
        }
    }

    /// The first key of the block that a key is in or goes to, if there is any block.
    fn place(&self, key: &[u8]) -> Option<Box<[u8]>> {
        let before = self.blocks.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        before.or_else(|| self.blocks.first_key_value()).map(|(first, _)| first.clone())
    }

    /// The first key of the block behind the one that begins with `place`.
    fn place_behind(&self, place: &[u8]) -> Option<&[u8]> {
        let behind = (Bound::Excluded(place), Bound::Unbounded);
        self.blocks.range::<[u8], _>(behind).next().map(|(first, _)| &**first)
    }

    fn take_block(&mut self, place: &[u8]) -> Option<Box<[u8]>> {
        let block = self.blocks.remove(place)?;
        self.bytes -= BLOCK_OVERHEAD + place.len() + block.len();
        Some(block)
    }

    /// Writes a block anew with changes, as one or as several.
    fn merge(&mut self, old: &[u8], changes: &[Entry]) {
        let size = |entry: &Entry| size_of_entry(entry.key.as_bytes(), entry.value.as_deref());
        let bytes = old.len() + changes.iter().map(size).sum::<usize>();
        let mut writer = BlockWriter::new(bytes.div_ceil(bytes.div_ceil(BLOCK_BYTES).max(1)));
        let mut older = Cursor::new(old);
        let mut replaced = 0;
        for Entry { key, value } in changes {
            while older.is_before(key.as_bytes()) {
                writer.copy(&older, self);
                older.advance();
            }
            writer.put(key.as_bytes(), value.as_deref(), self);
            if older.is_at(key.as_bytes()) {
                writer.follows = true;
                older.advance();
                replaced += 1;
            }
        }
        while older.there {
            writer.copy(&older, self);
            older.advance();
        }
        writer.close(self);
        self.entries = self.entries + changes.len() - replaced;
    }

    /// All that was known of a node is gone, here and in the store.
    pub fn drop_node(&mut self, node: NodeId) {
        self.dropped.insert(node);
        let prefix = node.0.to_be_bytes();
        let (_, end) = prefix_bounds(&prefix);
        let first = self.place(&prefix).unwrap_or_default();
        let end = end.as_ref().map(Vec::as_slice);
        let places = match end {
            Bound::Excluded(end) if *first >= *end => Vec::new(),
            end => self
                .blocks
                .range::<[u8], _>((Bound::Included(&*first), end))
                .map(|(at, _)| at.clone())
                .collect(),
        };
        for place in places {
            let Some(old) = self.take_block(&place) else { continue };
            let mut writer = BlockWriter::new(BLOCK_BYTES);
            let mut older = Cursor::new(&old);
            while older.there {
                if older.key.starts_with(&prefix) {
                    (self.entries, writer.follows) = (self.entries - 1, false);
                } else {
                    writer.copy(&older, self);
                }
                older.advance();
            }
            writer.close(self);
        }
    }

    /// The nodes whose keys are to go from the store, before others are put in.
    pub fn dropped(&self) -> impl Iterator<Item = &NodeId> {
        self.dropped.iter()
    }

    /// Whether nothing counts of a node that is in the store.
    pub fn drops(&self, node: NodeId) -> bool {
        self.dropped.contains(&node)
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing to be folded.
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && self.dropped.is_empty()
    }

    /// What it knows of a key.
    pub fn get(&self, key: &StateKey) -> Option<Option<&[u8]>> {
        let mut at = Cursor::new(self.blocks.get(&self.place(key.as_bytes())?)?);
        while at.is_before(key.as_bytes()) {
            at.advance();
        }
        at.is_at(key.as_bytes()).then_some(at.value)
    }

    /// All entries in order.
    pub fn iter(&self) -> Entries<'_> {
        let blocks = self.blocks.range::<[u8], _>((Bound::Unbounded, Bound::Unbounded));
        Entries { blocks, at: Cursor::new(&[]), left: self.entries }
    }

    /// Forgets all: it was folded.
    pub fn clear(&mut self) {
        *self = Memtable::default();
    }

    /// The entries between bounds, in order.
    pub fn range<'a>(
        &'a self,
        (from, to): &'a KeyBounds,
    ) -> impl Iterator<Item = (StateKey, Option<&'a [u8]>)> {
        let first = match from {
            Bound::Included(from) | Bound::Excluded(from) => self.place(from),
            Bound::Unbounded => None,
        };
        let first = first.as_deref().map_or(Bound::Unbounded, Bound::Included);
        let blocks = self.blocks.range::<[u8], _>((first, Bound::Unbounded));
        let entries = Entries { blocks, at: Cursor::new(&[]), left: self.entries };
        let is_before = move |key: &StateKey| match from {
            Bound::Included(from) => key.as_bytes() < from.as_slice(),
            Bound::Excluded(from) => key.as_bytes() <= from.as_slice(),
            Bound::Unbounded => false,
        };
        let is_within = move |key: &StateKey| match to {
            Bound::Included(to) => key.as_bytes() <= to.as_slice(),
            Bound::Excluded(to) => key.as_bytes() < to.as_slice(),
            Bound::Unbounded => true,
        };
        entries.skip_while(move |(key, _)| is_before(key)).take_while(move |(key, _)| is_within(key))
    }
}

fn size_of_entry(key: &[u8], value: Option<&[u8]>) -> usize {
    key.len() + value.map_or(0, <[u8]>::len)
}

/// Appends entries, which are given in order, to blocks of about a size.
struct BlockWriter {
    size: usize,
    first: Box<[u8]>,
    last: Vec<u8>,
    bytes: Vec<u8>,
    /// Whether the last key is the one before that of the old entry which comes next.
    follows: bool,
}

impl BlockWriter {
    fn new(size: usize) -> BlockWriter {
        BlockWriter { size, first: Box::default(), last: Vec::new(), bytes: Vec::new(), follows: false }
    }

    /// An old entry.
    fn copy(&mut self, older: &Cursor<'_>, into: &mut Memtable) {
        if self.follows && !self.ends_before(&older.key, older.value) {
            self.bytes.extend_from_slice(older.bytes);
            self.last.clone_from(&older.key);
        } else {
            self.put(&older.key, older.value, into);
        }
        self.follows = true;
    }

    fn ends_before(&self, key: &[u8], value: Option<&[u8]>) -> bool {
        // What is long is in a block of its own, which is not written anew because of what is short.
        let is_long = self.bytes.len() + size_of_entry(key, value) > 2 * BLOCK_BYTES;
        self.bytes.len() >= self.size || (is_long && !self.bytes.is_empty())
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>, into: &mut Memtable) {
        if self.ends_before(key, value) {
            self.close(into);
        }
        self.follows = false;
        if self.bytes.is_empty() {
            self.first = key.into();
        }
        let shared = key.iter().zip(&self.last).take_while(|(a, b)| a == b).count();
        put_number(&mut self.bytes, shared as u64);
        put_bytes(&mut self.bytes, &key[shared..]);
        // 0 is a key that is gone, else the length of its value and 1.
        put_number(&mut self.bytes, value.map_or(0, |value| value.len() as u64 + 1));
        value.iter().for_each(|value| self.bytes.extend_from_slice(value));
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
    }

    /// What was put so far is a block.
    fn close(&mut self, into: &mut Memtable) {
        if !self.bytes.is_empty() {
            let (first, block) = (std::mem::take(&mut self.first), Box::from(&*self.bytes));
            into.bytes += BLOCK_OVERHEAD + first.len() + self.bytes.len();
            into.blocks.insert(first, block);
            self.bytes.clear();
            self.last.clear();
            self.follows = false;
        }
    }
}

/// A place in a block.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    rest: Reader<'a>,
    /// Whether it stands at an entry.
    there: bool,
    /// All of the entry.
    bytes: &'a [u8],
    key: Vec<u8>,
    value: Option<&'a [u8]>,
}

impl<'a> Cursor<'a> {
    /// At the first entry.
    fn new(block: &'a [u8]) -> Cursor<'a> {
        let mut cursor =
            Cursor { rest: Reader::new(block), there: false, bytes: &[], key: Vec::new(), value: None };
        cursor.advance();
        cursor
    }

    /// Goes on to the next entry. What [`BlockWriter`] wrote can be read back: only the end of the block ends it.
    fn advance(&mut self) {
        self.there = self.read().is_ok();
    }

    fn read(&mut self) -> Result<(), Malformed> {
        let mut whole = self.rest;
        let shared = self.rest.small()? as usize;
        self.key.truncate(shared);
        let rest = self.rest.bytes(usize::MAX)?;
        self.key.extend_from_slice(rest);
        self.value = match self.rest.number()? {
            0 => None,
            length => Some(self.rest.take(length as usize - 1)?),
        };
        self.bytes = whole.take(whole.remaining() - self.rest.remaining())?;
        Ok(())
    }

    fn is_before(&self, key: &[u8]) -> bool {
        self.there && *self.key < *key
    }

    fn is_at(&self, key: &[u8]) -> bool {
        self.there && *self.key == *key
    }
}

/// Entries in order: keys, and their new bytes or that they are gone.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    blocks: btree_map::Range<'a, Box<[u8]>, Box<[u8]>>,
    at: Cursor<'a>,
    /// How many there are still at the most; exactly that many where all are asked for.
    left: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (StateKey, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.at.there {
            self.at = Cursor::new(self.blocks.next()?.1);
        }
        let entry = (StateKey::from_bytes(&self.at.key)?, self.at.value);
        self.at.advance();
        self.left = self.left.saturating_sub(1);
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Entries<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::KeyGroup;
    use crate::time::Random;

    /// Changes of any sizes, many at once or one by one, are what a plain map of them is.
    #[test]
    fn it_holds_what_a_map_does() {
        let mut random = Random::seeded(4);
        let (mut memtable, mut model) = (Memtable::default(), BTreeMap::<StateKey, Option<Box<[u8]>>>::new());
        for round in 0..300 {
            let mut changes = BTreeMap::new();
            for _ in 0..random.bits() % if round % 10 == 0 { 400 } else { 4 } {
                let node = NodeId(random.bits() as u32 % 3);
                let name = (random.bits() % 1500).to_string();
                let key = StateKey::new(node, KeyGroup(random.bits() as u8 % 2), name.as_bytes());
                let length =
                    if random.bits().is_multiple_of(50) { 9_000 } else { random.bits() as usize % 60 };
                let value = (!random.bits().is_multiple_of(4)).then(|| vec![round as u8; length].into());
                changes.insert(key, value);
            }
            let entries = changes.iter().map(|(key, value)| Entry { key: key.clone(), value: value.clone() });
            memtable.take_in(&entries.collect::<Vec<_>>());
            model.append(&mut changes);
            if round % 70 == 69 {
                let node = NodeId(random.bits() as u32 % 3);
                memtable.drop_node(node);
                model.retain(|key, _| key.node() != node);
            }
            let expected: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.as_deref())).collect();
            assert_eq!(memtable.iter().len(), expected.len());
            assert_eq!(memtable.iter().collect::<Vec<_>>(), expected);
            let blocks = memtable.blocks.iter();
            let sizes = blocks.map(|(first, block)| first.len() + block.len() + BLOCK_OVERHEAD);
            assert_eq!(memtable.bytes(), sizes.sum::<usize>());
            let bound = |bits: u64| {
                let key = StateKey::new(
                    NodeId(bits as u32 % 4),
                    KeyGroup(0),
                    (bits >> 8 & 0xfff).to_string().as_bytes(),
                );
                [Bound::Included, Bound::Excluded][bits as usize >> 32 & 1](key.as_bytes().to_vec())
            };
            let bounds = (bound(random.bits()), bound(random.bits()));
            let (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) =
                &bounds
            else {
                continue;
            };
            let within = |key: &[u8]| {
                (key > from.as_slice() || (key == from && matches!(bounds.0, Bound::Included(_))))
                    && (key < to.as_slice() || (key == to && matches!(bounds.1, Bound::Included(_))))
            };
            let expected: Vec<_> = expected.into_iter().filter(|(key, _)| within(key.as_bytes())).collect();
            assert_eq!(memtable.range(&bounds).collect::<Vec<_>>(), expected);
            for key in [from, to].into_iter().filter_map(|key| StateKey::from_bytes(key)) {
                assert_eq!(memtable.get(&key), model.get(&key).map(Option::as_deref));
            }
        }
    }

    /// Small entries take about their bytes.
    #[test]
    fn small_entries_are_packed() {
        let entry = |number: u32| Entry {
            key: StateKey::new(NodeId(7), KeyGroup(3), format!("a device {number:08}").as_bytes()),
            value: Some([1; 25].into()),
        };
        let mut memtable = Memtable::default();
        for some in (0..20_000).collect::<Vec<_>>().chunks(500) {
            memtable.take_in(&some.iter().map(|number| entry(*number)).collect::<Vec<_>>());
        }
        assert!(memtable.bytes() < 20_000 * 35, "{}", memtable.bytes());
        assert!(memtable.blocks.len() < 20_000 * 35 / (BLOCK_BYTES / 2), "{}", memtable.blocks.len());
    }
}
