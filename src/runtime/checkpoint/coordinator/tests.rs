use super::*;
use crate::dataflow::{Buffer, Retry, Sink, SinkError};
use crate::runtime::checkpoint::{Bell, Outlet, OutletOptions, ReturnWay};
use crate::state::disk::{Disk, SimulatedDisk};
use crate::state::{self, KeyGroup, NodeId, OnCorruption, OpenOptions, StateKey, StateLimits};
use crate::time::{Env, Random, Timestamp, VirtualClock};

/// How often checkpoints are taken, and how much may be written.
#[derive(Clone, Copy)]
struct Pace {
    checkpoint: Checkpointing,
    bytes_per_day: Option<u64>,
    disk_bytes: Option<u64>,
}

const fn every(every: Millis) -> Checkpointing {
    Checkpointing { every, min_pause: None, timeout: None, tolerated_failures: None }
}

/// A coordinator of one worker, on a disk of its own, and the time.
struct Kept {
    coordinator: Coordinator,
    barrier: Arc<Barrier>,
    clock: VirtualClock,
    disk: Arc<SimulatedDisk>,
}

impl Kept {
    fn new(pace: Pace) -> Kept {
        Kept::before(pace, &[])
    }

    /// With output that goes by these.
    fn before(pace: Pace, outlets: &[&Outlet]) -> Kept {
        let simulated = Arc::new(SimulatedDisk::new(1));
        let disk: Arc<dyn Disk> = simulated.clone();
        let limits = StateLimits { segment_bytes: 64 << 10, ..StateLimits::default() };
        let on_corruption = OnCorruption::Refuse;
        let how = OpenOptions { limits, on_corruption, entropy: 1, now: Timestamp(0) };
        let (backend, _) = state::open(&disk, &how).unwrap();
        let clock = VirtualClock::new(Timestamp(0));
        let delivery = |(number, outlet): (u32, &&Outlet)| {
            let ids = (dataflow::NodeId(number as u16), NodeId(number));
            let way = ReturnWay { journal: None, path: Default::default() };
            Delivery::new(ids, (Outlet::clone(outlet), way), &backend, &clock).unwrap()
        };
        let deliveries = (10..).zip(outlets).map(delivery).collect();
        let barrier = Arc::new(Barrier::new(1, Epoch(0)));
        let Pace { checkpoint, bytes_per_day, disk_bytes } = pace;
        let folder = "data".into();
        let keeping = Keeping {
            backend,
            folder,
            spilling: None,
            on_doubt: OnDoubt::Ask,
            bytes_per_day,
            disk_bytes,
            may_drop: Vec::new(),
            dead_letters: None,
        };
        let with = Coordinating {
            keeping,
            pipeline: "p".to_owned(),
            ids: Arc::default(),
            barrier: barrier.clone(),
            deliveries,
            feeds: Vec::new(),
            checkpoint,
            gone: Vec::new(),
            surplus: Vec::new(),
            dead_letters: None,
        };
        Kept { coordinator: Coordinator::new(with, clock.elapsed()), barrier, clock, disk: simulated }
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
    let mut free = Kept::new(Pace { checkpoint: every(interval), bytes_per_day: None, disk_bytes: None });
    let mut bound =
        Kept::new(Pace { checkpoint: every(interval), bytes_per_day: Some(100 << 20), disk_bytes: None });
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
    let pace = Pace { checkpoint: every(Millis(1_000)), bytes_per_day: None, disk_bytes: Some(1 << 20) };
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
    kept.coordinator.keeping.disk_bytes = Some(64 << 20);
    kept.checkpoint(10);
    assert!(!kept.barrier.is_held_back());
}

#[test]
fn what_no_worker_has_saved_is_never_called_durable() {
    let mut kept =
        Kept::new(Pace { checkpoint: every(Millis(1_000)), bytes_per_day: None, disk_bytes: None });
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

/// A target that does as it is told, and tells what it was given.
#[derive(Clone, Default)]
struct Target(Arc<std::sync::Mutex<Told>>);

#[derive(Default)]
struct Told {
    away: bool,
    broken: bool,
    full: bool,
    written: Vec<u8>,
}

impl Target {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().unwrap()
    }

    fn outlet(&self, delivery: crate::config::Delivery) -> Outlet {
        let exactly_once = delivery == crate::config::Delivery::ExactlyOnce;
        let (name, buffer) = ("out".to_owned(), Buffer::of(delivery));
        let retry = Retry { attempts: Some(5), ..Retry::default() };
        let options =
            OutletOptions { name, exactly_once, marked: None, buffer, retry, bell: Bell::default() };
        Outlet::new(Box::new(self.clone()), options)
    }
}

impl Sink for Target {
    fn open(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if self.told().broken {
            return Err(SinkError::Failed("broken".to_owned()));
        }
        self.told().written.extend_from_slice(bytes);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.told().full { Err(SinkError::Away("full".to_owned())) } else { Ok(()) }
    }

