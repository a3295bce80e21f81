//! `fill`: events at irregular times become rows of a regular grid in event time.

mod series;

use crate::config::{Role, Setting, read};
use crate::dataflow::{
    Codec, ColdKeys, ComponentSpec, KeyField, KeyId, KeyedState, MAIN, NodePlanner, Operator, OptionKind,
    OptionSpec, Origin, Output, Point, Ports, Saved, Saving, Scope, Signal, StageId, StartContext, StepPlan,
    TransformSpec, key_names,
};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, Row, Slot, Value};
use crate::expr::{self, Type};
use crate::time::{Env, Millis, Timestamp};
use series::{Grid, Method, Series};
use std::collections::BTreeSet;

/// The registry entry.
pub const FILL: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const SPEC: ComponentSpec = ComponentSpec {
    name: "fill",
    role: Role::Transform,
    summary: "Puts out a row for each key at each multiple of a span since the epoch: key, fields, `time`; from the key's \
              first event on, as far as the watermark has come, and for `max_gap` after its last.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required("every", OptionKind::Duration, "How far rows are apart."),
        OptionSpec::required(
            "fields",
            OptionKind::Map(&OptionKind::Word(&["last", "linear", "null"])),
            "What stands in each field: the `last` value that is not null; the number on a straight line to the next \
             one, which is waited for; or `null` but for what an event has exactly then.",
        ),
        OptionSpec::optional(
            "max_gap",
            OptionKind::Duration,
            "How long rows go on without events, and how far a straight line reaches; then the key begins anew. Absent: 10 \
             times `every`.",
        ),
    ],
    later: &[],
    example: "\
sources:
  readings: { stdin: {}, event_time: { field: ts } }
transforms:
  grid:
    from: readings
    fill: { key: [device], every: 1m, fields: { level: linear } }
tests:
  - name: minutes between two readings lie on a straight line
    steps:
      - send: { readings: [{ device: d1, level: 0, ts: 0 }, { device: d1, level: 5, ts: 150000 }] }
      - watermark: { readings: 150s }
      - expect:
          out:
            - { device: d1, level: 0.0, time: 0 }
            - { device: d1, level: 2.0, time: 60000 }
            - { device: d1, level: 4.0, time: 120000 }
",
};

const TIME: &str = "time";

/// Rows that a key without events can give.
const MOST_ROWS: i64 = 100_000;

/// `max_gap` where it is not given, in multiples of `every`.
const USUAL_ROWS: i64 = 10;

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let every = section.required("every", read::positive_duration);
    let max_gap = section.get("max_gap").map(|setting| (setting, read::positive_duration(setting)));
    let named = section.required("fields", |setting| fields(planner, setting));
    if planner.ordered == Some(false) {
        setting.error("`fill` needs events in order of event time").hint("leave `ordered: false` away");
        return None;
    }
    let taken: Vec<&str> = named.iter().flatten().map(|field| field.name.as_str()).chain([TIME]).collect();
    let (mut at, key) = planner.keyed(at, &section, &taken, true)?;
    let (named, every) = (named?, every?);
    let max_gap = match max_gap {
        None => Millis(every.0.saturating_mul(USUAL_ROWS)),
        Some((setting, gap)) => gap.filter(|gap| {
            let good = gap.0 >= every.0 && gap.0 / every.0 <= MOST_ROWS;
            if !good {
                setting.error(format!("`max_gap` is 1 to {MOST_ROWS} times `every`, which is {every}"));
            }
            good
        })?,
    };
    let by = planner.by(&at, &key);
    let mut slots = Vec::new();
    let mut types = Vec::new();
    for field in &named {
        let ty = planner.type_of(&at, field.setting, &field.expr)?;
        if field.method == Method::Linear && !ty.meets(Type::NUMBER) {
            field.setting.error(format!("`{}` is {}, not a number", field.name, ty.noun()));
            return None;
        }
        let slot = planner.slot_of(&mut at, field.setting, &field.expr, "fill")?;
        slots.push((field.name.clone(), slot));
        types.push(if field.method == Method::Linear { Type::FLOAT } else { ty });
    }
    let stage =
        output_stage(planner, &at, &key, named.iter().zip(&types).map(|(f, ty)| (f.name.clone(), *ty)));
    let plan = FillPlan {
        text: format!("fill every {every}{by}"),
        names: key_names(&key),
        written: named.iter().map(|field| format!("{} {}", field.name, field.method.word())).collect(),
        key: key.iter().map(|field| field.slot).collect(),
        grid: Grid { every, max_gap, methods: named.iter().map(|field| field.method).collect() },
        from: slots,
    };
    let step = planner.attach(&at, Box::new(plan));
    planner.draft.emit_to(step, MAIN, stage);
    Some(vec![(String::new(), Point { stage, behind: None, scope: Scope::origin() })])
}

