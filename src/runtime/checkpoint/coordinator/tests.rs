use super::*;
use crate::state::disk::{Disk, SimulatedDisk};
use crate::state::{self, KeyGroup, NodeId, OnCorruption, OpenOptions, StateKey, StateLimits};
use crate::time::{Timestamp, VirtualClock};

/// A coordinator of one worker, on a disk of its own, and the time.
struct Kept {
    coordinator: Coordinator,
    barrier: Arc<Barrier>,
    clock: VirtualClock,
}

impl Kept {
    fn new(pace: Pace) -> Kept {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new(1));
        let limits = StateLimits { segment_bytes: 64 << 10, ..StateLimits::default() };
        let on_corruption = OnCorruption::Refuse;
        let how = OpenOptions { limits, on_corruption, entropy: 1, now: Timestamp(0) };
        let (backend, _) = state::open(&disk, &how).unwrap();
        let barrier = Arc::new(Barrier::new(1, Epoch(0)));
        let with = Coordinating {
            backend,
            ids: Arc::default(),
            barrier: barrier.clone(),
            deliveries: Vec::new(),
            feeds: Vec::new(),
            pace,
            gone: Vec::new(),
            surplus: Vec::new(),
            dead_letters: None,
        };
        let clock = VirtualClock::new(Timestamp(0));
        Kept { coordinator: Coordinator::new(with, clock.elapsed()), barrier, clock }
    }

    /// Time passes until the next checkpoint, of that many bytes: how much.
    fn checkpoint(&mut self, bytes: usize) -> Millis {
        let begun = self.clock.elapsed();
        while self.barrier.requested() == self.barrier.released() {
            self.coordinator.step(&self.clock).unwrap();
            self.clock.advance(Millis(10));
        }
        let epoch = self.barrier.requested();
        let key = StateKey::new(NodeId(1), KeyGroup(0), b"\x05key");
        let value = Some(vec![7; bytes].into_boxed_slice());
        let part = Part { entries: vec![Entry { key, value }], ..Part::default() };
        self.barrier.deposit(epoch, part, || {});
        while self.coordinator.step(&self.clock).unwrap() {}
        assert_eq!(self.barrier.committed(), epoch);
        self.clock.elapsed() - begun
    }
}

#[test]
fn a_budget_of_writes_makes_checkpoints_rare() {
    let interval = Millis(1_000);
    let mut free = Kept::new(Pace { interval, bytes_per_day: None, disk_bytes: None });
    let mut bound = Kept::new(Pace { interval, bytes_per_day: Some(100 << 20), disk_bytes: None });
    for kept in [&mut free, &mut bound] {
        (0..3).for_each(|_| _ = kept.checkpoint(100_000));
    }
    assert!(free.checkpoint(100_000) <= Millis(1_010));
    // A checkpoint of 100 kB is a thousandth of the budget: a thousandth of a day.
    let span = bound.checkpoint(100_000);
    assert!((Millis(80_000)..Millis(90_000)).contains(&span), "{span}");
    let figures = bound.coordinator.handle().figures();
    assert!((100_000..110_000).contains(&figures.checkpoints.bytes), "{figures:?}");
    assert!(figures.written_bytes > 400_000 && figures.checkpoints.epoch == Epoch(4), "{figures:?}");
    // Who asks is not made to wait for the budget.
    let (sender, receiver) = std::sync::mpsc::channel();
    bound.coordinator.ask(sender);
    assert!(bound.checkpoint(10) <= Millis(20));
    assert_eq!(receiver.recv().unwrap().epoch, Epoch(5));
}

#[test]
fn a_directory_that_is_too_large_holds_sources_back() {
    let pace = Pace { interval: Millis(1_000), bytes_per_day: None, disk_bytes: Some(1 << 20) };
    let mut kept = Kept::new(pace);
    // What is replaced goes as soon as it must: one value a time fits.
    for _ in 0..30 {
        kept.checkpoint(100_000);
        assert!(!kept.barrier.is_held_back());
        assert!(kept.coordinator.handle().figures().disk_bytes <= 1 << 20);
    }
    kept.checkpoint(2 << 20);
    assert!(kept.barrier.is_held_back());
    assert!(kept.coordinator.handle().figures().disk_bytes > 1 << 20);
    kept.coordinator.pace.disk_bytes = Some(64 << 20);
    kept.checkpoint(10);
    assert!(!kept.barrier.is_held_back());
}

#[test]
fn what_no_worker_has_saved_is_never_called_durable() {
    let mut kept = Kept::new(Pace { interval: Millis(1_000), bytes_per_day: None, disk_bytes: None });
    kept.checkpoint(10);
    while kept.barrier.requested() == kept.barrier.released() {
        kept.coordinator.step(&kept.clock).unwrap();
        kept.clock.advance(Millis(10));
    }
    // The disk fails by something else meanwhile.
    let full = StateError::disk("writing frames", std::io::Error::from(std::io::ErrorKind::StorageFull));
    kept.coordinator.fail_or_wait(full, kept.clock.elapsed()).unwrap();
    assert!(kept.barrier.is_held_back());
    for _ in 0..10 {
        kept.clock.advance(Millis(50));
        kept.coordinator.step(&kept.clock).unwrap();
    }
    assert_eq!((kept.barrier.requested(), kept.barrier.committed()), (Epoch(2), Epoch(1)));
    kept.checkpoint(10);
    assert_eq!((kept.barrier.committed(), kept.barrier.is_held_back()), (Epoch(2), false));
}
