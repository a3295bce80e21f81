//! Joins beside a plain search through all pairs of events.

use crate::harness::{DISORDER, Event, events, in_order, roll, run_text};
use headwater::time::Random;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const KINDS: [(&str, bool, bool); 4] =
    [("inner", false, false), ("left", true, false), ("right", false, true), ("full", true, true)];

/// Events of two sides; a few have no key.
fn sides(random: &mut Random, count: usize) -> Vec<Event> {
    events(random, count, |random| match (roll(random, 2), roll(random, 12)) {
        (0, 0) => json!({ "s": "l" }),
        (_, 0) => json!({ "s": "r" }),
        (0, _) => json!({ "s": "l", "k": 1 }),
        // Numbers are equal by value.
        _ => json!({ "s": "r", "k": 1.0 }),
    })
}

/// A pipeline with this join, whose rows are told apart, and a window behind it for which nothing may be late.
fn pipeline(join: &str, workers: usize) -> String {
    format!(
        "options: {{ parallelism: {workers} }}\n\
         sources: {{ in: {{ stdin: {{}}, event_time: {{ field: t, unit: ms, out_of_order: {DISORDER}ms }} }} }}\n\
         transforms:\n\
         \x20 a: {{ from: in, where: x.s = 'l' }}\n\
         \x20 b: {{ from: in, where: x.s = 'r' }}\n\
         \x20 joined: {{ join: {{ left: a, right: b, match: a.k = b.k AND a.x.k = b.x.k, {join} }} }}\n\
         \x20 pairs:\n    from: joined\n    select: {{ l: a.n, r: b.n, t: event_time() }}\n\
         windows: {{ w: {{ from: joined, tumbling: 10ms, aggregate: {{ rows: count(*) }} }} }}\n\
         sinks:\n\
         \x20 out: {{ from: [pairs, w, joined.late], stdout: {{}} }}\n\
         \x20 late: {{ from: w.late, file: {{ path: x }} }}\n"
    )
}

/// Numbers of a left and a right event, either of which may be missing, and the time of the later one.
type Pair = (Option<usize>, Option<usize>, i64);

fn is_left(event: &Event) -> bool {
    event.x["s"] == "l"
}

/// The pairs for which `near` holds, and the events of kept sides that are in none.
fn pairs(
    events: &[Event],
    (_, left, right): (&str, bool, bool),
    near: impl Fn(i64, i64) -> bool,
) -> Vec<Pair> {
    let on_time = in_order(events);
    let (lefts, rights): (Vec<_>, Vec<_>) = on_time.into_iter().partition(|(_, event)| is_left(event));
    let same = |a: &Event, b: &Event| {
        a.key == b.key && a.x.get("k").is_some() && b.x.get("k").is_some() && near(a.time, b.time)
    };
    let mut pairs: Vec<Pair> = Vec::new();
    for (l, a) in &lefts {
        let partners = rights.iter().filter(|(_, b)| same(a, b));
        let found: Vec<Pair> = partners.map(|(r, b)| (Some(*l), Some(*r), a.time.max(b.time))).collect();
        let alone = found.is_empty() && left;
        pairs.extend(found);
        pairs.extend(alone.then_some((Some(*l), None, a.time)));
    }
    let alone = rights.iter().filter(|(_, b)| right && !lefts.iter().any(|(_, a)| same(a, b)));
    pairs.extend(alone.map(|(r, b)| (None, Some(*r), b.time)));
    pairs.sort();
    pairs
}

/// When a window has ended before an event came, for each that holds it.
fn ended(events: &[Event], windows: impl Fn(i64) -> Vec<(i64, i64)>) -> Vec<Vec<bool>> {
    let mut highest = i64::MIN + DISORDER;
    let each = events.iter().map(|event| {
        let ended = windows(event.time).iter().map(|(_, end)| *end <= highest - DISORDER).collect();
        highest = highest.max(event.time);
        ended
    });
    each.collect()
}

