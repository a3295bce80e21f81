//! Expressions over a batch that a JSON decoder could have filled: nanoseconds for each event.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater::event::{BATCH_ROWS, Batch, Path, Row, Slot, Span, Value};
use headwater::expr::{Functions, Literal, Program, Resolved, Scope, Type, UnknownField, compile, parse};
use headwater::time::{Env, Millis, Random, Timestamp};

/// The fields of the batch, in the order of their slots.
const FIELDS: [&str; 5] = ["user_id", "type", "amount", "ts", "items"];

/// The slot behind them, for the result of `store`.
const RESULT: Slot = Slot(FIELDS.len() as u16);

const TYPES: [&str; 4] = ["view", "purchase", "click", "purchase_failed"];

#[derive(Default)]
struct Fields {
    constants: Vec<u8>,
}

impl Scope for Fields {
    fn field(&mut self, path: &Path) -> Result<Resolved, UnknownField> {
        let slot = FIELDS.iter().position(|field| *field == path.root()).ok_or_else(UnknownField::default)?;
        Ok(Resolved { slot: Slot(slot as u16), ty: Type::ANY, rest: path.rest().to_vec() })
    }

    fn constant(&mut self, bytes: &[u8]) -> Span {
        let start = self.constants.len();
        self.constants.extend_from_slice(bytes);
        Span::new(start, bytes.len())
    }

    fn param(&self, _name: &str) -> Option<Literal> {
        None
    }
}

fn batch(constants: &[u8]) -> Batch {
    let mut batch = Batch::new(FIELDS.len() + 1, constants);
    let mut random = Random::seeded(3);
    for i in 0..BATCH_ROWS as u64 {
        let row = batch.push_row(Timestamp(i as i64), Timestamp::MIN);
        let user = batch.store(format!("user-{}", random.bits() % 1000).as_bytes());
        let kind = batch.store(TYPES[(random.bits() % 4) as usize].as_bytes());
        let amount = match random.bits() % 10 {
            0 => Value::int(1),
            _ => Value::float((random.unit() * 100.0).round() / 10.0),
        };
        batch.set(row, Slot(0), Value::plain_text(user));
        batch.set(row, Slot(1), Value::plain_text(kind));
        batch.set(row, Slot(2), amount);
        batch.set(row, Slot(3), Value::int(1_700_000_000_000 + i as i64));
        // Eight samples, as a device sends them in one message.
        let samples = (0..8).map(|_| format!("{:.1}", random.unit() * 100.0)).collect::<Vec<_>>();
        let items = batch.store(format!("[{}]", samples.join(",")).as_bytes());
        batch.set(row, Slot(4), Value::json(items));
    }
    batch
}

fn compiled(text: &str) -> (Program, Batch) {
    let mut scope = Fields::default();
    let expr = parse(text).expect("the benchmark's expression is well formed");
    let program = compile(&expr, &mut scope, &Functions::standard()).expect("and compiles");
    (program, batch(&scope.constants))
}

fn filters(c: &mut Criterion) {
    let mut group = c.benchmark_group("filter");
    group.throughput(Throughput::Elements(BATCH_ROWS as u64));
    for text in [
        "type = 'purchase'",
        "amount >= 0.5",
        "type = 'purchase' AND amount >= 0.5",
        "type = 'purchase' OR amount >= 5",
        "type IN ('purchase', 'click', 'refund', 'return')",
        "user_id LIKE 'user-1%'",
        "amount BETWEEN 1 AND 5",
        "amount IS NOT NULL",
        "regexp_match(user_id, '^user-[0-4]')",
    ] {
        let (mut program, mut batch) = compiled(text);
        let mut env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
        let all: Vec<Row> = (0..batch.len() as u32).map(Row).collect();
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        group.bench_function(text, |b| {
            b.iter(|| {
                rows.clear();
                rows.extend_from_slice(&all);
                program.filter(&mut batch, &mut rows, &mut env, &mut rejects);
                rows.len()
            });
        });
    }
    group.finish();
}

fn computed(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    group.throughput(Throughput::Elements(BATCH_ROWS as u64));
    for text in [
        "amount * 2 + 1",
        "if(type = 'purchase', amount, 0)",
        "coalesce(amount, 0)",
        "round(amount, 1)",
        "upper(type)",
        "user_id || '/' || type",
        "substring(user_id, 6)",
        "date_trunc('hour', ts)",
        "date_trunc('day', ts, 'Europe/Berlin')",
        "list_sum(items)",
        "transform(items, x -> x * 1.8 + 32)",
        "filter(items, x -> x > 50)",
    ] {
        let (mut program, mut batch) = compiled(text);
        let mut env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
        let all: Vec<Row> = (0..batch.len() as u32).map(Row).collect();
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        let bytes = batch.arena.len();
        group.bench_function(text, |b| {
            b.iter(|| {
                rows.clear();
                rows.extend_from_slice(&all);
                program.store(&mut batch, &mut rows, RESULT, &mut env, &mut rejects);
                batch.arena.truncate(bytes);
                rows.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, filters, computed);
criterion_main!(benches);