/// A field as written.
struct Field<'a> {
    name: String,
    expr: expr::Expr,
    method: Method,
    setting: Setting<'a>,
}

/// Reads `fields`: paths, and how each is filled.
fn fields<'a>(planner: &NodePlanner<'_>, setting: Setting<'a>) -> Option<Vec<Field<'a>>> {
    let entries = setting.entries()?;
    if entries.is_empty() {
        setting
            .error("`fields` is empty")
            .hint("write `name: last`, `name: linear` or `name: null` lines below it");
        return None;
    }
    let words = Method::ALL.map(|method| (method.word(), method));
    let mut fields: Vec<Field<'a>> = Vec::new();
    let count = entries.len();
    for entry in entries {
        let method = read::word(&words, &[])(entry);
        let path = expr::parse(entry.name).ok().filter(|expr| expr.as_path().is_some());
        let Some(expr) = path else {
            planner.faults.error(entry.key, "expected the name of a field");
            continue;
        };
        let name = expr.as_path().map(|path| path.name().to_owned()).unwrap_or_default();
        if name == TIME || fields.iter().any(|field| field.name == name) {
            planner
                .faults
                .error(entry.key, format!("the output has a field `{name}` already"))
                .hint("rename it by `select` in a transform before");
            continue;
        }
        fields.extend(method.map(|method| Field { name, expr, method, setting: entry }));
    }
    (fields.len() == count).then_some(fields)
}

/// The stage of rows: key fields, fields, `time`.
fn output_stage(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    key: &[KeyField],
    fields: impl Iterator<Item = (String, Type)>,
) -> StageId {
    let keys = key.iter().map(|field| (field.name.clone(), field.ty));
    let all = keys.chain(fields).chain([(TIME.to_owned(), Type::TIMESTAMP)]).enumerate();
    let fields = all.map(|(i, (name, ty))| (name, Slot(i as u16), ty)).collect();
    let live = planner.draft.at(at.stage).live;
    let stage = planner.draft.stage(Origin::Made { fields, whole: false });
    planner.draft.at(stage).live = live;
    stage
}

/// Lays a grid through the events of each key.
#[derive(Clone, Debug)]
pub(super) struct FillPlan {
    pub(super) text: String,
    pub(super) names: String,
    /// The fields and how they are filled, for people.
    written: Vec<String>,
    key: Vec<Slot>,
    grid: Grid,
    /// The name of each field, and where it stands.
    from: Vec<(String, Slot)>,
}

impl StepPlan for FillPlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn details(&self) -> Vec<String> {
        let gap = self.grid.max_gap;
        let waits = self.grid.methods.contains(&Method::Linear);
        let rows = if waits { ", and its rows that wait for their next value" } else { "" };
        vec![
            self.written.join(", "),
            format!(
                "state for each key, until it had no event for {gap}: its last value of each field{rows}"
            ),
        ]
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 every {} {:?} {}", self.grid.every, self.written, self.names))
    }

    fn spills(&self) -> bool {
        true
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let places = self.key.len() as u16;
        let fields = self.from.len() as u16;
        Box::new(Fill {
            grid: self.grid.clone(),
            from: self.from.clone(),
            keys: KeyedState::durable(self.key.clone(), context.hash_seed, context.durable),
            waiting: BTreeSet::new(),
            into: Layout {
                key: (0..places).map(|slot| Some(Slot(slot))).collect(),
                fields: Slot(places),
                time: Slot(places + fields),
            },
            reached: Timestamp::MIN,
            passed: Timestamp::MIN,
        })
    }
}

/// Where things go in a row that is put out.
struct Layout {
    key: Vec<Option<Slot>>,
    /// The slot of the first field; the others follow.
    fields: Slot,
    time: Slot,
}

/// Rows come in order of event time. A row of the grid is laid when the watermark has gone beyond its time, so that all
/// events up to it are known. It leaves then, or, with a straight line in it, when the end of that is known; until then
/// the watermark behind stays at it.
struct Fill {
    grid: Grid,
    from: Vec<(String, Slot)>,
    keys: KeyedState<Series>,
    /// For each key with rows that wait: the time of the first.
    waiting: BTreeSet<(Timestamp, u32)>,
    into: Layout,
    /// The watermark as far as it came in.
    reached: Timestamp,
    /// The watermark as far as it was handed on.
    passed: Timestamp,
}

