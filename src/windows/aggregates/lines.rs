//! `corr(x, y)`, `slope(x)`: how close to a line values lie, and how steep it is.

use super::column::{Arrival, Columns, Fold};
use super::near::{Near, counter, float, put_counter, put_float};
use super::{AggregateSpec, Argument, Example, ResultType, Takes, number, overflow};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Reason, Slot, Value};
use crate::time::Timestamp;

/// The correlation.
pub static CORR: AggregateSpec = AggregateSpec {
    name: "corr",
    summary: "correlation of `x` and `y` (Pearson), of events that have both; null if one of them never changes",
    arguments: &[Argument::required("x", Takes::Numbers), Argument::required("y", Takes::Numbers)],
    star: false,
    distinct: None,
    result: ResultType::Float,
    mergeable: true,
    carries: false,
    example: Example { call: "corr(x, x)", values: "[1, 2, null, 4]", result: "1.0" },
    make: |call, _| {
        let [x, y] = call.two_slots();
        Box::new(Columns::new(Corr { x, y, large: 0 }))
    },
};

/// The slope.
pub static SLOPE: AggregateSpec = AggregateSpec {
    name: "slope",
    summary: "least-squares slope of `x` per second of event time; null if all values have one time",
    arguments: &[Argument::required("x", Takes::Numbers)],
    star: false,
    distinct: None,
    result: ResultType::Float,
    mergeable: true,
    carries: false,
    example: Example { call: "slope(x)", values: "[5, null, 9]", result: "2000.0" },
    make: |call, _| Box::new(Columns::new(Slope { slot: call.slot(), large: 0 })),
};

