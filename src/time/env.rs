//! What enters a pass over a batch from outside: the time of day and randomness.

use super::{Millis, Timestamp};

/// Handed down from the rim, so that a test or simulation owns both.
#[derive(Clone, Debug)]
pub struct Env {
    /// Processing time at which this pass began.
    pub now: Timestamp,
    /// The same moment on the clock that never goes back, see [`super::Clock::elapsed`].
    pub elapsed: Millis,
    /// The source of randomness.
    pub random: Random,
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, reproducible from its seed. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to a seed.
    pub fn seeded(seed: u64) -> Random {
        Random(seed)
    }

    /// The seed of what is still to come of the sequence.
    pub fn rest(&self) -> u64 {
        self.0
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}
