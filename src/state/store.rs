//! The store: state that was folded, in one redb file. This file, what is below it and `overflow.rs` alone name redb.
//!
//! Values lie behind a [`StateKey`], each followed by four bytes of checksum over both: redb itself looks at the
//! checksums of its pages only when it repairs or is asked to check.

use super::disk::{Disk, DiskFile, Open};
use super::error::StateError;
use super::keyed::{KeyBounds, StateKey, VisitAll, VisitWhile, prefix_bounds};
use super::number::{Incarnation, NodeId, Sequence};
use super::piece::PIECE_BYTES;
use super::room::{LiveBytes, count};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
    WriteTransaction,
};
use std::borrow::Borrow;
use std::io;
use std::iter::Peekable;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use values::{PIECES, ValueWriter, value_of};

mod values;

/// The store's file.
pub const STORE_FILE: &str = "store.redb";

/// Where a store is made before it gets its name.
pub const NEW_FILE: &str = "store.new";

/// The format of what is in the store. In the first, values were not cut into pieces.
pub const STORE_VERSION: u8 = 2;

const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const META_KEY: &str = "meta";
const LIVE_KEY: &str = "live";

/// The least of the cache that the pages which one transaction changes may take. What does not fit is written twice.
const TRANSACTION_BYTES: usize = 1 << 20;

/// The size of redb's pages.
const PAGE_BYTES: usize = 4096;

/// The longest form of what a store knows of itself.
const META_LIMIT: usize = 64 << 20;

/// What a store knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreMeta {
    /// Which life of the folder it is of.
    pub incarnation: Incarnation,
    /// All commits of the log up to this one are folded.
    pub folded: Sequence,
    /// Some entries of commits up to this one may be folded: more than `folded` while a fold is under way.
    pub folding: Sequence,
    /// All progress as of the last fold: a checkpoint without entries, encoded.
    pub progress: Vec<u8>,
}

impl StoreMeta {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![STORE_VERSION];
        bytes.extend_from_slice(&self.incarnation.0.to_le_bytes());
        put_number(&mut bytes, self.folded.0);
        put_number(&mut bytes, self.folding.0);
        put_bytes(&mut bytes, &self.progress);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<StoreMeta, StateError> {
        let mut reader = Reader::new(bytes);
        let version = reader.byte().map_err(malformed)?;
        if version == 0 {
            return Err(malformed(Malformed("it is of no version")));
        }
        if version > STORE_VERSION {
            return Err(StateError::Newer { file: STORE_FILE.to_string(), version: version.into() });
        }
        let mut read = || {
            let incarnation = Incarnation(reader.fixed()?);
            let (folded, folding) = (Sequence(reader.number()?), Sequence(reader.number()?));
            let progress = reader.bytes(META_LIMIT)?.to_vec();
            reader.finish()?;
            Ok(StoreMeta { incarnation, folded, folding, progress })
        };
        read().map_err(malformed)
    }
}

fn malformed(Malformed(what): Malformed) -> StateError {
    StateError::corrupt(STORE_FILE, what)
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// All is well.
    Good,
    /// Something was wrong and is repaired.
    Repaired,
}

/// The store of one folder.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    cache_bytes: usize,
    /// Longer values are cut into pieces of that size.
    piece_bytes: usize,
    /// Gone before the database is: pins of a database that was closed are no good any more.
    opening: Arc<()>,
    /// None after it could not be opened again.
    database: Option<Database>,
}

impl Store {
    /// Makes an empty store durably. An old one of the folder is gone.
    pub fn create(disk: Arc<dyn Disk>, cache_bytes: usize, meta: &StoreMeta) -> Result<Store, StateError> {
        let made = open_database(&*disk, NEW_FILE, Open::Anew, cache_bytes)?;
        let transaction = begin(&made)?;
        transaction.open_table(ENTRIES).map_err(fault)?;
        write_meta(&transaction, meta)?;
        write_live(&transaction, LiveBytes::default())?;
        transaction.commit().map_err(fault)?;
        drop(made);
        let named = disk.rename(NEW_FILE, STORE_FILE).and_then(|()| disk.sync_folder());
        named.map_err(|error| StateError::disk("making the store", error))?;
        Store::open(disk, cache_bytes)
    }

