//! Which snapshots are kept, and what is removed with the others.

use super::error::SnapshotError;
use super::manifest::{MANIFEST_LIMIT, Manifest, PartName};
use super::target::{SnapshotOwner, SnapshotTarget, Stored};
use crate::time::{Millis, Timestamp};
use std::collections::BTreeSet;

/// What belongs to no snapshot that is whole is removed at this age: until then it may be of one on its way.
pub const STRAY_AGE: Millis = Millis(24 * 60 * 60 * 1000);

/// Keeps the newest `keep` whole snapshots of a pipeline (at least one), and removes those before them, their parts,
/// and what unfinished ones have left. Returns how many snapshots were removed.
pub fn keep_newest(
    owner: &SnapshotOwner,
    keep: usize,
    now: Timestamp,
    target: &mut dyn SnapshotTarget,
) -> Result<usize, SnapshotError> {
    let is_stray = |stored: &Stored| now.0.saturating_sub(stored.modified.0) > STRAY_AGE.0;
    let (mut kept, mut removed) = (Vec::new(), Vec::new());
    // Newest first.
    for stored in target.list(&owner.manifests())?.iter().rev() {
        let content = target.get(&stored.name, MANIFEST_LIMIT)?;
        match Manifest::decode(&stored.name, &content) {
            Ok(manifest) if kept.len() < keep.max(1) => kept.push(manifest),
            Ok(manifest) => removed.push(manifest),
            Err(SnapshotError::Damaged { .. }) if is_stray(stored) => target.delete(&stored.name)?,
            // Nobody knows which parts it needs.
            Err(error) => return Err(error),
        }
    }
    // Oldest first, and before its parts: what is listed is whole at any time.
    for manifest in removed.iter().rev() {
        target.delete(&manifest.name())?;
    }
    let names = |manifests: &[Manifest]| -> BTreeSet<String> {
        let name = |part: &PartName| format!("{}{part}", owner.parts());
        manifests.iter().flat_map(|manifest| manifest.parts().map(name)).collect()
    };
    let (needed, unneeded) = (names(&kept), names(&removed));
    for stored in target.list(&owner.parts())? {
        let goes = unneeded.contains(&stored.name) || is_stray(&stored);
        if goes && !needed.contains(&stored.name) {
            target.delete(&stored.name)?;
        }
    }
    Ok(removed.len())
}
