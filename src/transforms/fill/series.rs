//! One key's way through the grid.

use crate::event::bytes::{Malformed, Reader, put_number, put_time};
use crate::event::{Batch, Kept, Value};
use crate::time::{Millis, Timestamp};
use std::collections::VecDeque;

/// What stands in a field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The last value at or before the row's time that is not null.
    Last,
    /// The number on the straight line from the last value to the next one.
    Linear,
    /// What an event has exactly then, else null.
    Null,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 3] = [Method::Last, Method::Linear, Method::Null];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Method::Last => "last",
            Method::Linear => "linear",
            Method::Null => "null",
        }
    }
}

/// The grid: multiples of `every` since the epoch.
#[derive(Clone, Debug)]
pub struct Grid {
    /// How far rows are apart.
    pub every: Millis,
    /// How long rows go on without events.
    pub max_gap: Millis,
    /// How each field is filled.
    pub methods: Vec<Method>,
}

impl Grid {
    /// The first row at or after a time.
    fn at_or_after(&self, time: Timestamp) -> Timestamp {
        let behind = time.0.rem_euclid(self.every.0);
        if behind == 0 { time } else { time + Millis(self.every.0 - behind) }
    }
}

/// The last value of a field that is not null.
#[derive(Clone, Debug)]
struct Sample {
    time: Timestamp,
    value: Kept,
}

/// A row that was laid, and of which something is not known yet. Its cells stand in [`Series::cells`].
#[derive(Clone, Copy, Debug)]
struct Laid {
    time: Timestamp,
    /// How many of its fields wait for the end of their straight lines.
    waits: u32,
}

/// What is kept for a key.
#[derive(Debug)]
pub struct Series {
    /// The next row to be laid.
    next: Timestamp,
    /// The time of the last event.
    last: Timestamp,
    samples: Vec<Sample>,
    rows: VecDeque<Laid>,
    /// The fields of all rows that were laid; none where one waits.
    cells: VecDeque<Option<Kept>>,
}

impl Default for Series {
    fn default() -> Series {
        Series {
            next: Timestamp::MAX,
            last: Timestamp::MIN,
            samples: Vec::new(),
            rows: VecDeque::new(),
            cells: VecDeque::new(),
        }
    }
}

impl Series {
    /// That of a key whose first event has this time.
    pub fn new(grid: &Grid, first: Timestamp) -> Series {
        let nothing = Sample { time: Timestamp::MIN, value: Kept::Scalar(Value::NULL) };
        let samples = vec![nothing; grid.methods.len()];
        Series { next: grid.at_or_after(first), last: first, samples, ..Series::default() }
    }

    /// Appends all of it.
    pub fn put(&self, into: &mut Vec<u8>) {
        put_time(into, self.next);
        put_time(into, self.last);
        for sample in &self.samples {
            put_time(into, sample.time);
            sample.value.put(into);
        }
        put_number(into, self.rows.len() as u64);
        self.rows.iter().for_each(|row| put_time(into, row.time));
        for cell in &self.cells {
            into.push(u8::from(cell.is_some()));
            cell.iter().for_each(|kept| kept.put(into));
        }
    }

    /// Reads what [`Series::put`] wrote.
    ///
    /// # Errors
    /// The bytes are none of that.
    pub fn take_back(grid: &Grid, reader: &mut Reader<'_>) -> Result<Series, Malformed> {
        let (next, last) = (reader.time()?, reader.time()?);
        let sample = |_| Ok(Sample { time: reader.time()?, value: Kept::take(reader)? });
        let samples: Vec<Sample> = grid.methods.iter().map(sample).collect::<Result<_, _>>()?;
        if grid.at_or_after(next) != next || samples.iter().any(|sample| sample.time > last) {
            return Err(Malformed("a series beside its grid"));
        }
        let mut series = Series { next, last, samples, ..Series::default() };
        for _ in 0..reader.count()? {
            series.rows.push_back(Laid { time: reader.time()?, waits: 0 });
        }
        for row in &mut series.rows {
            for method in &grid.methods {
                let cell = if reader.flag()? { Some(Kept::take(reader)?) } else { None };
                if cell.is_none() && *method != Method::Linear {
                    return Err(Malformed("a value that nobody waits for"));
                }
                row.waits += u32::from(cell.is_none());
                series.cells.push_back(cell);
            }
        }
        Ok(series)
    }

    /// Takes the value of a field of an event.
    pub fn take(&mut self, grid: &Grid, field: usize, time: Timestamp, batch: &Batch, value: Value) {
        if value.is_null() {
            return;
        }
        if grid.methods[field] == Method::Linear {
            self.draw(grid, field, time, value);
        }
        let sample = &mut self.samples[field];
        sample.time = time;
        sample.value.replace(batch, value);
    }

