//! `lookup`: adds columns of a table's row to each event.

use super::answers::wait_for_answers;
use super::join::{Temporal, plan_temporal};
use crate::config::{Role, Section, Setting, read};
use crate::dataflow::{
    Address, Binding, ComponentSpec, MAIN, MatchKey, NodePlanner, Operator, OptionKind, OptionSpec, Origin,
    Output, Point, Ports, Scope, StartContext, StepPlan, TableId, TableRows, TableView, TransformSpec,
};
use crate::event::{Batch, Kind, Path, Reason, Row, Slot, Value};
use crate::expr::{BinaryOp, Expr, Node};

/// The registry entry.
pub const LOOKUP: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: false };

const SPEC: ComponentSpec = ComponentSpec {
    name: "lookup",
    role: Role::Transform,
    summary: "Looks each event up in a table by its key and adds columns of the row that it finds. Events meet what the table \
              holds when they come by: it has no history. In a table that a node fills (`from`) they meet the row that is the \
              latest as of their own time: they wait for the watermark, and late ones leave by `NAME.late`.",
    short: None,
    options: &[
        OptionSpec::required("table", OptionKind::Text, "The table, of those under `tables`."),
        OptionSpec::required(
            "match",
            OptionKind::Expression,
            "What the columns of the table's key are equal to: `asset = device`, the column before an expression over the \
             event; for several, all of them, joined by AND. Numbers are equal by value, text never equals a number, null \
             equals nothing.",
        ),
        OptionSpec::optional(
            "select",
            OptionKind::Any(&[OptionKind::OneOrList(&OptionKind::Text), OptionKind::Map(&OptionKind::Text)]),
            "The columns that are added, or `{ field: column }`; one that the event has as a field takes its place. Absent: \
             all but the key, as the file had them when the pipeline was read.",
        ),
        OptionSpec::or(
            "missing",
            "null",
            OptionKind::Word(&["null", "reject", "drop"]),
            "What becomes of an event for which there is no row: the columns are null, or it leaves by `NAME.rejected`, or it \
             is dropped.",
        ),
    ],
    later: &[],
    example: "\
transforms:
  placed:
    from: readings
    lookup: { table: assets, match: asset = device, select: { hall: site, limit: max_temp }, missing: drop }
tables:
  assets: { file: { path: data/assets.csv }, format: { csv: { types: { max_temp: float } } }, key: [asset] }
tests:
  - name: the row of the device is found
    tables: { assets: [{ asset: d1, site: A, max_temp: 80.0 }] }
    steps:
      - send: { readings: [{ device: d1, temp: 20.5 }, { device: d9, temp: 1 }] }
      - expect: { out: [{ device: d1, temp: 20.5, hall: A, limit: 80.0 }] }
        exact: true
",
};

/// What becomes of an event for which there is no row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Missing {
    Null,
    Reject,
    Drop,
}

impl Missing {
    fn words(self) -> &'static str {
        match self {
            Missing::Null => "what is not there is null",
            Missing::Reject => "events without a row are rejected",
            Missing::Drop => "events without a row are dropped",
        }
    }
}

