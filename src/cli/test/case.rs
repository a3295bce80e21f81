//! What a test says: read, checked, ready to be run.

use crate::config::{Node, Place, SourceFile};
use crate::plan::Stated;
use crate::time::{Millis, Timestamp};
use serde_json::{Map, Value};
use std::sync::Arc;

/// One test of a pipeline.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The file that it stands in.
    pub file: Arc<SourceFile>,
    /// Where it stands.
    pub place: Place,
    /// Parameters that differ from the pipeline's, by name.
    pub params: Vec<(String, String)>,
    /// Where the parameters stand; the test's own place if there are none.
    pub params_place: Place,
    /// Where the clock starts; none: at the time of the first event.
    pub now: Option<Timestamp>,
    /// Sinks that may put out what no `expect` looks at.
    pub ignore: Vec<String>,
    /// What tables hold, in the place of their files.
    pub tables: Vec<Stated>,
    /// Whether sources move their watermarks by themselves.
    pub auto_watermark: bool,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// What happens in a test.
#[derive(Debug)]
pub enum Step {
    /// Events come in, in this order.
    Send(Vec<Sent>),
    /// Sources say how far they are, by name.
    Watermark(Vec<(String, Timestamp)>),
    /// Processing time goes on.
    Advance(Millis),
    /// Sources end.
    Close(Vec<String>),
    /// State becomes durable.
    Checkpoint,
    /// The process dies and goes on from the last checkpoint.
    Restart,
    /// Outputs are looked at.
    Expect(Vec<Expected>),
}

/// An event that comes in.
#[derive(Debug)]
pub struct Sent {
    /// The source's name.
    pub source: String,
    /// What comes.
    pub payload: Payload,
}

/// An event as a test writes it.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Its fields, as they are behind the source's format.
    Decoded(Map<String, Value>),
    /// What the source's format has to read.
    Raw(String),
}

/// What one output is expected to have put out since it was last looked at.
#[derive(Debug)]
pub struct Expected {
    /// `node`, `node.port`, or a sink, which stands for what it received.
    pub output: String,
    /// Where its name stands.
    pub place: Place,
    /// How they are written.
    pub node: Node,
    /// The events.
    pub events: Vec<Value>,
    /// Whether they come in this order.
    pub ordered: bool,
    /// Whether they have no other fields.
    pub exact: bool,
}

impl Case {
    /// The outputs that the test looks at.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        let expects = self.steps.iter().filter_map(|step| match step {
            Step::Expect(expected) => Some(expected),
            _ => None,
        });
        expects.flatten().map(|expected| expected.output.as_str())
    }

    /// All events that come in, in order.
    pub fn sent(&self) -> impl Iterator<Item = &Sent> {
        let sends = self.steps.iter().filter_map(|step| match step {
            Step::Send(sent) => Some(sent),
            _ => None,
        });
        sends.flatten()
    }
}
