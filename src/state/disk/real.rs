//! A folder of the machine's file system.

use super::{Disk, DiskFile, DiskLock, Open};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What is kept is the pipeline's data, which others of the machine need not read.
const FILE_MODE: u32 = 0o600;

/// A folder of the file system.
#[derive(Debug)]
pub struct RealDisk {
    folder: PathBuf,
}

impl RealDisk {
    /// Uses a folder; it and those above are made where they are missing.
    pub fn new(folder: &Path) -> io::Result<RealDisk> {
        std::fs::create_dir_all(folder)?;
        let disk = RealDisk { folder: folder.to_path_buf() };
        // A new folder is an entry of the one above, which has to be durable too.
        if let Some(above) = folder.canonicalize()?.parent() {
            sync_folder(above)?;
        }
        Ok(disk)
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Disk for RealDisk {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(FILE_MODE);
        match how {
            Open::Existing => {}
            Open::New => _ = options.create_new(true),
            Open::Anew => _ = options.create(true).truncate(true),
        }
        Ok(Box::new(RealFile { file: options.open(self.folder.join(name))? }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.folder.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        sync_folder(&self.folder)
    }

    fn lock(&self, name: &str) -> io::Result<Option<DiskLock>> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = options.open(self.folder.join(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(DiskLock::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn path(&self) -> String {
        self.folder.display().to_string()
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    /// `fdatasync`: it writes the length too where that has changed, but no times.
    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// After a failed write-back Linux keeps pages that it takes for clean: these are dropped from the cache.
    fn forget(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed)?)
    }
}
