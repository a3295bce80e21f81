//! Events to the files that they choose, and files that are put aside when they are large or old.

use super::keeper::{Keeper, Keeping};
use super::names::aside;
use super::output::{Output, Patience, is_special, sync_folders, unsure};
use super::position::{Mark, Position};
use super::successor::{begin_successor, name_of, put_aside_before, settle};
use super::{FileMode, FileSinkConfig, Packing, Rounds, SYNC_EVERY, failed};
use crate::dataflow::{Sink, SinkError, Syncing, read_addressed, write_addressed};
use crate::time::{Clock, Millis, SystemClock, Timestamp};
use hashbrown::HashTable;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use xxhash_rust::xxh3::xxh3_64;

/// Files that are open at a time.
const MOST_OPEN: usize = 128;
/// How long a file that nothing is written to stays open.
const IDLE: Millis = Millis(60_000);
/// Closed files that are still to be forced to the disk, before that is done at once.
const MOST_UNSYNCED: usize = 4096;

/// When a file is put aside, and what becomes of it then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before it becomes larger.
    pub size: Option<u64>,
    /// When it is this old.
    pub every: Option<Millis>,
    /// How many files put aside are kept; None keeps all.
    pub keep: Option<usize>,
    /// What they are packed with.
    pub packing: Option<Packing>,
}

/// Files up to which each is forced to the disk by itself, not with its whole file system.
const FEW: usize = 32;

/// Takes events with the paths that they go to.
pub struct SpreadSink {
    config: FileSinkConfig,
    rotation: Rotation,
    clock: SystemClock,
    keeper: Keeper,
    open: Vec<OpenFile>,
    /// Which of the open files was written to last.
    last: usize,
    /// Hashes of all paths that were opened: the first time is another than those after it.
    begun: HashTable<u64>,
    /// Files that were closed since the last time that all was forced to the disk.
    unsynced: BTreeSet<PathBuf>,
    synced: Millis,
    /// The file that all events go to, where that is known.
    only: Option<PathBuf>,
    /// Events lost so far to names that no file can have.
    lost: u64,
    /// What is known of paths, where chunks are written exactly once.
    exact: Option<Exact>,
    /// Whether checkpoints make what was written safe.
    lasting: bool,
    rounds: Rounds,
    /// Events whose files the disk does not let us open, with their paths, and how many bytes of them were given to be kept.
    left: Vec<u8>,
    left_kept: usize,
}

/// What is known so that chunks take the same place when they are written again.
#[derive(Default)]
struct Exact {
    /// The paths of files that are open, and of all that prepared chunks go to. Offsets are those up to which files are
    /// written.
    marks: BTreeMap<PathBuf, Mark>,
    /// The same as they were when all was secure.
    secured: BTreeMap<PathBuf, Mark>,
    prepared: u64,
    written: u64,
    /// Paths of which files were put aside. These are not packed or deleted before a durable position knows of them no
    /// more: another file could get their numbers.
    aside: BTreeSet<PathBuf>,
}

struct OpenFile {
    /// The path that events choose.
    path: PathBuf,
    output: Output,
    /// When it was begun.
    began: Timestamp,
    used: Millis,
}

impl SpreadSink {
    /// A sink without an open file. `only` is where all events go, if that is known.
    pub fn new(config: FileSinkConfig, rotation: Rotation, only: Option<PathBuf>) -> SpreadSink {
        SpreadSink {
            config,
            rotation,
            clock: SystemClock::new(),
            keeper: Keeper::new(Keeping { keep: rotation.keep, packing: rotation.packing }),
            open: Vec::new(),
            last: 0,
            begun: HashTable::new(),
            unsynced: BTreeSet::new(),
            synced: Millis::ZERO,
            only,
            lost: 0,
            exact: None,
            lasting: false,
            rounds: Rounds::default(),
            left: Vec::new(),
            left_kept: 0,
        }
    }

