//! The machine: its clock, its disks, its power.

use crate::coverage::Coverage;
use headwater::state::disk::SimulatedDisk;
use headwater::state::disk::simulated::{Fault, Moment};
use headwater::time::{Clock, Millis, Timestamp, VirtualClock};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// What unwinds a process whose power went while it waited.
pub struct PowerCut;

/// Something outside that goes on as time passes.
pub trait Outside: Send + Sync {
    fn tend(&self);
}

/// A machine that pipelines run on, one life after the other.
pub struct World {
    /// Where the pipeline keeps its state: another disk once that is restored elsewhere.
    state: Mutex<SimulatedDisk>,
    /// Where files of its sinks are.
    pub files: SimulatedDisk,
    clock: VirtualClock,
    /// When this life of the machine began.
    born: AtomicI64,
    off: AtomicBool,
    /// Until when the disk is full, if it is.
    full_until: AtomicI64,
    outside: Mutex<Vec<Weak<dyn Outside>>>,
    pub coverage: Coverage,
    trace: bool,
}

impl World {
    pub fn new(seed: u64, trace: bool) -> Arc<World> {
        Arc::new(World {
            state: Mutex::new(SimulatedDisk::new(seed)),
            files: SimulatedDisk::new(seed ^ 1),
            clock: VirtualClock::new(Timestamp(1_800_000_000_000)),
            born: AtomicI64::new(0),
            off: AtomicBool::new(false),
            full_until: AtomicI64::new(i64::MIN),
            outside: Mutex::default(),
            coverage: Coverage::default(),
            trace,
        })
    }

    /// Where the pipeline keeps its state.
    pub fn state(&self) -> SimulatedDisk {
        self.state.lock().unwrap().clone()
    }

    /// From now on state is kept on another disk.
    pub fn move_to(&self, disk: SimulatedDisk) {
        *self.state.lock().unwrap() = disk;
    }

    /// Something has happened that a seed should see.
    pub fn note(&self, what: &'static str) {
        self.coverage.note(what);
    }

    /// Says what happens, where somebody replays a seed.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>8} {}", self.age().0, what());
        }
    }

    /// Adds something that goes on as time passes.
    pub fn add(&self, outside: Weak<dyn Outside>) {
        self.outside.lock().unwrap().push(outside);
    }

    /// Time since the beginning of everything.
    pub fn age(&self) -> Millis {
        self.clock.elapsed()
    }

    /// Lets time pass.
    pub fn advance(&self, span: Millis) {
        self.clock.advance(span);
        if self.full_until.load(Ordering::Relaxed) <= self.age().0 {
            self.state().set_room(None);
        }
        let outside: Vec<_> = self.outside.lock().unwrap().iter().filter_map(Weak::upgrade).collect();
        outside.iter().for_each(|outside| outside.tend());
    }

    /// Somebody sets the time of day.
    pub fn jump(&self, by: Millis) {
        self.clock.set(self.clock.wall() + by);
    }

    /// The disk has so little room for a while.
    pub fn fill_disk(&self, room: usize, span: Millis) {
        self.state().set_room(Some(room));
        self.full_until.store((self.age() + span).0, Ordering::Relaxed);
    }

    /// The power goes now.
    pub fn cut_power(&self) {
        self.off.store(true, Ordering::Relaxed);
        let disk = self.state();
        disk.fail_at(Moment::Operation(disk.operations()), Fault::PowerCut);
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed) || self.state().is_off()
    }

    /// The machine comes back.
    pub fn restart(&self) {
        self.state().restart();
        self.files.restart();
        self.state().set_room(None);
        self.off.store(false, Ordering::Relaxed);
        self.born.store(self.age().0, Ordering::Relaxed);
    }

    /// Another process begins on the same machine.
    pub fn begin_process(&self) {
        self.born.store(self.age().0, Ordering::Relaxed);
    }
}

impl Clock for World {
    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    fn elapsed(&self) -> Millis {
        Millis(self.age().0 - self.born.load(Ordering::Relaxed))
    }

    fn wait(&self, span: Millis) {
        if self.is_off() {
            std::panic::resume_unwind(Box::new(PowerCut));
        }
        self.advance(span);
    }

    fn synchronised(&self) -> bool {
        true
    }

    fn entropy(&self) -> u64 {
        self.clock.entropy()
    }
}
