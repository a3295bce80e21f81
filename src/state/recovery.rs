//! Opening a folder: the store, the log behind it, and what to do where one of them is not whole.
//!
//! What is torn was acknowledged to nobody and is cut off. What is corrupt or missing was: it is set aside under
//! another name, all that can be read is kept, and the folder begins a new life (see [`Incarnation`]), because what
//! it will say of an epoch may differ from what it said before.

use super::backend::{StateBackend, StateLimits, metered};
use super::checkpoint::Checkpoint;
use super::disk::{Disk, DiskLock, Open};
use super::error::StateError;
use super::ledger::Ledger;
use super::log::{Log, LogScan};
use super::number::{Epoch, Incarnation, SegmentNumber, Sequence};
use super::progress::Progress;
use super::replacement::{clear_next, finish_replacement, replace};
use super::salvage::{Salvaged, finish_salvage, salvage};
use super::store::{STORE_FILE, Store, StoreMeta};
use crate::time::{Random, Timestamp};
use std::fmt::{self, Display, Formatter};
use std::io;
use std::sync::Arc;

/// The file by which a process holds the folder.
const LOCK_FILE: &str = "lock";

/// What the names of files that were set aside begin with.
const ASIDE: &str = "corrupt-";

/// What to do where something that was kept cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCorruption {
    /// Set it aside and go on with the rest.
    SetAside,
    /// Refuse to open, and change nothing.
    Refuse,
}

/// How to open a folder.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// How much memory and disk may be used.
    pub limits: StateLimits,
    /// What to do where something that was kept cannot be read.
    pub on_corruption: OnCorruption,
    /// A random number, see [`crate::time::Clock::entropy`].
    pub entropy: u64,
    /// The time of day, for the names of what is set aside.
    pub now: Timestamp,
}

/// Something that was not as it should be, and what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The power went during a commit: so many bytes were cut off. Nobody was told that they were kept.
    TornTail {
        /// How many.
        bytes: u64,
    },
    /// The store was corrupt. State that was not in the log any more is lost.
    StoreSetAside {
        /// The file's name now.
        name: String,
        /// What was wrong.
        what: String,
    },
    /// There was a log but no store. State that was not in the log any more is lost.
    StoreMissing,
    /// The log was corrupt or not whole. What became of later epochs is lost; input that can be read again is read
    /// again.
    LogSetAside {
        /// The files' names now.
        names: Vec<String>,
        /// What was wrong.
        what: String,
        /// Whether the state of some keys may be of a later epoch than the rest.
        is_mixed: bool,
    },
    /// An earlier start was interrupted while it set a log aside; now it is done.
    SalvageFinished {
        /// The names of the files that were left to be set aside.
        names: Vec<String>,
    },
}

impl Repair {
    /// Whether something may be lost that was said to be kept.
    pub fn is_loss(&self) -> bool {
        !matches!(self, Repair::TornTail { .. })
    }
}

impl Display for Repair {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Repair::TornTail { bytes } => {
                write!(f, "cut off {bytes} bytes of a commit during which the power went; nothing is lost")
            }
            Repair::StoreSetAside { name, what } => write!(
                f,
                "the store was corrupt ({what}) and is now {name}; state that the log no longer has is lost"
            ),
            Repair::StoreMissing => {
                f.write_str("the store is missing; state that the log no longer has is lost")
            }
            Repair::LogSetAside { names, what, is_mixed } => {
                let mixed = if *is_mixed { "; some keys may be of a later epoch than others" } else { "" };
                let names = names.join(", ");
                write!(
                    f,
                    "the log was corrupt ({what}); all that can be read is kept, the rest is now {names}{mixed}"
                )
            }
            Repair::SalvageFinished { names } => {
                write!(f, "finished what a power cut had interrupted; set aside: {}", names.join(", "))
            }
        }
    }
}

/// How a folder was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the folder was empty.
    pub is_fresh: bool,
    /// Which life of the folder this is.
    pub incarnation: Incarnation,
    /// The last epoch that is durable: the pipeline goes on behind it.
    pub epoch: Epoch,
    /// What was done, to be logged and counted.
    pub repairs: Vec<Repair>,
    /// All files that were ever set aside and are still there: loss stays visible, even if the power went before it
    /// could be told.
    pub aside: Vec<String>,
}

/// Opens the state in a folder, or begins it.
///
/// # Errors
/// [`StateError::InUse`] while another process holds the folder.
pub fn open(disk: &Arc<dyn Disk>, options: &OpenOptions) -> Result<(StateBackend, Recovery), StateError> {
    let held = hold(&**disk)?;
    open_held(disk, options, held)
}

/// The same, with nothing of the state that was there: after a power cut it is there as before, or not at all. What
/// was set aside once stays.
pub fn open_afresh(
    disk: &Arc<dyn Disk>,
    options: &OpenOptions,
) -> Result<(StateBackend, Recovery), StateError> {
    let held = hold(&**disk)?;
    clear_next(&**disk)?;
    replace(&**disk)?;
    open_held(disk, options, held)
}

