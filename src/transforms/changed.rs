//! `changed`: an event goes on only when a value has moved since the last one that did.

use super::deadband::Deadband;
use super::retain::retain;
use crate::config::{Role, Setting, StateTtl, read};
use crate::dataflow::{
    Codec, ColdKeys, ComponentSpec, KeyField, KeyedState, MAIN, NodePlanner, Operator, OptionKind,
    OptionSpec, Output, Point, Ports, Saved, Saving, Signal, StartContext, StepPlan, TransformSpec,
    key_names,
};
use crate::event::bytes::{Malformed, Reader, put_time};
use crate::event::{Batch, Kept, Row, Slot};
use crate::expr::Type;
use crate::time::{Env, Millis, Timestamp};

/// The registry entry.
pub const CHANGED: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const BAND: OptionKind = OptionKind::Any(&[OptionKind::Number, OptionKind::Text]);

const SPEC: ComponentSpec = ComponentSpec {
    name: "changed",
    role: Role::Transform,
    summary: "Keeps an event only when a value has moved since the last event of its key that passed; the first one passes. \
              Events are compared in the order in which they arrive.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required(
            "fields",
            OptionKind::Any(&[
                OptionKind::OneOrList(&OptionKind::Expression),
                OptionKind::Map(&OptionKind::Expression),
            ]),
            "The values: fields or expressions, or a map of names and expressions; one that has moved is enough. From a value \
             to null and back are changes.",
        ),
        OptionSpec::optional(
            "deadband",
            OptionKind::Any(&[OptionKind::Number, OptionKind::Text, OptionKind::Map(&BAND)]),
            "Numbers must move by more than this, `0.5` or `2%` of the value that passed last; or a map of fields, \
             each with its own. Absent, and for all that is no number: any change.",
        ),
        OptionSpec::optional(
            "at_least_every",
            OptionKind::Duration,
            "An event passes also when the last one that did is at least this far before it in event time.",
        ),
    ],
    later: &[],
    example: "\
sources:
  readings: { stdin: {}, event_time: { field: ts } }
transforms:
  reported:
    from: readings
    changed: { key: [device], fields: [temp], deadband: 0.5, at_least_every: 10m }
tests:
  - name: more than half a degree from the reading before that passed, or ten minutes behind it
    steps:
      - send:
          readings:
            - { device: d1, temp: 20.0, ts: 0 }
            - { device: d1, temp: 20.4, ts: 60000 }
            - { device: d1, temp: 20.6, ts: 120000 }
            - { device: d1, temp: 20.6, ts: 720000 }
      - expect: { out: [{ temp: 20.0, ts: 0 }, { temp: 20.6, ts: 120000 }, { temp: 20.6, ts: 720000 }] }
",
};

/// A value that is watched.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) slot: Slot,
    pub(super) ty: Type,
    pub(super) deadband: Deadband,
}

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let at_least_every = section.optional("at_least_every", read::positive_duration);
    let (mut at, key) = planner.keyed(at, &section, &[], false)?;
    let mut fields = section.required("fields", |setting| watched(planner, &mut at, &key, setting))?;
    if let Some(setting) = section.get("deadband") {
        deadbands(setting, &mut fields)?;
    }
    // Else what passed last is forgotten by itself.
    let ttl = if at_least_every.is_none() { planner.state_ttl() } else { StateTtl(None) };
    let text = format!("keep what changed{}", planner.by(&at, &key));
    let names = key_names(&key);
    let key = key.iter().map(|field| field.slot).collect();
    let step = planner.attach(&at, Box::new(ChangedPlan { text, names, key, fields, at_least_every, ttl }));
    Some(vec![(String::new(), planner.behind(&at, step, MAIN, at.scope.clone()))])
}

/// Reads `fields`.
fn watched(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    key: &[KeyField],
    setting: Setting<'_>,
) -> Option<Vec<Watched>> {
    let named = setting.node.entries().is_some();
    let items = if named { setting.entries()? } else { setting.one_or_items() };
    if items.is_empty() {
        setting.error("`fields` is empty");
        return None;
    }
    let mut fields: Vec<Watched> = Vec::new();
    for item in items {
        let (written, expr) = planner.parse_by(at, key, item)?;
        let name = if named { planner.field_name(item) } else { written };
        if fields.iter().any(|field| field.name == name) {
            item.error(format!("`{name}` is watched twice"));
            return None;
        }
        let ty = planner.type_of(at, item, &expr)?;
        let slot = planner.slot_of(at, item, &expr, "changed")?;
        fields.push(Watched { name, slot, ty, deadband: Deadband::None });
    }
    Some(fields)
}

