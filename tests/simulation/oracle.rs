//! What must stand in the ledger of each sink: computed from the input by other means than the engine's.

use crate::events::{CLOSING, DISORDER, Event};
use crate::scenario::{Branch, Scenario, Window};
use crate::sinks::Target;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// How often each line is expected: at least, and at most.
type Expected = BTreeMap<String, (usize, usize)>;

fn expected(scenario: &Scenario, sink: usize) -> Expected {
    let branch = &scenario.branches[scenario.sinks[sink].branch];
    if let Some(window) = branch.window {
        return results(scenario, branch, window).into_iter().map(|line| (line, (1, 1))).collect();
    }
    let mut expected = Expected::new();
    for source in &branch.from {
        let source = &scenario.sources[*source];
        for (place, event) in source.events().into_iter().enumerate() {
            if event.x % branch.modulus != 0 {
                let (id, y) = (event.id, event.x * 2);
                expected
                    .insert(format!("{id} {y}"), (1, if branch.dedupe { 1 } else { source.times(place) }));
            }
        }
    }
    expected
}

/// The results of windows. No event is late: none is further behind than watermarks are.
fn results(scenario: &Scenario, branch: &Branch, window: Window) -> Vec<String> {
    let events = branch.from.iter().flat_map(|source| scenario.sources[*source].events());
    let passing: Vec<&Event> = events.filter(|event| event.x % branch.modulus != 0).collect();
    let keys: BTreeSet<usize> = passing.iter().map(|event| event.key).collect();
    let mut lines = Vec::new();
    for key in keys {
        let mut of_key: Vec<(i64, i64)> =
            passing.iter().filter(|event| event.key == key).map(|event| (event.time, event.x)).collect();
        of_key.sort_unstable();
        for (start, end) in extents(window, &of_key) {
            // Those of the events that close the others stay open.
            if scenario.is_live() && end > CLOSING - DISORDER {
                continue;
            }
            let inside = of_key.iter().filter(|(time, _)| (start..end).contains(time));
            let (n, total) = inside.fold((0, 0), |(n, total), (_, x)| (n + 1, total + x));
            lines.push(format!("{key} {start} {end} {n} {total}"));
        }
    }
    lines
}

/// The windows of a key's events, which are sorted.
fn extents(window: Window, events: &[(i64, i64)]) -> BTreeSet<(i64, i64)> {
    let fixed = |size: i64, every: i64| {
        let starts = move |time: i64| {
            let last = time - time.rem_euclid(every);
            (0..size / every).map(move |back| last - back * every)
        };
        events.iter().flat_map(|(time, _)| starts(*time)).map(|start| (start, start + size)).collect()
    };
    match window {
        Window::Tumbling { size } => fixed(size, size),
        Window::Sliding { size, every } => fixed(size, every),
        Window::Session { gap } => {
            let mut sessions: Vec<(i64, i64)> = Vec::new();
            for (time, _) in events {
                match sessions.last_mut().filter(|(_, end)| time <= end) {
                    Some((_, end)) => *end = time + gap,
                    None => sessions.push((*time, time + gap)),
                }
            }
            sessions.into_iter().collect()
        }
    }
}

fn lines(target: &Target) -> Result<Vec<String>, String> {
    let ledger = target.ledger()?;
    let mut lines: Vec<&[u8]> = ledger.split(|byte| *byte == b'\n').collect();
    if lines.pop().is_some_and(|rest| !rest.is_empty()) {
        return Err("the last line is not whole".to_owned());
    }
    let line = |line: &[u8]| {
        let torn = || format!("no event: {}", String::from_utf8_lossy(line));
        let event: Json = serde_json::from_slice(line).map_err(|_| torn())?;
        if event.get("n").is_some() {
            let [key, start, end] = ["k", "window_start", "window_end"].map(|name| &event[name]);
            return Ok(format!("{key} {start} {end} {} {}", event["n"], event["total"]));
        }
        Ok(format!("{} {}", event["id"], event["y"]))
    };
    lines.into_iter().map(line).collect()
}

fn counted(lines: Vec<String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    lines.into_iter().for_each(|line| *counts.entry(line).or_default() += 1);
    counts
}

/// Something that has not arrived yet.
pub fn missing(scenario: &Scenario, sink: usize, target: &Target) -> Option<String> {
    let counts = counted(lines(target).ok()?);
    let expected = expected(scenario, sink);
    let missing =
        expected.iter().find(|(line, (least, _))| counts.get(*line).copied().unwrap_or_default() < *least);
    missing.map(|(line, _)| format!("{} lacks {line}", target.name))
}

/// Compares the ledger of a sink with what must stand there.
pub fn check(scenario: &Scenario, sink: usize, target: &Target, disturbed: bool) -> Result<(), String> {
    let counts = counted(lines(target)?);
    let expected = expected(scenario, sink);
    for (line, (least, most)) in &expected {
        let found = counts.get(line).copied().unwrap_or_default();
        if found < *least {
            return Err(format!("`{line}` is missing"));
        }
        let may_repeat = !target.exactly_once && (disturbed || target.resent() > 0);
        if found > *most && !may_repeat {
            return Err(format!("`{line}` stands there {found} times, not {most}"));
        }
    }
    match counts.keys().find(|line| !expected.contains_key(*line)) {
        Some(line) => Err(format!("`{line}` should not be there")),
        None => Ok(()),
    }
}
