//! The nodes that keep something by key, against plain searches through all events.

mod harness;
mod silence;

use super::changed::{ChangedPlan, Watched};
use super::deadband::Deadband;
use super::debounce::DebouncePlan;
use super::hysteresis::{HysteresisPlan, Side};
use super::sample::SamplePlan;
use super::spacing::SpacingPlan;
use super::threshold::{Direction, Threshold};
use super::throttle::LastPlan;
use crate::config::StateTtl;
use crate::dataflow::StepPlan;
use crate::event::Span;
use crate::expr::{Literal, Type};
use crate::time::Millis;
use harness::{CONDITION, Event, KEY, Log, Restarts, Val, WRITTEN, X, events, run, run_with};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

/// The plan puts out the same however its events are cut into batches.
fn same_by_all_cuts(
    plan: &dyn StepPlan,
    emits: bool,
    events: &[Event],
    cuts: u64,
) -> Result<Log, TestCaseError> {
    let whole = run(plan, emits, events, |_| false);
    prop_assert_eq!(&run(plan, emits, events, |_| true), &whole);
    prop_assert_eq!(&run(plan, emits, events, |i| cuts >> (i % 64) & 1 == 1), &whole);
    same_behind_restarts(plan, emits, events, &whole, cuts)?;
    Ok(whole)
}

/// The plan puts out the same though its operator ends and another goes on. Events of different keys that leave at the
/// same time may do so in another order.
fn same_behind_restarts(
    plan: &dyn StepPlan,
    emits: bool,
    events: &[Event],
    whole: &Log,
    seed: u64,
) -> Result<(), TestCaseError> {
    if plan.state().is_none() {
        return Ok(());
    }
    let restarts = Some(Restarts::seeded(seed));
    let log = run_with(plan, emits, events, |i| seed >> (i % 64) & 1 == 1, restarts);
    let sorted = |log: &Log| {
        let mut entries = log.entries.clone();
        entries.sort();
        entries
    };
    prop_assert_eq!(sorted(&log), sorted(whole));
    for key in 0..3 {
        let of_key =
            |log: &Log| -> Vec<usize> { log.ids().into_iter().filter(|id| events[*id].key == key).collect() };
        prop_assert_eq!(of_key(&log), of_key(whole));
    }
    prop_assert_eq!((&log.rejected, log.dropped), (&whole.rejected, whole.dropped));
    Ok(())
}

/// The numbers of the events of each key, as they came.
fn by_key(events: &[Event]) -> impl Iterator<Item = Vec<(usize, &Event)>> {
    (0..3).map(|key| events.iter().enumerate().filter(|(_, event)| event.key == key).collect())
}

fn sorted(mut ids: Vec<usize>) -> Vec<usize> {
    ids.sort_unstable();
    ids
}

/// An event passes if none that passed is close, unless that was forgotten: it is remembered until the watermark is `length`
/// past both it and the watermark that it met.
fn spaced(events: &[Event], length: i64) -> Vec<usize> {
    let mut ids = Vec::new();
    for events in by_key(events) {
        let mut passed: Vec<&Event> = Vec::new();
        for (id, event) in events {
            let is_known = |other: &&&Event| event.watermark < other.time.max(other.watermark) + length;
            if !passed.iter().filter(is_known).any(|other| (event.time - other.time).abs() < length) {
                passed.push(event);
                ids.push(id);
            }
        }
    }
    sorted(ids)
}

/// Each event begins a span, or belongs to one that is known: that it lies in, or else that begins soon after it.
fn last_of_spans(events: &[Event], length: i64) -> Vec<usize> {
    let mut ids = Vec::new();
    for events in by_key(events) {
        let mut spans: Vec<(&Event, Vec<(i64, usize)>)> = Vec::new();
        for (id, event) in events {
            let is_known = |start: &Event| event.watermark < start.time.max(start.watermark) + length;
            let near = |after: std::ops::Range<i64>| {
                spans
                    .iter()
                    .position(|(start, _)| is_known(start) && after.contains(&(event.time - start.time)))
            };
            match near(0..length).or_else(|| near(1 - length..0)) {
                Some(span) => spans[span].1.push((event.time, id)),
                None => spans.push((event, vec![(event.time, id)])),
            }
        }
        ids.extend(spans.iter().filter_map(|(_, members)| Some(members.iter().max()?.1)));
    }
    sorted(ids)
}

