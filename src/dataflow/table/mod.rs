//! Tables: rows by key that events are looked up in, the contract between what reads them and what asks them.

mod asked;
mod reading;
mod rows;
mod shared;

pub use asked::{Address, Answer, AskedTable};
pub use reading::{column_names, read_rows};
pub use rows::{MatchKey, TableRows};
pub use shared::{OpenTable, SharedTable, TableKeeper, TableView};

use super::{ComponentSpec, FormatPlan, NodePlanner, Probed};
use crate::config::{Place, Setting, read};
use crate::event::Slot;
use crate::expr::Type;
use std::fmt;
use std::sync::Arc;

/// A kind of table, as its folder's registry lists it.
pub struct TableSpec {
    /// What documents it.
    pub spec: &'static ComponentSpec,
    /// Whether it reads bytes by a `format`.
    pub decodes: bool,
    /// Plans one; None if something was reported.
    pub plan: fn(&NodePlanner<'_>, &TableHead<'_>, Setting<'_>) -> Option<Box<dyn TablePlan>>,
}

/// What stands beside the kind of a table.
pub struct TableHead<'a> {
    /// The columns that tell one row from all others.
    pub key: &'a [String],
    /// How bytes become rows.
    pub format: Arc<dyn FormatPlan>,
}

/// A table of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u16);

/// A table and what is asked of it, in a plan in the making.
#[derive(Debug)]
pub struct TableDraft {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// What it is read from.
    pub plan: Box<dyn TablePlan>,
    /// What is read of it.
    pub layout: TableLayout,
    /// Whether a node asks it.
    pub is_used: bool,
}

/// The columns of a table that somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct TableLayout {
    /// Their names in the order of their slots, those of the key first.
    pub columns: Vec<String>,
    /// How many of them are the key.
    pub key: usize,
}

impl TableLayout {
    /// The columns of the key.
    pub fn key(&self) -> &[String] {
        &self.columns[..self.key]
    }

    /// The slot of a column, which is read from now on.
    pub fn column(&mut self, name: &str) -> Slot {
        let known = self.columns.iter().position(|column| column == name);
        let slot = known.unwrap_or_else(|| {
            self.columns.push(name.to_owned());
            self.columns.len() - 1
        });
        Slot(slot as u16)
    }
}

/// The pure description of a table. What it says of columns it may have found by a look at a file beside the pipeline.
pub trait TablePlan: fmt::Debug + Send + Sync {
    /// What it is read from: `file assets.csv`.
    fn describe(&self) -> String;

    /// The names of all its columns; None where only those know them whom it is read from.
    fn columns(&self) -> Option<&[String]>;

    /// The type of a column.
    fn type_of(&self, _column: &str) -> Type {
        Type::ANY
    }

    /// Why it cannot be read as things are: a run would not start.
    fn fault(&self) -> Option<&str> {
        None
    }

    /// Where it is asked for one row at a time; None where all its rows are at hand.
    fn address(&self) -> Option<&Address> {
        None
    }

    /// Connects as a run would, looks whether a run would find the columns of the layout, and changes nothing: for
    /// `check --connect`. None where there is no server to connect to.
    fn probe(&self, _layout: &TableLayout) -> Option<Probed> {
        None
    }

    /// Opens it, and starts nothing.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn open(&self, layout: &TableLayout) -> Result<OpenTable, String>;
}

impl NodePlanner<'_> {
    /// Reads the name of a table, which this node will ask.
    pub fn table(&mut self, setting: Setting<'_>) -> Option<TableId> {
        let name = read::text(setting)?;
        let tables = &mut self.draft.tables;
        if let Some(number) = tables.iter().position(|table| table.name == name) {
            tables[number].is_used = true;
            return Some(TableId(number as u16));
        }
        if self.temporal.contains_key(name) {
            setting
                .error(format!("table `{name}` is filled by a node"))
                .hint("only `lookup` asks such a table");
        } else if !self.missing_tables.contains(name) {
            let names = tables.iter().map(|table| table.name.as_str());
            self.faults.unknown(setting, format!("there is no table `{name}`"), name, names);
        }
        None
    }
}
