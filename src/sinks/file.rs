//! The `file` sink: one file, or one that each event chooses; rotated, if told so.

use super::writer::Writer;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec, Sink, SinkError, Syncing};
use crate::time::{Clock, Millis, SystemClock};
use output::{Output, Patience};
use position::{Mark, Position};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use successor::settle;

mod keeper;
mod names;
mod output;
mod plan;
mod position;
mod spread;
mod successor;

pub use names::Packing;
pub use plan::plan;
pub use spread::{Rotation, SpreadSink};

/// The registry's entry.
pub static FILE: ComponentSpec = ComponentSpec {
    name: "file",
    role: Role::Sink,
    summary: "Writes to a file, or to one that each event chooses; folders that are not there are made. Under `exactly_once` \
              what is written again after a crash takes the same place.",
    short: None,
    options: &[
        OptionSpec::required(
            "path",
            OptionKind::Template,
            "The file; expressions in braces are filled in for each event; one that thus names a folder, or leads through a file, is lost and told of. Relative paths start at the working directory.",
        ),
        OptionSpec::or(
            "mode",
            "append",
            OptionKind::Word(&["append", "replace"]),
            "Whether new events go behind what a file holds, or it starts anew.",
        ),
        OptionSpec::optional(
            "rotate",
            OptionKind::Options(ROTATE),
            "When a file is put aside and a new one begun.",
        ),
        OptionSpec::or(
            "fsync",
            "checkpoint",
            OptionKind::Word(&["checkpoint", "never"]),
            "Whether what was written is forced to the disk at each checkpoint, where state is kept, and else every few seconds.",
        ),
    ],
    later: &[],
    example: "\
sources:
  events: { stdin: {} }
sinks:
  out: { from: events, file: { path: \"out/{device}.ndjson\", rotate: { size: 10MB, keep: 5, compress: gzip } } }
  unreadable: { from: events.rejected, file: { path: out/rejected.ndjson, mode: replace } }
",
};

/// The options of `rotate`.
const ROTATE: &[OptionSpec] = &[
    OptionSpec::optional("size", OptionKind::Size, "Before a file becomes larger than this."),
    OptionSpec::optional("every", OptionKind::Duration, "When a file is this old."),
    OptionSpec::optional("keep", OptionKind::Integer, "How many files put aside are kept; absent: all."),
    OptionSpec::or(
        "compress",
        "none",
        OptionKind::Word(&["none", "gzip", "zstd"]),
        "What files put aside are packed with, in the background.",
    ),
];

/// How often what was written is forced to the disk.
const SYNC_EVERY: Millis = Millis(5_000);

/// What becomes of what the file holds already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileMode {
    /// It stays; new events go behind it.
    #[default]
    Append,
    /// It goes when the file is opened for the first time.
    Replace,
}

/// What holds for all files of a sink.
#[derive(Clone, Debug, Default)]
pub struct FileSinkConfig {
    /// What becomes of what a file holds already.
    pub mode: FileMode,
    /// Bytes that stand at the beginning of a file, such as a CSV header.
    pub preamble: Vec<u8>,
    /// Whether events are lines: then one that was torn when a run was cut off gets its newline.
    pub lines: bool,
    /// Whether what was written is forced to the disk every few seconds.
    pub sync: bool,
}

/// Writes to one file.
pub struct FileSink {
    config: FileSinkConfig,
    output: Output,
    clock: SystemClock,
    synced: Millis,
    keeping: Keeping,
    rounds: Rounds,
}

/// Who else knows what a sink writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    /// Nobody.
    Nobody,
    /// Checkpoints make what was written safe.
    AtLeastOnce,
    /// The same, and it is written again in the same places.
    ExactlyOnce,
}

/// Counts calls of [`Sink::secure`], and those up to which all is safe.
#[derive(Clone, Copy, Debug, Default)]
struct Rounds {
    all: u64,
    safe: u64,
}

impl Rounds {
    /// Another call, behind which all is safe or something waits for the disk.
    fn count(&mut self, is_safe: bool) {
        self.all += 1;
        self.safe = if is_safe { self.all } else { self.safe };
    }

