//! The `file` source: files from their beginning or end, packed or not; followed, or once to their end.

use super::descriptor;
use crate::config::Role;
use crate::dataflow::{ByteSource, ComponentSpec, OptionKind, OptionSpec, Polled, SourceError};
use packed::{Packing, Unpacker};
use rustix::fs::{Advice, OFlags, SeekFrom, fadvise, seek};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod follow;
mod known;
mod labelled;
mod packed;
mod paths;
mod plan;
mod tail;
mod whole;

pub use packed::Compression;
pub use plan::plan;

/// The registry's entry.
pub static FILE: ComponentSpec = ComponentSpec {
    name: "file",
    role: Role::Source,
    summary: "Reads files from beginning to end, or follows them; each is a partition with a watermark of its own.",
    short: None,
    options: &[
        OptionSpec::required(
            "path",
            OptionKind::OneOrList(&OptionKind::Path),
            "The file, a glob such as `log/*.ndjson` (which passes over hidden files, and names that are not UTF-8), or a list of both; relative paths start at the pipeline's file.",
        ),
        OptionSpec::or(
            "follow",
            "false",
            OptionKind::Boolean,
            "Whether reading goes on behind the end, through rotation and truncation, and with files that turn up later.",
        ),
        OptionSpec::or(
            "start",
            "begin",
            OptionKind::Word(&["begin", "end"]),
            "Where reading begins in files that are there at the start.",
        ),
        OptionSpec::or(
            "compression",
            "auto",
            OptionKind::Word(&["auto", "none", "gzip", "zstd"]),
            "What files are packed with; `auto` looks at their first bytes. What is followed is not packed: packed files are passed over.",
        ),
    ],
    later: &[],
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

/// Unpacked bytes that are passed over at once.
const SKIP: u64 = 256 << 10;

/// The options of a file source.
#[derive(Clone, Debug)]
pub struct FileSourceConfig {
    /// The file, or a pipe or device in its place.
    pub path: PathBuf,
    /// Where reading begins.
    pub start: Start,
    /// What it is packed with.
    pub compression: Compression,
}

/// Reads one file to its end.
pub struct FileSource {
    config: FileSourceConfig,
    open: Option<Open>,
}

/// An open file.
struct Open {
    file: Arc<File>,
    may_wait: bool,
    packed: Option<(Packing, Unpacker)>,
}

impl FileSource {
    /// A source that was not opened yet.
    pub fn new(config: FileSourceConfig) -> FileSource {
        FileSource { config, open: None }
    }

    fn try_open(&self) -> io::Result<Open> {
        let file = open(&self.config.path)?;
        let may_wait = descriptor::may_wait(&file);
        let packing = match self.config.compression {
            Compression::None => None,
            Compression::Gzip => Some(Packing::Gzip),
            Compression::Zstd => Some(Packing::Zstd),
            // The first bytes of a pipe cannot be looked at without taking them.
            Compression::Auto if may_wait => None,
            Compression::Auto => packed::packing(&file)?,
        };
        if self.config.start == Start::End {
            seek(&file, SeekFrom::End(0))?;
        }
        if !may_wait {
            // The kernel then reads further ahead. It is no more than a hint, so a refusal does no harm.
            let _ = fadvise(&file, 0, None, Advice::Sequential);
        }
        let file = Arc::new(file);
        let packed = match packing {
            None => None,
            Some(packing) => Some((packing, Unpacker::new(file.clone(), packing)?)),
        };
        Ok(Open { file, may_wait, packed })
    }

    /// The open file, if it can be read again; and whether it is packed.
    pub(super) fn again(&self) -> Option<(&Arc<File>, bool)> {
        let open = self.open.as_ref().filter(|open| !open.may_wait)?;
        Some((&open.file, open.packed.is_some()))
    }

    /// Goes on behind so many bytes of an open file, counted unpacked; false if it has fewer.
    pub(super) fn skip_to(&mut self, offset: u64) -> Result<bool, SourceError> {
        let skipped = self.open.as_mut().map_or(Ok(false), |open| open.skip_to(offset));
        skipped.map_err(|error| failed("read", &self.config.path, error))
    }
}

impl Open {
    fn skip_to(&mut self, offset: u64) -> io::Result<bool> {
        let Some((packing, unpacker)) = &mut self.packed else {
            seek(&self.file, SeekFrom::Start(offset))?;
            return Ok(self.file.metadata()?.len() >= offset);
        };
        seek(&self.file, SeekFrom::Start(0))?;
        *unpacker = Unpacker::new(self.file.clone(), *packing)?;
        let (mut left, mut passed) = (offset, Vec::new());
        while left > 0 {
            passed.clear();
            if unpacker.read(&mut passed, left.min(SKIP) as usize)? == Polled::End {
                return Ok(false);
            }
            left -= passed.len() as u64;
        }
        Ok(true)
    }
}

impl ByteSource for FileSource {
    fn open(&mut self) -> Result<(), SourceError> {
        let opened = self.try_open();
        self.open = Some(opened.map_err(|error| failed("open", &self.config.path, error))?);
        Ok(())
    }

    fn read(&mut self, into: &mut Vec<u8>, max: usize) -> Result<Polled, SourceError> {
        let outcome = match &mut self.open {
            None => Err(ErrorKind::NotConnected.into()),
            Some(Open { packed: Some((_, unpacker)), .. }) => unpacker.read(into, max),
            Some(Open { file, may_wait, .. }) => {
                descriptor::read(file, *may_wait, into, max).map_err(Into::into)
            }
        };
        outcome.map_err(|error| failed("read", &self.config.path, error))
    }
}

/// Opens a file, pipe or device for reading.
fn open(path: &Path) -> io::Result<File> {
    // A named pipe then opens without a writer, and is empty until one has come: Linux tells a pipe that nobody
    // has written to yet from one that all writers have left.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    match file.metadata()?.is_dir() {
        true => Err(io::Error::from(rustix::io::Errno::ISDIR)),
        false => Ok(file),
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> SourceError {
    let remedy = match error.kind() {
        ErrorKind::NotFound => ": is the path right, seen from the pipeline's file?",
        ErrorKind::PermissionDenied => ": let this user read it and enter its folders",
        ErrorKind::IsADirectory => ": name a file in it",
        ErrorKind::NotSeekable => ": a pipe has no end to start at",
        ErrorKind::UnexpectedEof => ": it was cut off, or is still being written",
        ErrorKind::InvalidData | ErrorKind::InvalidInput => ": it is damaged, or packed otherwise",
        _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            ": raise the limit of open files (`ulimit -n`, `LimitNOFILE=`) or match fewer files"
        }
        _ => "",
    };
    SourceError { message: format!("cannot {what} `{}`: {error}{remedy}", path.display()) }
}

#[cfg(test)]
mod tests;
