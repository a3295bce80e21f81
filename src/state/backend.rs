//! The state of one pipeline on disk: what commits, reads and folds.

use super::checkpoint::Checkpoint;
use super::disk::{DiskLock, Meter, MeteredDisk};
use super::error::StateError;
use super::journal::Frame;
use super::keyed::KeyedState;
use super::ledger::Ledger;
use super::log::{Commit, Committed, Log, RecordKind, RecordPlace};
use super::number::{Epoch, Incarnation, NodeId, SegmentNumber, Sequence, ShapeHash};
use super::outbox::{Chunk, Refused};
use super::piece::PIECE_BYTES;
use super::progress::{ChunkId, Node, Progress, SinkProgress};
use super::snapshot::Snapshot;
use super::store::{Checked, Store, StoreMeta};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// How much memory and disk may be used.
#[derive(Clone, Copy, Debug)]
pub struct StateLimits {
    /// For pages of the store that are kept in memory.
    pub cache_bytes: usize,
    /// State in memory that is not folded yet: beyond, a fold is due.
    pub unfolded_bytes: usize,
    /// Bytes of the log that are not folded yet: beyond, and beyond the size of the store, a fold is due. A fold of keys
    /// all over the store writes all of it anew, so this bounds what a committed byte costs.
    pub log_bytes: u64,
    /// At this size the next segment is begun.
    pub segment_bytes: u64,
    /// Longer values are cut into pieces of that size.
    pub piece_bytes: usize,
}

impl Default for StateLimits {
    fn default() -> StateLimits {
        StateLimits {
            cache_bytes: 16 << 20,
            unfolded_bytes: 256 << 20,
            log_bytes: 64 << 20,
            segment_bytes: 8 << 20,
            piece_bytes: PIECE_BYTES,
        }
    }
}

/// What becomes durable together.
#[derive(Clone, Debug, Default)]
pub struct Changes<'a> {
    /// Input to be acknowledged to its sender.
    pub frames: Vec<Frame<'a>>,
    /// A checkpoint, its lists in any order. One that says nothing is not written.
    pub checkpoint: Option<Checkpoint>,
    /// Output to be delivered, of the checkpoint's epoch.
    pub chunks: Vec<Chunk<'a>>,
    /// How far sinks have come.
    pub markers: Vec<SinkProgress>,
    /// Rows that targets refused. They come before the marker that goes past them.
    pub refused: Vec<Refused<'a>>,
}

/// How much of the oldest segment may be needed so that it is rewritten rather than kept: a quarter.
const CARRY_SHARE: u64 = 4;

/// The state of a pipeline. One process holds it at a time; opened by [`super::open`].
#[derive(Debug)]
pub struct StateBackend {
    pub(super) _lock: DiskLock,
    pub(super) limits: StateLimits,
    pub(super) log: Log,
    pub(super) store: Store,
    /// redb refuses to go on after an error until it is opened again.
    pub(super) store_failed: bool,
    pub(super) ledger: Ledger,
    pub(super) log_meter: Arc<Meter>,
    pub(super) store_meter: Arc<Meter>,
    /// The size of the log after the last fold.
    pub(super) folded_log_bytes: u64,
    /// The size of the store then.
    pub(super) folded_store_bytes: u64,
    /// The size of the store when it was compacted last.
    pub(super) compacted_store_bytes: u64,
}

impl StateBackend {
    /// Makes changes durable: when this returns, they are. Nothing to change: nothing is written, and None.
    ///
    /// # Errors
    /// After an error of the disk nothing is lost and nothing is half there. Call again with the same or newer changes;
    /// until that has returned, it is not known whether the first are durable.
    pub fn commit(&mut self, mut changes: Changes) -> Result<Option<Committed>, StateError> {
        self.commit_all(&mut changes)
    }

