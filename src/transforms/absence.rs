//! `absence`: says when a key has been silent for a time, and when it is back.

use super::expected::{Expected, ExpectedPlan};
use crate::config::{Role, Setting, StateTtl, read};
use crate::dataflow::{
    Codec, ColdKeys, ComponentSpec, KeyField, KeyId, KeyedState, MAIN, NodePlanner, Operator, OptionKind,
    OptionSpec, Origin, Output, Point, Ports, Saved, Saving, Scope, Signal, StageId, StartContext, StepPlan,
    TransformSpec, key_names,
};
use crate::event::bytes::{Malformed, Reader, put_signed, put_time};
use crate::event::{Batch, Row, Slot, Value};
use crate::expr::Type;
use crate::time::{Env, Millis, Timestamp};

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
        OptionSpec::optional(
            "expect",
            OptionKind::Text,
            "A table of the keys that there are: each of them is said to be silent as well, with `last_seen: null`, that long \
             after the start or after the table got it, if none of its events came. The table is read from a file, its \
             columns are named as the key is, and hold the same values (text is no number).",
        ),
    ],
    later: &[],
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
    let expect = section.get("expect").map(|setting| ExpectedPlan::plan(planner, setting, &key));
    let (after, expect) = (after?, expect.map_or(Some(None), |expect| expect.map(Some))?);
    let ttl = planner.state_ttl_beyond(section.get("after")?, after)?;
    let by = planner.by(&at, &key);
    let stage = output_stage(planner, &at, &key);
    let slots: Vec<Slot> = (0..).map(Slot).take(key.len() + 2).collect();
    let plan = AbsencePlan {
        text: format!("absence after {after}{by}"),
        names: key_names(&key),
        key: key.iter().map(|field| field.slot).collect(),
        after,
        ttl,
        expect,
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
pub(super) struct Into {
    pub(super) key: Vec<Option<Slot>>,
    pub(super) state: Slot,
    pub(super) last_seen: Slot,
}

/// Watches keys by processing time.
#[derive(Clone, Debug)]
pub(super) struct AbsencePlan {
    pub(super) text: String,
    pub(super) names: String,
    pub(super) key: Vec<Slot>,
    pub(super) after: Millis,
    /// At least as long as that; by the same clock.
    pub(super) ttl: StateTtl,
    /// The keys that are missed if they never come.
    pub(super) expect: Option<ExpectedPlan>,
    pub(super) into: Into,
}

impl StepPlan for AbsencePlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn details(&self) -> Vec<String> {
        let expected = self.expect.iter().map(|expect| format!("expects the keys of table {}", expect.name));
        let state = format!("state for each key, {}: when its last event arrived", self.ttl.words());
        let time = "acts by processing time; event time and watermark behind it are the clock's".to_owned();
        [state, time].into_iter().chain(expected).collect()
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 last seen {}", self.names))
    }

    fn spills(&self) -> bool {
        true
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Absence {
            after: self.after,
            ttl: self.ttl.0,
            into: self.into.clone(),
            expected: self.expect.as_ref().map(|expect| expect.start(context, &self.key)),
            keys: KeyedState::durable(self.key.clone(), context.hash_seed, context.durable),
            reached: Timestamp::MIN,
            has_ended: false,
            before: None,
            saved: Millis::ZERO,
            watched: 0,
        })
    }
}

/// Stands for the time of an event that did not come.
const NEVER: Timestamp = Timestamp::MIN;

/// When a key was seen last.
struct Seen {
    /// On the clock of [`Absence::clock`].
    elapsed: Millis,
    /// The time of day; [`NEVER`] where nothing came, and `elapsed` says since when it is expected.
    time: Timestamp,
    is_silent: bool,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { elapsed: Millis::ZERO, time: NEVER, is_silent: false }
    }
}

impl Seen {
    fn put(&self, into: &mut Vec<u8>) {
        put_signed(into, self.elapsed.0);
        put_time(into, self.time);
        into.push(u8::from(self.is_silent));
    }

    fn take(reader: &mut Reader<'_>) -> Result<Seen, Malformed> {
        Ok(Seen { elapsed: Millis(reader.signed()?), time: reader.time()?, is_silent: reader.flag()? })
    }
}

/// Silence is found on ticks alone, so that a worker that was held up (by a sink, say) first takes the events that
/// arrived meanwhile. Timers stand in for times on a clock that never goes back; an event leaves the timer of its key
/// where it is, and what is due is looked at again.
///
/// That clock stands still while the process is off. So what is kept of a key holds across restarts, and only where the
/// clock stands has to be saved now and then.
struct Absence {
    after: Millis,
    /// How long a silent key is remembered.
    ttl: Option<Millis>,
    into: Into,
    expected: Option<Expected>,
    keys: KeyedState<Seen>,
    /// The watermark behind it: the greatest time of day so far.
    reached: Timestamp,
    /// The input has ended, and the watermark behind it with it.
    has_ended: bool,
    /// How far the clock is ahead of that of the process, if it went on from a run before.
    before: Option<Millis>,
    /// Where the clock stood when that was saved.
    saved: Millis,
    /// How many keys are not silent.
    watched: usize,
}

/// The name under which the clock is saved.
const CLOCK: &[u8] = b"clock";

/// So much time the clock may lose at an end that nobody saw coming, unless a tenth of the span is more.
const LOST: Millis = Millis(60_000);

impl Absence {
    fn seen(&mut self, batch: &Batch, row: Row, now: (Timestamp, Millis), out: &mut dyn Output) {
        let (time, elapsed) = now;
        let found = self.keys.find();
        let key = found.unwrap_or_else(|| self.keys.insert(batch, row));
        let before = std::mem::replace(self.keys.item(key), Seen { elapsed, time, is_silent: false });
        if before.is_silent {
            self.say(key, "back", before.time, time, out);
        }
        let is_watched = found.is_some() && !before.is_silent;
        if !is_watched {
            self.watched += 1;
            self.keys.set_due(key, self.due(elapsed));
        }
    }

