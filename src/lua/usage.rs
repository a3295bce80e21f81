//! What a script uses, at all places and on all workers together.

use crate::time::{Clock, SystemClock};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Of so many calls one is timed.
const TIMED: u64 = 8;
/// How long a machine keeps what it has counted to itself, in nanoseconds.
const EVERY: u64 = 100_000_000;

/// What a script uses; its machines tell it now and then.
#[derive(Debug, Default)]
pub struct Usage {
    calls: AtomicU64,
    nanos: AtomicU64,
    memory: AtomicI64,
    breaches: AtomicU64,
}

/// What a script has used by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How often it was called.
    pub calls: u64,
    /// How long that took, in nanoseconds, as calls that were timed say for the others.
    pub nanos: u64,
    /// Bytes that its interpreters hold.
    pub memory: u64,
    /// How often it went over its budget.
    pub breaches: u64,
}

impl Used {
    /// Adds what another one has used.
    pub fn add(&mut self, other: Used) {
        self.calls += other.calls;
        self.nanos += other.nanos;
        self.memory += other.memory;
        self.breaches += other.breaches;
    }
}

impl Usage {
    /// What was told by now: calls of the last tenth of a second may be missing, and those behind the last one timed.
    pub fn read(&self) -> Used {
        Used {
            calls: self.calls.load(Relaxed),
            nanos: self.nanos.load(Relaxed),
            memory: u64::try_from(self.memory.load(Relaxed)).unwrap_or_default(),
            breaches: self.breaches.load(Relaxed),
        }
    }
}

/// Counts what one machine uses, and tells it in groups of calls.
pub(super) struct Tally {
    usage: Arc<Usage>,
    clock: SystemClock,
    calls: Cell<u64>,
    /// How many of them were timed, and what these took together.
    timed: Cell<u64>,
    nanos: Cell<u64>,
    /// Bytes that were told.
    memory: Cell<i64>,
    /// When it told last.
    told: Cell<u64>,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(usage: Arc<Usage>) -> Tally {
        Tally {
            usage,
            clock: SystemClock::new(),
            calls: Cell::default(),
            timed: Cell::default(),
            nanos: Cell::default(),
            memory: Cell::default(),
            told: Cell::default(),
        }
    }

    /// A call begins. Gives the time, and how many calls there were before, if it is to be timed.
    pub fn begin(&self) -> Option<(u64, u64)> {
        let calls = self.calls.get();
        self.calls.set(calls + 1);
        calls.is_multiple_of(TIMED).then(|| (self.clock.nanos(), calls))
    }

    /// Another call begins where one has ended.
    pub fn next(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    /// A call that began then has ended, and those that followed it at once. `memory` says what the machine holds.
    pub fn end(&self, began: Option<(u64, u64)>, memory: impl FnOnce() -> usize) {
        let Some((began, before)) = began else { return };
        let now = self.clock.nanos();
        self.timed.set(self.timed.get() + (self.calls.get() - before));
        self.nanos.set(self.nanos.get() + now.saturating_sub(began));
        if self.told.get() == 0 || now.saturating_sub(self.told.get()) >= EVERY {
            self.told.set(now);
            self.tell(memory());
        }
    }

    /// A budget was exceeded.
    pub fn breached(&self) {
        self.usage.breaches.fetch_add(1, Relaxed);
    }

    /// Tells what was counted, and what the machine holds now.
    pub fn tell(&self, memory: usize) {
        let memory = i64::try_from(memory).unwrap_or(i64::MAX);
        self.usage.memory.fetch_add(memory - self.memory.replace(memory), Relaxed);
        // The next call is the first of a group, and timed.
        let (calls, timed, nanos) = (self.calls.take(), self.timed.take(), self.nanos.take());
        self.usage.calls.fetch_add(calls, Relaxed);
        // Those that were timed stand for the others.
        self.usage.nanos.fetch_add((nanos / timed.max(1)).saturating_mul(calls), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use crate::lua::{Budget, Machine, Script, Setup};

    #[test]
    fn machines_of_a_script_tell_together() {
        let text = "kept = {} function keep(n) kept[#kept + 1] = ('x'):rep(n) end function hang() while true do end end";
        let script = Script::inline("a", text, None);
        let load = || Machine::load(&script, Budget::default(), &Setup::default()).unwrap();
        let [one, other] = [load(), load()];
        let base = script.usage.read();
        assert!(base.memory > 10_000 && base.breaches == 0, "{base:?}");
        for machine in [&one, &other] {
            let keep = machine.global_function("keep").unwrap();
            (0..100).for_each(|_| machine.call(|_| keep.call::<()>(1_000)).unwrap());
        }
        let hang = other.global_function("hang").unwrap();
        assert!(other.call(|_| hang.call::<()>(())).is_err());
        drop((hang, one));
        drop(other);
        let used = script.usage.read();
        assert_eq!((used.calls, used.memory, used.breaches), (203, 0, 1), "{used:?}");
        assert!(used.nanos > 0);
    }
}
