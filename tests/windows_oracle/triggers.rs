//! Windows with triggers: whatever fires when, in any order of arrival, however often processes end, nothing is lost and
//! nothing comes twice.

use crate::fleet::Fleet;
use crate::harness::{Entry, OWN, Pane, Step, Val, columns, plan, run, triggered};
use crate::{fixed, lateness, session, steps};
use headwater::time::Millis;
use headwater::windows::triggers::Trigger;
use headwater::windows::{Accumulation, FiringPlan, Gap, Grid, WindowKind, WindowPlan};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// More of the clock than an end that nobody saw coming may cost: times are multiples of that.
const GRAIN: i64 = 60_000;

/// Trees of triggers, some of which wait for times of the clock.
fn trees(clock: bool) -> impl Strategy<Value = Trigger> {
    let leaf = prop_oneof![
        3 => Just(Trigger::Watermark),
        4 => (1..5u64).prop_map(Trigger::Count),
        3 => (1..12i64).prop_map(|span| Trigger::EventTime(Millis(span))),
        3 => (1..9i64).prop_map(move |n| {
            if clock { Trigger::ProcessingTime(Millis(n * GRAIN)) } else { Trigger::Count(n as u64) }
        }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..4);
        let phase = || prop::option::of(inner.clone().prop_map(Box::new));
        prop_oneof![
            list().prop_map(Trigger::Any),
            list().prop_map(Trigger::All),
            list().prop_map(Trigger::Each),
            inner.clone().prop_map(|part| Trigger::Repeat(Box::new(part))),
            inner.clone().prop_map(|part| Trigger::Once(Box::new(part))),
            (inner.clone(), inner.clone()).prop_map(|(work, until)| {
                Trigger::Until { work: Box::new(work), until: Box::new(until) }
            }),
            (phase(), phase()).prop_map(|(early, late)| Trigger::Phases { early, late }),
        ]
    })
}

/// The same of those that close no window before its time.
fn lasting_trees() -> impl Strategy<Value = Trigger> {
    trees(false).prop_map(|tree| if tree.closes() { Trigger::Repeat(Box::new(tree)) } else { tree })
}

/// Numbers of workers.
fn numbers() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1), Just(2), Just(4)]
}

fn merging() -> impl Strategy<Value = WindowKind> {
    let bounded = (1..8i64, 1..30i64)
        .prop_map(|(gap, max)| WindowKind::Session { gap: Gap::Fixed(Millis(gap)), max: Some(Millis(max)) });
    prop_oneof![4 => session(), 1 => bounded, 1 => Just(WindowKind::Global)]
}

fn all_kinds() -> impl Strategy<Value = WindowKind> {
    prop_oneof![fixed(), merging()]
}

/// The same where keys have watermarks of their own, if that means something.
fn apart(plan: WindowPlan, apart: bool) -> WindowPlan {
    let own = (apart && plan.kind.follows_partitions()).then_some(OWN);
    WindowPlan { own, ..plan }
}

/// A pane as it was told.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    window: (u8, i64, i64),
    ids: Vec<usize>,
    index: i64,
    timing: String,
    last: bool,
    retracted: bool,
}

fn told(pane: &Pane) -> Told {
    let ids = pane.results[0].as_array().cloned().unwrap_or_default();
    let mut ids: Vec<usize> = ids.iter().filter_map(Value::as_u64).map(|id| id as usize).collect();
    ids.sort_unstable();
    Told {
        window: (pane.key, pane.start, pane.end),
        ids,
        index: pane.results[1].as_i64().expect("an index"),
        timing: pane.results[2].as_str().expect("a word").to_owned(),
        last: pane.results[3].as_bool().expect("a truth"),
        retracted: pane.results[4].as_bool().expect("a truth"),
    }
}

fn panes(entries: &[Entry]) -> Vec<Told> {
    let panes = entries.iter().filter_map(|entry| match entry {
        Entry::Pane(pane) => Some(told(pane)),
        _ => None,
    });
    panes.collect()
}

