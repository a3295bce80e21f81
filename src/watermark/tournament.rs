//! The smallest of many keys that change one at a time.

/// A winner tree (Knuth, The Art of Computer Programming 3, 5.4.1): changing one of n keys and knowing the
/// smallest costs log n comparisons. Of equal keys the one with the lower number wins.
pub struct Tournament<K> {
    keys: Vec<K>,
    /// The tree as an array: node n has the children 2n and 2n+1, the root is 1, and the last `leaves` nodes
    /// are the keys themselves. A node holds the number of the winner below it.
    winners: Vec<u32>,
    leaves: usize,
    /// What a place without a key holds: not smaller than any key.
    last: K,
}

impl<K: Ord + Copy> Tournament<K> {
    /// A tournament without keys. `last` wins only where there is nothing else.
    pub fn new(last: K) -> Tournament<K> {
        Tournament { keys: Vec::new(), winners: vec![0, 0], leaves: 1, last }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds a key; it gets the next number.
    pub fn push(&mut self, key: K) {
        self.keys.push(key);
        let added = self.keys.len() - 1;
        if added >= self.leaves {
            self.leaves *= 2;
            self.rebuild();
        } else {
            self.replay(added);
        }
    }

    /// Forgets all keys from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.keys.truncate(len);
        self.rebuild();
    }

    /// A key.
    #[inline]
    pub fn get(&self, number: usize) -> K {
        self.keys[number]
    }

    /// Changes a key.
    #[inline]
    pub fn set(&mut self, number: usize, key: K) {
        self.keys[number] = key;
        if self.keys.len() > 1 {
            self.replay(number);
        }
    }

    /// The number of the smallest key; 0 if there is none.
    #[inline]
    pub fn winner(&self) -> usize {
        self.winners[1] as usize
    }

    /// The smallest key.
    #[inline]
    pub fn least(&self) -> K {
        self.key(self.winners[1])
    }

    fn key(&self, number: u32) -> K {
        self.keys.get(number as usize).copied().unwrap_or(self.last)
    }

    /// Plays the matches on the way from a leaf to the root again.
    fn replay(&mut self, number: usize) {
        let mut node = (self.leaves + number) / 2;
        while node > 0 {
            self.play(node);
            node /= 2;
        }
    }

    fn play(&mut self, node: usize) {
        let (left, right) = (self.winners[2 * node], self.winners[2 * node + 1]);
        self.winners[node] = if self.key(right) < self.key(left) { right } else { left };
    }

    fn rebuild(&mut self) {
        self.winners = vec![0; 2 * self.leaves];
        for leaf in 0..self.leaves {
            self.winners[self.leaves + leaf] = leaf as u32;
        }
        for node in (1..self.leaves).rev() {
            self.play(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_the_first_minimum(
            keys in prop::collection::vec(0u8..20, 1..40),
            changes in prop::collection::vec((0usize..40, 0u8..20), 0..80),
        ) {
            let mut model = Vec::new();
            let mut tournament = Tournament::new(u8::MAX);
            let check = |tournament: &Tournament<u8>, model: &[u8]| {
                let least = (0..model.len()).min_by_key(|&i| (model[i], i)).unwrap();
                assert_eq!(tournament.winner(), least);
                assert_eq!(tournament.least(), model[least]);
            };
            for key in keys {
                model.push(key);
                tournament.push(key);
                check(&tournament, &model);
            }
            for (number, key) in changes {
                let number = number % model.len();
                model[number] = key;
                tournament.set(number, key);
                check(&tournament, &model);
            }
        }
    }

    #[test]
    fn without_keys_the_last_wins() {
        let mut tournament = Tournament::new(9);
        assert_eq!((tournament.least(), tournament.is_empty()), (9, true));
        tournament.push(3);
        assert_eq!((tournament.least(), tournament.len(), tournament.get(0)), (3, 1, 3));
        tournament.push(2);
        tournament.truncate(1);
        assert_eq!((tournament.least(), tournament.winner()), (3, 0));
        tournament.push(2);
        assert_eq!((tournament.least(), tournament.winner()), (2, 1));
    }
}
