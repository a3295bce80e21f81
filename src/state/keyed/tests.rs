use super::super::disk::SimulatedDisk;
use super::super::store::StoreMeta;
use super::*;
use crate::time::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

#[test]
fn a_state_key_has_three_parts() {
    let key = StateKey::new(NodeId(0x0102_0304), KeyGroup(9), b"ab");
    assert_eq!(key.as_bytes(), [1, 2, 3, 4, 9, b'a', b'b']);
    assert_eq!((key.node(), key.group(), key.key()), (NodeId(0x0102_0304), KeyGroup(9), b"ab".as_slice()));
    assert_eq!(StateKey::from_bytes(&[0; 4]), None);
}

#[test]
fn a_prefix_ends_before_the_next() {
    let end = |prefix: &[u8]| prefix_bounds(prefix).1;
    assert_eq!(end(&[1, 2]), Bound::Excluded(vec![1, 3]));
    assert_eq!(end(&[1, 255, 255]), Bound::Excluded(vec![2]));
    assert_eq!(end(&[255]), Bound::Unbounded);
    assert_eq!(end(&[]), Bound::Unbounded);
}

#[test]
fn the_memtable_counts_its_bytes() {
    let mut memtable = Memtable::default();
    let key = |byte| StateKey::new(NodeId(1), KeyGroup(1), &[byte]);
    memtable.put(key(1), Some([0; 10].into()));
    let first = memtable.bytes();
    memtable.put(key(1), Some([0; 30].into()));
    assert_eq!(memtable.bytes(), first + 20);
    memtable.put(key(1), None);
    assert_eq!(memtable.bytes(), first - 10);
    memtable.clear();
    assert_eq!(memtable.bytes(), 0);
}

/// What was folded and what was not are one state.
#[test]
fn memtable_and_store_are_read_as_one() {
    for seed in 0..30 {
        let mut random = Random::seeded(seed);
        let disk = Arc::new(SimulatedDisk::new(seed));
        let store = Store::create(disk, 1 << 20, &StoreMeta::default()).unwrap();
        let (mut model, mut memtable) = (BTreeMap::new(), Memtable::default());
        for step in 0..200 {
            let node = NodeId(random.bits() as u32 % 3);
            let group = KeyGroup([0, 1, 255][random.bits() as usize % 3]);
            let key = StateKey::new(node, group, &[random.bits() as u8 % 8]);
            let value = (!random.bits().is_multiple_of(3)).then(|| vec![step as u8]);
            memtable.put(key.clone(), value.clone().map(Into::into));
            match value {
                Some(value) => _ = model.insert(key, value),
                None => _ = model.remove(&key),
            }
            if random.bits().is_multiple_of(50) {
                store.fold(memtable.iter(), &StoreMeta::default()).unwrap();
                memtable.clear();
            }
        }
        compare(KeyedState::new(&memtable, &store), &model);
    }
}

fn compare(state: KeyedState, model: &BTreeMap<StateKey, Vec<u8>>) {
    let mut all = Vec::new();
    let mut visit = |key: &StateKey, value: &[u8]| {
        all.push((key.clone(), value.to_vec()));
        Ok(())
    };
    state.all(&mut visit).unwrap();
    let expected: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    assert_eq!(all, expected);
    for node in 0..3 {
        let of = |group: Option<u8>| -> Vec<_> {
            let is_of = |key: &StateKey| {
                key.node() == NodeId(node) && group.is_none_or(|group| key.group() == KeyGroup(group))
            };
            expected.iter().filter(|(key, _)| is_of(key)).cloned().collect()
        };
        let mut found = Vec::new();
        let mut visit = |group, key: &[u8], value: &[u8]| {
            found.push((StateKey::new(NodeId(node), group, key), value.to_vec()));
            Ok(())
        };
        state.node(NodeId(node), &mut visit).unwrap();
        state.group(NodeId(node), KeyGroup(255), &mut visit).unwrap();
        assert_eq!(found, [of(None), of(Some(255))].concat());
        found.clear();
        let mut visit = |group, key: &[u8], value: &[u8]| {
            found.push((StateKey::new(NodeId(node), group, key), value.to_vec()));
            Ok(())
        };
        state.groups(NodeId(node), KeyGroup(1)..=KeyGroup(255), &mut visit).unwrap();
        assert_eq!(found, [of(Some(1)), of(Some(255))].concat());
        // As soon as one is found no other is looked at.
        for wanted in 0..8 {
            let (mut looked, all) = (0, of(None));
            let is = |key: &[u8]| {
                looked += 1;
                key == [wanted]
            };
            let any = state.any(NodeId(node), is).unwrap();
            let at = all.iter().position(|(key, _)| key.key() == [wanted]);
            assert_eq!((any, looked), (at.is_some(), at.map_or(all.len(), |at| at + 1)));
        }
        for (key, value) in of(None) {
            assert_eq!(state.get(key.node(), key.group(), key.key()).unwrap(), Some(value));
        }
    }
}
