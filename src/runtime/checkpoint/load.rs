//! What an earlier run left, given back to operators and sources.

use super::frames::ONLY;
use super::ids::StateIds;
use super::part::Reached;
use crate::dataflow::{FrameNumber, KEYLESS, Position, Resume, Saved, groups_of, own_key, own_worker};
use crate::event::bytes::Malformed;
use crate::runtime::intake::Intake;
use crate::state::{
    self, Entry, Frame, Offset, RecordId, SourceProgress, StateBackend, StateError, StateKey,
};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// Bytes of workers that there are no more: they were given to others, and would be again.
pub fn surplus(backend: &StateBackend, ids: &StateIds, workers: usize) -> Result<Vec<Entry>, StateError> {
    let mut surplus = Vec::new();
    let all = ids.steps.iter().chain(&ids.inlets).flatten().chain(&ids.sources);
    for node in all {
        // No other group has such bytes: all of the state need not be read for them.
        backend.keyed().group(*node, KEYLESS, &mut |group, key, _| {
            if own_worker(key).is_some_and(|worker| worker >= workers as u64) {
                surplus.push(Entry { key: StateKey::new(*node, group, key), value: None });
            }
            Ok(())
        })?;
    }
    Ok(surplus)
}

/// How many workers there were when state was saved last; None where none was. Each worker says so with its sources.
pub fn workers_before(backend: &StateBackend, ids: &StateIds) -> Result<Option<usize>, StateError> {
    for node in &ids.sources {
        // There always was a first worker.
        let key = own_key(*node, 0, b"");
        if let Some(value) = backend.keyed().get(key.node(), key.group(), key.key())? {
            return Ok(Some(Intake::saved_by(&value)?.1));
        }
    }
    Ok(None)
}

/// State on its way to the operators of one worker.
#[derive(Clone, Copy)]
pub struct Loading<'a> {
    /// The state.
    pub backend: &'a StateBackend,
    /// Whose is which.
    pub ids: &'a StateIds,
    /// The number of the worker, and how many there are.
    pub worker: (usize, usize),
    /// Whether there were more workers then, or fewer.
    pub moved: bool,
}

impl Loading<'_> {
    /// Hands over all of a node's state that this worker is to have. Of what is kept by key it reads nothing else.
    pub fn node(
        &self,
        node: state::NodeId,
        load: &mut dyn FnMut(Saved<'_>) -> Result<(), Malformed>,
    ) -> Result<(), StateError> {
        let mut visit = |group, key: &[u8], value: &[u8]| {
            let saved = Saved::read(group, key, value, self.worker)?;
            Ok(saved.map_or(Ok(()), |saved| load(saved.moved(self.moved)))?)
        };
        let (me, workers) = self.worker;
        let (keyed, own) = (self.backend.keyed(), groups_of(me, workers));
        // What belongs to no key lies in a group of its own, which is the first.
        if own.as_ref().is_none_or(|own| !own.contains(&KEYLESS)) {
            keyed.group(node, KEYLESS, &mut visit)?;
        }
        own.map_or(Ok(()), |own| keyed.groups(node, own, &mut visit))
    }
}

/// Where a source's partitions go on.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// What partitions are told.
    pub resume: Arc<Resume>,
    /// Of each partition: how many events to skip, and how far its event time had come.
    pub marks: BTreeMap<Vec<u8>, (u64, Option<Timestamp>)>,
    /// The records of the unread frames, in order.
    pub unread: Vec<RecordId>,
}

impl Origins {
    /// Positions that are of no partition any more, of that source.
    pub fn gone(&self, node: state::NodeId) -> Vec<SourceProgress> {
        let gone = std::mem::take(&mut *self.resume.gone.lock().unwrap_or_else(PoisonError::into_inner));
        let forgotten = |partition| SourceProgress { node, partition, offset: Offset::Gone, watermark: None };
        gone.into_iter().map(forgotten).collect()
    }

    /// What was kept of a source.
    pub fn of(backend: &StateBackend, node: state::NodeId) -> Result<Origins, StateError> {
        let mut origins = Origins::default();
        let (mut positions, mut unread) = (Vec::new(), Vec::new());
        for ((source, partition), progress) in &backend.progress().sources {
            if *source != node {
                continue;
            }
            let (skip, at) = match &progress.offset {
                Offset::Replay(bytes) => Reached::decode_replay(bytes)?,
                // Frames that were read are gone from the journal; numbers start anew.
                Offset::Journal(_) => (0, crate::dataflow::Offset::Journal(FrameNumber(0))),
                Offset::Gone => continue,
            };
            origins.marks.insert(partition.clone(), (skip, progress.watermark));
            positions.push(Position { partition: partition.clone(), at });
        }
        for (source, partition, place) in backend.unread_frames() {
            if source == node && partition == ONLY {
                origins.unread.push(place.id);
                let record = backend.read(place)?;
                let frame = Frame::decode(&record)?.payload.to_vec();
                unread.push((FrameNumber(origins.unread.len() as u64), frame));
            }
        }
        origins.resume =
            Arc::new(Resume { positions: positions.into(), unread: unread.into(), ..Resume::default() });
        Ok(origins)
    }
}
