//! The keys that a table says there are, for nodes that miss those that never come.

use crate::config::Setting;
use crate::dataflow::{
    KeyEntry, KeyField, MatchKey, NodePlanner, StartContext, TableId, TableView, group_of, owner_of,
};
use crate::event::{Batch, Row, Slot, encode_key};
use crate::time::Timestamp;

/// A table of keys, as a plan knows it.
#[derive(Clone, Debug)]
pub(super) struct ExpectedPlan {
    /// Its name.
    pub(super) name: String,
    pub(super) table: TableId,
    /// For each field of the node's key: its column in the table.
    pub(super) columns: Vec<Slot>,
}

impl ExpectedPlan {
    /// Reads the name of a table whose key is that of the node.
    pub(super) fn plan(
        planner: &mut NodePlanner<'_>,
        setting: Setting<'_>,
        key: &[KeyField],
    ) -> Option<ExpectedPlan> {
        let table = planner.table(setting)?;
        let draft = &mut planner.draft.tables[usize::from(table.0)];
        let name = draft.name.clone();
        if draft.plan.columns().is_none() && draft.plan.fault().is_none() {
            let reported = setting.error(format!("keys cannot be read from table `{name}`"));
            reported.hint("all of them must be at hand: read them from a file");
            return None;
        }
        let of_table = draft.layout.key().to_vec();
        let has = |field: &KeyField| of_table.contains(&field.name);
        if key.len() != of_table.len() || !key.iter().all(has) {
            let own: Vec<&str> = key.iter().map(|field| field.name.as_str()).collect();
            let own = if own.is_empty() { "one for all".to_owned() } else { own.join(", ") };
            let message = format!("the key of table `{name}` is {}, not {own}", of_table.join(", "));
            setting.error(message).hint("name the key as the table does: `key: { column: field }`");
            return None;
        }
        let columns = key.iter().map(|field| draft.layout.column(&field.name)).collect();
        Some(ExpectedPlan { name, table, columns })
    }

    /// What one worker sees of it; `key` are the slots of the node's key.
    pub(super) fn start(&self, context: &StartContext<'_>, key: &[Slot]) -> Expected {
        let stride = key.iter().map(|slot| usize::from(slot.0) + 1).max().unwrap_or_default();
        Expected {
            view: context.table(self.table).view(),
            columns: self.columns.clone(),
            key: key.to_vec(),
            worker: context.worker,
            batch: Batch::new(stride, b""),
            scratch: Vec::new(),
        }
    }
}

/// The keys of a table that one worker owns.
pub(super) struct Expected {
    view: TableView,
    columns: Vec<Slot>,
    key: Vec<Slot>,
    /// Which worker this is, and of how many.
    worker: (usize, usize),
    batch: Batch,
    scratch: Vec<u8>,
}

impl Expected {
    /// The keys, where they may have changed since this was asked last: rows with the key where events have it.
    pub(super) fn changed(&mut self) -> Option<(&Batch, Vec<Row>)> {
        if !self.view.look() {
            return None;
        }
        self.batch.clear();
        let mut mine = Vec::new();
        let table = self.view.rows()?;
        for row in table.rows() {
            let expected = self.batch.push_row(Timestamp(0), Timestamp::MIN);
            for (column, slot) in self.columns.iter().zip(&self.key) {
                let value = self.batch.adopt(table.batch(), table.batch().get(row, *column));
                self.batch.set(expected, *slot, value);
            }
            self.scratch.clear();
            encode_key(&self.batch, expected, &self.key, &mut self.scratch);
            if owner_of(group_of(&self.scratch), self.worker.1) == self.worker.0 {
                mine.push(expected);
            }
        }
        Some((&self.batch, mine))
    }

    /// Whether the table has the key.
    pub(super) fn has<T>(&self, entry: &KeyEntry<T>) -> bool {
        let slots: Vec<Slot> = (0..self.key.len() as u16).map(Slot).collect();
        let mut batch = Batch::new(slots.len(), b"");
        let row = batch.push_row(Timestamp(0), Timestamp::MIN);
        // Fields of the node's key in the order of the table's, whose columns come first.
        let to: Vec<Option<Slot>> = self.columns.iter().copied().map(Some).collect();
        entry.write(&mut batch, row, &to);
        let mut key = MatchKey::default();
        key.read(&batch, row, &slots) && self.view.rows().is_some_and(|rows| rows.find(&key).is_some())
    }
}