/// Checks a join for several numbers of workers, with and without restarts.
fn check(
    join: &str,
    kind: (&str, bool, bool),
    events: &[Event],
    (expected, late): (&[Pair], &[usize]),
    seed: u64,
) {
    let join = &format!("{join}, type: {}", kind.0);
    // Without a key, what needs a partner goes before anybody asks whether it is late.
    let stays = |event: &Event| event.x.get("k").is_some() || if is_left(event) { kind.1 } else { kind.2 };
    let late: Vec<usize> = late.iter().copied().filter(|number| stays(&events[*number])).collect();
    for (workers, restarts) in [(1, None), (1, Some(seed)), (2, Some(seed + 1)), (4, None)] {
        let (rows, left) = run_text(&pipeline(join, workers), events, seed, restarts);
        let number = |value: &Json| value.as_u64().map(|number| number as usize);
        let pairs = rows.iter().filter(|row| !row["t"].is_null());
        let mut found: Vec<Pair> = pairs
            .map(|row| (number(&row["l"]), number(&row["r"]), row["t"].as_i64().expect("a time")))
            .collect();
        found.sort();
        assert_eq!(found, expected, "seed {seed}, {workers} workers, {restarts:?}, {join}");
        let mut lates: Vec<usize> =
            rows.iter().filter_map(|row| number(&row["a"]["n"]).or(number(&row["b"]["n"]))).collect();
        lates.sort_unstable();
        assert_eq!(lates, late, "seed {seed}, {workers} workers, {join}");
        let counted: u64 = rows.iter().filter_map(|row| row.get("rows")?.as_u64()).sum();
        assert_eq!(counted as usize, expected.len(), "all are on time behind it: seed {seed}, {join}");
        assert_eq!(left, 0, "nothing is kept at the end: seed {seed}, {join}");
    }
}

#[test]
fn interval_joins_find_every_pair_once() {
    let bounds = [(0, 0), (30, 30), (0, 100), (100, 0), (250, 20), (7, 0)];
    for seed in 0..12_u64 {
        let mut random = Random::seeded(seed);
        let events = sides(&mut random, 150);
        let (before, after) = bounds[seed as usize % bounds.len()];
        let kind = KINDS[seed as usize % KINDS.len()];
        let join = format!("within: {{ before: {before}ms, after: {after}ms }}");
        let near = |left: i64, right: i64| right - left >= -before && right - left <= after;
        let on_time: Vec<usize> = in_order(&events).into_iter().map(|(number, _)| number).collect();
        let late: Vec<usize> = (0..events.len()).filter(|number| !on_time.contains(number)).collect();
        check(&join, kind, &events, (&pairs(&events, kind, near), &late), seed);
    }
}

/// The pairs of all windows, and the events that missed any.
fn windowed(
    events: &[Event],
    kind: (&str, bool, bool),
    (size, every): (i64, i64),
) -> (Vec<Pair>, Vec<usize>) {
    let windows = |time: i64| -> Vec<(i64, i64)> {
        let last = time.div_euclid(every) * every;
        let starts = (0..).map(|back| last - back * every).take_while(|start| start + size > time);
        starts.map(|start| (start, start + size)).collect()
    };
    let ended = ended(events, windows);
    let late = (0..events.len()).filter(|number| ended[*number].contains(&true)).collect();
    let mut all: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (number, event) in events.iter().enumerate() {
        for ((start, _), ended) in windows(event.time).into_iter().zip(&ended[number]) {
            all.entry(start).or_default().extend((!ended).then_some(number));
        }
    }
    let mut found = Vec::new();
    for members in all.into_values() {
        // All of a window are on time among themselves: a plain search finds their pairs.
        let mut of_window: Vec<Event> = members.iter().map(|number| events[*number].clone()).collect();
        let times: Vec<i64> = of_window.iter().map(|event| event.time).collect();
        of_window.iter_mut().for_each(|event| event.time = 0);
        for (left, right, _) in pairs(&of_window, kind, |_, _| true) {
            let time = left.into_iter().chain(right).map(|member| times[member]).max().unwrap_or_default();
            found.push((left.map(|left| members[left]), right.map(|right| members[right]), time));
        }
    }
    found.sort();
    (found, late)
}

#[test]
fn window_joins_find_every_pair_of_every_window() {
    for seed in 0..12_u64 {
        let mut random = Random::seeded(seed);
        let events = sides(&mut random, 120);
        let (size, every) = [(50, 50), (100, 25), (70, 30), (13, 13), (60, 60)][seed as usize % 5];
        let kind = KINDS[seed as usize % KINDS.len()];
        let join = match size == every {
            true => format!("window: {{ tumbling: {size}ms }}"),
            false => format!("window: {{ sliding: {{ size: {size}ms, every: {every}ms }} }}"),
        };
        let (pairs, late) = windowed(&events, kind, (size, every));
        check(&join, kind, &events, (&pairs, &late), seed);
    }
}

