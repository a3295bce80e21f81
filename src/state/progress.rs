//! How far a pipeline has come: what its nodes are, what was read, what was delivered.

use super::log::RecordId;
use super::number::{ChunkNumber, Epoch, Incarnation, NodeId, ShapeHash};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// What a number of a node stands for. A node has one for each of its states, with a name made of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The number.
    pub id: NodeId,
    /// The name in the pipeline, and of the state where there are several.
    pub name: String,
    /// How its state is laid out.
    pub shape: ShapeHash,
}

/// Where a source goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offset {
    /// The source can read again from here; what it says means something to it alone.
    Replay(Vec<u8>),
    /// The journal holds what was read: this is the last frame that is part of the checkpoint.
    Journal(RecordId),
    /// There is no such partition any more.
    Gone,
}

/// How far a partition of a source was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceProgress {
    /// The source.
    pub node: NodeId,
    /// What the source calls the partition.
    pub partition: Vec<u8>,
    /// Where it goes on.
    pub offset: Offset,
    /// How far its event time has come, if it has begun.
    pub watermark: Option<Timestamp>,
}

/// A chunk of output: of which epoch, and which of those of its sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The epoch whose output it is.
    pub epoch: Epoch,
    /// Counted from 0 in each epoch.
    pub number: ChunkNumber,
}

/// How far a sink has delivered: the chunks that are committed, in order, up to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkProgress {
    /// The sink.
    pub node: NodeId,
    /// The last chunk delivered; None before the first.
    pub delivered: Option<ChunkId>,
    /// Where in its target it goes on; what it says means something to the sink alone.
    pub position: Vec<u8>,
}

/// All of it: what a series of checkpoints comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last epoch.
    pub epoch: Epoch,
    /// From which lives of other folders this state comes, and up to which of their epochs.
    pub lineage: BTreeMap<Incarnation, Epoch>,
    /// The nodes, by number.
    pub nodes: BTreeMap<NodeId, Node>,
    /// The partitions of sources.
    pub sources: BTreeMap<(NodeId, Vec<u8>), SourceProgress>,
    /// The watermarks that nodes hold themselves.
    pub watermarks: BTreeMap<NodeId, Timestamp>,
    /// The sinks.
    pub sinks: BTreeMap<NodeId, SinkProgress>,
}

impl Progress {
    /// Takes over what a checkpoint says.
    pub fn apply(&mut self, checkpoint: &super::Checkpoint) {
        self.epoch = self.epoch.max(checkpoint.epoch);
        self.lineage.extend(checkpoint.lineage.iter().copied());
        checkpoint.dropped.iter().for_each(|node| self.drop_node(*node));
        self.nodes.extend(checkpoint.nodes.iter().map(|node| (node.id, node.clone())));
        for source in &checkpoint.sources {
            let key = (source.node, source.partition.clone());
            match source.offset {
                Offset::Gone => _ = self.sources.remove(&key),
                _ => _ = self.sources.insert(key, source.clone()),
            }
        }
        self.watermarks.extend(checkpoint.watermarks.iter().copied());
        checkpoint.sinks.iter().for_each(|sink| self.deliver(sink));
    }

    /// Nothing is known of a node any more.
    fn drop_node(&mut self, node: NodeId) {
        self.nodes.remove(&node);
        self.sources.retain(|(of, _), _| *of != node);
        self.watermarks.remove(&node);
        self.sinks.remove(&node);
    }

    /// Takes over how far a sink has come.
    pub fn deliver(&mut self, sink: &SinkProgress) {
        self.sinks.insert(sink.node, sink.clone());
    }

    /// All of it as one checkpoint without entries.
    pub fn whole(&self) -> super::Checkpoint {
        super::Checkpoint {
            epoch: self.epoch,
            lineage: self.lineage.iter().map(|(&life, &epoch)| (life, epoch)).collect(),
            dropped: Vec::new(),
            nodes: self.nodes.values().cloned().collect(),
            sources: self.sources.values().cloned().collect(),
            watermarks: self.watermarks.iter().map(|(&node, &watermark)| (node, watermark)).collect(),
            sinks: self.sinks.values().cloned().collect(),
            entries: Vec::new(),
        }
    }

    /// The same where the frames that are kept get other places in the log: all of them are unread.
    pub fn with_all_unread(&self) -> super::Checkpoint {
        let mut whole = self.whole();
        for source in &mut whole.sources {
            if matches!(source.offset, Offset::Journal(_)) {
                source.offset = Offset::Journal(RecordId::default());
            }
        }
        whole
    }

    /// The number of a node by its name and shape.
    pub fn find(&self, name: &str, shape: ShapeHash) -> Option<NodeId> {
        self.nodes.values().find(|node| node.name == name && node.shape == shape).map(|node| node.id)
    }

    /// Whether a sink has delivered a chunk.
    pub fn is_delivered(&self, sink: NodeId, chunk: ChunkId) -> bool {
        self.sinks.get(&sink).is_some_and(|progress| progress.delivered >= Some(chunk))
    }

    /// Whether a frame of the journal is part of the last checkpoint.
    pub fn is_read(&self, source: NodeId, partition: &[u8], frame: RecordId) -> bool {
        let known = self.sources.get(&(source, partition.to_vec()));
        known.is_some_and(|known| matches!(known.offset, Offset::Journal(last) if frame <= last))
    }
}
