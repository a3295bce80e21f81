//! Finding the files to be followed.
//!
//! Files are told apart by device and inode, not by name, so a file that was renamed goes on being read, and the new one
//! in its place is read beside it. An open file keeps its inode, so that of a file that is still followed cannot come
//! back as another's.
//!
//! Looking again and again (`stat`) does all this on every file system. Being notified (inotify) would not: not on
//! network and overlay file systems, and not when its queue runs over, so looking would be needed besides. A look at a
//! file costs about a microsecond.
//!
//! What is rotated twice between two looks is seen only if its new name matches too: with `app.log*` nothing is missed.

use super::known::{self, FileId};
use super::labelled::Labelled;
use super::packed::packing;
use super::paths::Place;
use super::tail::{Fate, Tail};
use super::{Start, failed, open};
use crate::dataflow::{Polled, Refused, Resume, RowSource, SourceError};
use crate::event::{Batch, Slot};
use crate::formats::Decoder;
use crate::time::{Env, Millis};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often a path is looked at.
const LOOK_AT_FILE: Millis = Millis(50);
/// How often folders are searched for files that match a glob.
const LOOK_FOR_MATCHES: Millis = Millis(500);

/// Finds files and gives each as a partition; gives no rows itself.
pub(super) struct Follower {
    places: Vec<Watched>,
    start: Start,
    /// Whether packed files are passed over.
    pass_packed: bool,
    topic: Option<Slot>,
    decoder: Box<dyn Decoder>,
    /// All files that are followed.
    followed: BTreeMap<FileId, Arc<Fate>>,
    found: Vec<Tail>,
    /// What an earlier run left and no file has claimed yet.
    left: Option<Arc<Resume>>,
    /// Files that could not be opened, which was said.
    refused: BTreeSet<PathBuf>,
}

/// A path or glob, and the files that were there when it was looked at last.
struct Watched {
    place: Place,
    there: BTreeSet<FileId>,
    next_look: Option<Millis>,
}

impl Follower {
    pub fn new(
        places: Vec<Place>,
        start: Start,
        pass_packed: bool,
        topic: Option<Slot>,
        decoder: Box<dyn Decoder>,
    ) -> Follower {
        let watched = |place| Watched { place, there: BTreeSet::new(), next_look: None };
        Follower {
            places: places.into_iter().map(watched).collect(),
            start,
            pass_packed,
            topic,
            decoder,
            followed: BTreeMap::new(),
            found: Vec::new(),
            left: None,
            refused: BTreeSet::new(),
        }
    }

    /// Looks at a place: follows what is new there. Returns what could not be followed and why.
    fn look(&mut self, number: usize) -> Vec<(PathBuf, SourceError)> {
        let place = &self.places[number].place;
        let files = match place.files() {
            Ok(files) => files,
            Err(error) => {
                let path = PathBuf::from(place.written());
                return vec![(path.clone(), failed("list", &path, error))];
            }
        };
        let (mut there, mut faults) = (BTreeSet::new(), Vec::new());
        for path in files {
            match self.visit(&path) {
                Ok(id) => {
                    self.refused.remove(&path);
                    there.extend(id);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => faults.push((path.clone(), failed("follow", &path, error))),
            }
        }
        self.places[number].there = there;
        faults
    }

    /// Follows a file, if it is not followed already; returns which it is, or None if it is not to be followed.
    fn visit(&mut self, path: &Path) -> io::Result<Option<FileId>> {
        let id = FileId::of(&std::fs::metadata(path)?);
        if self.followed.get(&id).is_some_and(|fate| !fate.is_done()) {
            return Ok(Some(id));
        }
        let file = open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file, so it cannot be followed"));
        }
        if self.pass_packed && packing(&file)?.is_some() {
            return Ok(None);
        }
        // Which file was opened, should it be another than a moment ago.
        let id = FileId::of(&metadata);
        if self.followed.get(&id).is_some_and(|fate| !fate.is_done()) {
            return Ok(Some(id));
        }
        let fate = Arc::new(Fate::default());
        let tail = Tail::new(path, file, self.start, fate.clone(), self.decoder.another())?;
        self.followed.insert(id, fate);
        self.found.push(tail);
        Ok(Some(id))
    }

    /// Lets the files that were found since go on where an earlier run stopped.
    fn claim(&mut self) -> Result<(), SourceError> {
        let Some(left) = self.left.as_ref().filter(|_| !self.found.is_empty()) else { return Ok(()) };
        let mut candidates = Vec::new();
        for tail in &self.found {
            let look = tail.candidate().map_err(|error| failed("follow", tail.path(), error))?;
            candidates.extend(look);
        }
        let claims = known::settle(left, &candidates);
        for (tail, claim) in self.found.iter_mut().zip(claims) {
            claim.filter(|claim| !claim.place.packed).map_or(Ok(()), |claim| tail.go_on(claim))?;
        }
        Ok(())
    }

    /// Tells every followed file whether it is still where it is looked for, and forgets those that are done with.
    fn tell_fates(&mut self) {
        let places = &self.places;
        self.followed.retain(|id, fate| {
            fate.set_gone(!places.iter().any(|watched| watched.there.contains(id)));
            !fate.is_done()
        });
    }
}

impl RowSource for Follower {
    fn open(&mut self) -> Result<(), SourceError> {
        for number in 0..self.places.len() {
            if let Some((_, error)) = self.look(number).into_iter().next() {
                return Err(error);
            }
            if self.places[number].there.is_empty() {
                tracing::info!("waits for `{}`", self.places[number].place.written());
            }
        }
        // Files that turn up later are read whole.
        self.start = Start::Begin;
        Ok(())
    }

    fn resume(&mut self, from: &Arc<Resume>) -> Result<Option<Vec<u8>>, SourceError> {
        if from.has(|_| true) {
            // What turned up while nobody looked is read whole.
            self.found.iter_mut().try_for_each(Tail::begin)?;
        }
        self.left = Some(from.clone());
        self.claim()?;
        known::forget_oldest(from);
        Ok(None)
    }

    fn fill(
        &mut self,
        _batch: &mut Batch,
        _refused: &mut Refused,
        env: &mut Env,
    ) -> Result<Polled, SourceError> {
        let mut looked = false;
        for number in 0..self.places.len() {
            if self.places[number].next_look.is_some_and(|due| env.elapsed < due) {
                continue;
            }
            looked = true;
            for (path, error) in self.look(number) {
                if self.refused.insert(path) {
                    tracing::warn!("{error}; it is tried again");
                }
            }
            let every = match self.places[number].place {
                Place::File(_) => LOOK_AT_FILE,
                Place::Glob(..) => LOOK_FOR_MATCHES,
            };
            self.places[number].next_look = Some(Millis(env.elapsed.0 + every.0));
        }
        if looked {
            self.claim()?;
            self.tell_fates();
        }
        Ok(Polled::Empty)
    }

    fn gives_rows(&self) -> bool {
        false
    }

    fn turned_up(&mut self) -> Vec<Box<dyn RowSource>> {
        let labelled = |tail: Tail| {
            let label = tail.path().display().to_string();
            Labelled::around(Box::new(tail), self.topic, label)
        };
        std::mem::take(&mut self.found).into_iter().map(labelled).collect()
    }
}
