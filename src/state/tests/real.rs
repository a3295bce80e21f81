//! The same on the file system of the machine.

use super::super::disk::{Disk, RealDisk};
use super::super::*;
use super::workload::*;
use crate::time::Random;
use std::sync::Arc;

#[test]
fn it_works_on_a_real_disk() {
    let folder = std::env::temp_dir().join(format!("headwater-state-{}", std::process::id()));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&folder).unwrap());
    let (mut random, mut view) = (Random::seeded(1), View::default());
    for start in 0..4 {
        let (mut state, recovery) = open(&disk, &options(OnCorruption::Refuse, start)).unwrap();
        assert_eq!((recovery.is_fresh, recovery.repairs), (start == 0, Vec::new()));
        assert!(open(&disk, &options(OnCorruption::Refuse, start)).is_err());
        assert_eq!(View::of(&state), view);
        for _ in 0..20 {
            let step = Step::draw(&mut random, &view, last_frame(&state));
            step.apply(&mut view);
            state.commit(step.changes()).unwrap();
        }
        state.fold().unwrap();
        assert_eq!(state.check().unwrap(), Checked::Good);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn it_may_be_given_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<StateBackend>();
}
