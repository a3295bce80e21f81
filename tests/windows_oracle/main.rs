//! Windows of every kind against brute force: any order of arrival, within the lateness and beyond, any watermarks, any
//! batches.

mod behaviour;
mod custom;
mod fleet;
mod golden;
mod harness;
mod model;
mod partitions;
mod restarts;
mod results;
mod triggers;

use harness::{Entry, Step, Val, plan, run};
use headwater::time::{Every, Millis};
use headwater::windows::{Accumulation, CARRY, Gap, Grid, WindowKind, WindowPlan};
use model::Model;
use proptest::prelude::*;

const NUMBERS: &[&str] = &["sum", "rows", "count", "rows_where", "min", "max", "first", "last", "avg"];
const KEEPERS: &[&str] = &["collect", "count_distinct", "quantile", "collect_distinct", "any"];
const MIXED: &[&str] = &["max", "min_where", "collect", "count"];
const COURSE: &[&str] =
    &["delta", "time_weighted_avg", "time_in", "slope", "rate", "delta_where", "time_in_where"];
const PAIRED: &[&str] = &["min_by", "corr", "bool_and", "max_by_where", "bool_or_where", "approx_distinct"];
const COUNTED: &[&str] = &["top", "max_by", "approx_distinct_where", "top_where", "bool_and_where"];
const ADDED: &[&str] = &["sum", "sum_where", "rows"];

/// Values and what is computed of them.
fn values() -> impl Strategy<Value = (Vec<Val>, &'static [&'static str])> {
    let small = prop_oneof![Just(Val::Null), (-9..9i64).prop_map(Val::Int), (-9..9).prop_map(Val::Half)];
    let texts = prop_oneof![Just(Val::Null), (0..9i64).prop_map(Val::Int), (b'a'..b'e').prop_map(Val::Text)];
    let huge = prop_oneof![
        Just(Val::Null),
        (-9..9i64).prop_map(Val::Int),
        Just(Val::Int(i64::MAX / 2)),
        Just(Val::Int(i64::MIN / 2)),
        Just(Val::Int(i64::MAX / 70)),
        Just(Val::Text(b'x'))
    ];
    let many = |one: BoxedStrategy<Val>| prop::collection::vec(one, 60);
    prop_oneof![
        (many(small.clone().boxed()), Just(NUMBERS)),
        (many(small.clone().boxed()), Just(COURSE)),
        (many(small.clone().boxed()), Just(PAIRED)),
        (many(small.boxed()), Just(KEEPERS)),
        (many(texts.clone().boxed()), Just(MIXED)),
        (many(texts.clone().boxed()), Just(COURSE)),
        (many(texts.boxed()), Just(COUNTED)),
        (many(huge.boxed()), Just(ADDED)),
    ]
}

/// Steps around a front that moves on, some ahead of it, some far behind the watermark.
fn steps() -> impl Strategy<Value = (Vec<Step>, &'static [&'static str])> {
    let one = (0..3u8, 0..4i64, -25..20i64, 0..25i64, any::<bool>(), 1..9i64, 0..10u8);
    (prop::collection::vec(one, 0..60), values()).prop_map(|(list, (values, names))| {
        let (mut front, mut watermark, mut owns) = (-40, i64::MIN, [i64::MIN; 3]);
        let steps = list.into_iter().zip(values).map(|((key, step, jitter, lag, condition, gap, out), x)| {
            front += step;
            watermark = watermark.max(front - lag);
            let (filtered, time) = (out == 0, front + jitter);
            let own = owns[usize::from(key)];
            owns[usize::from(key)] = own.max(time - gap);
            Step { watermark, own, time, key, x, condition, gap, filtered }
        });
        (steps.collect(), names)
    })
}

fn grid() -> impl Strategy<Value = Grid> {
    (-12..12i64).prop_map(|offset| Grid { offset: Millis(offset), zone: None })
}

