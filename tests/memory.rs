//! Memory stays where it is: 1,000 devices with 20 windows each, an hour of event time, counted byte by byte.

use headwater::dataflow::{Operator, Output, Port, Signal};
use headwater::event::{Batch, Reason, Row, Slot, Value};
use headwater::time::{Env, Millis, Random, Timestamp};
use headwater::windows::aggregates::{self, Call};
use headwater::windows::{
    Accumulation, Aggregate, CARRY, Gap, Grid, PaneOutput, WindowKind, WindowOperator, WindowPlan,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

/// The system's allocator, and how many bytes it has given out.
struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call goes to the system's allocator as it is; the count beside it allocates nothing. The test below
// runs on it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const DEVICES: u64 = 1_000;
const MINUTE: i64 = 60_000;
/// Until there are as many windows as there will ever be.
const WARM: i64 = 25 * MINUTE;
const HOUR: i64 = 60 * MINUTE;
/// From one event of a device to the next.
const EVERY: i64 = 30_000;

/// Takes rows and forgets them.
struct Sink {
    env: Env,
    batch: Batch,
    rows: usize,
}

impl Output for Sink {
    fn env(&mut self) -> &mut Env {
        &mut self.env
    }

    fn pass(&mut self, _port: Port, _rows: &[Row]) {}

    fn emit(&mut self, _port: Port) -> &mut Batch {
        if self.batch.is_full() {
            self.rows += self.batch.len();
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

const SKETCHES: &[&str] = &["approx_distinct", "approx_quantile", "top", "count"];
const FOLLOWING: &[&str] = &["delta", "time_weighted_avg", "rate", "count"];

fn plan(kind: WindowKind, names: &[&str], lateness: i64) -> WindowPlan {
    let aggregates = names.iter().enumerate().map(|(i, name)| {
        let constants = match *name {
            "approx_quantile" => vec![0.95],
            "top" => vec![3.0],
            _ => Vec::new(),
        };
        let spec = aggregates::find(name).expect("known");
        let call = Call { slots: vec![Slot(1)], constants, own: None };
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

/// Drives an hour and more through an operator. Returns the most bytes held at the end of a minute while it warmed up,
/// and after. `strangers` are devices that come once and never again.
fn drive(plan: WindowPlan, strangers: bool) -> (isize, isize) {
    let slots = 3 + plan.aggregates.len();
    let mut operator = WindowOperator::new(plan, 1);
    let env = Env { now: Timestamp(0), elapsed: Millis(0), random: Random::seeded(1) };
    let mut out = Sink { env, batch: Batch::new(slots, b""), rows: 0 };
    let mut batch = Batch::new(2, b"");
    let (mut random, mut rows) = (Random::seeded(7), Vec::new());
    let start = HELD.load(Ordering::Relaxed);
    let (mut warming, mut after) = (0, 0);
    for now in (0..WARM + HOUR).step_by(EVERY as usize) {
        for device in 0..DEVICES {
            let bits = random.bits();
            // Up to 12 s out of order, the watermark 5 s behind; a tenth of the devices is silent every other half hour.
            let time = Timestamp(now + (bits % EVERY as u64) as i64 - (bits >> 32 & 3) as i64 * 4_000);
            if device % 10 == 0 && now / (30 * MINUTE) % 2 == 1 {
                continue;
            }
            let device = if strangers { now as u64 + device } else { device };
            let row = batch.push_row(time, batch.watermark);
            batch.set(row, Slot(0), Value::int(device as i64));
            batch.set(row, Slot(1), Value::float((bits >> 40 & 0xfff) as f64));
            batch.watermark = batch.watermark.max(time - Millis(5_000));
            rows.push(row);
        }
        operator.process(&mut batch, &mut rows, &mut out);
        operator.signal(Signal::Watermark(batch.watermark), &mut out);
        batch.clear();
        if (now + EVERY) % MINUTE == 0 {
            let held = HELD.load(Ordering::Relaxed) - start;
            let most = if now < WARM { &mut warming } else { &mut after };
            *most = held.max(*most);
        }
    }
    assert!(out.rows > 10_000, "windows fired");
    (warming, after)
}

#[test]
fn an_hour_takes_no_more_than_its_beginning() {
    let (size, every, grid) = (Millis(20 * MINUTE), Millis(MINUTE), Grid::default());
    let sliding = || WindowKind::Sliding { size, every, grid: grid.clone() };
    let cumulate = || WindowKind::Cumulate { max: size, step: every, grid: grid.clone() };
    let session = WindowKind::Session { gap: Gap::Fixed(Millis(40_000)), max: Some(size) };
    let cases = [
        ("sliding, sketches", plan(sliding(), SKETCHES, 0)),
        ("sliding, following", plan(sliding(), FOLLOWING, 0)),
        ("sliding, lateness", plan(sliding(), FOLLOWING, MINUTE)),
        ("cumulate, sketches", plan(cumulate(), SKETCHES, MINUTE)),
        ("session, following", plan(session, FOLLOWING, MINUTE)),
    ];
    let tumbling = WindowKind::Tumbling { size: every, grid: grid.clone() };
    let carrying = WindowPlan { carry: Millis(5 * MINUTE), ..plan(tumbling, FOLLOWING, 0) };
    let strangers = [("strangers, following", carrying, true)];
    for (name, plan, strangers) in cases.map(|(name, plan)| (name, plan, false)).into_iter().chain(strangers)
    {
        let (warming, after) = drive(plan, strangers);
        println!("{name}: {} KiB, then {} KiB", warming >> 10, after >> 10);
        assert!(after - warming <= 1 << 20, "{name}: from {warming} to {after} bytes");
    }
}
