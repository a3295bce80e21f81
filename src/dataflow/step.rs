//! What a plan says of one operator, before anything runs.

use super::{
    Copies, Decoding, DecodingId, Draft, Operator, Port, RowForm, SharedSink, SharedTable, SinkId, TableId,
};
use crate::time::Millis;
use std::fmt;

/// A node of the pipeline as the user wrote it: a source, transform, window or sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u16);

/// A stage: one batch layout and the steps that work on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageId(pub u16);

/// A step: one operator at one place of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub u16);

/// What handles the rows of a batch next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A step on the same batch.
    Step(StepId),
    /// They are copied into another stage, as the given one of its inputs.
    Join(StageId, usize),
}

/// Where what leaves by a port goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The same batch goes on, in this order.
    Pass(Vec<Next>),
    /// A batch of another stage is filled.
    Emit(StageId),
}

/// The pure description of an operator: it opens and spawns nothing, and can be started any number of times.
pub trait StepPlan: fmt::Debug + Send {
    /// One line for `explain`, after the node's name.
    fn describe(&self) -> String;

    /// Further lines for `explain`: what it computes, what state it keeps, when it acts.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }

    /// How the state is laid out that an operator of it keeps across restarts; None if it keeps none. State goes back only
    /// to a node of the same name whose text here is the same: it names what the bytes mean (kind, sizes, key fields,
    /// aggregates) and a version of their form, and nothing that other nodes may change (slots).
    fn state(&self) -> Option<String> {
        None
    }

    /// For how long it drops events that it has seen, so that what comes twice goes on once.
    fn drops_repeats(&self) -> Option<Millis> {
        None
    }

    /// Whether later rows of it take the place of earlier ones, so that their order must stay.
    fn revises(&self) -> bool {
        false
    }

    /// Whether it takes back rows that it gave, by giving them once more with `retracted` true.
    fn takes_back(&self) -> bool {
        false
    }

    /// Whether keys of its state may leave memory, by [`Operator::spill`].
    fn spills(&self) -> bool {
        false
    }

    /// Whether it tells of one thing in several rows, each of what is new, so that none can take the place of another.
    fn gives_parts(&self) -> bool {
        false
    }

    /// A fresh operator, one a worker.
    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator>;
}

/// What a step may look up when it starts: the finished plan around it, and the opened sinks.
pub struct StartContext<'a> {
    /// What lies behind the step's ports.
    pub outputs: &'a [(Port, Target)],
    /// The finished plan.
    pub draft: &'a Draft,
    /// The opened sinks.
    pub sinks: &'a [SharedSink],
    /// The opened tables.
    pub tables: &'a [SharedTable],
    /// A number that differs from process to process, for hash tables.
    pub hash_seed: u64,
    /// Which worker this is, and of how many.
    pub worker: (usize, usize),
    /// Whether state is kept across restarts, so that operators must know what changed.
    pub durable: bool,
}

impl StartContext<'_> {
    /// What must be copied into the batch behind an emitting port, for the given input of that stage.
    /// Nothing if the port is not connected.
    pub fn copies(&self, port: Port, input: usize) -> Copies {
        self.behind(port)
            .and_then(|stage| self.draft.stages[stage.0 as usize].copies.get(input))
            .cloned()
            .unwrap_or_default()
    }

    /// The form in which rows are kept that wait to go to the first input of that stage.
    pub fn row_form(&self, port: Port) -> RowForm {
        self.row_form_of(port, 0)
    }

    /// The same for the given input of that stage.
    pub fn row_form_of(&self, port: Port, input: usize) -> RowForm {
        match self.behind(port) {
            Some(stage) => RowForm::of(self.draft, stage, &self.copies(port, input)),
            None => RowForm::new(Vec::new(), Vec::new(), false),
        }
    }

    /// Columns of the stage behind an emitting port; none if the port is not connected.
    pub fn slots(&self, port: Port) -> usize {
        self.behind(port).map_or(0, |stage| self.draft.stages[stage.0 as usize].slots.len())
    }

    /// What is wanted of a decoder.
    pub fn decoding(&self, id: DecodingId) -> &Decoding {
        &self.draft.decodings[id.0 as usize]
    }

    /// An opened sink.
    pub fn sink(&self, id: SinkId) -> SharedSink {
        self.sinks[id.0 as usize].clone()
    }

    /// An opened table.
    pub fn table(&self, id: TableId) -> SharedTable {
        self.tables[id.0 as usize].clone()
    }

    /// Whether anything listens at the port.
    pub fn is_connected(&self, port: Port) -> bool {
        self.outputs.iter().any(|(p, _)| *p == port)
    }

    /// The stage behind an emitting port.
    fn behind(&self, port: Port) -> Option<StageId> {
        self.outputs.iter().find_map(|(p, target)| match target {
            Target::Emit(stage) if *p == port => Some(*stage),
            _ => None,
        })
    }
}
