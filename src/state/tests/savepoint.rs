//! Savepoints: the same state elsewhere, and nothing else that looks like one.

use super::super::disk::SimulatedDisk;
use super::super::savepoint::*;
use super::super::*;
use super::replacement::{origin, restored, saved, worked};
use super::workload::*;

#[test]
fn what_was_saved_is_restored() {
    for seed in 0..60 {
        let (disk, view) = worked(seed, seed as usize);
        let bytes = saved(&disk);
        let other = SimulatedDisk::new(seed + 1_000);
        restored(&other, &bytes, OnState::Refuse).unwrap();
        let (state, recovery) = open_state(&other, 5).unwrap();
        assert_eq!((View::of(&state), recovery.repairs), (view, Vec::new()), "seed {seed}");
        assert!(restored(&other, &bytes, OnState::Refuse).is_err(), "it is in use");
        // Saved and restored again it is still the same, one life later.
        let again = SimulatedDisk::new(seed + 2_000);
        let mut bytes = Vec::new();
        write(&state, &origin(), &mut bytes).unwrap();
        let counts = restored(&again, &bytes, OnState::Refuse).unwrap();
        let found = open_state(&again, 5).unwrap().0;
        assert_eq!(View::of(&found), View::of(&state));
        assert_eq!(found.survey().unwrap(), state.survey().unwrap());
        assert_eq!(counts.keys, found.survey().unwrap().values().map(|node| node.keys).sum::<u64>());
    }
}

#[test]
fn what_targets_hold_of_a_former_life_is_ours_up_to_the_savepoint() {
    let (disk, view) = worked(8, 40);
    let (first, _) = open_state(&disk, 1).unwrap();
    let (life, epoch) = (first.incarnation(), view.epoch);
    drop(first);
    let other = SimulatedDisk::new(9);
    restored(&other, &saved(&disk), OnState::Refuse).unwrap();
    let (state, _) = open_state(&other, 5).unwrap();
    assert_ne!(state.incarnation(), life);
    assert!(state.is_ours(life, epoch) && state.is_ours(state.incarnation(), epoch));
    assert!(!state.is_ours(life, epoch.next()), "the former life went on without us");
    assert!(!state.is_ours(Incarnation(life.0 ^ 1), Epoch(1)));
    drop(state);
    assert!(matches!(restored(&other, &saved(&disk), OnState::Refuse), Err(StateError::Occupied { .. })));
}

/// Reads all of a savepoint.
fn verified(bytes: &[u8]) -> Result<Survey, StateError> {
    SavepointReader::open(bytes, "plant.savepoint")?.survey()
}

#[test]
fn a_changed_savepoint_is_refused() {
    let (disk, view) = worked(5, 12);
    let bytes = saved(&disk);
    assert!(view.keyed.len() + view.chunks.len() + view.frames.len() > 3);
    verified(&bytes).unwrap();
    for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        let refused = verified(&flipped).unwrap_err();
        assert_eq!(refused.to_string().find("plant.savepoint "), Some(0), "{at}: {refused}");
    }
    for length in 0..bytes.len() {
        let refused = verified(&bytes[..length]).unwrap_err();
        assert_eq!(refused.to_string(), "plant.savepoint is corrupt: it is cut off");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    let refused = verified(&longer).unwrap_err();
    assert_eq!(refused.to_string(), "plant.savepoint is corrupt: there are bytes behind its end");
}

#[test]
fn a_savepoint_that_breaks_off_changes_nothing() {
    let (disk, view) = worked(6, 30);
    let bytes = saved(&worked(7, 60).0);
    for length in [0, 20, bytes.len() / 2, bytes.len() - 1] {
        restored(&disk, &bytes[..length], OnState::Replace).unwrap_err();
        assert_eq!(View::of(&open_state(&disk, 1).unwrap().0), view);
    }
}

#[test]
fn a_later_version_is_refused_as_such() {
    let mut bytes = saved(&worked(5, 3).0);
    bytes[8] = 3;
    let refused = verified(&bytes).unwrap_err().to_string();
    assert!(refused.starts_with("plant.savepoint was written by a later version (format 3)"), "{refused}");
}
