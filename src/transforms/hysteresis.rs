//! `hysteresis`: an alarm that is raised by one condition and cleared by another.

use super::retain::retain;
use super::threshold::{Direction, Threshold};
use crate::config::{Role, Section, Setting, StateTtl, read};
use crate::dataflow::{
    Binding, Codec, ColdKeys, ComponentSpec, KeyField, KeyedState, MAIN, NodePlanner, Operator, OptionKind,
    OptionSpec, Output, Point, Ports, Saved, Saving, Signal, StartContext, StepPlan, TransformSpec,
    key_names, open_options,
};
use crate::event::bytes::{Malformed, Reader, put_number, put_time};
use crate::event::{Batch, Reason, Row, Slot, Span, Value};
use crate::expr::Type;
use crate::time::{Env, Millis, Timestamp};

/// The registry entry.
pub const HYSTERESIS: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const SPEC: ComponentSpec = ComponentSpec {
    name: "hysteresis",
    role: Role::Transform,
    summary: "Raises an alarm and clears it: only an event that does so goes on, with `alarm: raised` or `cleared`. Events \
              count in the order in which they arrive; `ordered: true` puts them in order of time first.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required(
            "value",
            OptionKind::Expression,
            "The number that is watched; an event for which it is null counts for nothing.",
        ),
        OptionSpec::required("raise", OptionKind::Options(SIDE), "What raises the alarm."),
        OptionSpec::required("clear", OptionKind::Options(SIDE), "What clears it, from the other side."),
    ],
    later: &[],
    example: "\
sources:
  readings: { stdin: {}, event_time: { field: ts } }
transforms:
  alarms:
    from: readings
    hysteresis:
      key: [device]
      value: temp
      raise: { above: 80, times: 2 }
      clear: { below: 75, for: 10s }
tests:
  - name: raised by the second hot reading in a row, cleared after ten cool seconds
    steps:
      - send:
          readings:
            - { device: d1, temp: 81, ts: 0 }
            - { device: d1, temp: 79, ts: 1000 }
            - { device: d1, temp: 82, ts: 2000 }
            - { device: d1, temp: 83, ts: 3000 }
            - { device: d1, temp: 74, ts: 4000 }
            - { device: d1, temp: 73, ts: 14000 }
      - expect: { out: [{ temp: 83, alarm: raised }, { temp: 73, alarm: cleared }] }
",
};

const SIDE: &[OptionSpec] = &[
    OptionSpec::optional(
        "above",
        OptionKind::Expression,
        "The value must be above this; either this or `below`.",
    ),
    OptionSpec::optional("below", OptionKind::Expression, "The value must be below this."),
    OptionSpec::or("times", "1", OptionKind::Integer, "How many events in a row it takes."),
    OptionSpec::optional(
        "for",
        OptionKind::Duration,
        "How long they must last in event time: until an event that is this far behind the first of them.",
    ),
];

const ALARM: &str = "alarm";

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let (mut at, key) = planner.keyed(at, &section, &[], false)?;
    let value = section.required("value", |setting| number(planner, &mut at, &key, setting, "hysteresis"));
    let raise = section.required("raise", |setting| side(planner, &mut at, &key, setting));
    let clear = section.required("clear", |setting| side(planner, &mut at, &key, setting));
    let (value, raise, clear) = (value?, raise?, clear?);
    opposite(&section, &raise, &clear)?;
    let by = planner.by(&at, &key);
    let slot = planner.draft.slot(at.stage, ALARM, Type::TEXT);
    let mut word = |text: &str| planner.draft.constant(at.stage, text.as_bytes());
    let words = [word("cleared"), word("raised")];
    let names = key_names(&key);
    let key = key.iter().map(|field| field.slot).collect();
    let ttl = planner.state_ttl();
    let plan = HysteresisPlan { by, names, key, value, raise, clear, slot, words, ttl };
    let step = planner.attach(&at, Box::new(plan));
    let scope = at.scope.clone().with(ALARM, Binding::Slot(slot, Type::TEXT));
    Some(vec![(String::new(), planner.behind(&at, step, MAIN, scope))])
}

/// Where a number stands, and what it is as written.
pub(super) fn number(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    key: &[KeyField],
    setting: Setting<'_>,
    verb: &'static str,
) -> Option<(Slot, String)> {
    let (written, expr) = planner.parse_by(at, key, setting)?;
    let ty = planner.type_of(at, setting, &expr)?;
    if !ty.meets(Type::NUMBER) {
        setting.error(format!("expected a number for `{}`, found {}", setting.name, ty.noun()));
        return None;
    }
    Some((planner.slot_of(at, setting, &expr, verb)?, written))
}

/// Reads `raise` or `clear`.
fn side(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    key: &[KeyField],
    setting: Setting<'_>,
) -> Option<Side> {
    let section = open_options(setting, format!("`{}`", setting.name), SIDE, &[]);
    let times = section.or("times", 1, read::integer(1..=i64::from(u32::MAX)));
    let lasting = section.or("for", Millis::ZERO, read::positive_duration);
    let limit = section.exactly_one(&["above", "below"], "threshold")?;
    let direction = if limit.name == "above" { Direction::Above } else { Direction::Below };
    let (_, expr) = planner.parse_by(at, key, limit)?;
    let program = planner.compile(at, limit, &expr)?;
    let threshold = match Threshold::constant(direction, program.constant()) {
        Some(threshold) => threshold,
        None => {
            let (slot, text) = number(planner, at, key, limit, "hysteresis")?;
            Threshold::at(direction, slot, text)
        }
    };
    Some(Side { threshold, times: times as u32, lasting })
}