    /// An event was there. Returns when the key is to be looked at, if nothing else is agreed.
    pub fn seen(&mut self, grid: &Grid, time: Timestamp) -> Timestamp {
        self.last = self.last.max(time);
        self.due(grid)
    }

    /// When the next row is known, or the key has had no event for too long.
    fn due(&self, grid: &Grid) -> Timestamp {
        self.next.min(self.last + grid.max_gap) + Millis(1)
    }

    /// All events before `due` are known. Lays the row that stands there, and tells when to look again: never, if the
    /// key's rows have come to their end.
    pub fn reach(&mut self, grid: &Grid, due: Timestamp) -> Option<Timestamp> {
        let reached = due - Millis(1);
        if self.next <= reached {
            self.lay(grid, self.next);
            self.next = self.next + grid.every;
        }
        let is_over = self.last + grid.max_gap <= reached || due == Timestamp::MAX;
        if is_over {
            (0..grid.methods.len()).for_each(|field| self.give_up(grid, field));
            return None;
        }
        Some(self.due(grid))
    }

    /// Adds the row of that time.
    fn lay(&mut self, grid: &Grid, time: Timestamp) {
        let mut waits = 0;
        for (field, method) in grid.methods.iter().enumerate() {
            let sample = &self.samples[field];
            let is_here = sample.time == time;
            let is_known = !sample.value.parts().0.is_null();
            let cell = match method {
                Method::Last => Some(sample.value.clone()),
                Method::Null if is_here => Some(sample.value.clone()),
                Method::Linear if is_here => Some(number(&sample.value).map_or(null(), float)),
                Method::Linear if is_known && time <= sample.time + grid.max_gap => None,
                Method::Null | Method::Linear => Some(null()),
            };
            if *method == Method::Linear && cell.is_some() && !is_here {
                self.give_up(grid, field);
            }
            waits += u32::from(cell.is_none());
            self.cells.push_back(cell);
        }
        self.rows.push_back(Laid { time, waits });
    }

    /// Ends the straight line of a field at an event.
    fn draw(&mut self, grid: &Grid, field: usize, time: Timestamp, value: Value) {
        let start = &self.samples[field];
        let (from, since) = (number(&start.value), start.time);
        let (Some(from), Some(to)) = (from, value.as_number()) else { return };
        if time > since + grid.max_gap {
            return self.give_up(grid, field);
        }
        let length = time.0.saturating_sub(since.0) as f64;
        self.settle(grid, field, |row| {
            let share = row.0.saturating_sub(since.0) as f64 / length;
            let between = from + (to - from) * share;
            float(if between.is_finite() { between } else { from * (1.0 - share) + to * share })
        });
    }

    /// Nobody knows what a field would have been in the rows that wait for it.
    fn give_up(&mut self, grid: &Grid, field: usize) {
        self.settle(grid, field, |_| null());
    }

    /// Fills in a field of the rows that wait for it: those right behind its last value.
    fn settle(&mut self, grid: &Grid, field: usize, value: impl Fn(Timestamp) -> Kept) {
        let fields = grid.methods.len();
        let since = self.samples[field].time;
        let first = self.rows.partition_point(|row| row.time <= since);
        for (index, row) in (first..).zip(self.rows.range_mut(first..)) {
            let Some(cell @ None) = self.cells.get_mut(index * fields + field) else { break };
            *cell = Some(value(row.time));
            row.waits -= 1;
        }
    }

    /// The time of the first row that was laid and has not left.
    pub fn first_waiting(&self) -> Option<Timestamp> {
        self.rows.front().map(|row| row.time)
    }

    /// The same, if nothing in it is waited for.
    pub fn first_finished(&self) -> Option<Timestamp> {
        self.rows.front().filter(|row| row.waits == 0).map(|row| row.time)
    }

    /// Takes out the first row that was laid.
    pub fn take_first(&mut self, grid: &Grid, mut each: impl FnMut(usize, &Kept)) {
        self.rows.pop_front();
        for (field, cell) in self.cells.drain(..grid.methods.len()).enumerate() {
            if let Some(kept) = cell {
                each(field, &kept);
            }
        }
    }
}

fn number(kept: &Kept) -> Option<f64> {
    kept.parts().0.as_number()
}

fn float(number: f64) -> Kept {
    Kept::Scalar(Value::float(number))
}

fn null() -> Kept {
    Kept::Scalar(Value::NULL)
}
