//! Committed output of a sink that its target has not acknowledged, in order: the first of it in memory, the rest in the log.

use crate::state::{Chunk, ChunkId, Epoch, NodeId, StateBackend, StateError};
use std::collections::{BTreeMap, VecDeque};

/// Chunks that are known in memory; further ones are found in the log when their turn comes.
const WINDOW: usize = 1024;
/// Bytes of committed chunks that stay in memory until they are delivered; the rest is read from the log.
const MOST_REMEMBERED: usize = 8 << 20;

/// Chunks that wait, or were given to the target.
pub struct Queue {
    node: NodeId,
    chunks: VecDeque<Queued>,
    /// The last that was ever among these: the log has those that are delivered, too, until that is durable.
    last: Option<ChunkId>,
    /// Whether the log has more behind these.
    has_more: bool,
    /// Of those in the log alone: what the target was given already, by which call.
    given: BTreeMap<ChunkId, u64>,
    /// Bytes of all that wait.
    waiting: u64,
    remembered: usize,
}

struct Queued {
    id: ChunkId,
    length: usize,
    /// None where it is to be read from the log.
    bytes: Option<Vec<u8>>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// The target was given it, and secured with that call.
    Given(u64),
    /// It is not to be delivered any more.
    GivenUp,
}

impl Queue {
    /// What the log has for a sink.
    pub fn find(node: NodeId, backend: &StateBackend) -> Queue {
        let waiting = backend.undelivered(node).map(|(_, place)| u64::from(place.length)).sum();
        let chunks = VecDeque::new();
        let (last, given) = (None, BTreeMap::new());
        let mut queue = Queue { node, chunks, last, has_more: true, given, waiting, remembered: 0 };
        queue.fill(backend);
        queue
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && !self.has_more
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// The epoch of the first.
    pub fn first(&self) -> Option<Epoch> {
        self.chunks.front().map(|chunk| chunk.id.epoch)
    }

    /// Whether there is something that was given to the target.
    pub fn has_given(&self) -> bool {
        self.chunks.iter().any(|chunk| matches!(chunk.stage, Stage::Given(_)))
    }

    /// A chunk was committed; the target was given it already by `call`, if that is there.
    pub fn push(&mut self, id: ChunkId, bytes: Vec<u8>, call: Option<u64>) {
        let length = bytes.len();
        self.waiting += if call.is_none() { length as u64 } else { 0 };
        self.has_more |= self.chunks.len() >= WINDOW;
        if self.has_more {
            call.into_iter().for_each(|call| _ = self.given.insert(id, call));
            return;
        }
        let keep = call.is_none() && self.remembered + length <= MOST_REMEMBERED;
        self.remembered += if keep { length } else { 0 };
        let stage = call.map_or(Stage::Waiting, Stage::Given);
        self.last = Some(id);
        self.chunks.push_back(Queued { id, length, bytes: keep.then_some(bytes), stage });
    }

    /// Takes in what the log has behind what is known.
    fn fill(&mut self, backend: &StateBackend) {
        if !self.has_more {
            return;
        }
        let room = WINDOW.saturating_sub(self.chunks.len());
        let given = &mut self.given;
        let mut queued = |(id, length): (ChunkId, u32)| {
            let stage = given.remove(&id).map_or(Stage::Waiting, Stage::Given);
            Queued { id, length: length as usize, bytes: None, stage }
        };
        let mut found: Vec<(ChunkId, u32)> = match self.last {
            Some(last) => head(backend.undelivered_behind(self.node, last), room),
            None => head(backend.undelivered(self.node), room),
        };
        self.has_more = found.len() > room;
        found.truncate(room);
        self.last = found.last().map(|(id, _)| *id).or(self.last);
        self.chunks.extend(found.into_iter().map(&mut queued));
    }

    /// The number of the first that waits.
    pub fn next(&mut self, backend: &StateBackend) -> Option<usize> {
        loop {
            let next = self.chunks.iter().position(|chunk| chunk.stage == Stage::Waiting);
            let known = self.chunks.len();
            if next.is_none() && !self.has_more {
                // The log's records are a little longer than what is in them.
                self.waiting = 0;
            }
            if next.is_some() || !self.has_more {
                return next;
            }
            self.join_given_up();
            self.fill(backend);
            // All of them were given, and are to be settled first.
            if self.chunks.len() == known {
                return None;
            }
        }
    }

    /// What is to be delivered.
    pub fn bytes(&mut self, at: usize, backend: &StateBackend) -> Result<Vec<u8>, StateError> {
        if let Some(bytes) = self.chunks[at].bytes.take() {
            self.remembered -= bytes.len();
            return Ok(bytes);
        }
        let place = backend.undelivered_chunk(self.node, self.chunks[at].id);
        let place =
            place.ok_or_else(|| StateError::corrupt("the log", "a chunk that was committed is missing"))?;
        let record = backend.read(place)?;
        Ok(Chunk::decode(&record)?.payload.to_vec())
    }

    /// Which one it is.
    pub fn id(&self, at: usize) -> ChunkId {
        self.chunks[at].id
    }

    /// All up to that one have arrived.
    pub fn skip_through(&mut self, through: ChunkId, backend: &StateBackend) {
        while let Some(chunk) = self.chunks.front().filter(|chunk| chunk.id <= through) {
            self.remembered -= chunk.bytes.as_ref().map_or(0, Vec::len);
            self.waiting -= (chunk.length as u64).min(self.waiting);
            self.chunks.pop_front();
            if self.chunks.is_empty() {
                self.fill(backend);
            }
        }
    }

    /// The target was given it, to be secured with that call.
    pub fn give(&mut self, at: usize, call: u64) {
        self.chunks[at].stage = Stage::Given(call);
        self.waiting -= (self.chunks[at].length as u64).min(self.waiting);
    }

    /// Whether the first does not wait.
    pub fn has_settled(&self) -> bool {
        self.chunks.front().is_some_and(|chunk| chunk.stage != Stage::Waiting)
    }

    /// Takes out what is acknowledged up to that call, from the first on: the last of it.
    pub fn settle(&mut self, acknowledged: u64) -> Option<ChunkId> {
        let mut settled = None;
        while let Some(chunk) = self.chunks.front() {
            match chunk.stage {
                Stage::GivenUp => {}
                Stage::Given(call) if call <= acknowledged => {}
                _ => break,
            }
            settled = Some(chunk.id);
            self.chunks.pop_front();
        }
        settled
    }

    /// Gives up so many bytes of what waits, from the first on, and all up to that epoch. Returns how many it were.
    pub fn give_up(&mut self, mut surplus: u64, old: Option<Epoch>, backend: &StateBackend) -> u64 {
        let mut all = 0;
        while let Some(at) = self.next(backend) {
            let chunk = &mut self.chunks[at];
            if surplus == 0 && old.is_none_or(|old| chunk.id.epoch > old) {
                break;
            }
            let length = chunk.length as u64;
            self.remembered -= chunk.bytes.take().map_or(0, |bytes| bytes.len());
            chunk.stage = Stage::GivenUp;
            surplus = surplus.saturating_sub(length);
            self.waiting -= length.min(self.waiting);
            all += length;
        }
        all
    }

    /// Of chunks given up that follow one another the last stands for all.
    fn join_given_up(&mut self) {
        let mut joined: VecDeque<Queued> = VecDeque::new();
        for chunk in std::mem::take(&mut self.chunks) {
            match joined.back_mut() {
                Some(last) if last.stage == Stage::GivenUp && chunk.stage == Stage::GivenUp => *last = chunk,
                _ => joined.push_back(chunk),
            }
        }
        self.chunks = joined;
    }
}

/// The first of them, one more than there is room for if there are so many.
fn head<'a>(
    chunks: impl Iterator<Item = (ChunkId, &'a crate::state::RecordPlace)>,
    room: usize,
) -> Vec<(ChunkId, u32)> {
    chunks.take(room + 1).map(|(id, place)| (id, place.length)).collect()
}
