//! One file that is followed, from its first byte until it is gone.

use super::super::descriptor;
use super::{Start, failed};
use crate::dataflow::{ByteSource, Framed, Polled, Refused, RowSource, SourceError};
use crate::event::Batch;
use crate::formats::Decoder;
use crate::time::{Env, Millis};
use rustix::fs::{SeekFrom, seek, tell};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often a file that was read to its end is looked at.
const LOOK: Millis = Millis(50);
/// How long a file that was renamed or removed is read on: whoever writes it may not have noticed yet.
const GRACE: Millis = Millis(5_000);
/// The first bytes of a file by which its content is known again.
const HEAD: usize = 256;
/// Files that are followed are read by one worker, and no more than this ahead.
const TOGETHER: usize = 16;

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub fn of(metadata: &Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What becomes of a followed file; shared with who looks for files.
#[derive(Debug, Default)]
pub(super) struct Fate {
    gone: AtomicBool,
    done: AtomicBool,
}

impl Fate {
    /// Says whether the file is no longer where files are looked for.
    pub fn set_gone(&self, gone: bool) {
        self.gone.store(gone, Ordering::Relaxed);
    }

    /// Whether it was read to its last byte and closed.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }
}

/// Reads a file as it grows. Where it was truncated it is read anew, and what was begun of a record is read as it is.
pub(super) struct Tail {
    path: PathBuf,
    file: Arc<File>,
    fate: Arc<Fate>,
    framed: Framed,
    /// Tells `framed` that no more bytes come.
    ended: Arc<AtomicBool>,
    /// For when the file is read anew.
    decoder: Box<dyn Decoder>,
    restarts: bool,
    /// Set while everything was read: when to look again.
    next_look: Option<Millis>,
    /// Since when it is known to be gone.
    gone_since: Option<Millis>,
    head: Vec<u8>,
    changed: (i64, i64),
}

/// What a look at a file tells.
enum Look {
    Same,
    Grown,
    /// Its content is another: it was truncated.
    Anew,
    /// Nobody will write to it any more.
    Finished,
}

impl Tail {
    /// Follows an open file.
    pub fn new(
        path: &Path,
        file: File,
        start: Start,
        fate: Arc<Fate>,
        decoder: Box<dyn Decoder>,
    ) -> io::Result<Tail> {
        if start == Start::End {
            seek(&file, SeekFrom::End(0))?;
        }
        let (file, ended) = (Arc::new(file), Arc::new(AtomicBool::new(false)));
        let bytes = Growing { path: path.to_owned(), file: file.clone(), ended: ended.clone() };
        Ok(Tail {
            path: path.to_owned(),
            framed: Framed::new(Box::new(bytes), decoder.another(), TOGETHER),
            file,
            fate,
            ended,
            decoder,
            restarts: false,
            next_look: None,
            gone_since: None,
            head: Vec::new(),
            changed: (0, 0),
        })
    }

    /// Looks at the file, of which everything was read.
    fn look(&mut self, now: Millis) -> io::Result<Look> {
        let metadata = self.file.metadata()?;
        let (size, place) = (metadata.len(), tell(&*self.file)?);
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        let touched = std::mem::replace(&mut self.changed, changed) != changed;
        if size < place || ((touched || size > place) && !self.has_same_head()?) {
            return Ok(Look::Anew);
        }
        if size > place {
            return Ok(Look::Grown);
        }
        if !self.fate.gone.load(Ordering::Relaxed) {
            self.gone_since = None;
            return Ok(Look::Same);
        }
        let since = *self.gone_since.get_or_insert(now);
        Ok(if now.0 - since.0 >= GRACE.0 { Look::Finished } else { Look::Same })
    }

    /// Whether the file still begins as it did.
    fn has_same_head(&self) -> io::Result<bool> {
        let mut now = vec![0; self.head.len()];
        let length = self.file.read_at(&mut now, 0)?;
        Ok(now[..length] == self.head)
    }

    /// Remembers how the file begins, as far as it was read.
    fn remember_head(&mut self) -> io::Result<()> {
        let read = tell(&*self.file)?.min(HEAD as u64) as usize;
        if self.head.len() < read {
            let mut head = vec![0; read];
            let length = self.file.read_at(&mut head, 0)?;
            head.truncate(length);
            self.head = head;
        }
        Ok(())
    }

    /// Reads the file from its beginning, as another one.
    fn begin_anew(&mut self) -> io::Result<()> {
        seek(&*self.file, SeekFrom::Start(0))?;
        self.ended = Arc::new(AtomicBool::new(false));
        let bytes = Growing { path: self.path.clone(), file: self.file.clone(), ended: self.ended.clone() };
        self.framed = Framed::new(Box::new(bytes), self.decoder.another(), TOGETHER);
        self.head.clear();
        self.restarts = false;
        Ok(())
    }

    /// Prepares for reading on; returns whether there is something to be read or done.
    fn is_due(&mut self, now: Millis) -> io::Result<bool> {
        let Some(due) = self.next_look else { return Ok(true) };
        if now < due {
            return Ok(false);
        }
        let look = self.look(now)?;
        if matches!(look, Look::Same) {
            self.next_look = Some(Millis(now.0 + LOOK.0));
            return Ok(false);
        }
        self.next_look = None;
        self.restarts = matches!(look, Look::Anew);
        self.ended.store(!matches!(look, Look::Grown), Ordering::Relaxed);
        Ok(true)
    }

    /// Draws the conclusion from what came of reading.
    fn conclude(&mut self, polled: Polled, now: Millis) -> io::Result<Polled> {
        match polled {
            Polled::Data => {}
            Polled::Empty => {
                self.remember_head()?;
                self.next_look = Some(Millis(now.0 + LOOK.0));
            }
            Polled::End if self.restarts => {
                self.begin_anew()?;
                return Ok(Polled::Data);
            }
            Polled::End => self.fate.done.store(true, Ordering::Relaxed),
        }
        Ok(polled)
    }
}

impl RowSource for Tail {
    fn open(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        env: &mut Env,
    ) -> Result<Polled, SourceError> {
        let due = self.is_due(env.elapsed).map_err(|error| failed("follow", &self.path, error))?;
        if !due {
            return Ok(Polled::Empty);
        }
        let polled = self.framed.fill(batch, refused, env)?;
        self.conclude(polled, env.elapsed).map_err(|error| failed("follow", &self.path, error))
    }
}

/// The bytes of a file that may grow.
struct Growing {
    path: PathBuf,
    file: Arc<File>,
    ended: Arc<AtomicBool>,
}

impl ByteSource for Growing {
    fn open(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn read(&mut self, into: &mut Vec<u8>, max: usize) -> Result<Polled, SourceError> {
        if self.ended.load(Ordering::Relaxed) {
            return Ok(Polled::End);
        }
        match descriptor::read(&*self.file, false, into, max) {
            Ok(Polled::End) => Ok(Polled::Empty),
            Ok(polled) => Ok(polled),
            Err(error) => Err(failed("read", &self.path, error.into())),
        }
    }
}