    /// Writes events to their files. What the disk does not take stays: in its file's buffer or, from the first event on
    /// whose file it does not give, in `left`.
    fn put_all(&mut self, mut chunk: &[u8]) -> Result<(), SinkError> {
        let now = self.clock.elapsed();
        let (mut path, mut outcome) = ([""], Ok(()));
        loop {
            let rest = chunk;
            let Some(event) = read_addressed(&mut chunk, &mut path) else { return outcome };
            let written = match self.file_for(Path::new(path[0]), event.len() as u64, now) {
                Ok(Some(number)) => self.open[number].output.write(&self.config, event),
                Ok(None) => Ok(()),
                Err(error @ SinkError::Away(_)) if self.exact.is_none() => {
                    self.left = rest.to_vec();
                    return Err(error);
                }
                Err(error) => Err(error),
            };
            match written {
                Err(error @ SinkError::Away(_)) if self.exact.is_none() => outcome = Err(error),
                written => written?,
            }
        }
    }

    /// Writes what was left.
    fn put_left(&mut self) -> Result<(), SinkError> {
        self.left_kept = 0;
        match std::mem::take(&mut self.left) {
            left if left.is_empty() => Ok(()),
            left => self.put_all(&left),
        }
    }

    /// The number of the file that an event of that length goes to; None if it can have none.
    fn file_for(&mut self, path: &Path, length: u64, now: Millis) -> Result<Option<usize>, SinkError> {
        let mut number = match self.open.get(self.last).filter(|file| file.path == path) {
            Some(_) => self.last,
            None => match self.obstacle(path) {
                Some(why) => {
                    self.lose(path, &why);
                    return Ok(None);
                }
                None => self.find(path)?,
            },
        };
        if self.is_due(&self.open[number], length) {
            number = self.change(number)?;
        }
        self.last = number;
        self.open[number].used = now;
        Ok(Some(number))
    }

    /// Why an event cannot have the path that it chose: another has made a folder of it, or a file on the way there. No
    /// event is a reason to stop a pipeline, and one that comes again after each start would do so for ever.
    fn obstacle(&self, path: &Path) -> Option<String> {
        if self.only.is_some() || self.open.iter().any(|file| file.path == path) {
            return None;
        }
        if path.is_dir() {
            return Some("it is a folder".to_owned());
        }
        if self.exact.is_some() && is_special(path) {
            return Some("it is a pipe or a device, which `exactly_once` cannot write to".to_owned());
        }
        let on_the_way = path.ancestors().skip(1).find(|part| part.exists())?;
        (!on_the_way.is_dir()).then(|| format!("`{}` is no folder", on_the_way.display()))
    }

    fn lose(&mut self, path: &Path, why: &str) {
        self.lost += 1;
        // Where one event cannot be written, many cannot: ever fewer of them are told of.
        if self.lost.is_power_of_two() {
            let (path, lost) = (path.display(), self.lost);
            tracing::error!("an event cannot be written to `{path}`: {why}; {lost} are lost so far");
        }
    }

    /// The number of a file that is open, or is now.
    fn find(&mut self, path: &Path) -> Result<usize, SinkError> {
        if let Some(number) = self.open.iter().position(|file| file.path == path) {
            return Ok(number);
        }
        if self.open.len() >= MOST_OPEN {
            let oldest = self.open.iter().enumerate().min_by_key(|(_, file)| file.used);
            if let Some((number, _)) = oldest {
                self.close_file(number)?;
            }
        }
        let hash = xxh3_64(path.as_os_str().as_encoded_bytes());
        let is_first = self.begun.find(hash, |known| *known == hash).is_none();
        if is_first {
            self.begun.insert_unique(hash, hash, |known| *known);
        }
        let mode = if is_first { self.config.mode } else { FileMode::Append };
        let output = self.open_output(path, mode)?;
        let now = self.clock.wall();
        let began = output.file().and_then(|file| file.metadata().ok()).map_or(now, |m| began(&m, now));
        self.open.push(OpenFile { path: path.to_owned(), output, began, used: self.clock.elapsed() });
        if is_first {
            // What an earlier run has left to do.
            match &mut self.exact {
                Some(exact) => drop(exact.aside.insert(path.to_owned())),
                None => self.keeper.tidy(path, Vec::new()),
            }
        }
        Ok(self.open.len() - 1)
    }