    fn is_ready(&self) -> bool {
        !self.told().away
    }
}

const SECOND: Pace = Pace { checkpoint: every(Millis(1_000)), bytes_per_day: None, disk_bytes: None };

#[test]
fn the_end_does_not_wait_for_a_sink_that_failed() {
    let target = Target::default();
    let mut outlet = target.outlet(crate::config::Delivery::ExactlyOnce);
    let mut kept = Kept::before(SECOND, &[&outlet]);
    outlet.write(b"a").unwrap();
    target.told().broken = true;
    kept.coordinator.finish(&kept.clock, Part::default(), &|| true).unwrap();
    assert!(outlet.close(&|| false).is_err(), "whoever writes hears of it");
    assert_eq!(kept.coordinator.backend().undelivered(NodeId(10)).count(), 1, "the next run has it");
}

#[test]
fn output_keeps_its_order_while_the_disk_is_full() {
    let target = Target::default();
    let mut outlet = target.outlet(crate::config::Delivery::AtLeastOnce);
    let mut kept = Kept::before(SECOND, &[&outlet]);
    target.told().away = true;
    outlet.write(b"a").unwrap();
    while kept.barrier.requested() == kept.barrier.released() {
        kept.coordinator.step(&kept.clock).unwrap();
        kept.clock.advance(Millis(10));
    }
    kept.barrier.deposit(kept.barrier.requested(), Part::default(), || outlet.cut());
    kept.disk.set_room(Some(0));
    (0..5).for_each(|_| _ = kept.coordinator.step(&kept.clock).unwrap());
    assert!(kept.barrier.is_held_back());
    target.told().away = false;
    kept.coordinator.step(&kept.clock).unwrap();
    outlet.write(b"b").unwrap();
    kept.disk.set_room(None);
    for _ in 0..20 {
        kept.clock.advance(Millis(50));
        kept.coordinator.step(&kept.clock).unwrap();
    }
    kept.barrier.deposit(kept.barrier.requested(), Part::default(), || outlet.cut());
    while kept.coordinator.step(&kept.clock).unwrap() {}
    assert_eq!(target.told().written, b"ab");
}

#[test]
fn output_goes_on_without_a_checkpoint_when_there_is_room() {
    let target = Target::default();
    let mut outlet = target.outlet(crate::config::Delivery::AtLeastOnce);
    let mut kept = Kept::before(SECOND, &[&outlet]);
    target.told().away = true;
    outlet.write(b"a").unwrap();
    outlet.write(b"b").unwrap();
    assert!(!kept.coordinator.step(&kept.clock).unwrap() && outlet.is_holding());
    assert!(kept.coordinator.rest(kept.clock.elapsed()) < Millis(10), "the target is looked at");
    target.told().away = false;
    assert!(kept.coordinator.step(&kept.clock).unwrap() && !outlet.is_holding());
    outlet.write(b"c").unwrap();
    assert_eq!(target.told().written, b"abc");
    assert_eq!(kept.barrier.requested(), Epoch(0), "nobody asked for a checkpoint");
    assert_eq!(kept.coordinator.rest(kept.clock.elapsed()), Millis(1_000), "nothing is to do before");
}

#[test]
fn a_long_queue_is_found_in_the_log() {
    let target = Target::default();
    let mut outlet = target.outlet(crate::config::Delivery::ExactlyOnce);
    let mut kept = Kept::before(Pace { checkpoint: every(Millis(10)), ..SECOND }, &[&outlet]);
    target.told().away = true;
    let mut expected = Vec::new();
    for number in 0..1_100u32 {
        let line = format!("{number}\n").into_bytes();
        outlet.write(&line).unwrap();
        expected.extend_from_slice(&line);
        outlet.cut();
        kept.checkpoint(1);
    }
    target.told().away = false;
    while kept.coordinator.step(&kept.clock).unwrap() {}
    assert!(target.told().written == expected);
    assert_eq!(kept.coordinator.handle().figures().sinks[0].undelivered, 0);
}

#[test]
fn a_target_is_given_up_after_so_many_tries() {
    for delivery in [crate::config::Delivery::AtLeastOnce, crate::config::Delivery::ExactlyOnce] {
        let target = Target::default();
        let mut outlet = target.outlet(delivery);
        let mut kept = Kept::before(SECOND, &[&outlet]);
        target.told().full = true;
        outlet.write(b"a").unwrap();
        // What was held is delivered once it is durable.
        if outlet.options().exactly_once {
            outlet.cut();
            kept.checkpoint(1);
        }
        for _ in 0..1_000 {
            kept.clock.advance(Millis(10));
            kept.coordinator.step(&kept.clock).unwrap();
        }
        let error = outlet.flush().unwrap_err().to_string();
        assert_eq!(error, "full; it was tried 5 times again, as `retry` says");
    }
}

#[test]
fn what_a_worker_keeps_for_itself_is_written_if_anything_was_read() {
    let mut kept = Kept::new(SECOND);
    for (was_fed, written) in [(false, 0), (false, 0), (true, 1), (false, 1)] {
        while kept.barrier.requested() == kept.barrier.released() {
            kept.coordinator.step(&kept.clock).unwrap();
            kept.clock.advance(Millis(10));
        }
        let mut entries = Vec::new();
        let env = Env { now: Timestamp(0), elapsed: Millis(0), random: Random::seeded(1) };
        dataflow::Saving::new(NodeId(1), 0, &env, &mut entries).put_own(b"", |value| value.push(1));
        let part = Part { entries, was_fed, ..Part::default() };
        kept.barrier.deposit(kept.barrier.requested(), part, || {});
        while kept.coordinator.step(&kept.clock).unwrap() {}
        assert_eq!(kept.coordinator.figures().written, written);
        assert!(kept.coordinator.gathered.entries.len() <= 1, "no more than there are keys");
    }
}

#[test]
fn a_key_that_keeps_too_much_is_named() {
    let mut kept =
        Kept::new(Pace { checkpoint: every(Millis(1_000)), bytes_per_day: None, disk_bytes: None });
    let new = vec![state::Node { id: NodeId(1), name: "w/2".to_owned(), shape: state::ShapeHash(1) }];
    kept.coordinator.ids = Arc::new(StateIds { new, ..StateIds::default() });
    kept.clock.advance(Millis(1_000));
    kept.coordinator.step(&kept.clock).unwrap();
    let key = StateKey::new(NodeId(1), KeyGroup(0), b"\x02\x05\x01\0\0\0a");
    let value = Some(vec![0; state::VALUE_LIMIT + 1].into_boxed_slice());
    let part = Part { entries: vec![Entry { key, value }], ..Part::default() };
    kept.barrier.deposit(kept.barrier.requested(), part, || {});
    let refused = loop {
        if let Err(error) = kept.coordinator.step(&kept.clock) {
            break error;
        }
    };
    assert_eq!(refused.remedy(), Remedy::Stop);
    let said = "node `w` keeps 1073741825 bytes by the key [\"a\"], beyond the limit of 1073741824: have it keep less";
    assert!(refused.to_string().starts_with(said), "{refused}");
}

#[test]
fn room_is_given_back_while_nothing_is_written() {
    let interval = Millis(3_600_000);
    let mut kept = Kept::new(Pace { checkpoint: every(interval), bytes_per_day: None, disk_bytes: None });
    for value in [Some(vec![7; 50_000].into_boxed_slice()), None] {
        let key = |number: u32| StateKey::new(NodeId(1), KeyGroup(0), &number.to_be_bytes());
        let entries = (0..400).map(|number| Entry { key: key(number), value: value.clone() }).collect();
        let backend = kept.coordinator.backend();
        let checkpoint = Checkpoint { epoch: backend.epoch().next(), entries, ..Checkpoint::default() };
        backend.commit(state::Changes { checkpoint: Some(checkpoint), ..state::Changes::default() }).unwrap();
        backend.fold().unwrap();
    }
    let full = kept.coordinator.backend().disk_bytes().unwrap();
    kept.clock.advance(Millis(599_000));
    kept.coordinator.step(&kept.clock).unwrap();
    assert_eq!(kept.coordinator.backend().disk_bytes().unwrap(), full);
    let view = kept.coordinator.backend().view().unwrap();
    kept.clock.advance(Millis(2_000));
    kept.coordinator.step(&kept.clock).unwrap();
    assert_eq!(kept.coordinator.backend().disk_bytes().unwrap(), full, "somebody reads it");
    drop(view);
    kept.coordinator.step(&kept.clock).unwrap();
    let small = kept.coordinator.backend().disk_bytes().unwrap();
    assert!(small < full / 4, "{full} {small}");
    assert_eq!(kept.coordinator.handle().figures().disk_bytes, small);
    let operations = kept.disk.operations();
    kept.clock.advance(Millis(700_000));
    kept.coordinator.step(&kept.clock).unwrap();
    assert_eq!(kept.disk.operations(), operations, "once in a rest");
}

#[test]
fn pauses_and_failures_are_as_they_are_asked_for() {
    let options = Checkpointing {
        min_pause: Some(Millis(700)),
        timeout: Some(Millis(2_000)),
        tolerated_failures: Some(1),
        ..every(Millis(1_000))
    };
    let mut kept = Kept::new(Pace { checkpoint: options, bytes_per_day: None, disk_bytes: None });
    // One that ends late is followed by a pause.
    kept.clock.advance(Millis(1_000));
    kept.coordinator.step(&kept.clock).unwrap();
    kept.clock.advance(Millis(1_900));
    kept.checkpoint(10);
    let pause = kept.checkpoint(10);
    assert!((Millis(690)..=Millis(720)).contains(&pause), "{pause}");
    // One that no worker answers in time has failed once, and finds no room on the disk then: that is too much.
    while kept.barrier.requested() == kept.barrier.released() {
        kept.coordinator.step(&kept.clock).unwrap();
        kept.clock.advance(Millis(100));
    }
    kept.clock.advance(Millis(2_100));
    kept.coordinator.step(&kept.clock).unwrap();
    assert_eq!(kept.coordinator.figures().failures, 1);
    kept.disk.set_room(Some(0));
    let key = StateKey::new(NodeId(1), KeyGroup(0), b"\x05key");
    let part = Part { entries: vec![Entry { key, value: Some([1].into()) }], ..Part::default() };
    kept.barrier.deposit(kept.barrier.requested(), part, || {});
    let refused = (0..3).find_map(|_| kept.coordinator.step(&kept.clock).err());
    assert!(refused.is_some_and(|error| error.is_full()));
}
