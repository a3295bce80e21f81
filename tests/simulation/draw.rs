//! What a seed decides.

use headwater::time::Random;

/// Random decisions, the same for the same seed.
pub struct Draw(Random);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(Random::seeded(seed))
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        ((self.0.bits() >> 8) % limit as u64) as usize
    }

    /// A number from `low` up to `high`, both possible.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    /// True so many times in a thousand.
    pub fn often(&mut self, per_mille: usize) -> bool {
        self.below(1000) < per_mille
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A seed for decisions of another kind: what one kind draws does not move the others.
    pub fn seed(&mut self) -> u64 {
        self.0.bits()
    }
}