    fn open_output(&mut self, path: &Path, mode: FileMode) -> Result<Output, SinkError> {
        let Some(exact) = &mut self.exact else {
            let mut output = Output::new(path.to_owned(), mode);
            output.open(Patience::Wait)?;
            return Ok(output);
        };
        let known = exact.marks.get(path);
        let mut output = Output::new(name_of(path, known.map_or(0, |mark| mark.files.len() - 1)), mode);
        output.open_at(&self.config, known.and_then(|mark| mark.files.last().copied()))?;
        let Some(place) = output.place() else { return Ok(output) };
        match exact.marks.get_mut(path) {
            Some(mark) => {
                mark.files.pop();
                mark.files.push(place);
            }
            None => drop(exact.marks.insert(path.to_owned(), Mark { files: vec![place], awaited: 0 })),
        }
        Ok(output)
    }

    /// Whether a file is to be put aside before so much more is written.
    fn is_due(&self, file: &OpenFile, more: u64) -> bool {
        let Rotation { size, every, .. } = self.rotation;
        let held = file.output.size();
        if held <= self.config.preamble.len() as u64 || file.output.file().is_none() {
            return false;
        }
        // What stands behind would be there twice.
        if file.output.is_overwriting() {
            return false;
        }
        let old = |every: Millis| self.clock.wall().0.saturating_sub(file.began.0) >= every.0;
        size.is_some_and(|most| held + more > most) || every.is_some_and(old)
    }

    /// Goes on in another file of the same path, and returns its number. Where chunks are written exactly once, the full one
    /// keeps its name until nothing of it will be written again.
    fn change(&mut self, number: usize) -> Result<usize, SinkError> {
        let path = self.open[number].path.clone();
        if self.exact.is_none() {
            self.put_aside(number)?;
            return self.find(&path);
        }
        self.close_file(number)?;
        if let Some(mark) = self.exact.as_mut().and_then(|exact| exact.marks.get_mut(&path)) {
            self.unsynced.insert(begin_successor(&path, mark)?);
        }
        self.find(&path)
    }

    /// Closes a file and gives it another name.
    fn put_aside(&mut self, number: usize) -> Result<(), SinkError> {
        let path = self.open[number].path.clone();
        self.close_file(number)?;
        let renamed =
            aside(&path, self.clock.wall()).and_then(|name| fs::rename(&path, &name).map(|()| name));
        let name = renamed.map_err(|error| failed("put aside", &path, error))?;
        if self.unsynced.remove(&path) {
            self.unsynced.insert(name);
        }
        self.keeper.tidy(&path, Vec::new());
        Ok(())
    }

    fn close_file(&mut self, number: usize) -> Result<(), SinkError> {
        self.open[number].output.flush()?;
        let file = self.open.swap_remove(number);
        if let Some(place) =
            self.exact.as_mut().and_then(|exact| exact.marks.get_mut(&file.path)?.files.last_mut())
        {
            place.offset = file.output.size();
        }
        if self.config.sync && file.output.is_unsynced() {
            self.unsynced.insert(file.output.path().to_owned());
        }
        match self.unsynced.len() >= MOST_UNSYNCED {
            true => self.sync(),
            false => Ok(()),
        }
    }

