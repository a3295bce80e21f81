//! The `stdout` sink.

use super::writer::Writer;
use crate::config::Role;
use crate::config::Setting;
use crate::dataflow::{ComponentSpec, NodePlanner, Sink, SinkError, SinkPlan};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::stdio::stdout;
use std::sync::{Mutex, PoisonError};

/// The registry's entry.
pub static STDOUT: ComponentSpec = ComponentSpec {
    name: "stdout",
    role: Role::Sink,
    summary: "Writes to standard output; ends the run when its reader goes away.",
    short: None,
    options: &[],
    later: &[],
    example: "\
sources:
  events: { stdin: {} }
sinks:
  out: { from: events, stdout: {} }
",
};

/// Plans a `stdout` sink.
pub fn plan(_planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    STDOUT.open(setting);
    Some(Box::new(StdoutPlan))
}

#[derive(Debug)]
struct StdoutPlan;

impl SinkPlan for StdoutPlan {
    fn describe(&self) -> String {
        "standard output".to_owned()
    }

    /// What became of it is its reader's business.
    fn is_lasting(&self) -> bool {
        false
    }

    fn sink(&self, preamble: Vec<u8>) -> Box<dyn Sink> {
        Box::new(StdoutSink::new(preamble))
    }
}

/// Standard output is one for all sinks and pipelines of the process. They take turns, so that each writes whole events.
static TURN: Mutex<()> = Mutex::new(());

/// Writes to standard output.
pub struct StdoutSink {
    preamble: Vec<u8>,
    writer: Writer<BorrowedFd<'static>>,
}

impl StdoutSink {
    /// A sink that writes `preamble` before everything else.
    pub fn new(preamble: Vec<u8>) -> StdoutSink {
        StdoutSink { preamble, writer: Writer::new(stdout()) }
    }
}

fn failed(errno: Errno) -> SinkError {
    match errno {
        Errno::PIPE => SinkError::Closed,
        Errno::NOSPC | Errno::DQUOT => SinkError::Failed(
            "cannot write to standard output: the disk it goes to is full: free space there".into(),
        ),
        other => {
            SinkError::Failed(format!("cannot write to standard output: {}", std::io::Error::from(other)))
        }
    }
}

impl Sink for StdoutSink {
    fn open(&mut self) -> Result<(), SinkError> {
        let preamble = std::mem::take(&mut self.preamble);
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.write(&preamble).map_err(failed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.write(bytes).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.flush().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_is_a_clean_end() {
        assert!(matches!(failed(Errno::PIPE), SinkError::Closed));
        assert!(matches!(failed(Errno::IO), SinkError::Failed(_)));
        let full = failed(Errno::NOSPC).to_string();
        assert!(full.ends_with("free space there"), "{full}");
    }
}
