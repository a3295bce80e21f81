//! How often something may happen.

use std::time::Duration;

/// A bucket that holds a second's worth and is filled evenly (the generic cell rate algorithm).
#[derive(Debug)]
pub struct Rate {
    /// Nanoseconds from one to the next.
    every: u64,
    /// When the bucket will be full again, in nanoseconds of the caller's clock.
    full: u64,
}

const SECOND: u64 = 1_000_000_000;

impl Rate {
    /// At most so many a second, which is at least one.
    pub fn per_second(most: u64) -> Rate {
        Rate { every: SECOND / most.clamp(1, SECOND), full: 0 }
    }

    /// Takes one out.
    ///
    /// # Errors
    /// How long there is none.
    pub fn take(&mut self, now: u64) -> Result<(), Duration> {
        let full = self.full.max(now) + self.every;
        match full - now <= SECOND {
            true => self.full = full,
            false => return Err(Duration::from_nanos(full - now - SECOND)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many() {
        let mut rate = Rate::per_second(10);
        let mut taken = |now: u64| (0..100).filter(|_| rate.take(now).is_ok()).count();
        assert_eq!([0, 0, SECOND / 2, SECOND, 5 * SECOND].map(&mut taken), [10, 0, 5, 5, 10]);
        assert_eq!(rate.take(5 * SECOND), Err(Duration::from_millis(100)));
        let mut slow = Rate::per_second(1);
        assert_eq!(
            [slow.take(0).is_ok(), slow.take(SECOND / 2).is_ok(), slow.take(SECOND).is_ok()],
            [true, false, true]
        );
    }
}
