//! What the records of the log come to: progress, state not yet folded, input not yet read, output not yet delivered.
//!
//! Records that were just committed and records found at a start go through the same door, [`Ledger::apply`].

use super::checkpoint::{Checkpoint, Entry};
use super::journal::Frame;
use super::log::{RecordId, RecordKind, RecordPlace};
use super::memtable::Memtable;
use super::number::{ChunkNumber, Epoch, NodeId, RowNumber, Sequence};
use super::outbox::{Chunk, Refused};
use super::piece::{Assembly, Piece};
use super::progress::{ChunkId, Offset, Progress, SinkProgress, SourceProgress};
use crate::event::bytes::Malformed;
use std::collections::{BTreeMap, VecDeque};

/// The frames of a partition that no checkpoint covers, in order.
type Frames = VecDeque<RecordPlace>;

/// What is needed of the log.
#[derive(Debug, Default)]
pub struct Ledger {
    /// How far everything has come.
    pub progress: Progress,
    /// State that is not in the store yet.
    pub memtable: Memtable,
    /// All commits up to this one are in the store.
    folded: Sequence,
    /// A value whose pieces are coming in.
    assembly: Assembly,
    /// Records of state that the next fold makes unneeded.
    unfolded: Vec<RecordPlace>,
    frames: BTreeMap<(NodeId, Vec<u8>), Frames>,
    chunks: BTreeMap<(NodeId, ChunkId), RecordPlace>,
    refused: BTreeMap<(NodeId, ChunkId, RowNumber), RecordPlace>,
    /// Records that nobody needs any more.
    freed: Vec<RecordPlace>,
}

impl Ledger {
    /// What a store says: all commits up to `folded` are in it.
    pub fn new(progress: Progress, folded: Sequence) -> Ledger {
        Ledger { progress, folded, ..Ledger::default() }
    }

    /// Takes a record in. They come in order.
    pub fn apply(&mut self, place: &RecordPlace, payload: &[u8]) -> Result<(), Malformed> {
        let is_folded = place.id.sequence <= self.folded;
        match place.kind {
            RecordKind::Frame => self.add_frame(place, Frame::decode(payload)?),
            RecordKind::Chunk => self.add_chunk(place, Chunk::decode(payload)?),
            RecordKind::Refused => self.add_refused(place, Refused::decode(payload)?),
            RecordKind::Checkpoint if is_folded && !Piece::is_in(payload) => {
                // Records of its nodes may stand in the log before it.
                let dropped = Checkpoint::decode(payload)?.dropped;
                dropped.iter().for_each(|node| self.free_node(*node));
                self.freed.push(*place);
            }
            _ if is_folded => self.freed.push(*place),
            RecordKind::Basis => self.begin(place, &Checkpoint::decode(payload)?),
            RecordKind::Checkpoint if Piece::is_in(payload) => {
                self.add_piece(place, &Piece::decode(payload)?)?;
            }
            RecordKind::Checkpoint => {
                self.assembly.finish()?;
                self.add_checkpoint(place, Checkpoint::decode(payload)?);
            }
            RecordKind::Marker => {
                self.deliver(&SinkProgress::decode(payload)?);
                self.unfolded.push(*place);
            }
        }
        // A commit is there as a whole.
        if place.last { self.assembly.finish() } else { Ok(()) }
    }

    /// A basis repeats all progress; where what went before it was lost, it says it anew.
    fn begin(&mut self, place: &RecordPlace, basis: &Checkpoint) {
        self.progress = Progress::default();
        self.progress.apply(basis);
        // Nothing depends on it once the store has as much.
        self.freed.push(*place);
    }

    fn add_checkpoint(&mut self, place: &RecordPlace, checkpoint: Checkpoint) {
        for &node in &checkpoint.dropped {
            self.free_node(node);
            self.memtable.drop_node(node);
        }
        self.progress.apply(&checkpoint);
        checkpoint.sources.iter().for_each(|source| self.read(source));
        checkpoint.sinks.iter().for_each(|sink| self.deliver(sink));
        self.memtable.take_in(&checkpoint.entries);
        self.unfolded.push(*place);
    }

    fn add_piece(&mut self, place: &RecordPlace, piece: &Piece) -> Result<(), Malformed> {
        if let Some(Entry { key, value }) = self.assembly.take(piece)? {
            self.memtable.put(key, value);
        }
        self.unfolded.push(*place);
        Ok(())
    }

    fn add_frame(&mut self, place: &RecordPlace, frame: Frame) {
        if self.progress.is_read(frame.node, frame.partition, place.id) {
            self.freed.push(*place);
        } else {
            let partition = (frame.node, frame.partition.to_vec());
            self.frames.entry(partition).or_default().push_back(*place);
        }
    }

    /// A chunk that was carried from an old segment to a new one replaces itself.
    fn add_chunk(&mut self, place: &RecordPlace, chunk: Chunk) {
        if self.progress.is_delivered(chunk.node, chunk.id) {
            self.freed.push(*place);
        } else {
            self.freed.extend(self.chunks.insert((chunk.node, chunk.id), *place));
        }
    }

