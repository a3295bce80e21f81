//! Bringing a snapshot to its target, a part at a time.

use super::error::SnapshotError;
use super::manifest::{Manifest, ManifestFile, PartName};
use super::parts::{Part, Snapshot};
use super::target::{SnapshotOwner, SnapshotTarget};
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// A snapshot that is at its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What is in it.
    pub manifest: Manifest,
    /// How much of it was not there already, in bytes.
    pub sent: u64,
}

/// A snapshot on its way.
pub struct Copying {
    snapshot: Snapshot,
    manifest: Manifest,
    /// The parts that are at the target.
    there: BTreeSet<String>,
    sent: u64,
}

impl Copying {
    /// Begins; asks the target what it has already.
    pub fn begin(
        snapshot: Snapshot,
        owner: &SnapshotOwner,
        now: Timestamp,
        target: &mut dyn SnapshotTarget,
    ) -> Result<Copying, SnapshotError> {
        let there = target.list(&owner.parts())?.into_iter().map(|stored| stored.name).collect();
        let manifest = Manifest {
            owner: owner.clone(),
            incarnation: snapshot.incarnation,
            epoch: snapshot.epoch,
            time: now,
            files: Vec::new(),
        };
        Ok(Copying { snapshot, manifest, there, sent: 0 })
    }

    /// Copies one part, or finishes: then the snapshot is there, and before it is not.
    ///
    /// # Errors
    /// Then it has to be begun anew; what was copied is found there.
    pub fn step(&mut self, target: &mut dyn SnapshotTarget) -> Result<Option<Taken>, SnapshotError> {
        if let Some(part) = self.snapshot.next_part()? {
            self.copy(part, target)?;
            return Ok(None);
        }
        target.put(&self.manifest.name(), &self.manifest.encode())?;
        Ok(Some(Taken { manifest: self.manifest.clone(), sent: self.sent }))
    }

    /// How many bytes were sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    fn copy(&mut self, part: Part, target: &mut dyn SnapshotTarget) -> Result<(), SnapshotError> {
        let name = PartName::of(&part.bytes);
        let at = format!("{}{name}", self.manifest.owner.parts());
        if !self.there.contains(&at) {
            target.put(&at, &part.bytes)?;
            self.there.insert(at);
            self.sent += part.bytes.len() as u64;
        }
        let entry = (name, part.bytes.len());
        match self.manifest.files.last_mut().filter(|file| file.name == part.file) {
            Some(file) => file.parts.push(entry),
            None => self.manifest.files.push(ManifestFile { name: part.file, parts: vec![entry] }),
        }
        Ok(())
    }
}
