//! Times by the calendar, in UTC or in a time zone.

use super::compare::whole;
use super::functions::{Failure, Outcome, short};
use super::interval::{unit_millis, unit_months, unit_name};
use crate::event::{Value, nearest};
use jiff::civil::{Date, Time, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Unit as JiffUnit, Zoned};

/// Said of times that the calendar does not reach (the years -9999 to 9999).
const OUT_OF_RANGE: &str = "the time is out of range";

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Always as long: milliseconds. Days and weeks are of this kind in UTC alone.
    Fixed(i64),
    /// Calendar months.
    Months(i64),
}

/// The unit with a name, in any case, singular or plural.
pub(super) fn unit(name: &str) -> Result<Unit, String> {
    let single = unit_name(name);
    let unit = unit_millis(&single).map(Unit::Fixed).or(unit_months(&single).map(Unit::Months));
    unit.ok_or_else(|| {
        let units = "millisecond, second, minute, hour, day, week, month, quarter, year";
        format!("`{}` is no unit of time: {units}", short(name))
    })
}

/// The time zone with a name from the IANA database.
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "Z" => Ok(TimeZone::UTC),
        _ => TimeZone::get(name).map_err(|_| format!("there is no time zone `{}`", short(name))),
    }
}

/// Refuses a name that is no time zone's, with a suggestion: a search that is not for each event.
pub(super) fn check_zone(name: &str) -> Result<(), String> {
    zone(name).map(|_| ()).map_err(|message| {
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("{message}: did you mean `{near}`?"),
            None => message,
        }
    })
}

/// The time a timestamp, or an integer of milliseconds, stands for.
pub(super) fn zoned(value: Value, zone: &TimeZone) -> Result<Zoned, Failure> {
    let millis = whole(value).unwrap_or_default();
    match Timestamp::from_millisecond(millis) {
        Ok(time) => Ok(time.to_zoned(zone.clone())),
        Err(_) => Err(OUT_OF_RANGE.into()),
    }
}

/// The cell for a time; finer parts are floored.
pub(super) fn timestamp(time: &Zoned) -> Value {
    Value::timestamp(crate::time::Timestamp::floor(time.timestamp()).0)
}

/// The cell for a date and time in a zone. A time that the zone skips is moved on; of one that it has twice, it is
/// the first.
pub(super) fn local(date: Date, time: Time, zone: &TimeZone) -> Outcome {
    let zoned = date.to_datetime(time).to_zoned(zone.clone());
    zoned.map(|time| timestamp(&time)).map_err(|_| OUT_OF_RANGE.into())
}

/// The time some months later; a day that the month has not becomes its last.
pub(super) fn add_months(value: Value, months: i64) -> Outcome {
    let span: Span = 0.months().try_months(months).map_err(|_| OUT_OF_RANGE)?;
    let time = zoned(value, &TimeZone::UTC)?;
    time.checked_add(span).map(|time| timestamp(&time)).map_err(|_| OUT_OF_RANGE.into())
}

/// The time `n` units later, in UTC.
pub(super) fn add(value: Value, n: i64, unit: Unit) -> Outcome {
    match unit {
        Unit::Months(months) => add_months(value, n.checked_mul(months).ok_or(OUT_OF_RANGE)?),
        Unit::Fixed(millis) => {
            let later = n.checked_mul(millis).and_then(|span| whole(value)?.checked_add(span));
            later.map(Value::timestamp).ok_or(OUT_OF_RANGE.into())
        }
    }
}

/// How many whole units lie between two times, in UTC; negative if the second is earlier.
pub(super) fn difference(unit: Unit, from: Value, to: Value) -> Outcome {
    match unit {
        Unit::Fixed(millis) => {
            let span = whole(to).unwrap_or_default().checked_sub(whole(from).unwrap_or_default());
            span.map(|span| Value::int(span / millis)).ok_or(OUT_OF_RANGE.into())
        }
        Unit::Months(months) => {
            let (from, to) = (zoned(from, &TimeZone::UTC)?, zoned(to, &TimeZone::UTC)?);
            let span = from.until((JiffUnit::Month, &to)).map_err(|_| OUT_OF_RANGE)?;
            Ok(Value::int(i64::from(span.get_months()) / months))
        }
    }
}

/// The start of the unit that a time falls into, in a zone. Weeks start on Monday.
pub(super) fn truncate(unit: Unit, value: Value, zone: &TimeZone) -> Outcome {
    const DAY: i64 = 86_400_000;
    const WEEK: i64 = 7 * DAY;
    // The epoch was a Thursday, three days after a Monday.
    const MONDAY: i64 = 3 * DAY;
    let millis = whole(value).unwrap_or_default();
    match unit {
        Unit::Fixed(WEEK) if *zone == TimeZone::UTC => {
            let into = millis.checked_add(MONDAY).ok_or(OUT_OF_RANGE)?.rem_euclid(WEEK);
            Ok(Value::timestamp(millis - into))
        }
        Unit::Fixed(length) if *zone == TimeZone::UTC || length <= 1000 => {
            let start = millis.checked_sub(millis.rem_euclid(length));
            start.map(Value::timestamp).ok_or(OUT_OF_RANGE.into())
        }
        Unit::Fixed(length) if length < DAY => {
            // What has passed of the unit by the local clock; a shift of the clock leaves the rest alone.
            let offset = i64::from(zoned(value, zone)?.offset().seconds()) * 1000;
            Ok(Value::timestamp(millis - (millis + offset).rem_euclid(length)))
        }
        _ => local(first_day(zoned(value, zone)?.date(), unit)?, Time::midnight(), zone),
    }
}

/// The first day of the week, month, quarter or year that a day is in; of a day, itself.
fn first_day(day: Date, unit: Unit) -> Result<Date, Failure> {
    match unit {
        Unit::Fixed(604_800_000) => {
            let since_monday = i32::from(day.weekday().to_monday_zero_offset());
            day.checked_sub(since_monday.days()).map_err(|_| OUT_OF_RANGE.into())
        }
        Unit::Fixed(_) => Ok(day),
        Unit::Months(1) => Ok(day.first_of_month()),
        Unit::Months(3) => Ok(date(day.year(), (day.month() - 1) / 3 * 3 + 1, 1)),
        Unit::Months(_) => Ok(day.first_of_year()),
    }
}

/// A field of a date or time of day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field(fn(&Zoned) -> i64);

impl Field {
    /// The field with a name, in any case.
    pub(super) fn by_name(name: &str) -> Result<Field, String> {
        Ok(Field(match name.to_ascii_lowercase().as_str() {
            "year" => |t| t.year().into(),
            "quarter" => |t| i64::from((t.month() - 1) / 3 + 1),
            "month" => |t| t.month().into(),
            "week" => |t| t.date().iso_week_date().week().into(),
            "day" => |t| t.day().into(),
            "weekday" => |t| t.weekday().to_monday_one_offset().into(),
            "yearday" => |t| t.day_of_year().into(),
            "hour" => |t| t.hour().into(),
            "minute" => |t| t.minute().into(),
            "second" => |t| t.second().into(),
            "millisecond" => |t| t.millisecond().into(),
            _ => {
                let fields =
                    "year, quarter, month, week, day, weekday, yearday, hour, minute, second, millisecond";
                return Err(format!("`{}` is no part of a time: {fields}", short(name)));
            }
        }))
    }

    /// The field of a time in a zone.
    pub(super) fn of(self, value: Value, zone: &TimeZone) -> Outcome {
        Ok(Value::int((self.0)(&zoned(value, zone)?)))
    }
}