    /// Opens the store of the folder.
    ///
    /// # Errors
    /// A corrupt one is to be set aside.
    pub fn open(disk: Arc<dyn Disk>, cache_bytes: usize) -> Result<Store, StateError> {
        let database = open_database(&*disk, STORE_FILE, Open::Existing, cache_bytes)?;
        let (piece_bytes, opening) = (PIECE_BYTES, Arc::new(()));
        Ok(Store { disk, cache_bytes, piece_bytes, opening, database: Some(database) })
    }

    /// The same that cuts longer values into pieces of that size.
    pub fn cutting(self, piece_bytes: usize) -> Store {
        Store { piece_bytes, ..self }
    }

    /// Opens it again: after an error of the disk redb refuses to go on.
    pub fn reopen(&mut self) -> Result<(), StateError> {
        self.opening = Arc::new(());
        // The old one must not write any more once the new one has read.
        drop(self.database.take());
        let forgotten = self.disk.open(STORE_FILE, Open::Existing).and_then(|file| file.forget());
        forgotten.map_err(|error| StateError::disk("opening the store again", error))?;
        self.database = Some(open_database(&*self.disk, STORE_FILE, Open::Existing, self.cache_bytes)?);
        Ok(())
    }

    fn database(&self) -> Result<&Database, StateError> {
        self.database.as_ref().ok_or_else(not_open)
    }

    /// What it knows of itself.
    pub fn meta(&self) -> Result<StoreMeta, StateError> {
        read_meta(&self.database()?.begin_read().map_err(fault)?)
    }

    /// The store as it is now, to be read while it goes on.
    pub fn pin(&self) -> Result<StorePin, StateError> {
        let transaction = self.database()?.begin_read().map_err(fault)?;
        Ok(StorePin { transaction, opening: Arc::downgrade(&self.opening) })
    }

    /// Whether somebody still reads it as it was: then it can be neither checked nor compacted.
    pub fn is_pinned(&self) -> bool {
        Arc::weak_count(&self.opening) > 0
    }

    /// Bytes of keys and values in it; None if it was made by a version that did not count them.
    pub fn live_bytes(&self) -> Result<Option<LiveBytes>, StateError> {
        let transaction = self.database()?.begin_read().map_err(fault)?;
        let table = transaction.open_table(META).map_err(fault)?;
        let bytes = table.get(LIVE_KEY).map_err(fault)?;
        Ok(bytes
            .and_then(|bytes| bytes.value().try_into().ok())
            .map(|bytes| LiveBytes(u64::from_le_bytes(bytes))))
    }

    /// Changes what it knows of itself, and nothing else.
    pub fn set_meta(&self, meta: &StoreMeta) -> Result<(), StateError> {
        let transaction = begin(self.database()?)?;
        write_meta(&transaction, meta)?;
        transaction.commit().map_err(fault)
    }

    /// The bytes of a key.
    pub fn get(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        let transaction = self.database()?.begin_read().map_err(fault)?;
        let table = transaction.open_table(ENTRIES).map_err(fault)?;
        let found = table.get(key.as_bytes()).map_err(fault)?;
        let whole = &mut Vec::new();
        found
            .map(|stored| Ok(value_of(&transaction, key.as_bytes(), stored.value(), whole)?.to_vec()))
            .transpose()
    }

    /// All keys, in order.
    pub fn scan(&self, visit: &mut VisitAll) -> Result<(), StateError> {
        self.scan_between(&(Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
            visit(key, value).map(|()| true)
        })
    }

