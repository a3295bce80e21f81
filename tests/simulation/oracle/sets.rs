//! What holds for any order of arrival, where no event is late.

use super::Expected;
use super::ledger::Line;
use crate::branch::{Branch, Kind, Node, Window};
use crate::events::{CLOSING, DISORDER, Event};
use crate::scenario::Scenario;
use std::collections::{BTreeMap, BTreeSet};

/// What must come of events that come in any order.
pub fn expected(scenario: &Scenario, branch: &Branch) -> Expected {
    if let Some(window) = branch.window {
        return results(scenario, branch, window);
    }
    let mut expected = Expected::default();
    for source in &branch.from {
        let source = &scenario.sources[*source];
        for (place, event) in source.events().into_iter().enumerate() {
            if event.x % branch.modulus != 0 {
                let line = Line::event(event.id, event.x * 2);
                let most = if branch.node == Some(Node::Dedupe) { 1 } else { source.times(place) };
                expected.bytes.insert(line.clone(), event.bytes_out(event.x * 2));
                expected.lines.insert(line, (1, most));
            }
        }
    }
    expected
}

fn results(scenario: &Scenario, branch: &Branch, window: Window) -> Expected {
    let events = branch.from.iter().flat_map(|source| scenario.sources[*source].events());
    let mut by_key: BTreeMap<usize, Vec<&Event>> = BTreeMap::new();
    for event in events.filter(|event| event.x % branch.modulus != 0) {
        by_key.entry(event.key).or_default().push(event);
    }
    let mut expected = Expected::default();
    for (key, mut events) in by_key {
        events.sort_by_key(|event| event.time);
        let pane = |(start, end): (i64, i64)| {
            let inside = events.iter().filter(|event| (start..end).contains(&event.time));
            let (n, total) = inside.fold((0, 0), |(n, total), event| (n + 1, total + event.x));
            Line::pane(key, (start, end), n, total)
        };
        // Those of the events that close the others stay open.
        let has_fired = |(_, end): &(i64, i64)| !scenario.is_live() || *end <= CLOSING - DISORDER;
        let spans: Vec<(i64, i64)> = extents(window, &events).into_iter().filter(has_fired).collect();
        expected.lines.extend(spans.iter().map(|span| (pane(*span), (1, 1))));
        if matches!(window.kind, Kind::Session { .. }) {
            // An event exactly at the end of a session joins it, unless the watermark has come there before.
            let touches = |pair: &[(i64, i64)]| pair[0].1 == pair[1].0;
            for first in 0..spans.len() {
                let more = spans[first..].windows(2).take_while(|pair| touches(pair)).count();
                for last in first + 1..=first + more {
                    let parts = spans[first..=last].iter().map(|span| pane(*span)).collect();
                    expected.composites.insert(pane((spans[first].0, spans[last].1)), parts);
                }
            }
        }
    }
    expected
}

/// The windows of a key's events, which are sorted; of sessions the shortest possible.
fn extents(window: Window, events: &[&Event]) -> BTreeSet<(i64, i64)> {
    let Kind::Session { gap } = window.kind else {
        return events.iter().flat_map(|event| window.spans(event.time)).collect();
    };
    let mut sessions: Vec<(i64, i64)> = Vec::new();
    for event in events {
        match sessions.last_mut().filter(|(_, end)| event.time < *end) {
            Some((_, end)) => *end = event.time + gap,
            None => sessions.push((event.time, event.time + gap)),
        }
    }
    sessions.into_iter().collect()
}
