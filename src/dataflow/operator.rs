//! A step of a pipeline, and what it may do with what it is given.

use super::cold::ColdKeys;
use super::saved::{Saved, Saving};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, Row};
use crate::time::{Env, Interval, Timestamp};

/// One way out of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port(pub u8);

/// The port that a node's bare name stands for.
pub const MAIN: Port = Port(0);

/// News that are no rows. They reach every step of a chain in order, behind the rows before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// No event earlier than this is expected any more.
    Watermark(Timestamp),
    /// The input has had nothing for so long that it no longer holds the watermark of what it is joined with; or it
    /// holds it again.
    Idle(bool),
    /// Processing time has gone on: [`Env::now`] and [`Env::elapsed`] may have moved. Comes every now and then.
    Tick,
    /// The worker has nothing more at hand: what is buffered for the sake of speed goes out now.
    Flush,
    /// Bounded input has ended and its last watermark was seen.
    End,
}

/// A step that a worker drives by plain calls. It never blocks, sleeps, or reads a clock.
///
/// Ports are of two kinds, fixed at plan time. Behind a *passing* port the same batch goes on with fewer rows.
/// Behind an *emitting* port stands a batch of its own that the operator fills by [`Output::emit`].
pub trait Operator: Send {
    /// Handles the given rows of the batch. Rows left in `rows` go on through [`MAIN`] if that passes; rows
    /// may be removed but not reordered. Rows handed to [`Output::reject`] must be removed as well.
    ///
    /// Before a row is handled, event time stands at `batch.watermarks[row]`; [`Batch::watermark`] follows
    /// as a signal of its own after the batch.
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output);

    /// Handles a signal. Passing ports get it after this call by themselves; an operator with emitting
    /// ports (other than rejects) must hand it on to each by [`Output::signal`].
    fn signal(&mut self, _signal: Signal, _out: &mut dyn Output) {}

    /// Whether rows wait in it for an answer from outside, which it looks for at each [`Signal::Tick`]. Nothing is read
    /// meanwhile, and the input is not at its end before they have gone on.
    fn waits(&self) -> bool {
        false
    }

    /// Says what of its state changed since this was called last, or since [`Operator::load`]. Called between two batches,
    /// and only where [`StepPlan::state`] says that there is state and [`StartContext::durable`] that it is kept.
    ///
    /// [`StepPlan::state`]: super::StepPlan::state
    /// [`StartContext::durable`]: super::StartContext::durable
    fn save(&mut self, _into: &mut Saving<'_>) {}

    /// Takes back a part of what was saved, before anything else happens: once for each part, those of workers before
    /// those of keys. What is loaded does not count as changed.
    fn load(&mut self, _saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        Ok(())
    }

    /// All that was saved has been loaded.
    fn loaded(&mut self) {}

    /// From now on, and before anything is loaded, keys may leave memory. Only for what [`StepPlan::spills`].
    ///
    /// [`StepPlan::spills`]: super::StepPlan::spills
    fn spill(&mut self, _cold: ColdKeys) {}

    /// How many keys have changed since they were saved: each takes memory of its own on its way to the disk.
    fn unsaved(&mut self) -> usize {
        0
    }

    /// What it waits for, where it waits for event time. Asked between two batches, when a person wants to know.
    fn awaits(&self) -> Option<Awaits> {
        None
    }
}

/// What an operator waits for that acts when event time has come far enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaits {
    /// What makes it act: `watermark`, `count`, or a trigger in words.
    pub trigger: String,
    /// Event time, as far as it came in.
    pub watermark: Timestamp,
    /// What it acts on next; None if nothing is open.
    pub earliest: Option<OpenPane>,
}

/// What has begun and waits for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPane {
    /// Whose it is: the fields of the key, as bytes; None if it is of several keys, or of one that is not in memory.
    pub key: Option<Vec<u8>>,
    /// Where it starts and ends, where that is known.
    pub window: Option<Interval>,
    /// The watermark that it waits for; [`Timestamp::MAX`] is the end of input.
    pub due: Timestamp,
    /// What its trigger still waits for, in words, where it has one.
    pub trigger: Option<String>,
}

/// What lies behind an operator.
pub trait Output {
    /// Time of day and randomness.
    fn env(&mut self) -> &mut Env;

    /// Sends rows of the current batch through a passing port other than [`MAIN`].
    fn pass(&mut self, port: Port, rows: &[Row]);

    /// The batch being filled behind an emitting port, with room for at least one row. After adding a row
    /// (with its event time and the watermark that holds before it) nothing more is to be done: a full batch is
    /// driven on at the next call, and a partly filled one when the operator returns. The port must be connected:
    /// an operator learns at its start which of its ports are.
    fn emit(&mut self, port: Port) -> &mut Batch;

    /// Drives what was emitted to a port so far, then the signal.
    fn signal(&mut self, port: Port, signal: Signal);

    /// Counts a row of the current batch as rejected and sends it to the node's `.rejected` port.
    fn reject(&mut self, batch: &Batch, row: Row, reason: Reason);

    /// Counts rows that the operator drops by intent (`filtered`, `late`, …).
    fn discard(&mut self, reason: &'static str, rows: u64);

    /// The pipeline is to end with this failure: nothing that was made since the last checkpoint is saved. A harness that
    /// drives a single operator may leave it out.
    fn fail(&mut self, _why: String) {}
}
