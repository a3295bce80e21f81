//! Windows go on after a restart like ones that were never stopped.

use crate::fleet::Fleet;
use crate::harness::{Entry, OWN, Step, Val, plan};
use crate::{COURSE, accumulation, carry, counted, fixed, lateness, session, steps};
use headwater::time::Millis;
use headwater::windows::{Accumulation, Gap, WindowKind, WindowPlan};
use proptest::prelude::*;

/// Aggregates that the model does not know.
const SPREAD: &[&str] =
    &["stddev", "variance_where", "stddev_pop", "var_pop", "median", "approx_quantile", "avg_where", "corr"];

fn kinds() -> impl Strategy<Value = WindowKind> {
    let bounded = (1..8i64, 1..30i64).prop_map(|(gap, max)| {
        let gap = Gap::Fixed(Millis(gap));
        WindowKind::Session { gap, max: Some(Millis(max)) }
    });
    prop_oneof![4 => fixed(), 2 => session(), 2 => bounded, 1 => Just(WindowKind::Global), 2 => counted()]
}

fn plans() -> impl Strategy<Value = (WindowPlan, Vec<Step>)> {
    let all = (kinds(), lateness(), accumulation(), carry(), steps(), any::<[bool; 2]>());
    all.prop_map(|(kind, late, accumulation, carry, (steps, names), [spread, apart])| {
        let names = if spread && names.contains(&"avg") { SPREAD } else { names };
        let follows = names.iter().any(|name| COURSE.contains(name));
        let accumulation = if follows { Accumulation::Accumulating } else { accumulation };
        let own = (apart && kind.follows_partitions()).then_some(OWN);
        (WindowPlan { carry: Millis(carry), own, ..plan(kind, names, late, accumulation) }, steps)
    })
}

/// Of windows that time closes, with some events.
fn timed() -> impl Strategy<Value = (WindowPlan, Vec<Step>)> {
    plans().prop_filter("windows that end, and events", |(plan, steps)| {
        !matches!(plan.kind, WindowKind::Global | WindowKind::Count { .. }) && !steps.is_empty()
    })
}

fn bit(bits: u64, index: usize) -> bool {
    bits >> (index % 64) & 1 == 1
}

/// Drives steps in batches cut where `cuts` says, and calls behind each batch.
fn drive(fleet: &mut Fleet, steps: &[Step], cuts: u64, mut behind: impl FnMut(&mut Fleet, usize)) {
    for (id, step) in steps.iter().enumerate() {
        fleet.push(id, step);
        if bit(cuts, id) || id + 1 == steps.len() {
            fleet.drive(steps.get(id + 1).map_or(step.watermark, |next| next.watermark));
            behind(fleet, id);
        }
    }
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{entry:?}")).collect()
}

