//! Drives a window operator and writes down what it does.

use headwater::dataflow::{Copies, Operator, Output, Port, Signal};
use headwater::event::{Batch, Reason, Row, Slot, json};
use headwater::time::Millis;
use headwater::time::{Env, Random, Timestamp};
use headwater::windows::aggregates::{self, Call};
use headwater::windows::triggers::Trigger;
use headwater::windows::{
    Accumulation, Aggregate, CARRY, FiringPlan, LATE, LateOutput, PANES, PaneOutput, WindowKind,
    WindowOperator, WindowPlan,
};

/// Where things stand in the input.
pub const KEY: Slot = Slot(0);
pub const X: Slot = Slot(1);
pub const CONDITION: Slot = Slot(2);
pub const GAP: Slot = Slot(3);
pub const ID: Slot = Slot(4);
pub const OWN: Slot = Slot(5);

/// A value of `x`. Floats are halves, so that sums of them are exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Val {
    Null,
    Int(i64),
    Half(i32),
    Text(u8),
}

/// An event, and the watermark before it.
#[derive(Clone, Debug)]
pub struct Step {
    pub watermark: i64,
    /// That of the event's partition.
    pub own: i64,
    pub time: i64,
    /// Of three: a text, an integer, null.
    pub key: u8,
    pub x: Val,
    pub condition: bool,
    pub gap: i64,
    /// Whether a step before the window took the row out.
    pub filtered: bool,
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Pane(Pane),
    Late { id: usize, start: i64 },
    Rejected(usize),
    Discarded(&'static str),
}

/// A row that left by the main port.
#[derive(Clone, Debug)]
pub struct Pane {
    pub key: u8,
    pub start: i64,
    pub end: i64,
    pub results: Vec<serde_json::Value>,
}

impl PartialEq for Pane {
    fn eq(&self, other: &Pane) -> bool {
        let place = |pane: &Pane| (pane.key, pane.start, pane.end, pane.results.len());
        place(self) == place(other) && self.results.iter().zip(&other.results).all(|(a, b)| close(a, b))
    }
}

/// The JSON text of a key.
pub fn key_text(key: u8) -> &'static str {
    ["\"a\"", "1", "null"][key as usize]
}

/// A plan for aggregates by name: `rows` is `count(*)`, and what ends in `_where` has a filter.
pub fn plan(kind: WindowKind, names: &[&str], lateness: i64, accumulation: Accumulation) -> WindowPlan {
    let aggregates = names.iter().enumerate().map(|(i, name)| {
        let count = aggregates::find("count").expect("known");
        let bare = name.trim_end_matches("_where");
        let spec = match bare {
            "rows" => count,
            "count_distinct" => count.distinct.expect("known"),
            name => aggregates::find(name).expect("known"),
        };
        let slots = match bare {
            "rows" => Vec::new(),
            "time_in" | "bool_and" | "bool_or" => vec![CONDITION],
            "min_by" | "max_by" | "corr" => vec![X, GAP],
            _ => vec![X],
        };
        let constants = match bare {
            "quantile" => vec![0.25],
            "top" => vec![2.0],
            _ => Vec::new(),
        };
        let filter = name.ends_with("_where").then_some(CONDITION);
        Aggregate { spec, call: Call { slots, constants, own: None }, filter, into: Slot(3 + i as u16) }
    });
    WindowPlan {
        kind,
        key: vec![KEY],
        own: None,
        aggregates: aggregates.collect(),
        lateness: Millis(lateness),
        accumulation,
        firing: None,
        carry: CARRY,
        ttl: headwater::config::StateTtl::default(),
        output: PaneOutput {
            key: vec![Some(Slot(0))],
            window_start: Some(Slot(1)),
            window_end: Some(Slot(2)),
            ..PaneOutput::default()
        },
        late: Some(LateOutput {
            copies: Copies { cells: vec![(ID, Slot(0))], ..Copies::default() },
            window_start: Some(Slot(1)),
        }),
    }
}