    /// Writes everything that was taken; where one file cannot be written to, all others.
    fn flush_all(&mut self) -> Result<(), SinkError> {
        let mut outcome = self.put_left();
        for file in &mut self.open {
            let ready = file.output.ready(&self.config, Patience::Wait);
            match (ready.and_then(|()| file.output.flush()), &outcome) {
                (Err(SinkError::Away(_)), Err(_)) | (Ok(()), _) => {}
                (Err(error), _) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Gives what the disk does not take to be kept elsewhere.
    fn take_pending(&mut self, pending: &mut Vec<u8>) {
        for file in &mut self.open {
            let path = [file.path.to_string_lossy().into_owned()];
            file.output.take_pending(&self.config, |bytes| {
                let written = write_addressed(&path, pending, |into| {
                    into.extend_from_slice(bytes);
                    Ok::<(), std::convert::Infallible>(())
                });
                written.unwrap_or_else(|never| match never {});
            });
        }
        pending.extend_from_slice(self.left.get(self.left_kept..).unwrap_or_default());
        self.left_kept = self.left.len();
    }

    /// What is left to be done, while others write, until all that was flushed is on the disk.
    fn begin_sync(&mut self) -> Result<Option<Syncing>, SinkError> {
        let closed = std::mem::take(&mut self.unsynced);
        let open = self.open.iter_mut().filter_map(|file| file.output.begin_sync().transpose());
        let open: Vec<Syncing> = open.collect::<Result<_, _>>()?;
        if closed.is_empty() && open.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(move || {
            sync_closed(closed).map_err(unsure)?;
            open.into_iter().try_for_each(|syncing| syncing())
        })))
    }

    /// Forces all that was flushed to the disk.
    fn sync(&mut self) -> Result<(), SinkError> {
        let synced = sync_closed(std::mem::take(&mut self.unsynced));
        if self.exact.is_some() { synced } else { synced.map_err(unsure) }?;
        self.open.iter_mut().try_for_each(|file| file.output.sync())?;
        self.synced = self.clock.elapsed();
        Ok(())
    }

    /// Everything is safe when this returns: where what was written is written again in the same places.
    fn secure_exactly(&mut self) -> Result<(), SinkError> {
        self.flush_all()?;
        if self.config.sync {
            self.sync()?;
        }
        self.open.iter_mut().try_for_each(|file| file.output.secure(&self.config))?;
        let Some(exact) = &mut self.exact else { return Ok(()) };
        for file in &self.open {
            let place = exact.marks.get_mut(&file.path).and_then(|mark| mark.files.last_mut());
            if let (Some(place), Some(now)) = (place, file.output.place()) {
                *place = now;
            }
        }
        let open: BTreeSet<&Path> = self.open.iter().map(|file| &*file.path).collect();
        let written = exact.written;
        let is_needed = |mark: &Mark| mark.awaited > written || mark.files.len() > 1;
        exact.marks.retain(|path, mark| is_needed(mark) || open.contains(&**path));
        exact.secured.clone_from(&exact.marks);
        Ok(())
    }
}

/// Forces files that were closed to the disk.
fn sync_closed(closed: BTreeSet<PathBuf>) -> Result<(), SinkError> {
    let together = closed.len() > FEW;
    let mut done = BTreeSet::new();
    for path in closed {
        // Packed and removed meanwhile, it is on the disk already.
        let Ok(file) = File::open(&path) else { continue };
        let outcome = match file.metadata() {
            Ok(metadata) if together && !done.insert(metadata.dev()) => Ok(()),
            Ok(_) if together => rustix::fs::syncfs(&file).map_err(Into::into),
            _ => file.sync_all().and_then(|()| sync_folders(&path, 1)),
        };
        outcome.map_err(|error| failed("write to", &path, error))?;
    }
    Ok(())
}

/// When a file was begun. Not all file systems know: then it is when it was last written to.
fn began(metadata: &Metadata, now: Timestamp) -> Timestamp {
    let made = metadata.created().or_else(|_| metadata.modified());
    let since = made.ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_millis()).ok()).map_or(now, Timestamp)
}

impl Sink for SpreadSink {
    /// Where events choose, only they say which files there will be.
    fn open(&mut self) -> Result<(), SinkError> {
        match self.only.clone() {
            Some(path) => self.find(&path).map(|_| ()),
            None => Ok(()),
        }
    }

    fn resume(&mut self, position: &[u8], repeats: bool) -> Result<(), SinkError> {
        self.lasting = true;
        if !position.is_empty() {
            self.config.mode = FileMode::Append;
            self.open.iter_mut().for_each(|file| file.output.keep_old());
        }
        let Position { pending, mut marks } = Position::decode(position)?;
        settle(&mut marks, self.clock.wall(), self.config.sync)?;
        if !repeats {
            return Ok(());
        }
        self.open.clear();
        self.begun.clear();
        // What the last run was about to pack is left as it was: perhaps nothing will go there any more.
        let aside = marks.keys().cloned().collect();
        self.exact =
            Some(Exact { secured: marks.clone(), marks, prepared: pending, aside, ..Exact::default() });
        match self.only.clone() {
            Some(path) => self.find(&path).map(|_| ()),
            None => Ok(()),
        }
    }

