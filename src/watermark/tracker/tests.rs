use super::*;
use crate::time::{Clock, VirtualClock};
use proptest::prelude::*;

const A: Partition = Partition(0);
const B: Partition = Partition(1);

fn events(out_of_order: i64) -> Progress {
    Progress::Events { out_of_order: Millis(out_of_order) }
}

fn bounded(out_of_order: i64, partitions: u32) -> WatermarkTracker {
    WatermarkTracker::new(events(out_of_order), None, partitions)
}

/// A live tracker and its clock at 1,000,000.
fn live(partitions: u32, live: Liveness) -> (WatermarkTracker, VirtualClock) {
    let clock = VirtualClock::new(Timestamp(1_000_000));
    let mut tracker = WatermarkTracker::new(events(10), Some(live), partitions);
    tracker.tick(clock.read());
    (tracker, clock)
}

fn see(tracker: &mut WatermarkTracker, partition: Partition, time: i64) -> i64 {
    tracker.observe(partition, Timestamp(time)).unwrap();
    tracker.watermark().0
}

fn see_key(tracker: &mut WatermarkTracker, key: &str, time: i64) -> i64 {
    tracker.observe_key(A, key.as_bytes(), Timestamp(time)).unwrap();
    tracker.watermark().0
}

/// Polls the partitions every half second and finds nothing.
fn quiet(tracker: &mut WatermarkTracker, clock: &VirtualClock, partitions: &[Partition], seconds: i64) {
    for _ in 0..=2 * seconds {
        partitions.iter().for_each(|p| tracker.caught_up(*p, clock.read()));
        clock.advance(Millis(500));
    }
    clock.advance(Millis(-500));
}

#[test]
fn follows_the_highest_of_one_partition() {
    let mut tracker = bounded(5, 1);
    assert_eq!(tracker.watermark(), Timestamp::MIN);
    assert_eq!(see(&mut tracker, A, 100), 95);
    assert_eq!(see(&mut tracker, A, 90), 95);
    assert_eq!(see(&mut tracker, A, -3), 95);
    assert_eq!(see(&mut tracker, A, 101), 96);
    tracker.close(A);
    assert_eq!(tracker.watermark(), Timestamp::MAX);
    assert!(!tracker.is_idle());
}

#[test]
fn is_the_minimum_over_partitions() {
    let mut tracker = bounded(0, 2);
    assert_eq!(see(&mut tracker, A, 100), i64::MIN, "an unread partition holds the watermark");
    assert_eq!(see(&mut tracker, B, 40), 40);
    assert_eq!(see(&mut tracker, B, 170), 100);
    tracker.close(A);
    assert_eq!(tracker.watermark(), Timestamp(170));
    tracker.close(B);
    assert_eq!(tracker.watermark(), Timestamp::MAX);
}

#[test]
fn bounded_input_knows_neither_clock_nor_idleness() {
    let clock = VirtualClock::new(Timestamp(0));
    let mut tracker = bounded(0, 1);
    tracker.tick(clock.read());
    assert_eq!(see(&mut tracker, A, 1_000_000_000), 1_000_000_000);
    quiet(&mut tracker, &clock, &[A], 600);
    assert_eq!(tracker.watermark(), Timestamp(1_000_000_000));
    assert!(!tracker.is_idle());
}

#[test]
fn complete_waits_for_the_end() {
    let mut tracker = WatermarkTracker::new(Progress::Explicit, None, 2);
    assert_eq!(see(&mut tracker, A, 100), i64::MIN);
    assert_eq!(see(&mut tracker, B, 100), i64::MIN);
    tracker.close(A);
    assert_eq!(tracker.watermark(), Timestamp::MIN);
    tracker.advance_to(Timestamp(60));
    tracker.advance_to(Timestamp(50));
    assert_eq!(tracker.watermark(), Timestamp(60));
    tracker.close(B);
    assert_eq!(tracker.watermark(), Timestamp::MAX);
}

#[test]
fn keys_are_merged_by_minimum() {
    let mut tracker = bounded(0, 1);
    assert_eq!(see_key(&mut tracker, "a", 100), 100);
    assert_eq!(see_key(&mut tracker, "b", 50), 100, "never goes back");
    assert_eq!(see_key(&mut tracker, "a", 200), 100, "b holds it");
    assert_eq!(see_key(&mut tracker, "b", 150), 150);
    assert_eq!(see_key(&mut tracker, "b", 250), 200);
    tracker.close(A);
    assert_eq!(tracker.watermark(), Timestamp::MAX);
}

