//! A table while the pipeline runs: what it holds is exchanged as a whole, and seen by operators from one batch to the next.

use super::{AskedTable, TableRows};
use crate::time::{Millis, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A table that was opened.
pub struct OpenTable {
    /// What it holds; None where that is only known in a while.
    pub rows: Option<TableRows>,
    /// What keeps it as it should be while the pipeline runs, on a thread each.
    pub keepers: Vec<Box<dyn TableKeeper>>,
    /// Where it is asked for one row at a time.
    pub asked: Option<AskedTable>,
}

impl OpenTable {
    /// A table that holds rows, or will in a while, kept by something.
    pub fn of(rows: Option<TableRows>, keeper: Option<Box<dyn TableKeeper>>) -> OpenTable {
        OpenTable { rows, keepers: keeper.into_iter().collect(), asked: None }
    }

    /// A table that is asked for one row at a time.
    pub fn asked(asked: AskedTable, keepers: Vec<Box<dyn TableKeeper>>) -> OpenTable {
        OpenTable { rows: None, keepers, asked: Some(asked) }
    }
}

/// What keeps a table up to date, on a thread of its own.
pub trait TableKeeper: Send {
    /// Does what is due, and says after what time to come again at the latest.
    fn keep(&mut self, table: &SharedTable, now: (Timestamp, Millis)) -> Millis;
}

/// A table that several workers ask.
#[derive(Clone, Default)]
pub struct SharedTable(Arc<Content>);

#[derive(Default)]
struct Content {
    /// How often the rows were exchanged; 0: there are none yet.
    version: AtomicU64,
    rows: Mutex<Option<Arc<TableRows>>>,
    closed: AtomicBool,
    asked: Option<AskedTable>,
}

impl SharedTable {
    /// A table that holds these rows.
    pub fn new(rows: Option<TableRows>) -> SharedTable {
        let table = SharedTable::default();
        rows.into_iter().for_each(|rows| table.replace(rows));
        table
    }

    /// A table that is asked for one row at a time.
    pub fn of_asked(asked: AskedTable) -> SharedTable {
        SharedTable(Arc::new(Content {
            version: AtomicU64::new(1),
            asked: Some(asked),
            ..Content::default()
        }))
    }

    /// Where it is asked for one row at a time.
    pub fn asked(&self) -> Option<AskedTable> {
        self.0.asked.clone()
    }

    /// From the next batch on it holds these rows.
    pub fn replace(&self, rows: TableRows) {
        *self.0.rows.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(rows));
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// Whether it is known what it holds.
    pub fn is_loaded(&self) -> bool {
        self.0.version.load(Ordering::Acquire) > 0
    }

    /// Nobody asks it any more.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
    }

    /// Whether nobody asks it any more.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// What an operator sees of it.
    pub fn view(&self) -> TableView {
        TableView { table: self.clone(), version: 0, rows: None }
    }
}

/// What an operator sees of a table: the same until it looks again.
pub struct TableView {
    table: SharedTable,
    version: u64,
    rows: Option<Arc<TableRows>>,
}

impl TableView {
    /// Looks whether the table was exchanged, and tells.
    pub fn look(&mut self) -> bool {
        let version = self.table.0.version.load(Ordering::Acquire);
        let is_new = version != self.version;
        if is_new {
            self.version = version;
            self.rows = self.table.0.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        }
        is_new
    }

    /// The rows at the last look; None only before a pipeline reads anything.
    #[inline]
    pub fn rows(&self) -> Option<&TableRows> {
        self.rows.as_deref()
    }
}