    fn prepare(&mut self, mut chunk: &[u8]) -> Result<(), SinkError> {
        let number = self.exact.as_ref().map_or(0, |exact| exact.prepared + 1);
        let mut path = [""];
        while read_addressed(&mut chunk, &mut path).is_some() {
            let path = Path::new(path[0]);
            let is_known = |exact: &Exact| exact.marks.contains_key(path);
            if !self.exact.as_ref().is_some_and(is_known) && self.obstacle(path).is_none() {
                self.find(path)?;
            }
            let Some(exact) = &mut self.exact else { return Ok(()) };
            if let Some(mark) = exact.marks.get_mut(path)
                && mark.awaited < number
            {
                mark.awaited = number;
                let secured = exact.secured.entry(path.to_owned()).or_insert_with(|| mark.clone());
                secured.awaited = number;
            }
        }
        // Where a file cannot be had now, the same chunk is prepared again.
        if let Some(exact) = &mut self.exact {
            exact.prepared = number;
        }
        Ok(())
    }

    fn secure(&mut self, pending: &mut Vec<u8>) -> Result<(), SinkError> {
        self.begin_secure(pending)?.map_or(Ok(()), |syncing| syncing())
    }

    fn begin_secure(&mut self, pending: &mut Vec<u8>) -> Result<Option<Syncing>, SinkError> {
        if self.exact.is_some() {
            self.secure_exactly()?;
            self.rounds.count(true);
            return Ok(None);
        }
        let is_safe = match self.flush_all() {
            Err(SinkError::Away(_)) => false,
            flushed => flushed.map(|()| true)?,
        };
        if !is_safe {
            self.take_pending(pending);
        }
        let syncing = if self.config.sync { self.begin_sync()? } else { None };
        self.rounds.count(is_safe);
        Ok(syncing)
    }

    fn acknowledged(&self) -> u64 {
        self.rounds.safe
    }

    fn position(&self, into: &mut Vec<u8>) {
        match &self.exact {
            Some(exact) => {
                let pending = exact.prepared.saturating_sub(exact.written);
                Position::encode(pending, exact.written, &exact.secured, into);
            }
            None => Position::encode(0, 0, &BTreeMap::new(), into),
        }
    }

    fn committed(&mut self) -> Result<(), SinkError> {
        let Some(exact) = &mut self.exact else { return Ok(()) };
        let mut aside = std::mem::take(&mut exact.aside);
        for (path, mark) in exact.marks.iter_mut().filter(|(_, mark)| mark.files.len() > 1) {
            let durable = exact.secured.get(path).map_or(0, |secured| secured.files.len());
            if durable != mark.files.len() {
                continue;
            }
            let spared = put_aside_before(path, mark, self.clock.wall(), self.config.sync)?;
            exact.secured.insert(path.clone(), mark.clone());
            let open = self.open.iter_mut().find(|file| file.path == *path);
            open.into_iter().for_each(|file| file.output.renamed(path.clone()));
            if aside.remove(path) {
                self.keeper.tidy(path, spared);
            }
            exact.aside.insert(path.clone());
        }
        aside.iter().for_each(|path| self.keeper.tidy(path, Vec::new()));
        Ok(())
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), SinkError> {
        if self.left.is_empty() {
            self.put_all(chunk)?;
        } else {
            self.left.extend_from_slice(chunk);
            self.put_left()?;
        }
        if let Some(exact) = &mut self.exact {
            exact.written += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.flush_all()?;
        if self.rounds.is_behind() {
            self.sync()?;
            self.rounds.safe = self.rounds.all;
        }
        let now = self.clock.elapsed();
        while let Some(idle) = self.open.iter().position(|file| now.0 - file.used.0 > IDLE.0) {
            self.close_file(idle)?;
        }
        let is_due = !self.lasting && now.0 - self.synced.0 >= SYNC_EVERY.0;
        match self.config.sync && is_due {
            true => self.sync(),
            false => Ok(()),
        }
    }

    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        self.flush_all()?;
        if self.config.sync {
            self.sync()?;
        }
        self.keeper.finish(&self.clock, stopped);
        Ok(())
    }
}
