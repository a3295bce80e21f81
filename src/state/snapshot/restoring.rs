//! From a snapshot to a folder of state.

use super::super::disk::{Disk, Open};
use super::super::error::StateError;
use super::super::keyed::StateKey;
use super::super::number::{Incarnation, SegmentNumber};
use super::super::recovery::{OnCorruption, OpenOptions, open};
use super::super::store::{Store, StoreMeta};
use super::super::{Changes, Checkpoint, KEY_LIMIT, StateBackend, StateLimits, VALUE_LIMIT};
use super::error::SnapshotError;
use super::manifest::{Manifest, ManifestFile, PartName};
use super::parts::{ENTRIES_FILE, META_FILE, PART_LIMIT};
use super::target::SnapshotTarget;
use crate::event::bytes::Reader;
use crate::time::{Random, Timestamp};
use std::sync::Arc;

/// Entries are taken into the store in groups of about so many bytes.
const GROUP_BYTES: usize = 8 << 20;

/// Makes a folder of state, which must be empty, from a snapshot. It begins a new life (see [`Incarnation`]): what
/// the old one has left in targets since then is noticed, and what it left before is known. All is verified by opening it
/// at the end.
///
/// # Errors
/// Then the folder is of no use.
pub fn restore(
    manifest: &Manifest,
    target: &mut dyn SnapshotTarget,
    disk: &Arc<dyn Disk>,
    entropy: u64,
) -> Result<(), SnapshotError> {
    let names = disk.list().map_err(|error| StateError::disk("reading the folder", error))?;
    if !names.is_empty() {
        return Err(SnapshotError::Refused(format!("{} is not empty", disk.path())));
    }
    let mut restoring = Restoring { manifest, target, disk };
    let mut meta = restoring.meta()?;
    meta.incarnation = Incarnation(Random::seeded(entropy).bits());
    for file in &manifest.files {
        match SegmentNumber::from_file_name(&file.name) {
            Some(_) => restoring.segment(file)?,
            None if [META_FILE, ENTRIES_FILE].contains(&file.name.as_str()) => {}
            None => return Err(restoring.damaged(format!("it names {:?}", file.name))),
        }
    }
    restoring.store(&meta)?;
    let backend = restoring.verify(entropy)?;
    restoring.inherit(backend)
}

struct Restoring<'r> {
    manifest: &'r Manifest,
    target: &'r mut dyn SnapshotTarget,
    disk: &'r Arc<dyn Disk>,
}

impl Restoring<'_> {
    fn damaged(&self, what: impl Into<String>) -> SnapshotError {
        SnapshotError::damaged(self.manifest.name(), what)
    }

    fn part(&mut self, (name, size): &(PartName, usize)) -> Result<Vec<u8>, SnapshotError> {
        let at = format!("{}{name}", self.manifest.owner.parts());
        let bytes = self.target.get(&at, PART_LIMIT)?;
        if bytes.len() != *size || PartName::of(&bytes) != *name {
            return Err(SnapshotError::damaged(at, "it does not hold what its name says"));
        }
        Ok(bytes)
    }

    fn meta(&mut self) -> Result<StoreMeta, SnapshotError> {
        let Some(file) = self.manifest.files.iter().find(|file| file.name == META_FILE) else {
            return Err(self.damaged("it names no `meta`"));
        };
        let mut bytes = Vec::new();
        for part in &file.parts {
            bytes.extend(self.part(part)?);
        }
        Ok(StoreMeta::decode(&bytes)?)
    }

    fn segment(&mut self, file: &ManifestFile) -> Result<(), SnapshotError> {
        let failed = |error| StateError::disk(format!("writing {}", file.name), error);
        let written = self.disk.open(&file.name, Open::New).map_err(failed)?;
        let mut offset = 0;
        for part in &file.parts {
            let bytes = self.part(part)?;
            written.write_at(offset, &bytes).map_err(failed)?;
            offset += bytes.len() as u64;
        }
        Ok(written.sync().map_err(failed)?)
    }

    fn store(&mut self, meta: &StoreMeta) -> Result<(), SnapshotError> {
        let cache = StateLimits::default().cache_bytes;
        let store = Store::create(self.disk.clone(), cache, meta)?;
        let (mut bytes, mut group) = (Vec::new(), Group::default());
        for part in self.manifest.files.iter().filter(|file| file.name == ENTRIES_FILE).flat_map(|f| &f.parts)
        {
            bytes.extend(self.part(part)?);
            let read = group.take_entries(&bytes).ok_or_else(|| self.damaged("an entry is not readable"))?;
            bytes.drain(..read);
            if group.bytes >= GROUP_BYTES {
                group.fold_into(&store, meta)?;
            }
        }
        if !bytes.is_empty() {
            return Err(self.damaged("the last entry is not whole"));
        }
        group.fold_into(&store, meta)?;
        // A fold says that all is folded up to `folded`; the snapshot may be of the middle of one.
        Ok(store.set_meta(meta)?)
    }

    fn verify(&self, entropy: u64) -> Result<StateBackend, SnapshotError> {
        let limits = StateLimits::default();
        let now = Timestamp(self.manifest.time.0);
        let options = OpenOptions { limits, on_corruption: OnCorruption::Refuse, entropy, now };
        let (backend, recovery) = open(self.disk, &options)?;
        if backend.epoch() != self.manifest.epoch || !recovery.repairs.is_empty() {
            return Err(self.damaged(format!("what was restored is of epoch {}", backend.epoch())));
        }
        Ok(backend)
    }

    /// What the old life has left in targets up to the snapshot is the new one's too.
    fn inherit(&self, mut backend: StateBackend) -> Result<(), SnapshotError> {
        let (epoch, incarnation) = (self.manifest.epoch, self.manifest.incarnation);
        let checkpoint = Checkpoint { epoch, lineage: vec![(incarnation, epoch)], ..Checkpoint::default() };
        backend.commit(Changes { checkpoint: Some(checkpoint), ..Changes::default() })?;
        Ok(())
    }
}

/// Entries that are to be taken into the store together.
#[derive(Default)]
struct Group {
    entries: Vec<(StateKey, Vec<u8>)>,
    bytes: usize,
}

impl Group {
    /// Takes all entries that are whole; returns how many bytes they are. None if they are none.
    fn take_entries(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut read = 0;
        loop {
            let mut reader = Reader::new(&bytes[read..]);
            let entry = reader.bytes(KEY_LIMIT).and_then(|key| Ok((key, reader.bytes(VALUE_LIMIT)?)));
            let Ok((key, value)) = entry else {
                // What is beyond a limit is never whole.
                let is_short = bytes.len() - read <= KEY_LIMIT + VALUE_LIMIT + 32;
                return is_short.then_some(read);
            };
            self.entries.push((StateKey::from_bytes(key)?, value.to_vec()));
            self.bytes += key.len() + value.len();
            read = bytes.len() - reader.remaining();
        }
    }

    fn fold_into(&mut self, store: &Store, meta: &StoreMeta) -> Result<(), StateError> {
        store.fold(self.entries.iter().map(|(key, value)| (key, Some(value.as_slice()))), meta)?;
        *self = Group::default();
        Ok(())
    }
}
