//! The `file` sink.

use super::writer::Writer;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec, Sink, SinkError};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

mod plan;

pub use plan::plan;

/// The registry's entry.
pub static FILE: ComponentSpec = ComponentSpec {
    name: "file",
    role: Role::Sink,
    summary: "Writes to a file; folders that are not there are made.",
    short: None,
    options: &[
        OptionSpec::required(
            "path",
            OptionKind::Path,
            "The file; relative paths start at the working directory.",
        ),
        OptionSpec::or(
            "mode",
            "append",
            OptionKind::Word(&["append", "replace"]),
            "Whether new events go behind what the file holds, or it starts anew.",
        ),
    ],
    later: &["rotate", "fsync"],
    example: "\
sources:
  events: { stdin: {} }
sinks:
  out: { from: events, file: { path: out/events.ndjson } }
  unreadable: { from: events.rejected, file: { path: out/rejected.ndjson, mode: replace } }
",
};

/// What becomes of what the file holds already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileMode {
    /// It stays; new events go behind it.
    #[default]
    Append,
    /// It goes when the file is opened for the first time.
    Replace,
}

/// The options of a file sink.
#[derive(Clone, Debug)]
pub struct FileSinkConfig {
    /// The file. Folders that are not there are made.
    pub path: PathBuf,
    /// What becomes of what it holds already.
    pub mode: FileMode,
    /// Bytes that stand at the beginning of the file, such as a CSV header.
    pub preamble: Vec<u8>,
}

/// Writes to one file.
pub struct FileSink {
    config: FileSinkConfig,
    writer: Option<Writer<File>>,
    /// The path is a named pipe that nobody has opened for reading yet.
    awaits_reader: bool,
}

/// Whether opening a named pipe waits until somebody reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Wait,
    Try,
}

impl FileSink {
    /// A sink that was not opened yet.
    pub fn new(config: FileSinkConfig) -> FileSink {
        FileSink { config, writer: None, awaits_reader: false }
    }

    /// None if it is a named pipe without a reader, and not to be waited for.
    fn open_file(&mut self, patience: Patience) -> Result<Option<File>, SinkError> {
        let path = &self.config.path;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed("make the folder", parent, error))?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        if patience == Patience::Try {
            options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        }
        let file = match options.open(path) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) && is_pipe(path) => {
                return Ok(None);
            }
            opened => opened.map_err(|error| failed("open", path, error))?,
        };
        // Opened anew after a failure, the file keeps what this run has written.
        if std::mem::take(&mut self.config.mode) == FileMode::Replace && is_regular(&file) {
            file.set_len(0).map_err(|error| failed("empty", path, error))?;
        }
        Ok(Some(file))
    }

    fn connect(&mut self, patience: Patience) -> Result<(), SinkError> {
        let file = self.open_file(patience)?;
        self.awaits_reader = file.is_none();
        let Some(file) = file else { return Ok(()) };
        let is_empty = file.metadata().map(|metadata| metadata.len() == 0);
        let is_empty = is_empty.map_err(|error| failed("open", &self.config.path, error))?;
        let mut writer = Writer::new(file);
        let outcome = if is_empty { writer.write(&self.config.preamble) } else { Ok(()) };
        self.writer = Some(writer);
        self.written(outcome)
    }

    fn written(&self, outcome: Result<(), Errno>) -> Result<(), SinkError> {
        outcome.map_err(|errno| match errno {
            // The path may name a pipe.
            Errno::PIPE => SinkError::Closed,
            other => failed("write to", &self.config.path, other.into()),
        })
    }
}

/// Whether there is something to empty: pipes and devices have no length.
fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn failed(what: &str, path: &Path, error: io::Error) -> SinkError {
    let remedy = match error.kind() {
        ErrorKind::StorageFull => ": free space there or choose a path on another disk",
        ErrorKind::QuotaExceeded => ": free space within the quota or choose another path",
        ErrorKind::FileTooLarge => ": choose another path, or raise the limit (`ulimit -f`)",
        ErrorKind::PermissionDenied => ": let this user write there or choose another path",
        ErrorKind::ReadOnlyFilesystem => ": choose a path on a file system that can be written",
        ErrorKind::IsADirectory => ": name a file in it",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => ": a part of the path is a file, not a folder",
        _ => "",
    };
    SinkError::Failed(format!("cannot {what} `{}`: {error}{remedy}", path.display()))
}

impl Sink for FileSink {
    /// A named pipe without a reader is opened later, so that others can be opened meanwhile.
    fn open(&mut self) -> Result<(), SinkError> {
        self.connect(Patience::Try)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if self.awaits_reader {
            self.connect(Patience::Wait)?;
        }
        let Some(writer) = &mut self.writer else {
            return Err(failed("write to", &self.config.path, ErrorKind::NotConnected.into()));
        };
        let outcome = writer.write(bytes);
        self.written(outcome)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.awaits_reader {
            // Nothing was written yet. A reader that came meanwhile sees an end.
            self.connect(Patience::Try)?;
        }
        let outcome = self.writer.as_mut().map_or(Ok(()), Writer::flush);
        self.written(outcome)
    }
}

#[cfg(test)]
mod tests;
