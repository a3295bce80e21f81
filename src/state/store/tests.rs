use super::super::disk::{SimulatedDisk, simulated::*};
use super::super::error::Remedy;
use super::super::number::{KeyGroup, NodeId};
use super::*;
use std::collections::BTreeMap;

const CACHE: usize = 1 << 20;

fn key(node: u32, key: &str) -> StateKey {
    StateKey::new(NodeId(node), KeyGroup::of(key.as_bytes()), key.as_bytes())
}

fn meta(folded: u64) -> StoreMeta {
    let folded = Sequence(folded);
    StoreMeta { incarnation: Incarnation(5), folded, folding: folded, progress: b"progress".to_vec() }
}

fn store(disk: &SimulatedDisk) -> Store {
    Store::create(Arc::new(disk.clone()), CACHE, &meta(0)).unwrap()
}

fn reopened(disk: &SimulatedDisk) -> Result<Store, StateError> {
    Store::open(Arc::new(disk.clone()), CACHE)
}

type Entries = BTreeMap<StateKey, Option<Vec<u8>>>;

fn fold(store: &Store, entries: &Entries, folded: u64) -> Result<(), StateError> {
    store.fold(entries.iter().map(|(key, value)| (key, value.as_deref())), &meta(folded))
}

fn all(store: &Store) -> Vec<(StateKey, Vec<u8>)> {
    let mut found = Vec::new();
    let mut visit = |key: &StateKey, value: &[u8]| {
        found.push((key.clone(), value.to_vec()));
        Ok(())
    };
    store.scan(&mut visit).unwrap();
    found
}

#[test]
fn what_is_folded_comes_back_in_order() {
    let disk = SimulatedDisk::new(1);
    let made = store(&disk);
    let mut entries: Entries =
        (0..500).map(|i| (key(i % 3, &format!("k{i}")), Some(vec![i as u8; i as usize]))).collect();
    fold(&made, &entries, 1).unwrap();
    entries.values_mut().step_by(2).for_each(|value| *value = None);
    fold(&made, &entries, 2).unwrap();
    let expected: Vec<_> = entries.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    assert_eq!(all(&made), expected);
    drop(made);
    let again = reopened(&disk).unwrap();
    assert_eq!((all(&again), again.meta().unwrap()), (expected.clone(), meta(2)));
    assert_eq!(again.get(&expected[7].0).unwrap().as_ref(), Some(&expected[7].1));
    assert_eq!(again.get(&key(9, "k")).unwrap(), None);
}

#[test]
fn a_large_fold_is_several_transactions() {
    let disk = SimulatedDisk::new(1);
    let made = store(&disk);
    let value = Some(vec![1; TRANSACTION_BYTES]);
    let entries: Entries = (0..5).map(|i| (key(1, &format!("{i}")), value.clone())).collect();
    let before = disk.syncs();
    fold(&made, &BTreeMap::new(), 1).unwrap();
    let one = disk.syncs() - before;
    drop(made);
    let mut half_way = 0;
    for sync in 0..4 * one {
        let disk = SimulatedDisk::new(sync);
        let made = store(&disk);
        disk.fail_at(Moment::Sync(disk.syncs() + sync), Fault::PowerCut);
        let is_cut = fold(&made, &entries, 7).is_err();
        drop(made);
        disk.restart();
        let again = reopened(&disk).unwrap();
        let known = again.meta().unwrap();
        match (known.folded.0, known.folding.0) {
            (0, 0) => assert!(is_cut && all(&again).is_empty()),
            (0, 7) => half_way += 1,
            (7, 7) => assert_eq!(all(&again).len(), 5),
            other => panic!("{other:?}"),
        }
        fold(&again, &entries, 7).unwrap();
        assert_eq!((all(&again).len(), again.meta().unwrap()), (5, meta(7)));
    }
    assert!(half_way > 0);
}

#[test]
fn after_an_error_of_the_disk_it_can_be_opened_again() {
    let disk = SimulatedDisk::new(3);
    let mut made = store(&disk);
    let entries: Entries = [(key(1, "a"), Some(b"1".to_vec()))].into();
    disk.fail_at(Moment::Operation(disk.operations() + 1), Fault::Full);
    let failed = fold(&made, &entries, 1).unwrap_err();
    assert!(failed.is_full(), "{failed}");
    assert!(fold(&made, &entries, 1).is_err());
    made.reopen().unwrap();
    fold(&made, &entries, 1).unwrap();
    assert_eq!(all(&made).len(), 1);
}