impl Fill {
    /// Event time goes on to here.
    fn advance(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        while let Some((due, key)) = self.keys.take_due(watermark) {
            self.pass(due - Millis(1));
            self.reach(key, due, out);
        }
        self.reached = self.reached.max(watermark);
        self.pass(self.reached);
    }

    /// No row will leave with an earlier time.
    fn pass(&mut self, watermark: Timestamp) {
        let held = self.waiting.first().map_or(watermark, |(first, _)| watermark.min(*first));
        self.passed = self.passed.max(held);
    }

    /// The watermark is at `due`, so that all events of the key before are known.
    fn reach(&mut self, key: KeyId, due: Timestamp, out: &mut dyn Output) {
        let before = self.keys.entry(key).item.first_waiting();
        let next = self.keys.item(key).reach(&self.grid, due);
        self.release(key, before, out);
        match next {
            Some(next) => self.keys.set_due(key, next),
            None => self.keys.forget(key),
        }
    }

    /// Puts out the rows of a key that wait for nothing any more. `before` is the time of its first row before the change.
    fn release(&mut self, key: KeyId, before: Option<Timestamp>, out: &mut dyn Output) {
        while let Some(time) = self.keys.entry(key).item.first_finished() {
            let into = out.emit(MAIN);
            let row = into.push_row(time, self.passed);
            self.keys.entry(key).write(into, row, &self.into.key);
            self.keys.item(key).take_first(&self.grid, |field, kept| {
                let value = kept.write(into);
                into.set(row, Slot(self.into.fields.0 + field as u16), value);
            });
            into.set(row, self.into.time, Value::timestamp(time.0));
        }
        let first = self.keys.entry(key).item.first_waiting();
        if first != before {
            before.map(|time| self.waiting.remove(&(time, key.0)));
            first.map(|time| self.waiting.insert((time, key.0)));
        }
    }

    fn take(&mut self, batch: &Batch, row: Row, out: &mut dyn Output) -> Result<(), Reason> {
        for ((name, slot), method) in self.from.iter().zip(&self.grid.methods) {
            let value = batch.get(row, *slot);
            if *method == Method::Linear && !value.is_null() && value.as_number().is_none() {
                return Err(Reason::expression(format!("`{name}` is {}, not a number", value.kind().name())));
            }
        }
        let time = batch.times[row.index()];
        let key = match self.keys.find() {
            Some(key) => key,
            None => {
                let key = self.keys.insert(batch, row);
                *self.keys.item(key) = Series::new(&self.grid, time);
                key
            }
        };
        let series = self.keys.item(key);
        let before = series.first_waiting();
        for (field, (_, slot)) in self.from.iter().enumerate() {
            series.take(&self.grid, field, time, batch, batch.get(row, *slot));
        }
        let due = series.seen(&self.grid, time);
        if self.keys.due(key).is_none() {
            self.keys.set_due(key, due);
        }
        self.release(key, before, out);
        self.pass(self.reached);
        Ok(())
    }
}

impl Operator for Fill {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.keys.read(batch, rows);
        for row in rows.drain(..) {
            self.advance(batch.watermarks[row.index()], out);
            let taken = self.take(batch, row, out);
            self.keys.advance();
            if let Err(reason) = taken {
                out.reject(batch, row, reason);
            }
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        match signal {
            Signal::Watermark(watermark) => {
                self.advance(watermark, out);
                out.signal(MAIN, Signal::Watermark(self.passed));
            }
            Signal::Idle(_) | Signal::Tick | Signal::Flush | Signal::End => out.signal(MAIN, signal),
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.keys.save(into, Series::put);
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        let key = self.keys.load(saved, |reader| Series::take_back(&self.grid, reader))?;
        let first = self.keys.entry(key).item.first_waiting();
        first.map(|time| self.waiting.insert((time, key.0)));
        Ok(())
    }

    fn unsaved(&mut self) -> usize {
        self.keys.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        let grid = self.grid.clone();
        let codec = Codec::new(Series::put, move |reader| Series::take_back(&grid, reader));
        // What waits holds back the watermark.
        self.keys.spill(cold, Codec { stays: |series| series.first_waiting().is_some(), ..codec });
    }
}
