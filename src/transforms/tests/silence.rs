//! `absence` across restarts.

use super::harness::Kept;
use crate::config::StateTtl;
use crate::dataflow::{
    Copies, Draft, MAIN, Operator, Origin, Output, Port, SharedTable, Signal, StartContext, StepPlan,
    TableId, TableLayout, Target, formats, read_rows,
};
use crate::event::{Batch, Reason, Row, Slot, Value};
use crate::time::{Env, Millis, Random, Timestamp};
use crate::transforms::absence::{AbsencePlan, Into};
use crate::transforms::expected::ExpectedPlan;

const AFTER: i64 = 30_000;

fn plan(after: i64) -> AbsencePlan {
    AbsencePlan {
        text: String::new(),
        names: String::new(),
        key: vec![Slot(0)],
        after: Millis(after),
        ttl: StateTtl::default(),
        expect: None,
        into: Into { key: vec![Some(Slot(0))], state: Slot(1), last_seen: Slot(2) },
    }
}

fn start(plan: &AbsencePlan, hash_seed: u64) -> Box<dyn Operator> {
    start_with(plan, hash_seed, &[])
}

fn start_with(plan: &AbsencePlan, hash_seed: u64, tables: &[SharedTable]) -> Box<dyn Operator> {
    let mut draft = Draft::default();
    let stage = draft.stage(Origin::Made { fields: Vec::new(), whole: false });
    draft.at(stage).copies = vec![Copies::default()];
    let outputs = [(MAIN, Target::Emit(stage))];
    plan.start(&StartContext {
        outputs: &outputs,
        draft: &draft,
        sinks: &[],
        tables,
        hash_seed,
        worker: (0, 1),
        durable: true,
    })
}

/// What was said: key, state, when it was seen last (-1: never), the time of it.
type Said = (i64, String, i64, i64);

struct Told {
    env: Env,
    rows: Batch,
}

impl Told {
    fn new() -> Told {
        let env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
        Told { env, rows: Batch::new(3, b"") }
    }

    /// What was said in this step, in an order of its own: that of keys that fall silent at once means nothing.
    fn said(&mut self) -> Vec<Said> {
        let rows = std::mem::replace(&mut self.rows, Batch::new(3, b""));
        let said = |row: Row| {
            let get = |slot| rows.get(row, Slot(slot));
            let last_seen = get(2).as_timestamp().unwrap_or(-1);
            let key = get(0).as_int().expect("a key");
            (key, rows.text(get(1)).to_owned(), last_seen, rows.times[row.index()].0)
        };
        let mut all: Vec<Said> = (0..rows.len() as u32).map(Row).map(said).collect();
        all.sort();
        all
    }
}

impl Output for Told {
    fn env(&mut self) -> &mut Env {
        &mut self.env
    }

    fn pass(&mut self, _port: Port, _rows: &[Row]) {}

    fn emit(&mut self, _port: Port) -> &mut Batch {
        &mut self.rows
    }

    fn signal(&mut self, _port: Port, _signal: Signal) {}

    fn reject(&mut self, _batch: &Batch, _row: Row, _reason: Reason) {}