    /// The keys between bounds, in order, until `visit` has enough.
    pub fn scan_between(&self, (from, to): &KeyBounds, visit: &mut VisitWhile) -> Result<(), StateError> {
        let transaction = self.database()?.begin_read().map_err(fault)?;
        let table = transaction.open_table(ENTRIES).map_err(fault)?;
        let whole = &mut Vec::new();
        for found in table.range::<&[u8]>((borrowed(from), borrowed(to))).map_err(fault)? {
            let (key, stored) = found.map_err(fault)?;
            let value = value_of(&transaction, key.value(), stored.value(), whole)?;
            let key = StateKey::from_bytes(key.value());
            let key = key.ok_or_else(|| StateError::corrupt(STORE_FILE, "a key is too short"))?;
            if !visit(&key, value)? {
                break;
            }
        }
        Ok(())
    }

    /// Takes changes in, in the order of their keys and in transactions of bounded size; `meta` with the last. If that
    /// fails half way, some are in: the log still has them all.
    pub fn fold<'a>(
        &self,
        changes: impl ExactSizeIterator<Item = (impl Borrow<StateKey>, Option<&'a [u8]>)>,
        meta: &StoreMeta,
    ) -> Result<(), StateError> {
        let budget = Budget {
            bytes: TRANSACTION_BYTES.max(self.cache_bytes / 2),
            page_share: page_share(self.bytes()?, changes.len()),
        };
        let mut changes = changes.peekable();
        let mut live = self.live_bytes()?;
        let mut is_known = false;
        loop {
            let transaction = begin(self.database()?)?;
            fold_some(ValueWriter::new(&transaction, self.piece_bytes, &mut live)?, budget, &mut changes)?;
            live.map_or(Ok(()), |live| write_live(&transaction, live))?;
            let done = changes.peek().is_none();
            if done {
                write_meta(&transaction, meta)?;
            } else if !is_known {
                write_meta(&transaction, &StoreMeta { folding: meta.folded, ..self.meta()? })?;
                is_known = true;
            }
            transaction.commit().map_err(fault)?;
            if done {
                return Ok(());
            }
        }
    }

    /// Removes all keys of some nodes, in transactions of bounded size. `folding` is the commit that says so.
    pub fn drop_nodes(&self, nodes: &[NodeId], folding: Sequence) -> Result<(), StateError> {
        for node in nodes {
            while self.drop_some(*node, folding)? {}
        }
        Ok(())
    }

    /// Whether any were there.
    fn drop_some(&self, node: NodeId, folding: Sequence) -> Result<bool, StateError> {
        let transaction = begin(self.database()?)?;
        let mut budget = TRANSACTION_BYTES.max(self.cache_bytes / 2);
        let (mut dropped, mut live) = (0, self.live_bytes()?);
        // Pieces without their mark are nothing, but a mark without its pieces is damage.
        for table in [ENTRIES, PIECES] {
            dropped += drop_from(&transaction, table, node, &mut budget, &mut live)?;
        }
        live.map_or(Ok(()), |live| write_live(&transaction, live))?;
        if dropped == 0 {
            return transaction.abort().map_err(fault).map(|()| false);
        }
        write_meta(&transaction, &StoreMeta { folding, ..self.meta()? })?;
        transaction.commit().map_err(fault)?;
        Ok(true)
    }

    /// Reads and verifies all of the file. Slow.
    pub fn check(&mut self) -> Result<Checked, StateError> {
        let is_good = self.database.as_mut().ok_or_else(not_open)?.check_integrity().map_err(fault)?;
        self.scan(&mut |_, _| Ok(()))?;
        Ok(if is_good { Checked::Good } else { Checked::Repaired })
    }

    /// Gives room in the file that is no longer used back to the disk. Writes much: for when nothing else is to be
    /// done.
    pub fn compact(&mut self) -> Result<(), StateError> {
        let database = self.database.as_mut().ok_or_else(not_open)?;
        while database.compact().map_err(fault)? {}
        // redb's own commits do not note which pages are free: until the next one that does, opening after a power cut
        // would read all of the file.
        self.set_meta(&self.meta()?)
    }

