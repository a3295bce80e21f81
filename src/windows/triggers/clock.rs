//! The clock that processing-time triggers go by: it never goes back, and stands still while the process is off.
//!
//! So a deadline on it holds across restarts, with the time that remained. Only where the clock stands has to be saved:
//! whenever a deadline is, and now and then.

use crate::event::bytes::{Malformed, Reader, put_signed};
use crate::time::{Env, Millis};

/// Where the clock stands.
pub struct Clock {
    /// How far it is ahead of that of the process, if it went on from a run before.
    ahead: Millis,
    /// Where it stood at the last tick or event.
    now: Millis,
    /// Where it stood when that was saved.
    saved: Millis,
    /// Whether a deadline was set since.
    is_due: bool,
    /// How much it may lose at an end that nobody saw coming: a tenth of the shortest span that is waited for, so that
    /// while one is, it is saved ten times at the most.
    grain: Millis,
}

impl Clock {
    /// The clock of the process. `span` is the shortest that is waited for.
    pub fn new(span: Millis) -> Clock {
        let grain = Millis((span.0 / 10).max(1));
        Clock { ahead: Millis::ZERO, now: Millis::ZERO, saved: Millis::ZERO, is_due: false, grain }
    }

    /// Reads it.
    pub fn read(&mut self, env: &Env) -> Millis {
        self.now = self.now.max(Millis(env.elapsed.0.saturating_add(self.ahead.0)));
        self.now
    }

    /// A deadline was set: where the clock stands has to be saved with it.
    pub fn note(&mut self) {
        self.is_due = true;
    }

    /// Before it is saved; `waits` says whether there are deadlines.
    pub fn settle(&mut self, waits: bool) {
        let lapsed = self.now.0.saturating_sub(self.saved.0) >= self.grain.0;
        if self.is_due || waits && lapsed {
            (self.saved, self.is_due) = (self.now, false);
        }
    }

    /// Appends where it stands.
    pub fn save(&self, into: &mut Vec<u8>) {
        put_signed(into, self.saved.0);
    }

    /// Goes on from where it stood, as one worker after the other says; `is_own` if what this one saved is meant. Whoever
    /// saved last knows best, also for workers that did not wait: clocks of all go alike, as deadlines may come to others.
    pub fn load(&mut self, from: &mut Reader<'_>, is_own: bool, env: &Env) -> Result<(), Malformed> {
        let stood = Millis(from.signed()?);
        if is_own {
            self.saved = self.saved.max(stood);
        }
        if stood > self.now {
            self.ahead = Millis(stood.0.saturating_sub(env.elapsed.0));
            self.now = stood;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Random, Timestamp};

    fn env(elapsed: i64) -> Env {
        Env { now: Timestamp(0), elapsed: Millis(elapsed), random: Random::seeded(1) }
    }

    #[test]
    fn time_off_does_not_count() {
        let mut clock = Clock::new(Millis(10_000));
        assert_eq!(clock.read(&env(5_000)), Millis(5_000));
        clock.note();
        clock.settle(true);
        let mut bytes = Vec::new();
        clock.save(&mut bytes);
        for elapsed in [0, 900_000] {
            let mut again = Clock::new(Millis(10_000));
            again.load(&mut Reader::new(&bytes), true, &env(elapsed)).unwrap();
            assert_eq!(again.read(&env(elapsed + 1_000)), Millis(6_000));
        }
    }

    #[test]
    fn it_is_saved_with_deadlines_and_now_and_then() {
        let mut clock = Clock::new(Millis(10_000));
        let mut stands = |elapsed, waits| {
            clock.read(&env(elapsed));
            clock.settle(waits);
            clock.saved.0
        };
        assert_eq!([stands(999, true), stands(1_000, false), stands(1_001, true)], [0, 0, 1_001]);
        assert_eq!(stands(2_000, true), 1_001);
    }
}
