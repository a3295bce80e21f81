//! `top_n`: the changes of a ranking that goes on for ever.

use crate::config::{Role, Setting, StateTtl, read};
use crate::dataflow::{
    Binding, Codec, ColdKeys, ComponentSpec, Keeper, KeptRow, KeyedState, MAIN, NodePlanner, Operator,
    OptionKind, OptionSpec, Origin, Output, Point, Ports, RowForm, Saved, Saving, Scope, Signal,
    StartContext, StepPlan, TransformSpec, key_names,
};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::{Batch, Comparable, Kept, Reason, Row, Slot, Value};
use crate::expr::{Type, is_same};
use crate::time::{Env, Timestamp};
use std::cmp::Ordering;

/// The registry entry.
pub const TOP_N: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const SPEC: ComponentSpec = ComponentSpec {
    name: "top_n",
    role: Role::Transform,
    summary: "Ranks a key's events by a value, the greatest first, and puts out what changes: each event that comes to \
              another place with its `rank`, after what it was before with `retracted: true`.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required(
            "by",
            OptionKind::Expression,
            "What events are ranked by; of equal ones the first to arrive comes first, and null is not ranked.",
        ),
        OptionSpec::required("n", OptionKind::Integer, "How many places there are, 1 to 1000."),
    ],
    later: &[],
    example: "\
transforms:
  peaks:
    from: readings
    top_n: { key: [line], by: pressure, n: 2 }
tests:
  - name: a new first pushes the others down
    steps:
      - send: { readings: [{ line: a, pressure: 3 }, { line: a, pressure: 5 }] }
      - expect:
          out:
            - { line: a, pressure: 3, rank: 1 }
            - { line: a, pressure: 3, rank: 1, retracted: true }
            - { line: a, pressure: 5, rank: 1 }
            - { line: a, pressure: 3, rank: 2 }
",
};

const RANK: &str = "rank";
const RETRACTED: &str = "retracted";
const MOST_PLACES: i64 = 1000;

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let places = section.required("n", read::integer(1..=MOST_PLACES));
    let (mut at, key) = planner.keyed(at, &section, &[], false)?;
    let by_setting = section.required("by", Some)?;
    let (written, by) = planner.parse_by(&mut at, &key, by_setting)?;
    let ty = planner.type_of(&at, by_setting, &by)?;
    if !ty.meets(Type::SCALAR) {
        by_setting.error(format!("`by` is {}, which has no order", ty.noun()));
        return None;
    }
    let value = planner.slot_of(&mut at, by_setting, &by, "rank")?;
    let places = places?;
    let text =
        format!("top {places} by {written}{}", planner.by(&at, &key).replacen(" by ", " for each ", 1));
    let stage = planner.draft.stage(Origin::Copied(vec![at.clone()]));
    let rank = planner.draft.slot(stage, RANK, Type::INT);
    let retracted = planner.draft.slot(stage, RETRACTED, Type::BOOL);
    let plan = TopPlan {
        text,
        names: key_names(&key),
        by: written,
        key: key.iter().map(|field| field.slot).collect(),
        value,
        places: places as usize,
        rank,
        retracted,
        ttl: planner.state_ttl(),
    };
    let step = planner.attach(&at, Box::new(plan));
    planner.draft.emit_to(step, MAIN, stage);
    let scope = Scope::origin()
        .with(RANK, Binding::Slot(rank, Type::INT))
        .with(RETRACTED, Binding::Slot(retracted, Type::BOOL));
    Some(vec![(String::new(), Point { stage, behind: None, scope })])
}

/// Ranks the events of each key.
#[derive(Clone, Debug)]
struct TopPlan {
    text: String,
    names: String,
    /// What events are ranked by, as written.
    by: String,
    key: Vec<Slot>,
    value: Slot,
    places: usize,
    rank: Slot,
    retracted: Slot,
    ttl: StateTtl,
}

impl StepPlan for TopPlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn revises(&self) -> bool {
        true
    }

    fn details(&self) -> Vec<String> {
        vec![format!("state for each key, {}: its {} foremost events", self.ttl.words(), self.places)]
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 rankings by {} {}", self.by, self.names))
    }

    fn spills(&self) -> bool {
        self.ttl.0.is_none()
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Top {
            form: context.row_form(MAIN),
            keys: KeyedState::durable(self.key.clone(), context.hash_seed, context.durable)
                .forgetting(self.ttl),
            keeper: Keeper::new(&context.copies(MAIN, 0)),
            plan: self.clone(),
        })
    }
}

/// A place in a ranking.
struct Ranked {
    value: Kept,
    row: KeptRow,
}

struct Top {
    plan: TopPlan,
    /// Each key's ranking, the foremost first.
    keys: KeyedState<Vec<Ranked>>,
    form: RowForm,
    keeper: Keeper,
}

