//! Files that are damaged or gone: said loudly, set aside, and all that can be read is kept.

use super::super::disk::{Disk, Open, SimulatedDisk};
use super::super::*;
use super::workload::*;
use crate::time::Random;
use std::sync::Arc;

/// A folder with some work done, and what was seen after each commit.
fn worked(seed: u64, steps: usize) -> (SimulatedDisk, Vec<View>) {
    let disk = SimulatedDisk::new(seed);
    let (mut state, _) = open_state(&disk, seed).unwrap();
    let mut random = Random::seeded(seed);
    let mut views = vec![View::default()];
    for _ in 0..steps {
        let mut view = views.last().unwrap().clone();
        let step = Step::draw(&mut random, &view, last_frame(&state));
        step.apply(&mut view);
        state.commit(step.changes()).unwrap();
        views.push(view);
        if state.fold_is_due() {
            state.fold().unwrap();
        }
    }
    (disk, views)
}

fn reopen(disk: &SimulatedDisk) -> Result<(StateBackend, Recovery), StateError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    open(&disk, &options(OnCorruption::SetAside, 77))
}

fn segments(disk: &SimulatedDisk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| SegmentNumber::from_file_name(name).is_some()).collect()
}

#[test]
fn a_flipped_bit_in_the_log_is_seen_and_survived() {
    let (mut refusals, mut kept) = (0, 0);
    for seed in 0..400 {
        let (disk, views) = worked(seed, 20);
        let (last, mut random) = (views.last().unwrap(), Random::seeded(seed));
        let names = segments(&disk);
        let name = &names[random.bits() as usize % names.len()];
        disk.damage(name, |bytes| {
            let at = random.bits() as usize % bytes.len();
            bytes[at] ^= 1 << (random.bits() % 8);
        })
        .unwrap();
        let is_refused = open_state(&disk, 1).is_err();
        let (state, recovery) = reopen(&disk).unwrap();
        let found = View::of(&state);
        assert_eq!(is_refused, recovery.repairs.iter().any(Repair::is_loss), "seed {seed}");
        refusals += usize::from(is_refused);
        kept += usize::from(found.keyed == last.keyed);
        // State is that of some epoch, exactly; and no chunk is of a later one.
        let then = views.iter().rfind(|view| view.epoch == found.epoch).unwrap();
        assert_eq!((&found.keyed, &found.offset), (&then.keyed, &then.offset), "seed {seed}");
        assert!(found.chunks.keys().all(|id| id.epoch <= found.epoch), "seed {seed}");
        // One frame may have been hit, and those of the last commit may be taken for a torn tail.
        let missing = last.frames.iter().filter(|frame| !found.frames.contains(frame)).count();
        assert!(missing <= 3, "seed {seed}: {missing} frames are missing");
        drop(state);
        let (state, recovery) = open_state(&disk, 2).unwrap();
        assert_eq!((recovery.repairs, View::of(&state)), (Vec::new(), found), "seed {seed}");
    }
    assert!(refusals > 100 && kept > 100, "{refusals} {kept}");
}

#[test]
fn a_new_life_begins_where_something_was_lost() {
    let (disk, views) = worked(3, 30);
    let before = open_state(&disk, 1).unwrap().1;
    let first = segments(&disk)[0].clone();
    disk.damage(&first, |bytes| bytes[60] ^= 1).unwrap();
    let refused = open_state(&disk, 1).unwrap_err();
    assert_eq!(refused.remedy(), Remedy::SetAside);
    assert_eq!(segments(&disk)[0], first);
    let (mut state, recovery) = reopen(&disk).unwrap();
    assert_ne!(recovery.incarnation, before.incarnation);
    let [Repair::LogSetAside { names, .. }] = &recovery.repairs[..] else { panic!("{recovery:?}") };
    assert_eq!(names[0], format!("corrupt-20270115T080000.000Z-{first}"));
    assert!(disk.list().unwrap().contains(&names[0]));
    let (step, mut view) = (Step::draw(&mut Random::seeded(4), &View::of(&state), None), View::of(&state));
    step.apply(&mut view);
    state.commit(step.changes()).unwrap();
    drop(state);
    let (state, again) = open_state(&disk, 9).unwrap();
    assert_eq!((View::of(&state), again.incarnation), (view, recovery.incarnation));
    assert!(state.epoch() <= views.last().unwrap().epoch.next());
}

#[test]
fn a_corrupt_store_is_set_aside_and_the_log_kept() {
    for seed in 0..50 {
        let (disk, views) = worked(seed, 25);
        let last = views.last().unwrap();
        let before = open_state(&disk, 1).unwrap().1;
        disk.damage(STORE_FILE, |bytes| bytes[..8].fill(7)).unwrap();
        assert_eq!(open_state(&disk, 1).unwrap_err().remedy(), Remedy::SetAside);
        let (state, recovery) = reopen(&disk).unwrap();
        assert!(
            matches!(&recovery.repairs[0], Repair::StoreSetAside { name, .. } if name.ends_with(STORE_FILE))
        );
        check_log_was_kept(&state, last);
        assert_ne!(recovery.incarnation, before.incarnation);
        drop(state);
        let (state, again) = open_state(&disk, 2).unwrap();
        assert_eq!((again.repairs, again.incarnation), (Vec::new(), recovery.incarnation));
        check_log_was_kept(&state, last);
    }
}

