//! A checkpoint as bytes: what changed since the one before.
//!
//! Sections in a fixed order, each with its count before it and sorted, so that there is one form of every
//! checkpoint. A key is written as the number of bytes that it shares with the one before and the rest.

use super::error::StateError;
use super::keyed::{STATE_KEY_HEAD, StateKey};
use super::log::{Commit, RecordId, RecordKind};
use super::number::{ChunkNumber, Epoch, Incarnation, NodeId, Sequence, ShapeHash};
use super::piece::Piece;
use super::progress::{ChunkId, Node, Offset, SinkProgress, SourceProgress};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_signed};
use crate::time::Timestamp;

/// The format of a checkpoint.
pub const CHECKPOINT_VERSION: u8 = 1;

/// The longest name of a node, in bytes.
pub const NAME_LIMIT: usize = 1 << 10;
/// The longest name of a partition.
pub const PARTITION_LIMIT: usize = 64 << 10;
/// The longest position of a source.
pub const POSITION_LIMIT: usize = 1 << 20;
/// The longest position of a sink, which may write to many places.
pub const SINK_POSITION_LIMIT: usize = 16 << 20;
/// The longest key, node and group included.
pub const KEY_LIMIT: usize = 1 << 20;
/// The longest value of a key.
pub const VALUE_LIMIT: usize = 1 << 30;

/// At about this size a checkpoint is continued in another record: read back, it takes some times as much memory.
const PART_BYTES: usize = 2 << 20;

/// New bytes of a key, or that it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub key: StateKey,
    /// The bytes; None if it is gone.
    pub value: Option<Box<[u8]>>,
}

impl Entry {
    /// Key and value, if that is longer.
    pub fn long_value(&self, than: usize) -> Option<(&StateKey, &[u8])> {
        self.value.as_deref().filter(|value| value.len() > than).map(|value| (&self.key, value))
    }
}

/// What changed since the checkpoint before. Each list is sorted by its first field or two, without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which one it is.
    pub epoch: Epoch,
    /// From which lives of other folders this state comes, and up to which of their epochs: said once, at a restore.
    pub lineage: Vec<(Incarnation, Epoch)>,
    /// Nodes whose state is gone with all their keys, frames and chunks; before anything else that this one says.
    pub dropped: Vec<NodeId>,
    /// Nodes that are new, or have another name now.
    pub nodes: Vec<Node>,
    /// Partitions that were read.
    pub sources: Vec<SourceProgress>,
    /// Watermarks that nodes hold themselves.
    pub watermarks: Vec<(NodeId, Timestamp)>,
    /// Sinks that have delivered.
    pub sinks: Vec<SinkProgress>,
    /// Keys that changed. Blobs of a node (timers, counters) are values of a key of their own; a deadline in
    /// processing time is a value that says how much time is left.
    pub entries: Vec<Entry>,
}

impl Checkpoint {
    /// Whether it says nothing but its epoch.
    pub fn is_empty(&self) -> bool {
        *self == Checkpoint { epoch: self.epoch, ..Checkpoint::default() }
    }

    /// Brings all lists into their order; of entries of one key the last one stays.
    pub fn sort(&mut self) {
        self.lineage.sort_unstable();
        self.dropped.sort_unstable();
        self.dropped.dedup();
        self.nodes.sort_by_key(|node| node.id);
        self.sources.sort_by(|a, b| (a.node, &a.partition).cmp(&(b.node, &b.partition)));
        self.watermarks.sort_by_key(|(node, _)| *node);
        self.sinks.sort_by_key(|sink| sink.node);
        // Sorted stably and from behind, the last comes first.
        self.entries.reverse();
        self.entries.sort_by(|a, b| a.key.cmp(&b.key));
        self.entries.dedup_by(|later, first| later.key == first.key);
    }