    /// The size of the file in bytes.
    pub fn bytes(&self) -> Result<u64, StateError> {
        let file = self.disk.open(STORE_FILE, Open::Existing).and_then(|file| file.length());
        file.map_err(|error| StateError::disk("asking for the store's size", error))
    }
}

/// A store as it was at some moment. Folds go on: pages that they replace stay in the file for as long as this lives.
pub struct StorePin {
    transaction: ReadTransaction,
    /// Of which opening of the store it is.
    opening: Weak<()>,
}

impl StorePin {
    /// What the store knew of itself.
    pub fn meta(&self) -> Result<StoreMeta, StateError> {
        read_meta(&self.transaction)
    }

    /// Entries behind a key, in order, until `visit` has enough.
    ///
    /// # Errors
    /// Also where the store was closed or opened anew meanwhile. Then what was visited is not to be used.
    pub fn entries_behind(
        &self,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        // Once the store is opened anew, pages under this pin are used for other things; redb may panic over that.
        // What `visit` has is then thrown away.
        let read = catch_unwind(AssertUnwindSafe(|| self.read_behind(key, visit)));
        if self.opening.strong_count() == 0 {
            let closed = io::Error::other("the store was closed or opened anew meanwhile");
            return Err(StateError::disk("copying the store", closed));
        }
        read.unwrap_or_else(|_| Err(StateError::corrupt(STORE_FILE, "it is not what a store looks like")))
    }

    fn read_behind(&self, key: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        let table = self.transaction.open_table(ENTRIES).map_err(fault)?;
        let range = (Bound::Excluded(key), Bound::Unbounded);
        let whole = &mut Vec::new();
        for found in table.range::<&[u8]>(range).map_err(fault)? {
            let (key, stored) = found.map_err(fault)?;
            if !visit(key.value(), value_of(&self.transaction, key.value(), stored.value(), whole)?) {
                break;
            }
        }
        Ok(())
    }
}

fn read_meta(transaction: &ReadTransaction) -> Result<StoreMeta, StateError> {
    let table = transaction.open_table(META).map_err(fault)?;
    let bytes = table.get(META_KEY).map_err(fault)?;
    let bytes = bytes.ok_or_else(|| StateError::corrupt(STORE_FILE, "it does not say what it is"))?;
    StoreMeta::decode(bytes.value())
}

fn open_database(disk: &dyn Disk, name: &str, how: Open, cache: usize) -> Result<Database, StateError> {
    let file = disk.open(name, how).map_err(|error| StateError::disk(format!("opening {name}"), error))?;
    let length = file.length().map_err(|error| StateError::disk(format!("opening {name}"), error))?;
    if how == Open::Existing && length == 0 {
        // redb would make a new store of it.
        return Err(StateError::corrupt(name, "it is empty"));
    }
    let open =
        || Database::builder().set_cache_size(cache).create_with_backend(Backend { file, syncs: true });
    // redb may panic over a file that something else altered. Nothing is shared with it but the file.
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(fault),
        Err(_) => Err(StateError::corrupt(name, "it is not what a store looks like")),
    }
}

fn not_open() -> StateError {
    StateError::disk("using the store", io::Error::other("it could not be opened again"))
}

