//! Points in time and spans between them, in milliseconds.

use std::fmt;
use std::ops::{Add, Sub};

/// Milliseconds since the epoch, UTC. Also the unit of watermarks: a watermark W says that no
/// event earlier than W is expected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every event: the watermark at the start.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// After every event: the watermark at the end of bounded input.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// A time of the calendar; what is finer than a millisecond is floored, also before the epoch.
    pub fn floor(time: jiff::Timestamp) -> Timestamp {
        // Nanoseconds of jiff's years (-9999 to 9999) are far inside 128 bits, their milliseconds inside 64.
        Timestamp(time.as_nanosecond().div_euclid(1_000_000) as i64)
    }
}

/// Arithmetic saturates, so that MIN and MAX stay what they are for.
impl Add<Millis> for Timestamp {
    type Output = Timestamp;
    #[inline]
    fn add(self, span: Millis) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Timestamp;
    #[inline]
    fn sub(self, span: Millis) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Timestamp::MIN => write!(f, "@-inf"),
            Timestamp::MAX => write!(f, "@+inf"),
            Timestamp(ms) => write!(f, "@{ms}"),
        }
    }
}

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

impl Millis {
    /// No time at all.
    pub const ZERO: Millis = Millis(0);
}

/// Arithmetic saturates.
impl Add for Millis {
    type Output = Millis;
    fn add(self, other: Millis) -> Millis {
        Millis(self.0.saturating_add(other.0))
    }
}

/// Arithmetic saturates.
impl Sub for Millis {
    type Output = Millis;
    fn sub(self, other: Millis) -> Millis {
        Millis(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Millis {
    /// As the pipeline language writes it, in the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        let unit = units.iter().find(|(ms, _)| self.0 != 0 && self.0 % ms == 0);
        match unit {
            Some((ms, name)) => write!(f, "{}{name}", self.0 / ms),
            None => write!(f, "{}ms", self.0),
        }
    }
}
