//! What goes wrong with state, and what can be done about it.

use super::keyed::StateKey;
use crate::event::bytes::Malformed;
use std::fmt;
use std::io;

/// Why state could not be read or kept.
#[derive(Debug)]
pub enum StateError {
    /// The disk failed or is full. Nothing that was kept is lost: try again.
    Disk {
        /// What was being done.
        doing: String,
        /// What the system says.
        error: io::Error,
    },
    /// Another process uses the folder.
    InUse {
        /// The folder.
        folder: String,
    },
    /// State is where other state was to be put.
    Occupied {
        /// The folder.
        folder: String,
    },
    /// A file does not hold what it should.
    Corrupt {
        /// Its name in the folder.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// A file was written by a later version.
    Newer {
        /// Its name in the folder.
        file: String,
        /// The version of its format.
        version: u32,
    },
    /// Something is beyond a limit of the format.
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// What a node keeps by one key is beyond the limit of the format.
    ValueTooLarge {
        /// The key, and the node's number in it.
        key: StateKey,
        /// The node and the key as people know them, where somebody has said so.
        known_as: Option<(String, String)>,
        /// The size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Try again after a while, with all that was not kept: the disk may be back or have room again.
    Retry,
    /// A file must be set aside before the pipeline can start, see [`super::Recovery`].
    SetAside,
    /// Somebody has to change something.
    Stop,
}

impl StateError {
    /// An error of the disk.
    pub fn disk(doing: impl Into<String>, error: io::Error) -> StateError {
        StateError::Disk { doing: doing.into(), error }
    }

    /// A file that does not hold what it should.
    pub fn corrupt(file: impl Into<String>, what: impl Into<String>) -> StateError {
        StateError::Corrupt { file: file.into(), what: what.into() }
    }

    /// What can be done.
    pub fn remedy(&self) -> Remedy {
        match self {
            StateError::Disk { .. } => Remedy::Retry,
            StateError::Corrupt { .. } => Remedy::SetAside,
            StateError::InUse { .. }
            | StateError::Occupied { .. }
            | StateError::Newer { .. }
            | StateError::TooLarge { .. }
            | StateError::ValueTooLarge { .. } => Remedy::Stop,
        }
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, StateError::Disk { error, .. } if full.contains(&error.kind()))
    }
}

/// What passed its checksum and is nevertheless not what is written: a fault of this program or a forgery.
impl From<Malformed> for StateError {
    fn from(malformed: Malformed) -> StateError {
        StateError::corrupt("a record", malformed.0)
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Disk { doing, error } => write!(f, "{doing}: {error}"),
            StateError::InUse { folder } => {
                write!(f, "{folder} is used by another process: give this one another data directory")
            }
            StateError::Occupied { folder } => write!(f, "there is state in {folder} already"),
            StateError::Corrupt { file, what } => write!(f, "{file} is corrupt: {what}"),
            StateError::Newer { file, version } => {
                write!(f, "{file} was written by a later version (format {version}): run that or a later one")
            }
            StateError::TooLarge { what, bytes, limit } => {
                write!(f, "{what} of {bytes} bytes is beyond the limit of {limit}")
            }
            StateError::ValueTooLarge { key, known_as, bytes, limit } => {
                match known_as {
                    Some((node, key)) => write!(f, "node `{node}` keeps {bytes} bytes by the key {key}")?,
                    None => write!(f, "node {} keeps {bytes} bytes by the key {:x?}", key.node(), key.key())?,
                }
                write!(f, ", beyond the limit of {limit}: have it keep less by one key, by a finer ")?;
                write!(f, "`key`, shorter windows or fewer values in lists")
            }
        }
    }
}

impl std::error::Error for StateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StateError::Disk { error, .. } => Some(error),
            _ => None,
        }
    }
}