/// Every commit notes which pages are free, so that opening after a power cut needs not read them all.
fn begin(database: &Database) -> Result<WriteTransaction, StateError> {
    let mut transaction = database.begin_write().map_err(fault)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn write_meta(transaction: &WriteTransaction, meta: &StoreMeta) -> Result<(), StateError> {
    let mut table = transaction.open_table(META).map_err(fault)?;
    table.insert(META_KEY, meta.encode().as_slice()).map_err(fault)?;
    Ok(())
}

fn write_live(transaction: &WriteTransaction, live: LiveBytes) -> Result<(), StateError> {
    let mut table = transaction.open_table(META).map_err(fault)?;
    table.insert(LIVE_KEY, live.0.to_le_bytes().as_slice()).map_err(fault)?;
    Ok(())
}

/// How much one transaction of a fold may change.
#[derive(Clone, Copy)]
struct Budget {
    /// Bytes of pages.
    bytes: usize,
    /// How much of a page is changed for each key beside its own bytes, on average.
    page_share: usize,
}

/// Every key may change a page of its own, but not more than there are.
fn page_share(store_bytes: u64, keys: usize) -> usize {
    let pages = usize::try_from(store_bytes).unwrap_or(usize::MAX) / PAGE_BYTES;
    pages.min(keys) * PAGE_BYTES / keys.max(1)
}

fn fold_some<'a>(
    mut values: ValueWriter,
    Budget { bytes: mut budget, page_share }: Budget,
    changes: &mut Peekable<impl Iterator<Item = (impl Borrow<StateKey>, Option<&'a [u8]>)>>,
) -> Result<(), StateError> {
    while budget > 0 {
        let Some((key, value)) = changes.next() else { return Ok(()) };
        let key = key.borrow();
        match value {
            Some(value) => values.put(key, value)?,
            None => values.remove(key)?,
        }
        let bytes = key.as_bytes().len() + value.map_or(0, <[u8]>::len);
        budget = budget.saturating_sub(bytes + page_share);
    }
    Ok(())
}

/// Removes keys of a node from a table, and takes their bytes from the budget. Returns how many there were.
fn drop_from(
    transaction: &WriteTransaction,
    table: TableDefinition<&[u8], &[u8]>,
    node: NodeId,
    budget: &mut usize,
    live: &mut Option<LiveBytes>,
) -> Result<usize, StateError> {
    let (from, to) = prefix_bounds(&node.0.to_be_bytes());
    let mut table = transaction.open_table(table).map_err(fault)?;
    let mut keys = Vec::new();
    for found in table.range::<&[u8]>((borrowed(&from), borrowed(&to))).map_err(fault)? {
        if *budget == 0 {
            break;
        }
        let (key, value) = found.map_err(fault)?;
        *budget = budget.saturating_sub(key.value().len() + value.value().len());
        keys.push(key.value().to_vec());
    }
    for key in &keys {
        let gone = table.remove(key.as_slice()).map_err(fault)?;
        count(live, key, gone.as_ref().map(redb::AccessGuard::value), None);
    }
    Ok(keys.len())
}

fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// What redb says of the store, in our terms.
fn fault(error: impl Into<redb::Error>) -> StateError {
    fault_of((STORE_FILE, "the store"), error)
}

/// What redb says of a file, in our terms.
pub(super) fn fault_of((file, name): (&str, &str), error: impl Into<redb::Error>) -> StateError {
    let error = error.into();
    match error {
        redb::Error::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                StateError::corrupt(file, error.to_string())
            }
            _ => StateError::disk(format!("using {name}"), error),
        },
        redb::Error::Corrupted(what) => StateError::corrupt(file, what),
        redb::Error::TableDoesNotExist(table) => StateError::corrupt(file, format!("no table {table}")),
        redb::Error::UpgradeRequired(version) => {
            StateError::Newer { file: file.to_string(), version: version.into() }
        }
        // A handle that failed before goes on failing: what failed was the disk.
        other => StateError::disk(format!("using {name}"), io::Error::other(other)),
    }
}

/// The disk below redb.
#[derive(Debug)]
pub(super) struct Backend {
    pub file: Box<dyn DiskFile>,
    /// Whether what redb wants to be durable is: else it asks for syncs in vain.
    pub syncs: bool,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.syncs { self.file.sync() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, data)
    }
}

#[cfg(test)]
mod tests;