#[test]
fn the_same_key_in_two_partitions_is_two() {
    let mut tracker = bounded(0, 2);
    tracker.observe_key(A, b"k", Timestamp(100)).unwrap();
    assert_eq!(tracker.watermark(), Timestamp::MIN, "the other partition holds it");
    tracker.observe_key(B, b"k", Timestamp(30)).unwrap();
    assert_eq!(tracker.watermark(), Timestamp(30));
}

#[test]
fn an_idle_partition_lets_go() {
    let (mut tracker, clock) = live(2, Liveness::default());
    see(&mut tracker, A, 1_000_000);
    assert_eq!(see(&mut tracker, B, 900_000), 899_990);
    quiet(&mut tracker, &clock, &[A, B], 30);
    see(&mut tracker, A, 1_030_000);
    quiet(&mut tracker, &clock, &[A, B], 29);
    assert_eq!(tracker.watermark(), Timestamp(899_990));
    clock.advance(Millis(1_000));
    tracker.caught_up(B, clock.read());
    assert_eq!(tracker.watermark(), Timestamp(1_029_990), "B is idle after 60 s, A is not");
    assert!(!tracker.is_idle());
    see(&mut tracker, B, 950_000);
    assert_eq!(see(&mut tracker, A, 1_060_000), 1_029_990, "B is back and holds it");
}

#[test]
fn when_all_are_idle_the_clock_goes_on() {
    let (mut tracker, clock) = live(2, Liveness::default());
    see(&mut tracker, A, 1_000_000);
    see(&mut tracker, B, 990_000);
    quiet(&mut tracker, &clock, &[A, B], 59);
    assert_eq!(tracker.watermark(), Timestamp(989_990));
    quiet(&mut tracker, &clock, &[A, B], 1);
    assert!(tracker.is_idle());
    assert_eq!(tracker.watermark(), Timestamp(1_000_000 + 60_000 - 10));
    clock.advance(Millis(700));
    tracker.caught_up(A, clock.read());
    assert_eq!(tracker.watermark(), Timestamp(1_059_990), "B may have had something meanwhile");
    tracker.caught_up(B, clock.read());
    assert_eq!(tracker.watermark(), Timestamp(1_060_690));
    clock.set(Timestamp(0));
    tracker.caught_up(A, clock.read());
    assert_eq!(tracker.watermark(), Timestamp(1_060_690), "the time of day has no say");
}

#[test]
fn or_it_holds() {
    let hold = Liveness { when_all_idle: WhenAllIdle::Hold, ..Liveness::default() };
    let (mut tracker, clock) = live(1, hold);
    see(&mut tracker, A, 1_000_000);
    quiet(&mut tracker, &clock, &[A], 600);
    assert_eq!(tracker.watermark(), Timestamp(999_990));
    assert!(tracker.is_idle());
}

#[test]
fn without_any_event_nothing_moves() {
    let (mut tracker, clock) = live(1, Liveness::default());
    quiet(&mut tracker, &clock, &[A], 600);
    assert_eq!(tracker.watermark(), Timestamp::MIN);
}

#[test]
fn idle_time_does_not_run_while_busy() {
    let (mut tracker, clock) = live(1, Liveness::default());
    see(&mut tracker, A, 1_000_000);
    for _ in 0..100 {
        tracker.caught_up(A, clock.read());
        tracker.behind(A);
        clock.advance(Millis(1_000));
    }
    assert_eq!(tracker.watermark(), Timestamp(999_990), "never known to be empty for a while");
    tracker.caught_up(A, clock.read());
    clock.advance(Millis(3_600_000));
    tracker.caught_up(A, clock.read());
    assert_eq!(tracker.watermark(), Timestamp(999_990), "the process stood still for an hour");
}

#[test]
fn a_silent_key_is_idle_while_others_are_not() {
    let (mut tracker, clock) = live(1, Liveness::default());
    see_key(&mut tracker, "dead", 900_000);
    for second in 0..70 {
        see_key(&mut tracker, "alive", 1_000_000 + second * 1_000);
        tracker.caught_up(A, clock.read());
        clock.advance(Millis(1_000));
    }
    assert_eq!(tracker.watermark(), Timestamp(1_068_990));
}

#[test]
fn events_too_far_ahead_are_rejected() {
    let (mut tracker, clock) = live(1, Liveness::default());
    see(&mut tracker, A, 1_000_000);
    let reason = tracker.observe(A, Timestamp(1_300_001)).unwrap_err();
    assert_eq!(reason.kind, RejectKind::Time);
    assert_eq!(reason.text, "the event time is 300001ms beyond the clock, more than max_ahead (5m)");
    assert!(tracker.observe_key(A, b"k", Timestamp(i64::MAX)).is_err());
    assert_eq!(see(&mut tracker, A, 999_999), 999_990, "it has moved nothing");
    assert_eq!(see(&mut tracker, A, 1_300_000), 1_299_990);
    clock.set_synchronised(false);
    tracker.tick(clock.read());
    assert_eq!(see(&mut tracker, A, 9_000_000), 8_999_990, "a board without a clock battery");
}