fn sorted(entries: &[Entry]) -> Vec<String> {
    let mut texts = texts(entries);
    texts.sort();
    texts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_is_not_seen(
        (plan, steps) in plans(), cuts in any::<u64>(), saves in any::<u64>(), stops in any::<u64>(),
    ) {
        let mut undisturbed = Fleet::new(&plan, 1);
        drive(&mut undisturbed, &steps, cuts, |_, _| ());
        undisturbed.end();
        let mut fleet = Fleet::new(&plan, 1);
        drive(&mut fleet, &steps, cuts, |fleet, id| {
            if bit(saves, id) {
                fleet.save();
                if bit(stops, id) {
                    fleet.restart(1).expect("readable");
                    assert_eq!(fleet.save(), 0, "what was loaded has not changed");
                }
            }
        });
        fleet.end();
        let ((expected, expected_watermarks), (entries, watermarks)) = (undisturbed.take(), fleet.take());
        prop_assert_eq!(texts(&entries), texts(&expected));
        if steps.iter().all(|step| !step.filtered) {
            prop_assert_eq!(watermarks, expected_watermarks);
        }
    }

    /// Keys that leave memory and come back are not seen either: not in the rows, their order, or their watermarks.
    #[test]
    fn keys_that_leave_memory_are_not_seen(
        (plan, steps) in plans(), cuts in any::<u64>(), saves in any::<u64>(), stops in any::<u64>(),
        room in prop_oneof![Just(0), 1..3000usize], workers in prop::collection::vec(1..3usize, 60),
    ) {
        let mut undisturbed = Fleet::new(&plan, 1);
        drive(&mut undisturbed, &steps, cuts, |_, _| ());
        undisturbed.end();
        let mut fleet = Fleet::with_room(&plan, 1, Some(room));
        let mut moved = false;
        drive(&mut fleet, &steps, cuts, |fleet, id| {
            if bit(saves, id) {
                fleet.save();
                if bit(stops & stops >> 7, id) {
                    let workers = if bit(stops, id + 40) { workers[id] } else { 1 };
                    moved |= workers > 1;
                    fleet.restart(workers).expect("readable");
                    assert!(moved || fleet.save() == 0, "what was loaded has not changed");
                }
            }
        });
        fleet.end();
        let ((expected, expected_watermarks), (entries, watermarks)) = (undisturbed.take(), fleet.take());
        if moved {
            prop_assert_eq!(sorted(&entries), sorted(&expected));
        } else {
            prop_assert_eq!(texts(&entries), texts(&expected));
            if steps.iter().all(|step| !step.filtered) {
                prop_assert_eq!(watermarks, expected_watermarks);
            }
        }
        fleet.save();
        undisturbed.save();
        // When what is carried is forgotten depends on what else fires on a worker.
        prop_assert!(moved || fleet.keyed() == undisturbed.keyed());
    }

    /// Keys find their way when the number of workers changes, however often.
    #[test]
    fn keys_move_to_other_workers(
        (plan, steps) in plans(), cuts in any::<u64>(), saves in any::<u64>(),
        workers in prop::collection::vec(1..4usize, 60),
    ) {
        let mut alone = Fleet::new(&plan, 1);
        drive(&mut alone, &steps, cuts, |_, _| ());
        alone.end();
        let mut fleet = Fleet::new(&plan, workers[0]);
        drive(&mut fleet, &steps, cuts, |fleet, id| {
            if bit(saves, id) {
                fleet.save();
                fleet.restart(workers[id]).expect("readable");
            }
        });
        fleet.end();
        prop_assert_eq!(sorted(&fleet.take().0), sorted(&alone.take().0));
    }

    /// A bounded run that follows on the state of another goes on from the last watermark, or from the end of the last window
    /// that fired: what is older is late, windows that take late events still have what they had.
    #[test]
    fn a_run_that_follows_goes_on_where_windows_have_fired(
        (plan, steps) in timed(), cuts in any::<u64>(), more in steps(), ahead in 0..40i64,
    ) {
        // What a partition's windows have fired does not say how far others are.
        let plan = WindowPlan { own: None, ..plan };
        let mut more = more.0;
        more.iter_mut().for_each(|step| (step.time, step.watermark) = (step.time + ahead, step.watermark + ahead));
        let mut fleet = Fleet::new(&plan, 1);
        fleet.ignore_outputs();
        drive(&mut fleet, &steps, cuts, |_, _| ());
        fleet.end();
        fleet.save();
        fleet.restart(1).expect("readable");
        let (mut entries, _) = fleet.take();
        let ends = entries.iter().filter_map(|entry| match entry {
            Entry::Pane(pane) => Some(pane.end),
            _ => None,
        });
        let reached = ends.chain(steps.last().map(|step| step.watermark)).max().unwrap_or(i64::MIN);
        drive(&mut fleet, &more, cuts, |_, _| ());
        fleet.end();
        entries.append(&mut fleet.take().0);

        let mut live = Fleet::new(&plan, 1);
        live.ignore_outputs();
        drive(&mut live, &steps, cuts, |_, _| ());
        live.drive(reached);
        drive(&mut live, &more, cuts, |_, _| ());
        live.end();
        prop_assert_eq!(texts(&entries), texts(&live.take().0));
    }

    /// What fires at the end of input is gone then.
    #[test]
    fn windows_without_end_begin_anew_behind_the_end_of_input(
        kind in prop_oneof![Just(WindowKind::Global), counted()], (steps, names) in steps(), (more, _) in steps(),
    ) {
        let plan = plan(kind, names, 0, Accumulation::Discarding);
        let alone = |steps: &[Step]| {
            let mut fleet = Fleet::new(&plan, 1);
            fleet.ignore_outputs();
            drive(&mut fleet, steps, u64::MAX, |_, _| ());
            fleet.end();
            texts(&fleet.take().0)
        };
        let mut fleet = Fleet::new(&plan, 1);
        fleet.ignore_outputs();
        for steps in [&steps, &more] {
            drive(&mut fleet, steps, u64::MAX, |_, _| ());
            fleet.end();
            fleet.save();
            prop_assert_eq!(fleet.keyed(), 0);
            fleet.restart(1).expect("readable");
            prop_assert_eq!(texts(&fleet.take().0), alone(steps));
        }
    }

    /// Once all windows are closed, nothing is kept but what is carried into those to come.
    #[test]
    fn nothing_stays_of_closed_windows((plan, steps) in plans(), cuts in any::<u64>()) {
        let mut fleet = Fleet::new(&plan, 1);
        drive(&mut fleet, &steps, cuts, |fleet, _| _ = fleet.save());
        let timeless = matches!(plan.kind, WindowKind::Global | WindowKind::Count { .. });
        if !timeless {
            let carries = plan.aggregates.iter().any(|aggregate| aggregate.spec.carries);
            fleet.drive(100_000_000);
            fleet.save();
            // Where keys follow partitions, how far they were brought is kept until these are as far.
            prop_assert!(carries || plan.own.is_some() || fleet.keyed() == 0);
        }
        fleet.end();
        fleet.save();
        prop_assert!(!timeless || fleet.keyed() == 0);
    }
}

