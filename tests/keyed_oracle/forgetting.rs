//! `state_ttl`: a key without events is forgotten, and its next event is as its first.

use crate::harness::{DISORDER, Event, check, events, roll};
use headwater::time::Random;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const TTL: i64 = 190;

/// A 32nd of it.
const GRANULE: i64 = 5;

/// Which of its key's lives each event belongs to.
fn lives(events: &[Event]) -> Vec<usize> {
    // By key: until which watermark it lives, and how often it was forgotten.
    let mut keys: BTreeMap<&str, (i64, usize)> = BTreeMap::new();
    let mut watermark = i64::MIN;
    let mut lives = Vec::new();
    for event in events {
        let touched = event.time.max(watermark);
        let until = (touched.div_euclid(GRANULE) + 1) * GRANULE + TTL;
        let (end, life) = keys.entry(event.key).or_insert((until, 0));
        if watermark >= *end {
            (*end, *life) = (until, *life + 1);
        }
        *end = until.max(*end);
        lives.push(*life);
        watermark = watermark.max(event.time - DISORDER);
    }
    lives
}

/// Events with their numbers, by key and life.
fn by_life(events: &[Event]) -> Vec<Vec<(usize, &Event)>> {
    let mut groups: BTreeMap<(&str, usize), Vec<(usize, &Event)>> = BTreeMap::new();
    for ((number, event), life) in events.iter().enumerate().zip(lives(events)) {
        groups.entry((event.key, life)).or_default().push((number, event));
    }
    assert!(groups.len() > 6, "keys are forgotten now and then: {}", groups.len());
    groups.into_values().collect()
}

fn number(random: &mut Random) -> Json {
    json!(roll(random, 8))
}

/// Runs a node on random events, whose rows `expected` computes from a life's events.
fn each_life(node: &str, expected: impl Fn(&[(usize, &Event)]) -> Vec<Json>) {
    for seed in 0..6 {
        let events = events(&mut Random::seeded(seed), 600, number);
        let rows: Vec<Json> = by_life(&events).iter().flat_map(|life| expected(life)).collect();
        check(&format!("    state_ttl: {TTL}ms\n    ordered: false\n{node}"), &events, &rows, seed);
    }
}

fn value(event: &Event) -> i64 {
    event.x.as_i64().unwrap()
}

#[test]
fn history_begins_anew() {
    let node = "    set: { c: running_count() OVER (PARTITION BY k), p: previous(x) OVER (PARTITION BY k) }";
    each_life(node, |life| {
        let previous = |i: usize| i.checked_sub(1).map(|before| life[before].1.x.clone());
        let row = |(i, (n, event)): (usize, &(usize, &Event))| json!({ "k": event.key, "n": n, "c": i + 1, "p": previous(i) });
        life.iter().enumerate().map(row).collect()
    });
}

#[test]
fn what_is_unchanged_goes_on_again_after_that() {
    each_life("    changed: { key: [k], fields: [x], deadband: 3 }", |life| {
        let mut last = None;
        let mut rows = Vec::new();
        for (n, event) in life {
            if last.is_none_or(|last: i64| (value(event) - last).abs() > 3) {
                last = Some(value(event));
                rows.push(json!({ "k": event.key, "n": n }));
            }
        }
        rows
    });
}

/// Nothing is kept of a key while its alarm is clear and nothing raises it: its age begins with what is kept.
fn alarms(events: &[Event]) -> Vec<Json> {
    // By key: until which watermark it lives, whether the alarm is raised, how many events would change that, and since when.
    let mut keys: BTreeMap<&str, (i64, bool, u32, i64)> = BTreeMap::new();
    let (mut watermark, mut rows) = (i64::MIN, Vec::new());
    for (n, event) in events.iter().enumerate() {
        let until = (event.time.max(watermark).div_euclid(GRANULE) + 1) * GRANULE + TTL;
        let known = keys.remove(event.key).filter(|key| watermark < key.0);
        let (end, mut raised, mut run, mut since) = known.unwrap_or_default();
        let holds = if raised { value(event) < 2 } else { value(event) > 4 };
        since = if run == 0 { event.time } else { since };
        run = if holds { run + 1 } else { 0 };
        if run >= 2 && event.time >= since {
            (raised, run) = (!raised, 0);
            let alarm = if raised { "raised" } else { "cleared" };
            rows.push(json!({ "k": event.key, "n": n, "alarm": alarm }));
        }
        if raised || run > 0 {
            keys.insert(event.key, (end.max(until), raised, run, since));
        }
        watermark = watermark.max(event.time - DISORDER);
    }
    rows
}

#[test]
fn alarms_are_forgotten_without_being_cleared() {
    let node =
        "hysteresis: { key: [k], value: x, raise: { above: 4, times: 2 }, clear: { below: 2, times: 2 } }";
    for seed in 0..6 {
        let events = events(&mut Random::seeded(seed), 600, number);
        let node = format!("    state_ttl: {TTL}ms\n    ordered: false\n    {node}");
        check(&node, &events, &alarms(&events), seed);
    }
}

#[test]
fn rankings_begin_anew() {
    each_life("    top_n: { key: [k], by: x, n: 1 }", |life| {
        let mut first: Option<&(usize, &Event)> = None;
        let mut rows = Vec::new();
        for ranked in life {
            if first.is_none_or(|(_, first)| value(first) < value(ranked.1)) {
                let row = |(n, event): &(usize, &Event), retracted: bool| json!({ "k": event.key, "n": n, "retracted": retracted });
                rows.extend(first.map(|first| row(first, true)));
                rows.push(row(ranked, false));
                first = Some(ranked);
            }
        }
        rows
    });
}
