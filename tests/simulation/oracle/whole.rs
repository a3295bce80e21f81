//! What must come in the end where neither order nor clock is known: each event once in each of its windows, each pair of
//! a join, each row of a table.

use super::Expected;
use super::ledger::Line;
use crate::branch::Branch;
use crate::coverage::Coverage;
use crate::events::{CLOSING, DISORDER, Event};
use crate::scenario::Scenario;
use crate::whole::{Accumulation, Kind, LAST_ROW, Outer, Triggered, Whole};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What must come of a branch's events. What closes windows of live sources may be there or not.
pub fn expected(scenario: &Scenario, branch: &Branch, whole: Whole) -> Expected {
    let events = branch.from.iter().flat_map(|source| scenario.sources[*source].events());
    let events: Vec<&Event> = events.filter(|event| event.x % branch.modulus != 0).collect();
    let mut expected = Expected::default();
    let closes = |event: &Event| scenario.is_live() && event.time == CLOSING;
    let mut add = |text: String, is_sure: bool, most: usize| {
        let (least, known) = expected.lines.entry(text).or_default();
        (*least, *known) = (*least + usize::from(is_sure), known.saturating_add(most));
    };
    match whole {
        Whole::Triggered(window) => {
            let many = window.accumulation == Accumulation::Accumulating && window.starts(0).is_none();
            for event in &events {
                let most = if many { usize::MAX } else { 1 };
                for text in places(window, event) {
                    add(text, !closes(event), most);
                }
            }
        }
        Whole::Lookup => {
            for event in &events {
                let row = Some(event.key * 10).filter(|_| event.key <= LAST_ROW);
                add(pair(event.key, Some(event.id), row), true, 1);
            }
        }
        Whole::Script { .. } => {
            for event in &events {
                add(gathered(event.key, event.id), !closes(event), 1);
            }
        }
        Whole::Temporal => {
            for (left, rights) in by_side(&events).0.iter().map(|left| (left, before(left, &events))) {
                let is_sure = !closes(left) && rights.len() < 2;
                match rights[..] {
                    [] => add(pair(left.key, Some(left.id), None), is_sure, 1),
                    _ => rights.iter().for_each(|right| {
                        add(pair(left.key, Some(left.id), Some(right.id)), is_sure, 1);
                    }),
                }
            }
        }
        Whole::Interval { within, outer } => {
            let near = |left: &Event, right: &Event| (left.time - right.time).abs() <= within;
            joined(&events, outer, &near).into_iter().for_each(|(text, time)| {
                add(text, !scenario.is_live() || time < CLOSING, 1);
            });
        }
        Whole::InWindow { size, outer } => {
            let window = |event: &Event| event.time.div_euclid(size);
            joined(&events, outer, &|left, right| window(left) == window(right)).into_iter().for_each(
                |(text, time)| {
                    let end = (time.div_euclid(size) + 1) * size;
                    add(text, !scenario.is_live() || end <= CLOSING - DISORDER, 1);
                },
            );
        }
    }
    expected
}

fn pair(key: usize, left: Option<usize>, right: Option<usize>) -> String {
    let shown = |id: Option<usize>| id.map_or("nobody".to_owned(), |id| id.to_string());
    format!("{key}: {} with {}", shown(left), shown(right))
}

fn gathered(key: usize, id: usize) -> String {
    format!("{id} gathered for {key}")
}

fn by_side<'e>(events: &[&'e Event]) -> (Vec<&'e Event>, Vec<&'e Event>) {
    events.iter().partition(|event| event.id % 2 == 0)
}

/// The latest events of the right side up to the time of one of the left; several if they are equally late.
fn before<'e>(left: &Event, events: &[&'e Event]) -> Vec<&'e Event> {
    let rights = by_side(events).1.into_iter();
    let rights: Vec<&Event> =
        rights.filter(|right| right.key == left.key && right.time <= left.time).collect();
    let latest = rights.iter().map(|right| right.time).max();
    rights.into_iter().filter(|right| Some(right.time) == latest).collect()
}

/// All pairs and what leaves alone, with the time of the later one.
fn joined(events: &[&Event], outer: Outer, near: &dyn Fn(&Event, &Event) -> bool) -> Vec<(String, i64)> {
    let (lefts, rights) = by_side(events);
    let is_pair = |left: &Event, right: &Event| left.key == right.key && near(left, right);
    let mut all = Vec::new();
    for left in &lefts {
        let partners = || rights.iter().filter(|right| is_pair(left, right));
        let with =
            |right: &&Event| (pair(left.key, Some(left.id), Some(right.id)), left.time.max(right.time));
        all.extend(partners().map(with));
        let alone = outer.left && partners().next().is_none();
        all.extend(alone.then(|| (pair(left.key, Some(left.id), None), left.time)));
    }
    let alone = rights.iter().filter(|right| !lefts.iter().any(|left| is_pair(left, right)));
    let alone = alone.filter(|_| outer.right);
    all.extend(alone.map(|right| (pair(right.key, None, Some(right.id)), right.time)));
    all
}

