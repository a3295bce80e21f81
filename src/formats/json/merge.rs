//! An event put together from maps that are only known when they are seen.

use super::splice::MapWriter;
use crate::event::json::{Timestamps, entries_written, unescape, write_string, write_value_as};
use crate::event::{Batch, Layer, Row, Slot, Span};
use hashbrown::HashTable;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// The layers of an event, applied to an ordered map.
pub(super) struct Merge {
    layers: Vec<Layer>,
    map: OrderedMap,
}

/// Keys with where their values are, in the order of their insertion.
#[derive(Default)]
struct OrderedMap {
    /// All keys, escapes resolved.
    keys: Vec<u8>,
    members: Vec<Member>,
    /// Numbers of members by the hash of their key.
    index: HashTable<usize>,
}

struct Member {
    key: Range<usize>,
    hash: u64,
    value: Source,
}

/// Where a value stands.
#[derive(Clone, Copy)]
enum Source {
    /// In the arena, as JSON text.
    Text(Span),
    Cell(Slot),
    /// It was removed.
    Nowhere,
}

impl Merge {
    /// The merge of these layers.
    pub fn new(layers: &[Layer]) -> Merge {
        Merge { layers: layers.to_vec(), map: OrderedMap::default() }
    }

    /// Appends the row's event and a newline.
    pub fn write(&mut self, batch: &Batch, row: Row, timestamps: Timestamps, into: &mut Vec<u8>) {
        self.map.clear();
        for layer in &self.layers {
            match layer {
                Layer::Raw => self.map.insert_all(batch, batch.raw[row.index()]),
                Layer::Merge(slot) => self.map.insert_all(batch, batch.get(row, *slot).span()),
                Layer::Field(name, slot) => self.map.insert(name.as_bytes(), Source::Cell(*slot)),
                Layer::Without(name) => self.map.remove(name.as_bytes()),
            }
        }
        let mut map = MapWriter::open(into);
        let mut key = Vec::new();
        for member in &self.map.members {
            if matches!(member.value, Source::Nowhere) {
                continue;
            }
            key.clear();
            write_string(&self.map.keys[member.key.clone()], &mut key);
            key.push(b':');
            map.entry(&key);
            match member.value {
                Source::Cell(slot) => write_value_as(batch, batch.get(row, slot), timestamps, map.into),
                Source::Text(span) => map.into.extend_from_slice(&batch.arena[span.range()]),
                Source::Nowhere => {}
            }
        }
        map.close();
    }
}

impl OrderedMap {
    fn clear(&mut self) {
        self.keys.clear();
        self.members.clear();
        self.index.clear();
    }

    /// Inserts all members of the map at a place in the arena; nothing if no map is there.
    fn insert_all(&mut self, batch: &Batch, map: Span) {
        let base = batch.arena.as_ptr().addr();
        for (key, value) in entries_written(&batch.arena[map.range()]) {
            let value = Source::Text(Span::new(value.as_ptr().addr() - base, value.len()));
            if memchr::memchr(b'\\', key).is_none() {
                self.insert(key, value);
            } else {
                let mut unescaped = Vec::with_capacity(key.len());
                unescape(key, &mut unescaped);
                self.insert(&unescaped, value);
            }
        }
    }

    /// Overwrites the value of a key in its place, or appends it.
    fn insert(&mut self, key: &[u8], value: Source) {
        let hash = xxh3_64(key);
        if let Some(there) = self.find(hash, key) {
            self.members[there].value = value;
            return;
        }
        let members = &self.members;
        self.index.insert_unique(hash, members.len(), |&i| members[i].hash);
        let start = self.keys.len();
        self.keys.extend_from_slice(key);
        self.members.push(Member { key: start..self.keys.len(), hash, value });
    }

    /// Forgets a key.
    fn remove(&mut self, key: &[u8]) {
        let hash = xxh3_64(key);
        if let Some(there) = self.find(hash, key) {
            self.members[there].value = Source::Nowhere;
            if let Ok(entry) = self.index.find_entry(hash, |&i| i == there) {
                entry.remove();
            }
        }
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        self.index.find(hash, |&i| self.keys[self.members[i].key.clone()] == *key).copied()
    }
}
