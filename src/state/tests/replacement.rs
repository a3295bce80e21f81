//! State that gives way to none, or to that of a savepoint: whenever the power goes, one of the two is there.

use super::super::disk::simulated::*;
use super::super::disk::{Disk, SimulatedDisk};
use super::super::savepoint::*;
use super::super::*;
use super::workload::*;
use crate::time::{Random, Timestamp};
use std::sync::Arc;

/// A folder after some work, and what is in it.
pub fn worked(seed: u64, steps: usize) -> (SimulatedDisk, View) {
    let disk = SimulatedDisk::new(seed);
    let (mut random, mut view) = (Random::seeded(seed), View::default());
    let (mut state, _) = open_state(&disk, seed).unwrap();
    for _ in 0..steps {
        let step = Step::draw(&mut random, &view, last_frame(&state));
        step.apply(&mut view);
        state.commit(step.changes()).unwrap();
        if state.fold_is_due() {
            state.fold().unwrap();
        }
    }
    assert_eq!(View::of(&state), view);
    (disk, view)
}

pub fn origin() -> Origin {
    let (instance, pipeline) = ("gateway-7".to_string(), "plant".to_string());
    Origin {
        instance,
        pipeline,
        text: Some(text_hash(b"pipeline: plant")),
        taken: Timestamp(1_800_000_000_000),
    }
}

/// A savepoint of the state in a folder.
pub fn saved(disk: &SimulatedDisk) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&open_state(disk, 1).unwrap().0, &origin(), &mut bytes).unwrap();
    bytes
}

fn dynamic(disk: &SimulatedDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

pub fn restored(disk: &SimulatedDisk, bytes: &[u8], on_state: OnState) -> Result<Counts, StateError> {
    let savepoint = SavepointReader::open(bytes, "a savepoint")?;
    restore(&dynamic(disk), &options(OnCorruption::Refuse, 77), savepoint, on_state)
}

fn found(disk: &SimulatedDisk) -> (View, Recovery) {
    let (state, recovery) = open_state(disk, 99).unwrap();
    assert_eq!(recovery.repairs.iter().filter(|repair| repair.is_loss()).count(), 0);
    (View::of(&state), recovery)
}

#[test]
fn a_fresh_start_leaves_the_old_state_or_none() {
    let mut empty = 0;
    for operation in 0.. {
        let (disk, view) = worked(3, 30);
        let life = found(&disk).1.incarnation;
        disk.fail_at(Moment::Operation(disk.operations() + operation), Fault::PowerCut);
        let ended = open_afresh(&dynamic(&disk), &options(OnCorruption::Refuse, 5)).is_ok() && !disk.is_off();
        disk.restart();
        let (after, recovery) = found(&disk);
        if after == View::default() {
            assert_ne!(recovery.incarnation, life);
            empty += 1;
        } else {
            assert_eq!((after, recovery.incarnation), (view, life));
            assert!(!ended);
        }
        if ended {
            break;
        }
    }
    assert!(empty > 3, "the power went only before anything happened");
}

#[test]
fn what_was_set_aside_stays() {
    let (disk, _) = worked(4, 30);
    disk.damage("store.redb", |bytes| bytes.fill(7)).unwrap();
    let aside = open(&dynamic(&disk), &options(OnCorruption::SetAside, 1)).unwrap().1.aside;
    assert!(!aside.is_empty());
    let (state, recovery) = open_afresh(&dynamic(&disk), &options(OnCorruption::Refuse, 2)).unwrap();
    assert_eq!((View::of(&state), recovery.is_fresh, recovery.aside), (View::default(), true, aside));
}

#[test]
fn a_restore_leaves_the_old_state_or_the_new() {
    let (other, new) = worked(21, 40);
    let bytes = saved(&other);
    let mut replaced = 0;
    for operation in 0.. {
        let (disk, old) = worked(22, 30);
        disk.fail_at(Moment::Operation(disk.operations() + operation), Fault::PowerCut);
        let ended = restored(&disk, &bytes, OnState::Replace).is_ok() && !disk.is_off();
        disk.restart();
        let after = found(&disk).0;
        assert!(after == new || (after == old && !ended), "operation {operation}: {after:?}");
        replaced += usize::from(after == new);
        if ended {
            break;
        }
        // What was left half way does not hinder the next one.
        restored(&disk, &bytes, OnState::Replace).unwrap();
        assert_eq!(found(&disk).0, new);
    }
    assert!(replaced > 3, "the power went only before anything happened");
}

#[test]
fn stale_nodes_go_and_others_are_renamed() {
    let disk = SimulatedDisk::new(1);
    let (mut state, _) = open_state(&disk, 1).unwrap();
    let node = |id, name: &str, shape| Node { id: NodeId(id), name: name.into(), shape: ShapeHash(shape) };
    let nodes = vec![node(1, "a", 1), node(2, "b", 1), node(3, "c", 1)];
    let entry = |id| Entry { key: StateKey::new(NodeId(id), KeyGroup(0), b"k"), value: Some([1].into()) };
    let entries = vec![entry(1), entry(2), entry(3)];
    let checkpoint = Checkpoint { epoch: Epoch(1), nodes: nodes.clone(), entries, ..Checkpoint::default() };
    state.commit(Changes { checkpoint: Some(checkpoint), ..Changes::default() }).unwrap();
    state.fold().unwrap();
    let stale = state.stale_nodes(&[nodes[0].id]);
    assert_eq!(stale, nodes[1..]);
    let renamed = state.renamed("a", "new", ShapeHash(1)).unwrap();
    assert_eq!(renamed, node(1, "new", 1));
    assert_eq!(state.renamed("a", "b", ShapeHash(1)), None);
    let dropped = stale.iter().map(|node| node.id).collect();
    let (epoch, nodes) = (Epoch(2), vec![renamed.clone()]);
    let checkpoint = Checkpoint { epoch, dropped, nodes, ..Checkpoint::default() };
    state.commit(Changes { checkpoint: Some(checkpoint), ..Changes::default() }).unwrap();
    assert_eq!(state.unused_node(), NodeId(4), "the number is in the store");
    for _ in 0..2 {
        let survey = state.survey().unwrap();
        assert_eq!(survey.keys().copied().collect::<Vec<_>>(), [NodeId(1)]);
        assert_eq!(state.progress().nodes.values().collect::<Vec<_>>(), [&renamed]);
        assert_eq!(state.keyed().get(NodeId(2), KeyGroup(0), b"k").unwrap(), None);
        state.fold().unwrap();
    }
    assert_eq!(state.unused_node(), NodeId(2));
}