/// All but state that was folded is in the log.
fn check_log_was_kept(state: &StateBackend, last: &View) {
    let found = View::of(state);
    assert_eq!((found.epoch, &found.offset), (last.epoch, &last.offset));
    assert_eq!((&found.frames, &found.chunks, &found.refused), (&last.frames, &last.chunks, &last.refused));
    assert!(found.keyed.iter().all(|(key, value)| last.keyed.get(key) == Some(value)));
}

#[test]
fn a_deleted_store_is_not_a_fresh_start() {
    let (disk, views) = worked(5, 25);
    disk.remove(STORE_FILE).unwrap();
    assert!(open_state(&disk, 1).unwrap_err().to_string().contains("missing, but there is a log"));
    let (state, recovery) = reopen(&disk).unwrap();
    assert_eq!((recovery.is_fresh, recovery.repairs), (false, vec![Repair::StoreMissing]));
    check_log_was_kept(&state, views.last().unwrap());
}

#[test]
fn a_deleted_log_is_not_a_clean_start() {
    let (disk, _) = worked(6, 25);
    let (mut state, _) = open_state(&disk, 1).unwrap();
    state.fold().unwrap();
    let before = View::of(&state);
    drop(state);
    segments(&disk).iter().for_each(|name| disk.remove(name).unwrap());
    assert_eq!(open_state(&disk, 1).unwrap_err().remedy(), Remedy::SetAside);
    let (state, recovery) = reopen(&disk).unwrap();
    assert!(matches!(&recovery.repairs[..], [Repair::LogSetAside { .. }]));
    assert_eq!(View::of(&state).keyed, before.keyed);
    drop(state);
    assert_eq!(open_state(&disk, 1).unwrap().1.repairs, []);
}

/// The power goes in a fold of several transactions, and then the log is damaged.
#[test]
fn a_half_done_fold_over_a_damaged_log_is_told() {
    use super::super::disk::simulated::{Fault, Moment};
    let value = vec![1; 3 << 20];
    let mut mixed = 0;
    for sync in 0..8 {
        let disk = SimulatedDisk::new(sync);
        let whole = StateLimits { piece_bytes: value.len(), ..LIMITS };
        let of_disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let whole = OpenOptions { limits: whole, ..options(OnCorruption::Refuse, 1) };
        let (mut state, _) = open(&of_disk, &whole).unwrap();
        for epoch in 1..6 {
            let key = StateKey::new(WINDOW, KeyGroup(epoch), b"key");
            let entries = vec![Entry { key, value: Some(value.clone().into()) }];
            let checkpoint = Checkpoint { epoch: Epoch(epoch.into()), entries, ..Checkpoint::default() };
            state.commit(Changes { checkpoint: Some(checkpoint), ..Changes::default() }).unwrap();
        }
        disk.fail_at(Moment::Sync(disk.syncs() + sync), Fault::PowerCut);
        let _ = state.fold();
        drop(state);
        disk.restart();
        let third = segments(&disk)[2].clone();
        disk.damage(&third, |bytes| bytes[100] ^= 1).unwrap();
        let (_, recovery) = reopen(&disk).unwrap();
        let is_mixed = |repair: &Repair| matches!(repair, Repair::LogSetAside { is_mixed: true, .. });
        mixed += usize::from(recovery.repairs.iter().any(is_mixed));
    }
    assert!(mixed > 0);
}

#[test]
fn setting_aside_survives_power_cuts() {
    use super::super::disk::simulated::{Fault, Moment};
    for operation in 0..40 {
        let (disk, _) = worked(3, 30);
        let first = segments(&disk)[0].clone();
        disk.damage(&first, |bytes| bytes[60] ^= 1).unwrap();
        let expected = {
            let copy = SimulatedDisk::new(1);
            for name in disk.list().unwrap() {
                let bytes = log::read_file(&disk, &name).unwrap();
                copy.open(&name, Open::New).unwrap().write_at(0, &bytes).unwrap();
            }
            View::of(&reopen(&copy).unwrap().0)
        };
        disk.fail_at(Moment::Operation(disk.operations() + operation), Fault::PowerCut);
        let said = reopen(&disk).is_ok();
        disk.restart();
        let (state, recovery) = reopen(&disk).unwrap();
        assert_eq!(View::of(&state), expected, "{operation}");
        assert!(said || !recovery.aside.is_empty(), "{operation}: nobody says that it was lost");
    }
}
