//! The `stdin` source: what is piped or typed in, until its end.

use super::descriptor;
use crate::config::Role;
use crate::config::Setting;
use crate::dataflow::{
    ByteSource, ComponentSpec, FormatPlan, Framed, NodePlanner, PlannedSource, Polled, Replay, RowSource,
    SourceError, SourcePlan,
};
use crate::formats::Decoder;
use rustix::stdio::stdin;

/// The registry's entry.
pub static STDIN: ComponentSpec = ComponentSpec {
    name: "stdin",
    role: Role::Source,
    summary: "Reads standard input until its end.",
    short: None,
    options: &[],
    later: &[],
    example: "\
sources:
  lines:
    stdin: {}
    format: text
sinks:
  out: { from: lines, stdout: {} }
",
};

/// Plans a `stdin` source.
pub fn plan(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    format: &dyn FormatPlan,
) -> Option<PlannedSource> {
    STDIN.open(setting);
    Some(PlannedSource { plan: Box::new(StdinPlan), stage: planner.decoded_stage(format) })
}

#[derive(Debug)]
struct StdinPlan;

impl SourcePlan for StdinPlan {
    fn describe(&self) -> String {
        "standard input".to_owned()
    }

    fn is_live(&self) -> bool {
        false
    }

    fn replay(&self) -> Replay {
        Replay::Gone
    }

    fn partitions(&self) -> usize {
        1
    }

    fn is_one_partition(&self) -> bool {
        true
    }

    fn partition(&self, _number: usize, decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource> {
        Box::new(Framed::new(StdinSource::new(), decoder(), 1))
    }
}

/// Reads standard input. Waits only some milliseconds for it, so that the worker can step on.
#[derive(Default)]
pub struct StdinSource {
    may_wait: bool,
}

impl StdinSource {
    /// A source that was not opened yet.
    pub fn new() -> StdinSource {
        StdinSource::default()
    }
}

impl ByteSource for StdinSource {
    fn open(&mut self) -> Result<(), SourceError> {
        self.may_wait = descriptor::may_wait(stdin());
        Ok(())
    }

    fn read(&mut self, into: &mut Vec<u8>, max: usize) -> Result<Polled, SourceError> {
        descriptor::read(stdin(), self.may_wait, into, max).map_err(|errno| {
            let error = std::io::Error::from(errno);
            SourceError { message: format!("cannot read standard input: {error}") }
        })
    }
}
