//! What goes wrong with snapshots. None of it harms the pipeline.

use super::super::error::StateError;
use super::target::TargetError;
use std::fmt;

/// Why a snapshot could not be made, found or restored.
#[derive(Debug)]
pub enum SnapshotError {
    /// What is copied, or the folder that is restored, cannot be read or written.
    State(StateError),
    /// Where snapshots are kept cannot be reached, or refuses.
    Target(TargetError),
    /// Something that was kept is not what it should be.
    Damaged {
        /// Its name at the target.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A manifest was written by a later version.
    Newer {
        /// Its name at the target.
        name: String,
        /// The version of its format.
        version: u64,
    },
    /// It cannot be done like this.
    Refused(String),
}

impl SnapshotError {
    /// Something that was kept is not what it should be.
    pub fn damaged(name: impl Into<String>, what: impl Into<String>) -> SnapshotError {
        SnapshotError::Damaged { name: name.into(), what: what.into() }
    }
}

impl From<StateError> for SnapshotError {
    fn from(error: StateError) -> SnapshotError {
        SnapshotError::State(error)
    }
}

impl From<TargetError> for SnapshotError {
    fn from(error: TargetError) -> SnapshotError {
        SnapshotError::Target(error)
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::State(error) => error.fmt(f),
            SnapshotError::Target(error) => error.fmt(f),
            SnapshotError::Damaged { name, what } => write!(f, "{name} is damaged: {what}"),
            SnapshotError::Newer { name, version } => {
                write!(f, "{name} was written by a later version (format {version}): run that or a later one")
            }
            SnapshotError::Refused(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for SnapshotError {}
