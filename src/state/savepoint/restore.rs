//! A savepoint becomes the state of a folder.

use super::super::backend::{Changes, StateBackend};
use super::super::checkpoint::Checkpoint;
use super::super::disk::Disk;
use super::super::error::StateError;
use super::super::journal::Frame;
use super::super::outbox::{Chunk, Refused};
use super::super::recovery::{OnCorruption, OpenOptions, hold, open};
use super::super::replacement::{NextDisk, clear_next, holds_state, replace};
use super::read::{Part, SavepointReader};
use super::{Counts, SavepointHead};
use std::io::Read;
use std::sync::Arc;

/// At about this size what is restored is committed.
const COMMIT_BYTES: usize = 4 << 20;

/// What to do where there is state already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnState {
    /// Refuse, and change nothing.
    Refuse,
    /// Put the savepoint in its place.
    Replace,
}

/// Makes a savepoint the state of a folder. The folder begins a new life and remembers from which it comes: what
/// targets hold of that one, up to the savepoint's epoch, is its own. A power cut or a fault of the savepoint leaves what
/// was there.
///
/// # Errors
/// [`StateError::Occupied`] where there is state that is not to be replaced.
pub fn restore<R: Read>(
    disk: &Arc<dyn Disk>,
    options: &OpenOptions,
    mut savepoint: SavepointReader<R>,
    on_state: OnState,
) -> Result<Counts, StateError> {
    let _held = hold(&**disk)?;
    clear_next(&**disk)?;
    if on_state == OnState::Refuse && holds_state(&**disk)? {
        return Err(StateError::Occupied { folder: disk.path() });
    }
    let next: Arc<dyn Disk> = Arc::new(NextDisk::new(disk.clone()));
    let options = OpenOptions { on_corruption: OnCorruption::Refuse, ..*options };
    let (mut state, _) = open(&next, &options)?;
    let progress = Some(inherited(savepoint.head()));
    state.commit(Changes { checkpoint: progress, ..Changes::default() })?;
    let mut batch = Batch::default();
    while let Some(part) = savepoint.next_part()? {
        batch.bytes += size(&part);
        batch.parts.push(part);
        if batch.bytes >= COMMIT_BYTES {
            batch.commit(&mut state)?;
        }
    }
    batch.commit(&mut state)?;
    state.fold()?;
    drop(state);
    replace(&**disk)?;
    Ok(savepoint.counts())
}

/// The progress of a savepoint in a new life.
fn inherited(head: &SavepointHead) -> Checkpoint {
    let mut progress = head.progress.clone();
    progress.lineage.retain(|(incarnation, _)| *incarnation != head.incarnation);
    progress.lineage.push((head.incarnation, progress.epoch));
    progress
}

fn size(part: &Part) -> usize {
    match part {
        Part::Keys(entries) => {
            let value = |value: &Option<Box<[u8]>>| value.as_ref().map_or(0, |value| value.len());
            entries.iter().map(|entry| entry.key.as_bytes().len() + value(&entry.value)).sum()
        }
        Part::Frame(payload) | Part::Chunk(payload) | Part::Refused(payload) => payload.len(),
    }
}

/// Parts that become durable together.
#[derive(Default)]
struct Batch {
    parts: Vec<Part>,
    bytes: usize,
}

impl Batch {
    fn commit(&mut self, state: &mut StateBackend) -> Result<(), StateError> {
        let Batch { mut parts, .. } = std::mem::take(self);
        let mut checkpoint = Checkpoint { epoch: state.epoch(), ..Checkpoint::default() };
        let keys = |part: &mut Part| match part {
            Part::Keys(entries) => std::mem::take(entries),
            _ => Vec::new(),
        };
        checkpoint.entries.extend(parts.iter_mut().flat_map(keys));
        let mut changes = Changes { checkpoint: Some(checkpoint), ..Changes::default() };
        for part in &parts {
            match part {
                Part::Keys(_) => {}
                Part::Frame(payload) => changes.frames.push(Frame::decode(payload)?),
                Part::Chunk(payload) => changes.chunks.push(Chunk::decode(payload)?),
                Part::Refused(payload) => changes.refused.push(Refused::decode(payload)?),
            }
        }
        state.commit(changes)?;
        if state.fold_is_due() {
            state.fold()?;
        }
        Ok(())
    }
}