/// Reads `deadband`: one for all numbers, or one for each of some fields.
fn deadbands(setting: Setting<'_>, fields: &mut [Watched]) -> Option<()> {
    if setting.node.entries().is_none() {
        let deadband = Deadband::read(setting)?;
        if !fields.iter().any(|field| field.ty.meets(Type::NUMBER)) {
            setting.error("a deadband is for numbers, and none of `fields` is one");
            return None;
        }
        fields.iter_mut().for_each(|field| field.deadband = deadband);
        return Some(());
    }
    let mut good = true;
    for entry in setting.entries()? {
        let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        let Some(field) = fields.iter_mut().find(|field| field.name == entry.name) else {
            let message = format!("`{}` is none of `fields`", entry.name);
            setting.faults.unknown(entry.key, message, entry.name, names.iter().map(String::as_str));
            good = false;
            continue;
        };
        match Deadband::read(entry) {
            Some(_) if !field.ty.meets(Type::NUMBER) => {
                entry.error(format!(
                    "a deadband is for numbers, and `{}` is {}",
                    field.name,
                    field.ty.noun()
                ));
                good = false;
            }
            Some(deadband) => field.deadband = deadband,
            None => good = false,
        }
    }
    good.then_some(())
}

/// Keeps rows of which a value has moved.
#[derive(Clone, Debug)]
pub struct ChangedPlan {
    pub(super) text: String,
    pub(super) names: String,
    pub(super) key: Vec<Slot>,
    pub(super) fields: Vec<Watched>,
    pub(super) at_least_every: Option<Millis>,
    pub(super) ttl: StateTtl,
}

impl StepPlan for ChangedPlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn details(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.fields.iter().map(|field| format!("{}{}", field.name, field.deadband)).collect();
        let state = "state: the values of a key that passed last";
        match self.at_least_every {
            Some(span) => {
                lines.push(format!("at least every {span}"));
                lines.push(format!("{state}, until the watermark is {span} past them"));
            }
            None => lines.push(format!("{state}, {}", self.ttl.words())),
        }
        lines
    }

    fn state(&self) -> Option<String> {
        let fields: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
        Some(format!("1 the last of {fields:?} {}", self.names))
    }

    fn spills(&self) -> bool {
        self.ttl.0.is_none()
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Changed {
            fields: self.fields.iter().map(|field| (field.slot, field.deadband)).collect(),
            at_least_every: self.at_least_every,
            passed: KeyedState::durable(self.key.clone(), context.hash_seed, context.durable)
                .forgetting(self.ttl),
        })
    }
}

/// What passed last of a key.
struct Passed {
    values: Box<[Kept]>,
    time: Timestamp,
}

impl Default for Passed {
    fn default() -> Passed {
        Passed { values: Box::default(), time: Timestamp::MIN }
    }
}

struct Changed {
    fields: Vec<(Slot, Deadband)>,
    at_least_every: Option<Millis>,
    passed: KeyedState<Passed>,
}

impl Changed {
    /// Forgets the keys of which any event passes but a late one.
    fn reach(&mut self, watermark: Timestamp) {
        while let Some((_, key)) = self.passed.take_due(watermark) {
            self.passed.forget(key);
        }
        self.passed.reach(watermark);
    }

    fn passes(&mut self, batch: &Batch, row: Row) -> bool {
        let time = batch.times[row.index()];
        let found = self.passed.meet(batch, row);
        if let Some(key) = found {
            let last = &self.passed.entry(key).item;
            let is_due = self.at_least_every.is_some_and(|span| time >= last.time + span);
            let mut values = self.fields.iter().zip(&last.values);
            let is_left = values.any(|((slot, band), last)| band.is_left(last, batch, batch.get(row, *slot)));
            if !is_due && !is_left {
                return false;
            }
        }
        let key = found.unwrap_or_else(|| self.passed.insert(batch, row));
        let last = self.passed.item(key);
        last.time = time;
        if last.values.is_empty() {
            last.values =
                self.fields.iter().map(|(slot, _)| Kept::of(batch, batch.get(row, *slot))).collect();
        } else {
            for ((slot, _), value) in self.fields.iter().zip(&mut last.values) {
                value.replace(batch, batch.get(row, *slot));
            }
        }
        if let Some(span) = self.at_least_every {
            self.passed.set_due(key, time.max(batch.watermarks[row.index()]) + span);
        }
        true
    }
}

impl Passed {
    fn put(&self, into: &mut Vec<u8>) {
        put_time(into, self.time);
        self.values.iter().for_each(|value| value.put(into));
    }

    fn take(fields: usize, reader: &mut Reader<'_>) -> Result<Passed, Malformed> {
        let time = reader.time()?;
        let values = (0..fields).map(|_| Kept::take(reader)).collect::<Result<_, _>>()?;
        Ok(Passed { values, time })
    }
}

impl Operator for Changed {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.passed.read(batch, rows);
        retain(batch, rows, out, "unchanged", |batch, row| {
            self.reach(batch.watermarks[row.index()]);
            let passes = self.passes(batch, row);
            self.passed.advance();
            Ok(passes)
        });
    }

    fn signal(&mut self, signal: Signal, _out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.reach(watermark);
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.passed.save(into, Passed::put);
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        let fields = self.fields.len();
        self.passed.load(saved, |reader| Passed::take(fields, reader)).map(drop)
    }

    fn unsaved(&mut self) -> usize {
        self.passed.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        let fields = self.fields.len();
        self.passed.spill(cold, Codec::new(Passed::put, move |reader| Passed::take(fields, reader)));
    }
}
