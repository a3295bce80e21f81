//! A disk that counts what is written to it: flash wears out, so bytes are a figure to watch.

use super::{Disk, DiskFile, DiskLock, Open};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was written since the start of the process.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    syncs: AtomicU64,
}

impl Meter {
    /// Bytes handed to the file system. It adds its own: whole blocks, its journal, names and lengths.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How often the disk was made to write what it had, files and folders alike.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    fn wrote(&self, bytes: &[u8]) {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    fn synced(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }
}

/// A disk behind a meter.
#[derive(Clone, Debug)]
pub struct MeteredDisk {
    disk: Arc<dyn Disk>,
    meter: Arc<Meter>,
}

impl MeteredDisk {
    /// Counts from now on.
    pub fn new(disk: Arc<dyn Disk>) -> MeteredDisk {
        MeteredDisk { disk, meter: Arc::default() }
    }

    /// What was counted; goes on counting.
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }
}

impl Disk for MeteredDisk {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(name, how)?;
        Ok(Box::new(MeteredFile { file, meter: self.meter.clone() }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.meter.synced();
        self.disk.sync_folder()
    }

    fn lock(&self, name: &str) -> io::Result<Option<DiskLock>> {
        self.disk.lock(name)
    }

    fn path(&self) -> String {
        self.disk.path()
    }
}

#[derive(Debug)]
struct MeteredFile {
    file: Box<dyn DiskFile>,
    meter: Arc<Meter>,
}

impl DiskFile for MeteredFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.meter.wrote(bytes);
        self.file.write_at(offset, bytes)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.meter.synced();
        self.file.sync()
    }

    fn forget(&self) -> io::Result<()> {
        self.file.forget()
    }
}
