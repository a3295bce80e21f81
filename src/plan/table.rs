//! Planning of tables.

use super::{Planning, Stated};
use crate::config::{Declaration, Setting, read};
use crate::dataflow::{NodeId, TableDraft, TableHead, TableLayout, TablePlan, formats};
use crate::tables::{self, LATER, TABLES};

/// Stands where a node's number would: a table is none.
const NO_NODE: NodeId = NodeId(u16::MAX);

impl Planning<'_> {
    /// Plans all tables, before any node asks them. Of those that are stated the rows are these.
    pub(super) fn tables(&mut self, stated: &[Stated]) {
        for declaration in &self.file.tables {
            if !declaration.from.is_empty() {
                self.temporal_table(declaration);
                continue;
            }
            let name = &declaration.name;
            let planned = self.table(declaration).and_then(|table| {
                let Some(stated) = stated.iter().find(|stated| stated.table == *name) else {
                    return Some(table);
                };
                let known = table.plan.columns().unwrap_or_default();
                // What a test states was read from a document.
                let plan = tables::Stated::new(stated.rows.clone(), known).ok()?;
                Some(TableDraft { plan: Box::new(plan), ..table })
            });
            match planned {
                Some(table) => self.plan.draft.tables.push(table),
                None => _ = self.missing_tables.insert(name.clone()),
            }
        }
    }

    /// A table that a node fills; those who ask it keep its rows.
    fn temporal_table(&mut self, declaration: &Declaration) {
        let names: Vec<&'static str> = TABLES.iter().map(|table| table.spec.name).collect();
        let section = declaration.open(names.iter().copied(), LATER, self.faults);
        let name = &declaration.name;
        for strange in section.settings().filter(|setting| !["from", "key"].contains(&setting.name)) {
            if names.contains(&strange.name) || strange.name == "format" {
                let message = format!("`{}` cannot stand beside `from`", strange.name);
                self.faults.error(strange.key, message).hint("a node fills the table, or it is read");
            }
        }
        match section.required("key", key) {
            Some(key) => _ = self.temporal.insert(name.clone(), key),
            None => _ = self.missing_tables.insert(name.clone()),
        }
        let asks = |node: &Declaration| node.table() == Some(name);
        if !self.file.nodes.iter().any(asks) && !self.faults.has_errors() {
            self.faults.warning(declaration.place, format!("nothing asks table `{name}`"));
        }
    }

    fn table(&mut self, declaration: &'_ Declaration) -> Option<TableDraft> {
        let names: Vec<&'static str> = TABLES.iter().map(|table| table.spec.name).collect();
        let section = declaration.open(names.iter().copied(), LATER, self.faults);
        let chosen = section.exactly_one(&names, "connector");
        let key = section.required("key", |setting| key(setting));
        let setting = chosen?;
        let spec = TABLES.iter().find(|table| table.spec.name == setting.name)?;
        if let Some(format) = section.get("format").filter(|_| !spec.decodes) {
            self.faults.error(format.key, format!("`{}` has no format", spec.spec.name));
            return None;
        }
        let format = section.or("format", formats::json(), formats::reader);
        let key = key?;
        let head = TableHead { key: &key, format };
        let declared = self.file.tables.iter().find(|table| table.name == declaration.name)?;
        let planner = self.planner_of(declared, NO_NODE, None);
        let plan = (spec.plan)(&planner, &head, setting)?;
        self.check_key(section.get("key")?, &key, &*plan)?;
        Some(TableDraft {
            name: declaration.name.clone(),
            place: declaration.place,
            plan,
            layout: TableLayout { key: key.len(), columns: key },
            is_used: false,
        })
    }

    /// Reports columns of the key that the table has not.
    fn check_key(&self, setting: Setting<'_>, key: &[String], plan: &dyn TablePlan) -> Option<()> {
        let Some(columns) = plan.columns() else { return Some(()) };
        let missing = key.iter().find(|name| !columns.contains(name));
        let Some(missing) = missing else { return Some(()) };
        let message = format!("the table has no column `{missing}`");
        self.faults.unknown(setting, message, missing, columns.iter().map(String::as_str));
        None
    }

    /// Warns of tables that nobody asks.
    pub(super) fn judge_tables(&self) {
        for table in self.plan.draft.tables.iter().filter(|table| !table.is_used && !self.faults.has_errors())
        {
            self.faults.warning(table.place, format!("nothing asks table `{}`", table.name));
        }
    }
}

/// Reads the columns of a key: one or more, each once.
fn key(setting: Setting<'_>) -> Option<Vec<String>> {
    let names: Vec<String> = read::one_or_list(read::text)(setting)?.into_iter().map(str::to_owned).collect();
    if names.is_empty() {
        setting.error("`key` names no column");
        return None;
    }
    if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        setting.error(format!("`key` names `{}` twice", twice.1));
        return None;
    }
    Some(names)
}