/// Number, means and sums of products of distances from the means of pairs, one pair at a time as by Welford (1962), two
/// states at a time by Chan, Golub and LeVeque (1979).
#[derive(Clone, Copy, Default)]
struct Pairs {
    count: f64,
    mean: [f64; 2],
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Pairs {
    fn of(x: f64, y: f64) -> Pairs {
        Pairs { count: 1.0, mean: [x, y], ..Pairs::default() }
    }

    fn and(self, other: Pairs) -> Pairs {
        if self.count == 0.0 || other.count == 0.0 {
            return if self.count == 0.0 { other } else { self };
        }
        let count = self.count + other.count;
        let (share, weight) = (other.count / count, self.count * other.count / count);
        let [dx, dy] = [0, 1].map(|i| other.mean[i] - self.mean[i]);
        Pairs {
            count,
            mean: [self.mean[0] + dx * share, self.mean[1] + dy * share],
            xx: self.xx + other.xx + dx * dx * weight,
            xy: self.xy + other.xy + dx * dy * weight,
            yy: self.yy + other.yy + dy * dy * weight,
        }
    }

    /// Far below what a million states and 10^12 pairs could combine to beyond the range of floats.
    fn is_large(self) -> bool {
        self.mean.iter().any(|mean| mean.abs() > 1e139) || self.xx > 1e279 || self.yy > 1e279
    }

    fn valid(self, name: &'static str) -> Result<(), Reason> {
        let sum = self.mean[0] + self.mean[1] + self.xx + self.xy + self.yy;
        if sum.is_finite() { Ok(()) } else { Err(overflow(name, "float")) }
    }

    fn save(self, into: &mut Vec<u8>) {
        if put_counter(into, self.count) {
            let Pairs { mean: [x, y], xx, xy, yy, .. } = self;
            [x, y, xx, xy, yy].into_iter().for_each(|float| put_float(into, float));
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Pairs, Malformed> {
        let count = counter(from)?;
        if count == 0.0 {
            return Ok(Pairs::default());
        }
        let mean = [float(from)?, float(from)?];
        Ok(Pairs { count, mean, xx: float(from)?, xy: float(from)?, yy: float(from)? })
    }
}

struct Corr {
    x: Slot,
    y: Slot,
    /// How many states are large.
    large: usize,
}

impl Corr {
    fn pair(&self, event: &Arrival) -> Result<Pairs, Reason> {
        let x = number("corr", event.batch.get(event.row, self.x))?;
        let y = number("corr", event.batch.get(event.row, self.y))?;
        Ok(x.zip(y).map_or(Pairs::default(), |(x, y)| Pairs::of(x, y)))
    }

    /// The event's pair, of an event that was checked.
    fn checked(&self, event: Option<&Arrival>) -> Pairs {
        event.and_then(|event| self.pair(event).ok()).unwrap_or_default()
    }

    fn put(&mut self, state: &mut Pairs, pairs: Pairs) {
        self.large += pairs.is_large() as usize;
        self.large -= state.is_large() as usize;
        *state = pairs;
    }
}

impl Fold for Corr {
    type State = Pairs;
    const FALLIBLE: bool = true;

    fn check(&self, state: &Pairs, event: &Arrival) -> Result<(), Reason> {
        state.and(self.pair(event)?).valid("corr")
    }

    fn scarce(&self, event: Option<&Arrival>) -> bool {
        self.large > 0 || self.checked(event).is_large()
    }

    fn check_combined(&self, parts: &[&Pairs], event: Option<&Arrival>) -> Result<(), Reason> {
        parts.iter().fold(self.checked(event), |whole, part| whole.and(**part)).valid("corr")
    }

    fn add(&mut self, state: &mut Pairs, event: &Arrival) {
        self.put(state, state.and(self.checked(Some(event))));
    }

    fn merge(&mut self, into: &mut Pairs, from: &Pairs) {
        self.put(into, into.and(*from));
    }

    fn result(&mut self, state: &mut Pairs, _batch: &mut Batch) -> Value {
        let product = state.xx * state.yy;
        // Of very large or small values the product is beyond the range of floats.
        let scale = if product.is_normal() { product.sqrt() } else { state.xx.sqrt() * state.yy.sqrt() };
        if scale > 0.0 { Value::float((state.xy / scale).clamp(-1.0, 1.0)) } else { Value::NULL }
    }

    fn release(&mut self, state: &Pairs) {
        self.large -= state.is_large() as usize;
    }

    fn save(&self, state: &Pairs, _near: Near, into: &mut Vec<u8>) {
        state.save(into);
    }

    fn load(&mut self, _near: Near, from: &mut Reader<'_>) -> Result<Pairs, Malformed> {
        let pairs = Pairs::load(from)?;
        self.large += pairs.is_large() as usize;
        Ok(pairs)
    }
}

/// Values over time, in milliseconds from one of them: since the epoch they would take away digits.
#[derive(Clone, Copy, Default)]
struct Course {
    origin: i64,
    pairs: Pairs,
}

impl Course {
    fn and(self, other: Course) -> Course {
        if self.pairs.count == 0.0 {
            return other;
        }
        let mut pairs = other.pairs;
        pairs.mean[0] += other.origin.saturating_sub(self.origin) as f64;
        Course { origin: self.origin, pairs: self.pairs.and(pairs) }
    }
}

struct Slope {
    slot: Slot,
    /// How many states are large.
    large: usize,
}

impl Slope {
    fn point(&self, event: &Arrival) -> Result<Course, Reason> {
        let value = number("slope", event.batch.get(event.row, self.slot))?;
        let pairs = value.map_or(Pairs::default(), |value| Pairs::of(0.0, value));
        Ok(Course { origin: event.time.0, pairs })
    }

    /// The event's point, of an event that was checked.
    fn checked(&self, event: Option<&Arrival>) -> Course {
        event.and_then(|event| self.point(event).ok()).unwrap_or_default()
    }

    fn put(&mut self, state: &mut Course, course: Course) {
        self.large += course.pairs.is_large() as usize;
        self.large -= state.pairs.is_large() as usize;
        *state = course;
    }
}

impl Fold for Slope {
    type State = Course;
    const FALLIBLE: bool = true;

    fn check(&self, state: &Course, event: &Arrival) -> Result<(), Reason> {
        state.and(self.point(event)?).pairs.valid("slope")
    }

    fn scarce(&self, event: Option<&Arrival>) -> bool {
        self.large > 0 || self.checked(event).pairs.is_large()
    }

    fn check_combined(&self, parts: &[&Course], event: Option<&Arrival>) -> Result<(), Reason> {
        parts.iter().fold(self.checked(event), |whole, part| whole.and(**part)).pairs.valid("slope")
    }

    fn add(&mut self, state: &mut Course, event: &Arrival) {
        self.put(state, state.and(self.checked(Some(event))));
    }

    fn merge(&mut self, into: &mut Course, from: &Course) {
        self.put(into, into.and(*from));
    }

    fn result(&mut self, state: &mut Course, _batch: &mut Batch) -> Value {
        let Pairs { xx, xy, .. } = state.pairs;
        if xx > 0.0 { super::finite(xy / xx * 1000.0) } else { Value::NULL }
    }

    fn release(&mut self, state: &Course) {
        self.large -= state.pairs.is_large() as usize;
    }

    fn save(&self, state: &Course, near: Near, into: &mut Vec<u8>) {
        state.pairs.save(into);
        if state.pairs.count > 0.0 {
            near.put_time(into, Timestamp(state.origin));
        }
    }

    fn load(&mut self, near: Near, from: &mut Reader<'_>) -> Result<Course, Malformed> {
        let pairs = Pairs::load(from)?;
        let origin = if pairs.count > 0.0 { near.time(from)?.0 } else { 0 };
        self.large += pairs.is_large() as usize;
        Ok(Course { origin, pairs })
    }
}
