//! Snapshots: consistent copies of a pipeline's state, made while it runs, on another disk or machine.
//!
//! [`super::StateBackend::begin_snapshot`] pins the log and the store as they are between two commits; what is pinned
//! is then copied in **parts** of a few MiB by another thread, while commits and folds go on. Parts are named by their
//! content, so what has not changed since an earlier snapshot is there already and is not sent again. The
//! **manifest**, written last, names all parts: a snapshot without one was never finished, and nothing restores it.
//! The format stands in `docs/state-format.md`.

mod copying;
mod error;
mod finding;
mod folder;
mod manifest;
mod parts;
mod restoring;
mod retention;
mod runner;
mod target;

pub use copying::{Copying, Taken};
pub use error::SnapshotError;
pub use finding::{IsWanted, find_snapshots};
pub use folder::FolderTarget;
pub use manifest::{MANIFEST_VERSION, Manifest, ManifestFile, PartName, SnapshotId};
pub use parts::{PART_LIMIT, Part, Snapshot};
pub use restoring::restore;
pub use retention::{STRAY_AGE, keep_newest};
pub use runner::{SnapshotCounts, SnapshotOptions, SnapshotSource, Snapshots};
pub use target::{SnapshotOwner, SnapshotTarget, Stored, TargetError};

#[cfg(test)]
mod tests;
