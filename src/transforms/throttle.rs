//! `throttle`: at most one event of a key in a span of event time.

use super::spacing::SpacingPlan;
use super::spans::{Span, Spans};
use crate::config::{Role, Setting, read};
use crate::dataflow::{
    Codec, ColdKeys, ComponentSpec, Keeper, KeptRow, KeyedState, MAIN, NodePlanner, Operator, OptionKind,
    OptionSpec, Output, Point, Ports, RowForm, Saved, Saving, Signal, StartContext, StepPlan, TransformSpec,
    key_names,
};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Row, Slot};
use crate::time::{Env, Millis, Timestamp};

/// The registry entry.
pub const THROTTLE: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const SPEC: ComponentSpec = ComponentSpec {
    name: "throttle",
    role: Role::Transform,
    summary: "At most one event of a key in a span of event time. A span begins with an event; the first one behind its end \
              begins the next. An event that comes late, less than a span before one, is dropped.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required("every", OptionKind::Duration, "The length of a span."),
        OptionSpec::or(
            "keep",
            "first",
            OptionKind::Word(&["first", "last"]),
            "Which event goes on: the one that begins the span, at once; or the one with the latest time in it, with its \
             own time, when the watermark has reached the end of the span.",
        ),
    ],
    later: &[],
    example: "\
sources:
  readings: { stdin: {}, event_time: { field: ts } }
transforms:
  calm:
    from: readings
    throttle: { key: [device], every: 1s, keep: last }
tests:
  - name: the last reading of each second
    steps:
      - send:
          readings:
            - { device: d1, temp: 20, ts: 0 }
            - { device: d1, temp: 21, ts: 900 }
            - { device: d1, temp: 22, ts: 1200 }
      - watermark: { readings: 1s }
      - expect: { out: [{ device: d1, temp: 21, ts: 900 }] }
      - close: readings
      - expect: { out: [{ device: d1, temp: 22, ts: 1200 }] }
",
};

/// Why an event does not go on, as it is counted.
const REASON: &str = "throttled";

/// Which event of a span goes on.
#[derive(Clone, Copy)]
enum Keep {
    First,
    Last,
}

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let every = section.required("every", read::positive_duration);
    let words = [("first", Keep::First), ("last", Keep::Last)];
    let keep = section.or("keep", Keep::First, read::word(&words, &[]));
    let (at, key) = planner.keyed(at, &section, &[], false)?;
    let length = every?;
    let by = planner.by(&at, &key);
    let names = key_names(&key);
    let key = key.iter().map(|field| field.slot).collect();
    let point = match keep {
        Keep::First => {
            let text = format!("throttle to the first in {length}{by}");
            let step =
                planner.attach(&at, Box::new(SpacingPlan { text, names, key, length, reason: REASON }));
            planner.behind(&at, step, MAIN, at.scope.clone())
        }
        Keep::Last => {
            let text = format!("throttle to the last in {length}{by}");
            planner.emitting(&at, Box::new(LastPlan { text, names, key, length }))
        }
    };
    Some(vec![(String::new(), point)])
}

/// Keeps the last event of each span until the watermark ends it.
#[derive(Clone, Debug)]
pub struct LastPlan {
    pub(super) text: String,
    pub(super) names: String,
    pub(super) key: Vec<Slot>,
    pub(super) length: Millis,
}

impl StepPlan for LastPlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn details(&self) -> Vec<String> {
        vec![
            "state: an event for each span under way, until the watermark is at its end".to_owned(),
            format!("holds the watermark back to the start of the first span, {} at most", self.length),
        ]
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 the last in {} {}", self.length, self.names))
    }

    fn spills(&self) -> bool {
        true
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Last {
            spans: KeyedState::durable(self.key.clone(), context.hash_seed, context.durable),
            form: context.row_form(MAIN),
            keeper: Keeper::new(&context.copies(MAIN, 0)),
            length: self.length,
        })
    }
}

/// Every event in a span goes on with its own time, so nothing beyond the start of the first span may be told to what
/// follows. Spans end in the order of their starts, but for late ones, whose start counts as the watermark of then.
struct Last {
    spans: KeyedState<Spans<KeptRow>>,
    form: RowForm,
    keeper: Keeper,
    length: Millis,
}

impl Last {
    /// Lets go the events of the spans that end here.
    fn reach(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        while let Some((due, key)) = self.spans.take_due(watermark) {
            let spans = self.spans.item(key);
            spans.take_due(due, |kept| {
                self.keeper.write(&kept, due - self.length, out.emit(MAIN));
            });
            match spans.next_due() {
                Some(next) => self.spans.set_due(key, next),
                None => self.spans.forget(key),
            }
        }
    }

    /// Keeps the event, or does not. Returns whether one was dropped.
    fn take(&mut self, batch: &Batch, row: Row) -> bool {
        let (time, watermark) = (batch.times[row.index()], batch.watermarks[row.index()]);
        let found = self.spans.find();
        let near = |key| self.spans.entry(key).item.find(time, self.length).map(|near| (key, near));
        if let Some((key, (place, span))) = found.and_then(near) {
            if time >= span.kept.time
                && let Some(kept) = self.spans.item(key).kept(place)
            {
                self.keeper.replace(kept, batch, row);
            }
            return true;
        }
        let key = found.unwrap_or_else(|| self.spans.insert(batch, row));
        let due = time.max(watermark) + self.length;
        let kept = self.keeper.keep(batch, row);
        self.spans.item(key).open(Span { start: time, due, kept });
        if self.spans.due(key).is_none_or(|next| due < next) {
            self.spans.set_due(key, due);
        }
        false
    }
}

fn put(form: &RowForm, spans: &Spans<KeptRow>, into: &mut Vec<u8>) {
    spans.put(into, |row, into| form.put(row, into));
}

fn take(form: &RowForm, reader: &mut Reader<'_>) -> Result<Spans<KeptRow>, Malformed> {
    Spans::take(reader, |reader| form.take(reader))
}

impl Operator for Last {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.spans.read(batch, rows);
        let mut dropped = 0;
        for row in rows.drain(..) {
            self.reach(batch.watermarks[row.index()], out);
            dropped += u64::from(self.take(batch, row));
            self.spans.advance();
        }
        if dropped > 0 {
            out.discard(REASON, dropped);
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        let Signal::Watermark(watermark) = signal else { return out.signal(MAIN, signal) };
        self.reach(watermark, out);
        let held = self.spans.next_due().map_or(watermark, |due| watermark.min(due - self.length));
        out.signal(MAIN, Signal::Watermark(held));
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        if !self.spans.is_empty() {
            self.form.save(into);
        }
        self.spans.save(into, |spans, bytes| put(&self.form, spans, bytes));
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        if self.form.load(saved)? {
            return Ok(());
        }
        self.spans.load(saved, |reader| take(&self.form, reader)).map(drop)
    }

    fn unsaved(&mut self) -> usize {
        self.spans.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        let [form, same] = self.form.own();
        let codec = Codec::new(
            move |spans: &Spans<KeptRow>, into| put(&form, spans, into),
            move |reader| take(&same, reader),
        );
        self.spans.spill(cold, codec);
    }
}
