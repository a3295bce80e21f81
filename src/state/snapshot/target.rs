//! The seam to where snapshots are kept.

use super::error::SnapshotError;
use crate::time::Timestamp;
use std::fmt;

/// The longest name of an instance or pipeline.
const NAME_LIMIT: usize = 200;

/// A place that keeps blobs of bytes under names: segments of text with slashes in between. Only one process writes
/// what belongs to one [`SnapshotOwner`].
pub trait SnapshotTarget: Send {
    /// Keeps bytes under a name, durably and as a whole or not at all. What was there is replaced.
    fn put(&mut self, name: &str, content: &[u8]) -> Result<(), TargetError>;

    /// The bytes of a name.
    ///
    /// # Errors
    /// Also if there are more than `limit`.
    fn get(&mut self, name: &str, limit: usize) -> Result<Vec<u8>, TargetError>;

    /// What there is in a folder and those below it, in the order of names. The folder's name ends with a slash.
    fn list(&mut self, folder: &str) -> Result<Vec<Stored>, TargetError>;

    /// Removes a name; one that is not there is no error.
    fn delete(&mut self, name: &str) -> Result<(), TargetError>;

    /// Where it is, to be shown to people: a path or URL without secrets.
    fn place(&self) -> String;
}

/// Something that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its whole name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was put there, by the clock of the target.
    pub modified: Timestamp,
}

/// Why a target did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    /// What was being done: `writing parts/…`.
    pub doing: String,
    /// What is wrong, with advice where there is any.
    pub what: String,
}

impl TargetError {
    /// What was being done, and what is wrong.
    pub fn new(doing: impl Into<String>, what: impl fmt::Display) -> TargetError {
        TargetError { doing: doing.into(), what: what.to_string() }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.what)
    }
}

/// Whose snapshots: several gateways may share one target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotOwner {
    /// The gateway.
    pub instance: String,
    /// The pipeline.
    pub pipeline: String,
}

impl SnapshotOwner {
    /// # Errors
    /// Names that could be mistaken for a path.
    pub fn new(instance: &str, pipeline: &str) -> Result<SnapshotOwner, SnapshotError> {
        for name in [instance, pipeline] {
            let is_plain = |c: char| c != '/' && c != '\\' && !c.is_control();
            if name.is_empty()
                || name.len() > NAME_LIMIT
                || name.starts_with('.')
                || !name.chars().all(is_plain)
            {
                return Err(SnapshotError::Refused(format!("{name:?} cannot be part of a snapshot's name")));
            }
        }
        Ok(SnapshotOwner { instance: instance.to_owned(), pipeline: pipeline.to_owned() })
    }

    /// The folder of its parts.
    pub fn parts(&self) -> String {
        format!("parts/{}/{}/", self.instance, self.pipeline)
    }

    /// The folder of its manifests.
    pub fn manifests(&self) -> String {
        format!("{MANIFESTS}{}/{}/", self.instance, self.pipeline)
    }
}

/// The folder of all manifests.
pub const MANIFESTS: &str = "snapshots/";
