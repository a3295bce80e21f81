//! The members of an event in order, where only the event itself says which it has.

use crate::event::json::{entries_written, unescape};
use crate::event::{Batch, Layer, Row, Slot, Span, View};
use hashbrown::HashTable;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// The layers of an event, applied to an ordered map: keys with where their values are, in the order of their
/// insertion.
pub(super) struct Members {
    layers: Vec<Layer>,
    /// All keys, escapes resolved.
    keys: Vec<u8>,
    members: Vec<Member>,
    /// Numbers of members by the hash of their key.
    index: HashTable<usize>,
}

struct Member {
    key: Range<usize>,
    hash: u64,
    /// None once it was removed.
    value: Option<Source>,
}

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// In the arena, as JSON text.
    Text(Span),
    /// In a cell of the row.
    Cell(Slot),
}

impl Members {
    /// The members of events that look like `view`.
    pub fn new(view: &View) -> Members {
        let layers = view.layers.clone();
        Members { layers, keys: Vec::new(), members: Vec::new(), index: HashTable::new() }
    }

    /// Gathers the members of a row's event.
    pub fn gather(&mut self, batch: &Batch, row: Row) {
        self.keys.clear();
        self.members.clear();
        self.index.clear();
        let layers = std::mem::take(&mut self.layers);
        for layer in &layers {
            match layer {
                Layer::Raw => self.insert_all(batch, batch.raw[row.index()]),
                Layer::Merge(slot) => self.insert_all(batch, batch.get(row, *slot).span()),
                Layer::Field(name, slot) => self.insert(name.as_bytes(), Source::Cell(*slot)),
                Layer::Without(name) => self.remove(name.as_bytes()),
            }
        }
        self.layers = layers;
    }

    /// What was gathered: keys, which are UTF-8, and where their values stand.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Source)> {
        self.members.iter().filter_map(|member| Some((&self.keys[member.key.clone()], member.value?)))
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
            self.members[there].value = Some(value);
            return;
        }
        let members = &self.members;
        self.index.insert_unique(hash, members.len(), |&i| members[i].hash);
        let start = self.keys.len();
        self.keys.extend_from_slice(key);
        self.members.push(Member { key: start..self.keys.len(), hash, value: Some(value) });
    }

    /// Forgets a key.
    fn remove(&mut self, key: &[u8]) {
        let hash = xxh3_64(key);
        if let Some(there) = self.find(hash, key) {
            self.members[there].value = None;
            if let Ok(entry) = self.index.find_entry(hash, |&i| i == there) {
                entry.remove();
            }
        }
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        self.index.find(hash, |&i| self.keys[self.members[i].key.clone()] == *key).copied()
    }
}
