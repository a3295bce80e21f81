//! Event times out of what events hold: numbers of a unit, RFC 3339, or text of a given pattern.

use crate::event::{Batch, Kind, Reason, RejectKind, Value};
use crate::time::Timestamp;
use jiff::tz::TimeZone;

/// The earliest time an event may have: the year -9999 has begun everywhere. The calendar knows none before.
pub const EARLIEST: Timestamp = Timestamp(-377_705_023_201_000);

/// The latest time an event may have: the year 9999 has not ended anywhere. Numbers of a wrong unit lie beyond.
pub const LATEST: Timestamp = Timestamp(253_402_207_200_999);

/// What the reason says for which an event is rejected whose time the calendar does not know.
pub const BEYOND_CALENDAR: &str = "beyond the year 9999 or before -9999";

/// What a number of time units since the epoch counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Milliseconds.
    #[default]
    Millis,
    /// Seconds; may have a fraction.
    Seconds,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl TimeUnit {
    /// The unit that the pipeline language knows by this name.
    pub fn named(name: &str) -> Option<TimeUnit> {
        match name {
            "ms" => Some(TimeUnit::Millis),
            "s" => Some(TimeUnit::Seconds),
            "us" => Some(TimeUnit::Micros),
            "ns" => Some(TimeUnit::Nanos),
            _ => None,
        }
    }

    /// The name in the pipeline language.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Millis => "ms",
            TimeUnit::Seconds => "s",
            TimeUnit::Micros => "us",
            TimeUnit::Nanos => "ns",
        }
    }

    /// The time of a whole number of units; finer parts are floored. None outside [`EARLIEST`]..=[`LATEST`].
    #[inline]
    pub fn whole(self, number: i64) -> Option<Timestamp> {
        let ms = match self {
            TimeUnit::Millis => number,
            TimeUnit::Seconds => number.checked_mul(1000)?,
            TimeUnit::Micros => number.div_euclid(1_000),
            TimeUnit::Nanos => number.div_euclid(1_000_000),
        };
        in_range(ms)
    }

    /// The time of a number of units; finer parts are floored. None outside [`EARLIEST`]..=[`LATEST`].
    pub fn fraction(self, number: f64) -> Option<Timestamp> {
        // Integers beyond 64 bits are floats too, hence 128.
        let ms = match self {
            TimeUnit::Millis => number.floor() as i128,
            TimeUnit::Seconds => floor_seconds(number) as i128,
            TimeUnit::Micros => (number.floor() as i128).div_euclid(1_000),
            TimeUnit::Nanos => (number.floor() as i128).div_euclid(1_000_000),
        };
        in_range(i64::try_from(ms).ok()?)
    }
}

/// Whole milliseconds of a number of seconds. A float is meant as the shortest decimal that it stands for:
/// 1.001 is 1001 ms, though the float next to 1.001 is smaller than that.
fn floor_seconds(seconds: f64) -> f64 {
    let product = seconds * 1000.0;
    let nearest = product.round();
    if nearest / 1000.0 == seconds {
        return nearest;
    }
    // Where rounding has lifted the product to a whole number, the exact rest of the product shows it.
    let floor = product.floor();
    if floor == product && seconds.mul_add(1000.0, -product) < 0.0 { floor - 1.0 } else { floor }
}

#[inline]
fn in_range(ms: i64) -> Option<Timestamp> {
    (EARLIEST.0..=LATEST.0).contains(&ms).then_some(Timestamp(ms))
}

/// Time as text of a given form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePattern(String);

