//! The `stdout` sink.

use super::writer::Writer;
use crate::config::{Role, Setting, read};
use crate::dataflow::{ComponentSpec, NodePlanner, OptionKind, OptionSpec, Sink, SinkError, SinkPlan};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};
use std::sync::{Mutex, PoisonError};

/// The registry's entry.
pub static STDOUT: ComponentSpec = ComponentSpec {
    name: "stdout",
    role: Role::Sink,
    summary: "Writes to standard output; ends the run when its reader goes away.",
    short: None,
    options: &[OptionSpec::or(
        "stream",
        "stdout",
        OptionKind::Word(&["stdout", "stderr"]),
        "Standard output, or standard error, where messages of the process stand as well.",
    )],
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
    let section = STDOUT.open(setting);
    let streams = [("stdout", Stream::Output), ("stderr", Stream::Error)];
    Some(Box::new(StdoutPlan(section.or("stream", Stream::Output, read::word(&streams, &[])))))
}

#[derive(Clone, Copy, Debug)]
enum Stream {
    Output,
    Error,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Output => "standard output",
            Stream::Error => "standard error",
        }
    }
}

#[derive(Debug)]
struct StdoutPlan(Stream);

impl SinkPlan for StdoutPlan {
    fn describe(&self) -> String {
        self.0.name().to_owned()
    }

    /// What became of it is its reader's business.
    fn is_lasting(&self) -> bool {
        false
    }

    fn sink(&self, preamble: Vec<u8>) -> Box<dyn Sink> {
        let stream = match self.0 {
            Stream::Output => stdout(),
            Stream::Error => stderr(),
        };
        Box::new(StdoutSink { preamble, name: self.0.name(), writer: Writer::new(stream) })
    }
}

/// Standard output is one for all sinks and pipelines of the process. They take turns, so that each writes whole events.
static TURN: Mutex<()> = Mutex::new(());

/// Writes to standard output.
pub struct StdoutSink {
    preamble: Vec<u8>,
    name: &'static str,
    writer: Writer<BorrowedFd<'static>>,
}

fn failed(name: &str, errno: Errno) -> SinkError {
    match errno {
        Errno::PIPE => SinkError::Closed,
        Errno::NOSPC | Errno::DQUOT => SinkError::Failed(format!(
            "cannot write to {name}: the disk it goes to is full: free space there"
        )),
        other => SinkError::Failed(format!("cannot write to {name}: {}", std::io::Error::from(other))),
    }
}

impl Sink for StdoutSink {
    fn open(&mut self) -> Result<(), SinkError> {
        let preamble = std::mem::take(&mut self.preamble);
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.write(&preamble).map_err(|errno| failed(self.name, errno))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.write(bytes).map_err(|errno| failed(self.name, errno))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.flush().map_err(|errno| failed(self.name, errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_is_a_clean_end() {
        assert!(matches!(failed("standard output", Errno::PIPE), SinkError::Closed));
        assert!(matches!(failed("standard output", Errno::IO), SinkError::Failed(_)));
        let full = failed("standard output", Errno::NOSPC).to_string();
        assert!(full.ends_with("free space there"), "{full}");
    }
}