/// Makes what an earlier process left durable before anything is built upon it: one that was killed may not have come to
/// sync its last writes, which a power cut later on would take away from under what comes now. What it failed to sync
/// can be read and is on no disk: it is read no more.
fn settle(disk: &dyn Disk) -> Result<(), StateError> {
    let settle = || -> io::Result<()> {
        let names = disk.list()?;
        // All segments before the last were synced before it was begun.
        let last = names.iter().rfind(|name| SegmentNumber::from_file_name(name).is_some());
        for name in last.into_iter().chain(names.iter().filter(|name| *name == STORE_FILE)) {
            let file = disk.open(name, Open::Existing)?;
            file.sync()?;
            file.forget()?;
        }
        disk.sync_folder()
    };
    settle().map_err(|error| StateError::disk("syncing what was there", error))
}

/// Holds the folder.
pub(super) fn hold(disk: &dyn Disk) -> Result<DiskLock, StateError> {
    let lock = disk.lock(LOCK_FILE).map_err(|error| StateError::disk("locking the folder", error))?;
    lock.ok_or_else(|| StateError::InUse { folder: disk.path() })
}

fn open_held(
    disk: &Arc<dyn Disk>,
    options: &OpenOptions,
    lock: DiskLock,
) -> Result<(StateBackend, Recovery), StateError> {
    settle(&**disk)?;
    finish_replacement(&**disk)?;
    let (log_disk, log_meter) = metered(disk);
    let (store_disk, store_meter) = metered(disk);
    let mut opening = Opening { disk: disk.clone(), options, repairs: Vec::new(), is_new_life: false };
    let finished = finish_salvage(&**disk, options.now)?;
    opening.repairs.extend(finished.map(|names| Repair::SalvageFinished { names }));
    let store_disk: Arc<dyn Disk> = Arc::new(store_disk);
    let found = opening.find_store(&store_disk)?;
    let scan = LogScan::read(&**disk, found.as_ref().map(|(_, meta)| meta.incarnation))?;
    let (store, is_fresh) = match found {
        Some((store, _)) => (store, false),
        None => opening.make_store(store_disk, &scan)?,
    };
    let (scan, meta) = opening.mend_log(&store, scan)?;
    let mut ledger = ledger_of(&meta)?;
    scan.visit(&**disk, scan.records(), &mut |place, payload| Ok(ledger.apply(place, payload)?))?;
    let limits = options.limits;
    let mut log = Log::resume(log_disk, &scan, limits.segment_bytes, meta.incarnation, meta.folded)?;
    if scan.torn_bytes > 0 {
        opening.repairs.push(Repair::TornTail { bytes: scan.torn_bytes });
    }
    ledger.take_freed().iter().for_each(|place| log.release(place));
    let recovery = Recovery {
        is_fresh,
        incarnation: meta.incarnation,
        epoch: ledger.progress.epoch,
        repairs: opening.repairs,
        aside: names_aside(&**disk)?,
    };
    let folded_store_bytes = store.bytes()?;
    let backend = StateBackend {
        _lock: lock,
        limits,
        log,
        store,
        store_failed: false,
        ledger,
        log_meter,
        store_meter,
        folded_log_bytes: 0,
        folded_store_bytes,
        compacted_store_bytes: 0,
    };
    Ok((backend, recovery))
}

/// A folder being opened.
struct Opening<'o> {
    disk: Arc<dyn Disk>,
    options: &'o OpenOptions,
    repairs: Vec<Repair>,
    /// Whether the store was made in this very start, so that no other life needs to be begun.
    is_new_life: bool,
}

