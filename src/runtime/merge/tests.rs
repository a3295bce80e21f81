use super::lasting::MergeKeeper;
use super::*;
use crate::dataflow::{RowForm, Saved, Saving, own_worker};
use crate::event::BATCH_ROWS;
use crate::state::{KeyGroup, NodeId};
use crate::time::{Env, Millis, Random};
use proptest::prelude::*;
use std::collections::BTreeMap;

const ID: Slot = Slot(0);
const NAME: Slot = Slot(1);

/// A row as the tests see it: (input, number within the input), the watermark before it.
type Seen = ((i64, i64), i64);

fn batch_of(input: usize, rows: &[(i64, i64)], watermark: i64) -> (Batch, Vec<Row>) {
    let mut batch = Batch::new(2, b"const");
    let pushed = rows.iter().map(|&(number, before)| {
        let row = batch.push_row(Timestamp(number), Timestamp(before));
        batch.raw[row.index()] = batch.store(format!("{{\"name\":\"n{number}\"}}").as_bytes());
        batch.set(row, ID, Value::int(input as i64));
        let name = batch.store(format!("n{number}").as_bytes());
        batch.set(row, NAME, Value::text(name));
        row
    });
    let pushed = pushed.collect();
    batch.watermark = Timestamp(watermark);
    (batch, pushed)
}

fn merge(order: MergeOrder, inputs: usize) -> Merge {
    Merge::new(order, vec![vec![(ID, ID), (NAME, NAME)]; inputs], true)
}

fn push(merge: &mut Merge, input: usize, rows: &[(i64, i64)], watermark: i64) {
    let (batch, rows) = batch_of(input, rows, watermark);
    merge.push(input, batch, rows);
}

/// Drains everything that can leave, in batches of the size the merge makes, and checks what holds always.
fn drain(merge: &mut Merge, seen: &mut Vec<Seen>) -> Drained {
    let mut out = Batch::new(2, b"");
    loop {
        out.clear();
        let before = merge.watermark();
        let drained = merge.drain(&mut out);
        let mut last = before;
        for row in (0..out.len() as u32).map(Row) {
            let (time, watermark) = (out.times[row.index()].0, out.watermarks[row.index()]);
            assert!(watermark >= last);
            last = watermark;
            assert_eq!(out.text(out.get(row, NAME)), format!("n{time}"));
            assert_eq!(
                out.arena[out.raw[row.index()].range()],
                *format!("{{\"name\":\"n{time}\"}}").as_bytes()
            );
            seen.push(((out.get(row, ID).as_int().unwrap(), time), watermark.0));
        }
        assert!(out.watermark >= last);
        assert_eq!(out.watermark, merge.watermark());
        if drained != Drained::Full {
            return drained;
        }
    }
}

#[test]
fn the_lowest_watermark_goes_first() {
    let mut merge = merge(MergeOrder::Canonical, 2);
    let mut seen = vec![];
    push(&mut merge, 1, &[(1, i64::MIN), (2, 5), (3, 9)], 9);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!(seen, []);
    push(&mut merge, 0, &[(1, i64::MIN), (2, 7)], 8);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!(seen, [((0, 1), i64::MIN), ((1, 1), i64::MIN), ((1, 2), 5), ((0, 2), 7)]);
    assert_eq!(merge.watermark(), Timestamp(8));
    merge.advance(0, Timestamp(9));
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!(seen.len(), 4, "at the same watermark the lower number may still have a row");
    merge.advance(0, Timestamp(10));
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!(seen.last(), Some(&((1, 3), 9)));
    merge.close(1);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!(merge.watermark(), Timestamp(10));
    merge.close(0);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Ended);
    assert_eq!(merge.watermark(), Timestamp::MAX);
}

#[test]
fn rows_behind_the_last_watermark_leave_before_the_end() {
    let mut merge = merge(MergeOrder::Canonical, 2);
    let mut seen = vec![];
    merge.close(0);
    push(&mut merge, 1, &[(1, i64::MAX)], i64::MAX);
    merge.close(1);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Ended);
    assert_eq!(seen, [((1, 1), i64::MAX)]);
}