    /// The same.
    fn add_refused(&mut self, place: &RecordPlace, refused: Refused) {
        let row = (refused.node, refused.chunk, refused.row_number);
        self.freed.extend(self.refused.insert(row, *place));
    }

    /// No record of a node is needed any more.
    fn free_node(&mut self, node: NodeId) {
        let frames = self.frames.extract_if(.., |(of, _), _| *of == node);
        self.freed.extend(frames.flat_map(|(_, places)| places));
        let chunks = self.chunks.extract_if(.., |(of, _), _| *of == node);
        self.freed.extend(chunks.map(|(_, place)| place));
        let refused = self.refused.extract_if(.., |(of, ..), _| *of == node);
        self.freed.extend(refused.map(|(_, place)| place));
    }

    /// The greatest number of a node of which there is anything.
    pub fn last_node(&self) -> NodeId {
        let nodes = self.progress.nodes.keys().chain(self.memtable.dropped()).copied();
        let frames = self.frames.keys().map(|(node, _)| *node);
        let chunks = self.chunks.keys().map(|(node, _)| *node);
        let refused = self.refused.keys().map(|(node, ..)| *node);
        nodes.chain(frames).chain(chunks).chain(refused).max().unwrap_or_default()
    }

    /// Frames that a checkpoint covers go.
    fn read(&mut self, source: &SourceProgress) {
        let partition = (source.node, source.partition.clone());
        let last = match source.offset {
            Offset::Journal(last) => last,
            Offset::Gone => RecordId { sequence: Sequence(u64::MAX), index: u32::MAX },
            Offset::Replay(_) => return,
        };
        let Some(frames) = self.frames.get_mut(&partition) else { return };
        let read = frames.partition_point(|place| place.id <= last);
        self.freed.extend(frames.drain(..read));
        if frames.is_empty() {
            self.frames.remove(&partition);
        }
    }

    /// Chunks that were delivered go.
    fn deliver(&mut self, sink: &SinkProgress) {
        self.progress.deliver(sink);
        let Some(last) = sink.delivered else { return };
        let delivered = self.chunks.range((sink.node, ChunkId::default())..=(sink.node, last));
        let delivered: Vec<_> = delivered.map(|(key, place)| (*key, *place)).collect();
        for (key, place) in delivered {
            self.chunks.remove(&key);
            self.freed.push(place);
        }
    }

    /// Somebody took a refused row over.
    pub fn take_refused(&mut self, row: &Refused) {
        self.freed.extend(self.refused.remove(&(row.node, row.chunk, row.row_number)));
    }

    /// The records that are not needed any more since the last call.
    pub fn take_freed(&mut self) -> Vec<RecordPlace> {
        std::mem::take(&mut self.freed)
    }

    /// Whether there is anything that the store does not have.
    pub fn has_unfolded(&self) -> bool {
        !self.unfolded.is_empty()
    }

    /// From now on the store has all commits up to this one.
    pub fn set_folded(&mut self, folded: Sequence) {
        self.folded = folded;
        self.memtable.clear();
        self.freed.append(&mut self.unfolded);
    }

    /// Input that no checkpoint covers, a partition after the other, each in order.
    pub fn frames(&self) -> impl Iterator<Item = (NodeId, &[u8], &RecordPlace)> {
        self.frames.iter().flat_map(|((node, partition), frames)| {
            frames.iter().map(move |place| (*node, partition.as_slice(), place))
        })
    }

    /// Output that was not delivered, a sink after the other, each in order.
    pub fn chunks(&self) -> impl Iterator<Item = (NodeId, ChunkId, &RecordPlace)> {
        self.chunks.iter().map(|((node, id), place)| (*node, *id, place))
    }

    /// Output of one sink that was not delivered, in order.
    pub fn chunks_of(&self, sink: NodeId) -> impl Iterator<Item = (ChunkId, &RecordPlace)> {
        let last = ChunkId { epoch: Epoch(u64::MAX), number: ChunkNumber(u32::MAX) };
        let range = self.chunks.range((sink, ChunkId::default())..=(sink, last));
        range.map(|((_, id), place)| (*id, place))
    }

    /// The same behind one of them.
    pub fn chunks_behind(
        &self,
        sink: NodeId,
        chunk: ChunkId,
    ) -> impl Iterator<Item = (ChunkId, &RecordPlace)> {
        let last = ChunkId { epoch: Epoch(u64::MAX), number: ChunkNumber(u32::MAX) };
        // An empty range that begins behind its end is no range.
        let first = chunk.min(last);
        self.chunks
            .range((sink, first)..=(sink, last))
            .map(|((_, id), place)| (*id, place))
            .skip_while(move |(id, _)| *id == chunk)
    }

    /// One chunk of a sink that was not delivered.
    pub fn chunk(&self, sink: NodeId, chunk: ChunkId) -> Option<&RecordPlace> {
        self.chunks.get(&(sink, chunk))
    }

    /// Rows that targets refused and nobody took over, in order.
    pub fn refused(&self) -> impl Iterator<Item = &RecordPlace> {
        self.refused.values()
    }
}