/// Each value is compared with that of the last event that passed before it.
fn moved(events: &[Event], deadband: Deadband, at_least_every: Option<i64>) -> Vec<usize> {
    let mut ids = Vec::new();
    for events in by_key(events) {
        let mut last: Option<&Event> = None;
        for (id, event) in events {
            let passes = last.is_none_or(|last| {
                let differs = match (last.x.number(), event.x.number()) {
                    (Some(from), Some(to)) => match deadband {
                        Deadband::None => from != to,
                        Deadband::Absolute(band) => (from - to).abs() > band,
                        Deadband::Relative(part) => (from - to).abs() > part * from.abs(),
                    },
                    _ => last.x != event.x,
                };
                let is_due = at_least_every.is_some_and(|span| {
                    event.time >= last.time + span || event.watermark >= last.time.max(last.watermark) + span
                });
                differs || is_due
            });
            if passes {
                last = Some(event);
                ids.push(id);
            }
        }
    }
    sorted(ids)
}

/// Whether a value is on a side, how many times, how long.
type Rule = (Direction, f64, usize, i64);

/// After each event, whether the events since the last change end in a run that is long enough in both ways.
fn alarms(events: &[Event], raise: Rule, clear: Rule) -> Vec<(usize, bool)> {
    let mut changes = Vec::new();
    for events in by_key(events) {
        let (mut raised, mut since) = (false, Vec::<(i64, f64)>::new());
        for (id, event) in events {
            let Some(x) = event.x.number() else { continue };
            since.push((event.time, x));
            let (direction, limit, times, lasting) = if raised { clear } else { raise };
            let holds = |x: f64| if direction == Direction::Above { x > limit } else { x < limit };
            let run = since.iter().rev().take_while(|(_, x)| holds(*x)).count();
            let first = since.len() - run;
            if run > 0 && run >= times && event.time >= since[first].0 + lasting {
                raised = !raised;
                changes.push((id, raised));
                since.clear();
            }
        }
    }
    changes.sort_unstable();
    changes
}

/// Spells are cut at contrary events; the first of each leaves if something shows in time that it lasted.
fn lasting_spells(events: &[Event], length: i64) -> Vec<usize> {
    let mut ids = Vec::new();
    for events in by_key(events) {
        let known: Vec<(usize, &Event)> = events.into_iter().filter(|(_, e)| e.condition.is_some()).collect();
        for spell in known.split_inclusive(|(_, event)| event.condition == Some(false)) {
            let (id, first) = spell[0];
            let is_ended = spell[spell.len() - 1].1.condition == Some(false);
            let is_shown = |event: &Event| {
                event.time >= first.time + length
                    || event.watermark >= first.time.max(first.watermark) + length
            };
            if first.condition == Some(true)
                && (!is_ended || spell[1..].iter().any(|(_, event)| is_shown(event)))
            {
                ids.push(id);
            }
        }
    }
    sorted(ids)
}

fn side((direction, limit, times, lasting): Rule) -> Side {
    let threshold = Threshold::constant(direction, Some(&Literal::Float(limit))).expect("a number");
    Side { threshold, times: times as u32, lasting: Millis(lasting) }
}