#[test]
fn a_full_batch_interrupts() {
    let mut merge = merge(MergeOrder::Canonical, 1);
    let rows: Vec<_> = (0..2 * BATCH_ROWS as i64 + 5).map(|n| (n, n - 1)).collect();
    push(&mut merge, 0, &rows, rows.len() as i64);
    let mut out = Batch::new(2, b"");
    assert_eq!(merge.drain(&mut out), Drained::Full);
    assert_eq!((out.len(), out.watermark), (BATCH_ROWS, Timestamp(BATCH_ROWS as i64 - 1)));
    let mut seen = vec![];
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!(seen.len(), BATCH_ROWS + 5);
}

#[test]
fn batches_come_back() {
    let mut merge = merge(MergeOrder::Canonical, 2);
    let rows: Vec<_> = (0..BATCH_ROWS as i64).map(|n| (n, 0)).collect();
    assert!(merge.reclaim().is_none());
    for _ in 0..8 {
        push(&mut merge, 1, &rows, 0);
    }
    merge.close(0);
    assert_eq!(drain(&mut merge, &mut vec![]), Drained::Waiting);
    let batch = merge.reclaim().unwrap();
    assert!(batch.is_empty());
    assert_eq!(batch.arena, b"const");
    push(&mut merge, 1, &[], 3);
    assert_eq!(merge.inputs[1].spent.len(), 8, "a batch without rows is spent at once");
}

#[test]
fn live_rows_leave_as_they_come() {
    let mut merge = merge(MergeOrder::Arrival, 2);
    let mut seen = vec![];
    push(&mut merge, 1, &[(1, 50), (2, 60)], 70);
    push(&mut merge, 0, &[(1, 10), (2, 20)], 30);
    push(&mut merge, 1, &[(3, 80)], 90);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!(seen, [((1, 1), 10), ((1, 2), 10), ((0, 1), 10), ((0, 2), 20), ((1, 3), 30)]);
    assert_eq!(merge.watermark(), Timestamp(30));
}

#[test]
fn an_idle_input_holds_nothing() {
    let mut merge = merge(MergeOrder::Arrival, 2);
    let mut seen = vec![];
    push(&mut merge, 0, &[(1, 5)], 10);
    merge.set_idle(1, true);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!((seen.pop(), merge.watermark()), (Some(((0, 1), 5)), Timestamp(10)));
    push(&mut merge, 1, &[(1, 3)], 4);
    push(&mut merge, 0, &[(2, 20)], 20);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!(seen, [((1, 1), 10), ((0, 2), 10)], "it never goes back");
    merge.set_idle(0, true);
    merge.advance(0, Timestamp(30));
    merge.set_idle(1, true);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Waiting);
    assert_eq!(merge.watermark(), Timestamp(30), "when all are idle the farthest speaks");
    merge.close(0);
    merge.close(1);
    assert_eq!(drain(&mut merge, &mut seen), Drained::Ended);
    assert_eq!(merge.watermark(), Timestamp::MAX);
}

#[test]
fn slots_are_mapped_and_others_are_null() {
    let mut merge = Merge::new(MergeOrder::Canonical, vec![vec![(NAME, Slot(2))]], false);
    push(&mut merge, 0, &[(7, 0)], 0);
    let mut out = Batch::new(3, b"");
    merge.drain(&mut out);
    assert!(out.get(Row(0), Slot(0)).is_null() && out.get(Row(0), Slot(1)).is_null());
    assert_eq!(out.text(out.get(Row(0), Slot(2))), "n7");
    assert_eq!(out.raw[0].len, 0);
}