    /// The clock that never goes back.
    fn clock(&self, elapsed: Millis) -> Millis {
        Millis(elapsed.0.saturating_add(self.before.unwrap_or_default().0))
    }

    /// When a key that was seen then has been silent for too long.
    fn due(&self, seen: Millis) -> Timestamp {
        Timestamp(seen.0) + self.after
    }

    /// When a silent key that was seen then is forgotten.
    fn forgotten(&self, seen: Millis) -> Option<Timestamp> {
        self.ttl.map(|ttl| Timestamp(seen.0) + ttl)
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
        let last_seen = if last_seen == NEVER { Value::NULL } else { Value::timestamp(last_seen.0) };
        into.set(row, self.into.last_seen, last_seen);
    }

    /// Watches the keys of the table that are new in it.
    fn await_expected(&mut self, elapsed: Millis) {
        let Some((batch, rows)) = self.expected.as_mut().and_then(Expected::changed) else { return };
        let due = Timestamp(elapsed.0) + self.after;
        self.keys.read(batch, &rows);
        for row in rows {
            if self.keys.find().is_none() {
                let key = self.keys.insert(batch, row);
                *self.keys.item(key) = Seen { elapsed, time: NEVER, is_silent: false };
                self.keys.set_due(key, due);
                self.watched += 1;
            }
            self.keys.advance();
        }
    }

    fn is_expected(&self, key: KeyId) -> bool {
        self.expected.as_ref().is_some_and(|expected| expected.has(self.keys.entry(key)))
    }

    fn tick(&mut self, now: Timestamp, elapsed: Millis, out: &mut dyn Output) {
        self.await_expected(elapsed);
        while let Some((_, key)) = self.keys.take_due(Timestamp(elapsed.0)) {
            let seen = self.keys.item(key);
            let (since, last_seen) = (seen.elapsed, seen.time);
            let was_silent = seen.is_silent;
            let due = if was_silent { self.forgotten(since) } else { Some(self.due(since)) };
            match due {
                Some(due) if due > Timestamp(elapsed.0) => self.keys.set_due(key, due),
                // What is expected would else be missed again.
                Some(_) if was_silent && self.is_expected(key) => {}
                Some(_) if was_silent => self.keys.forget(key),
                Some(_) if last_seen == NEVER && !self.is_expected(key) => {
                    self.watched -= 1;
                    self.keys.forget(key);
                }
                Some(_) => {
                    self.keys.item(key).is_silent = true;
                    self.watched -= 1;
                    self.say(key, "silent", last_seen, now, out);
                    self.forgotten(since).into_iter().for_each(|due| self.keys.set_due(key, due));
                }
                None => {}
            }
        }
        self.reached = self.reached.max(now);
        out.signal(MAIN, Signal::Watermark(self.reached));
    }
}

impl Operator for Absence {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let now = (out.env().now, self.clock(out.env().elapsed));
        self.keys.read(batch, rows);
        for row in rows.drain(..) {
            self.seen(batch, row, now, out);
            self.keys.advance();
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        match signal {
            Signal::Tick if !self.has_ended => {
                let (now, elapsed) = (out.env().now, self.clock(out.env().elapsed));
                self.tick(now, elapsed, out);
                out.signal(MAIN, signal);
            }
            // Behind it the clock is the watermark, and goes on while the input is idle.
            Signal::Watermark(Timestamp::MAX) => {
                self.has_ended = true;
                out.signal(MAIN, signal);
            }
            Signal::Tick | Signal::Flush | Signal::End => out.signal(MAIN, signal),
            Signal::Watermark(_) | Signal::Idle(_) => {}
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        let now = self.clock(into.env().elapsed);
        // Where all keys are silent it only matters when they are forgotten.
        let span = if self.watched > 0 { Some(self.after) } else { self.ttl };
        let mut is_due = self.keys.next_due().is_some()
            && now.0.saturating_sub(self.saved.0) >= LOST.0.max(span.unwrap_or(self.after).0 / 10);
        is_due |= self.keys.save(into, Seen::put);
        if is_due {
            self.saved = now;
            into.put_own(CLOCK, |bytes| {
                put_signed(bytes, now.0);
                put_time(bytes, self.reached);
            });
        }
    }

    fn load(&mut self, saved: Saved<'_>, env: &Env) -> Result<(), Malformed> {
        // Workers have the same clock; whoever saved last knows best where it stands.
        if let Saved::Own { name: CLOCK, value, .. } = saved {
            let mut reader = Reader::new(value);
            let clock = reader.signed()?;
            self.reached = self.reached.max(reader.time()?);
            reader.finish()?;
            self.saved = self.saved.max(Millis(clock));
            let before = Millis(clock.saturating_sub(env.elapsed.0));
            self.before = Some(self.before.map_or(before, |known| known.max(before)));
            return Ok(());
        }
        let key = self.keys.load(saved, Seen::take)?;
        let Seen { elapsed, is_silent, .. } = self.keys.entry(key).item;
        self.watched += usize::from(!is_silent);
        if is_silent && self.keys.due(key).is_none() {
            // Silent keys had no end when this was saved.
            self.forgotten(elapsed).into_iter().for_each(|due| self.keys.set_due(key, due));
        }
        Ok(())
    }

    fn unsaved(&mut self) -> usize {
        self.keys.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        self.keys.spill(cold, Codec::new(Seen::put, Seen::take));
    }
}
