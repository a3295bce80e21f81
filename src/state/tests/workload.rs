//! A random workload and what its state should be.

use super::super::*;
use crate::time::{Random, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub const SOURCE: NodeId = NodeId(1);
pub const JOURNALED: NodeId = NodeId(2);
pub const SINK: NodeId = NodeId(3);
pub const WINDOW: NodeId = NodeId(4);

/// Everything that can be seen of state.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct View {
    pub epoch: Epoch,
    pub offset: Option<Vec<u8>>,
    pub watermark: Option<Timestamp>,
    pub position: Option<Vec<u8>>,
    pub keyed: BTreeMap<StateKey, Vec<u8>>,
    pub frames: Vec<Vec<u8>>,
    pub chunks: BTreeMap<ChunkId, Vec<u8>>,
    pub refused: BTreeMap<u32, Vec<u8>>,
}

/// Contents by length alone: enough to see what differs.
impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let View { epoch, offset, watermark, position, .. } = self;
        write!(f, "epoch {epoch} offset {offset:?} watermark {watermark:?} position {position:?} keyed [")?;
        self.keyed.iter().try_for_each(|(key, value)| write!(f, "{:?}:{} ", key.key(), value.len()))?;
        let frames: Vec<usize> = self.frames.iter().map(Vec::len).collect();
        let chunks: Vec<_> = self.chunks.iter().map(|(id, c)| (id.epoch.0, id.number.0, c.len())).collect();
        write!(f, "] frames {frames:?} chunks {chunks:?} refused {:?}", self.refused)
    }
}

impl View {
    pub fn of(state: &StateBackend) -> View {
        let progress = state.progress();
        let source = progress.sources.get(&(SOURCE, b"file".to_vec()));
        let mut view = View { epoch: state.epoch(), ..View::default() };
        if let Some(SourceProgress { offset: Offset::Replay(offset), .. }) = source {
            view.offset = Some(offset.clone());
        }
        view.watermark = progress.watermarks.get(&WINDOW).copied();
        view.position = progress.sinks.get(&SINK).map(|sink| sink.position.clone());
        let keyed = &mut view.keyed;
        let mut visit = |key: &StateKey, value: &[u8]| {
            assert_eq!(keyed.insert(key.clone(), value.to_vec()), None);
            Ok(())
        };
        state.keyed().all(&mut visit).unwrap();
        for (node, partition, place) in state.unread_frames() {
            assert_eq!((node, partition), (JOURNALED, b"topic".as_slice()));
            view.frames.push(Frame::decode(&state.read(place).unwrap()).unwrap().payload.to_vec());
        }
        for (id, place) in state.undelivered(SINK) {
            let bytes = state.read(place).unwrap();
            view.chunks.insert(id, Chunk::decode(&bytes).unwrap().payload.to_vec());
        }
        for place in state.refused() {
            let bytes = state.read(place).unwrap();
            let refused = Refused::decode(&bytes).unwrap();
            assert_eq!(view.refused.insert(refused.row_number.0, refused.row.to_vec()), None);
        }
        view
    }
}

/// One commit of the workload, and what it makes of the state.
#[derive(Clone, Debug, Default)]
pub struct Step {
    frames: Vec<Vec<u8>>,
    checkpoint: Option<Checkpoint>,
    chunks: Vec<(ChunkId, Vec<u8>)>,
    marker: Option<SinkProgress>,
    refused: Option<(u32, Vec<u8>)>,
    /// How many of the frames the checkpoint covers.
    covers: usize,
}

impl Step {
    pub fn draw(random: &mut Random, before: &View, last_frame: Option<RecordId>) -> Step {
        let mut step = Step::default();
        match random.bits() % 6 {
            0 | 1 => step.frames = (0..1 + random.bits() % 3).map(|_| bytes(random, 60)).collect(),
            2 => step.mark(random, before),
            _ => step.check(random, before, last_frame),
        }
        step
    }

