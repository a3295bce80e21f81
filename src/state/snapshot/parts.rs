//! What a snapshot consists of, in slices: each is read in one go, and nothing is held but what was pinned.

use super::super::error::StateError;
use super::super::log::SegmentPin;
use super::super::number::{Epoch, Incarnation, Sequence};
use super::super::store::StorePin;
use crate::event::bytes::put_bytes;
use std::collections::VecDeque;
use xxhash_rust::xxh3::xxh3_64;

/// The most bytes of a part.
pub const PART_LIMIT: usize = 8 << 20;

/// A part of a segment. Segments are appended to, so all their full parts stay as they are.
const SEGMENT_PART: u64 = 4 << 20;

/// The least bytes of a part of entries, unless it is the last.
const ENTRIES_LEAST: usize = 1 << 20;

/// Beyond that a part of entries has so many more on average.
const ENTRIES_MEAN: u64 = 2 << 20;

/// The name of what the store knows of itself.
pub const META_FILE: &str = "meta";

/// The name of all entries of the store.
pub const ENTRIES_FILE: &str = "entries";

/// Some bytes of one file of a snapshot, the next in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Which file.
    pub file: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The state of a pipeline as it was between two commits. Made by [`super::super::StateBackend::begin_snapshot`], which goes on at
/// once; may be read by another thread.
pub struct Snapshot {
    /// Which life of the folder it is of.
    pub incarnation: Incarnation,
    /// The last commit in it.
    pub last: Sequence,
    /// The last epoch in it.
    pub epoch: Epoch,
    meta: Option<Vec<u8>>,
    store: Option<StorePin>,
    /// The last entry that was read.
    key: Vec<u8>,
    /// Entries that were read.
    entries: Vec<u8>,
    /// How much of them is in parts already.
    given: usize,
    segments: VecDeque<SegmentPin>,
    /// How much of the first segment was read.
    read: u64,
}

impl Snapshot {
    pub(in super::super) fn new(
        last: Sequence,
        epoch: Epoch,
        store: StorePin,
        segments: VecDeque<SegmentPin>,
    ) -> Result<Snapshot, StateError> {
        let meta = store.meta()?;
        Ok(Snapshot {
            incarnation: meta.incarnation,
            last,
            epoch,
            meta: Some(meta.encode()),
            store: Some(store),
            key: Vec::new(),
            entries: Vec::new(),
            given: 0,
            segments,
            read: 0,
        })
    }

    /// Reads the next part; None after the last. Parts of a file come one after the other.
    ///
    /// # Errors
    /// After one the snapshot is of no use any more.
    pub fn next_part(&mut self) -> Result<Option<Part>, StateError> {
        if let Some(bytes) = self.meta.take() {
            return Ok(Some(Part { file: META_FILE.to_owned(), bytes }));
        }
        match self.next_entries()? {
            Some(bytes) => Ok(Some(Part { file: ENTRIES_FILE.to_owned(), bytes })),
            None => self.next_of_segment(),
        }
    }

    /// Where a part ends follows from the entries in it, not from those before: an entry that comes or goes
    /// changes the part that it is in, and no other.
    fn next_entries(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        if self.entries.len() - self.given < PART_LIMIT
            && let Some(store) = &self.store
        {
            let (last, entries) = (&mut self.key, &mut self.entries);
            entries.drain(..std::mem::take(&mut self.given));
            let mut is_cut = false;
            let from = last.clone();
            store.entries_behind(&from, &mut |key, value| {
                let start = entries.len();
                put_bytes(entries, key);
                put_bytes(entries, value);
                last.clear();
                last.extend_from_slice(key);
                is_cut =
                    entries.len() >= PART_LIMIT || is_boundary(key, entries.len(), entries.len() - start);
                !is_cut
            })?;
            if !is_cut {
                self.store = None;
            }
        }
        // A value may be many parts long: what is left of it stays where it is.
        let left = &self.entries[self.given..];
        let part = left[..left.len().min(PART_LIMIT)].to_vec();
        self.given += part.len();
        Ok((!part.is_empty()).then_some(part))
    }

    fn next_of_segment(&mut self) -> Result<Option<Part>, StateError> {
        let Some(segment) = self.segments.front() else { return Ok(None) };
        let file = segment.number.file_name();
        let length = SEGMENT_PART.min(segment.bytes - self.read);
        // No more than a part.
        let mut bytes = vec![0; length as usize];
        let read = segment.file.read_at(self.read, &mut bytes);
        read.map_err(|error| StateError::disk(format!("copying {file}"), error))?;
        self.read += length;
        if self.read == segment.bytes {
            self.segments.pop_front();
            self.read = 0;
        }
        Ok(Some(Part { file, bytes }))
    }
}

/// Whether a part ends behind an entry: with a probability that grows with the entry, decided by its key.
fn is_boundary(key: &[u8], part: usize, entry: usize) -> bool {
    part >= ENTRIES_LEAST && xxh3_64(key) < (u64::MAX / ENTRIES_MEAN).saturating_mul(entry as u64)
}
