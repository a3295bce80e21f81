//! Cutting time by the calendar: days, weeks, months, years, and times of day.

use super::zone::{first_moment, local_reading};
use super::{Interval, Millis, Timestamp};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const DAY: i64 = 86_400_000;

/// What begins an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Every {
    /// Each day.
    Day,
    /// Each Monday.
    Week,
    /// The first of each month.
    Month,
    /// The first of January.
    Year,
    /// Each of these times of day, in ascending order, since midnight.
    At(Vec<Millis>),
}

impl Every {
    /// The longest interval, changes of clocks aside.
    pub fn longest(&self) -> Millis {
        let days = match self {
            Every::Day | Every::At(_) => 1,
            Every::Week => 7,
            Every::Month => 31,
            Every::Year => 366,
        };
        Millis(days * DAY)
    }

    /// Where the interval begins that holds a reading of the wall clock: both in milliseconds since 1970-01-01.
    fn begin(&self, reading: i64) -> i64 {
        let midnight = reading - reading.rem_euclid(DAY);
        match self {
            Every::Day => midnight,
            // 1970-01-05 was a Monday.
            Every::Week => reading - (reading - 4 * DAY).rem_euclid(7 * DAY),
            Every::Month => date(reading).map_or(midnight, |date| reading_of(date.first_of_month())),
            Every::Year => date(reading).map_or(midnight, |date| reading_of(date.first_of_year())),
            Every::At(times) => match times.iter().rev().find(|time| midnight + time.0 <= reading) {
                Some(time) => midnight + time.0,
                None => midnight - DAY + times.last().map_or(0, |time| time.0),
            },
        }
    }

    /// Where the interval behind the one begins that begins there.
    fn next(&self, begin: i64) -> i64 {
        let behind = |span| date(begin).and_then(|date| date.checked_add(span).ok());
        match self {
            Every::Day => begin + DAY,
            Every::Week => begin + 7 * DAY,
            Every::Month => behind(1.month()).map_or(begin + 31 * DAY, reading_of),
            Every::Year => behind(1.year()).map_or(begin + 366 * DAY, reading_of),
            Every::At(times) => {
                let midnight = begin - begin.rem_euclid(DAY);
                match times.iter().find(|time| midnight + time.0 > begin) {
                    Some(time) => midnight + time.0,
                    None => midnight + DAY + times.first().map_or(0, |time| time.0),
                }
            }
        }
    }
}

/// The date of a reading; None where the calendar ends.
fn date(reading: i64) -> Option<Date> {
    let moment = jiff::Timestamp::from_millisecond(reading).ok()?;
    Some(TimeZone::UTC.to_datetime(moment).date())
}

/// The reading at midnight of a date.
fn reading_of(date: Date) -> i64 {
    let days = (date - Date::constant(1970, 1, 1)).get_days();
    i64::from(days) * DAY
}

/// Cuts all of time into intervals by the calendar.
///
/// Cuts stand where the wall clock (UTC without a zone) reads what begins an interval, + `offset`. When the clock skips
/// such a reading, the cut stands where it skips; when it shows one twice, at the first time.
#[derive(Clone, Debug)]
pub struct CalendarCuts {
    every: Every,
    offset: i64,
    zone: Option<TimeZone>,
    /// The intervals found last.
    recent: [Interval; 2],
}

/// From here to [`LAST`] the calendar is asked: the years 1 to 9998. What lies outside is one interval on either side.
const FIRST: Timestamp = Timestamp(-62_135_596_800_000);
const LAST: Timestamp = Timestamp(253_370_764_800_000);

impl CalendarCuts {
    /// Cuts of that kind. Times of day must be some, and less than a day.
    pub fn new(every: Every, offset: Millis, zone: Option<TimeZone>) -> CalendarCuts {
        CalendarCuts { every, offset: offset.0, zone, recent: [Interval::NOTHING; 2] }
    }

    /// The interval that a moment lies in.
    #[inline]
    pub fn around(&mut self, time: Timestamp) -> Interval {
        if let Some(known) = self.recent.iter().find(|known| known.contains(time)) {
            return *known;
        }
        let found = self.find(time);
        self.recent = [found, self.recent[0]];
        found
    }

    #[cold]
    fn find(&self, time: Timestamp) -> Interval {
        if time < FIRST {
            return Interval { start: Timestamp::MIN, end: FIRST };
        }
        if time >= LAST {
            return Interval { start: LAST, end: Timestamp::MAX };
        }
        let reading = self.zone.as_ref().map_or(time.0, |zone| local_reading(zone, time));
        let mut begin = self.every.begin(reading - self.offset);
        let mut start = self.moment(begin);
        loop {
            begin = self.every.next(begin);
            let end = self.moment(begin);
            // A cut that the clock shows a second time stood at the first.
            if end > time {
                return Interval { start: start.max(FIRST), end: end.min(LAST) };
            }
            start = end;
        }
    }

    fn moment(&self, begin: i64) -> Timestamp {
        let reading = begin + self.offset;
        let found = self.zone.as_ref().and_then(|zone| first_moment(zone, reading));
        found.unwrap_or(Timestamp(reading))
    }
}

#[cfg(test)]
mod tests;
