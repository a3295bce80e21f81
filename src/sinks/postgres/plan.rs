//! The options of a `postgres` sink.

use super::POSTGRES;
use super::writing::Writing;
use crate::clients::postgres::{self, Job, Mode, quoted};
use crate::config::{Setting, read};
use crate::dataflow::{Batching, Binding, NodePlanner, Probed, Scope, Sink, SinkPlan, Template, is_hidden};
use crate::expr::{Expr, Type};
use std::sync::Arc;

/// Plans a `postgres` sink.
pub fn plan(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    let section = POSTGRES.open(setting);
    let server = postgres::read_server(planner, &section);
    let table = section.required("table", table_name);
    let modes = [("insert", Mode::Insert), ("upsert", Mode::Upsert), ("copy", Mode::Copy)];
    let mode = section.or("mode", Mode::Insert, read::word(&modes, &[]));
    let names = read::one_or_list(|setting| read::text(setting).map(str::to_owned));
    let key = section.optional("key", names).unwrap_or_default();
    let chosen = section.get("columns").map(|setting| choose(planner, setting));
    let columns = known_columns(planner);
    let creates = section.or("create", false, read::boolean);
    if let (Mode::Upsert, None) = (mode, section.get("key")) {
        let place = section.get("mode").map_or(setting, |setting| setting);
        let message = "`mode: upsert` needs a `key`: the columns that tell which row is replaced";
        place.faults.error(place.key, message);
    }
    if let (Some(setting), false) = (section.get("key"), mode == Mode::Upsert || creates) {
        let message = "`key` is for `mode: upsert`, and for a table that `create: true` makes";
        setting.faults.error(setting.key, message);
    }
    let creating = section.get("create").filter(|_| creates);
    if let (Some(setting), None) = (creating, &columns) {
        let message = "`create: true` needs to know the columns, and these events may have any fields";
        setting.faults.error(setting.key, message).hint("name them in `columns`");
    }
    if let (Some(setting), Some(columns)) = (section.get("key"), &columns) {
        for name in key.iter().filter(|name| !columns.iter().any(|(column, _)| column == *name)) {
            let known = columns.iter().map(|(column, _)| column.as_str());
            setting.faults.unknown(setting, format!("no column `{name}` is written"), name, known);
        }
    }
    chosen.unwrap_or(Some(()))?;
    let name = format!("{}/{}/{}", planner.instance.id, planner.pipeline, planner.name);
    let (server, table, batching) = (server?, table?, Batching::default());
    let job = Job { server, name, table, mode, key, columns, creates, batching, exactly_once: false };
    Some(Box::new(PostgresSinkPlan { job, address: vec![Template::room()] }))
}

/// A table's name, or a schema's and the table's, each quoted.
fn table_name(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 2 || parts.iter().any(|part| part.is_empty() || part.contains('\0')) {
        setting.wrong("the name of a table, or `schema.table`");
        return None;
    }
    Some(parts.into_iter().map(quoted).collect::<Vec<_>>().join("."))
}

/// Lets events have only the columns that are to be written: a list of fields, or a map of columns and expressions.
fn choose(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<()> {
    let entries = match setting.node.entries() {
        Some(_) => setting.entries()?,
        None => setting.one_or_items(),
    };
    if entries.is_empty() {
        setting.error("`columns` has no columns");
        return None;
    }
    let is_map = setting.node.entries().is_some();
    let mut read: Vec<(String, Expr, Setting<'_>)> = Vec::new();
    for entry in &entries {
        let expr = planner.parse(*entry)?;
        let name = match expr.as_path() {
            _ if is_map => planner.field_name(*entry),
            Some(path) => path.name().to_owned(),
            None => {
                let hint = "write a map to name what is computed: `{ column: expression }`";
                entry.error("expected a field").hint(hint);
                return None;
            }
        };
        if read.iter().any(|(other, _, _)| *other == name) {
            entry.error(format!("two columns would be named `{name}`"));
            return None;
        }
        read.push((name, expr, *entry));
    }
    let mut entry = planner.entry.take()?;
    let mut scope = Scope::default();
    let mut good = true;
    for (name, expr, setting) in read {
        let ty = planner.type_of(&entry, setting, &expr);
        match (ty, planner.slot_of(&mut entry, setting, &expr, "columns")) {
            (Some(ty), Some(slot)) => scope = scope.with(name, Binding::Slot(slot, ty)),
            _ => good = false,
        }
    }
    entry.scope = if good { scope } else { entry.scope };
    planner.entry = Some(entry);
    good.then_some(())
}

/// The fields of events with the types of columns that take them; None where events may have any.
fn known_columns(planner: &mut NodePlanner<'_>) -> Option<Vec<(String, &'static str)>> {
    let entry = planner.entry.clone()?;
    let names = planner.draft.known(entry.stage, &entry.scope)?;
    let column = |name: String| {
        let path = crate::event::Path::field(name.clone());
        let found = planner.draft.resolve(entry.stage, &entry.scope, &path).ok()?;
        Some((name, sql_type(found.ty)))
    };
    names.into_iter().filter(|name| !is_hidden(name)).map(column).collect()
}

/// The type of a column that takes all values of a type.
fn sql_type(ty: Type) -> &'static str {
    match ty {
        _ if ty == Type::NULL => "jsonb",
        _ if ty.within(Type::BOOL) => "boolean",
        _ if ty.within(Type::INT) => "bigint",
        _ if ty.within(Type::FLOAT) => "double precision",
        _ if ty.within(Type::NUMBER) => "numeric",
        _ if ty.within(Type::TIMESTAMP) => "timestamptz",
        _ if ty.within(Type::TEXT) => "text",
        _ if ty.within(Type::BYTES) => "bytea",
        _ => "jsonb",
    }
}

#[derive(Debug)]
struct PostgresSinkPlan {
    job: Job,
    /// Room that keeps events apart.
    address: Vec<Template>,
}

impl SinkPlan for PostgresSinkPlan {
    fn describe(&self) -> String {
        let Job { server, table, mode, key, .. } = &self.job;
        let by = if *mode == Mode::Upsert { format!(" by {}", key.join(", ")) } else { String::new() };
        format!("postgres {} {table}{by} at {}", mode.word(), server.secrets.mask(&server.shown))
    }

    fn address(&self) -> &[Template] {
        &self.address
    }

    fn takes_messages(&self) -> bool {
        true
    }

    fn chooses_format(&self) -> bool {
        false
    }

    fn gather(&mut self, batching: Batching) -> bool {
        self.job.batching = batching;
        true
    }

    fn replaces(&self) -> bool {
        self.job.mode == Mode::Upsert
    }

    fn delivers_exactly_once(&self) -> bool {
        true
    }

    fn keeps_marker(&self) -> bool {
        true
    }

    fn deliver_exactly_once(&mut self) {
        self.job.exactly_once = true;
    }

    fn refuses(&self) -> bool {
        true
    }

    fn probe(&self) -> Option<Probed> {
        Some(postgres::probe(&self.job))
    }

    fn sink(&self, _preamble: Vec<u8>) -> Box<dyn Sink> {
        Box::new(Writing::new(Arc::new(self.job.clone())))
    }
}