/// The same with a trigger, collecting the numbers of events; behind that stands what is told of panes.
pub fn triggered(
    kind: WindowKind,
    lateness: i64,
    accumulation: Accumulation,
    trigger: Trigger,
) -> WindowPlan {
    let mut plan = plan(kind, &["collect"], lateness, accumulation);
    plan.aggregates[0].call.slots = vec![ID];
    plan.firing = Some(FiringPlan { trigger, emit_empty: false, fields: Vec::new() });
    let [index, timing, last, retracted] = [4, 5, 6, 7].map(|slot| Some(Slot(slot)));
    plan.output = PaneOutput { index, timing, last, retracted, ..plan.output };
    plan
}

/// How many columns panes have.
pub fn columns(plan: &WindowPlan) -> usize {
    let PaneOutput { index, timing, last, retracted, .. } = plan.output;
    3 + plan.aggregates.len() + [index, timing, last, retracted].iter().flatten().count()
}

/// Whether two results are one but for the last digits, in which two ways to compute a float differ. A float may equal
/// an integer: differences of integers are integers, here and there in a mixture.
fn close(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) if a.is_f64() || b.is_f64() => {
            (x - y).abs() <= 1e-8 * x.abs().max(y.abs()).max(1.0)
        }
        _ => a == b,
    }
}

/// Everything that an operator did, in order, and the watermark of each row that left.
#[derive(Default, PartialEq, Debug)]
pub struct Log {
    pub entries: Vec<Entry>,
    pub watermarks: Vec<i64>,
}

/// Runs steps through an operator, in batches cut where `cuts` says, and to the end of input.
pub fn run(plan: WindowPlan, steps: &[Step], cuts: impl Fn(usize) -> bool) -> Log {
    let ports = 1 + plan.late.is_some() as usize;
    let slots = columns(&plan);
    let mut operator = WindowOperator::new(plan, 42);
    let mut out = Collector::new(slots);
    let mut batch = Batch::new(6, b"");
    let mut rows = Vec::new();
    for (id, step) in steps.iter().enumerate() {
        let row = push(&mut batch, id, step);
        if !step.filtered {
            rows.push(row);
        }
        let next = steps.get(id + 1).map_or(step.watermark, |next| next.watermark);
        if cuts(id) || id + 1 == steps.len() {
            batch.watermark = Timestamp(next);
            operator.process(&mut batch, &mut rows, &mut out);
            assert!(rows.is_empty(), "nothing passes");
            operator.signal(Signal::Watermark(batch.watermark), &mut out);
            operator.signal(Signal::Flush, &mut out);
            batch.clear();
        }
    }
    operator.signal(Signal::Watermark(Timestamp::MAX), &mut out);
    operator.signal(Signal::End, &mut out);
    out.harvest();
    assert_eq!(out.ends, ports, "the end is told to each port");
    out.log
}

/// Adds a step to a batch.
pub fn push(batch: &mut Batch, id: usize, step: &Step) -> Row {
    use headwater::event::Value;
    let row = batch.push_row(Timestamp(step.time), Timestamp(step.watermark));
    let key = json::to_value(key_text(step.key).as_bytes(), &mut batch.arena).expect("valid");
    let x = match step.x {
        Val::Null => Value::NULL,
        Val::Int(int) => Value::int(int),
        Val::Half(halves) => Value::float(halves as f64 / 2.0),
        Val::Text(letter) => Value::text(batch.store(&[letter])),
    };
    batch.set(row, KEY, key);
    batch.set(row, X, x);
    batch.set(row, CONDITION, Value::bool(step.condition));
    batch.set(row, GAP, Value::int(step.gap));
    batch.set(row, ID, Value::int(id as i64));
    batch.set(row, OWN, Value::timestamp(step.own));
    row
}

