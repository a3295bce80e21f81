//! Cutting time into equal lengths, by UTC or by the clock on a wall.

use super::{Millis, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

const DAY: i64 = 86_400_000;

/// From `start` (inclusive) to `end` (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// The first moment.
    pub start: Timestamp,
    /// The first moment behind it.
    pub end: Timestamp,
}

impl Interval {
    /// The interval without any moment: joined with another, it is that one.
    pub const NOTHING: Interval = Interval { start: Timestamp::MAX, end: Timestamp::MIN };

    /// The shortest interval that holds both.
    #[inline]
    pub fn join(self, other: Interval) -> Interval {
        Interval { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Whether the moment lies in it.
    #[inline]
    pub fn contains(self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}

/// Cuts all of time into intervals.
///
/// Without a zone they are of one `size`, and one starts at the epoch + `offset`. With a zone the *wall clock* is cut:
/// cuts stand where it reads a multiple of `size` + `offset`, counted from local midnight of 1970-01-01, so that a size
/// that divides a day is cut from each local midnight. When the clock skips such a reading, the cut stands where it
/// skips; when it shows one twice, at the first time. So a day has 23 or 25 hours and an 8-hour shift 7 or 9, where the
/// clocks change. If `size` divides the change (quarters of an hour, hours), nothing gets longer or shorter: the
/// day has so many of them more or fewer.
#[derive(Clone, Debug)]
pub struct Cuts {
    size: i64,
    offset: i64,
    zone: Option<TimeZone>,
    /// While the interval of a moment lies well within this stretch, UTC + `shift` is the wall clock.
    steady: Interval,
    shift: i64,
    /// The intervals found last where the clock is not steady.
    recent: [Interval; 2],
}

impl Cuts {
    /// Cuts of a positive size. Whether a zone can have cuts of this size is asked by [`Cuts::check`].
    pub fn new(size: Millis, offset: Millis, zone: Option<TimeZone>) -> Cuts {
        let steady = match zone {
            None => Interval { start: Timestamp::MIN, end: Timestamp::MAX },
            Some(_) => Interval::NOTHING,
        };
        Cuts { size: size.0.max(1), offset: offset.0, zone, steady, shift: 0, recent: [Interval::NOTHING; 2] }
    }

    /// Whether a size may be cut in a zone: it must divide a day, or be whole days and have been written in days
    /// (`1d` is a day of the calendar, `24h` never is). If not, one sentence for the person who wrote it.
    pub fn check(size: Millis, written_in_days: bool) -> Result<(), &'static str> {
        match size.0 {
            ms if ms <= 0 => Err("a length of time must be positive"),
            ms if ms % DAY == 0 && !written_in_days => {
                Err("with a time zone, days are written in days: `1d` is a day of the calendar, `24h` never")
            }
            ms if ms % DAY == 0 || DAY % ms == 0 => Ok(()),
            _ => Err("with a time zone, a length must divide a day (15m, 1h, 8h) or be whole days (1d, 7d)"),
        }
    }

    /// The interval that a moment lies in.
    #[inline]
    pub fn around(&mut self, time: Timestamp) -> Interval {
        if self.steady.contains(time) { self.plain(time) } else { self.find(time) }
    }

    /// The interval before one that was found.
    pub fn before(&mut self, interval: Interval) -> Interval {
        self.around(interval.start - Millis(1))
    }

    /// The interval behind one that was found.
    pub fn after(&mut self, interval: Interval) -> Interval {
        self.around(interval.end)
    }

    /// The interval as long as the wall clock does not change.
    #[inline]
    fn plain(&self, time: Timestamp) -> Interval {
        let local = time.0.saturating_add(self.shift).saturating_sub(self.offset);
        let start = Timestamp(time.0.saturating_sub(local.rem_euclid(self.size)));
        Interval { start, end: start + Millis(self.size) }
    }

    #[cold]
    fn find(&mut self, time: Timestamp) -> Interval {
        if let Some(known) = self.recent.iter().find(|known| known.contains(time)) {
            return *known;
        }
        let found = match self.zone.clone() {
            Some(zone) => self.found_in(&zone, time),
            None => self.plain(time),
        };
        self.recent = [found, self.recent[0]];
        found
    }

    fn found_in(&mut self, zone: &TimeZone, time: Timestamp) -> Interval {
        self.shift = millis(zone.to_offset(moment(time)));
        let found = self.plain(time);
        let (from, step) = transition_before(zone, time);
        let (until, next_step) = transition_after(zone, time);
        let repeated = Millis(step.abs());
        self.steady = Interval { start: from + repeated + Millis(self.size), end: until - Millis(self.size) };
        let crosses_first = found.start < from + repeated && step % self.size != 0;
        let crosses_next = found.end >= until && next_step % self.size != 0;
        let by_clock = if crosses_first || crosses_next { self.by_wall_clock(zone, time) } else { None };
        by_clock.unwrap_or(found)
    }

    /// None where the calendar ends.
    fn by_wall_clock(&self, zone: &TimeZone, time: Timestamp) -> Option<Interval> {
        let local = time.0 + self.shift;
        let mut reading = local - (local - self.offset).rem_euclid(self.size);
        let mut start = first_moment(zone, reading)?;
        loop {
            reading += self.size;
            let end = first_moment(zone, reading)?;
            if end > time {
                return Some(Interval { start, end });
            }
            start = end;
        }
    }
}

/// The moment, or the end of the calendar that lies nearest.
fn moment(time: Timestamp) -> jiff::Timestamp {
    let end = if time.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(time.0).unwrap_or(end)
}

fn millis(offset: Offset) -> i64 {
    offset.seconds() as i64 * 1000
}

/// What the wall clock shows, in milliseconds since its 1970-01-01.
pub(super) fn local_reading(zone: &TimeZone, time: Timestamp) -> i64 {
    time.0 + millis(zone.to_offset(moment(time)))
}

/// The last change of the clock up to a moment and by how much it went back or forth; none: at the beginning of time.
fn transition_before(zone: &TimeZone, time: Timestamp) -> (Timestamp, i64) {
    match zone.preceding(moment(time + Millis(1))).next() {
        Some(change) => change_at(zone, change.timestamp()),
        None => (Timestamp::MIN, 0),
    }
}

/// The first change of the clock after a moment and by how much; none: at the end of time.
fn transition_after(zone: &TimeZone, time: Timestamp) -> (Timestamp, i64) {
    match zone.following(moment(time)).next() {
        Some(change) => change_at(zone, change.timestamp()),
        None => (Timestamp::MAX, 0),
    }
}

fn change_at(zone: &TimeZone, change: jiff::Timestamp) -> (Timestamp, i64) {
    let at = Timestamp(change.as_millisecond());
    let before = moment(at - Millis(1));
    (at, millis(zone.to_offset(change)) - millis(zone.to_offset(before)))
}

/// The first moment at which the wall clock shows the reading, in milliseconds since its 1970-01-01, or more.
pub(super) fn first_moment(zone: &TimeZone, reading: i64) -> Option<Timestamp> {
    let civil: DateTime =
        jiff::Timestamp::from_millisecond(reading).ok().map(|t| TimeZone::UTC.to_datetime(t))?;
    Some(match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => Timestamp(reading - millis(offset)),
        AmbiguousOffset::Fold { before, .. } => Timestamp(reading - millis(before)),
        AmbiguousOffset::Gap { before, .. } => transition_before(zone, Timestamp(reading - millis(before))).0,
    })
}

#[cfg(test)]
mod tests;
