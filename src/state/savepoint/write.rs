//! Writing a savepoint: of state that does not change meanwhile.

use super::super::backend::StateBackend;
use super::super::checkpoint::{Checkpoint, Entry};
use super::super::error::StateError;
use super::super::keyed::StateKey;
use super::super::log::{RecordKind, RecordPlace};
use super::super::piece::Piece;
use super::block::{BlockKind, BlockWriter};
use super::{Counts, Origin};
use std::io::Write;

/// At about this size keys go on in another block.
const PART_BYTES: usize = 1 << 20;

/// Writes all that is durable of a pipeline. The caller makes the file durable, and whole under its name.
pub fn write(state: &StateBackend, origin: &Origin, into: &mut dyn Write) -> Result<Counts, StateError> {
    let mut blocks = BlockWriter::begin(into)?;
    let mut payload = Vec::new();
    origin.encode(state.incarnation(), &mut payload);
    blocks.put(BlockKind::Origin, &payload)?;
    payload.clear();
    state.progress().with_all_unread().encode(&mut payload);
    blocks.put(BlockKind::Basis, &payload)?;
    let mut counts = Counts { keys: write_keys(state, &mut blocks)?, ..Counts::default() };
    let mut frames: Vec<&RecordPlace> = state.unread_frames().map(|(_, _, place)| place).collect();
    // As they came: frames of a partition are read in their order.
    frames.sort_by_key(|place| place.id);
    for place in frames.into_iter().chain(state.all_undelivered()).chain(state.refused()) {
        let (kind, count) = match place.kind {
            RecordKind::Frame => (BlockKind::Frame, &mut counts.frames),
            RecordKind::Chunk => (BlockKind::Chunk, &mut counts.chunks),
            _ => (BlockKind::Refused, &mut counts.refused),
        };
        *count += 1;
        blocks.put(kind, &state.read(place)?)?;
    }
    payload.clear();
    counts.encode(&mut payload);
    blocks.put(BlockKind::End, &payload)?;
    Ok(counts)
}

/// Returns how many there were.
fn write_keys(state: &StateBackend, blocks: &mut BlockWriter) -> Result<u64, StateError> {
    let part = Checkpoint { epoch: state.epoch(), ..Checkpoint::default() };
    let mut writer =
        KeyWriter { blocks, part, bytes: 0, payload: Vec::new(), piece_bytes: state.limits.piece_bytes };
    let mut keys = 0;
    state.keyed().all(&mut |key, value| {
        keys += 1;
        writer.put(key, value)
    })?;
    writer.flush().map(|()| keys)
}

/// Gathers keys to blocks.
struct KeyWriter<'a, 'w> {
    blocks: &'a mut BlockWriter<'w>,
    part: Checkpoint,
    /// Of what was gathered.
    bytes: usize,
    payload: Vec<u8>,
    piece_bytes: usize,
}

impl KeyWriter<'_, '_> {
    fn put(&mut self, key: &StateKey, value: &[u8]) -> Result<(), StateError> {
        if value.len() > self.piece_bytes {
            return self.put_pieces(key, value);
        }
        self.bytes += key.as_bytes().len() + value.len();
        self.part.entries.push(Entry { key: key.clone(), value: Some(value.into()) });
        if self.bytes >= PART_BYTES { self.flush() } else { Ok(()) }
    }

    fn put_pieces(&mut self, key: &StateKey, value: &[u8]) -> Result<(), StateError> {
        self.flush()?;
        for piece in Piece::cut(self.part.epoch, key, value, self.piece_bytes) {
            self.payload.clear();
            piece.encode(&mut self.payload);
            self.blocks.put(BlockKind::Checkpoint, &self.payload)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StateError> {
        if self.part.entries.is_empty() {
            return Ok(());
        }
        self.payload.clear();
        self.part.encode(&mut self.payload);
        self.part.entries.clear();
        self.bytes = 0;
        self.blocks.put(BlockKind::Checkpoint, &self.payload)
    }
}
