//! Windows that follow the watermarks of partitions, as a tracker tells them: partitions that fill in what they have kept,
//! and idle ones.

use crate::fixed;
use crate::fleet::Fleet;
use crate::harness::{Entry, OWN, Step, Val, plan};
use headwater::event::Slot;
use headwater::time::{Millis, Reading, Timestamp};
use headwater::watermark::{Liveness, Partition, Progress, WatermarkTracker, WhenAllIdle};
use headwater::windows::triggers::Trigger;
use headwater::windows::{Accumulation, FiringPlan, WindowKind};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a source.
#[derive(Clone, Debug)]
enum Event {
    /// A partition goes on by so much, or back, and gives an event behind that.
    Given { key: u8, step: i64, behind: i64, filtered: bool },
    /// Nothing comes for so long.
    Quiet(i64),
    /// A batch ends here.
    Cut,
    /// The process ends behind a checkpoint and comes back with so many workers.
    Restart(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let given = (0..3u8, prop_oneof![8 => 0..9i64, 1 => 30..80i64, 1 => -80..0i64], 0..12i64, 0..8u8);
    let given =
        given.prop_map(|(key, step, behind, out)| Event::Given { key, step, behind, filtered: out == 0 });
    let one = prop_oneof![
        12 => given,
        2 => (1..15i64).prop_map(Event::Quiet),
        3 => Just(Event::Cut),
        1 => (1..4usize).prop_map(Event::Restart),
    ];
    prop::collection::vec(one, 0..120)
}

/// A key by brute force: how far it is, and the windows that are open.
#[derive(Default)]
struct Key {
    reached: Option<i64>,
    open: BTreeMap<(i64, i64), BTreeSet<usize>>,
}

/// What should leave: panes as start, end and number of events, and late events with the start of their window.
#[derive(Default, Debug, PartialEq)]
struct Expected {
    panes: Vec<(u8, i64, i64, usize)>,
    late: Vec<(usize, i64)>,
}

impl Key {
    fn fire(&mut self, key: u8, until: i64, by_all: bool, into: &mut Expected) {
        let due: Vec<(i64, i64)> = self.open.keys().filter(|(_, end)| *end <= until).copied().collect();
        for window in due {
            let events = self.open.remove(&window).unwrap_or_default();
            into.panes.push((key, window.0, window.1, events.len()));
            if by_all {
                self.reached = self.reached.max(Some(window.1));
            }
        }
    }

    fn take(
        &mut self,
        key: u8,
        id: usize,
        (time, own): (i64, i64),
        windows: &[(i64, i64)],
        into: &mut Expected,
    ) {
        self.reached = self.reached.max(Some(own));
        let reached = self.reached.unwrap_or(i64::MIN);
        self.fire(key, reached, false, into);
        for &(start, end) in windows.iter().filter(|(start, end)| (*start..*end).contains(&time)) {
            match end <= reached {
                true => into.late.push((id, start)),
                false => _ = self.open.entry((start, end)).or_default().insert(id),
            }
        }
    }
}

/// All windows that might matter.
fn windows(kind: &WindowKind) -> Option<Vec<(i64, i64)>> {
    let (size, every, grid) = match kind {
        WindowKind::Tumbling { size, grid } => (size.0, size.0, grid),
        WindowKind::Sliding { size, every, grid } => (size.0, every.0, grid),
        _ => return None,
    };
    Some((-3_000..3_000).map(|n| (n * every + grid.offset.0, n * every + grid.offset.0 + size)).collect())
}

const OUT_OF_ORDER: Millis = Millis(5);

struct Play {
    tracker: WatermarkTracker,
    now: Reading,
    fleet: Fleet,
    keys: [Key; 3],
    expected: Expected,
    windows: Vec<(i64, i64)>,
    watermark: i64,
    at: [i64; 3],
    id: usize,
}

impl Play {
    fn new(kind: WindowKind, windows: Vec<(i64, i64)>, live: Liveness, triggered: bool) -> Play {
        let mut plan = plan(kind, &["rows"], 0, Accumulation::Discarding);
        let plain = FiringPlan { trigger: Trigger::Watermark, emit_empty: false, fields: Vec::new() };
        plan.firing = triggered.then_some(plain);
        plan.own = Some(OWN);
        assert_eq!(plan.key, [Slot(0)]);
        let mut fleet = Fleet::new(&plan, 1);
        fleet.ignore_outputs();
        let progress = Progress::Events { out_of_order: OUT_OF_ORDER };
        let now = Reading { wall: Timestamp(0), elapsed: Millis(0), synchronised: false };
        let mut tracker = WatermarkTracker::new(progress, Some(live), 1);
        tracker.tick(now);
        let (keys, at) = (Default::default(), [0; 3]);
        let expected = Expected::default();
        Play { tracker, now, fleet, keys, expected, windows, watermark: i64::MIN, at, id: 0 }
    }