/// Those that were late, with where the window starts.
fn late(entries: &[Entry], steps: &[Step]) -> Vec<((u8, i64), usize)> {
    let late = entries.iter().filter_map(|entry| match entry {
        Entry::Late { id, start } => Some(((steps[*id].key, *start), *id)),
        _ => None,
    });
    late.collect()
}

/// What is left when all that was taken back is.
fn net(panes: &[Told]) -> Vec<Told> {
    let mut left: Vec<Told> = Vec::new();
    for pane in panes {
        if !pane.retracted {
            left.push(pane.clone());
            continue;
        }
        let shown = Told { retracted: false, ..pane.clone() };
        let at = left.iter().position(|other| *other == shown);
        left.swap_remove(at.unwrap_or_else(|| panic!("{pane:?} was not there to be taken back")));
    }
    left
}

/// The last pane of each window.
fn latest(panes: &[Told]) -> Vec<Told> {
    let mut last: BTreeMap<(u8, i64, i64), Told> = BTreeMap::new();
    panes.iter().for_each(|pane| _ = last.insert(pane.window, pane.clone()));
    last.into_values().collect()
}

type Contents = BTreeMap<(u8, i64), Vec<usize>>;

/// The numbers of events, by key and start of the window.
fn contents(panes: &[Told], late: &[((u8, i64), usize)]) -> Contents {
    let mut contents = Contents::new();
    for pane in panes {
        contents.entry((pane.window.0, pane.window.1)).or_default().extend(&pane.ids);
    }
    late.iter().for_each(|(window, id)| contents.entry(*window).or_default().push(*id));
    contents.values_mut().for_each(|ids| ids.sort_unstable());
    contents
}

/// All numbers by key.
fn by_key(contents: &Contents) -> BTreeMap<u8, Vec<usize>> {
    let mut keys: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    contents.iter().for_each(|((key, _), ids)| keys.entry(*key).or_default().extend(ids));
    keys.values_mut().for_each(|ids| ids.sort_unstable());
    keys
}

/// What windows that take everything have in the end.
fn oracle(kind: &WindowKind, steps: &[Step]) -> Contents {
    let mut plan = plan(kind.clone(), &["collect"], 1 << 40, Accumulation::Accumulating);
    plan.aggregates[0].call.slots = vec![crate::harness::ID];
    let entries = run(plan, steps, |_| true).entries;
    let mut windows: BTreeMap<(u8, i64, i64), Vec<usize>> = BTreeMap::new();
    for entry in &entries {
        if let Entry::Pane(pane) = entry {
            let ids = pane.results[0].as_array().cloned().unwrap_or_default();
            let ids = ids.iter().filter_map(Value::as_u64).map(|id| id as usize).collect();
            windows.insert((pane.key, pane.start, pane.end), ids);
        }
    }
    let mut contents = Contents::new();
    for ((key, start, _), ids) in windows {
        contents.entry((key, start)).or_default().extend(ids);
    }
    contents.values_mut().for_each(|ids| ids.sort_unstable());
    contents
}

/// What holds of the panes of any window, in order.
fn check_order(panes: &[Told]) {
    let mut windows: BTreeMap<(u8, i64, i64), Vec<&Told>> = BTreeMap::new();
    panes
        .iter()
        .filter(|pane| !pane.retracted)
        .for_each(|pane| windows.entry(pane.window).or_default().push(pane));
    for panes in windows.values() {
        let rank = |pane: &Told| ["early", "on_time", "late"].iter().position(|word| *word == pane.timing);
        assert!(panes.windows(2).all(|pair| rank(pair[0]) <= rank(pair[1])), "{panes:?}");
        assert!(panes.windows(2).all(|pair| pair[0].index < pair[1].index), "{panes:?}");
        assert!(panes.iter().filter(|pane| pane.timing == "on_time").count() <= 1, "{panes:?}");
        assert!(panes[..panes.len() - 1].iter().all(|pane| !pane.last), "{panes:?}");
    }
}

fn bit(bits: u64, index: usize) -> bool {
    bits >> (index % 64) & 1 == 1
}

/// Drives steps with ticks between, in batches cut where `cuts` says; saves and stops where `stops` says.
fn drive(plan: &WindowPlan, steps: &[Step], times: (u64, u64), stops: Option<u64>) -> (Vec<Entry>, Vec<i64>) {
    drive_on(&[1], plan, steps, times, stops)
}