    /// Adds it to a commit, in as many records as its size takes; values longer than a piece in pieces.
    ///
    /// # Errors
    /// Something is beyond a limit. The commit is then to be given up.
    pub fn push(&self, kind: RecordKind, commit: &mut Commit, piece_bytes: usize) -> Result<(), StateError> {
        self.check_limits()?;
        let mut rest = self.entries.as_slice();
        let mut head = Some(self);
        while head.is_some() || !rest.is_empty() {
            let (part, after) = rest.split_at(part_length(rest, piece_bytes));
            let continued = Checkpoint { epoch: self.epoch, ..Checkpoint::default() };
            if head.is_some() || !part.is_empty() {
                let head = head.take().unwrap_or(&continued);
                commit.push(kind, |into| head.encode_with(part, into))?;
            }
            rest = after;
            if let Some((key, value)) = rest.first().and_then(|entry| entry.long_value(piece_bytes)) {
                for piece in Piece::cut(self.epoch, key, value, piece_bytes) {
                    commit.push(kind, |into| piece.encode(into))?;
                }
                rest = &rest[1..];
            }
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), StateError> {
        let check = |what, bytes: usize, limit: usize| {
            if bytes > limit { Err(StateError::TooLarge { what, bytes, limit }) } else { Ok(()) }
        };
        self.nodes.iter().try_for_each(|node| check("a node's name", node.name.len(), NAME_LIMIT))?;
        for source in &self.sources {
            check("a partition's name", source.partition.len(), PARTITION_LIMIT)?;
            if let Offset::Replay(offset) = &source.offset {
                check("a source's offset", offset.len(), POSITION_LIMIT)?;
            }
        }
        let positions = &mut self.sinks.iter().map(|sink| sink.position.len());
        positions.try_for_each(|bytes| check("a sink's position", bytes, SINK_POSITION_LIMIT))?;
        for entry in &self.entries {
            check("a key", entry.key.as_bytes().len(), KEY_LIMIT)?;
            if let Some((key, value)) = entry.long_value(VALUE_LIMIT) {
                let (key, bytes) = (key.clone(), value.len());
                return Err(StateError::ValueTooLarge { key, known_as: None, bytes, limit: VALUE_LIMIT });
            }
        }
        Ok(())
    }

    /// Appends all of it.
    pub fn encode(&self, into: &mut Vec<u8>) {
        self.encode_with(&self.entries, into);
    }

    fn encode_with(&self, entries: &[Entry], into: &mut Vec<u8>) {
        into.push(CHECKPOINT_VERSION);
        put_number(into, self.epoch.0);
        put_number(into, self.lineage.len() as u64);
        for (incarnation, epoch) in &self.lineage {
            into.extend_from_slice(&incarnation.0.to_le_bytes());
            put_number(into, epoch.0);
        }
        put_number(into, self.dropped.len() as u64);
        self.dropped.iter().for_each(|node| put_number(into, node.0.into()));
        put_number(into, self.nodes.len() as u64);
        for node in &self.nodes {
            put_number(into, node.id.0.into());
            put_bytes(into, node.name.as_bytes());
            into.extend_from_slice(&node.shape.0.to_le_bytes());
        }
        put_number(into, self.sources.len() as u64);
        self.sources.iter().for_each(|source| put_source(into, source));
        put_number(into, self.watermarks.len() as u64);
        for (node, watermark) in &self.watermarks {
            put_number(into, node.0.into());
            put_signed(into, watermark.0);
        }
        put_number(into, self.sinks.len() as u64);
        self.sinks.iter().for_each(|sink| put_sink(into, sink));
        put_entries(into, entries);
    }

    /// Reads what [`Checkpoint::encode`] wrote, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Checkpoint, Malformed> {
        let reader = &mut Reader::new(bytes);
        if reader.byte()? != CHECKPOINT_VERSION {
            return Err(Malformed("a checkpoint of another version"));
        }
        let checkpoint = Checkpoint {
            epoch: Epoch(reader.number()?),
            lineage: list(reader, read_ancestor, |(incarnation, _)| *incarnation)?,
            dropped: list(reader, |reader| reader.small().map(NodeId), |node| *node)?,
            nodes: list(reader, read_node, |node| node.id)?,
            sources: list(reader, read_source, |source| (source.node, source.partition.clone()))?,
            watermarks: list(reader, read_watermark, |(node, _)| *node)?,
            sinks: list(reader, read_sink, |sink| sink.node)?,
            entries: read_entries(reader)?,
        };
        reader.finish()?;
        Ok(checkpoint)
    }
}

/// How many of the entries go into the next record: none that is cut into pieces.
fn part_length(entries: &[Entry], piece_bytes: usize) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        let fits = bytes < PART_BYTES && entry.long_value(piece_bytes).is_none();
        bytes += entry.key.as_bytes().len() + entry.value.as_ref().map_or(0, |value| value.len());
        fits
    };
    entries.iter().take_while(fits).count()
}

fn put_source(into: &mut Vec<u8>, source: &SourceProgress) {
    put_number(into, source.node.0.into());
    put_bytes(into, &source.partition);
    match &source.offset {
        Offset::Gone => into.push(0),
        Offset::Replay(offset) => {
            into.push(1);
            put_bytes(into, offset);
        }
        Offset::Journal(frame) => {
            into.push(2);
            put_number(into, frame.sequence.0);
            put_number(into, frame.index.into());
        }
    }
    into.push(u8::from(source.watermark.is_some()));
    source.watermark.iter().for_each(|watermark| put_signed(into, watermark.0));
}

/// Appends how far a sink has come: in a checkpoint, and alone in a marker.
pub fn put_sink(into: &mut Vec<u8>, sink: &SinkProgress) {
    put_number(into, sink.node.0.into());
    into.push(u8::from(sink.delivered.is_some()));
    if let Some(chunk) = sink.delivered {
        put_chunk_id(into, chunk);
    }
    put_bytes(into, &sink.position);
}

/// Appends which chunk it is.
pub fn put_chunk_id(into: &mut Vec<u8>, chunk: ChunkId) {
    put_number(into, chunk.epoch.0);
    put_number(into, chunk.number.0.into());
}