    /// The same for changes that the caller keeps, to try again if need be; they are brought into order. When they are
    /// durable, the keys of the checkpoint are gone from them.
    ///
    /// # Errors
    /// As of [`StateBackend::commit`].
    pub fn commit_all(&mut self, changes: &mut Changes) -> Result<Option<Committed>, StateError> {
        let mut commit = Commit::new();
        if self.log.begins_segment() {
            self.ledger.progress.whole().push(RecordKind::Basis, &mut commit, self.limits.piece_bytes)?;
        }
        let bare = commit.size();
        push_all(changes, &mut commit, self.limits.piece_bytes)?;
        if commit.size() == bare {
            return Ok(None);
        }
        let committed = self.log.commit(&mut commit)?;
        // What is durable need not be there once more while it is taken in.
        changes.checkpoint.iter_mut().for_each(|checkpoint| checkpoint.entries = Vec::new());
        self.take_in(&commit, committed).map(Some)
    }

    fn write(&mut self, mut commit: Commit) -> Result<Committed, StateError> {
        let committed = self.log.commit(&mut commit)?;
        self.take_in(&commit, committed)
    }

    fn take_in(&mut self, commit: &Commit, committed: Committed) -> Result<Committed, StateError> {
        for (place, (_, payload)) in committed.places.iter().zip(commit.records()) {
            self.ledger.apply(place, payload)?;
        }
        self.release();
        Ok(committed)
    }

    fn release(&mut self) {
        let freed = self.ledger.take_freed();
        freed.iter().for_each(|place| self.log.release(place));
    }

    /// Whether so much is not folded that [`StateBackend::fold`] is due.
    pub fn fold_is_due(&self) -> bool {
        let logged = self.log.bytes().saturating_sub(self.folded_log_bytes);
        let is_long = logged >= self.limits.log_bytes.max(self.folded_store_bytes);
        self.ledger.has_unfolded() && (is_long || self.ledger.memtable.bytes() >= self.limits.unfolded_bytes)
    }

    /// Takes all committed state into the store and removes segments that nobody needs. Nothing to be folded: nothing
    /// is written, and false.
    pub fn fold(&mut self) -> Result<bool, StateError> {
        if !self.ledger.has_unfolded() {
            return Ok(false);
        }
        self.revive()?;
        let mut progress = Vec::new();
        self.ledger.progress.whole().encode(&mut progress);
        let (incarnation, folded) = (self.log.incarnation(), self.log.last());
        let meta = StoreMeta { incarnation, folded, folding: folded, progress };
        let dropped: Vec<NodeId> = self.ledger.memtable.dropped().copied().collect();
        let gone = self.store.drop_nodes(&dropped, folded);
        let done = gone.and_then(|()| self.store.fold(self.ledger.memtable.iter(), &meta));
        self.watch(done)?;
        self.ledger.set_folded(folded);
        self.release();
        self.clear_segments(folded)?;
        self.folded_log_bytes = self.log.bytes();
        self.folded_store_bytes = self.store.bytes()?;
        Ok(true)
    }

    /// Removes the oldest segments, and writes the few records anew that keep one from going.
    fn clear_segments(&mut self, folded: Sequence) -> Result<(), StateError> {
        loop {
            self.log.remove_unneeded(folded)?;
            let Some((segment, needed, all)) = self.log.oldest(folded) else { return Ok(()) };
            // Frames are read by their order, and soon: they stay where they are.
            let frames = self.ledger.frames().any(|(_, _, place)| place.segment == segment);
            if needed * CARRY_SHARE > all || frames {
                return Ok(());
            }
            if !self.carry_segment(segment)? {
                return Ok(());
            }
        }
    }

    /// Whether there was anything to be written anew.
    fn carry_segment(&mut self, segment: SegmentNumber) -> Result<bool, StateError> {
        let chunks = self.ledger.chunks().map(|(_, _, place)| *place);
        let all = chunks.chain(self.ledger.refused().copied());
        let places: Vec<RecordPlace> = all.filter(|place| place.segment == segment).collect();
        let mut commit = Commit::new();
        if self.log.begins_segment() {
            self.ledger.progress.whole().push(RecordKind::Basis, &mut commit, self.limits.piece_bytes)?;
        }
        for place in &places {
            let payload = self.log.read(place)?;
            commit.push(place.kind, |into| into.extend_from_slice(&payload))?;
        }
        if !places.is_empty() {
            self.write(commit)?;
        }
        Ok(!places.is_empty())
    }