/// The same on workers, of which each start has the next number.
fn drive_on(
    workers: &[usize],
    plan: &WindowPlan,
    steps: &[Step],
    (cuts, ticks): (u64, u64),
    stops: Option<u64>,
) -> (Vec<Entry>, Vec<i64>) {
    let mut numbers = workers.iter().cycle().copied();
    let mut before = numbers.next().unwrap_or(1);
    let mut fleet = Fleet::new(plan, before);
    let mut told: (Vec<Entry>, Vec<i64>) = Default::default();
    let mut take = |fleet: &mut Fleet| {
        let (entries, watermarks) = fleet.take();
        told.0.extend(entries);
        told.1.extend(watermarks);
    };
    for (id, step) in steps.iter().enumerate() {
        fleet.push(id, step);
        if bit(cuts | ticks, id) || id + 1 == steps.len() {
            fleet.drive(steps.get(id + 1).map_or(step.watermark, |next| next.watermark));
            if bit(ticks, id) {
                fleet.tick(id as i64 % 5 * GRAIN);
            }
            if stops.is_some_and(|stops| bit(stops, id)) {
                fleet.save();
                // Keys go on to other workers.
                take(&mut fleet);
                let now = numbers.next().unwrap_or(1);
                fleet.restart(now).expect("readable");
                assert!(fleet.save() == 0 || now != before, "what was loaded has not changed");
                before = now;
            }
        }
    }
    fleet.end();
    take(&mut fleet);
    told
}

fn unfiltered(mut steps: Vec<Step>) -> Vec<Step> {
    steps.retain(|step| !step.filtered);
    steps
}

