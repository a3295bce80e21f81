//! One file that is written to.

use super::{FileMode, FileSinkConfig, Writer, failed};
use crate::dataflow::SinkError;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Whether opening a named pipe waits until somebody reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Wait,
    Try,
}

/// A file, or a pipe or device in its place.
pub(super) struct Output {
    path: PathBuf,
    mode: FileMode,
    writer: Option<Writer<File>>,
    /// Whether it is a file, no pipe or device.
    regular: bool,
    /// The path is a named pipe that nobody has opened for reading yet.
    awaits_reader: bool,
    /// Whether the file was made here, so that its folder must be forced to the disk too.
    made: bool,
    unsynced: bool,
    /// What it holds, in bytes.
    size: u64,
}

impl Output {
    /// An output that was not opened yet.
    pub fn new(path: PathBuf, mode: FileMode) -> Output {
        Output {
            path,
            mode,
            writer: None,
            regular: false,
            awaits_reader: false,
            made: false,
            unsynced: false,
            size: 0,
        }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds, in bytes, with what is still to be written.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The open file, if it is a regular one.
    pub fn file(&self) -> Option<&File> {
        self.writer.as_ref().filter(|_| self.regular).map(Writer::target)
    }

    /// Whether something was written that was not forced to the disk.
    pub fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Opens the file; what is missing of its path is made. A named pipe without a reader stays to be opened.
    pub fn open(&mut self, config: &FileSinkConfig, patience: Patience) -> Result<(), SinkError> {
        self.made = !self.path.exists();
        let file = self.open_file(patience)?;
        self.awaits_reader = file.is_none();
        let Some(file) = file else { return Ok(()) };
        let metadata = file.metadata().map_err(|error| failed("open", &self.path, error))?;
        self.size = metadata.len();
        self.regular = metadata.is_file();
        let mut writer = Writer::new(file);
        let outcome = match self.size {
            0 => writer.write(&config.preamble),
            _ if config.lines && self.regular && self.is_torn() => writer.write(b"\n"),
            _ => Ok(()),
        };
        if self.size == 0 {
            self.size = config.preamble.len() as u64;
        }
        self.writer = Some(writer);
        self.written(outcome)
    }

    /// None if it is a named pipe without a reader, and not to be waited for.
    fn open_file(&mut self, patience: Patience) -> Result<Option<File>, SinkError> {
        let path = &self.path;
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
        if std::mem::take(&mut self.mode) == FileMode::Replace && is_regular(&file) {
            file.set_len(0).map_err(|error| failed("empty", path, error))?;
        }
        Ok(Some(file))
    }

    /// Whether the last line of the file has no newline: whoever wrote it was cut off. A file that may not be read is
    /// taken to be whole.
    fn is_torn(&self) -> bool {
        let mut last = [b'\n'];
        let read = File::open(&self.path).and_then(|file| file.read_at(&mut last, self.size - 1));
        read.is_ok() && last != [b'\n']
    }

    /// Opens a named pipe that had no reader.
    pub fn ensure_open(&mut self, config: &FileSinkConfig, patience: Patience) -> Result<(), SinkError> {
        if self.awaits_reader { self.open(config, patience) } else { Ok(()) }
    }

    /// Takes whole encoded events.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let Some(writer) = &mut self.writer else {
            return Err(failed("write to", &self.path, ErrorKind::NotConnected.into()));
        };
        let outcome = writer.write(bytes);
        self.size += bytes.len() as u64;
        self.unsynced = true;
        self.written(outcome)
    }

    /// Writes everything that was taken.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        let outcome = self.writer.as_mut().map_or(Ok(()), Writer::flush);
        self.written(outcome)
    }

    /// Forces what was flushed to the disk.
    pub fn sync(&mut self) -> Result<(), SinkError> {
        if !std::mem::take(&mut self.unsynced) {
            return Ok(());
        }
        let made = std::mem::take(&mut self.made);
        let Some(file) = self.file() else { return Ok(()) };
        let outcome = file.sync_data().and_then(|()| if made { sync_folder(&self.path) } else { Ok(()) });
        outcome.map_err(|error| failed("write to", &self.path, error))
    }

    fn written(&self, outcome: Result<(), Errno>) -> Result<(), SinkError> {
        outcome.map_err(|errno| match errno {
            // The path may name a pipe.
            Errno::PIPE => SinkError::Closed,
            other => failed("write to", &self.path, other.into()),
        })
    }
}

/// Forces the entry of a new file in its folder to the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Whether there is something to empty: pipes and devices have no length.
fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}