#[test]
fn values_inside_the_raw_event_are_copied_once() {
    let mut batch = Batch::new(1, b"");
    let row = batch.push_row(Timestamp(0), Timestamp(0));
    let raw = batch.store(br#"{"a":"xyz"}"#);
    batch.raw[0] = raw;
    batch.set(row, ID, Value::text(Span { start: raw.start + 6, len: 3 }));
    let mut merge = Merge::new(MergeOrder::Canonical, vec![vec![(ID, ID)]], true);
    merge.push(0, batch, vec![row]);
    let mut out = Batch::new(1, b"c");
    merge.drain(&mut out);
    assert_eq!(out.arena, br#"c{"a":"xyz"}"#);
    assert_eq!(out.text(out.get(Row(0), ID)), "xyz");
}

/// The definition: of the rows that are next, always the one with the lowest (watermark, input).
fn canonical(inputs: &[Vec<i64>]) -> Vec<Seen> {
    let mut next = vec![0; inputs.len()];
    let mut order = vec![];
    loop {
        let heads = (0..inputs.len()).filter(|&i| next[i] < inputs[i].len());
        let Some(input) = heads.min_by_key(|&i| (inputs[i][next[i]], i)) else { return order };
        order.push(((input as i64, next[input] as i64), inputs[input][next[input]]));
        next[input] += 1;
    }
}

proptest! {
    /// However the inputs are cut into batches, interleaved, and told apart from their signals.
    #[test]
    fn canonical_order_depends_on_rows_alone(
        steps in prop::collection::vec(prop::collection::vec(0i64..4, 0..40), 1..5),
        script in prop::collection::vec((0usize..5, 0usize..7, 0u8..4), 0..200),
    ) {
        let inputs: Vec<Vec<i64>> = steps.iter().map(|steps| {
            steps.iter().scan(0, |w, step| { *w += step; Some(*w) }).collect()
        }).collect();
        let mut merge = merge(MergeOrder::Canonical, inputs.len());
        let mut next = vec![0; inputs.len()];
        let mut seen = vec![];
        let deliver = |merge: &mut Merge, next: &mut Vec<usize>, input: usize, count: usize, how: u8| {
            let all = &inputs[input];
            let upto = (next[input] + count).min(all.len());
            let rows: Vec<_> = (next[input]..upto).map(|n| (n as i64, all[n])).collect();
            next[input] = upto;
            // Behind the batch its watermark may be known exactly, or only that of the last row.
            let behind = if how < 2 { all.get(upto) } else { rows.last().map(|(_, w)| w) };
            let behind = behind.copied().unwrap_or(i64::MIN);
            push(merge, input, &rows, behind);
            if how == 3 && let Some(w) = all.get(upto) {
                merge.advance(input, Timestamp(*w));
            }
        };
        for (input, count, how) in script {
            let input = input % inputs.len();
            deliver(&mut merge, &mut next, input, count, how);
            if how > 0 {
                drain(&mut merge, &mut seen);
            }
        }
        for input in 0..inputs.len() {
            deliver(&mut merge, &mut next, input, usize::MAX / 2, 0);
            merge.advance(input, Timestamp::MAX);
            merge.close(input);
        }
        prop_assert_eq!(drain(&mut merge, &mut seen), Drained::Ended);
        prop_assert_eq!(seen, canonical(&inputs));
    }
}

/// What was saved, as a log of checkpoints would add it up.
#[derive(Clone, Default)]
struct Saves(BTreeMap<(KeyGroup, Vec<u8>), Box<[u8]>>);

impl Saves {
    fn take(&mut self, worker: usize, merge: &mut Merge, keeper: &mut MergeKeeper) -> usize {
        let env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
        let mut changes = Vec::new();
        merge.save(keeper, &mut Saving::new(NodeId(1), worker, &env, &mut changes));
        let count = changes.len();
        for change in changes {
            let key = (change.key.group(), change.key.key().to_vec());
            match change.value {
                Some(value) => _ = self.0.insert(key, value),
                None => assert!(self.0.remove(&key).is_some(), "what goes was there"),
            }
        }
        count
    }

    fn give(&self, worker: (usize, usize), moved: bool, merge: &mut Merge, keyed: bool) -> MergeKeeper {
        let mut keeper = keeper(keyed);
        for ((group, key), value) in &self.0 {
            if let Some(saved) = Saved::read(*group, key, value, worker).expect("readable") {
                assert_eq!(merge.load(&mut keeper, saved.moved(moved)), Ok(()));
            }
        }
        merge.loaded(&mut keeper);
        keeper
    }
}

fn keeper(keyed: bool) -> MergeKeeper {
    let columns = vec!["id".to_owned(), "name".to_owned()];
    MergeKeeper::new(RowForm::new(columns, vec![ID, NAME], true), keyed.then(|| vec![NAME]), 2, b"const")
}

/// An input, its rows as time and value, and the watermark behind them.
type Fed = (usize, Vec<(i64, i64)>, i64);

/// Rows of three inputs, in order of their watermarks, in batches.
fn feed(random: &mut Random) -> Vec<Fed> {
    let mut watermarks = [0i64; 3];
    let mut numbers = [0i64; 3];
    (0..40)
        .map(|_| {
            let input = random.bits() as usize % 3;
            let rows = (0..random.bits() % 5).map(|_| {
                numbers[input] += 1;
                watermarks[input] += (random.bits() % 3) as i64;
                (numbers[input], watermarks[input])
            });
            let rows = rows.collect();
            (input, rows, watermarks[input])
        })
        .collect()
}

#[test]
fn rows_that_wait_survive_a_restart() {
    for seed in 0..60 {
        let (mut random, keyed) = (Random::seeded(seed), seed % 2 == 0);
        let (mut whole, mut seen) = (merge(MergeOrder::Canonical, 3), Vec::new());
        let (mut part, mut seen_again) = (merge(MergeOrder::Canonical, 3), Vec::new());
        let (mut keeper, mut saves) = (keeper(keyed), Saves::default());
        for (input, rows, watermark) in feed(&mut random) {
            push(&mut whole, input, &rows, watermark);
            push(&mut part, input, &rows, watermark);
            let drained = drain(&mut whole, &mut seen);
            assert_eq!(drain(&mut part, &mut seen_again), drained);
            assert_eq!(seen_again, seen, "seed {seed}");
            let roll = random.bits() % 6;
            if roll < 3 {
                saves.take(2, &mut part, &mut keeper);
                assert_eq!(saves.take(2, &mut part, &mut keeper), 0, "nothing has changed since");
            }
            if roll == 0 {
                part = merge(MergeOrder::Canonical, 3);
                keeper = saves.give((0, 1), false, &mut part, keyed);
                assert_eq!(part.pending_rows(), whole.pending_rows());
                assert_eq!(saves.take(2, &mut part, &mut keeper), 0, "what was loaded has not changed");
            }
        }
        (0..3).for_each(|input| {
            whole.close(input);
            part.close(input);
        });
        assert_eq!(drain(&mut whole, &mut seen), Drained::Ended);
        assert_eq!(drain(&mut part, &mut seen_again), Drained::Ended);
        assert_eq!(seen_again, seen);
    }
}

/// Three workers had rows that wait; then there is one, then two. No row is lost or comes twice.
#[test]
fn rows_that_wait_find_their_way_to_other_workers() {
    for keyed in [false, true] {
        let mut saves = Saves::default();
        for worker in 0..3 {
            let (mut merge, mut keeper) = (merge(MergeOrder::Canonical, 3), keeper(keyed));
            // In an exchange a key is on the worker that owns it.
            let owned = |number: &i64| !keyed || owner(&format!("n{number}"), 3) == worker;
            let rows: Vec<(i64, i64)> = (0..40).filter(owned).map(|number| (number, number)).collect();
            push(&mut merge, worker, &rows, 50);
            assert_eq!(drain(&mut merge, &mut Vec::new()), Drained::Waiting);
            saves.take(worker, &mut merge, &mut keeper);
        }
        let rows = if keyed { 40 } else { 120 };
        for workers in [1, 2, 3, 1] {
            let mut waiting = 0;
            let before = saves.clone();
            saves.0.retain(|(_, key), _| own_worker(key).is_none_or(|worker| worker < workers as u64));
            for worker in 0..workers {
                let inputs = if keyed { workers } else { 3 };
                let mut merge = merge(MergeOrder::Canonical, inputs);
                let mut keeper = before.give((worker, workers), true, &mut merge, keyed);
                waiting += merge.pending_rows();
                saves.take(worker, &mut merge, &mut keeper);
            }
            assert_eq!(waiting, rows, "{workers} workers");
        }
        let mut merge = merge(MergeOrder::Canonical, 1);
        let mut keeper = saves.give((0, 1), false, &mut merge, keyed);
        merge.close(0);
        let mut seen = Vec::new();
        assert_eq!(drain(&mut merge, &mut seen), Drained::Ended);
        assert_eq!(seen.len(), rows);
        saves.take(0, &mut merge, &mut keeper);
        let mut again = self::merge(MergeOrder::Canonical, 1);
        saves.give((0, 1), false, &mut again, keyed);
        assert_eq!(again.pending_rows(), 0);
    }
}

/// A row of a worker that was far waits when another has its place, which is not so far: what that one sends is not late,
/// behind a second start either.
#[test]
fn rows_that_wait_let_nobody_come_late() {
    let (mut first, mut keeper_of_first) = (merge(MergeOrder::Canonical, 3), keeper(true));
    let mut saves = Saves::default();
    push(&mut first, 0, &[(1, 900)], 950);
    first.advance(1, Timestamp(100));
    first.advance(2, Timestamp(100));
    saves.take(0, &mut first, &mut keeper_of_first);
    let mut second = merge(MergeOrder::Canonical, 2);
    let mut keeper = saves.give((0, 2), true, &mut second, true);
    second.advance(0, Timestamp(200));
    saves.take(0, &mut second, &mut keeper);
    let mut third = merge(MergeOrder::Canonical, 2);
    saves.give((0, 2), false, &mut third, true);
    push(&mut third, 0, &[(2, 200)], 300);
    third.close(1);
    let mut seen = Vec::new();
    assert_eq!(drain(&mut third, &mut seen), Drained::Waiting);
    let late: Vec<&Seen> = seen.iter().filter(|(_, watermark)| *watermark > 200).collect();
    assert_eq!((seen.len(), late), (2, Vec::new()));
}

fn owner(name: &str, workers: usize) -> usize {
    let mut batch = Batch::new(1, b"");
    let row = batch.push_row(Timestamp(0), Timestamp(0));
    let span = batch.store(name.as_bytes());
    batch.set(row, Slot(0), Value::text(span));
    let mut key = Vec::new();
    crate::event::encode_key(&batch, row, &[Slot(0)], &mut key);
    crate::dataflow::owner_of(crate::dataflow::group_of(&key), workers)
}

#[test]
fn broken_rows_are_no_reason_to_panic() {
    for keyed in [false, true] {
        let (mut one, mut keeper_of_one, mut saves) =
            (merge(MergeOrder::Canonical, 2), keeper(keyed), Saves::default());
        push(&mut one, 1, &[(1, 5), (2, 6)], 9);
        saves.take(0, &mut one, &mut keeper_of_one);
        for broken in 0..saves.0.len() {
            for bit in 0..1_000 {
                let (mut merge, mut keeper) = (merge(MergeOrder::Canonical, 2), keeper(keyed));
                for (number, ((group, key), value)) in saves.0.iter().enumerate() {
                    let (mut key, mut value) = (key.clone(), value.to_vec());
                    let bytes = if bit % 2 == 0 { &mut key } else { &mut value };
                    if number == broken && bit / 16 < bytes.len() {
                        bytes[bit / 16] ^= 1 << (bit / 2 % 8);
                    }
                    let Ok(Some(saved)) = Saved::read(*group, &key, &value, (0, 1)) else { continue };
                    if merge.load(&mut keeper, saved).is_err() {
                        break;
                    }
                }
                merge.loaded(&mut keeper);
                let mut out = Batch::new(2, b"");
                merge.drain(&mut out);
                let env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
                merge.save(&mut keeper, &mut Saving::new(NodeId(1), 0, &env, &mut Vec::new()));
            }
        }
    }
}
