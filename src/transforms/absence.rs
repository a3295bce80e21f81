//! `absence`: says when a key has been silent for a time, and when it is back.

use crate::config::{Role, Setting, read};
use crate::dataflow::{
    ComponentSpec, KeyField, KeyId, KeyedState, MAIN, NodePlanner, Operator, OptionKind, OptionSpec, Origin,
    Output, Point, Ports, Scope, Signal, StageId, StartContext, StepPlan, TransformSpec,
};
use crate::event::{Batch, Row, Slot, Value};
use crate::expr::Type;
use crate::time::{Millis, Timestamp};

/// The registry entry.
pub const ABSENCE: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const SPEC: ComponentSpec = ComponentSpec {
    name: "absence",
    role: Role::Transform,
    summary: "Says when a key has had no event for a time, by the clock: its fields, `state: silent`, and `last_seen`, when \
              the last event before the silence came; and the same with `state: back` at its next event.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required(
            "after",
            OptionKind::Duration,
            "How long without an event is a silence: time since arrival, whatever the events' own times say.",
        ),
    ],
    later: &["expect"],
    example: "\
transforms:
  heartbeat:
    from: messages
    absence: { key: [device], after: 2m }
tests:
  - name: silent after two minutes, back with the next message
    now: 1h
    steps:
      - send: { messages: [{ device: d1, temp: 20 }] }
      - advance: 2m
      - expect: { out: [{ device: d1, state: silent, last_seen: 3600000 }] }
      - advance: 10m
      - send: { messages: [{ device: d1, temp: 21 }] }
      - expect: { out: [{ device: d1, state: back, last_seen: 3600000 }] }
",
};

const STATE: &str = "state";
const LAST_SEEN: &str = "last_seen";

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let after = section.required("after", read::positive_duration);
    let (at, key) = planner.keyed(at, &section, &[STATE, LAST_SEEN], false)?;
    let after = after?;
    let by = planner.by(&at, &key);
    let stage = output_stage(planner, &at, &key);
    let slots: Vec<Slot> = (0..).map(Slot).take(key.len() + 2).collect();
    let plan = AbsencePlan {
        text: format!("absence after {after}{by}"),
        key: key.iter().map(|field| field.slot).collect(),
        after,
        into: Into {
            key: slots[..key.len()].iter().copied().map(Some).collect(),
            state: slots[key.len()],
            last_seen: slots[key.len() + 1],
        },
    };
    let step = planner.attach(&at, Box::new(plan));
    planner.draft.emit_to(step, MAIN, stage);
    Some(vec![(String::new(), Point { stage, behind: None, scope: Scope::origin() })])
}

/// The stage of what it says: key fields, `state`, `last_seen`.
fn output_stage(planner: &mut NodePlanner<'_>, at: &Point, key: &[KeyField]) -> StageId {
    let own = [(STATE.to_owned(), Type::TEXT), (LAST_SEEN.to_owned(), Type::TIMESTAMP)];
    let all = key.iter().map(|field| (field.name.clone(), field.ty)).chain(own).enumerate();
    let fields = all.map(|(i, (name, ty))| (name, Slot(i as u16), ty)).collect();
    let live = planner.draft.at(at.stage).live;
    let stage = planner.draft.stage(Origin::Made { fields, whole: false });
    planner.draft.at(stage).live = live;
    stage
}

/// Where things go in what it puts out.
#[derive(Clone, Debug)]
struct Into {
    key: Vec<Option<Slot>>,
    state: Slot,
    last_seen: Slot,
}

/// Watches keys by processing time.
#[derive(Clone, Debug)]
struct AbsencePlan {
    text: String,
    key: Vec<Slot>,
    after: Millis,
    into: Into,
}

impl StepPlan for AbsencePlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn details(&self) -> Vec<String> {
        vec![
            "state for each key, never forgotten: when its last event arrived".to_owned(),
            "acts by processing time; event time and watermark behind it are the clock's".to_owned(),
        ]
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Absence {
            after: self.after,
            into: self.into.clone(),
            keys: KeyedState::new(self.key.clone(), context.hash_seed),
            reached: Timestamp::MIN,
        })
    }
}

/// When a key was seen last.
struct Seen {
    /// On the clock that never goes back.
    elapsed: Millis,
    /// The time of day.
    time: Timestamp,
    is_silent: bool,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { elapsed: Millis::ZERO, time: Timestamp::MIN, is_silent: false }
    }
}

/// Silence is found on ticks alone, so that a worker that was held up (by a sink, say) first takes the events that
/// arrived meanwhile. Timers stand in for times on the clock that never goes back; an event leaves the timer of its key
/// where it is, and what is due is looked at again.
struct Absence {
    after: Millis,
    into: Into,
    keys: KeyedState<Seen>,
    /// The watermark behind it: the greatest time of day so far; the end of time once the input has ended.
    reached: Timestamp,
}

impl Absence {
    fn seen(&mut self, batch: &Batch, row: Row, now: (Timestamp, Millis), out: &mut dyn Output) {
        let (time, elapsed) = now;
        let key = self.keys.find().unwrap_or_else(|| self.keys.insert(batch, row));
        let before = std::mem::replace(self.keys.item(key), Seen { elapsed, time, is_silent: false });
        if before.is_silent {
            self.say(key, "back", before.time, time, out);
        }
        if self.keys.due(key).is_none() {
            self.keys.set_due(key, self.due(elapsed));
        }
    }

    /// When a key that was seen then has been silent for too long.
    fn due(&self, seen: Millis) -> Timestamp {
        Timestamp(seen.0) + self.after
    }

    fn say(
        &mut self,
        key: KeyId,
        state: &'static str,
        last_seen: Timestamp,
        now: Timestamp,
        out: &mut dyn Output,
    ) {
        let into = out.emit(MAIN);
        // The time of day may have been set back.
        let row = into.push_row(now.max(self.reached), self.reached);
        self.keys.entry(key).write(into, row, &self.into.key);
        let state = into.store(state.as_bytes());
        into.set(row, self.into.state, Value::plain_text(state));
        into.set(row, self.into.last_seen, Value::timestamp(last_seen.0));
    }

    fn tick(&mut self, now: Timestamp, elapsed: Millis, out: &mut dyn Output) {
        while let Some((_, key)) = self.keys.take_due(Timestamp(elapsed.0)) {
            let seen = self.keys.item(key);
            let (since, last_seen) = (seen.elapsed, seen.time);
            let due = self.due(since);
            if due > Timestamp(elapsed.0) {
                self.keys.set_due(key, due);
                continue;
            }
            self.keys.item(key).is_silent = true;
            self.say(key, "silent", last_seen, now, out);
        }
        self.reached = self.reached.max(now);
        out.signal(MAIN, Signal::Watermark(self.reached));
    }
}

impl Operator for Absence {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let now = (out.env().now, out.env().elapsed);
        self.keys.read(batch, rows);
        for row in rows.drain(..) {
            self.seen(batch, row, now, out);
            self.keys.advance();
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        match signal {
            Signal::Tick if self.reached < Timestamp::MAX => {
                let (now, elapsed) = (out.env().now, out.env().elapsed);
                self.tick(now, elapsed, out);
                out.signal(MAIN, signal);
            }
            // Behind it the clock is the watermark, and goes on while the input is idle.
            Signal::Watermark(Timestamp::MAX) => {
                self.reached = Timestamp::MAX;
                out.signal(MAIN, signal);
            }
            Signal::Tick | Signal::Flush | Signal::End => out.signal(MAIN, signal),
            Signal::Watermark(_) | Signal::Idle(_) => {}
        }
    }
}