const MISSING: &[(&str, Missing)] =
    &[("null", Missing::Null), ("reject", Missing::Reject), ("drop", Missing::Drop)];

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let missing = section.or("missing", Missing::Null, read::word(MISSING, &[]));
    if let Some((name, key)) = filled(planner, &section) {
        return as_of(planner, at, &section, &name, &key, missing);
    }
    let table = section.required("table", |setting| planner.table(setting));
    let matching = section.required("match", Some);
    let (table, matching) = (table?, matching?);
    let mut at = at.clone();
    let outline = TableOutline::of(planner, table);
    let key = match_key(planner, &mut at, &outline, matching);
    let Some(fields) = selected(planner, &section, &outline)? else {
        key?;
        return Some(vec![(String::new(), anything(planner))]);
    };
    let key = key?;
    if let Some(address) = planner.draft.tables[usize::from(table.0)].plan.address().cloned() {
        return Some(ask_server(planner, &at, table, (address, key), &fields, missing));
    }
    let (mut columns, mut scope) = (Vec::new(), at.scope.clone());
    for (field, column) in &fields {
        let ty = planner.draft.tables[usize::from(table.0)].plan.type_of(column);
        let slot = planner.draft.slot(at.stage, field.clone(), ty);
        columns.push((planner.draft.tables[usize::from(table.0)].layout.column(column), slot));
        scope = scope.with(field.clone(), Binding::Slot(slot, ty));
    }
    let name = planner.draft.tables[usize::from(table.0)].name.clone();
    let text = matching.node.scalar().unwrap_or_default().trim().to_owned();
    let plan = LookupPlan { name, text, table, key, columns, missing };
    let step = planner.attach(&at, Box::new(plan));
    Some(vec![(String::new(), planner.behind(&at, step, MAIN, scope))])
}

/// Lets events wait for answers, and judges them behind that.
fn ask_server(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    table: TableId,
    ask: (Address, Vec<Slot>),
    fields: &[(String, String)],
    missing: Missing,
) -> Ports {
    let (behind, status) = wait_for_answers(planner, at, table, ask, fields);
    let name = planner.draft.tables[usize::from(table.0)].name.clone();
    // Rejected events are as they came in.
    let plain = Point { scope: Scope::origin(), ..behind.clone() };
    let step = planner.attach(&plain, Box::new(JudgePlan { name, status, missing }));
    vec![(String::new(), planner.behind(&behind, step, MAIN, behind.scope.clone()))]
}

/// A table as far as planning a lookup needs to know it.
struct TableOutline {
    name: String,
    /// The columns of its key.
    key: Vec<String>,
    /// All its columns, where they are known.
    columns: Option<Vec<String>>,
    /// Whether it cannot be read, which is told elsewhere.
    is_faulty: bool,
}

impl TableOutline {
    fn of(planner: &NodePlanner<'_>, table: TableId) -> TableOutline {
        let table = &planner.draft.tables[usize::from(table.0)];
        TableOutline {
            name: table.name.clone(),
            key: table.layout.key().to_vec(),
            columns: table.plan.columns().map(<[String]>::to_vec),
            is_faulty: table.plan.fault().is_some(),
        }
    }
}

/// The name and key of the table if a node fills it.
fn filled(planner: &NodePlanner<'_>, section: &Section<'_>) -> Option<(String, Vec<String>)> {
    let name = section.get("table")?.node.scalar()?;
    Some((name.to_owned(), planner.temporal.get(name)?.clone()))
}

/// Plans a lookup in a table that a node fills: its latest rows as of each event's time.
fn as_of(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    section: &Section<'_>,
    name: &str,
    key: &[String],
    missing: Missing,
) -> Option<Ports> {
    let matching = section.required("match", Some);
    let (_, rows) = planner.sides.first().cloned()?;
    let columns = planner.draft.known(rows.stage, &rows.scope);
    let outline = TableOutline { name: name.to_owned(), key: key.to_vec(), columns, is_faulty: false };
    let (mut at, matching) = (at.clone(), matching?);
    if let Some((known, strange)) = outline.columns.as_ref().and_then(|known| {
        let strange = key.iter().find(|column| !known.contains(column))?;
        Some((known, strange))
    }) {
        let message = format!("what fills table `{name}` has no field `{strange}`, which is its key");
        planner.faults.unknown(matching, message, strange, known.iter().map(String::as_str));
        return None;
    }
    let slots = match_key(planner, &mut at, &outline, matching);
    let fields = selected(planner, section, &outline)?;
    let temporal = Temporal {
        name: name.to_owned(),
        text: matching.node.scalar().unwrap_or_default().trim().to_owned(),
        rows,
        key: key.iter().cloned().zip(slots?).collect(),
        fields: fields?,
        all: missing == Missing::Null,
        rejects: missing == Missing::Reject,
    };
    Some(vec![(String::new(), plan_temporal(planner, &at, temporal)?)])
}

