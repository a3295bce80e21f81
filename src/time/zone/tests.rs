//! Days on which the clocks change, and what holds for all cuts.

use super::*;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;

fn zone(name: &str) -> Option<TimeZone> {
    Some(TimeZone::get(name).expect("bundled"))
}

fn at(rfc3339: &str) -> Timestamp {
    Timestamp(rfc3339.parse::<jiff::Timestamp>().expect("a time").as_millisecond())
}

/// Lengths in minutes of the intervals that begin within a local day.
fn day(cuts: &mut Cuts, from: &str, until: &str) -> Vec<i64> {
    let mut lengths = Vec::new();
    let mut interval = cuts.around(at(from));
    while interval.start < at(until) {
        lengths.push((interval.end.0 - interval.start.0) / 60_000);
        interval = cuts.after(interval);
    }
    lengths
}

fn cuts(size: i64, offset: i64, name: &str) -> Cuts {
    Cuts::new(Millis(size), Millis(offset), zone(name))
}

const SPRING: (&str, &str) = ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
const AUTUMN: (&str, &str) = ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");

#[test]
fn days_have_23_or_25_hours() {
    for (name, from, hours) in [
        ("Europe/Berlin", "2026-03-28T23:00:00Z", 23),
        ("Europe/Berlin", "2026-10-24T22:00:00Z", 25),
        ("Europe/Berlin", "2026-06-30T22:00:00Z", 24),
        ("America/New_York", "2026-03-08T05:00:00Z", 23),
        ("America/New_York", "2026-11-01T04:00:00Z", 25),
        // The clocks go forward at midnight: the day begins at 1 o'clock.
        ("America/Santiago", "2026-09-06T04:00:00Z", 23),
        // They go back at midnight, so 23 o'clock comes twice, on one day.
        ("America/Santiago", "2026-04-04T03:00:00Z", 25),
        // They go back at 1 o'clock, so midnight comes twice.
        ("America/Havana", "2024-11-03T04:00:00Z", 25),
    ] {
        let mut cuts = cuts(24 * HOUR, 0, name);
        let middle = at(from) + Millis(12 * HOUR);
        let expected = Interval { start: at(from), end: at(from) + Millis(hours * HOUR) };
        assert_eq!(cuts.around(middle), expected, "{name}");
        assert_eq!(cuts.around(expected.start), expected, "{name}");
        assert_eq!(cuts.around(expected.end - Millis(1)), expected, "{name}");
        assert_eq!(cuts.after(expected).start, expected.end, "{name}");
        assert_eq!(cuts.before(expected).end, expected.start, "{name}");
    }
}

#[test]
fn shifts_have_7_or_9_hours() {
    let mut shifts = cuts(8 * HOUR, 6 * HOUR, "Europe/Berlin");
    assert_eq!(day(&mut shifts, "2026-03-28T21:00:00Z", "2026-03-29T20:00:00Z"), [7 * 60, 8 * 60, 8 * 60]);
    assert_eq!(day(&mut shifts, "2026-10-24T20:00:00Z", "2026-10-25T21:00:00Z"), [9 * 60, 8 * 60, 8 * 60]);
    // A shift that begins while the clocks change: at the first 2 o'clock, or when it would have been.
    let mut shifts = cuts(8 * HOUR, 2 * HOUR, "Europe/Berlin");
    assert_eq!(day(&mut shifts, "2026-03-29T01:00:00Z", SPRING.1), [7 * 60, 8 * 60, 8 * 60]);
    assert_eq!(day(&mut shifts, "2026-10-25T00:00:00Z", AUTUMN.1), [9 * 60, 8 * 60, 8 * 60]);
}

#[test]
fn hours_keep_their_length() {
    for (size, name) in
        [(HOUR, "Europe/Berlin"), (HOUR / 4, "Europe/Berlin"), (HOUR / 2, "Australia/Lord_Howe")]
    {
        let mut hours = cuts(size, 0, name);
        for (from, until) in [SPRING, AUTUMN] {
            let lengths = day(&mut hours, from, until);
            assert!(lengths.iter().all(|minutes| minutes * 60_000 == size), "{name}");
            assert_eq!(lengths.len() as i64, (at(until).0 - at(from).0) / size, "{name}");
        }
    }
}

