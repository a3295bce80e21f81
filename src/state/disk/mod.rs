//! The seam to the file system: all that this module asks of a disk, so that a test can own it.
//!
//! A [`Disk`] is one folder without subfolders. What is assumed of a real one stands in `docs/state-format.md`.

mod metered;
mod real;
pub mod simulated;

pub use metered::{Meter, MeteredDisk};
pub use real::RealDisk;
pub use simulated::SimulatedDisk;

use std::fmt;
use std::io;

/// How a file is opened. All files can be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// The file must be there.
    Existing,
    /// The file must not be there.
    New,
    /// An old file of the name is emptied.
    Anew,
}

/// One folder of files.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file.
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>>;

    /// The names of all files, in order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Gives a file another name, in one step; a file that had it is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes durable which files there are and what they are called.
    fn sync_folder(&self) -> io::Result<()>;

    /// Holds the folder for one process. None while another holds it.
    fn lock(&self, name: &str) -> io::Result<Option<DiskLock>>;

    /// The folder's path, to be shown to people.
    fn path(&self) -> String;
}

/// A file that is open.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// How many bytes there are.
    fn length(&self) -> io::Result<u64>;

    /// Fills `into` from an offset; an error if the file ends before.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// Writes at an offset; the file grows where it must. After an error any part may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file off, or lets it grow by zeroes.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Makes all that was written durable, and how long the file is. After an error nobody knows what is, and what is
    /// not may never be, although it can be read: see [`DiskFile::forget`].
    fn sync(&self) -> io::Result<()>;

    /// After a sync that failed: what it left in memory only is read no more.
    fn forget(&self) -> io::Result<()>;
}

/// A folder held; let go when dropped.
#[derive(Debug)]
pub struct DiskLock {
    _held: Box<dyn Held>,
}

impl DiskLock {
    /// Let go of what is held when it is dropped.
    pub fn new(held: impl fmt::Debug + Send + Sync + 'static) -> DiskLock {
        DiskLock { _held: Box::new(held) }
    }
}

/// What a lock keeps: dropping it lets go.
trait Held: fmt::Debug + Send + Sync {}

impl<T: fmt::Debug + Send + Sync> Held for T {}