/// The slots of what each column of the key is equal to, in the order of the key.
fn match_key(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    TableOutline { name, key, .. }: &TableOutline,
    setting: Setting<'_>,
) -> Option<Vec<Slot>> {
    let expr = planner.parse(setting)?;
    let all = if let Node::And(all) = &expr.node { all.as_slice() } else { std::slice::from_ref(&expr) };
    let mut slots: Vec<Option<Slot>> = vec![None; key.len()];
    for equation in all {
        let Some((number, value)) = sides(equation, key) else {
            let reported =
                setting.error(format!("`{equation}` does not say what a column of the key is equal to"));
            let first = key.first().map_or("column", String::as_str);
            reported.hint(format!("write `{first} = expression`, the column of `{name}` first"));
            return None;
        };
        if slots[number].is_some() {
            setting.error(format!("`{}` is compared twice", key[number]));
            return None;
        }
        slots[number] = Some(planner.slot_of(at, setting, value, "lookup")?);
    }
    if let Some(number) = slots.iter().position(Option::is_none) {
        let reported = setting.error(format!("it does not say what `{}` is equal to", key[number]));
        reported.hint(format!("the key of `{name}` is {}, and all of it must match", key.join(", ")));
    }
    slots.into_iter().collect()
}

/// The number of the key's column that is compared, and with what.
fn sides<'e>(equation: &'e Expr, key: &[String]) -> Option<(usize, &'e Expr)> {
    let Node::Binary(BinaryOp::Equal, left, right) = &equation.node else { return None };
    let path: &Path = left.as_path()?;
    let number = key.iter().position(|column| column == path.root() && path.rest().is_empty())?;
    Some((number, right))
}

/// The fields that are added, with the columns that they come from. The inner None: nobody knows the columns, as the file
/// cannot be read, which is told elsewhere.
fn selected(
    planner: &NodePlanner<'_>,
    section: &Section<'_>,
    table: &TableOutline,
) -> Option<Option<Vec<(String, String)>>> {
    let known = table.columns.as_deref();
    let Some(setting) = section.get("select") else {
        if known.is_none() && !table.is_faulty {
            let reported = section.error(format!("`lookup` in table `{}` needs `select`", table.name));
            reported.hint("only who is asked knows what columns it has");
            return None;
        }
        let other = |column: &&String| !table.key.contains(column);
        let pair = |column: &String| (column.clone(), column.clone());
        return Some(known.map(|columns| columns.iter().filter(other).map(pair).collect()));
    };
    let is_map = setting.node.entries().is_some();
    let items = if is_map { setting.entries()? } else { setting.one_or_items() };
    let mut fields: Vec<(String, String)> = Vec::new();
    for item in items {
        let column = read::text(item)?;
        let field = if is_map { planner.field_name(item) } else { column.to_owned() };
        if is_map && !planner.is_name(item) {
            return None;
        }
        if fields.iter().any(|(known, _)| *known == field) {
            item.error(format!("`{field}` is selected twice"));
            return None;
        }
        if let Some(known) = known.filter(|known| !known.iter().any(|name| name == column)) {
            let message = format!("table `{}` has no column `{column}`", table.name);
            planner.faults.unknown(item, message, column, known.iter().map(String::as_str));
            return None;
        }
        fields.push((field, column.to_owned()));
    }
    Some(Some(fields))
}

/// A point with any fields: what stands behind a table that cannot be read is planned all the same, and never runs.
fn anything(planner: &mut NodePlanner<'_>) -> Point {
    let decoding = planner.draft.decoding(None);
    let stage = planner.draft.stage(Origin::Decoded(decoding));
    Point { stage, behind: None, scope: Scope::origin() }
}

/// Keeps events by what came of asking for their row.
#[derive(Clone, Debug)]
struct JudgePlan {
    /// The name of the table.
    name: String,
    /// True for a row, null for none, a text that says why the answer cannot be used.
    status: Slot,
    missing: Missing,
}