#[test]
fn lengths_that_do_not_divide_the_change_are_cut_by_the_clock() {
    let mut pairs = cuts(2 * HOUR, 0, "Europe/Berlin");
    assert_eq!(
        day(&mut pairs, SPRING.0, SPRING.1),
        [120, 60, 120, 120, 120, 120, 120, 120, 120, 120, 120, 120]
    );
    assert_eq!(
        day(&mut pairs, AUTUMN.0, AUTUMN.1),
        [120, 180, 120, 120, 120, 120, 120, 120, 120, 120, 120, 120]
    );
    let mut hours = cuts(HOUR, 0, "Australia/Lord_Howe");
    let lengths = day(&mut hours, "2026-04-04T13:00:00Z", "2026-04-04T17:30:00Z");
    assert_eq!(lengths, [60, 90, 60, 60]);
}

#[test]
fn weeks_are_counted_in_local_days() {
    let mut weeks = cuts(7 * 24 * HOUR, 0, "America/New_York");
    let week = weeks.around(at("2026-03-09T00:00:00Z"));
    // Seven days from a Thursday, one of them an hour short.
    assert_eq!(week, Interval { start: at("2026-03-05T05:00:00Z"), end: at("2026-03-12T04:00:00Z") });
}

#[test]
fn utc_needs_no_calendar() {
    let mut minutes = Cuts::new(Millis(60), Millis(-7), None);
    assert_eq!(minutes.around(Timestamp(0)), Interval { start: Timestamp(-7), end: Timestamp(53) });
    assert_eq!(minutes.around(Timestamp(-8)), Interval { start: Timestamp(-67), end: Timestamp(-7) });
    assert!(minutes.around(Timestamp(i64::MIN)).start == Timestamp::MIN);
    assert!(minutes.around(Timestamp(i64::MAX - 1)).contains(Timestamp(i64::MAX - 1)));
}

#[test]
fn only_parts_of_a_day_and_days_go_with_a_zone() {
    for (size, in_days, ok) in [
        (15 * 60_000, false, true),
        (8 * HOUR, false, true),
        (7 * HOUR, false, false),
        (36 * HOUR, false, false),
        (24 * HOUR, false, false),
        (24 * HOUR, true, true),
        (7 * 24 * HOUR, true, true),
        (0, false, false),
    ] {
        assert_eq!(Cuts::check(Millis(size), in_days).is_ok(), ok, "{size}");
    }
}

proptest! {
    /// Intervals tile time, whichever was asked about before, and have the length they should where no clock changes.
    #[test]
    fn intervals_tile_time(
        name in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "America/Santiago",
            "Australia/Lord_Howe", "Africa/Casablanca", "Antarctica/Troll"]),
        size in prop::sample::select(vec![HOUR / 4, HOUR / 4 * 3, HOUR, 2 * HOUR, 8 * HOUR, 24 * HOUR, 72 * HOUR]),
        offset in -30..30i64,
        // A few years around a change, and now and then anything.
        times in prop::collection::vec(prop_oneof![
            4 => 1_700_000_000_000..1_800_000_000_000i64, 1 => -1i64 << 50..1i64 << 50, 1 => any::<i64>(),
            4 => (0..5i64, -3 * HOUR..3 * HOUR).prop_map(|(year, near)| at("2023-03-26T01:00:00Z").0
                + year * 364 * 24 * HOUR + near),
        ], 1..20),
    ) {
        let mut kept = cuts(size, offset * HOUR / 2, name);
        for time in times.into_iter().map(Timestamp) {
            let found = kept.around(time);
            prop_assert_eq!(found, cuts(size, offset * HOUR / 2, name).around(time));
            prop_assert!(found.start <= time && (time < found.end || time == Timestamp::MAX));
            if time.0.abs() < 1 << 45 {
                prop_assert_eq!(kept.after(found).start, found.end);
                prop_assert_eq!(kept.before(found).end, found.start);
                prop_assert!((found.end.0 - found.start.0 - size).abs() <= 2 * HOUR);
            }
        }
    }
}