    fn discard(&mut self, _reason: &'static str, _rows: u64) {}
}

/// An event of the key, or none; then a tick.
fn step(operator: &mut dyn Operator, key: Option<i64>, out: &mut Told) {
    if let Some(key) = key {
        let mut batch = Batch::new(1, b"");
        let row = batch.push_row(Timestamp(0), Timestamp(0));
        batch.set(row, Slot(0), Value::int(key));
        operator.process(&mut batch, &mut vec![row], out);
    }
    operator.signal(Signal::Tick, out);
}

#[test]
fn time_without_the_process_does_not_count() {
    let plan = plan(AFTER);
    for seed in 0..60 {
        let mut random = Random::seeded(seed);
        let (mut one, mut other, mut kept) = (start(&plan, 1), start(&plan, 2), Kept::default());
        let (mut out, mut again) = (Told::new(), Told::new());
        for number in 0..300 {
            let roll = random.bits();
            let by = 1 + (roll >> 8) as i64 % 5_000;
            for told in [&mut out, &mut again] {
                told.env.elapsed = Millis(told.env.elapsed.0 + by);
                told.env.now = Timestamp(told.env.now.0 + by);
            }
            let key = (!(roll >> 30).is_multiple_of(3)).then_some((roll >> 40) as i64 % 6);
            step(&mut *one, key, &mut out);
            step(&mut *other, key, &mut again);
            assert_eq!(again.said(), out.said(), "seed {seed}, step {number}");
            match roll % 8 {
                0 => {
                    // The clock is saved with whatever changes.
                    step(&mut *one, Some(9), &mut out);
                    step(&mut *other, Some(9), &mut again);
                    assert_eq!(again.said(), out.said(), "seed {seed}, step {number}");
                    kept.save(&mut *other, &again.env.clone());
                    again.env.elapsed = Millis((roll >> 20) as i64 % 1_000_000);
                    let away = (roll >> 44) as i64 % 10_000_000;
                    for told in [&mut out, &mut again] {
                        told.env.now = Timestamp(told.env.now.0 + away);
                    }
                    other = kept.load(|seed| start(&plan, seed), &again.env, &mut random);
                }
                1 => _ = kept.save(&mut *other, &again.env.clone()),
                _ => {}
            }
        }
    }
}

#[test]
fn only_the_clock_is_written_where_nothing_comes() {
    let plan = plan(240_000);
    let (mut operator, mut kept, mut out) = (start(&plan, 1), Kept::default(), Told::new());
    let mut written = Vec::new();
    for second in 0..900 {
        out.env.elapsed = Millis(second * 1000);
        out.env.now = Timestamp(second * 1000);
        step(&mut *operator, (second == 0).then_some(1), &mut out);
        if second % 10 == 0 && kept.save(&mut *operator, &out.env.clone()) > 0 {
            written.push(second);
        }
    }
    assert_eq!(written, [0, 60, 120, 180, 240]);
}

#[test]
fn what_is_expected_may_change() {
    let holds = |keys: &[i64]| {
        let lines: String = keys.iter().map(|key| format!("{{\"key\":{key}}}\n")).collect();
        let layout = TableLayout { columns: vec!["key".to_owned()], key: 1 };
        read_rows(&*formats::json(), &layout, lines.into_bytes()).expect("rows")
    };
    let expect = ExpectedPlan { name: String::new(), table: TableId(0), columns: vec![Slot(0)] };
    let plan = AbsencePlan { expect: Some(expect), ..plan(AFTER) };
    let table = SharedTable::new(Some(holds(&[1, 2, 3])));
    let mut operator = start_with(&plan, 1, std::slice::from_ref(&table));
    let mut out = Told::new();
    let mut at = |time: i64, key: Option<i64>| {
        (out.env.elapsed, out.env.now) = (Millis(time), Timestamp(time));
        step(&mut *operator, key, &mut out);
        out.said()
    };
    let silent = |key, last_seen, time| (key, "silent".to_owned(), last_seen, time);
    assert!(at(0, None).is_empty());
    table.replace(holds(&[1, 3, 4]));
    assert!(at(10_000, Some(1)).is_empty());
    assert!(at(29_999, None).is_empty());
    assert_eq!(at(30_000, None), [silent(3, -1, 30_000)], "2 is expected no more");
    assert!(at(39_999, None).is_empty());
    assert_eq!(at(40_000, None), [silent(1, 10_000, 40_000), silent(4, -1, 40_000)]);
    assert_eq!(at(50_000, Some(3)), [(3, "back".to_owned(), -1, 50_000)]);
    // One that comes back into the table is expected from then on.
    table.replace(holds(&[2]));
    assert!(at(60_000, None).is_empty());
    assert_eq!(at(90_000, None), [silent(2, -1, 90_000), silent(3, 50_000, 90_000)]);
}
