//! The files, names, locks and faults of a simulated disk.

use super::image::{Change, Image, Loss};
use crate::time::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes: nothing works until the restart.
    PowerCut,
    /// The device fails once (EIO).
    Broken,
    /// There is no room once (ENOSPC).
    Full,
}

/// When it does, counted from 0 at the disk's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At an operation that changes something, see [`super::SimulatedDisk::operations`].
    Operation(u64),
    /// At a sync, see [`super::SimulatedDisk::syncs`].
    Sync(u64),
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Change,
    Sync,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId(usize);

/// Something done to the list of files.
#[derive(Clone, Debug)]
pub enum EntryChange {
    Add(String, FileId),
    Move { from: String, to: String, file: FileId },
    Remove(String),
}

impl EntryChange {
    fn apply(&self, to: &mut BTreeMap<String, FileId>) {
        match self {
            EntryChange::Add(name, file) => _ = to.insert(name.clone(), *file),
            EntryChange::Move { from, to: name, file } => {
                to.remove(from);
                to.insert(name.clone(), *file);
            }
            EntryChange::Remove(name) => _ = to.remove(name),
        }
    }
}

/// An error of a disk without power.
pub fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

#[derive(Debug)]
pub struct World {
    random: Random,
    files: Vec<Image>,
    live: BTreeMap<String, FileId>,
    durable: BTreeMap<String, FileId>,
    pending: Vec<EntryChange>,
    locks: BTreeSet<String>,
    operations: u64,
    syncs: u64,
    faults: Vec<(Moment, Fault)>,
    room: Option<usize>,
    off: bool,
    life: u64,
}

impl World {
    pub fn new(seed: u64) -> World {
        World {
            random: Random::seeded(seed),
            files: Vec::new(),
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            locks: BTreeSet::new(),
            operations: 0,
            syncs: 0,
            faults: Vec::new(),
            room: None,
            off: false,
            life: 0,
        }
    }

    pub fn fail_at(&mut self, moment: Moment, fault: Fault) {
        self.faults.push((moment, fault));
    }

    pub fn set_room(&mut self, bytes: Option<usize>) {
        self.room = bytes;
    }

    pub fn operations(&self) -> u64 {
        self.operations
    }

    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    pub fn is_off(&self) -> bool {
        self.off
    }

    /// How often the machine was restarted.
    pub fn life(&self) -> u64 {
        self.life
    }

    pub fn find(&self, name: &str) -> io::Result<Option<FileId>> {
        self.powered()?;
        Ok(self.live.get(name).copied())
    }

    pub fn names(&self) -> io::Result<Vec<String>> {
        self.powered()?;
        Ok(self.live.keys().cloned().collect())
    }

    pub fn live(&self, file: FileId) -> io::Result<&[u8]> {
        self.powered()?;
        Ok(self.files[file.0].live())
    }

    pub fn new_file(&mut self) -> FileId {
        self.files.push(Image::default());
        FileId(self.files.len() - 1)
    }

    pub fn change_file(&mut self, file: FileId, mut change: Change) -> io::Result<()> {
        let fault = match self.count(Operation::Change)? {
            None if self.lacks_room(file, &change) => Some(Fault::Full),
            fault => fault,
        };
        if fault.is_some() {
            change.tear(&mut self.random);
        }
        let happens = fault.is_none() || matches!(change, Change::Write { .. });
        if happens {
            self.files[file.0].change(change);
        }
        self.outcome(fault)
    }

    pub fn sync_file(&mut self, file: FileId) -> io::Result<()> {
        let fault = self.count(Operation::Sync)?;
        let image = &mut self.files[file.0];
        match fault {
            None => image.sync(),
            Some(Fault::PowerCut) => {}
            Some(_) => image.sync_badly(Loss::draw(&mut self.random), &mut self.random),
        }
        self.outcome(fault)
    }

    pub fn forget(&mut self, file: FileId) -> io::Result<()> {
        self.powered()?;
        self.files[file.0].forget();
        Ok(())
    }

    pub fn change_entry(&mut self, change: EntryChange) -> io::Result<()> {
        let fault = self.count(Operation::Change)?;
        if fault.is_none() {
            change.apply(&mut self.live);
            self.pending.push(change);
        }
        self.outcome(fault)
    }

    pub fn sync_entries(&mut self) -> io::Result<()> {
        let fault = self.count(Operation::Sync)?;
        if fault.is_none() {
            self.pending.drain(..).for_each(|change| change.apply(&mut self.durable));
        }
        self.outcome(fault)
    }

    pub fn take_lock(&mut self, name: &str) -> io::Result<bool> {
        self.powered()?;
        Ok(self.locks.insert(name.to_string()))
    }

    pub fn release_lock(&mut self, name: &str, life: u64) {
        if life == self.life {
            self.locks.remove(name);
        }
    }

    pub fn restart(&mut self) {
        let loss = Loss::draw(&mut self.random);
        let survivors = loss.survivors(self.pending.len(), &mut self.random);
        for (change, survives) in self.pending.drain(..).zip(survivors) {
            if survives {
                change.apply(&mut self.durable);
            }
        }
        for file in &mut self.files {
            file.restart(Loss::draw(&mut self.random), &mut self.random);
        }
        self.live.clone_from(&self.durable);
        self.locks.clear();
        self.faults.clear();
        self.off = false;
        self.life += 1;
    }

    pub fn damage(&mut self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let file = self.find(name)?.ok_or(io::ErrorKind::NotFound)?;
        self.files[file.0].damage(damage);
        Ok(())
    }

    fn powered(&self) -> io::Result<()> {
        if self.off { Err(power_is_off()) } else { Ok(()) }
    }

    /// Counts an operation and says what goes wrong with it.
    fn count(&mut self, operation: Operation) -> io::Result<Option<Fault>> {
        self.powered()?;
        let now = [Moment::Operation(self.operations), Moment::Sync(self.syncs)];
        let now = if operation == Operation::Sync { &now[..] } else { &now[..1] };
        self.operations += 1;
        self.syncs += u64::from(operation == Operation::Sync);
        let found = self.faults.iter().position(|(moment, _)| now.contains(moment));
        Ok(found.map(|at| self.faults.swap_remove(at).1))
    }

    fn outcome(&mut self, fault: Option<Fault>) -> io::Result<()> {
        match fault {
            None => Ok(()),
            Some(Fault::PowerCut) => {
                self.off = true;
                Err(power_is_off())
            }
            Some(Fault::Broken) => Err(io::Error::from_raw_os_error(libc::EIO)),
            Some(Fault::Full) => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        }
    }

    fn lacks_room(&self, file: FileId, change: &Change) -> bool {
        let Some(room) = self.room else { return false };
        let used: usize = self.live.values().map(|id| self.files[id.0].live().len()).sum();
        let grows = change.reaches().saturating_sub(self.files[file.0].live().len());
        grows > 0 && used + grows > room
    }
}
