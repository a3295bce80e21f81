//! Days on which the clocks change, weeks, months, years, and what holds for all cuts.

use super::*;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;

fn zone(name: &str) -> Option<TimeZone> {
    (name != "UTC").then(|| TimeZone::get(name).expect("bundled"))
}

fn at(rfc3339: &str) -> Timestamp {
    Timestamp(rfc3339.parse::<jiff::Timestamp>().expect("a time").as_millisecond())
}

fn cuts(every: Every, offset: i64, name: &str) -> CalendarCuts {
    CalendarCuts::new(every, Millis(offset), zone(name))
}

fn times(hours: &[f64]) -> Every {
    Every::At(hours.iter().map(|hour| Millis((hour * HOUR as f64) as i64)).collect())
}

/// The interval of each moment is the one given; moments are its start, its middle and its last.
fn holds(every: &Every, offset: i64, name: &str, start: &str, end: &str) {
    let expected = Interval { start: at(start), end: at(end) };
    let middle = Timestamp((expected.start.0 + expected.end.0) / 2);
    let mut kept = cuts(every.clone(), offset, name);
    for moment in [middle, expected.start, expected.end - Millis(1)] {
        assert_eq!(cuts(every.clone(), offset, name).around(moment), expected, "{name} {start}");
        assert_eq!(kept.around(moment), expected, "{name} {start}");
    }
    assert_eq!(kept.around(expected.end).start, expected.end, "{name} {start}");
    assert_eq!(kept.around(expected.start - Millis(1)).end, expected.start, "{name} {start}");
}