    fn check(&mut self, random: &mut Random, before: &View, last_frame: Option<RecordId>) {
        let epoch = before.epoch.next();
        let offset = Offset::Replay(bytes(random, 8));
        let source = |node, partition: &[u8], offset| SourceProgress {
            node,
            partition: partition.to_vec(),
            offset,
            watermark: None,
        };
        let mut checkpoint = Checkpoint { epoch, ..Checkpoint::default() };
        if epoch == Epoch(1) {
            checkpoint.nodes.push(Node { id: WINDOW, name: "window".into(), shape: ShapeHash(1) });
        }
        if epoch > Epoch(1) && random.bits().is_multiple_of(8) {
            let node = [JOURNALED, SINK, WINDOW][random.bits() as usize % 3];
            checkpoint.dropped.push(node);
            // Its number is given again at once.
            checkpoint.nodes.push(Node { id: node, name: "again".into(), shape: ShapeHash(epoch.0) });
        }
        checkpoint.sources.push(source(SOURCE, b"file", offset));
        if let Some(last) = last_frame.filter(|_| random.bits() & 1 == 0) {
            checkpoint.sources.push(source(JOURNALED, b"topic", Offset::Journal(last)));
            self.covers = before.frames.len();
        }
        checkpoint.watermarks.push((WINDOW, Timestamp(random.bits() as i64)));
        for _ in 0..random.bits() % 12 {
            let key = [random.bits() as u8 % 16];
            let value = (!random.bits().is_multiple_of(4)).then(|| bytes(random, 200).into());
            let key = StateKey::new(WINDOW, KeyGroup::of(&key), &key);
            checkpoint.entries.push(Entry { key, value });
        }
        checkpoint.sort();
        for number in 0..random.bits() % 3 {
            self.chunks.push((ChunkId { epoch, number: ChunkNumber(number as u32) }, bytes(random, 300)));
        }
        self.checkpoint = Some(checkpoint);
    }

    fn mark(&mut self, random: &mut Random, before: &View) {
        let undelivered: Vec<ChunkId> = before.chunks.keys().copied().collect();
        if undelivered.is_empty() {
            return;
        }
        let last = undelivered[random.bits() as usize % undelivered.len()];
        self.marker = Some(SinkProgress { node: SINK, delivered: Some(last), position: bytes(random, 5) });
        let number = before.refused.len() as u32;
        self.refused = (random.bits() & 3 == 0).then(|| (number, bytes(random, 10)));
    }

    pub fn apply(&self, view: &mut View) {
        view.frames.drain(..self.covers);
        view.frames.extend(self.frames.iter().cloned());
        if let Some(checkpoint) = &self.checkpoint {
            view.epoch = checkpoint.epoch;
            for &node in &checkpoint.dropped {
                match node {
                    WINDOW => view.keyed.clear(),
                    JOURNALED => view.frames.clear(),
                    _ => {
                        view.chunks.clear();
                        view.refused.clear();
                        view.position = None;
                    }
                }
            }
            for source in &checkpoint.sources {
                if let Offset::Replay(offset) = &source.offset {
                    view.offset = Some(offset.clone());
                }
            }
            view.watermark = Some(checkpoint.watermarks[0].1);
            for entry in &checkpoint.entries {
                match &entry.value {
                    Some(value) => _ = view.keyed.insert(entry.key.clone(), value.to_vec()),
                    None => _ = view.keyed.remove(&entry.key),
                }
            }
        }
        view.chunks.extend(self.chunks.iter().cloned());
        if let Some(marker) = &self.marker {
            view.chunks.retain(|id, _| Some(*id) > marker.delivered);
            view.position = Some(marker.position.clone());
        }
        view.refused.extend(self.refused.clone());
    }

    pub fn changes<'s>(&'s self) -> Changes<'s> {
        let frame = |payload| Frame { node: JOURNALED, partition: b"topic", payload };
        let refused = |(number, row): &'s (u32, Vec<u8>)| Refused {
            node: SINK,
            chunk: ChunkId::default(),
            row_number: RowNumber(*number),
            reason: "no",
            row,
        };
        Changes {
            frames: self.frames.iter().map(|payload| frame(payload)).collect(),
            checkpoint: self.checkpoint.clone(),
            chunks: self.chunks.iter().map(|(id, payload)| Chunk { node: SINK, id: *id, payload }).collect(),
            markers: self.marker.iter().cloned().collect(),
            refused: self.refused.iter().map(refused).collect(),
        }
    }
}

fn bytes(random: &mut Random, limit: u64) -> Vec<u8> {
    let length = random.bits() % limit;
    (0..length).map(|_| random.bits() as u8).collect()
}

/// Small enough that segments come and go and folds are due.
pub const LIMITS: StateLimits = StateLimits {
    cache_bytes: 1 << 16,
    unfolded_bytes: 1200,
    log_bytes: 4000,
    segment_bytes: 1500,
    piece_bytes: 60,
};

pub fn options(on_corruption: OnCorruption, entropy: u64) -> OpenOptions {
    OpenOptions { limits: LIMITS, on_corruption, entropy, now: Timestamp(1_800_000_000_000) }
}

pub fn open_state(disk: &disk::SimulatedDisk, entropy: u64) -> Result<(StateBackend, Recovery), StateError> {
    let disk: Arc<dyn disk::Disk> = Arc::new(disk.clone());
    open(&disk, &options(OnCorruption::Refuse, entropy))
}

/// The last frame that is unread, to be covered by a checkpoint.
pub fn last_frame(state: &StateBackend) -> Option<RecordId> {
    state.unread_frames().map(|(_, _, place)| place.id).last()
}
