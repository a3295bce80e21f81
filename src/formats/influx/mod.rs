//! InfluxDB line protocol: measurement, tags, fields and a time, a line each.

mod decode;
mod encode;
mod line;

#[cfg(test)]
mod tests;

pub use decode::InfluxDecoder;
pub use encode::InfluxEncoder;

/// The field that the measurement is read into.
pub const MEASUREMENT: &str = "measurement";

/// The field that the time is read into and written from.
pub const TIME: &str = "time";

/// What a time counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Nanoseconds.
    #[default]
    Nanos,
    /// Microseconds.
    Micros,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
}

impl Precision {
    /// The words that users write.
    pub const NAMES: [(&'static str, Precision); 4] = [
        ("ns", Precision::Nanos),
        ("us", Precision::Micros),
        ("ms", Precision::Millis),
        ("s", Precision::Seconds),
    ];

    /// Milliseconds of a time, floored; None if 64 bits do not hold them.
    fn millis_of(self, time: i64) -> Option<i64> {
        Some(match self {
            Precision::Nanos => time.div_euclid(1_000_000),
            Precision::Micros => time.div_euclid(1_000),
            Precision::Millis => time,
            Precision::Seconds => time.checked_mul(1_000)?,
        })
    }

    /// The time of so many milliseconds, floored; None if 64 bits do not hold it.
    fn time_of(self, ms: i64) -> Option<i64> {
        Some(match self {
            Precision::Nanos => ms.checked_mul(1_000_000)?,
            Precision::Micros => ms.checked_mul(1_000)?,
            Precision::Millis => ms,
            Precision::Seconds => ms.div_euclid(1_000),
        })
    }
}

/// How line protocol is read and written.
#[derive(Clone, Debug)]
pub struct InfluxOptions {
    /// What times count.
    pub precision: Precision,
    /// What the measurement is when writing.
    pub measurement: Measurement,
    /// Fields that are written as tags, in this order.
    pub tags: Vec<String>,
}

impl Default for InfluxOptions {
    fn default() -> InfluxOptions {
        let measurement = Measurement::Field(MEASUREMENT.to_owned());
        InfluxOptions { precision: Precision::Nanos, measurement, tags: Vec::new() }
    }
}

/// What the measurement is when writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measurement {
    /// The value of a field.
    Field(String),
    /// The same for all events.
    Fixed(String),
}
