//! Writing a savepoint: of state that does not change meanwhile.

use super::super::backend::StateBackend;
use super::super::checkpoint::{Checkpoint, Entry};
use super::super::error::StateError;
use super::super::log::{RecordKind, RecordPlace};
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
    let mut part = Checkpoint { epoch: state.epoch(), ..Checkpoint::default() };
    let (mut bytes, mut keys, mut payload) = (0, 0, Vec::new());
    let mut flush = |part: &mut Checkpoint| {
        payload.clear();
        part.encode(&mut payload);
        part.entries.clear();
        blocks.put(BlockKind::Checkpoint, &payload)
    };
    state.keyed().all(&mut |key, value| {
        bytes += key.as_bytes().len() + value.len();
        keys += 1;
        part.entries.push(Entry { key: key.clone(), value: Some(value.into()) });
        if bytes < PART_BYTES {
            return Ok(());
        }
        bytes = 0;
        flush(&mut part)
    })?;
    if part.entries.is_empty() { Ok(keys) } else { flush(&mut part).map(|()| keys) }
}