#[test]
fn ingestion_time_follows_the_clock_but_never_back() {
    let clock = VirtualClock::new(Timestamp(1_000));
    let mut tracker = WatermarkTracker::new(Progress::Clock, Some(Liveness::default()), 1);
    tracker.tick(clock.read());
    assert_eq!((tracker.watermark(), tracker.ingestion_time()), (Timestamp(1_000), Timestamp(1_000)));
    clock.set(Timestamp(400));
    tracker.tick(clock.read());
    assert_eq!((tracker.watermark(), tracker.ingestion_time()), (Timestamp(1_000), Timestamp(1_000)));
    clock.set(Timestamp(2_000_000));
    tracker.caught_up(A, clock.read());
    clock.set(Timestamp(0));
    tracker.tick(clock.read());
    let time = tracker.ingestion_time();
    assert_eq!((tracker.watermark(), time), (Timestamp(2_000_000), Timestamp(2_000_000)));
    assert_eq!(tracker.observe(A, time), Ok(()), "max_ahead is about times that events bring along");
    quiet(&mut tracker, &clock, &[A], 600);
    assert!(!tracker.is_idle());
    clock.set(Timestamp(2_000));

    let mut tracker = WatermarkTracker::new(Progress::Explicit, None, 1);
    tracker.tick(clock.read());
    assert_eq!((tracker.watermark(), tracker.ingestion_time()), (Timestamp::MIN, Timestamp(2_000)));
}

#[test]
fn idle_keys_make_room() {
    let (mut tracker, clock) = live(1, Liveness::default());
    see_key(&mut tracker, "idle", 1_000_000);
    quiet(&mut tracker, &clock, &[A], 60);
    see_key(&mut tracker, "b", 1_060_000);
    see_key(&mut tracker, "c", 1_061_000);
    tracker.forget_idle_keys();
    assert_eq!(tracker.keys.len(), 2);
    assert_eq!(see_key(&mut tracker, "b", 1_062_000), 1_060_990, "c holds it");
    assert_eq!(see_key(&mut tracker, "c", 1_063_000), 1_061_990);
}

proptest! {
    /// Against the definition: the minimum over the highest of each key so far, never going back.
    #[test]
    fn equals_the_definition(seen in prop::collection::vec((0u8..6, 0u8..3, -50i64..50), 1..200)) {
        let mut tracker = bounded(7, 3);
        let mut highest = std::collections::BTreeMap::new();
        let mut expected = i64::MIN;
        for (key, partition, time) in seen {
            tracker.observe_key(Partition(partition.into()), &[key], Timestamp(time)).unwrap();
            let best = highest.entry((partition, key)).or_insert(i64::MIN);
            *best = time.max(*best);
            let partitions = highest.keys().map(|(p, _)| p).collect::<std::collections::BTreeSet<_>>();
            if partitions.len() == 3 {
                expected = expected.max(highest.values().min().unwrap() - 7);
            }
            prop_assert_eq!(tracker.watermark(), Timestamp(expected));
        }
    }
}

#[test]
fn partitions_turn_up_and_their_places_are_used_again() {
    let forever = Liveness { idle_after: Millis(i64::MAX / 2), ..Liveness::default() };
    let (mut tracker, _clock) = live(1, forever);
    tracker.stand_aside(A);
    assert!(tracker.is_idle(), "what has no events of its own holds nothing");
    tracker.add(B);
    assert!(!tracker.is_idle());
    assert_eq!(see(&mut tracker, B, 1000), 990);
    let c = Partition(2);
    tracker.observe_key(B, b"k", Timestamp(1500)).unwrap();
    tracker.add(c);
    assert_eq!(see(&mut tracker, B, 2000), 1490, "the new one holds, and the watermark never goes back");
    assert_eq!(see(&mut tracker, c, 1600), 1490, "the key is still the same");
    tracker.observe_key(B, b"k", Timestamp(3000)).unwrap();
    assert_eq!(tracker.watermark().0, 1590);
    tracker.close(B);
    tracker.add(B);
    assert_eq!(see(&mut tracker, c, 9000), 1590, "opened anew it holds until its first event");
    assert_eq!(see(&mut tracker, B, 5000), 4990);
}