/// Takes down what leaves.
pub struct Collector {
    pub env: Env,
    panes: Batch,
    late: Batch,
    reached: [i64; 2],
    ends: usize,
    /// Whether watermarks are watched.
    pub strict: bool,
    pub log: Log,
}

impl Collector {
    pub fn new(slots: usize) -> Collector {
        Collector {
            env: Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) },
            panes: Batch::new(slots, b""),
            late: Batch::new(2, b""),
            reached: [i64::MIN; 2],
            ends: 0,
            strict: true,
            log: Log::default(),
        }
    }

    /// What stands behind begins anew: where keys come from other workers, what holds their watermark comes with them.
    pub fn begin_anew(&mut self) {
        self.harvest();
        self.reached = [i64::MIN; 2];
    }

    /// Takes down the rows that were filled in since the last call.
    pub fn harvest(&mut self) {
        for port in [PANES, LATE] {
            let batch = if port == PANES { &self.panes } else { &self.late };
            for row in (0..batch.len()).map(|row| Row(row as u32)) {
                let watermark = batch.watermarks[row.index()].0;
                let goes_on = watermark >= self.reached[port.0 as usize];
                assert!(goes_on || !self.strict, "watermarks never go back");
                self.reached[port.0 as usize] = watermark;
                let entry = if port == PANES { pane(batch, row) } else { late(batch, row) };
                self.log.entries.push(entry);
                self.log.watermarks.push(watermark);
            }
        }
        self.panes.clear();
        self.late.clear();
    }
}

fn pane(batch: &Batch, row: Row) -> Entry {
    let cells = (0..batch.slots()).map(|slot| {
        let mut text = Vec::new();
        json::write_value(batch, batch.get(row, Slot(slot as u16)), &mut text);
        serde_json::from_slice(&text).expect("valid")
    });
    let cells: Vec<serde_json::Value> = cells.collect();
    let key = (0..3).find(|key| cells[0].to_string().as_str() == key_text(*key)).expect("a known key");
    let results = cells[3..].to_vec();
    let [start, end] = [1, 2].map(|i| cells[i].as_i64().expect("a bound"));
    // Behind `global` windows with a trigger rows keep up with the watermark.
    let time = batch.times[row.index()].0;
    assert!(time == end - 1 || time == batch.watermarks[row.index()].0 && time >= end, "event time");
    Entry::Pane(Pane { key, start, end, results })
}

fn late(batch: &Batch, row: Row) -> Entry {
    let [id, start] = [0, 1].map(|slot| batch.get(row, Slot(slot)).as_int().expect("an integer"));
    Entry::Late { id: id as usize, start }
}

impl Output for Collector {
    fn env(&mut self) -> &mut Env {
        &mut self.env
    }

    fn pass(&mut self, _port: Port, _rows: &[Row]) {
        panic!("windows have no passing ports");
    }

    fn emit(&mut self, port: Port) -> &mut Batch {
        self.harvest();
        if port == PANES { &mut self.panes } else { &mut self.late }
    }

    fn signal(&mut self, port: Port, signal: Signal) {
        self.harvest();
        match signal {
            Signal::Watermark(watermark) => {
                let goes_on = watermark.0 >= self.reached[port.0 as usize];
                assert!(goes_on || !self.strict, "watermarks never go back");
                self.reached[port.0 as usize] = watermark.0;
            }
            Signal::End => self.ends += 1,
            Signal::Flush | Signal::Tick | Signal::Idle(_) => {}
        }
    }

    fn reject(&mut self, batch: &Batch, row: Row, _reason: Reason) {
        self.harvest();
        let id = batch.get(row, ID).as_int().expect("an integer");
        self.log.entries.push(Entry::Rejected(id as usize));
    }

    fn discard(&mut self, reason: &'static str, rows: u64) {
        self.harvest();
        (0..rows).for_each(|_| self.log.entries.push(Entry::Discarded(reason)));
    }
}