    /// Whether something waits for the disk.
    fn is_behind(&self) -> bool {
        self.safe < self.all
    }
}

impl FileSink {
    /// A sink that was not opened yet.
    pub fn new(path: PathBuf, config: FileSinkConfig) -> FileSink {
        let output = Output::new(path, config.mode);
        let (clock, synced) = (SystemClock::new(), Millis::ZERO);
        FileSink { config, output, clock, synced, keeping: Keeping::Nobody, rounds: Rounds::default() }
    }
}

impl Sink for FileSink {
    /// A named pipe without a reader is opened later, so that others can be opened meanwhile.
    fn open(&mut self) -> Result<(), SinkError> {
        self.output.open(Patience::Try)
    }

    fn resume(&mut self, position: &[u8], repeats: bool) -> Result<(), SinkError> {
        self.keeping = if repeats { Keeping::ExactlyOnce } else { Keeping::AtLeastOnce };
        if !position.is_empty() {
            self.output.keep_old();
        }
        let mut known = Position::decode(position)?;
        settle(&mut known.marks, self.clock.wall(), self.config.sync)?;
        if !repeats {
            return Ok(());
        }
        let mark = known.marks.get(self.output.path());
        self.output.open_at(&self.config, mark.and_then(|mark| mark.files.last().copied()))
    }

    fn secure(&mut self, pending: &mut Vec<u8>) -> Result<(), SinkError> {
        self.begin_secure(pending)?.map_or(Ok(()), |syncing| syncing())
    }

    fn begin_secure(&mut self, pending: &mut Vec<u8>) -> Result<Option<Syncing>, SinkError> {
        let mut syncing = None;
        if self.keeping == Keeping::ExactlyOnce {
            self.output.secure(&self.config)?;
        } else {
            match self.output.ready(&self.config, Patience::Try).and_then(|()| self.output.flush()) {
                Err(SinkError::Away(_)) => {
                    self.output.take_pending(&self.config, |bytes| pending.extend_from_slice(bytes));
                    self.rounds.count(false);
                    return Ok(None);
                }
                flushed => flushed?,
            }
            syncing = if self.config.sync { self.output.begin_sync()? } else { None };
        }
        self.rounds.count(true);
        Ok(syncing)
    }

    fn acknowledged(&self) -> u64 {
        self.rounds.safe
    }

    fn position(&self, into: &mut Vec<u8>) {
        let mark = |place| (self.output.path().to_owned(), Mark { files: vec![place], awaited: 0 });
        let marks: BTreeMap<PathBuf, Mark> = self.output.place().map(mark).into_iter().collect();
        Position::encode(0, 0, &marks, into);
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.output.write(&self.config, bytes)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        // Where nothing was written yet, a reader that came meanwhile sees an end.
        self.output.ready(&self.config, Patience::Try)?;
        self.output.flush()?;
        if self.rounds.is_behind() {
            self.output.sync()?;
            self.rounds.safe = self.rounds.all;
        }
        let now = self.clock.elapsed();
        let is_due = self.keeping == Keeping::Nobody && now.0 - self.synced.0 >= SYNC_EVERY.0;
        if self.config.sync && is_due {
            self.output.sync()?;
            self.synced = now;
        }
        Ok(())
    }

    fn close(&mut self, _stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        self.output.ready(&self.config, Patience::Try)?;
        self.output.flush()?;
        if self.config.sync { self.output.sync() } else { Ok(()) }
    }
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
    let message = format!("cannot {what} `{}`: {error}{remedy}", path.display());
    if may_pass(&error) { SinkError::Away(message) } else { SinkError::Failed(message) }
}

/// Whether an error is one of the disk, which may be over some time.
fn may_pass(error: &io::Error) -> bool {
    let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::ReadOnlyFilesystem];
    let gone = [
        Errno::IO,
        Errno::NODEV,
        Errno::REMOTEIO,
        Errno::STALE,
        Errno::NOTCONN,
        Errno::TIMEDOUT,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NETDOWN,
        Errno::NETUNREACH,
    ];
    full.contains(&error.kind()) || Errno::from_io_error(error).is_some_and(|errno| gone.contains(&errno))
}

#[cfg(test)]
mod tests;