#[test]
fn days_follow_the_clock() {
    for (name, start, end) in [
        ("UTC", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"),
        // 23 and 25 hours.
        ("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("Europe/Berlin", "2026-06-30T22:00:00Z", "2026-07-01T22:00:00Z"),
        ("America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        // 23.5 and 24.5 hours.
        ("Australia/Lord_Howe", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"),
        // Midnight is skipped, comes after a repeated hour, comes twice.
        ("America/Santiago", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"),
        ("America/Santiago", "2026-04-04T03:00:00Z", "2026-04-05T04:00:00Z"),
        ("America/Havana", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"),
        // A day that was left out: the 30th of December 2011.
        ("Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
    ] {
        holds(&Every::Day, 0, name, start, end);
    }
}

/// The lengths in minutes of the shifts that begin within a day of that zone.
fn shifts(every: &Every, name: &str, from: &str, until: &str) -> Vec<i64> {
    let mut cuts = cuts(every.clone(), 0, name);
    let mut lengths = Vec::new();
    let mut shift = cuts.around(at(from));
    while shift.start < at(until) {
        lengths.push((shift.end.0 - shift.start.0) / 60_000);
        shift = cuts.around(shift.end);
    }
    lengths
}

#[test]
fn shifts_across_a_change_have_7_or_9_hours() {
    let three = times(&[6.0, 14.0, 22.0]);
    let lengths = |name, from, until| shifts(&three, name, from, until);
    assert_eq!(lengths("Europe/Berlin", "2026-03-28T21:00:00Z", "2026-03-29T20:00:00Z"), [420, 480, 480]);
    assert_eq!(lengths("Europe/Berlin", "2026-10-24T20:00:00Z", "2026-10-25T21:00:00Z"), [540, 480, 480]);
    assert_eq!(lengths("America/New_York", "2026-03-08T03:00:00Z", "2026-03-09T02:00:00Z"), [420, 480, 480]);
    assert_eq!(lengths("America/New_York", "2026-11-01T02:00:00Z", "2026-11-02T03:00:00Z"), [540, 480, 480]);
    assert_eq!(
        lengths("Australia/Lord_Howe", "2026-10-03T11:30:00Z", "2026-10-04T11:00:00Z"),
        [450, 480, 480]
    );
    assert_eq!(
        lengths("Australia/Lord_Howe", "2026-04-04T11:00:00Z", "2026-04-05T11:30:00Z"),
        [510, 480, 480]
    );
    holds(&three, 0, "Europe/Berlin", "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z");
    holds(&three, 0, "America/New_York", "2026-11-01T02:00:00Z", "2026-11-01T11:00:00Z");
}

/// What the clock skips is cut where it skips, what it shows twice at the first time.
#[test]
fn shifts_may_begin_while_the_clocks_change() {
    let night = times(&[2.5, 12.0]);
    holds(&night, 0, "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T10:00:00Z");
    holds(&night, 0, "Europe/Berlin", "2026-03-28T11:00:00Z", "2026-03-29T01:00:00Z");
    holds(&night, 0, "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T11:00:00Z");
    holds(&night, 0, "America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T16:00:00Z");
    let early = times(&[1.5, 12.0]);
    holds(&early, 0, "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T17:00:00Z");
    // At 2:00 the clock goes to 2:30, and at 2:00 back to 1:30.
    let quarter = times(&[2.25, 12.0]);
    holds(&quarter, 0, "Australia/Lord_Howe", "2026-10-03T15:30:00Z", "2026-10-04T01:00:00Z");
    let late = times(&[1.75, 12.0]);
    holds(&late, 0, "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-05T01:30:00Z");
    // Both are skipped: the first has no window that day.
    let both = times(&[2.0, 2.5]);
    holds(&both, 0, "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z");
}

#[test]
fn one_time_a_day_makes_days_from_then() {
    holds(&times(&[6.0]), 0, "Europe/Berlin", "2026-03-28T05:00:00Z", "2026-03-29T04:00:00Z");
    holds(&Every::Day, 6 * HOUR, "Europe/Berlin", "2026-03-28T05:00:00Z", "2026-03-29T04:00:00Z");
    holds(&times(&[6.0, 18.0]), HOUR, "UTC", "2026-03-28T19:00:00Z", "2026-03-29T07:00:00Z");
}

#[test]
fn weeks_start_on_monday() {
    holds(&Every::Week, 0, "UTC", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z");
    holds(&Every::Week, 0, "UTC", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z");
    // 167 and 169 hours.
    holds(&Every::Week, 0, "Europe/Berlin", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
    holds(&Every::Week, 0, "America/New_York", "2026-10-26T04:00:00Z", "2026-11-02T05:00:00Z");
    holds(&Every::Week, 30 * HOUR, "UTC", "2026-03-03T06:00:00Z", "2026-03-10T06:00:00Z");
    holds(&Every::Week, 0, "UTC", "2024-12-30T00:00:00Z", "2025-01-06T00:00:00Z");
}

#[test]
fn months_and_years_have_the_days_they_have() {
    holds(&Every::Month, 0, "UTC", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
    holds(&Every::Month, 0, "UTC", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
    holds(&Every::Month, 0, "UTC", "1900-02-01T00:00:00Z", "1900-03-01T00:00:00Z");
    holds(&Every::Month, 0, "Europe/Berlin", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
    holds(&Every::Month, 0, "Europe/Berlin", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z");
    holds(&Every::Month, 6 * HOUR, "Europe/Berlin", "2025-12-01T05:00:00Z", "2026-01-01T05:00:00Z");
    // The clocks go back on the first of November, behind midnight.
    holds(&Every::Month, 0, "America/New_York", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z");
    holds(&Every::Day, 0, "UTC", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z");
    holds(&Every::Year, 0, "UTC", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
    holds(&Every::Year, 0, "Europe/Berlin", "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z");
    holds(&Every::Year, 0, "UTC", "1969-01-01T00:00:00Z", "1970-01-01T00:00:00Z");
    holds(&Every::Year, -6 * HOUR, "America/New_York", "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z");
}

#[test]
fn beyond_the_calendar_is_one_interval_on_either_side() {
    for every in [Every::Day, Every::Week, Every::Month, Every::Year, times(&[6.0])] {
        let mut cuts = cuts(every, 0, "Europe/Berlin");
        assert_eq!(cuts.around(Timestamp(i64::MIN)), Interval { start: Timestamp::MIN, end: FIRST });
        assert_eq!(cuts.around(Timestamp(i64::MAX)), Interval { start: LAST, end: Timestamp::MAX });
        assert_eq!(cuts.around(FIRST).start, FIRST);
        assert_eq!(cuts.around(LAST - Millis(1)).end, LAST);
    }
}

proptest! {
    /// Intervals tile time, whichever was asked about before, and begin when the wall clock says so.
    #[test]
    fn intervals_tile_time(
        name in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "America/Santiago",
            "Australia/Lord_Howe", "Africa/Casablanca", "Antarctica/Troll"]),
        every in prop::sample::select(vec![Every::Day, Every::Week, Every::Month, Every::Year,
            times(&[6.0, 14.0, 22.0]), times(&[0.0]), times(&[1.5, 2.25, 2.5, 3.0])]),
        offset in -40..40i64,
        moments in prop::collection::vec(prop_oneof![
            4 => 1_700_000_000_000..1_800_000_000_000i64, 1 => -1i64 << 45..1i64 << 45, 1 => any::<i64>(),
        ], 1..20),
    ) {
        let mut kept = cuts(every.clone(), offset * HOUR / 2, name);
        for time in moments.into_iter().map(Timestamp) {
            let found = kept.around(time);
            prop_assert_eq!(found, cuts(every.clone(), offset * HOUR / 2, name).around(time));
            prop_assert!(found.start <= time && (time < found.end || time == Timestamp::MAX));
            if time > FIRST && time < LAST {
                prop_assert!(found.end == LAST || kept.around(found.end).start == found.end);
                prop_assert!(found.start == FIRST || kept.around(found.start - Millis(1)).end == found.start);
                prop_assert!(found.end.0 - found.start.0 <= every.longest().0 + 2 * HOUR);
            }
        }
    }
}