impl Opening<'_> {
    fn new_incarnation(&self) -> Incarnation {
        Incarnation(Random::seeded(self.options.entropy).bits())
    }

    /// The store and what it knows of itself; None if there is none, or none any more.
    fn find_store(&mut self, disk: &Arc<dyn Disk>) -> Result<Option<(Store, StoreMeta)>, StateError> {
        let names = disk.list().map_err(|error| StateError::disk("reading the folder", error))?;
        if !names.iter().any(|name| name == STORE_FILE) {
            return Ok(None);
        }
        let opened = Store::open(disk.clone(), self.options.limits.cache_bytes);
        let opened = opened.map(|store| store.cutting(self.options.limits.piece_bytes));
        match opened.and_then(|store| store.meta().map(|meta| (store, meta))) {
            Err(StateError::Corrupt { what, .. }) => self.set_store_aside(what).map(|()| None),
            other => other.map(Some),
        }
    }

    /// A new store, and whether the folder was empty.
    fn make_store(&mut self, disk: Arc<dyn Disk>, scan: &LogScan) -> Result<(Store, bool), StateError> {
        let has_log = scan.numbers().next().is_some();
        let is_aside = self.repairs.iter().any(|repair| matches!(repair, Repair::StoreSetAside { .. }));
        if has_log && !is_aside {
            self.may_repair(|| StateError::corrupt(STORE_FILE, "it is missing, but there is a log"))?;
            self.repairs.push(Repair::StoreMissing);
        }
        // What the log still has of the state is better than nothing: it is not older than what is lost.
        let folded = Sequence(scan.first_of_all().map_or(0, |first| first.0.saturating_sub(1)));
        let incarnation = self.new_incarnation();
        let meta = StoreMeta { incarnation, folded, folding: folded, progress: Vec::new() };
        self.is_new_life = true;
        let store = Store::create(disk, self.options.limits.cache_bytes, &meta)?;
        let store = store.cutting(self.options.limits.piece_bytes);
        Ok((store, self.repairs.is_empty()))
    }

    fn set_store_aside(&mut self, what: String) -> Result<(), StateError> {
        self.may_repair(|| StateError::corrupt(STORE_FILE, what.clone()))?;
        let name = set_aside(&*self.disk, STORE_FILE, self.options.now)?;
        let synced = self.disk.sync_folder();
        synced.map_err(|error| StateError::disk("setting the store aside", error))?;
        self.repairs.push(Repair::StoreSetAside { name, what });
        Ok(())
    }

    fn may_repair(&self, error: impl Fn() -> StateError) -> Result<(), StateError> {
        match self.options.on_corruption {
            OnCorruption::SetAside => Ok(()),
            OnCorruption::Refuse => Err(error()),
        }
    }

    /// A log without faults behind the store, and what the store knows of itself. A store or log that lost something
    /// begins a new life, before anything else is changed.
    fn mend_log(&mut self, store: &Store, scan: LogScan) -> Result<(LogScan, StoreMeta), StateError> {
        let mut meta = store.meta()?;
        let Some((file, what)) = log_fault(&scan, &meta) else { return Ok((scan, meta)) };
        self.may_repair(|| StateError::corrupt(file.clone(), what.clone()))?;
        if !self.is_new_life {
            meta.incarnation = self.new_incarnation();
            store.set_meta(&meta)?;
        }
        let Salvaged { names, is_mixed } = salvage(&self.disk, &scan, &meta, self.options.now)?;
        self.repairs.push(Repair::LogSetAside { names, what, is_mixed });
        Ok((LogScan::read(&*self.disk, Some(meta.incarnation))?, meta))
    }
}

/// What is wrong with a log in itself, or behind a store.
pub(super) fn log_fault(scan: &LogScan, meta: &StoreMeta) -> Option<(String, String)> {
    if let Some(fault) = &scan.fault {
        return Some((fault.segment.file_name(), fault.what.clone()));
    }
    let first = scan.first().unwrap_or(Sequence(1));
    let file =
        || scan.segments.first().map_or_else(|| "the log".to_string(), |(number, _)| number.file_name());
    let fault = |what: String| Some((file(), what));
    if scan.last() < meta.folded {
        return fault(format!("the log ends with commit {}, the store has {}", scan.last(), meta.folded));
    }
    if meta.folded > Sequence::default() && scan.records().next().is_none() {
        // The last segment stays until another has a commit.
        return fault(format!("the log holds no commit, the store has {}", meta.folded));
    }
    if first > meta.folded.next() {
        return fault(format!("the log begins with commit {first}, the store ends with {}", meta.folded));
    }
    None
}

/// What a store says, before the log behind it is read.
pub(super) fn ledger_of(meta: &StoreMeta) -> Result<Ledger, StateError> {
    let mut progress = Progress::default();
    if !meta.progress.is_empty() {
        let whole = Checkpoint::decode(&meta.progress);
        progress.apply(&whole.map_err(|malformed| StateError::corrupt(STORE_FILE, malformed.0))?);
    }
    Ok(Ledger::new(progress, meta.folded))
}

pub(super) fn names_aside(disk: &dyn Disk) -> Result<Vec<String>, StateError> {
    let mut names = disk.list().map_err(|error| StateError::disk("reading the folder", error))?;
    names.retain(|name| is_aside(name));
    Ok(names)
}

/// Whether a file of this name was set aside.
pub fn is_aside(name: &str) -> bool {
    name.starts_with(ASIDE)
}

/// Gives a file a name that nothing reads: `corrupt-`, the time, and its name. The folder is to be synced.
pub fn set_aside(disk: &dyn Disk, name: &str, now: Timestamp) -> Result<String, StateError> {
    let time = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    let aside = format!("{ASIDE}{}-{name}", time.strftime("%Y%m%dT%H%M%S.%3fZ"));
    let renamed = disk.rename(name, &aside);
    renamed.map_err(|error| StateError::disk(format!("setting {name} aside"), error))?;
    Ok(aside)
}