/// Where keys have watermarks of their own, the clock finds them where these are, not where that of all is.
#[test]
fn the_clock_finds_a_key_where_it_is() {
    let kind = WindowKind::Tumbling { size: Millis(10), grid: Grid::default() };
    let clocked = Trigger::ProcessingTime(Millis(GRAIN));
    let plan = apart(triggered(kind, 90, Accumulation::Discarding, clocked), true);
    let step = |own, time| Step {
        watermark: 0,
        own,
        time,
        key: 0,
        x: Val::Null,
        condition: true,
        gap: 1,
        filtered: false,
    };
    for stops in [false, true] {
        let mut fleet = Fleet::new(&plan, 1);
        [step(0, 5), step(15, 16)].iter().enumerate().for_each(|(id, step)| fleet.push(id, step));
        fleet.drive(0);
        if stops {
            fleet.save();
            fleet.restart(1).expect("readable");
        }
        fleet.tick(2 * GRAIN);
        let found: Vec<(i64, String)> =
            panes(&fleet.take().0).into_iter().map(|pane| (pane.window.2, pane.timing)).collect();
        assert_eq!(found, [(10, "on_time".to_owned()), (20, "early".to_owned())]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// The plain trigger fires as windows do that have none.
    #[test]
    fn the_plain_trigger_changes_nothing(
        kind in all_kinds(), late in lateness(), discards in any::<bool>(), (steps, _) in steps(), cuts in any::<u64>(),
    ) {
        let accumulation = if discards { Accumulation::Discarding } else { Accumulation::Accumulating };
        let late = if matches!(kind, WindowKind::Global) { 0 } else { late };
        let plain = plan(kind.clone(), &["rows", "collect"], late, accumulation);
        let firing = Some(FiringPlan { trigger: Trigger::Watermark, emit_empty: false, fields: Vec::new() });
        let plan = WindowPlan { firing, ..plain.clone() };
        let [expected, found] = [plain, plan].map(|plan| run(plan, &steps, |i| bit(cuts, i)));
        prop_assert_eq!(found.entries, expected.entries);
        let places = !matches!(kind, WindowKind::Global | WindowKind::Session { .. });
        if places && steps.iter().all(|step| !step.filtered) {
            prop_assert_eq!(found.watermarks, expected.watermarks);
        }
    }

    /// Panes do not depend on batches.
    #[test]
    fn batches_do_not_show(
        kind in all_kinds(), late in lateness(), trigger in trees(false), (steps, _) in steps(), cuts in any::<u64>(),
        own in any::<bool>(),
    ) {
        let plan = || apart(triggered(kind.clone(), late, Accumulation::Retracting, trigger.clone()), own);
        let whole = run(plan(), &steps, |_| false);
        for log in [run(plan(), &steps, |_| true), run(plan(), &steps, |i| bit(cuts, i))] {
            prop_assert_eq!(&log.entries, &whole.entries);
        }
    }

    /// What panes hold, added up, and what was late is what came.
    #[test]
    fn windows_lose_nothing(
        kind in all_kinds(), late_by in lateness(), trigger in trees(true), (steps, _) in steps(),
        times in any::<(u64, u64)>(),
    ) {
        let steps = unfiltered(steps);
        let run = |accumulation| drive(&triggered(kind.clone(), late_by, accumulation, trigger.clone()), &steps, times, None);
        let (discarding, watermarks) = run(Accumulation::Discarding);
        let (accumulating, _) = run(Accumulation::Accumulating);
        let (retracting, _) = run(Accumulation::Retracting);
        let (parts, wholes, revised) = (panes(&discarding), panes(&accumulating), panes(&retracting));
        let shown: Vec<Told> = revised.iter().filter(|pane| !pane.retracted).cloned().collect();
        prop_assert_eq!(&shown, &wholes);
        let places = |panes: &[Told]| panes.iter().map(|p| (p.window, p.index, p.timing.clone())).collect::<Vec<_>>();
        prop_assert_eq!(places(&parts), places(&wholes));
        check_order(&wholes);
        let rows = discarding.iter().filter(|entry| matches!(entry, Entry::Pane(_) | Entry::Late { .. }));
        for (entry, watermark) in rows.zip(&watermarks) {
            if let Entry::Pane(pane) = entry && pane.results[2] == "on_time" {
                let never_late = pane.end > *watermark || matches!(kind, WindowKind::Global);
                prop_assert!(never_late, "{:?} behind {}", pane, watermark);
            }
        }
        let late = late(&discarding, &steps);
        let found = contents(&parts, &late);
        let left = contents(&net(&revised), &late);
        if matches!(kind, WindowKind::Session { .. } | WindowKind::Global) {
            let mut all: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
            steps.iter().enumerate().for_each(|(id, step)| all.entry(step.key).or_default().push(id));
            prop_assert_eq!(&by_key(&found), &all);
            prop_assert_eq!(&by_key(&left), &all);
        } else {
            let all = oracle(&kind, &steps);
            prop_assert_eq!(&found, &all);
            prop_assert_eq!(&left, &all);
            prop_assert_eq!(&contents(&latest(&wholes), &late), &all);
        }
    }

    /// A restart is not seen, deadlines of the clock included.
    #[test]
    fn a_restart_is_not_seen(
        kind in all_kinds(), late in lateness(), trigger in trees(true), (steps, _) in steps(),
        times in any::<(u64, u64)>(), stops in any::<u64>(), own in any::<bool>(),
    ) {
        let steps = unfiltered(steps);
        let plan = apart(triggered(kind, late, Accumulation::Retracting, trigger), own);
        prop_assert_eq!(columns(&plan), 8);
        let (expected, expected_watermarks) = drive(&plan, &steps, times, None);
        let (found, watermarks) = drive(&plan, &steps, times, Some(stops));
        prop_assert_eq!(found, expected);
        prop_assert_eq!(watermarks, expected_watermarks);
    }

    /// Nor is it seen how many workers there are, also where that changes from start to start.
    #[test]
    fn workers_do_not_show(
        kind in all_kinds(), late_by in lateness(), trigger in trees(true), (steps, _) in steps(),
        times in any::<(u64, u64)>(), stops in any::<u64>(), workers in prop::collection::vec(numbers(), 1..5),
        own in any::<bool>(),
    ) {
        let steps = unfiltered(steps);
        let plan = apart(triggered(kind, late_by, Accumulation::Retracting, trigger), own);
        let by_key = |entries: Vec<Entry>| {
            let mut keys: BTreeMap<u8, Vec<Told>> = BTreeMap::new();
            panes(&entries).into_iter().for_each(|pane| keys.entry(pane.window.0).or_default().push(pane));
            let mut late = late(&entries, &steps);
            late.sort_unstable();
            (keys, late)
        };
        let alone = by_key(drive(&plan, &steps, times, None).0);
        for (workers, stops) in [(&[2][..], None), (&[4], Some(stops)), (&workers, Some(stops))] {
            let found = by_key(drive_on(workers, &plan, &steps, times, stops).0);
            prop_assert_eq!(&found, &alone, "{:?}", workers);
        }
    }

    /// Once all windows are closed, nothing is kept of them, nor does the clock find any.
    #[test]
    fn nothing_stays_of_closed_windows(
        kind in all_kinds(), late in lateness(), trigger in trees(true), (steps, _) in steps(), cuts in any::<u64>(),
    ) {
        prop_assume!(!matches!(kind, WindowKind::Global));
        let mut fleet = Fleet::new(&triggered(kind, late, Accumulation::Retracting, trigger), 1);
        for (id, step) in steps.iter().enumerate() {
            fleet.push(id, step);
            if bit(cuts, id) || id + 1 == steps.len() {
                fleet.drive(steps.get(id + 1).map_or(step.watermark, |next| next.watermark));
                fleet.save();
            }
        }
        fleet.drive(100_000_000);
        fleet.take();
        fleet.tick(100 * GRAIN);
        prop_assert_eq!(fleet.take().0, []);
        fleet.save();
        prop_assert_eq!(fleet.keyed(), 0);
    }

    /// Triggers written by hand fire as those of the language do, restarts and merges included.
    #[test]
    fn custom_triggers_fire_as_the_same_of_the_language(
        kind in all_kinds(), late in lateness(), trigger in trees(true), (steps, _) in steps(),
        times in any::<(u64, u64)>(), stops in any::<u64>(), own in any::<bool>(),
    ) {
        let steps = unfiltered(steps);
        let plan = apart(triggered(kind.clone(), late, Accumulation::Retracting, trigger.clone()), own);
        let own = apart(triggered(kind, late, Accumulation::Retracting, crate::custom::written(&trigger)), own);
        let (expected, expected_watermarks) = drive(&plan, &steps, times, None);
        let (found, watermarks) = drive(&own, &steps, times, Some(stops));
        prop_assert_eq!(found, expected);
        prop_assert_eq!(watermarks, expected_watermarks);
    }

    /// Sessions that were cut by nothing are never shown in parts: a pane that is on time holds all that is near.
    #[test]
    fn sessions_never_show_unmerged_panes(gap in 1..8i64, trigger in lasting_trees(), (steps, _) in steps()) {
        // A session that is closed may lie beside another one: no trigger here closes any.
        let steps = unfiltered(steps);
        let kind = WindowKind::Session { gap: Gap::Fixed(Millis(gap)), max: None };
        let plan = triggered(kind, 0, Accumulation::Retracting, trigger);
        let entries = run(plan, &steps, |_| true).entries;
        let mut shown: Vec<Told> = Vec::new();
        for pane in panes(&entries) {
            if pane.retracted {
                shown.retain(|other| *other != Told { retracted: false, ..pane.clone() });
                continue;
            }
            let (key, start, end) = pane.window;
            let times: Vec<i64> = pane.ids.iter().map(|id| steps[*id].time).collect();
            prop_assert_eq!(times.iter().min(), Some(&start));
            prop_assert_eq!(times.iter().max().map(|last| last + gap), Some(end));
            // What had ended when the last of them came was gone.
            let came = pane.ids.iter().map(|id| steps[*id].watermark).max();
            let open = shown.iter().filter(|other| !other.last && Some(other.window.2) > came);
            let mut open = open.collect::<Vec<_>>().into_iter();
            let apart = open.all(|other| {
                other.window.0 != key || other.window.2 <= start || end <= other.window.1
            });
            prop_assert!(apart, "{:?} among {:?}", pane, shown);
            shown.push(pane);
        }
    }
}
