//! What memory has no room for: a redb file that is worth nothing once its process has ended.
//!
//! It holds copies of what is, or will be, in log and store. So nothing of it is ever synced, and the file has no name:
//! however the process ends, it is gone.

use super::disk::{Disk, Open};
use super::error::StateError;
use super::store::{Backend, fault_of};
use redb::{Database, ReadableDatabase, TableDefinition};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What such files are called until they lose their names.
const OVERFLOW_FILE: &str = "overflow";
/// How it is called in what goes wrong.
const NAME: &str = "state that is not in memory";

const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");

/// New bytes behind keys; None where a key goes.
pub type OverflowChanges = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A table on the disk. One thread writes it.
#[derive(Debug)]
pub struct Overflow {
    database: Database,
}

impl Overflow {
    /// An empty one in a folder; pages of it take so many bytes in memory.
    ///
    /// # Errors
    /// The disk fails.
    pub fn create(disk: &dyn Disk, cache_bytes: usize) -> Result<Overflow, StateError> {
        let failed = |error| StateError::disk(format!("making a file for {NAME}"), error);
        let file = disk.open(OVERFLOW_FILE, Open::Anew).map_err(failed)?;
        disk.remove(OVERFLOW_FILE).map_err(failed)?;
        let mut builder = Database::builder();
        let database =
            builder.set_cache_size(cache_bytes).create_with_backend(Backend { file, syncs: false });
        let overflow = Overflow { database: database.map_err(fault)? };
        overflow.write(&OverflowChanges::new())?;
        Ok(overflow)
    }

    /// The bytes of a key.
    ///
    /// # Errors
    /// The disk fails.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let transaction = self.database.begin_read().map_err(fault)?;
        let table = transaction.open_table(ENTRIES).map_err(fault)?;
        let found = table.get(key).map_err(fault)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    /// Keys behind one and before another, in order, until `visit` has enough.
    ///
    /// # Errors
    /// The disk fails.
    pub fn scan(
        &self,
        behind: &[u8],
        before: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let transaction = self.database.begin_read().map_err(fault)?;
        let table = transaction.open_table(ENTRIES).map_err(fault)?;
        let range = (Bound::Excluded(behind), Bound::Excluded(before));
        for found in table.range::<&[u8]>(range).map_err(fault)? {
            let (key, value) = found.map_err(fault)?;
            if !visit(key.value(), value.value()) {
                break;
            }
        }
        Ok(())
    }

    /// Takes changes in.
    ///
    /// # Errors
    /// The disk fails.
    pub fn write(&self, changes: &OverflowChanges) -> Result<(), StateError> {
        let transaction = self.database.begin_write().map_err(fault)?;
        let mut table = transaction.open_table(ENTRIES).map_err(fault)?;
        for (key, value) in changes {
            let done = match value {
                Some(value) => table.insert(key.as_slice(), value.as_slice()).map(drop),
                None => table.remove(key.as_slice()).map(drop),
            };
            done.map_err(fault)?;
        }
        drop(table);
        transaction.commit().map_err(fault)
    }
}

fn fault(error: impl Into<redb::Error>) -> StateError {
    fault_of((OVERFLOW_FILE, NAME), error)
}
