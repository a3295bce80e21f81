//! Which snapshots there are at a target.

use super::error::SnapshotError;
use super::manifest::{MANIFEST_LIMIT, Manifest, SnapshotId};
use super::target::{MANIFESTS, SnapshotOwner, SnapshotTarget};

/// Which snapshots are looked for.
pub type IsWanted<'w> = dyn FnMut(&SnapshotOwner, &SnapshotId) -> bool + 'w;

/// All snapshots that are wanted, those of a pipeline together and the oldest first; and what is wrong with those that
/// cannot be read.
pub fn find_snapshots(
    target: &mut dyn SnapshotTarget,
    is_wanted: &mut IsWanted,
) -> Result<(Vec<Manifest>, Vec<SnapshotError>), SnapshotError> {
    let (mut whole, mut damaged) = (Vec::new(), Vec::new());
    for stored in target.list(MANIFESTS)? {
        // What is called otherwise is none of ours.
        let Some((owner, id)) = parse_name(&stored.name) else { continue };
        if !is_wanted(&owner, &id) {
            continue;
        }
        match Manifest::decode(&stored.name, &target.get(&stored.name, MANIFEST_LIMIT)?) {
            Ok(manifest) => whole.push(manifest),
            Err(error) => damaged.push(error),
        }
    }
    whole.sort_by(|a: &Manifest, b| (&a.owner, a.time).cmp(&(&b.owner, b.time)));
    Ok((whole, damaged))
}

fn parse_name(name: &str) -> Option<(SnapshotOwner, SnapshotId)> {
    let mut parts = name.strip_prefix(MANIFESTS)?.split('/');
    let owner = SnapshotOwner::new(parts.next()?, parts.next()?).ok()?;
    let id = SnapshotId::parse(parts.next()?)?;
    parts.next().is_none().then_some((owner, id))
}
