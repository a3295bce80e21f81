//! One file that is written to.

use super::position::Place;
use super::{FileMode, FileSinkConfig, Writer, failed};
use crate::dataflow::{SinkError, Syncing};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom};
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
    /// How many of the last names of its path were made here, so that the folders above must be forced to the disk too.
    made: usize,
    unsynced: bool,
    /// Whether what a file begins with was written.
    settled: bool,
    /// Up to where it is written, in bytes.
    size: u64,
    /// Up to where it was written when it was opened at a place.
    end: u64,
    /// Where it was opened, if at a place: bytes before that are never written again.
    place: Option<Place>,
    /// How many bytes of those that the disk does not take were given to be kept, see [`Output::take_pending`].
    kept: usize,
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
            made: 0,
            unsynced: false,
            settled: false,
            size: 0,
            end: 0,
            place: None,
            kept: 0,
        }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file has another name now.
    pub fn renamed(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// What the file holds, in bytes, with what is still to be written.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether bytes stand behind those that were written: of chunks that are written again.
    pub fn is_overwriting(&self) -> bool {
        self.size < self.end
    }

    /// The file, and where what is not safe begins; None unless it was opened at a place.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// An old file stays, whatever was said.
    pub fn keep_old(&mut self) {
        self.mode = FileMode::Append;
    }

    /// The open file, if it is a regular one.
    pub fn file(&self) -> Option<&File> {
        self.writer.as_ref().filter(|_| self.regular).map(Writer::target)
    }

    /// Whether something was written that was not forced to the disk.
    pub fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Opens the file; what is missing of its path is made. A named pipe without a reader stays to be opened. What an old
    /// file holds is not touched yet.
    pub fn open(&mut self, patience: Patience) -> Result<(), SinkError> {
        self.made = missing(&self.path);
        let file = self.open_file(patience)?;
        self.awaits_reader = file.is_none();
        let Some(file) = file else { return Ok(()) };
        let metadata = file.metadata().map_err(|error| failed("open", &self.path, error))?;
        self.size = metadata.len();
        self.regular = metadata.is_file();
        self.writer = Some(Writer::new(file));
        Ok(())
    }

    /// Opens a pipe that awaited its reader, and before the first event readies the file for it: empties it where it is to
    /// start anew, ends a torn line, begins with the preamble.
    pub fn ready(&mut self, config: &FileSinkConfig, patience: Patience) -> Result<(), SinkError> {
        if self.awaits_reader {
            self.open(patience)?;
        }
        if self.settled || self.awaits_reader {
            return Ok(());
        }
        self.empty_if_anew()?;
        let torn = self.size > 0 && config.lines && self.regular && self.is_torn();
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let (first, empty): (&[u8], _) =
            if torn { (b"\n", false) } else { (&config.preamble, self.size == 0) };
        let outcome = if torn || empty { writer.write(first) } else { Ok(()) };
        if empty || torn {
            self.size += first.len() as u64;
        }
        self.settled = true;
        self.written(outcome)
    }

    fn empty_if_anew(&mut self) -> Result<(), SinkError> {
        // Opened anew after a failure, the file keeps what this run has written.
        if std::mem::take(&mut self.mode) == FileMode::Replace
            && let Some(file) = self.file()
        {
            file.set_len(0).map_err(|error| failed("empty", &self.path, error))?;
            self.size = 0;
        }
        Ok(())
    }

    /// Whether a file that is gone is so because its disk is: it is not to be made anew on another one.
    fn is_unmounted(&self) -> bool {
        let Some(place) = &self.place else { return false };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = std::fs::metadata(folder.unwrap_or(Path::new(".")));
        !folder.is_ok_and(|folder| place.is_on_disk_of(&folder))
    }

    /// Opens the file to write from a place on, over what stands there; without one, behind what it holds. Where the file
    /// is another one, or ends before the place, it says so and goes on behind its end.
    pub fn open_at(&mut self, config: &FileSinkConfig, from: Option<Place>) -> Result<(), SinkError> {
        if is_special(&self.path) {
            return Err(SinkError::Failed(format!(
                "`{}` is a pipe or a device: what it took cannot be found again, as `exactly_once` needs; \
                 write to a file, or let this sink have `delivery: at_least_once`",
                self.path.display()
            )));
        }
        if self.is_unmounted() {
            let path = self.path.display();
            return Err(SinkError::Away(format!(
                "cannot open `{path}`: its disk or folder is gone: bring it back"
            )));
        }
        // What was not written comes again, and the room of a file that was removed is free at last.
        self.writer = None;
        self.made = missing(&self.path);
        self.make_folder()?;
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path);
        let mut file = opened.map_err(|error| failed("open", &self.path, error))?;
        (self.regular, self.settled) = (true, true);
        if from.is_none() && std::mem::take(&mut self.mode) == FileMode::Replace {
            file.set_len(0).map_err(|error| failed("empty", &self.path, error))?;
        }
        let metadata = file.metadata().map_err(|error| failed("open", &self.path, error))?;
        self.end = metadata.len();
        let start = match from.filter(|place| self.has(place, &metadata)) {
            Some(place) if place.is_in(&metadata) => place.offset,
            _ => self.end_whole_line(config, &file)?,
        };
        let sought = file.seek(SeekFrom::Start(start));
        sought.map_err(|error| failed("open", &self.path, error))?;
        self.place = Some(Place::of(&metadata, start));
        self.size = start;
        self.writer = Some(Writer::new(file));
        self.begin_with_preamble(config)
    }

    /// Whether a place is in the file that was opened. A new file that nothing was safe in was lost with its name.
    fn has(&self, place: &Place, now: &Metadata) -> bool {
        let why = match (place.is_in(now), place.offset <= now.len()) {
            (true, true) => return true,
            (false, _) if self.made > 0 && place.offset == 0 => return false,
            (false, _) if self.made > 0 => "is gone",
            (false, _) => "is another file now",
            (true, false) => "was cut off",
        };
        let (path, offset) = (self.path.display(), place.offset);
        tracing::error!(
            "`{path}` {why}, and was written up to byte {offset}: events go on behind what it holds; \
             those written last may be missing or there twice"
        );
        false
    }

    /// Ends a torn line of an old file, and returns where it ends then.
    fn end_whole_line(&self, config: &FileSinkConfig, file: &File) -> Result<u64, SinkError> {
        let torn = config.lines && self.end > 0 && self.last_byte(self.end).is_some_and(|last| last != b'\n');
        if !torn {
            return Ok(self.end);
        }
        let written = file.write_all_at(b"\n", self.end).and_then(|()| file.sync_data());
        written.map_err(|error| failed("write to", &self.path, error)).map(|()| self.end + 1)
    }

    fn begin_with_preamble(&mut self, config: &FileSinkConfig) -> Result<(), SinkError> {
        if self.size > 0 || config.preamble.is_empty() {
            return Ok(());
        }
        self.size = config.preamble.len() as u64;
        let outcome = self.writer.as_mut().map_or(Ok(()), |writer| writer.write(&config.preamble));
        self.written(outcome)
    }

    /// Looks whether somebody has cut the file off meanwhile: then it goes on behind what is left.
    fn look_for_cut(&mut self, config: &FileSinkConfig) -> Result<(), SinkError> {
        let Some(mut place) = self.place.filter(|_| !self.unsynced) else { return Ok(()) };
        let Some(mut file) = self.file() else { return Ok(()) };
        let metadata = file.metadata().map_err(|error| failed("write to", &self.path, error))?;
        if self.has(&Place::of(&metadata, place.offset), &metadata) {
            return Ok(());
        }
        let sought = file.seek(SeekFrom::Start(metadata.len()));
        sought.map_err(|error| failed("write to", &self.path, error))?;
        place.offset = metadata.len();
        (self.place, self.size, self.end) = (Some(place), metadata.len(), metadata.len());
        self.begin_with_preamble(config)
    }

    /// None if it is a named pipe without a reader, and not to be waited for.
    fn open_file(&mut self, patience: Patience) -> Result<Option<File>, SinkError> {
        self.make_folder()?;
        let path = &self.path;
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
        Ok(Some(file))
    }

    fn make_folder(&self) -> Result<(), SinkError> {
        let Some(parent) = self.path.parent() else { return Ok(()) };
        std::fs::create_dir_all(parent).map_err(|error| failed("make the folder", parent, error))
    }

    /// Whether the last line of the file has no newline: whoever wrote it was cut off. A file that may not be read is
    /// taken to be whole.
    fn is_torn(&self) -> bool {
        self.last_byte(self.size).is_some_and(|last| last != b'\n')
    }

    /// The last byte of a file of that size; None if it may not be read.
    fn last_byte(&self, size: u64) -> Option<u8> {
        let mut last = [0];
        let read = File::open(&self.path).and_then(|file| file.read_at(&mut last, size - 1));
        read.is_ok_and(|count| count == 1).then_some(last[0])
    }

    /// Takes whole encoded events. Where the disk does not take them they stay here, unless it was opened at a place.
    pub fn write(&mut self, config: &FileSinkConfig, bytes: &[u8]) -> Result<(), SinkError> {
        self.ready(config, Patience::Wait).map_err(SinkError::for_good)?;
        self.look_for_cut(config)?;
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
        self.written(outcome)?;
        self.kept = 0;
        Ok(())
    }

    /// Gives whole events that the disk does not take, and that were not given before, to be kept elsewhere.
    pub fn take_pending(&mut self, config: &FileSinkConfig, take: impl FnOnce(&[u8])) {
        let Some(writer) = &self.writer else { return };
        let (bytes, _) = writer.unwritten();
        // What a file begins with, and the end of a torn line, come by themselves.
        let own = match self.size == bytes.len() as u64 {
            true => config.preamble.len(),
            false => usize::from(config.lines && bytes.first() == Some(&b'\n')),
        };
        if let Some(new) = bytes.get(self.kept.max(own)..).filter(|new| !new.is_empty()) {
            take(new);
        }
        self.kept = bytes.len();
    }

    /// What was written will not be written again: once it is on the disk, if `config` wants that.
    pub fn secure(&mut self, config: &FileSinkConfig) -> Result<(), SinkError> {
        self.ready(config, Patience::Try)?;
        self.flush()?;
        match config.sync {
            true => self.sync()?,
            false => self.unsynced = false,
        }
        if let Some(place) = &mut self.place {
            place.offset = self.size;
        }
        Ok(())
    }

    /// Forces what was flushed to the disk.
    pub fn sync(&mut self) -> Result<(), SinkError> {
        if !std::mem::take(&mut self.unsynced) {
            return Ok(());
        }
        let made = std::mem::take(&mut self.made);
        let Some(file) = self.file() else { return Ok(()) };
        let error = |error| failed("write to", &self.path, error);
        let outcome = sync(file, &self.path, made).map_err(error);
        // Only at a place is it known what may be missing now, and written again.
        if self.place.is_some() { outcome } else { outcome.map_err(unsure) }
    }

    /// The same, left to be done while others write; None where there is nothing to do, or it is done.
    pub fn begin_sync(&mut self) -> Result<Option<Syncing>, SinkError> {
        let Some(file) = self.file().filter(|_| self.unsynced) else { return Ok(None) };
        let Ok(file) = file.try_clone() else { return self.sync().map(|()| None) };
        let (path, made) = (self.path.clone(), std::mem::take(&mut self.made));
        self.unsynced = false;
        Ok(Some(Box::new(move || {
            sync(&file, &path, made).map_err(|error| unsure(failed("write to", &path, error)))
        })))
    }

    fn written(&mut self, outcome: Result<(), Errno>) -> Result<(), SinkError> {
        let Err(errno) = outcome else { return Ok(()) };
        let error = match errno {
            // The path may name a pipe.
            Errno::PIPE => SinkError::Closed,
            other => failed("write to", &self.path, other.into()),
        };
        // What a pipe or a device has got of an event cannot be taken back.
        if !self.regular {
            return Err(error.for_good());
        }
        self.retreat();
        Err(error)
    }

    /// Takes the beginning of what was not wholly written out of the file again, so that no torn line stays there should the
    /// process end now. Where that cannot be done, writing goes on behind the last byte.
    fn retreat(&mut self) {
        let Some(writer) = self.writer.as_mut().filter(|_| self.place.is_none()) else { return };
        let (bytes, written) = writer.unwritten();
        let left = (bytes.len() - written) as u64;
        let (Some(end), true) = (self.size.checked_sub(left), written > 0) else { return };
        let file = writer.target();
        let is_ours = file.metadata().is_ok_and(|metadata| metadata.len() == end);
        if is_ours && file.set_len(end - written as u64).is_ok() {
            writer.rewind();
        }
    }
}

/// Forces a file to the disk, with the entries of the last names of its path.
fn sync(file: &File, path: &Path, names: usize) -> io::Result<()> {
    file.sync_data().and_then(|()| sync_folders(path, names))
}

/// An error after which nobody knows what is on the disk.
pub(super) fn unsure(error: SinkError) -> SinkError {
    let message = format!(
        "{error}; what was written since the last checkpoint may be lost: a new run goes on from there"
    );
    SinkError::Failed(message)
}

/// How many of the last names of a path are not there.
fn missing(path: &Path) -> usize {
    let names = path.ancestors().filter(|name| !name.as_os_str().is_empty());
    names.take_while(|name| !name.exists()).count()
}

/// Forces the entries of the last names of a path in their folders to the disk.
pub(super) fn sync_folders(path: &Path, names: usize) -> io::Result<()> {
    path.ancestors().skip(1).take(names).try_for_each(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()
    })
}

/// Whether something is there that is neither file nor folder.
pub(super) fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}
