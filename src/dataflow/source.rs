//! Where bytes come from.

use super::journal::{FrameNumber, Journal};
use super::planning::NodePlanner;
use super::{ComponentSpec, Durable, FormatPlan, StageId, Upkeep};
use crate::config::Setting;
use crate::event::{Batch, Rejects, Slot, Unreadable};
use crate::expr::{SourceField, Type};
use crate::formats::Decoder;
use crate::time::Env;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Bytes were appended.
    Data,
    /// Nothing at hand now; more may come.
    Empty,
    /// Nothing at hand now, and it is not known whether there is something: the server has not said. No idle time passes.
    Waiting,
    /// Nothing will come any more.
    End,
}

/// A partition that gives bytes in order: one file, standard input.
pub trait ByteSource: Send {
    /// Opens what is read. Called once, before the first read.
    fn open(&mut self) -> Result<(), SourceError>;

    /// Appends at most about `max` bytes. Never blocks for long: a source that has nothing at hand returns
    /// [`Polled::Empty`] (after waiting some milliseconds for it at the most).
    fn read(&mut self, into: &mut Vec<u8>, max: usize) -> Result<Polled, SourceError>;
}

/// Why a source stopped working.
#[derive(Debug)]
pub struct SourceError {
    /// What failed, naming the file or server and the remedy.
    pub message: String,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SourceError {}

/// Input of a pass that cannot become events that go on.
#[derive(Debug, Default)]
pub struct Refused {
    /// Bytes that are no event.
    pub unreadable: Vec<Unreadable>,
    /// Rows of the batch that could not be completed.
    pub rows: Rejects,
    /// Events that were lost before they could be read: why, and how many.
    pub discarded: Vec<(&'static str, u64)>,
    /// What happened outside that a person should see: what, and how often.
    pub noted: Vec<(&'static str, u64)>,
}

/// How far a partition was read, as it stands in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// What the source calls the partition: the same as long as it is the same input, and no other's.
    pub partition: Vec<u8>,
    /// Where it goes on.
    pub at: Offset,
}

/// Where a partition goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offset {
    /// Behind what was read, in the source's own words.
    Replay(Vec<u8>),
    /// Behind that frame of the journal, which holds all that was read.
    Journal(FrameNumber),
}

impl Default for Offset {
    fn default() -> Offset {
        Offset::Replay(Vec::new())
    }
}

/// What an earlier run left of a source: how far its partitions were read, and what of its journal was not.
#[derive(Debug, Default)]
pub struct Resume {
    /// The positions of a checkpoint. A partition takes its own out.
    pub positions: Mutex<Vec<Position>>,
    /// Frames of the journal that no checkpoint covers, in order; the first partition that asks takes them.
    pub unread: Mutex<Vec<(FrameNumber, Vec<u8>)>>,
    /// Partitions whose positions were dropped, to be forgotten at the next checkpoint.
    pub gone: Mutex<Vec<Vec<u8>>>,
}

impl Resume {
    /// Takes the position out that `is_mine` knows; None if there is none.
    pub fn take(&self, is_mine: impl FnMut(&Position) -> bool) -> Option<Position> {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let found = positions.iter().position(is_mine)?;
        Some(positions.remove(found))
    }

    /// Whether a position is left that is like that.
    pub fn has(&self, is_like: impl FnMut(&Position) -> bool) -> bool {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_like)
    }

    /// Takes the position out that suits best: the first with the highest rank, None suits not at all.
    pub fn take_best<R: Ord>(&self, mut rank: impl FnMut(&Position) -> Option<R>) -> Option<Position> {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut best: Option<(usize, R)> = None;
        for (place, position) in positions.iter().enumerate() {
            if let Some(found) = rank(position)
                && best.as_ref().is_none_or(|(_, so_far)| found > *so_far)
            {
                best = Some((place, found));
            }
        }
        Some(positions.remove(best?.0))
    }

    /// Drops the positions of the lowest ages (greater is younger) until no more than so many are left; returns how many
    /// it dropped.
    pub fn keep_youngest(&self, most: usize, age: impl Fn(&Position) -> i64) -> usize {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = positions.len().saturating_sub(most);
        if dropped > 0 {
            positions.sort_by_key(age);
            let names = positions.drain(..dropped).map(|position| position.partition);
            self.gone.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
        }
        dropped
    }
}

/// A partition that gives rows: a byte source with its decoder, or a generator.
pub trait RowSource: Send {
    /// Opens what is read. Called once, before the first fill.
    fn open(&mut self) -> Result<(), SourceError>;

    /// Goes on where an earlier run stopped, if it finds itself in `from` or shall read its frames. Called once, behind
    /// [`RowSource::open`] and before the first fill, and only where state is kept; empty where there is none yet.
    /// Returns the name of the partition whose position it took. A source that finds others later keeps `from` for them:
    /// those that turn up have resumed by themselves.
    fn resume(&mut self, _from: &Arc<Resume>) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(None)
    }

    /// How far it was read: behind the rows of the last fill. None if that cannot be said, so that a restart reads on from
    /// wherever the source does.
    fn position(&self) -> Option<Position> {
        None
    }

    /// What people call what it reads, where a source has several: the path of a file, a topic and partition.
    fn name(&self) -> Option<String> {
        None
    }

    /// How many events the server has beyond those that were given, as far as is known.
    fn lag(&self) -> Option<u64> {
        None
    }

    /// What was given up to the position that was last asked for is durable, or has led to nothing but what is.
    fn checkpointed(&mut self) {}

    /// Adds rows to an empty batch, without times and watermarks. [`Polled::Data`] may come without rows, where all
    /// that was read is unreadable.
    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        env: &mut Env,
    ) -> Result<Polled, SourceError>;

    /// Whether rows are acknowledged to a server, which then forgets them, when the next are asked for. What they led to
    /// is flushed before.
    fn acknowledges(&self) -> bool {
        false
    }

    /// The pipeline ends, all rows that were given have gone through it, and what they led to has arrived at the sinks.
    /// Not called where it failed, or where a sink takes nothing any more.
    fn close(&mut self) {}

    /// Whether it gives rows at all, or holds the place of others that will: asked again until it says no. A partition
    /// that only finds others holds no watermark.
    fn gives_rows(&self) -> bool {
        true
    }

    /// Partitions that have turned up since this was asked last, opened: they are read beside this one from now on. Only
    /// a live source has such.
    fn turned_up(&mut self) -> Vec<Box<dyn RowSource>> {
        Vec::new()
    }
}

