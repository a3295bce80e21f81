//! Where bytes go.

use super::planning::NodePlanner;
use super::{Batching, ComponentSpec, FormatPlan, Marked, Marker, Probed, Retry, Template};
use crate::config::Setting;
use std::fmt;
use std::sync::Arc;

/// A target for encoded events.
pub trait Sink: Send {
    /// Opens the target. Called once, before the first write.
    fn open(&mut self) -> Result<(), SinkError>;

    /// Goes on where an earlier run stopped, as [`Sink::position`] said it then; empty before the first time. Called
    /// behind [`Sink::open`] and before the first write, and only where state is kept; exactly once also behind
    /// [`SinkError::Away`], until it succeeds.
    ///
    /// What was written behind that position is written again, the same bytes where `repeats` is set: a target that has
    /// places (a file) then takes them in place of what is there.
    fn resume(&mut self, _position: &[u8], _repeats: bool) -> Result<(), SinkError> {
        Ok(())
    }

    /// At a checkpoint: all that was written is safe in the target when this returns, but for what is appended to
    /// `pending`: writes since the call before, each whole, that the target has not acknowledged yet. They are kept in
    /// the log until [`Sink::acknowledged`] counts this call, and written again after a restart before that.
    fn secure(&mut self, _pending: &mut Vec<u8>) -> Result<(), SinkError> {
        self.flush()
    }

    /// The same where others may write to the sink meanwhile: what takes long, forcing bytes to a disk, is left to be done by
    /// what is returned, without the sink. It counts as a call of [`Sink::secure`].
    fn begin_secure(&mut self, pending: &mut Vec<u8>) -> Result<Option<Syncing>, SinkError> {
        self.secure(pending).map(|()| None)
    }

    /// How many calls of [`Sink::secure`], from the first on, have led to nothing that is not acknowledged by now. A sink
    /// that never gives anything as pending need not count.
    fn acknowledged(&self) -> u64 {
        u64::MAX
    }

    /// Exactly once only: a chunk is about to be committed, to be written later by one call of [`Sink::write`]; chunks are
    /// written in the order in which they were prepared. The position that is asked for behind this call becomes durable
    /// with the chunk: it says where the chunk will begin, also in targets that nothing was written to before.
    fn prepare(&mut self, _chunk: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    /// Where a later run goes on, in the sink's own words; called behind [`Sink::secure`] or [`Sink::prepare`].
    fn position(&self, _into: &mut Vec<u8>) {}

    /// Exactly once by a marker only (see [`SinkPlan::keeps_marker`]): the one that stands in the target under this sink's
    /// name. Whoever wrote there before under the same name is shut out from then on. Called behind [`Sink::resume`], again
    /// and again until it is known, and before anything is delivered; behind that only for its error: that nothing more
    /// can be delivered. Never blocks for long.
    fn marker(&mut self) -> Result<Marked, SinkError> {
        Ok(Marked::Absent)
    }

    /// The same only: this marker is to stand in the target, in place of what stood there, before anything else is
    /// delivered. As soon as it does, [`Sink::position`] gives something, so that a later run knows that there was one.
    fn adopt(&mut self, _marker: Marker) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes a chunk that is committed. A target that keeps a marker takes it in the same transaction.
    fn deliver(&mut self, chunk: &[u8], _marker: Marker) -> Result<(), SinkError> {
        self.write(chunk)
    }

    /// The position that was asked for last is durable, and nothing was written since: what waited for that can be done.
    fn committed(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes out what the target has refused for good since the call before. Whatever [`Sink::acknowledged`] counts because
    /// it was refused can be taken out from then on.
    fn refused(&mut self, _into: &mut Vec<RefusedEvent>) {}

    /// What was taken out is durable where it is kept: a target with a marker may go past it.
    fn refused_kept(&mut self) {}

    /// Why its target takes nothing for now, where the sink tries that again by itself: for those who look.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Takes whole encoded events.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError>;

    /// Makes what was written visible to readers of the target.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// Whether it can take more at once. While it cannot, workers read nothing new; what they still write is taken.
    fn is_ready(&self) -> bool {
        true
    }

    /// Nothing more will be written: waits until all has arrived. Once `stopped` says that somebody wants an end, no
    /// longer than some seconds.
    fn close(&mut self, _stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        Ok(())
    }
}

/// What is left to be done until what a sink was given is safe.
pub type Syncing = Box<dyn FnOnce() -> Result<(), SinkError> + Send>;

/// An event that a target will not take, now or later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEvent {
    /// What the target said, and where the event was to go.
    pub reason: String,
    /// The event, as it was encoded.
    pub bytes: Vec<u8>,
    /// Of what was delivered with a marker: that, and which of its records it is. So it is known again where the same is
    /// refused once more behind a crash.
    pub record: Option<(Marker, u32)>,
}

/// Why a sink stopped working.
#[derive(Debug)]
pub enum SinkError {
    /// The reader went away (a broken pipe): a clean end, not a failure.
    Closed,
    /// The target takes nothing for now: why, naming the target and the remedy. It is tried again as [`super::Retry`] says.
    ///
    /// At least once, what the sink was given stays with it and goes first when it is called again, by [`Sink::flush`] at
    /// the latest. Exactly once, it forgets it: [`Sink::resume`] is called again, with the position that is durable, and
    /// what came behind is written again.
    Away(String),
    /// What failed, naming the target and the remedy.
    Failed(String),
    /// Another copy of this gateway delivers under the same name, and has shut this one out. What to do.
    Fenced(String),
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkError::Closed => f.write_str("the reader closed the pipe"),
            SinkError::Away(message) | SinkError::Failed(message) | SinkError::Fenced(message) => {
                f.write_str(message)
            }
        }
    }
}