impl StepPlan for JudgePlan {
    fn describe(&self) -> String {
        format!("lookup in {}", self.name)
    }

    fn details(&self) -> Vec<String> {
        vec![self.missing.words().to_owned()]
    }

    fn start(&self, _context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Judge { plan: self.clone() })
    }
}

struct Judge {
    plan: JudgePlan,
}

impl Operator for Judge {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let JudgePlan { name, status, missing } = &self.plan;
        let mut dropped = 0;
        rows.retain(|&row| {
            let status = batch.get(row, *status);
            let why = match (status.kind(), missing) {
                (Kind::Bool, _) | (Kind::Null, Missing::Null) => return true,
                (Kind::Null, Missing::Drop) => {
                    dropped += 1;
                    return false;
                }
                (Kind::Null, Missing::Reject) => no_row(name),
                _ => Reason::expression(format!("table `{name}`: {}", batch.text(status))),
            };
            out.reject(batch, row, why);
            false
        });
        if dropped > 0 {
            out.discard("not_found", dropped);
        }
    }
}

fn no_row(table: &str) -> Reason {
    Reason::expression(format!("table `{table}` has no row for it"))
}

/// Adds columns of the row that a table has for an event.
#[derive(Clone, Debug)]
struct LookupPlan {
    /// The name of the table.
    name: String,
    /// What matches, as written.
    text: String,
    table: TableId,
    /// What the columns of the table's key are equal to, in their order.
    key: Vec<Slot>,
    /// Slots in the table and in the batch.
    columns: Vec<(Slot, Slot)>,
    missing: Missing,
}

impl StepPlan for LookupPlan {
    fn describe(&self) -> String {
        format!("lookup in {} where {}", self.name, self.text)
    }

    fn details(&self) -> Vec<String> {
        vec![self.missing.words().to_owned()]
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let table = context.table(self.table).view();
        Box::new(Lookup {
            plan: self.clone(),
            table,
            key: MatchKey::default(),
            copied: Vec::new(),
            last: None,
        })
    }
}

struct Lookup {
    plan: LookupPlan,
    table: TableView,
    key: MatchKey,
    /// The cells of the row that was found last, in the arena of the batch at hand: events of one key often come together.
    copied: Vec<Value>,
    last: Option<Row>,
}

impl Lookup {
    /// Whether the event goes on.
    fn look_up(&mut self, batch: &mut Batch, row: Row) -> bool {
        let is_key = self.key.read(batch, row, &self.plan.key);
        let found = self.table.rows().and_then(|rows| Some((rows, rows.find(&self.key)?))).filter(|_| is_key);
        let Some((rows, found)) = found else {
            self.plan.columns.iter().for_each(|(_, slot)| batch.set(row, *slot, Value::NULL));
            return self.plan.missing == Missing::Null;
        };
        if self.last != Some(found) {
            self.last = Some(found);
            copy(rows, found, &self.plan.columns, batch, &mut self.copied);
        }
        for ((_, slot), value) in self.plan.columns.iter().zip(&self.copied) {
            batch.set(row, *slot, *value);
        }
        true
    }
}

/// Brings cells of a table's row into the batch.
fn copy(rows: &TableRows, found: Row, columns: &[(Slot, Slot)], batch: &mut Batch, into: &mut Vec<Value>) {
    into.clear();
    for (column, _) in columns {
        let value = batch.adopt(rows.batch(), rows.batch().get(found, *column));
        into.push(value);
    }
}

impl Operator for Lookup {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.table.look();
        self.last = None;
        let before = rows.len();
        rows.retain(|&row| {
            let goes_on = self.look_up(batch, row);
            if !goes_on && self.plan.missing == Missing::Reject {
                out.reject(batch, row, no_row(&self.plan.name));
            }
            goes_on
        });
        let gone = before - rows.len();
        if gone > 0 && self.plan.missing == Missing::Drop {
            out.discard("not_found", gone as u64);
        }
    }
}