#[test]
fn no_corrupt_file_is_taken_for_good() {
    let entries: Entries = (0..200).map(|i| (key(1, &format!("key-{i}")), Some(vec![i as u8; 50]))).collect();
    let good = {
        let disk = SimulatedDisk::new(0);
        let made = store(&disk);
        fold(&made, &entries, 1).unwrap();
        drop(made);
        let file = disk.open(STORE_FILE, Open::Existing).unwrap();
        let mut bytes = vec![0; file.length().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    };
    let expected: Vec<_> = entries.into_iter().map(|(key, value)| (key, value.unwrap())).collect();
    let with = |damage: &dyn Fn(&mut Vec<u8>)| {
        let disk = SimulatedDisk::new(0);
        let mut bytes = good.clone();
        damage(&mut bytes);
        disk.open(STORE_FILE, Open::New).unwrap().write_at(0, &bytes).unwrap();
        disk
    };
    assert!(reopened(&with(&Vec::clear)).is_err_and(|error| error.remedy() == Remedy::SetAside));
    assert!(reopened(&with(&|b| b[0] ^= 1)).is_err_and(|error| error.remedy() == Remedy::SetAside));
    assert!(reopened(&with(&|b| b.truncate(5000))).is_err_and(|error| error.remedy() == Remedy::SetAside));
    // A value that is not what it was is seen when it is read.
    let at = good.windows(50).position(|window| window == [7; 50]).unwrap();
    let damaged = reopened(&with(&|b| b[at] ^= 1)).unwrap();
    let found = damaged.get(&key(1, "key-7")).unwrap_err();
    assert_eq!(found.to_string(), "store.redb is corrupt: a value has the wrong checksum");
    assert_eq!(damaged.get(&key(1, "key-8")).unwrap(), Some(expected[0].1.clone()).map(|_| vec![8; 50]));
}

#[test]
fn it_is_checked_and_compacted() {
    let disk = SimulatedDisk::new(0);
    let mut made = store(&disk);
    let mut entries: Entries =
        (0..2000).map(|i| (key(1, &format!("key-{i}")), Some(vec![1; 1000]))).collect();
    fold(&made, &entries, 1).unwrap();
    entries.values_mut().skip(10).for_each(|value| *value = None);
    fold(&made, &entries, 2).unwrap();
    let before = made.bytes().unwrap();
    made.compact().unwrap();
    assert!(made.bytes().unwrap() < before / 2, "{before} {}", made.bytes().unwrap());
    assert_eq!((made.check().unwrap(), all(&made).len()), (Checked::Good, 10));
}

/// What is counted by each transaction is what there is.
#[test]
fn it_knows_how_much_is_in_it() {
    let disk = SimulatedDisk::new(0);
    let mut made = store(&disk);
    let mut random = crate::time::Random::seeded(3);
    let counted = |made: &Store| made.live_bytes().unwrap().unwrap();
    assert_eq!(counted(&made), LiveBytes(0));
    for sequence in 1..30 {
        let mut entry = |_| {
            let roll = random.bits();
            let value = (!roll.is_multiple_of(4)).then(|| vec![1; (roll >> 8) as usize % 3_000]);
            (key((roll >> 40) as u32 % 3, &format!("key-{}", roll >> 20 & 63)), value)
        };
        let entries: Entries = (0..40).map(&mut entry).collect();
        fold(&made, &entries, sequence).unwrap();
        if sequence % 7 == 0 {
            made.drop_nodes(&[NodeId(1)], Sequence(sequence)).unwrap();
        }
        if sequence == 20 {
            drop(made);
            made = reopened(&disk).unwrap();
        }
        let mut sum = 0;
        made.scan(&mut |key, value| {
            // The checksum is stored as well.
            sum += LiveBytes::of_entry(key.as_bytes(), value) + 4;
            Ok(())
        })
        .unwrap();
        assert_eq!(counted(&made), LiveBytes(sum), "after {sequence}");
    }
}

/// What a failed sync left in the cache of the system, but not on the disk, is not built upon.
#[test]
fn after_a_failed_sync_only_what_is_durable_counts() {
    let entries = |name: &str| -> Entries {
        (0..30).map(|i| (key(1, &format!("{name}{i}")), Some(vec![i; 300]))).collect()
    };
    for (seed, sync) in (0..60).flat_map(|seed| (0..4).map(move |sync| (seed, sync))) {
        let disk = SimulatedDisk::new(seed);
        let mut made = store(&disk);
        fold(&made, &entries("a"), 1).unwrap();
        disk.fail_at(Moment::Sync(disk.syncs() + sync), Fault::Broken);
        let _ = fold(&made, &entries("b"), 2);
        made.reopen().unwrap();
        fold(&made, &entries("c"), 3).unwrap();
        let seen = all(&made);
        drop(made);
        disk.restart();
        let mut again = reopened(&disk).unwrap();
        assert_eq!((all(&again), again.meta().unwrap()), (seen, meta(3)), "seed {seed}, sync {sync}");
        assert_eq!(again.check().unwrap(), Checked::Good, "seed {seed}, sync {sync}");
    }
}

/// How many pieces there are of all values.
fn pieces(store: &Store) -> usize {
    let transaction = store.database().unwrap().begin_read().unwrap();
    transaction.open_table(PIECES).map_or(0, |table| table.range::<&[u8]>(..).unwrap().count())
}

#[test]
fn values_in_pieces_grow_and_shrink_and_leave_nothing_behind() {
    const PIECE: usize = 50;
    for seed in 0..20 {
        let mut random = crate::time::Random::seeded(seed);
        let disk = SimulatedDisk::new(seed);
        let mut made = store(&disk).cutting(PIECE);
        let mut model: BTreeMap<StateKey, Vec<u8>> = BTreeMap::new();
        for folded in 1..40 {
            let mut entries = Entries::new();
            for _ in 0..random.bits() % 6 {
                // One key begins as another does, and with the number of a piece behind it.
                let name = ["a", "a\0\0\0\u{1}", "b"][random.bits() as usize % 3];
                let about = [0, 1, PIECE, 2 * PIECE, 5 * PIECE][random.bits() as usize % 5];
                let length = (about + random.bits() as usize % 3).saturating_sub(1);
                let value = vec![random.bits() as u8; length];
                entries.insert(
                    key(random.bits() as u32 % 2, name),
                    (!length.is_multiple_of(7)).then_some(value),
                );
            }
            fold(&made, &entries, folded).unwrap();
            for (key, value) in entries {
                match value {
                    Some(value) => _ = model.insert(key, value),
                    None => _ = model.remove(&key),
                }
            }
            if random.bits().is_multiple_of(8) {
                made.drop_nodes(&[NodeId(1)], Sequence(folded)).unwrap();
                model.retain(|key, _| key.node() != NodeId(1));
            }
            if random.bits().is_multiple_of(8) {
                drop(made);
                made = reopened(&disk).unwrap().cutting(PIECE);
            }
            assert_eq!(all(&made), model.clone().into_iter().collect::<Vec<_>>());
            let cut = model.values().filter(|value| value.len() > PIECE);
            assert_eq!(pieces(&made), cut.map(|value| value.len().div_ceil(PIECE)).sum::<usize>());
            for (key, value) in &model {
                assert_eq!(made.get(key).unwrap().as_ref(), Some(value));
            }
        }
        assert_eq!(made.check().unwrap(), Checked::Good);
    }
}

type PiecesTable<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

#[test]
fn a_piece_that_is_missing_or_another_s_is_seen() {
    let disk = SimulatedDisk::new(0);
    let made = store(&disk).cutting(10);
    let entries: Entries = ["a", "b"].map(|name| (key(1, name), Some(vec![name.len() as u8; 25]))).into();
    fold(&made, &entries, 1).unwrap();
    let change = |change: &dyn Fn(&mut PiecesTable)| {
        let transaction = begin(made.database().unwrap()).unwrap();
        change(&mut transaction.open_table(PIECES).unwrap());
        transaction.commit().unwrap();
    };
    let at = |name: &str, number: u32| [key(1, name).as_bytes(), &number.to_be_bytes()].concat();
    change(&|table| {
        let other = table.get(at("b", 1).as_slice()).unwrap().unwrap().value().to_vec();
        table.insert(at("a", 1).as_slice(), other.as_slice()).unwrap();
        table.remove(at("b", 2).as_slice()).unwrap();
    });
    let found = |name| made.get(&key(1, name)).unwrap_err().to_string();
    assert_eq!(found("a"), "store.redb is corrupt: a value has the wrong checksum");
    assert_eq!(found("b"), "store.redb is corrupt: a piece of a value is missing");
}

#[test]
fn a_store_of_the_first_version_is_read() {
    let mut bytes = meta(3).encode();
    assert_eq!(bytes[0], STORE_VERSION);
    bytes[0] = 1;
    assert_eq!(StoreMeta::decode(&bytes).unwrap(), meta(3));
    for wrong in [0, STORE_VERSION + 1] {
        bytes[0] = wrong;
        assert!(StoreMeta::decode(&bytes).is_err());
    }
}
