//! What an event costs in a window of each kind, firing and output rows included.
//!
//! `cargo bench --bench windows`; `cargo bench --bench windows -- written` is what the same input costs in overlapping windows
//! and in those that lie side by side, with all rows written as JSON. Times are CPU times of the thread, so that a busy machine does not blur them.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater::dataflow::{Operator, Output, Port, Signal};
use headwater::event::{Batch, Layer, Reason, Row, Slot, Span, Value, View};
use headwater::formats::Encoder;
use headwater::formats::json::{JsonEncoder, JsonOutput};
use headwater::time::{Env, Millis, Random, Timestamp};
use headwater::windows::aggregates::{self, Call};
use headwater::windows::{
    Accumulation, Aggregate, CARRY, Gap, Grid, PaneOutput, WindowKind, WindowOperator, WindowPlan,
};
use std::fs::File;
use std::hint::black_box;
use std::io::Write;

const ROWS: usize = 1024;
const BATCHES: usize = 400;

/// The time that the thread was running, as Linux counts it.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        let counted = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        counted.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or_default()
    }

    fn end(&self, start: u64) -> u64 {
        self.start() - start
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Takes rows and forgets them, or writes them away.
struct Sink {
    env: Env,
    batch: Batch,
    rows: usize,
    writer: Option<Writer>,
}

/// Writes rows as JSON to where nothing stays.
struct Writer {
    encoder: JsonEncoder,
    text: Vec<u8>,
    file: File,
}

impl Writer {
    fn new() -> Writer {
        let names = ["user", "window_start", "window_end", "sum", "count"];
        let fields =
            names.iter().enumerate().map(|(i, name)| Layer::Field((*name).to_owned(), Slot(i as u16)));
        let view = View { layers: fields.collect() };
        let file = File::options().write(true).open("/dev/null").expect("every system has it");
        Writer { encoder: JsonEncoder::new(JsonOutput::default(), &view), text: Vec::new(), file }
    }

    fn write(&mut self, batch: &Batch) {
        for row in 0..batch.len() {
            self.encoder.encode(batch, Row(row as u32), &mut self.text).expect("JSON takes every event");
        }
        self.file.write_all(&self.text).expect("it takes everything");
        self.text.clear();
    }
}

impl Sink {
    fn new(writer: Option<Writer>) -> Sink {
        let env = Env { now: Timestamp(0), elapsed: headwater::time::Millis(0), random: Random::seeded(1) };
        Sink { env, batch: Batch::new(16, b""), rows: 0, writer }
    }

    fn flush(&mut self) {
        self.rows += self.batch.len();
        match &mut self.writer {
            Some(writer) => writer.write(&self.batch),
            None => _ = black_box(self.batch.cells()),
        }
        self.batch.clear();
    }
}

impl Output for Sink {
    fn env(&mut self) -> &mut Env {
        &mut self.env
    }

    fn pass(&mut self, _port: Port, _rows: &[Row]) {}

    fn emit(&mut self, _port: Port) -> &mut Batch {
        if self.batch.is_full() {
            self.flush();
        }
        &mut self.batch
    }

    fn signal(&mut self, _port: Port, _signal: Signal) {}

    fn reject(&mut self, _batch: &Batch, _row: Row, reason: Reason) {
        panic!("{}", reason.text);
    }

    fn discard(&mut self, _reason: &'static str, _rows: u64) {}
}

/// Events (`user`, `amount`) of so many users, so many a second of event time, at most 3 s out of order, the watermark
/// 5 s behind.
struct Events {
    users: u64,
    per_second: u64,
    batch: Batch,
    rows: Vec<Row>,
}

/// The length of a user's name.
const NAME: usize = 11;

impl Events {
    fn new(users: u64, per_second: u64) -> Events {
        let names: String = (0..users).map(|user| format!("user-{user:06}")).collect();
        Events { users, per_second, batch: Batch::new(2, names.as_bytes()), rows: Vec::new() }
    }

    /// Fills the batch again, which takes some nanoseconds an event.
    fn next(&mut self, random: &mut Random, number: &mut u64) {
        let batch = &mut self.batch;
        batch.clear();
        self.rows.clear();
        for _ in 0..ROWS {
            let bits = random.bits();
            let front = 1_700_000_000_000 + *number * 1000 / self.per_second;
            let time = Timestamp((front - (bits >> 48) % 3000) as i64);
            let row = batch.push_row(time, batch.watermark);
            let user = (bits & 0xff_ffff) % self.users;
            batch.set(row, Slot(0), Value::plain_text(Span::new(user as usize * NAME, NAME)));
            batch.set(row, Slot(1), Value::float((bits >> 24 & 0xfff) as f64 / 4.0));
            batch.watermark = batch.watermark.max(time - Millis(5000));
            self.rows.push(row);
            *number += 1;
        }
    }
}

/// The constants of a call.
fn constants(name: &str) -> Vec<f64> {
    if name.ends_with("quantile") { vec![0.95] } else { Vec::new() }
}

fn plan(kind: WindowKind, names: &[&str], lateness: i64) -> WindowPlan {
    let aggregates = names.iter().enumerate().map(|(i, name)| {
        let spec = aggregates::find(name).expect("known");
        let slots = if spec.star { Vec::new() } else { vec![Slot(1)] };
        let call = Call { slots, constants: constants(name), own: None };
        Aggregate { spec, call, filter: None, into: Slot(3 + i as u16) }
    });
    WindowPlan {
        kind,
        key: vec![Slot(0)],
        own: None,
        aggregates: aggregates.collect(),
        lateness: Millis(lateness),
        accumulation: Accumulation::Accumulating,
        firing: None,
        carry: CARRY,
        ttl: headwater::config::StateTtl::default(),
        output: PaneOutput {
            key: vec![Some(Slot(0))],
            window_start: Some(Slot(1)),
            window_end: Some(Slot(2)),
            ..PaneOutput::default()
        },
        late: None,
    }
}

/// Drives all batches through a new operator; returns how many rows left.
fn drive(plan: &WindowPlan, events: &mut Events, writer: Option<Writer>) -> usize {
    let mut operator = WindowOperator::new(plan.clone(), 1);
    let mut out = Sink::new(writer);
    let (mut random, mut number) = (Random::seeded(7), 0);
    events.batch.watermark = Timestamp::MIN;
    for _ in 0..BATCHES {
        events.next(&mut random, &mut number);
        operator.process(&mut events.batch, &mut events.rows, &mut out);
        operator.signal(Signal::Watermark(events.batch.watermark), &mut out);
    }
    operator.signal(Signal::Watermark(Timestamp::MAX), &mut out);
    out.flush();
    out.rows
}

fn tumbling(size: i64) -> WindowKind {
    WindowKind::Tumbling { size: Millis(size), grid: Grid::default() }
}

fn sliding(size: i64, every: i64) -> WindowKind {
    WindowKind::Sliding { size: Millis(size), every: Millis(every), grid: Grid::default() }
}

fn session(gap: i64, max: Option<i64>) -> WindowKind {
    WindowKind::Session { gap: Gap::Fixed(Millis(gap)), max: max.map(Millis) }
}

fn zoned(size: i64) -> WindowKind {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("bundled");
    WindowKind::Tumbling { size: Millis(size), grid: Grid { offset: Millis(0), zone: Some(zone) } }
}

fn windows(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("windows");
    group.throughput(Throughput::Elements((ROWS * BATCHES) as u64)).sample_size(10);
    group.sampling_mode(criterion::SamplingMode::Flat);
    let two: &[&str] = &["sum", "count"];
    let all: &[&str] = &["sum", "count", "min", "max", "avg", "first", "last", "stddev"];
    let cases = [
        ("tumbling 1m, 10,000 users", 10_000, 5_000, plan(tumbling(60_000), two, 0)),
        ("tumbling 1m, lateness 30s", 10_000, 5_000, plan(tumbling(60_000), two, 30_000)),
        ("tumbling 1m, Europe/Berlin", 10_000, 5_000, plan(zoned(60_000), two, 0)),
        ("tumbling 1m, eight aggregates", 10_000, 5_000, plan(tumbling(60_000), all, 0)),
        ("tumbling 1m, quantile", 10_000, 5_000, plan(tumbling(60_000), &["quantile"], 0)),
        ("tumbling 1m, approx_quantile", 10_000, 5_000, plan(tumbling(60_000), &["approx_quantile"], 0)),
        ("tumbling 1m, approx_distinct", 10_000, 5_000, plan(tumbling(60_000), &["approx_distinct"], 0)),
        ("tumbling 1m, delta", 10_000, 5_000, plan(tumbling(60_000), &["delta"], 0)),
        ("tumbling 1m, collect", 10_000, 5_000, plan(tumbling(60_000), &["collect"], 0)),
        ("tumbling 1m, 100 users", 100, 2_000, plan(tumbling(60_000), two, 0)),
        ("sliding 1m every 1s, 100 users", 100, 2_000, plan(sliding(60_000, 1_000), two, 0)),
        ("sliding 1m every 10s, lateness", 100, 2_000, plan(sliding(60_000, 10_000), two, 30_000)),
        ("session 5s", 10_000, 5_000, plan(session(5_000, None), two, 0)),
        ("session 5s, max 1m", 10_000, 5_000, plan(session(5_000, Some(60_000)), two, 0)),
        ("global", 10_000, 5_000, plan(WindowKind::Global, two, 0)),
        ("count 10", 10_000, 5_000, plan(WindowKind::Count { size: 10, every: 10 }, two, 0)),
        ("count 100 every 10", 10_000, 5_000, plan(WindowKind::Count { size: 100, every: 10 }, two, 0)),
    ];
    for (name, users, per_second, plan) in cases {
        let mut events = Events::new(users, per_second);
        println!("{name}: {} rows of {} events", drive(&plan, &mut events, None), ROWS * BATCHES);
        group.bench_function(name, |bencher| bencher.iter(|| drive(&plan, &mut events, None)));
    }
    group.finish();
}

/// Overlapping windows beside those that lie side by side: the same input, and every row written.
fn written(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("written");
    group.throughput(Throughput::Elements((ROWS * BATCHES) as u64)).sample_size(40);
    group.sampling_mode(criterion::SamplingMode::Flat);
    let kinds = [("tumbling 1m", tumbling(60_000)), ("sliding 1m every 1s", sliding(60_000, 1_000))];
    for (name, kind) in kinds {
        let (plan, mut events) = (plan(kind, &["sum", "count"], 0), Events::new(100, 2_000));
        group.bench_function(name, |bencher| {
            bencher.iter(|| drive(&plan, &mut events, Some(Writer::new())));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = windows, written
}
criterion_main!(benches);