/// A session that has grown since it was to be looked at is found to have time: that is not saved, nor found out again.
#[test]
fn what_was_looked_at_is_not_looked_at_again() {
    let kind = WindowKind::Session { gap: Gap::Fixed(Millis(10)), max: None };
    let plan = WindowPlan { carry: Millis::ZERO, ..plan(kind, &["delta"], 0, Accumulation::Accumulating) };
    let step = |key, time| Step {
        watermark: -1,
        own: -1,
        time,
        key,
        x: Val::Int(1),
        condition: true,
        gap: 1,
        filtered: false,
    };
    let mut fleet = Fleet::new(&plan, 1);
    [step(0, 0), step(0, 5), step(1, 1)].iter().enumerate().for_each(|(id, step)| fleet.push(id, step));
    fleet.drive(-1);
    fleet.save();
    fleet.drive(12);
    assert_eq!(fleet.take().0.len(), 1, "of the other key");
    fleet.save();
    assert_eq!(fleet.keyed(), 2, "the other key carries its value");
    fleet.restart(1).expect("readable");
    assert_eq!(fleet.save(), 0, "what was loaded has not changed");
}

proptest! {
    // Each case is some hundred restarts.
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Bytes that nobody wrote are refused or mean something; either way the operator goes on.
    #[test]
    fn bytes_that_are_wrong_are_no_reason_to_panic(
        (plan, steps) in plans(), flips in prop::collection::vec((any::<usize>(), any::<usize>(), 1..=255u8), 40),
        more in steps(),
    ) {
        let mut fleet = Fleet::new(&plan, 1);
        drive(&mut fleet, &steps, 0x1111_2222_4444_8888, |_, _| ());
        fleet.save();
        fleet.ignore_outputs();
        let store = fleet.store.clone();
        for (key, value) in &store {
            for cut in 0..value.len() {
                fleet.store = store.clone();
                fleet.store.insert(key.clone(), value[..cut].into());
                prop_assert!(fleet.restart(1).is_err(), "cut at {} of {}", cut, value.len());
            }
        }
        for (entry, at, by) in flips {
            let Some((key, value)) = store.iter().nth(entry % store.len().max(1)) else { break };
            let mut wrong = value.clone();
            let at = at % wrong.len();
            wrong[at] ^= by;
            fleet.store = store.clone();
            fleet.store.insert(key.clone(), wrong);
            if fleet.restart(1).is_ok() {
                fleet.save();
                drive(&mut fleet, &more.0, u64::MAX, |_, _| ());
            }
        }
    }
}
