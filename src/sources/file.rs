//! The `file` source: one file, from its beginning or its end.

use super::descriptor;
use crate::config::Role;
use crate::dataflow::{ByteSource, ComponentSpec, OptionKind, OptionSpec, Polled, SourceError};
use rustix::fs::{Advice, OFlags, SeekFrom, fadvise, seek};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

mod plan;

pub use plan::plan;

/// The registry's entry.
pub static FILE: ComponentSpec = ComponentSpec {
    name: "file",
    role: Role::Source,
    summary: "Reads files from beginning to end; each is a partition with a watermark of its own.",
    short: None,
    options: &[
        OptionSpec::required(
            "path",
            OptionKind::OneOrList(&OptionKind::Path),
            "The file, or a list of files; relative paths start at the pipeline's file.",
        ),
        OptionSpec::or("start", "begin", OptionKind::Word(&["begin", "end"]), "Where reading begins."),
    ],
    later: &["follow", "compression"],
    example: "\
sources:
  readings:
    file: { path: readings.ndjson }
    event_time: { field: ts }
sinks:
  out: { from: readings, stdout: {} }
",
};

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the first byte.
    #[default]
    Begin,
    /// Behind the last byte: only what is appended later is read.
    End,
}

/// The options of a file source.
#[derive(Clone, Debug)]
pub struct FileSourceConfig {
    /// The file, or a pipe or device in its place.
    pub path: PathBuf,
    /// Where reading begins.
    pub start: Start,
}

/// Reads one file.
pub struct FileSource {
    config: FileSourceConfig,
    open: Option<Open>,
}

struct Open {
    file: File,
    may_wait: bool,
}

impl FileSource {
    /// A source that was not opened yet.
    pub fn new(config: FileSourceConfig) -> FileSource {
        FileSource { config, open: None }
    }

    fn failed(&self, what: &str, error: io::Error) -> SourceError {
        let remedy = match error.kind() {
            ErrorKind::NotFound => ": is the path right, seen from the pipeline's file?",
            ErrorKind::PermissionDenied => ": let this user read it and enter its folders",
            ErrorKind::IsADirectory => ": name a file in it",
            ErrorKind::NotSeekable => ": a pipe has no end to start at",
            _ => "",
        };
        SourceError { message: format!("cannot {what} `{}`: {error}{remedy}", self.config.path.display()) }
    }

    fn try_open(&self) -> io::Result<Open> {
        // A named pipe then opens without a writer, and is empty until one has come: Linux tells a pipe that nobody
        // has written to yet from one that all writers have left.
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(&self.config.path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(rustix::io::Errno::ISDIR));
        }
        let may_wait = descriptor::may_wait(&file);
        if self.config.start == Start::End {
            seek(&file, SeekFrom::End(0))?;
        }
        if !may_wait {
            // The kernel then reads further ahead. It is no more than a hint, so a refusal does no harm.
            let _ = fadvise(&file, 0, None, Advice::Sequential);
        }
        Ok(Open { file, may_wait })
    }
}

impl ByteSource for FileSource {
    fn open(&mut self) -> Result<(), SourceError> {
        self.open = Some(self.try_open().map_err(|error| self.failed("open", error))?);
        Ok(())
    }

    fn read(&mut self, into: &mut Vec<u8>, max: usize) -> Result<Polled, SourceError> {
        let Some(open) = &self.open else {
            return Err(self.failed("read", ErrorKind::NotConnected.into()));
        };
        descriptor::read(&open.file, open.may_wait, into, max)
            .map_err(|error| self.failed("read", error.into()))
    }
}

#[cfg(test)]
mod tests;