/// A table whose rows are forgotten after that long.
const TTL: i64 = 190;

/// A 32nd of it.
const GRANULE: i64 = 5;

#[test]
fn events_meet_the_row_as_of_their_own_time() {
    for seed in 0..16_u64 {
        let mut random = Random::seeded(seed);
        let events = sides(&mut random, 200);
        let ttl = (seed % 2 == 1).then_some(TTL);
        let (expected, kept) = as_of(&events, ttl);
        let ttl = ttl.map_or("unlimited".to_owned(), |ttl| format!("{ttl}ms"));
        for (workers, restarts) in [(1, None), (1, Some(seed)), (2, Some(seed + 1)), (4, None)] {
            let text = format!(
                "options: {{ parallelism: {workers} }}\n\
                 sources: {{ in: {{ stdin: {{}}, event_time: {{ field: t, out_of_order: {DISORDER}ms }} }} }}\n\
                 tables: {{ rows: {{ from: b, key: [k] }} }}\n\
                 transforms:\n\
                 \x20 a: {{ from: in, where: x.s = 'l' }}\n\
                 \x20 b: {{ from: in, where: x.s = 'r' }}\n\
                 \x20 found:\n    from: a\n    state_ttl: {ttl}\n\
                 \x20   lookup: {{ table: rows, match: k = k, select: {{ r: n }} }}\n\
                 windows: {{ w: {{ from: found, tumbling: 10ms, aggregate: {{ rows: count(*) }} }} }}\n\
                 sinks:\n\
                 \x20 out: {{ from: found, stdout: {{}} }}\n\
                 \x20 counts: {{ from: w, drop: {{}} }}\n\
                 \x20 late: {{ from: w.late, stdout: {{}} }}\n"
            );
            let (rows, left) = run_text(&text, &events, seed, restarts);
            let number = |value: &Json| value.as_u64().map(|number| number as usize);
            let mut found: Vec<_> =
                rows.iter().map(|row| (number(&row["n"]).expect("its number"), number(&row["r"]))).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "seed {seed}, {workers} workers, {restarts:?}, {ttl}");
            // Of several workers one may hear of the end before it hears how far event time has come.
            assert!(
                workers > 1 || left <= kept,
                "{left} entries are kept at the end, not {kept}: seed {seed}, {ttl}"
            );
        }
    }
}

/// For each event of the left side that is on time, the row of the right side that it meets; and how many entries are kept
/// at the end at the most.
fn as_of(events: &[Event], ttl: Option<i64>) -> (Vec<(usize, Option<usize>)>, usize) {
    let mut waiting: Vec<usize> = Vec::new();
    let mut met = Vec::new();
    // By key: its rows, and until which watermark they live.
    let mut rows: BTreeMap<&str, (Vec<usize>, i64)> = BTreeMap::new();
    let (mut highest, mut before) = (i64::MIN + DISORDER, i64::MIN);
    for number in 0..=events.len() {
        let event = events.get(number);
        let watermark = if event.is_some() { highest - DISORDER } else { i64::MAX };
        waiting.retain(|asking| {
            let asking = (*asking, &events[*asking]);
            if asking.1.time < watermark {
                let known = rows.get(asking.1.key).map_or(&[][..], |(rows, _)| rows);
                let known = known.iter().filter(|row| events[**row].time <= asking.1.time);
                met.push((asking.0, known.max_by_key(|row| (events[**row].time, **row)).copied()));
            }
            asking.1.time >= watermark
        });
        let Some(event) = event else { break };
        rows.retain(|_, (_, until)| ttl.is_none() || watermark < *until);
        before = watermark;
        highest = highest.max(event.time);
        if is_left(event) && event.time < watermark {
            continue;
        }
        let (of_key, until) = rows.entry(event.key).or_insert((Vec::new(), i64::MIN));
        let touched = (event.time.max(watermark).div_euclid(GRANULE) + 1) * GRANULE;
        *until = (*until).max(touched + TTL);
        if is_left(event) { waiting.push(number) } else { of_key.push(number) }
    }
    met.sort_unstable();
    // The last row that time has passed, those that are later, and the age.
    let later = |row: &&usize| events[**row].time > before;
    let of_key = |(rows, _): &(Vec<usize>, i64)| rows.iter().filter(later).count() + 1;
    let kept = rows.values().map(of_key).sum::<usize>() + ttl.map_or(0, |_| rows.len());
    (met, kept)
}
