//! What an event costs in a script, beside a bare loop over the interpreter that does the same work through one table.
//!
//! `cargo bench --bench lua`. The bare loop has neither sandbox nor budget.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater::config::{Faults, ProcessEnvironment, SourceFile, Surroundings, read_pipeline};
use headwater::dataflow::{MAIN, Operator, Output, Port, Signal, StartContext};
use headwater::event::{Batch, Reason, Row, Slot, Value};
use headwater::plan::{self, Plan};
use headwater::time::{Env, Millis, Random, Timestamp};
use mlua::{Function, Lua, Table};
use std::hint::black_box;
use std::path::Path;

const ROWS: usize = 1024;

const ONE: &str = "function process(event) event.f = event.c * 9 / 5 + 32 return event end";
const FOUR: &str = "function process(event)
  if event.name == 'none' then return nil end
  event.f = event.c * event.scale + event.offset
  return event
end";
const MANY: &str = "function process_batch(events)
  for _, event in ipairs(events) do event.f = event.c * 9 / 5 + 32 end
  return events
end";

/// Takes rows and forgets them.
struct Sink {
    env: Env,
    batch: Batch,
}

impl Output for Sink {
    fn env(&mut self) -> &mut Env {
        &mut self.env
    }

    fn pass(&mut self, _port: Port, _rows: &[Row]) {}

    fn emit(&mut self, _port: Port) -> &mut Batch {
        if self.batch.is_full() {
            black_box(self.batch.cells());
            self.batch.clear();
        }
        &mut self.batch
    }

    fn signal(&mut self, _port: Port, _signal: Signal) {}

    fn reject(&mut self, _batch: &Batch, _row: Row, reason: Reason) {
        panic!("{}", reason.text);
    }

    fn discard(&mut self, _reason: &'static str, _rows: u64) {}
}

/// A pipeline with one script, of which one field is read on.
fn planned(script: &str) -> Plan {
    let script = script.replace('\n', "\n      ");
    let text = format!(
        "sources:\n  in: {{ stdin: {{}} }}\ntransforms:\n  a:\n    from: in\n    lua: |\n      {script}\n  b: {{ from: a, select: [f] }}\n\
         sinks:\n  out: {{ from: b, drop: {{}} }}\n"
    );
    let faults = Faults::new(SourceFile::new("p.yaml", text.into_bytes()).expect("text"));
    let environment = &ProcessEnvironment::default();
    let file = read_pipeline(&faults, Surroundings { environment, overrides: &[] });
    let surroundings = plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Default::default() };
    let plan = file.and_then(|file| plan::plan(&file, &surroundings, &faults));
    plan.unwrap_or_else(|| panic!("{:?}", faults.diagnostics()))
}

/// The script's step, and where it emits to.
fn operator(plan: &Plan) -> (Box<dyn Operator>, Sink) {
    let step = &plan.draft.steps[0];
    let context = StartContext {
        outputs: &step.outputs,
        draft: &plan.draft,
        sinks: &[],
        tables: &[],
        hash_seed: 1,
        worker: (0, 1),
        durable: false,
    };
    let env = Env { now: Timestamp(0), elapsed: Millis(0), random: Random::seeded(1) };
    (step.plan.start(&context), Sink { env, batch: Batch::new(context.slots(MAIN), b"") })
}

/// Events with all fields that the scripts read.
fn batch(plan: &Plan) -> Batch {
    let slots = &plan.draft.stages[0].slots;
    let mut batch = Batch::new(slots.len(), b"pump-17");
    for i in 0..ROWS {
        let row = batch.push_row(Timestamp(i as i64), Timestamp(0));
        for (slot, (name, _)) in slots.iter().enumerate() {
            let value = match name.as_str() {
                "c" => Value::float(i as f64 / 8.0),
                "scale" => Value::float(1.8),
                "offset" => Value::int(32),
                "name" => Value::plain_text(headwater::event::Span::new(0, 7)),
                _ => Value::NULL,
            };
            batch.set(row, Slot(slot as u16), value);
        }
    }
    batch
}

/// The bare loop: so many fields in, one out.
fn bare(criterion: &mut Criterion, name: &str, script: &str, fields: usize) {
    let lua = Lua::new();
    lua.load(script).exec().expect("Lua");
    let process: Function = lua.globals().get("process").expect("a function");
    let key = |name: &str| lua.create_string(name).expect("a text");
    let (table, f): (Table, _) = (lua.create_table().expect("a table"), key("f"));
    let keys = ["c", "scale", "offset", "name"].map(key);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("bare", |bencher| {
        bencher.iter(|| {
            for i in 0..ROWS {
                table.raw_set(&keys[0], i as f64 / 8.0).expect("set");
                if fields == 4 {
                    table.raw_set(&keys[1], 1.8).expect("set");
                    table.raw_set(&keys[2], 32).expect("set");
                    table.raw_set(&keys[3], lua.create_string("pump-17").expect("a text")).expect("set");
                }
                let back: Option<Table> = process.call(&table).expect("a result");
                let value: f64 = back.expect("the event").raw_get(&f).expect("a number");
                black_box(value);
            }
        });
    });
    group.finish();
}

fn step(criterion: &mut Criterion, name: &str, script: &str) {
    let plan = planned(script);
    let (mut operator, mut sink) = operator(&plan);
    let mut batch = batch(&plan);
    let all: Vec<Row> = (0..ROWS as u32).map(Row).collect();
    let mut rows = all.clone();
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("step", |bencher| {
        bencher.iter(|| {
            rows.clone_from(&all);
            operator.process(&mut batch, &mut rows, &mut sink);
            black_box(batch.cells());
        });
    });
    group.finish();
}

fn scripts(criterion: &mut Criterion) {
    bare(criterion, "one field in, one out", ONE, 1);
    step(criterion, "one field in, one out", ONE);
    step(criterion, "one field in, one out, process_batch", MANY);
    bare(criterion, "four fields in, one out", FOUR, 4);
    step(criterion, "four fields in, one out", FOUR);
}

criterion_group!(benches, scripts);
criterion_main!(benches);