    /// The watermark of all may have gone on.
    fn follow(&mut self) {
        let watermark = self.tracker.watermark().0;
        if watermark > self.watermark {
            self.watermark = watermark;
            let (keys, expected) = (&mut self.keys, &mut self.expected);
            (0..).zip(keys).for_each(|(number, key)| key.fire(number, watermark, true, expected));
        }
    }

    fn cut(&mut self) {
        self.fleet.drive(self.tracker.watermark().0);
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Given { key, step, behind, filtered } => {
                let at = &mut self.at[usize::from(key)];
                *at += step;
                let time = *at - behind;
                let watermark = self.tracker.watermark().0;
                let own = self.tracker.observe_key(Partition(0), &[key], Timestamp(time)).expect("taken").0;
                self.tracker.behind(Partition(0));
                let x = Val::Int(1);
                let step = Step { watermark, own, time, key, x, condition: true, gap: 1, filtered };
                self.fleet.push(self.id, &step);
                if !filtered {
                    self.keys[usize::from(key)].take(
                        key,
                        self.id,
                        (time, own),
                        &self.windows,
                        &mut self.expected,
                    );
                }
                self.id += 1;
                self.follow();
            }
            Event::Quiet(span) => {
                self.cut();
                for _ in 0..2 {
                    self.tracker.caught_up(Partition(0), self.now);
                    self.now.elapsed = Millis(self.now.elapsed.0 + span);
                    self.follow();
                }
                self.cut();
            }
            Event::Cut => self.cut(),
            Event::Restart(workers) => {
                self.cut();
                self.fleet.save();
                self.fleet.restart(workers).expect("readable");
            }
        }
    }

    fn end(mut self) -> (Expected, Expected) {
        self.cut();
        self.tracker.close(Partition(0));
        self.follow();
        self.fleet.end();
        let mut found = Expected::default();
        for entry in self.fleet.take().0 {
            match entry {
                Entry::Pane(pane) => {
                    let rows = pane.results[0].as_u64().expect("a count") as usize;
                    found.panes.push((pane.key, pane.start, pane.end, rows));
                }
                Entry::Late { id, start } => found.late.push((id, start)),
                // Between windows that start further apart than they are long.
                Entry::Discarded(_) | Entry::Rejected(_) => {}
            }
        }
        for side in [&mut self.expected, &mut found] {
            side.panes.sort_unstable();
            side.late.sort_unstable();
        }
        (self.expected, found)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn each_partition_is_followed(kind in fixed(), all in events(), [hold, triggered] in any::<[bool; 2]>()) {
        let Some(windows) = windows(&kind) else { return Ok(()) };
        let when_all_idle = if hold { WhenAllIdle::Hold } else { WhenAllIdle::Advance };
        let live = Liveness { idle_after: Millis(10), when_all_idle, max_ahead: Millis(1 << 40) };
        let mut play = Play::new(kind, windows, live, triggered);
        all.iter().for_each(|event| play.happen(event));
        let (expected, found) = play.end();
        prop_assert_eq!(found, expected);
    }
}
