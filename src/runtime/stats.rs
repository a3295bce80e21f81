//! What nodes count while they run.

use crate::dataflow::{MAIN, NodeId, Port};
use crate::event::{Reason, RejectKind};
use crate::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// Rejected events kept a node, so that a person can see what is wrong.
const SAMPLES: usize = 5;
/// Bytes kept of a sample's event.
const SAMPLE_BYTES: usize = 500;

/// The counts of one node.
#[derive(Clone, Debug, Default)]
pub struct NodeCounts {
    /// Events that came in.
    pub received: u64,
    /// Events that left by the main port.
    pub sent: u64,
    /// Events that left by other ports that somebody reads.
    pub aside: BTreeMap<Port, u64>,
    /// Events rejected, by stage of work.
    pub rejected: BTreeMap<RejectKind, u64>,
    /// Events dropped by intent, by reason.
    pub discarded: BTreeMap<&'static str, u64>,
    /// What else happened and how often: connections that were lost.
    pub noted: BTreeMap<&'static str, u64>,
    /// Of a source: bytes that were read.
    pub received_bytes: u64,
    /// How far event time has come at the node; None before the first event and behind the end.
    pub watermark: Option<Timestamp>,
    /// Of a source: the latest event time.
    pub last_event_time: Option<Timestamp>,
    /// Of a source: nanoseconds that its workers spent on what it gives.
    pub busy: u64,
    /// Of a source: nanoseconds in which it was not read as those behind it took nothing.
    pub blocked: u64,
    /// Of a source: how many events its servers have that were not read, where that is known.
    pub lag: Option<u64>,
    /// Of a source: whether it is held back, as it runs ahead of its group.
    pub held: bool,
    /// The last few rejects: reason and event.
    pub samples: VecDeque<(String, String)>,
}

impl NodeCounts {
    /// Adds what another worker counted for the same node.
    pub fn add(&mut self, other: &NodeCounts) {
        self.received += other.received;
        self.sent += other.sent;
        for (port, count) in &other.aside {
            *self.aside.entry(*port).or_default() += count;
        }
        for (kind, count) in &other.rejected {
            *self.rejected.entry(*kind).or_default() += count;
        }
        for (reason, count) in &other.discarded {
            *self.discarded.entry(reason).or_default() += count;
        }
        for (what, count) in &other.noted {
            *self.noted.entry(what).or_default() += count;
        }
        self.lag = self.lag.into_iter().chain(other.lag).reduce(|one, other| one + other);
        self.held |= other.held;
        self.received_bytes += other.received_bytes;
        self.watermark = self.watermark.into_iter().chain(other.watermark).min();
        self.last_event_time = self.last_event_time.max(other.last_event_time);
        self.busy += other.busy;
        self.blocked += other.blocked;
        self.samples.extend(other.samples.iter().cloned());
        let surplus = self.samples.len().saturating_sub(SAMPLES);
        self.samples.drain(..surplus);
    }

    /// All rejects.
    pub fn all_rejected(&self) -> u64 {
        self.rejected.values().sum()
    }
}

/// The counts of all nodes of one worker.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    nodes: Vec<NodeCounts>,
}

impl Counters {
    /// Counters for that many nodes.
    pub fn new(nodes: usize) -> Counters {
        Counters { nodes: vec![NodeCounts::default(); nodes] }
    }

    /// The counts by node.
    pub fn nodes(&self) -> &[NodeCounts] {
        &self.nodes
    }

    fn node(&mut self, node: NodeId) -> &mut NodeCounts {
        &mut self.nodes[node.0 as usize]
    }

    /// Events came in.
    pub fn received(&mut self, node: NodeId, rows: u64) {
        self.node(node).received += rows;
    }

    /// Events left by a port.
    pub fn sent(&mut self, node: NodeId, port: Port, rows: u64) {
        match port {
            MAIN => self.node(node).sent += rows,
            port => *self.node(node).aside.entry(port).or_default() += rows,
        }
    }

    /// Bytes were read.
    pub fn read(&mut self, node: NodeId, bytes: u64) {
        self.node(node).received_bytes += bytes;
    }

    /// How far event time has come at a node.
    pub fn reached(&mut self, node: NodeId, watermark: Timestamp) {
        let is_known = Timestamp::MIN < watermark && watermark < Timestamp::MAX;
        self.node(node).watermark = is_known.then_some(watermark);
    }

    /// The latest event time of a source.
    pub fn seen(&mut self, node: NodeId, latest: Timestamp) {
        self.node(node).last_event_time = (latest > Timestamp::MIN).then_some(latest);
    }

    /// Nanoseconds in all that went into a source's events, and in which it was not read.
    pub fn spent(&mut self, node: NodeId, busy: u64, blocked: u64) {
        let node = self.node(node);
        (node.busy, node.blocked) = (busy, blocked);
    }

    /// An event was rejected.
    pub fn rejected(&mut self, node: NodeId, reason: &Reason, event: &[u8]) {
        let node = self.node(node);
        *node.rejected.entry(reason.kind).or_default() += 1;
        if node.samples.len() == SAMPLES {
            node.samples.pop_front();
        }
        let shown = String::from_utf8_lossy(&event[..event.len().min(SAMPLE_BYTES)]).into_owned();
        node.samples.push_back((reason.text.clone().into_owned(), shown));
    }

    /// Something happened that is no matter of single events.
    pub fn noted(&mut self, node: NodeId, what: &'static str, times: u64) {
        *self.node(node).noted.entry(what).or_default() += times;
    }

    /// So many events wait at a source's servers.
    pub fn lag(&mut self, node: NodeId, events: u64) {
        self.node(node).lag = Some(events);
    }

    /// A source is held back, as it runs ahead of its group, or no longer.
    pub fn held(&mut self, node: NodeId, held: bool) {
        self.node(node).held = held;
    }

    /// Events were dropped by intent.
    pub fn discarded(&mut self, node: NodeId, reason: &'static str, rows: u64) {
        *self.node(node).discarded.entry(reason).or_default() += rows;
    }
}