    /// Keyed state, committed and folded alike.
    pub fn keyed(&self) -> KeyedState<'_> {
        KeyedState::new(&self.ledger.memtable, &self.store)
    }

    /// How far the pipeline has come.
    pub fn progress(&self) -> &Progress {
        &self.ledger.progress
    }

    /// The last epoch that is durable.
    pub fn epoch(&self) -> Epoch {
        self.ledger.progress.epoch
    }

    /// Which life of the folder this is.
    pub fn incarnation(&self) -> Incarnation {
        self.log.incarnation()
    }

    /// The number of a node's state, if there is one of that name and shape.
    pub fn node(&self, name: &str, shape: ShapeHash) -> Option<NodeId> {
        self.ledger.progress.find(name, shape)
    }

    /// A number that no node has.
    pub fn unused_node(&self) -> NodeId {
        NodeId(self.ledger.last_node().0 + 1)
    }

    /// The nodes that are none of those that a plan has: gone, or of another shape now. What becomes of them is for the
    /// caller to say; [`Checkpoint::dropped`] lets them go.
    pub fn stale_nodes(&self, known: &[NodeId]) -> Vec<Node> {
        let nodes = self.ledger.progress.nodes.values();
        nodes.filter(|node| !known.contains(&node.id)).cloned().collect()
    }

    /// The node that goes on under another name: to be put into [`Checkpoint::nodes`] of the next checkpoint. None if
    /// there is none of the old name and that shape, or one of the new name already.
    pub fn renamed(&self, was: &str, name: &str, shape: ShapeHash) -> Option<Node> {
        let id = self.node(was, shape)?;
        self.node(name, shape).is_none().then(|| Node { id, name: name.to_string(), shape })
    }

    /// From which lives of other folders this state comes, and up to which of their epochs: what a target holds of one
    /// of these, not beyond that epoch, is ours.
    pub fn lineage(&self) -> &BTreeMap<Incarnation, Epoch> {
        &self.ledger.progress.lineage
    }

    /// Whether a mark in a target is of this life of the folder, or of one that it comes from.
    pub fn is_ours(&self, incarnation: Incarnation, epoch: Epoch) -> bool {
        let inherited = || self.lineage().get(&incarnation).is_some_and(|last| epoch <= *last);
        if incarnation == self.incarnation() { epoch <= self.epoch() } else { inherited() }
    }

    /// Input that no checkpoint covers, a partition after the other, each in order.
    pub fn unread_frames(&self) -> impl Iterator<Item = (NodeId, &[u8], &RecordPlace)> {
        self.ledger.frames()
    }

    /// Output of a sink that it has not delivered, in order.
    pub fn undelivered(&self, sink: NodeId) -> impl Iterator<Item = (ChunkId, &RecordPlace)> {
        self.ledger.chunks_of(sink)
    }

    /// The same behind one of its chunks.
    pub fn undelivered_behind(
        &self,
        sink: NodeId,
        chunk: ChunkId,
    ) -> impl Iterator<Item = (ChunkId, &RecordPlace)> {
        self.ledger.chunks_behind(sink, chunk)
    }

    /// One chunk of that.
    pub fn undelivered_chunk(&self, sink: NodeId, chunk: ChunkId) -> Option<&RecordPlace> {
        self.ledger.chunk(sink, chunk)
    }

    /// Output that was not delivered, a sink after the other, each in order.
    pub fn all_undelivered(&self) -> impl Iterator<Item = &RecordPlace> {
        self.ledger.chunks().map(|(_, _, place)| place)
    }

    /// Rows that targets refused and nobody took over.
    pub fn refused(&self) -> impl Iterator<Item = &RecordPlace> {
        self.ledger.refused()
    }

    /// A record: to be decoded by [`Frame`], [`Chunk`] or [`Refused`], as its kind says.
    pub fn read(&self, place: &RecordPlace) -> Result<Vec<u8>, StateError> {
        self.log.read(place)
    }

    /// A refused row is where it belongs. Not durable by itself: after a restart it may be there again.
    pub fn take_refused(&mut self, row: &Refused) {
        self.ledger.take_refused(row);
        self.release();
    }

    /// Pins all that is durable now, to be copied while commits and folds go on. What they
    /// remove or replace stays on the disk until the snapshot is dropped.
    pub fn begin_snapshot(&mut self) -> Result<Snapshot, StateError> {
        self.revive()?;
        let store = self.store.pin()?;
        Snapshot::new(self.log.last(), self.epoch(), store, self.log.pin()?)
    }

    /// Reads and verifies the whole store.
    ///
    /// # Errors
    /// Not while a snapshot is copied.
    pub fn check(&mut self) -> Result<Checked, StateError> {
        if self.store.is_pinned() {
            let busy = io::Error::new(io::ErrorKind::ResourceBusy, "a snapshot is being copied");
            return Err(StateError::disk("checking the store", busy));
        }
        self.revive()?;
        let checked = self.store.check();
        self.watch(checked)
    }

    /// Whether somebody reads it as it was: a snapshot, or a view. Then the store can be neither checked nor compacted.
    pub fn is_pinned(&self) -> bool {
        self.store.is_pinned()
    }

    /// Gives unused room of the store back to the disk; not while a snapshot is copied.
    pub fn compact(&mut self) -> Result<(), StateError> {
        if self.store.is_pinned() {
            return Ok(());
        }
        self.revive()?;
        let compacted = self.store.compact();
        self.watch(compacted)?;
        self.compacted_store_bytes = self.store.bytes()?;
        Ok(())
    }

    /// The same where it gives much back for what it writes: for when nothing else is to be done. How much the store took
    /// before and takes now, if it was done.
    pub fn compact_if_worth_it(&mut self) -> Result<Option<(u64, u64)>, StateError> {
        if self.store.is_pinned() {
            return Ok(None);
        }
        self.revive()?;
        let before = self.store.bytes()?;
        let compacted = self.compacted_store_bytes;
        match self.store.live_bytes()? {
            Some(live) if live.are_few_in(before, compacted) => {
                self.compact()?;
                Ok(Some((before, self.compacted_store_bytes)))
            }
            _ => Ok(None),
        }
    }

    /// Opens the store again after it failed: before reading keys that are not in memory.
    pub fn revive(&mut self) -> Result<(), StateError> {
        if self.store_failed {
            self.store.reopen()?;
            self.store_failed = false;
        }
        Ok(())
    }

    fn watch<T>(&mut self, outcome: Result<T, StateError>) -> Result<T, StateError> {
        self.store_failed |= outcome.is_err();
        outcome
    }

    /// What was written to the log, and what to the store, since they were opened.
    pub fn meters(&self) -> (&Meter, &Meter) {
        (&self.log_meter, &self.store_meter)
    }

    /// The bytes written to both of them, for a budget of writes.
    pub fn written_bytes(&self) -> u64 {
        self.log_meter.bytes() + self.store_meter.bytes()
    }

    /// What log and store take on the disk.
    pub fn disk_bytes(&self) -> Result<u64, StateError> {
        Ok(self.log.bytes() + self.store.bytes()?)
    }

    /// About how much memory state takes that is not folded.
    pub fn unfolded_bytes(&self) -> usize {
        self.ledger.memtable.bytes()
    }
}

fn push_all(changes: &mut Changes, commit: &mut Commit, piece_bytes: usize) -> Result<(), StateError> {
    changes.frames.iter().try_for_each(|frame| frame.push(commit))?;
    if let Some(checkpoint) = changes.checkpoint.as_mut().filter(|checkpoint| !checkpoint.is_empty()) {
        checkpoint.sort();
        checkpoint.push(RecordKind::Checkpoint, commit, piece_bytes)?;
    }
    changes.chunks.iter().try_for_each(|chunk| chunk.push(commit))?;
    changes.refused.iter().try_for_each(|refused| refused.push(commit))?;
    changes.markers.iter().try_for_each(|marker| marker.push(commit))
}

/// A disk with its meter.
pub(super) fn metered(disk: &Arc<dyn super::disk::Disk>) -> (MeteredDisk, Arc<Meter>) {
    let disk = MeteredDisk::new(disk.clone());
    let meter = disk.meter();
    (disk, meter)
}
