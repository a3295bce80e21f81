//! One file that is followed, from its first byte until it is gone.

use super::super::descriptor;
use super::known::{self, Candidate, Claim, Head, Place};
use super::whole::unreadable;
use super::{Start, failed};
use crate::dataflow::{ByteSource, Framed, Polled, Position, Refused, RowSource, SourceError};
use crate::event::Batch;
use crate::event::bytes::Malformed;
use crate::formats::Decoder;
use crate::time::{Env, Millis};
use rustix::fs::{SeekFrom, seek, tell};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often a file that was read to its end is looked at.
const LOOK: Millis = Millis(50);
/// How long a file that was renamed or removed is read on: whoever writes it may not have noticed yet.
const GRACE: Millis = Millis(5_000);
/// Files that are followed are read by one worker, and no more than this ahead.
const TOGETHER: usize = 16;

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
    framed: Framed<Growing>,
    /// Tells `framed` that no more bytes come.
    ended: Arc<AtomicBool>,
    /// For when the file is read anew.
    decoder: Box<dyn Decoder>,
    restarts: bool,
    /// Set while everything was read: when to look again.
    next_look: Option<Millis>,
    /// Since when it is known to be gone.
    gone_since: Option<Millis>,
    /// What it begins with, as far as it was read.
    head: Cell<Head>,
    changed: (i64, i64),
    /// What it is called among positions.
    name: Vec<u8>,
    used: Option<i64>,
    used_before: i64,
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
        let (file, ended) = (Arc::new(file), Arc::new(AtomicBool::new(false)));
        let bytes = Growing { path: path.to_owned(), file: file.clone(), ended: ended.clone() };
        let mut framed = Framed::new(bytes, decoder.another(), TOGETHER);
        if start == Start::End {
            let end = seek(&*file, SeekFrom::End(0))?;
            framed.go_on(end, &[]).map_err(|Malformed(what)| io::Error::other(what))?;
        }
        Ok(Tail {
            path: path.to_owned(),
            framed,
            name: known::name(&file)?,
            file,
            fate,
            ended,
            decoder,
            restarts: false,
            next_look: None,
            gone_since: None,
            head: Cell::default(),
            changed: (0, 0),
            used: None,
            used_before: 0,
        })
    }

    /// What there is to know it again by.
    pub fn candidate(&self) -> io::Result<Option<Candidate>> {
        Candidate::of(&self.path, &self.file)
    }

    /// Goes on where an earlier run stopped. Nothing was read yet.
    pub fn go_on(&mut self, claim: Claim) -> Result<(), SourceError> {
        let Claim { name, place } = claim;
        let sought = seek(&*self.file, SeekFrom::Start(place.offset));
        sought.map_err(|error| failed("read", &self.path, error.into()))?;
        let loaded = self.framed.go_on(place.offset, &place.decoder);
        loaded.map_err(|_| unreadable(&self.path))?;
        (self.name, self.used_before) = (name, place.used);
        self.head.set(place.head);
        Ok(())
    }

    /// Begins at the first byte, wherever it was to begin.
    pub fn begin(&mut self) -> Result<(), SourceError> {
        self.begin_anew().map_err(|error| failed("read", &self.path, error))
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file, of which everything was read.
    fn look(&mut self, now: Millis) -> io::Result<Look> {
        let metadata = self.file.metadata()?;
        let (size, place) = (metadata.len(), tell(&*self.file)?);
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        let touched = std::mem::replace(&mut self.changed, changed) != changed;
        if size < place || ((touched || size > place) && !self.head.get().is_of(&self.file)?) {
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

    /// Remembers how the file begins, as far as it was read.
    fn remember_head(&self) -> io::Result<()> {
        self.head.set(self.head.get().grown(&self.file, tell(&*self.file)?)?);
        Ok(())
    }

    /// Reads the file from its beginning, as another one.
    fn begin_anew(&mut self) -> io::Result<()> {
        seek(&*self.file, SeekFrom::Start(0))?;
        self.ended = Arc::new(AtomicBool::new(false));
        let bytes = Growing { path: self.path.clone(), file: self.file.clone(), ended: self.ended.clone() };
        self.framed = Framed::new(bytes, self.decoder.another(), TOGETHER);
        self.head.take();
        self.name = known::name(&self.file)?;
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
            Polled::Data | Polled::Waiting => {}
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

    fn name(&self) -> Option<String> {
        Some(self.path.display().to_string())
    }

    fn position(&self) -> Option<Position> {
        let offset = self.framed.offset();
        let head = self.head.get().grown(&self.file, offset).unwrap_or(self.head.get());
        let mut decoder = Vec::new();
        self.framed.save_decoder(&mut decoder);
        let used = self.used.unwrap_or(self.used_before);
        Place { offset, packed: false, head, used, decoder }.position(&self.name)
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        env: &mut Env,
    ) -> Result<Polled, SourceError> {
        self.used.get_or_insert(env.now.0);
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