impl std::error::Error for SinkError {}

impl SinkError {
    /// The same where trying again would not help.
    pub fn for_good(self) -> SinkError {
        match self {
            SinkError::Away(message) => SinkError::Failed(message),
            other => other,
        }
    }
}

/// The pure description of a sink: nothing is opened.
pub trait SinkPlan: fmt::Debug + Send + Sync {
    /// One line for `explain`, behind the node's name.
    fn describe(&self) -> String;

    /// What no other sink of the process may write to as well: a file's path.
    fn target(&self) -> Option<String> {
        None
    }

    /// The texts of the address that each event carries: then what is written are the records of
    /// [`super::read_addressed`].
    fn address(&self) -> &[Template] {
        &[]
    }

    /// What the texts of the address are, in order, where options decide about that: what waits in the log was written for
    /// them, and is not read for others.
    fn layout(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether each event is a message by itself, without what separates events of a stream.
    fn takes_messages(&self) -> bool {
        false
    }

    /// Is told what stands behind each event, when the pipeline is planned.
    fn separated_by(&mut self, _separator: &[u8]) {}

    /// Is told how its target is to be tried again, if that was said: for a sink that does so by itself.
    fn retried_by(&mut self, _retry: Retry) {}

    /// Whether it can deliver exactly once: by [`Sink::position`] and [`Sink::resume`], what was written after the last
    /// position and is written again takes the same place.
    fn delivers_exactly_once(&self) -> bool {
        false
    }

    /// Why not, where what it was told is the reason.
    fn why_not_exactly_once(&self) -> Option<&'static str> {
        None
    }

    /// Whether it delivers exactly once by a [`Marker`] that its target keeps: [`Sink::deliver`] writes both in one
    /// transaction, and [`Sink::acknowledged`] says when that is done. Otherwise by [`Sink::position`].
    fn keeps_marker(&self) -> bool {
        false
    }

    /// Is told, when the pipeline is planned, how it is to gather events; false if it gathers none.
    fn gather(&mut self, _batching: Batching) -> bool {
        false
    }

    /// Whether `format` may stand beside it. One that has a use for fields, not for texts, takes JSON.
    fn chooses_format(&self) -> bool {
        true
    }

    /// The format that it brings along, where none may stand beside it; else JSON.
    fn format(&self) -> Option<Arc<dyn FormatPlan>> {
        None
    }

    /// Whether a later event takes the place of an earlier one with the same key.
    fn replaces(&self) -> bool {
        false
    }

    /// Is told, when the pipeline is planned, that it is to deliver exactly once.
    fn deliver_exactly_once(&mut self) {}

    /// The most bytes of an encoded event that its target takes, its address not counted. What is longer is rejected
    /// before it becomes part of a checkpoint.
    fn most_event_bytes(&self) -> Option<usize> {
        None
    }

    /// Whether its target may refuse events for good: see [`Sink::refused`].
    fn refuses(&self) -> bool {
        false
    }

    /// Whether what it has written is safe once [`Sink::secure`] has returned, at the power going too.
    fn is_lasting(&self) -> bool {
        true
    }

    /// Whether a new run forgets what an earlier one has written.
    fn starts_anew(&self) -> bool {
        false
    }

    /// Connects as a run would, looks whether a run would find what it needs, and changes nothing: for `check --connect`.
    /// None where there is no server to connect to.
    fn probe(&self) -> Option<Probed> {
        None
    }

    /// A sink, ready to be opened. `preamble` stands before the first event of a new file or stream.
    fn sink(&self, preamble: Vec<u8>) -> Box<dyn Sink>;
}

/// Reads the options of a sink; None if something was reported. Its templates move the planner's entry.
pub type PlanSink = fn(&mut NodePlanner<'_>, Setting<'_>) -> Option<Box<dyn SinkPlan>>;

/// A kind of sink, as its folder's registry lists it.
pub struct SinkSpec {
    /// What documents it.
    pub spec: &'static ComponentSpec,
    /// Whether it takes encoded events, so that a `format` may stand beside it.
    pub encodes: bool,
    /// Plans one.
    pub plan: PlanSink,
}
