//! Dense numbers for keys.

use ahash::RandomState;
use hashbrown::HashMap;

/// Numbers keys in the order in which they first come.
#[derive(Default)]
pub struct Keys {
    numbers: HashMap<Box<[u8]>, u32, RandomState>,
    /// The keys by number.
    pub names: Vec<Box<[u8]>>,
}

impl Keys {
    /// The number of a key.
    #[inline(always)]
    pub fn number(&mut self, key: &[u8]) -> usize {
        match self.numbers.get(key) {
            Some(&number) => number as usize,
            None => self.add(key),
        }
    }

    #[cold]
    fn add(&mut self, key: &[u8]) -> usize {
        let number = self.names.len();
        self.numbers.insert(key.into(), number as u32);
        self.names.push(key.into());
        number
    }
}