/// Whether what raises lies on one side and what clears on the other, and no value does both.
fn opposite(section: &Section<'_>, raise: &Side, clear: &Side) -> Option<()> {
    let (raise, clear) = (&raise.threshold, &clear.threshold);
    let place = section.get("clear")?;
    if raise.direction == clear.direction {
        let (one, other) = (raise.direction.word(), raise.direction.other().word());
        place
            .faults
            .error(place.key, format!("`raise` and `clear` are both `{one}`"))
            .hint(format!("an alarm that is raised {one} a value is cleared `{other}` one"));
        return None;
    }
    if raise.overlaps(clear) {
        let reported = place.faults.error(place.key, "a value can both raise and clear the alarm");
        reported.hint("let the two thresholds leave a gap between them, or be equal");
        return None;
    }
    Some(())
}

/// What raises or clears an alarm.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) threshold: Threshold,
    /// How many events in a row; at least 1.
    pub(super) times: u32,
    /// From the first of them to the last.
    pub(super) lasting: Millis,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.threshold)?;
        if self.times > 1 {
            write!(f, ", {} times in a row", self.times)?;
        }
        if self.lasting > Millis::ZERO {
            write!(f, ", for {}", self.lasting)?;
        }
        Ok(())
    }
}

/// Keeps rows that raise or clear their key's alarm.
#[derive(Clone, Debug)]
pub struct HysteresisPlan {
    pub(super) by: String,
    pub(super) names: String,
    pub(super) key: Vec<Slot>,
    pub(super) value: (Slot, String),
    pub(super) raise: Side,
    pub(super) clear: Side,
    /// Where the word goes.
    pub(super) slot: Slot,
    /// `cleared` and `raised` in the arena of every batch.
    pub(super) words: [Span; 2],
    pub(super) ttl: StateTtl,
}

impl StepPlan for HysteresisPlan {
    fn describe(&self) -> String {
        format!("hysteresis of {}{}", self.value.1, self.by)
    }

    fn details(&self) -> Vec<String> {
        let state =
            "a key's alarm as long as it is raised, and how often and since when what changes it has held";
        vec![
            format!("raised {}", self.raise),
            format!("cleared {}", self.clear),
            format!("state: {state}{}", self.ttl.words_behind()),
        ]
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 alarms of {} {}", self.value.1, self.names))
    }

    fn spills(&self) -> bool {
        self.ttl.0.is_none()
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Hysteresis {
            plan: self.clone(),
            alarms: KeyedState::durable(self.key.clone(), context.hash_seed, context.durable)
                .forgetting(self.ttl),
        })
    }
}

/// What is kept of a key; nothing is kept of one whose alarm is cleared and whose value does nothing to raise it.
struct Alarm {
    is_raised: bool,
    /// How many events in a row would change that.
    run: u32,
    /// The time of the first of these.
    since: Timestamp,
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm { is_raised: false, run: 0, since: Timestamp::MIN }
    }
}

struct Hysteresis {
    plan: HysteresisPlan,
    alarms: KeyedState<Alarm>,
}

impl Hysteresis {
    /// Whether the event raises or clears the alarm.
    fn changes(&mut self, batch: &Batch, row: Row) -> Result<Option<bool>, Reason> {
        let found = self.alarms.meet(batch, row);
        let is_raised = found.is_some_and(|key| self.alarms.entry(key).item.is_raised);
        let side = if is_raised { &self.plan.clear } else { &self.plan.raise };
        let (slot, text) = &self.plan.value;
        let Some(value) = super::threshold::number(batch.get(row, *slot), text)? else { return Ok(None) };
        let Some(holds) = side.threshold.is_crossed(value, batch, row)? else { return Ok(None) };
        if !holds {
            match found {
                Some(key) if is_raised && self.alarms.entry(key).item.run == 0 => {}
                Some(key) if is_raised => self.alarms.item(key).run = 0,
                Some(key) => self.alarms.forget(key),
                None => {}
            }
            return Ok(None);
        }
        let key = found.unwrap_or_else(|| self.alarms.insert(batch, row));
        let (time, alarm) = (batch.times[row.index()], self.alarms.item(key));
        if alarm.run == 0 {
            alarm.since = time;
        }
        alarm.run = alarm.run.saturating_add(1);
        if alarm.run < side.times || time < alarm.since + side.lasting {
            return Ok(None);
        }
        if is_raised {
            self.alarms.forget(key);
        } else {
            *alarm = Alarm { is_raised: true, ..Alarm::default() };
        }
        Ok(Some(!is_raised))
    }
}

impl Alarm {
    fn put(&self, into: &mut Vec<u8>) {
        into.push(u8::from(self.is_raised));
        put_number(into, u64::from(self.run));
        put_time(into, self.since);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Alarm, Malformed> {
        Ok(Alarm { is_raised: reader.flag()?, run: reader.small()?, since: reader.time()? })
    }
}

impl Operator for Hysteresis {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.alarms.read(batch, rows);
        retain(batch, rows, out, "unchanged", |batch, row| {
            let change = self.changes(batch, row);
            self.alarms.advance();
            let Some(is_raised) = change? else { return Ok(false) };
            let word = Value::plain_text(self.plan.words[usize::from(is_raised)]);
            batch.set(row, self.plan.slot, word);
            Ok(true)
        });
    }

    fn signal(&mut self, signal: Signal, _out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.alarms.reach(watermark);
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.alarms.save(into, Alarm::put);
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        self.alarms.load(saved, Alarm::take).map(drop)
    }

    fn unsaved(&mut self) -> usize {
        self.alarms.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        self.alarms.spill(cold, Codec::new(Alarm::put, Alarm::take));
    }
}
