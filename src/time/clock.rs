//! The one place where the time of day, waiting and randomness come in from outside.

use super::{Millis, Random, Timestamp};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What tells the time. A test or simulation brings its own, see [`VirtualClock`].
pub trait Clock: Send + Sync {
    /// The time of day. May jump, also backwards.
    fn wall(&self) -> Timestamp;

    /// Time since the clock was made; never goes back.
    fn elapsed(&self) -> Millis;

    /// The same in nanoseconds, as finely as the machine can tell: for measuring.
    fn nanos(&self) -> u64 {
        self.elapsed().0.max(0) as u64 * 1_000_000
    }

    /// Lets that much time pass.
    fn wait(&self, span: Millis);

    /// Lets that much time pass, or less: until somebody wakes this thread by [`std::thread::Thread::unpark`].
    fn doze(&self, span: Millis) {
        self.wait(span);
    }

    /// Whether the time of day can be relied on: a board without a clock battery starts in the past.
    fn synchronised(&self) -> bool;

    /// A random number to seed a [`Random`] with.
    fn entropy(&self) -> u64;

    /// One look at everything that a pass over a batch needs.
    fn read(&self) -> Reading {
        Reading { wall: self.wall(), elapsed: self.elapsed(), synchronised: self.synchronised() }
    }
}

/// One look at a [`Clock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The time of day.
    pub wall: Timestamp,
    /// Time since the clock was made.
    pub elapsed: Millis,
    /// Whether the time of day can be relied on.
    pub synchronised: bool,
}

/// No clock that is right shows an earlier time than that of the build (`SOURCE_DATE_EPOCH`, in seconds,
/// where the build sets it) or of this version.
pub const BUILD_TIME: Timestamp = match option_env!("SOURCE_DATE_EPOCH") {
    Some(seconds) => Timestamp(digits(seconds) * 1000),
    None => Timestamp(1_767_225_600_000), // 2026-01-01T00:00:00Z
};

/// The number that the leading digits of a text stand for.
const fn digits(text: &str) -> i64 {
    let (bytes, mut number, mut i) = (text.as_bytes(), 0, 0);
    while i < bytes.len() && bytes[i].is_ascii_digit() {
        number = number * 10 + (bytes[i] - b'0') as i64;
        i += 1;
    }
    number
}

/// How long an answer of the kernel that the clock is not synchronised holds.
const ASK_AGAIN: Millis = Millis(5_000);

/// The clocks of the machine.
pub struct SystemClock {
    start: Instant,
    /// Once synchronised a clock stays good enough: without its servers it drifts by seconds a day, and what
    /// depends on it are limits of minutes. The kernel's own flag falls back after some hours without an uplink.
    was_synchronised: AtomicBool,
    /// When the kernel was asked last, in elapsed milliseconds.
    asked: AtomicI64,
}