fn fixed() -> impl Strategy<Value = WindowKind> {
    let tumbling =
        (1..15i64, grid()).prop_map(|(size, grid)| WindowKind::Tumbling { size: Millis(size), grid });
    let sliding = (1..20i64, 1..14i64, grid()).prop_map(|(size, every, grid)| WindowKind::Sliding {
        size: Millis(size),
        every: Millis(every),
        grid,
    });
    let cumulate = (1..8i64, 1..6i64, grid()).prop_map(|(step, steps, grid)| WindowKind::Cumulate {
        max: Millis(step * steps),
        step: Millis(step),
        grid,
    });
    let calendar = (prop::collection::btree_set(0..40i64, 1..5), grid()).prop_map(|(times, grid)| {
        let every = Every::At(times.into_iter().map(Millis).collect());
        WindowKind::Calendar { every, grid }
    });
    prop_oneof![1 => tumbling, 3 => sliding, 3 => cumulate, 1 => calendar]
}

/// How old what is carried may be: mostly without an end that matters here.
fn carry() -> impl Strategy<Value = i64> {
    prop_oneof![Just(CARRY.0), 0..40i64]
}

fn session() -> impl Strategy<Value = WindowKind> {
    let gap = prop_oneof![(1..8i64).prop_map(|gap| Gap::Fixed(Millis(gap))), Just(Gap::Slot(harness::GAP))];
    gap.prop_map(|gap| WindowKind::Session { gap, max: None })
}

fn counted() -> impl Strategy<Value = WindowKind> {
    (1..9u64, 1..9u64).prop_map(|(size, every)| WindowKind::Count { size, every })
}

fn accumulation() -> impl Strategy<Value = Accumulation> {
    prop_oneof![Just(Accumulation::Discarding), Just(Accumulation::Accumulating)]
}

fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1..20i64]
}

