//! Power cuts and errors at any moment: what was acknowledged is there, what was not is there as a whole or not at
//! all, and it goes on from there.

use super::super::disk::{SimulatedDisk, simulated::*};
use super::super::*;
use super::workload::*;
use crate::time::Random;

/// A workload with what has been acknowledged to it.
struct Run {
    disk: SimulatedDisk,
    random: Random,
    acknowledged: View,
    /// What it comes to if the commit whose outcome is unknown is durable.
    uncertain: Option<View>,
    incarnation: Option<Incarnation>,
    step: Option<Step>,
}

impl Run {
    fn new(seed: u64) -> Run {
        Run {
            disk: SimulatedDisk::new(seed),
            random: Random::seeded(seed ^ 0x5eed),
            acknowledged: View::default(),
            uncertain: None,
            incarnation: None,
            step: None,
        }
    }

    /// Opens, compares, and works for a number of steps or until the first error.
    fn work(&mut self, steps: usize) -> Result<(), StateError> {
        let mut state = self.open()?;
        for _ in 0..steps {
            self.step(&mut state)?;
        }
        Ok(())
    }

    fn open(&mut self) -> Result<StateBackend, StateError> {
        let (state, recovery) = open_state(&self.disk, self.random.bits())?;
        assert!(recovery.repairs.iter().all(|repair| !repair.is_loss()), "{:?}", recovery.repairs);
        assert!(self.incarnation.is_none_or(|known| known == recovery.incarnation), "a new life");
        let found = View::of(&state);
        if self.uncertain.take().is_some_and(|uncertain| uncertain == found) {
            self.acknowledged = found;
        } else {
            assert_eq!(found, self.acknowledged);
        }
        if self.acknowledged != View::default() {
            self.incarnation = Some(recovery.incarnation);
        }
        self.step = None;
        Ok(state)
    }

    fn step(&mut self, state: &mut StateBackend) -> Result<(), StateError> {
        if self.step.is_none() {
            self.step = Some(Step::draw(&mut self.random, &self.acknowledged, last_frame(state)));
        }
        let Some(step) = &self.step else { return Ok(()) };
        let mut after = self.acknowledged.clone();
        step.apply(&mut after);
        self.uncertain = Some(after.clone());
        state.commit(step.changes())?;
        (self.acknowledged, self.uncertain, self.step) = (after, None, None);
        if state.fold_is_due() {
            state.fold()?;
        }
        if self.random.bits().is_multiple_of(64) {
            state.compact()?;
        }
        Ok(())
    }

    /// Works until the disk has seen the given operation, which fails; then comes back and goes on.
    fn survive(&mut self, moment: Moment, steps: usize) {
        self.disk.fail_at(moment, Fault::PowerCut);
        let outcome = self.work(steps);
        assert!(outcome.is_ok() || self.disk.is_off(), "{outcome:?}");
        self.disk.restart();
    }
}

#[test]
fn nothing_is_lost_by_power_cuts() {
    for seed in 0..2_000 {
        let mut run = Run::new(seed);
        for _ in 0..3 {
            let ahead = run.random.bits() % 120;
            let moment = Moment::Operation(run.disk.operations() + ahead);
            run.survive(moment, 12);
        }
        run.work(3).unwrap();
    }
}

#[test]
fn nothing_is_lost_by_a_power_cut_at_any_operation() {
    for seed in 0..3 {
        let mut rehearsal = Run::new(seed);
        rehearsal.work(40).unwrap();
        for operation in 0..rehearsal.disk.operations() {
            let mut run = Run::new(seed);
            run.survive(Moment::Operation(operation), 40);
            run.work(5).unwrap();
        }
    }
}

#[test]
fn nothing_is_lost_by_a_power_cut_at_any_sync() {
    for seed in 10..16 {
        let mut rehearsal = Run::new(seed);
        rehearsal.work(40).unwrap();
        for sync in 0..rehearsal.disk.syncs() {
            let mut run = Run::new(seed);
            run.survive(Moment::Sync(sync), 40);
            run.work(5).unwrap();
        }
    }
}

#[test]
fn an_error_of_the_disk_is_survived_without_a_restart() {
    for seed in 0..500 {
        let mut run = Run::new(seed);
        let mut state = run.open().unwrap();
        let fault = if seed % 2 == 0 { Fault::Broken } else { Fault::Full };
        for _ in 0..30 {
            if run.random.bits().is_multiple_of(4) {
                let ahead = run.random.bits() % 12;
                run.disk.fail_at(Moment::Operation(run.disk.operations() + ahead), fault);
            }
            while let Err(error) = run.step(&mut state) {
                assert_eq!(error.remedy(), Remedy::Retry, "seed {seed}: {error}");
                state.revive().unwrap_or_default();
            }
        }
        while state.revive().is_err() {}
        assert_eq!(View::of(&state), run.acknowledged, "seed {seed}");
        drop(state);
        run.disk.restart();
        run.work(5).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn a_full_disk_holds_back_and_goes_on() {
    let mut run = Run::new(7);
    let mut state = run.open().unwrap();
    (0..10).for_each(|_| run.step(&mut state).unwrap());
    run.disk.set_room(Some(0));
    let mut refused = 0;
    for _ in 0..20 {
        match run.step(&mut state) {
            Err(error) if error.is_full() => refused += 1,
            other => other.unwrap(),
        }
    }
    assert!(refused > 0);
    run.disk.set_room(None);
    state.revive().unwrap();
    (0..10).for_each(|_| run.step(&mut state).unwrap());
    assert_eq!(View::of(&state), run.acknowledged);
}

#[test]
fn what_does_not_change_is_not_written() {
    let mut run = Run::new(1);
    let mut state = run.open().unwrap();
    (0..20).for_each(|_| run.step(&mut state).unwrap());
    state.fold().unwrap();
    let before = run.disk.operations();
    let nothing = Checkpoint { epoch: Epoch(99), ..Checkpoint::default() };
    assert!(state.commit(Changes { checkpoint: Some(nothing), ..Changes::default() }).unwrap().is_none());
    assert!(!state.fold_is_due() && !state.fold().unwrap());
    assert_eq!(run.disk.operations(), before);
}

#[test]
fn one_process_at_a_time() {
    let run = Run::new(1);
    let held = open_state(&run.disk, 1).unwrap();
    let refused = open_state(&run.disk, 2).unwrap_err();
    assert_eq!((refused.remedy(), matches!(refused, StateError::InUse { .. })), (Remedy::Stop, true));
    drop(held);
    open_state(&run.disk, 3).unwrap();
}