impl TimePattern {
    /// A pattern of strftime directives, such as `%d/%b/%Y:%H:%M:%S %z`. Without an offset or zone in it, times
    /// are UTC. The error says what is wrong with it.
    pub fn new(pattern: &str) -> Result<TimePattern, String> {
        let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let text = jiff::fmt::strtime::format(pattern, &sample).map_err(|e| e.to_string())?;
        let pattern = TimePattern(pattern.to_owned());
        pattern.parse(&text).map_err(|e| e.to_string())?;
        Ok(pattern)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The time that a text stands for.
    pub fn parse(&self, text: &str) -> Result<Timestamp, jiff::Error> {
        crate::time::parse_time(&self.0, text, &TimeZone::UTC)
    }
}

/// Reads RFC 3339 (with its offset).
pub fn parse_rfc3339(text: &str) -> Result<Timestamp, jiff::Error> {
    text.parse::<jiff::Timestamp>().map(Timestamp::floor)
}

/// How the event time stands in events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// A number.
    Unit(TimeUnit),
    /// RFC 3339 text.
    Rfc3339,
    /// Text of a pattern.
    Pattern(TimePattern),
}

/// Reads the event time of events. Timestamp values are taken as they are, whatever the form.
#[derive(Clone, Debug)]
pub struct TimeReader {
    /// What messages call the value: a field or an expression.
    pub name: String,
    /// How the time stands there.
    pub form: TimeForm,
}

impl TimeReader {
    /// The event time that a cell of the batch holds, or why there is none.
    #[inline]
    pub fn read(&self, batch: &Batch, value: Value) -> Result<Timestamp, Reason> {
        // The most common case must stay small enough to be inlined.
        if let (Some(ms), TimeForm::Unit(TimeUnit::Millis)) = (value.as_int(), &self.form)
            && let Some(time) = in_range(ms)
        {
            return Ok(time);
        }
        self.read_any(batch, value)
    }

    fn read_any(&self, batch: &Batch, value: Value) -> Result<Timestamp, Reason> {
        let time = match (value.kind(), &self.form) {
            (Kind::Timestamp, _) => value.as_timestamp().and_then(in_range),
            (Kind::Int, TimeForm::Unit(unit)) => value.as_int().and_then(|n| unit.whole(n)),
            (Kind::Float, TimeForm::Unit(unit)) => value.as_float().and_then(|n| unit.fraction(n)),
            (Kind::Text, TimeForm::Rfc3339) => return self.text(batch, value, parse_rfc3339),
            (Kind::Text, TimeForm::Pattern(pattern)) => {
                return self.text(batch, value, |text| pattern.parse(text));
            }
            _ => return Err(self.mismatch(value.kind())),
        };
        time.ok_or_else(|| self.out_of_range(value))
    }

    fn text(
        &self,
        batch: &Batch,
        value: Value,
        parse: impl Fn(&str) -> Result<Timestamp, jiff::Error>,
    ) -> Result<Timestamp, Reason> {
        let text = batch.text(value);
        parse(text).map_err(|error| {
            let shown: String = text.chars().take(40).collect();
            self.reject(&format!("cannot be read from '{shown}': {error}"))
        })
    }

    #[cold]
    fn mismatch(&self, kind: Kind) -> Reason {
        match (kind, &self.form) {
            (Kind::Null, _) => self.reject("is null or missing"),
            (Kind::Text, _) => self.reject("is text: give it `unit: rfc3339` or a `format`"),
            (Kind::Int | Kind::Float, TimeForm::Rfc3339) => {
                self.reject("is a number, but `unit: rfc3339` reads text")
            }
            (Kind::Int | Kind::Float, _) => self.reject("is a number, but `format` reads text"),
            _ => self.reject(&format!("is no time but of type {}", kind.name())),
        }
    }

    #[cold]
    fn out_of_range(&self, value: Value) -> Reason {
        let hint = match &self.form {
            TimeForm::Unit(unit) if value.as_timestamp().is_none() => {
                format!("; is `unit: {}` right?", unit.name())
            }
            _ => String::new(),
        };
        self.reject(&format!("is {BEYOND_CALENDAR}{hint}"))
    }

    fn reject(&self, what: &str) -> Reason {
        Reason::new(RejectKind::Time, format!("the event time `{}` {what}", self.name))
    }
}

#[cfg(test)]
mod tests;
