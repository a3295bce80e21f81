//! Single cases, each with a sentence of the language page behind it.

use crate::harness::{Entry, GAP, Log, Pane, Step, Val, plan, run};
use headwater::time::Millis;
use headwater::windows::{Accumulation, Gap, Grid, WindowKind};

fn step(watermark: i64, time: i64, key: u8) -> Step {
    Step { watermark, own: watermark, time, key, x: Val::Int(1), condition: true, gap: 1, filtered: false }
}

fn tumbling(size: i64) -> WindowKind {
    WindowKind::Tumbling { size: Millis(size), grid: Grid::default() }
}

fn rows(kind: WindowKind, steps: &[Step]) -> Log {
    run(plan(kind, &["rows"], 0, Accumulation::Discarding), steps, |_| false)
}

fn panes(log: &Log) -> Vec<(i64, i64, i64)> {
    let panes = log.entries.iter().map(|entry| match entry {
        Entry::Pane(Pane { start, end, results, .. }) => (*start, *end, results[0].as_i64().unwrap_or(-1)),
        other => panic!("{other:?}"),
    });
    panes.collect()
}

#[test]
fn the_watermark_follows_the_windows_that_fire() {
    let steps = [step(0, 5, 0), step(0, 25, 0), step(0, 15, 0), step(0, 16, 1), step(100, 120, 0)];
    let log = rows(tumbling(10), &steps);
    assert_eq!(panes(&log), [(0, 10, 1), (10, 20, 1), (10, 20, 1), (20, 30, 1), (120, 130, 1)]);
    assert_eq!(log.watermarks, [0, 10, 10, 20, 100]);
}

#[test]
fn late_events_are_counted_where_nobody_reads_them() {
    let mut plan = plan(tumbling(10), &["rows"], 0, Accumulation::Discarding);
    plan.late = None;
    let log = run(plan, &[step(50, 5, 0), step(50, 55, 0)], |_| false);
    assert_eq!(log.entries[0], Entry::Discarded("late"));
    assert_eq!(log.entries.len(), 2);
}

#[test]
fn global_windows_hold_the_watermark_until_the_end() {
    let log = rows(WindowKind::Global, &[step(5, 40, 0), step(30, 35, 1), step(39, 90, 1), step(39, 41, 2)]);
    assert_eq!(panes(&log), [(40, 41, 1), (41, 42, 1), (35, 91, 2)]);
    assert_eq!(log.watermarks, [i64::MIN, 41, 42]);
}

#[test]
fn events_a_gap_apart_belong_together() {
    let session = WindowKind::Session { gap: Gap::Fixed(Millis(10)), max: None };
    let log = rows(session, &[step(0, 20, 0), step(0, 10, 0), step(0, 31, 0)]);
    assert_eq!(panes(&log), [(10, 30, 2), (31, 41, 1)]);
}

#[test]
fn an_event_a_gap_behind_a_session_that_has_fired_begins_another() {
    let session = WindowKind::Session { gap: Gap::Fixed(Millis(10)), max: None };
    let log = rows(session, &[step(0, 10, 0), step(19, 20, 0), step(30, 30, 0), step(30, 40, 1)]);
    assert_eq!(panes(&log), [(10, 30, 2), (30, 40, 1), (40, 50, 1)]);
}

#[test]
fn a_gap_may_be_each_events_own_and_must_be_one() {
    let session = WindowKind::Session { gap: Gap::Slot(GAP), max: None };
    let mut steps = [step(0, 10, 0), step(0, 15, 0), step(0, 18, 0), step(0, 50, 0)];
    steps[0].gap = 20;
    steps[3].gap = 0;
    let log = rows(session, &steps);
    assert_eq!(log.entries[0], Entry::Rejected(3));
    assert_eq!(log.entries.len(), 2);
    assert!(matches!(&log.entries[1], Entry::Pane(pane) if (pane.start, pane.end) == (10, 30)));
}

#[test]
fn a_long_session_is_cut_by_event_time() {
    let session = WindowKind::Session { gap: Gap::Fixed(Millis(10)), max: Some(Millis(25)) };
    // What belongs behind the cut comes before it fires, and its first event comes last.
    let steps = [8, 16, 24, 32, 40, 0].map(|time| step(-5, time, 0));
    assert_eq!(panes(&rows(session, &steps)), [(0, 25, 4), (32, 50, 2)]);
}

#[test]
fn counted_windows_reach_back_over_their_size() {
    let steps: Vec<Step> = (0..7).map(|time| step(0, time, 0)).collect();
    let count = |size, every| panes(&rows(WindowKind::Count { size, every }, &steps));
    assert_eq!(count(3, 3), [(0, 3, 3), (3, 6, 3), (6, 7, 1)]);
    assert_eq!(count(4, 2), [(0, 2, 2), (0, 4, 4), (2, 6, 4), (4, 7, 3)]);
    assert_eq!(count(2, 3), [(1, 3, 2), (4, 6, 2)]);
}

#[test]
fn a_day_in_a_zone_has_the_hours_it_has() {
    let zone = Some(jiff::tz::TimeZone::get("Europe/Berlin").expect("bundled"));
    let kind = WindowKind::Tumbling { size: Millis(86_400_000), grid: Grid { offset: Millis(0), zone } };
    let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    let hours =
        ["2026-03-29T00:30:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z", "2026-10-25T22:30:00Z"];
    let steps = hours.map(|text| step(i64::MIN, at(text), 0));
    let expected = [
        (at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z"), 2),
        (at("2026-03-29T22:00:00Z"), at("2026-03-30T22:00:00Z"), 1),
        (at("2026-10-24T22:00:00Z"), at("2026-10-25T23:00:00Z"), 1),
    ];
    assert_eq!(panes(&rows(kind, &steps)), expected);
}