impl Top {
    fn take(&mut self, batch: &Batch, row: Row, out: &mut dyn Output) -> Result<(), Reason> {
        let key = self.keys.meet(batch, row);
        let value = batch.get(row, self.plan.value);
        if value.is_null() {
            out.discard("not_ranked", 1);
            return Ok(());
        }
        let ranking = key.map_or(&[][..], |key| &self.keys.entry(key).item);
        self.check(ranking, batch, value)?;
        let place = ranking.partition_point(|other| compare(batch, value, other) != Ordering::Greater);
        if place >= self.plan.places {
            out.discard("not_ranked", 1);
            return Ok(());
        }
        let key = key.unwrap_or_else(|| self.keys.insert(batch, row));
        let ranked = Ranked { value: Kept::of(batch, value), row: self.keeper.keep(batch, row) };
        let change = Change { time: batch.times[row.index()], watermark: batch.watermarks[row.index()] };
        let ranking = self.keys.item(key);
        let writer = Writer { keeper: &self.keeper, rank: self.plan.rank, retracted: self.plan.retracted };
        for index in (place..ranking.len()).rev() {
            writer.write(&ranking[index], index, true, change, out);
        }
        ranking.truncate(self.plan.places - 1);
        ranking.insert(place, ranked);
        for (index, ranked) in ranking.iter().enumerate().skip(place) {
            writer.write(ranked, index, false, change, out);
        }
        Ok(())
    }

    /// Whether a value has an order, and one with those that are ranked.
    fn check(&self, ranking: &[Ranked], batch: &Batch, value: Value) -> Result<(), Reason> {
        let by = &self.plan.by;
        let Some(new) = Comparable::of(batch, value) else {
            return Err(Reason::expression(format!("`{by}` is {}, which has no order", value.kind().name())));
        };
        match ranking.first().and_then(|first| first.value.comparable()) {
            Some(old) if old.class() != new.class() => {
                let (old, new) = (Comparable::class_name(old.class()), Comparable::class_name(new.class()));
                Err(Reason::expression(format!("`{by}`: ranks {old}, not {new}")))
            }
            _ => Ok(()),
        }
    }
}

/// By value: numbers that are equal are equal, whatever their kind.
fn compare(batch: &Batch, value: Value, other: &Ranked) -> Ordering {
    if is_same((value, batch.bytes(value)), other.value.parts()) {
        return Ordering::Equal;
    }
    let (new, old) = (Comparable::of(batch, value), other.value.comparable());
    new.zip(old).map_or(Ordering::Equal, |(new, old)| new.compare(old))
}

/// When a ranking changes.
#[derive(Clone, Copy)]
struct Change {
    /// The event time of the event that changes it, and so of all that is put out.
    time: Timestamp,
    watermark: Timestamp,
}

struct Writer<'a> {
    keeper: &'a Keeper,
    rank: Slot,
    retracted: Slot,
}

impl Writer<'_> {
    fn write(&self, ranked: &Ranked, index: usize, retracted: bool, change: Change, out: &mut dyn Output) {
        let into = out.emit(MAIN);
        let row = self.keeper.write(&ranked.row, change.watermark, into);
        into.times[row.index()] = change.time;
        into.set(row, self.rank, Value::int(index as i64 + 1));
        into.set(row, self.retracted, Value::bool(retracted));
    }
}

fn put(form: &RowForm, ranking: &[Ranked], into: &mut Vec<u8>) {
    put_number(into, ranking.len() as u64);
    for ranked in ranking {
        ranked.value.put(into);
        form.put(&ranked.row, into);
    }
}

fn take(form: &RowForm, reader: &mut Reader<'_>) -> Result<Vec<Ranked>, Malformed> {
    let count = reader.count()?;
    (0..count).map(|_| Ok(Ranked { value: Kept::take(reader)?, row: form.take(reader)? })).collect()
}

impl Operator for Top {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.keys.read(batch, rows);
        for row in rows.drain(..) {
            let taken = self.take(batch, row, out);
            self.keys.advance();
            if let Err(reason) = taken {
                out.reject(batch, row, reason);
            }
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.keys.reach(watermark);
        }
        out.signal(MAIN, signal);
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        if !self.keys.is_empty() {
            self.form.save(into);
        }
        self.keys.save(into, |ranking, bytes| put(&self.form, ranking, bytes));
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        if self.form.load(saved)? {
            return Ok(());
        }
        self.keys.load(saved, |reader| take(&self.form, reader)).map(drop)
    }

    fn unsaved(&mut self) -> usize {
        self.keys.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        let [form, same] = self.form.own();
        let codec = Codec::new(
            move |ranking: &Vec<Ranked>, into| put(&form, ranking, into),
            move |reader| take(&same, reader),
        );
        self.keys.spill(cold, codec);
    }
}