fn deadband() -> impl Strategy<Value = Deadband> {
    prop_oneof![
        Just(Deadband::None),
        (0..6i64).prop_map(|halves| Deadband::Absolute(halves as f64 / 2.0)),
        prop::sample::select(vec![0.25, 0.5, 1.0]).prop_map(Deadband::Relative),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn spacing_equals_a_search((events, length, cuts) in (events(), 1..25i64, any::<u64>())) {
        let plan =
            SpacingPlan { text: String::new(), names: String::new(), key: vec![KEY], length: Millis(length), reason: "duplicate" };
        let log = same_by_all_cuts(&plan, false, &events, cuts)?;
        prop_assert_eq!(log.ids(), spaced(&events, length));
    }

    #[test]
    fn the_last_of_each_span_equals_a_search((events, length, cuts) in (events(), 1..25i64, any::<u64>())) {
        let plan = LastPlan { text: String::new(), names: String::new(), key: vec![KEY], length: Millis(length) };
        let log = same_by_all_cuts(&plan, true, &events, cuts)?;
        prop_assert_eq!(log.sorted_ids(), last_of_spans(&events, length));
    }

    #[test]
    fn what_changed_equals_a_search(
        (events, deadband, every, cuts) in (events(), deadband(), prop::option::of(1..30i64), any::<u64>()),
    ) {
        let plan = ChangedPlan {
            text: String::new(),
            names: String::new(),
            key: vec![KEY],
            fields: vec![Watched { name: String::new(), slot: X, ty: Type::ANY, deadband }],
            at_least_every: every.map(Millis),
            ttl: StateTtl::default(),
        };
        let log = same_by_all_cuts(&plan, false, &events, cuts)?;
        prop_assert_eq!(log.ids(), moved(&events, deadband, every));
    }

    #[test]
    fn alarms_equal_a_search(
        events in events(), high in 3..7i64, gap in 0..4i64, is_above in any::<bool>(),
        times in (1..4usize, 1..4usize), lasting in (0..12i64, 0..12i64), cuts in any::<u64>(),
    ) {
        let (low, high) = ((high - gap) as f64, high as f64);
        let (up, down) = ((Direction::Above, high), (Direction::Below, low));
        let (raise, clear) = if is_above { (up, down) } else { (down, up) };
        let raise = (raise.0, raise.1, times.0, lasting.0);
        let clear = (clear.0, clear.1, times.1, lasting.1);
        let plan = HysteresisPlan {
            by: String::new(),
            names: String::new(),
            key: vec![KEY],
            value: (X, String::new()),
            raise: side(raise),
            clear: side(clear),
            slot: WRITTEN,
            words: [Span::new(0, 7), Span::new(7, 6)],
            ttl: StateTtl::default(),
        };
        let log = same_by_all_cuts(&plan, false, &events, cuts)?;
        let changes: Vec<(usize, bool)> =
            log.entries.iter().map(|entry| (entry.id, entry.written == "raised")).collect();
        prop_assert_eq!(changes, alarms(&events, raise, clear));
        let texts = |(_, event): &(usize, &Event)| matches!(event.x, Val::Text(_));
        prop_assert_eq!(log.rejected.len(), events.iter().enumerate().filter(texts).count());
    }

    #[test]
    fn lasting_spells_equal_a_search((events, length, cuts) in (events(), 1..25i64, any::<u64>())) {
        let plan = DebouncePlan {
            text: String::new(),
            shape: String::new(),
            key: vec![KEY],
            condition: CONDITION,
            lasting: Millis(length),
            ttl: StateTtl::default(),
        };
        let log = same_by_all_cuts(&plan, true, &events, cuts)?;
        prop_assert_eq!(log.sorted_ids(), lasting_spells(&events, length));
    }

    #[test]
    fn samples_do_not_depend_on_batches((events, cuts) in (events(), any::<u64>())) {
        for key in [None, Some(vec![KEY])] {
            same_by_all_cuts(&SamplePlan { fraction: 0.5, key, by: String::new() }, false, &events, cuts)?;
        }
    }
}

#[test]
fn samples_are_as_large_as_they_should_be() -> TestCaseResult {
    let event = |time| Event { watermark: 0, time, key: 0, x: Val::Int(time), condition: None };
    let events: Vec<Event> = (0..20_000).map(event).collect();
    for key in [None, Some(vec![X])] {
        let log = run(&SamplePlan { fraction: 0.1, key, by: String::new() }, false, &events, |_| false);
        // Five standard deviations of a binomial distribution.
        prop_assert!((1_788..=2_212).contains(&log.entries.len()), "{}", log.entries.len());
    }
    Ok(())
}