/// The operator does what the model says, port by port, and the same however the steps are cut into batches.
fn compare(
    kind: WindowKind,
    lateness: i64,
    (accumulation, carry): (Accumulation, i64),
    steps: &[Step],
    names: &[&str],
    cuts: u64,
) -> Result<(), TestCaseError> {
    // What follows a key through time is refused where panes hold parts of a window.
    let follows = names.iter().any(|name| COURSE.contains(name));
    let accumulation = if follows { Accumulation::Accumulating } else { accumulation };
    let plan = || WindowPlan { carry: Millis(carry), ..plan(kind.clone(), names, lateness, accumulation) };
    let whole = run(plan(), steps, |_| false);
    let mut model = Model::new(kind.clone(), names, lateness, accumulation, steps);
    model.carry = carry;
    let expected = model.run();
    prop_assert_eq!(&whole.entries, &expected);
    for log in [run(plan(), steps, |_| true), run(plan(), steps, |i| cuts >> (i % 64) & 1 == 1)] {
        prop_assert_eq!(&log.entries, &whole.entries);
        if steps.iter().all(|step| !step.filtered) {
            prop_assert_eq!(&log.watermarks, &whole.watermarks);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn fixed_windows_equal_the_oracle(
        kind in fixed(), late in lateness(), acc in accumulation(), carry in carry(), (steps, names) in steps(), cuts in any::<u64>(),
    ) {
        compare(kind, late, (acc, carry), &steps, names, cuts)?;
    }

    #[test]
    fn sessions_equal_the_oracle(
        kind in session(), late in lateness(), acc in accumulation(), carry in carry(), (steps, names) in steps(), cuts in any::<u64>(),
    ) {
        // A session may come to lie around a closed one: by gaps that differ, or by events so late that they are taken
        // only because a session reaches back to them. It follows that one's values too.
        let (mut kind, mut steps) = (kind, steps);
        if names.iter().any(|name| COURSE.contains(name)) {
            kind = WindowKind::Session { gap: Gap::Fixed(Millis(4)), max: None };
            steps.iter_mut().for_each(|step| step.filtered |= step.time + 4 + late <= step.watermark);
        }
        compare(kind, late, (acc, carry), &steps, names, cuts)?;
    }

    #[test]
    fn global_windows_equal_the_oracle((steps, names) in steps(), cuts in any::<u64>()) {
        compare(WindowKind::Global, 0, (Accumulation::Discarding, 0), &steps, names, cuts)?;
    }

    #[test]
    fn counted_windows_equal_the_oracle(kind in counted(), (steps, names) in steps(), cuts in any::<u64>()) {
        compare(kind, 0, (Accumulation::Discarding, 0), &steps, names, cuts)?;
    }

    /// Sessions with `max` are what event time says, whatever the order of arrival before the watermark.
    #[test]
    fn bounded_sessions_do_not_depend_on_the_order_of_arrival(
        gap in 1..8i64, max in 1..30i64, (steps, _) in steps(), cuts in any::<u64>(),
    ) {
        let mut steps = steps;
        steps.retain(|step| step.time > step.watermark && !step.filtered);
        let kind = WindowKind::Session { gap: Gap::Fixed(Millis(gap)), max: Some(Millis(max)) };
        let plan = || plan(kind.clone(), &["rows"], 0, Accumulation::Discarding);
        let expected = bounded_sessions(&steps, gap, max);
        for log in [run(plan(), &steps, |_| false), run(plan(), &steps, |i| cuts >> (i % 64) & 1 == 1)] {
            prop_assert_eq!(panes(&log.entries), expected.clone());
        }
    }

    /// What follows event time is the same in whatever order events arrive before their windows fire.
    #[test]
    fn the_order_of_arrival_does_not_matter(
        kind in fixed(), carry in carry(), order in Just((0..60usize).collect::<Vec<_>>()).prop_shuffle(),
        (steps, _) in steps(),
    ) {
        let names = ["first", "last", "delta", "rate", "time_in", "time_weighted_avg", "slope"];
        let mut steps = steps;
        for (i, step) in steps.iter_mut().enumerate() {
            let at = i64::try_from(i).expect("few");
            // Each at a time of its own, so that nothing depends on what arrived first.
            (step.watermark, step.time, step.x) = (-1_000, at * 3 - 60, Val::Half((at * 7 % 11) as i32));
        }
        let shuffled: Vec<Step> = order.iter().filter_map(|i| steps.get(*i)).cloned().collect();
        let by = |steps: &[Step]| {
            let plan = plan(kind.clone(), &names, 0, Accumulation::Accumulating);
            let mut entries = run(WindowPlan { carry: Millis(carry), ..plan }, steps, |_| false).entries;
            entries.sort_by_key(|entry| match entry {
                Entry::Pane(pane) => (pane.end, pane.start, pane.key),
                _ => (0, 0, 0),
            });
            entries
        };
        prop_assert_eq!(by(&steps), by(&shuffled));
    }

    /// Late events may come in any way, and values: no session is longer than `max`, every event is in one pane, or late,
    /// or rejected, and a pane is what it is made of.
    #[test]
    fn bounded_sessions_lose_nothing(
        gap in 1..8i64, max in 1..30i64, late in lateness(), (steps, names) in steps(), cuts in any::<u64>(),
    ) {
        let names: Vec<&str> = ["rows", "collect"].iter().chain(names).copied().collect();
        let kind = WindowKind::Session { gap: Gap::Fixed(Millis(gap)), max: Some(Millis(max)) };
        let plan = || plan(kind.clone(), &names, late, Accumulation::Discarding);
        let log = run(plan(), &steps, |_| false);
        prop_assert_eq!(&run(plan(), &steps, |i| cuts >> (i % 64) & 1 == 1).entries, &log.entries);
        let panes = panes(&log.entries);
        prop_assert!(panes.iter().all(|(start, end, ..)| end - start <= max));
        let counted: i64 = panes.iter().map(|(.., rows)| rows).sum();
        let came = steps.iter().filter(|step| !step.filtered).count();
        prop_assert_eq!(counted as usize + log.entries.len() - panes.len(), came);
        if names.contains(&"sum_where") {
            prop_assert!(log.entries.iter().all(sum_is_of_integers_collected));
        }
    }

    /// With a zone, slices give the panes that a pane a window gives, over days on which the clocks change.
    #[test]
    fn slices_equal_panes_in_a_zone(
        name in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
        (size, every) in prop::sample::select(vec![(24, 8), (24, 24), (72, 24), (8, 6), (2, 1), (24, 1), (6, 4)]),
        cumulate in any::<bool>(), offset in -3..3i64, day in prop::sample::select(vec![0, 218, 224, 7, 21]),
        (steps, names) in steps(),
    ) {
        let hour = 3_600_000;
        let zone = Some(jiff::tz::TimeZone::get(name).expect("bundled"));
        let grid = Grid { offset: Millis(offset * hour), zone };
        let longest = match every {
            24 => 72,
            4 => 12,
            1 => size,
            _ => 24,
        };
        let (size, every, max) = (Millis(size * hour), Millis(every * hour), Millis(longest * hour));
        let kind = match cumulate {
            true => WindowKind::Cumulate { max, step: every, grid },
            false => WindowKind::Sliding { size, every, grid },
        };
        // The end of March 2026 and what lies that many days behind it, half an hour a step.
        let place = |time: i64| 1_774_656_000_000 + day * 24 * hour + time * hour / 2;
        let mut steps = steps;
        for step in &mut steps {
            step.time = place(step.time.max(step.watermark));
            step.watermark = place(step.watermark.max(-100));
        }
        let by = |lateness| {
            let log = run(plan(kind.clone(), names, lateness, Accumulation::Accumulating), &steps, |_| false);
            let only: Vec<Entry> = log.entries.into_iter().filter(|e| !matches!(e, Entry::Rejected(_))).collect();
            only
        };
        prop_assert_eq!(by(0), by(1));
    }
}

/// Whether the third result, if it is a pane, is the sum of the integers in the second.
fn sum_is_of_integers_collected(entry: &Entry) -> bool {
    let Entry::Pane(pane) = entry else { return true };
    let collected = pane.results[1].as_array().cloned().unwrap_or_default();
    let total: i128 = collected.iter().filter_map(serde_json::Value::as_i64).map(i128::from).sum();
    pane.results[2].as_i64().map_or(0, i128::from) == total
}

/// Start, end, key and number of rows of each pane.
fn panes(entries: &[Entry]) -> Vec<(i64, i64, u8, i64)> {
    let panes = entries.iter().filter_map(|entry| match entry {
        Entry::Pane(pane) => Some((pane.start, pane.end, pane.key, pane.results[0].as_i64().unwrap_or(-1))),
        _ => None,
    });
    panes.collect()
}

/// Each key's events in event-time order: a session takes what is close to the one before and less than `max` from
/// its first.
fn bounded_sessions(steps: &[Step], gap: i64, max: i64) -> Vec<(i64, i64, u8, i64)> {
    let mut found = Vec::new();
    for key in 0..3 {
        let mut events: Vec<(i64, usize)> = Vec::new();
        events.extend(steps.iter().enumerate().filter(|(_, s)| s.key == key).map(|(id, s)| (s.time, id)));
        events.sort_unstable();
        let mut sessions: Vec<Vec<(i64, usize)>> = Vec::new();
        for event in events {
            match sessions.last_mut() {
                Some(session)
                    if event.0 - session[session.len() - 1].0 <= gap && event.0 - session[0].0 < max =>
                {
                    session.push(event);
                }
                _ => sessions.push(vec![event]),
            }
        }
        for session in sessions {
            let (start, last) = (session[0].0, session[session.len() - 1].0);
            let end = (last + gap).min(start + max);
            let born = session.iter().map(|(_, id)| *id).min().unwrap_or(0);
            found.push((end, start, born, key, session.len() as i64));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(end, start, _, key, rows)| (start, end, key, rows)).collect()
}