impl SystemClock {
    /// A clock whose elapsed time starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> SystemClock {
        SystemClock {
            start: Instant::now(),
            was_synchronised: AtomicBool::new(false),
            asked: AtomicI64::new(i64::MIN),
        }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp(millis(since)),
            Err(before) => Timestamp(-millis(before.duration())),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn elapsed(&self) -> Millis {
        Millis(millis(self.start.elapsed()))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wait(&self, span: Millis) {
        std::thread::sleep(Duration::from_millis(span.0.max(0) as u64));
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn doze(&self, span: Millis) {
        std::thread::park_timeout(Duration::from_millis(span.0.max(0) as u64));
    }

    /// The time is not before [`BUILD_TIME`], and the kernel or systemd say that it was set by a time server.
    /// Where neither can be asked (a container or sandbox without the permission) the clock is the host's,
    /// and the first condition alone decides.
    fn synchronised(&self) -> bool {
        if self.wall() < BUILD_TIME {
            return false;
        }
        if self.was_synchronised.load(Ordering::Relaxed) {
            return true;
        }
        let now = self.elapsed().0;
        if now < self.asked.load(Ordering::Relaxed).saturating_add(ASK_AGAIN.0) {
            return false;
        }
        self.asked.store(now, Ordering::Relaxed);
        let good = kernel_synchronised().unwrap_or(true) || systemd_synchronised();
        self.was_synchronised.store(good, Ordering::Relaxed);
        good
    }

    /// The standard library seeds its hash maps from the operating system's random numbers.
    fn entropy(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

/// Milliseconds of a duration; too long ones, hundreds of millions of years, are capped.
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The clock state that NTP daemons keep in the kernel; None where it may not be read.
fn kernel_synchronised() -> Option<bool> {
    // SAFETY: `timex` is plain integers, for which all zeroes are valid; zero `modes` only reads, which needs
    // no privilege; the kernel writes within the struct, which lives until the call is over.
    let (state, status) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&mut timex), timex.status)
    };
    (state >= 0).then_some(status & libc::STA_UNSYNC == 0)
}

/// systemd-timesyncd leaves this file once it has set the clock since boot.
fn systemd_synchronised() -> bool {
    std::path::Path::new("/run/systemd/timesync/synchronized").exists()
}

/// A clock that stands still unless told: for tests and simulation.
pub struct VirtualClock {
    wall: AtomicI64,
    elapsed: AtomicI64,
    synchronised: AtomicBool,
    draws: AtomicU64,
}

impl VirtualClock {
    /// A synchronised clock that shows `wall`.
    pub fn new(wall: Timestamp) -> VirtualClock {
        VirtualClock {
            wall: AtomicI64::new(wall.0),
            elapsed: AtomicI64::new(0),
            synchronised: AtomicBool::new(true),
            draws: AtomicU64::new(0),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, span: Millis) {
        self.elapsed.fetch_add(span.0, Ordering::Relaxed);
        self.set(self.wall() + span);
    }

    /// Sets the time of day, as a time server or an operator does; the elapsed time stays.
    pub fn set(&self, wall: Timestamp) {
        self.wall.store(wall.0, Ordering::Relaxed);
    }

    /// Says whether the time of day can be relied on.
    pub fn set_synchronised(&self, good: bool) {
        self.synchronised.store(good, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn wall(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Millis {
        Millis(self.elapsed.load(Ordering::Relaxed))
    }

    /// Waiting is what makes this clock go on.
    fn wait(&self, span: Millis) {
        self.advance(span);
    }

    fn synchronised(&self) -> bool {
        self.synchronised.load(Ordering::Relaxed)
    }

    /// The same numbers in every run.
    fn entropy(&self) -> u64 {
        Random::seeded(self.draws.fetch_add(1, Ordering::Relaxed)).bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_goes_on() {
        let clock = SystemClock::new();
        let before = clock.read();
        clock.wait(Millis(3));
        let after = clock.read();
        assert!(after.elapsed.0 >= before.elapsed.0 + 3);
        assert!(before.wall > BUILD_TIME, "the machine's clock is in the past");
        assert_ne!(clock.entropy(), clock.entropy());
    }

    #[test]
    fn a_doze_ends_when_the_thread_is_woken() {
        let clock = SystemClock::new();
        std::thread::current().unpark();
        clock.doze(Millis(60_000));
        assert!(clock.elapsed() < Millis(30_000));
    }

    #[test]
    fn being_synchronised_does_not_fall_back() {
        let clock = SystemClock::new();
        // The truth depends on the machine; that asking works and repeats itself does not.
        assert_eq!(clock.synchronised(), clock.synchronised());
        clock.was_synchronised.store(true, Ordering::Relaxed);
        assert!(clock.synchronised());
    }

    #[test]
    fn the_kernel_can_be_asked_without_privilege() {
        // None is right in a sandbox; a crash or an error is not.
        let _ = kernel_synchronised();
    }

    #[test]
    fn a_virtual_clock_moves_when_told() {
        let clock = VirtualClock::new(Timestamp(1_000));
        clock.wait(Millis(5));
        clock.advance(Millis(10));
        clock.set(Timestamp(7));
        clock.set_synchronised(false);
        let reading = clock.read();
        assert_eq!(reading, Reading { wall: Timestamp(7), elapsed: Millis(15), synchronised: false });
        assert_eq!(VirtualClock::new(Timestamp(0)).entropy(), VirtualClock::new(Timestamp(9)).entropy());
    }

    #[test]
    fn the_build_time_is_read_from_digits() {
        assert_eq!(digits("1767225600"), 1_767_225_600);
        assert_eq!(digits(""), 0);
    }
}
