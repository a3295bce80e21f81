//! A disk in memory that fails as disks do: for tests and simulation.
//!
//! What was not synced may be there after a power cut or not, torn at any byte, in any order. Operations that
//! change something are counted, so that a test can fail each one of a run in turn. All is decided by a seed.

mod image;
mod world;

pub use world::{Fault, Moment};

use super::{Disk, DiskFile, DiskLock, Open};
use image::Change;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::{EntryChange, FileId, World};

/// A folder in memory. Clones are the same folder.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    world: Arc<Mutex<World>>,
}

impl SimulatedDisk {
    /// An empty folder.
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk { world: Arc::new(Mutex::new(World::new(seed))) }
    }

    /// Lets something go wrong once, at a moment counted from the disk's beginning.
    pub fn fail_at(&self, moment: Moment, fault: Fault) {
        self.world().fail_at(moment, fault);
    }

    /// Leaves room for so many bytes, files and what was not yet synced together; None for no limit.
    pub fn set_room(&self, bytes: Option<usize>) {
        self.world().set_room(bytes);
    }

    /// How many operations that change something there were.
    pub fn operations(&self) -> u64 {
        self.world().operations()
    }

    /// How many of them were syncs of a file or the folder.
    pub fn syncs(&self) -> u64 {
        self.world().syncs()
    }

    /// Whether the power went off.
    pub fn is_off(&self) -> bool {
        self.world().is_off()
    }

    /// The machine comes back after a power cut, which happens now if it did not before: what was not synced is
    /// lost, torn or there; files and locks of before are no longer any good.
    pub fn restart(&self) {
        self.world().restart();
    }

    /// Changes the bytes of a file as a failing disk does, durably and unnoticed.
    pub fn damage(&self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.world().damage(name, damage)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A panic of another thread's test leaves nothing half done that matters to this one.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        let file = match (world.find(name)?, how) {
            (Some(_), Open::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Open::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (Some(file), Open::Existing) => file,
            (Some(file), Open::Anew) => {
                world.change_file(file, Change::Length(0))?;
                file
            }
            (None, Open::New | Open::Anew) => {
                let file = world.new_file();
                world.change_entry(EntryChange::Add(name.to_string(), file))?;
                file
            }
        };
        let life = world.life();
        Ok(Box::new(SimulatedFile { disk: self.clone(), file, life }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.world().names()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        let file = world.find(from)?.ok_or(io::ErrorKind::NotFound)?;
        world.change_entry(EntryChange::Move { from: from.to_string(), to: to.to_string(), file })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.find(name)?.ok_or(io::ErrorKind::NotFound)?;
        world.change_entry(EntryChange::Remove(name.to_string()))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.world().sync_entries()
    }

    fn lock(&self, name: &str) -> io::Result<Option<DiskLock>> {
        let mut world = self.world();
        if !world.take_lock(name)? {
            return Ok(None);
        }
        let lock = SimulatedLock { disk: self.clone(), name: name.to_string(), life: world.life() };
        Ok(Some(DiskLock::new(lock)))
    }

    fn path(&self) -> String {
        "simulated".to_string()
    }
}

#[derive(Debug)]
struct SimulatedLock {
    disk: SimulatedDisk,
    name: String,
    life: u64,
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.disk.world().release_lock(&self.name, self.life);
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    file: FileId,
    /// Of which life of the machine this handle is.
    life: u64,
}

impl SimulatedFile {
    /// The world, if the machine has not been restarted since the file was opened.
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.disk.world();
        if world.life() == self.life { Ok(world) } else { Err(world::power_is_off()) }
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.world()?.live(self.file)?.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let world = self.world()?;
        let live = world.live(self.file)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = from.saturating_add(into.len());
        into.copy_from_slice(live.get(from..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let change = Change::Write { offset: offset as usize, bytes: bytes.to_vec() };
        self.world()?.change_file(self.file, change)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.world()?.change_file(self.file, Change::Length(length as usize))
    }

    fn sync(&self) -> io::Result<()> {
        self.world()?.sync_file(self.file)
    }

    fn forget(&self) -> io::Result<()> {
        self.world()?.forget(self.file)
    }
}

#[cfg(test)]
mod tests;
