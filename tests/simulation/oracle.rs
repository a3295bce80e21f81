//! What must stand in the ledger of each sink: computed from the input by other means than the engine's.
//!
//! Where events come in an order that is known, [`sequence`] takes them one by one as the engine must; where they do
//! not, [`sets`] says what holds for any order of arrival.

mod ledger;
mod sequence;
mod sets;
mod whole;

use crate::coverage::Coverage;
use crate::scenario::Scenario;
use crate::sinks::Target;
use crate::topics::Accepted;
use crate::whole::Whole;
use ledger::{Ledger, Line};
use std::collections::{BTreeMap, BTreeSet};

/// What must stand in a ledger.
#[derive(Default)]
pub struct Expected {
    /// How often each line is expected: at least, and at most.
    lines: BTreeMap<String, (usize, usize)>,
    /// Lines that say as much as several others together.
    composites: BTreeMap<String, Vec<String>>,
    /// The lines of each key as they must follow one another, where that is known.
    order: BTreeMap<usize, Vec<String>>,
    /// The bytes of a line, where output may be given up.
    bytes: BTreeMap<String, usize>,
}

impl Expected {
    fn of_sequence(lines: Vec<Line>, is_ordered: bool) -> Expected {
        let mut expected = Expected::default();
        for Line { text, key, bytes } in lines {
            if is_ordered {
                expected.order.entry(key).or_default().push(text.clone());
            }
            expected.bytes.insert(text.clone(), bytes);
            let (least, most) = expected.lines.entry(text).or_default();
            (*least, *most) = (*least + 1, *most + 1);
        }
        expected
    }

    /// How often each line was found, with composites taken apart.
    fn count(&self, ledger: &Ledger) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in &ledger.lines {
            let parts = self.composites.get(&line.text);
            let parts = parts.map_or(std::slice::from_ref(&line.text), Vec::as_slice);
            parts.iter().for_each(|part| *counts.entry(part.clone()).or_default() += 1);
        }
        counts
    }

    /// The lines that are missing, and how many bytes they are, which may have been given up.
    fn lost(&self, counts: &BTreeMap<String, usize>) -> Option<(&str, usize)> {
        let missing = |(line, (least, _)): (&String, &(usize, usize))| {
            least.saturating_sub(counts.get(line).copied().unwrap_or_default())
        };
        let lost = self.lines.iter().filter(|entry| missing(*entry) > 0);
        let bytes = |entry: (&String, _)| self.bytes.get(entry.0).copied().unwrap_or(1);
        let total = lost.clone().map(|entry| missing(entry) * bytes(entry)).sum();
        lost.map(|(line, _)| (line.as_str(), total)).next()
    }
}

fn expected(scenario: &Scenario, sink: usize, coverage: &Coverage) -> Expected {
    let sink = &scenario.sinks[sink];
    let branch = &scenario.branches[sink.branch];
    if let Some(whole) = branch.whole {
        return whole::expected(scenario, branch, whole);
    }
    match branch.in_sequence {
        true => sequence::expected(scenario, branch, sink, coverage),
        false => sets::expected(scenario, branch),
    }
}

fn whole_of(scenario: &Scenario, sink: usize) -> Option<Whole> {
    scenario.branches[scenario.sinks[sink].branch].whole
}

/// Something that has not arrived yet and was not given up.
pub fn missing(scenario: &Scenario, sink: usize, target: &Target, given_up: u64) -> Option<String> {
    let coverage = Coverage::default();
    let ledger = Ledger::read(target, whole_of(scenario, sink), &coverage).ok()?;
    let expected = expected(scenario, sink, &coverage);
    let counts = expected.count(&ledger);
    let (line, bytes) = expected.lost(&counts)?;
    (bytes as u64 > given_up).then(|| format!("{} lacks `{line}`", target.name))
}

/// Compares the ledger of a sink with what must stand there.
///
/// # Errors
/// What is wrong.
pub fn check(
    scenario: &Scenario,
    sink: usize,
    target: &Target,
    (disturbed, given_up): (bool, u64),
    coverage: &Coverage,
) -> Result<(), String> {
    let ledger = Ledger::read(target, whole_of(scenario, sink), coverage)?;
    let expected = expected(scenario, sink, coverage);
    let counts = expected.count(&ledger);
    let Accepted { repeats, gaps } = target.accepted();
    if let Some((line, bytes)) = expected.lost(&counts)
        && bytes as u64 > given_up
        && !gaps
    {
        return Err(format!("`{line}` is missing; {bytes} bytes are, and {given_up} were given up"));
    }
    if given_up > 0 && !gaps && !scenario.sinks[sink].buffer.is_lossy() {
        return Err(format!("{given_up} bytes were given up, and none may be"));
    }
    let may_repeat = match target.exactly_once {
        true => repeats,
        false => disturbed || target.resent() > 0,
    };
    for (line, count) in &counts {
        match expected.lines.get(line) {
            None => return Err(format!("`{line}` should not be there")),
            Some((_, most)) if count > most && !may_repeat => {
                return Err(format!("`{line}` stands there {count} times, not {most}"));
            }
            Some(_) => {}
        }
    }
    // What was left out may be made again behind what came later.
    if repeats && gaps { Ok(()) } else { check_order(&expected, &ledger) }
}

/// Lines of a key stand in their order where they stand for the first time.
fn check_order(expected: &Expected, ledger: &Ledger) -> Result<(), String> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut found: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for line in &ledger.lines {
        if seen.insert(&line.text) {
            found.entry(line.key).or_default().push(&line.text);
        }
    }
    for (key, order) in &expected.order {
        let mut rest = order.iter();
        for line in found.get(key).into_iter().flatten() {
            if !rest.any(|next| next == line) {
                return Err(format!("`{line}` does not stand in its place among those of key {key}"));
            }
        }
    }
    Ok(())
}
