//! Where bytes go.

use super::planning::NodePlanner;
use super::{ComponentSpec, Template};
use crate::config::Setting;
use std::fmt;

/// A target for encoded events.
pub trait Sink: Send {
    /// Opens the target. Called once, before the first write.
    fn open(&mut self) -> Result<(), SinkError>;

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

/// Why a sink stopped working.
#[derive(Debug)]
pub enum SinkError {
    /// The reader went away (a broken pipe): a clean end, not a failure.
    Closed,
    /// What failed, naming the target and the remedy.
    Failed(String),
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkError::Closed => f.write_str("the reader closed the pipe"),
            SinkError::Failed(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for SinkError {}

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

    /// Whether each event is a message by itself, without what separates events of a stream.
    fn takes_messages(&self) -> bool {
        false
    }

    /// Is told what stands behind each event, when the pipeline is planned.
    fn separated_by(&mut self, _separator: &[u8]) {}

    /// Whether a new run forgets what an earlier one has written.
    fn starts_anew(&self) -> bool {
        false
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