/// The windows that an event is in; of sessions that there is one.
fn places(window: Triggered, event: &Event) -> Vec<String> {
    match window.starts(event.time) {
        Some(starts) => starts.into_iter().map(|start| held(event.key, Some(start), event.id)).collect(),
        None => vec![held(event.key, None, event.id)],
    }
}

fn held(key: usize, start: Option<i64>, id: usize) -> String {
    match start {
        Some(start) => format!("{id} in {key} from {start}"),
        None => format!("{id} in a session of {key}"),
    }
}

/// What stands in a sink in the end, a line for each event in each window, or each pair.
///
/// # Errors
/// Something is no event.
pub fn lines(events: Vec<Json>, whole: Whole, coverage: &Coverage) -> Result<Vec<Line>, String> {
    let window = match whole {
        Whole::Triggered(window) => window,
        Whole::Script { .. } => {
            let bundles =
                events.iter().map(|event| bundle(event).ok_or_else(|| format!("no bundle: {event}")));
            return Ok(bundles.collect::<Result<Vec<_>, _>>()?.concat());
        }
        _ => {
            let pairs =
                events.iter().map(|event| pair_line(event).ok_or_else(|| format!("no pair: {event}")));
            return pairs.collect();
        }
    };
    let mut content = Content { window, late: Vec::new(), shown: BTreeMap::new() };
    for event in &events {
        content.take(event, coverage).ok_or_else(|| format!("no pane: {event}"))?;
    }
    Ok(content.lines())
}

fn pair_line(event: &Json) -> Option<Line> {
    let number = |name: &str| event[name].as_u64().map(|number| number as usize);
    let key = number("k")?;
    Some(Line { text: pair(key, number("l"), number("r")), key, bytes: 1 })
}

/// What a script has given at once.
fn bundle(event: &Json) -> Option<Vec<Line>> {
    let key = event["k"].as_u64()? as usize;
    let ids = event["ids"].as_array()?.iter().map(|id| id.as_u64().map(|id| id as usize));
    ids.map(|id| Some(Line { text: gathered(key, id?), key, bytes: 1 })).collect()
}

/// What windows have given and not taken back.
struct Content {
    window: Triggered,
    late: Vec<Line>,
    /// By key and start.
    shown: BTreeMap<(usize, i64), Vec<usize>>,
}

impl Content {
    fn take(&mut self, event: &Json, coverage: &Coverage) -> Option<()> {
        let (key, start) = (event["k"].as_u64()? as usize, event["window_start"].as_i64()?);
        let Some(ids) = event["ids"].as_array() else {
            coverage.note("event behind a trigger's window");
            let id = event["id"].as_u64()? as usize;
            self.late.push(self.line(key, start, id));
            return Some(());
        };
        match event["timing"].as_str()? {
            "early" => coverage.note("early pane"),
            "late" => coverage.note("late pane"),
            _ => {}
        }
        let ids: Vec<usize> = ids.iter().filter_map(Json::as_u64).map(|id| id as usize).collect();
        let shown = self.shown.entry((key, start)).or_default();
        match self.window.accumulation {
            Accumulation::Discarding => shown.extend(ids),
            Accumulation::Accumulating => *shown = ids,
            Accumulation::Retracting if event["retracted"].as_bool()? => {
                coverage.note("pane taken back");
                for id in ids {
                    // What is given again behind a crash may be taken back once more.
                    if let Some(at) = shown.iter().position(|other| *other == id) {
                        shown.swap_remove(at);
                    }
                }
            }
            Accumulation::Retracting => shown.extend(ids),
        }
        Some(())
    }

    fn line(&self, key: usize, start: i64, id: usize) -> Line {
        let start = Some(start).filter(|_| !matches!(self.window.kind, Kind::Session { .. }));
        Line { text: held(key, start, id), key, bytes: 1 }
    }

    fn lines(self) -> Vec<Line> {
        let shown =
            self.shown.iter().flat_map(|((key, start), ids)| ids.iter().map(|id| (*key, *start, *id)));
        let shown: Vec<Line> = shown.map(|(key, start, id)| self.line(key, start, id)).collect();
        self.late.into_iter().chain(shown).collect()
    }
}
