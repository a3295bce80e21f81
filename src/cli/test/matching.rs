//! Pairs as many as possible: a maximum matching of two sides, by augmenting paths (Berge 1957, Kuhn 1955).

use std::collections::VecDeque;

/// Who is paired with whom.
pub struct Matching {
    /// The right partner of each on the left.
    right_of: Vec<Option<usize>>,
    /// The left partner of each on the right.
    left_of: Vec<Option<usize>>,
}

impl Matching {
    /// A largest matching of `left` and `right` positions that fit.
    pub fn of(left: usize, right: usize, fits: impl Fn(usize, usize) -> bool) -> Matching {
        let mut matching = Matching { right_of: vec![None; left], left_of: vec![None; right] };
        for start in 0..left {
            matching.augment(start, &fits);
        }
        matching
    }

    /// The right partner of each on the left.
    pub fn into_partners(self) -> Vec<Option<usize>> {
        self.right_of
    }

    /// Finds a partner for `start`, for whom others may have to take another; breadth first, so that nothing recurses.
    fn augment(&mut self, start: usize, fits: &impl Fn(usize, usize) -> bool) {
        let mut reached_from: Vec<Option<usize>> = vec![None; self.left_of.len()];
        let mut waiting = VecDeque::from([start]);
        while let Some(left) = waiting.pop_front() {
            for right in 0..self.left_of.len() {
                if reached_from[right].is_some() || !fits(left, right) {
                    continue;
                }
                reached_from[right] = Some(left);
                match self.left_of[right] {
                    Some(taken_by) => waiting.push_back(taken_by),
                    None => return self.flip(right, &reached_from),
                }
            }
        }
    }

    /// Pairs along the path that led to a free `right`, backwards to the one that started it.
    fn flip(&mut self, mut right: usize, reached_from: &[Option<usize>]) {
        while let Some(left) = reached_from[right] {
            self.left_of[right] = Some(left);
            match self.right_of[left].replace(right) {
                Some(before) => right = before,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Matching;
    use proptest::prelude::*;

    fn size(left: usize, right: usize, fits: &[Vec<bool>]) -> usize {
        let partners = Matching::of(left, right, |l, r| fits[l][r]).into_partners();
        let mut used: Vec<usize> = partners.iter().flatten().copied().collect();
        assert!(partners.iter().enumerate().all(|(l, r)| r.is_none_or(|r| fits[l][r])));
        let count = used.len();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), count, "someone has two partners");
        count
    }

    /// By trying everything.
    fn best(left: usize, fits: &[Vec<bool>], taken: u32) -> usize {
        let Some(row) = fits.get(left) else { return 0 };
        let free = (0..row.len()).filter(|r| row[*r] && taken & (1 << r) == 0);
        let with = free.map(|r| 1 + best(left + 1, fits, taken | (1 << r))).max().unwrap_or(0);
        with.max(best(left + 1, fits, taken))
    }

    proptest! {
        #[test]
        fn no_matching_is_larger(fits in prop::collection::vec(prop::collection::vec(any::<bool>(), 5), 0..6)) {
            prop_assert_eq!(size(fits.len(), 5, &fits), best(0, &fits, 0));
        }
    }

    #[test]
    fn a_long_chain_of_changes_is_no_recursion() {
        let n = 2_000;
        let partners =
            Matching::of(n, n, |l, r| l == r || l == r + 1 || (l == 0 && r == n - 1)).into_partners();
        assert!(partners.iter().all(Option::is_some));
    }
}
