//! The `drop` sink.

use crate::config::Role;
use crate::config::Setting;
use crate::dataflow::{ComponentSpec, NodePlanner, Sink, SinkError, SinkPlan};

/// The registry's entry.
pub static DROP: ComponentSpec = ComponentSpec {
    name: "drop",
    role: Role::Sink,
    summary: "Forgets everything: for measuring, and for ports whose events are not wanted.",
    short: None,
    options: &[],
    later: &[],
    example: "\
sources:
  events: { stdin: {} }
sinks:
  out: { from: events, stdout: {} }
  unreadable: { from: events.rejected, drop: {} }
",
};

/// Plans a `drop` sink.
pub fn plan(_planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    DROP.open(setting);
    Some(Box::new(DropPlan))
}

#[derive(Debug)]
struct DropPlan;

impl SinkPlan for DropPlan {
    fn describe(&self) -> String {
        "drop".to_owned()
    }

    fn sink(&self, _preamble: Vec<u8>) -> Box<dyn Sink> {
        Box::new(DropSink)
    }
}

/// Forgets everything: for measuring, and for ports whose events are not wanted.
#[derive(Default)]
pub struct DropSink;

impl Sink for DropSink {
    fn open(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