/// What a new run of a pipeline gets of what an earlier one has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// All of it, from the start.
    FromStart,
    /// Nothing: what was read is gone.
    Gone,
    /// New events in place of the old ones.
    Anew,
}

/// What came of connecting to a server: what was found there in a few words, or what is wrong, naming the server and the
/// remedy. Gives up after some ten seconds.
pub type Probed = Result<String, String>;

/// How a server hands events over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// What its users call it: `QoS 1`.
    pub name: &'static str,
    /// Whether events are lost that it sends while nobody takes them.
    pub loses: bool,
}

/// The pure description of a source: nothing is opened.
pub trait SourcePlan: fmt::Debug + Send {
    /// One line for `explain`, behind the node's name.
    fn describe(&self) -> String;

    /// Whether it never ends by itself.
    fn is_live(&self) -> bool;

    /// The same source without a limit to its rate, where it has one: for measuring.
    fn unlimited(&self) -> Option<Box<dyn SourcePlan>> {
        None
    }

    /// What a new run gets of what an earlier one has read.
    fn replay(&self) -> Replay;

    /// The same source with everything named that this machine has of it, such as the files that match a glob. Asked at
    /// the start of a run, never while planning; None where nothing is to be looked up.
    fn found(&self) -> Result<Option<Box<dyn SourcePlan>>, SourceError> {
        Ok(None)
    }

    /// Number of partitions; each is read by one worker.
    fn partitions(&self) -> usize;

    /// Whether those only find others, so that nobody knows how many will be read.
    fn finds_partitions(&self) -> bool {
        false
    }

    /// Whether there is never another partition than that one.
    fn is_one_partition(&self) -> bool {
        false
    }

    /// For a source that keeps a connection: where it is told what is said of that beside the connector.
    fn upkeep(&mut self) -> Option<&mut Upkeep> {
        None
    }

    /// Where it listens, if others connect to it: nobody else of the process can listen there as well.
    fn listens(&self) -> Option<SocketAddr> {
        None
    }

    /// Whether each block of bytes that it gives to a decoder is one record.
    fn gives_records(&self) -> bool {
        false
    }

    /// Whether each block of bytes that it gives to a decoder is a whole input, of any number of records.
    fn gives_inputs(&self) -> bool {
        false
    }

    /// Whether it does as [`crate::formats::Decoder::has_left`] says.
    fn waits_for_schemas(&self) -> bool {
        false
    }

    /// Fields that it adds to what its format decodes, as `set` does, and where they go.
    fn added_fields(&self) -> Vec<(String, Slot, Type)> {
        Vec::new()
    }

    /// Is told once, when the pipeline is planned, what expressions ask of where an event came from. What a source does
    /// not know stays null.
    fn provide(&mut self, _wanted: Vec<(SourceField, Slot)>) {}

    /// What makes what it gave survive, for `explain`: whether [`RowSource::position`] says where to go on.
    fn resumes(&self) -> bool {
        false
    }

    /// How what it got survives that it cannot be asked for again.
    fn durable(&self) -> Durable {
        Durable::No
    }

    /// How its server hands events over, for `explain`; None where there is no server.
    fn handover(&self) -> Option<Handover> {
        None
    }

    /// How many events may be under way to it unacknowledged; None where that is the server's business.
    fn under_way(&self) -> Option<u64> {
        None
    }

    /// What does not go with what was said of its upkeep, and a hint.
    fn misfit(&self) -> Option<(String, &'static str)> {
        None
    }

    /// Is told once, before [`SourcePlan::partition`] and only where state is kept, what its journal is.
    fn journal(&mut self, _journal: Arc<Journal>) {}

    /// Connects as a run would, looks whether a run would find what it needs, and changes nothing: for `check --connect`.
    /// None where there is no server to connect to.
    fn probe(&self) -> Option<Probed> {
        None
    }

    /// A partition, ready to be opened. `decoder` makes decoders of what the plan wants, for sources of bytes.
    fn partition(&self, number: usize, decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource>;
}

/// A planned source and the stage that its rows go to.
#[derive(Debug)]
pub struct PlannedSource {
    /// The source.
    pub plan: Box<dyn SourcePlan>,
    /// The stage.
    pub stage: StageId,
}

/// A kind of source, as its folder's registry lists it.
pub struct SourceSpec {
    /// What documents it.
    pub spec: &'static ComponentSpec,
    /// Whether it gives bytes, so that a `format` may stand beside it.
    pub decodes: bool,
    /// Whether it keeps a connection, so that `startup` and `stale_after` mean something.
    pub connects: bool,
    /// Plans one; None if something was reported. `format` is how bytes are decoded.
    pub plan: fn(&mut NodePlanner<'_>, Setting<'_>, &dyn FormatPlan) -> Option<PlannedSource>,
}