fn put_entries(into: &mut Vec<u8>, entries: &[Entry]) {
    put_number(into, entries.len() as u64);
    let mut before: &[u8] = &[];
    for entry in entries {
        let key = entry.key.as_bytes();
        let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
        put_number(into, shared as u64);
        put_bytes(into, &key[shared..]);
        // 0 is a key that is gone, else the length of its value and 1.
        put_number(into, entry.value.as_ref().map_or(0, |value| value.len() as u64 + 1));
        entry.value.iter().for_each(|value| into.extend_from_slice(value));
        before = key;
    }
}

/// A list whose keys rise.
fn list<T, K: Ord>(
    reader: &mut Reader,
    read: fn(&mut Reader) -> Result<T, Malformed>,
    key: fn(&T) -> K,
) -> Result<Vec<T>, Malformed> {
    let count = reader.count()?;
    let mut items: Vec<T> = Vec::new();
    for _ in 0..count {
        let item = read(reader)?;
        if items.last().is_some_and(|before| key(before) >= key(&item)) {
            return Err(Malformed("a list out of order"));
        }
        items.push(item);
    }
    Ok(items)
}

fn read_ancestor(reader: &mut Reader) -> Result<(Incarnation, Epoch), Malformed> {
    Ok((Incarnation(reader.fixed()?), Epoch(reader.number()?)))
}

fn read_node(reader: &mut Reader) -> Result<Node, Malformed> {
    let id = NodeId(reader.small()?);
    let name =
        std::str::from_utf8(reader.bytes(NAME_LIMIT)?).map_err(|_| Malformed("a name that is no text"))?;
    Ok(Node { id, name: name.to_string(), shape: ShapeHash(reader.fixed()?) })
}

fn read_source(reader: &mut Reader) -> Result<SourceProgress, Malformed> {
    let node = NodeId(reader.small()?);
    let partition = reader.bytes(PARTITION_LIMIT)?.to_vec();
    let offset = match reader.byte()? {
        0 => Offset::Gone,
        1 => Offset::Replay(reader.bytes(POSITION_LIMIT)?.to_vec()),
        2 => Offset::Journal(RecordId { sequence: Sequence(reader.number()?), index: reader.small()? }),
        _ => return Err(Malformed("an unknown offset")),
    };
    let watermark = read_flag(reader)?.then(|| reader.signed()).transpose()?.map(Timestamp);
    Ok(SourceProgress { node, partition, offset, watermark })
}

fn read_watermark(reader: &mut Reader) -> Result<(NodeId, Timestamp), Malformed> {
    Ok((NodeId(reader.small()?), Timestamp(reader.signed()?)))
}

/// Reads what [`put_sink`] wrote.
pub fn read_sink(reader: &mut Reader) -> Result<SinkProgress, Malformed> {
    let node = NodeId(reader.small()?);
    let delivered = read_flag(reader)?.then(|| read_chunk_id(reader)).transpose()?;
    Ok(SinkProgress { node, delivered, position: reader.bytes(SINK_POSITION_LIMIT)?.to_vec() })
}

/// Reads what [`put_chunk_id`] wrote.
pub fn read_chunk_id(reader: &mut Reader) -> Result<ChunkId, Malformed> {
    Ok(ChunkId { epoch: Epoch(reader.number()?), number: ChunkNumber(reader.small()?) })
}

fn read_flag(reader: &mut Reader) -> Result<bool, Malformed> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed("neither yes nor no")),
    }
}

fn read_entries(reader: &mut Reader) -> Result<Vec<Entry>, Malformed> {
    let count = reader.count()?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut key = Vec::new();
    for _ in 0..count {
        let shared = usize::try_from(reader.number()?).map_err(|_| Malformed("too long"))?;
        if shared > key.len() {
            return Err(Malformed("a key shares more than there is"));
        }
        let rest = reader.bytes(KEY_LIMIT - shared)?;
        // Behind what is shared the key must be greater; this also refuses keys that share more than they say.
        if !entries.is_empty() && rest.first() <= key.get(shared) {
            return Err(Malformed("keys out of order"));
        }
        key.truncate(shared);
        key.extend_from_slice(rest);
        if key.len() < STATE_KEY_HEAD {
            return Err(Malformed("a key is too short"));
        }
        let value = match reader.number()? {
            0 => None,
            length => Some(read_value(reader, length - 1)?),
        };
        let key = StateKey::from_bytes(&key).ok_or(Malformed("a key is too short"))?;
        entries.push(Entry { key, value });
    }
    Ok(entries)
}

fn read_value(reader: &mut Reader, length: u64) -> Result<Box<[u8]>, Malformed> {
    match usize::try_from(length) {
        Ok(length) if length <= VALUE_LIMIT => Ok(reader.take(length)?.into()),
        _ => Err(Malformed("too long")),
    }
}

#[cfg(test)]
mod tests;
