//! Another state in the place of the one that is there: none at all, or one that was made beside it.
//!
//! The new state's files are made under names that begin with [`NEXT`] and are durable before anything else happens.
//! Then a file's name decides: once `replacing` is durable the old state goes, and once it has become `replaced` the
//! new files get their names. So a power cut at any point leaves the old state or the new one, and the next start does
//! what is left to be done.

use super::disk::{Disk, DiskFile, DiskLock, Open};
use super::error::StateError;
use super::number::SegmentNumber;
use super::salvage::{NEW_FILE as SALVAGE_NEW, SALVAGE_FILE};
use super::store::{NEW_FILE as STORE_NEW, STORE_FILE};
use std::io;
use std::sync::Arc;

/// What the names of files of a state in the making begin with.
const NEXT: &str = "next-";
/// While it is there, the old state is on its way out.
const REPLACING: &str = "replacing";
/// While it is there, the new state is on its way in.
const REPLACED: &str = "replaced";

/// Lets the state in the making, which is durable, take the place of the one that is there. Where nothing is in the
/// making, there is none afterwards.
pub fn replace(disk: &dyn Disk) -> Result<(), StateError> {
    let decide = || {
        disk.open(REPLACING, Open::Anew)?.sync()?;
        disk.sync_folder()
    };
    decide().map_err(failed)?;
    finish_replacement(disk)
}

/// Does what a power cut left to be done.
pub fn finish_replacement(disk: &dyn Disk) -> Result<(), StateError> {
    let finish = || {
        if has(disk, REPLACING)? {
            remove(disk, is_of_the_state)?;
            disk.rename(REPLACING, REPLACED)?;
            disk.sync_folder()?;
        }
        if has(disk, REPLACED)? {
            for name in disk.list()? {
                if let Some(place) = name.strip_prefix(NEXT) {
                    disk.rename(&name, place)?;
                }
            }
            disk.sync_folder()?;
            disk.remove(REPLACED)?;
            disk.sync_folder()?;
        }
        Ok(())
    };
    finish().map_err(failed)
}

/// Whether there is state in a folder; what was set aside is none.
pub fn holds_state(disk: &dyn Disk) -> Result<bool, StateError> {
    Ok(disk.list().map_err(failed)?.iter().any(|name| is_of_the_state(name)))
}

/// Removes durably what was in the making and never became the state.
pub fn clear_next(disk: &dyn Disk) -> Result<(), StateError> {
    // What is decided is decided.
    finish_replacement(disk)?;
    remove(disk, |name| name.starts_with(NEXT)).map_err(failed)
}

fn has(disk: &dyn Disk, name: &str) -> io::Result<bool> {
    Ok(disk.list()?.iter().any(|found| found == name))
}

/// What was set aside is none of the state, nor is the lock.
fn is_of_the_state(name: &str) -> bool {
    SegmentNumber::from_file_name(name).is_some()
        || [STORE_FILE, STORE_NEW, SALVAGE_FILE, SALVAGE_NEW].contains(&name)
}

fn remove(disk: &dyn Disk, is_unwanted: impl Fn(&str) -> bool) -> io::Result<()> {
    let unwanted: Vec<String> = disk.list()?.into_iter().filter(|name| is_unwanted(name)).collect();
    unwanted.iter().try_for_each(|name| disk.remove(name))?;
    if unwanted.is_empty() { Ok(()) } else { disk.sync_folder() }
}

fn failed(error: io::Error) -> StateError {
    StateError::disk("replacing the state", error)
}

/// Where a state is made beside the one that is there.
#[derive(Debug)]
pub struct NextDisk {
    disk: Arc<dyn Disk>,
}

impl NextDisk {
    /// Beside the state of a folder, which is held by the caller.
    pub fn new(disk: Arc<dyn Disk>) -> NextDisk {
        NextDisk { disk }
    }
}

fn next(name: &str) -> String {
    format!("{NEXT}{name}")
}

impl Disk for NextDisk {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(&next(name), how)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = self.disk.list()?;
        Ok(names.iter().filter_map(|name| name.strip_prefix(NEXT)).map(str::to_owned).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&next(from), &next(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(&next(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.disk.sync_folder()
    }

    /// Whoever makes a state beside another holds the folder of both.
    fn lock(&self, _: &str) -> io::Result<Option<DiskLock>> {
        Ok(Some(DiskLock::new(())))
    }

    fn path(&self) -> String {
        self.disk.path()
    }
}
