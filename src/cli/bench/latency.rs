//! How long things take, as a histogram.

/// Values are told apart in steps of 1 in 32: a quantile is off by 3 % at most.
const STEPS: usize = 32;
const BITS: u32 = STEPS.trailing_zeros();

/// Counts by value, with steps that grow with the values (the layout of HdrHistogram, Tene 2012): of one size whatever
/// is counted.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    most: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; (u64::BITS - BITS + 1) as usize * STEPS], total: 0, most: 0 }
    }
}

impl Histogram {
    /// Counts a value so many times.
    pub fn add(&mut self, value: u64, times: u64) {
        self.counts[step(value)] += times;
        self.total += times;
        self.most = self.most.max(value);
    }

    /// Adds all that another counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, other)| *own += other);
        self.total += other.total;
        self.most = self.most.max(other.most);
    }

    /// The value that the given share of all does not exceed; None if nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let rank = ((share * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.filter(|_| self.total > 0).map(|step| greatest(step).min(self.most))
    }
}

/// The step that a value falls into: small ones have their own.
fn step(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    shift as usize * STEPS + (value >> shift) as usize
}

/// The greatest value of a step.
fn greatest(number: usize) -> u64 {
    if number < 2 * STEPS {
        return number as u64;
    }
    let shift = number / STEPS - 1;
    let first = ((number - shift * STEPS) as u64) << shift;
    first + ((1u64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_no_gaps_and_keep_their_precision() {
        let mut last = 0;
        for value in (0..5_000u64).chain((13..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]))
        {
            let number = step(value);
            assert!(number == last || value > 5_000 || number == last + 1, "{value}");
            assert!(greatest(number) >= value && greatest(number) - value <= value / STEPS as u64, "{value}");
            last = number;
        }
        assert!(step(u64::MAX) < Histogram::default().counts.len());
        assert_eq!(greatest(step(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=10).for_each(|value| histogram.add(value, 1));
        assert_eq!(
            [0.0, 0.5, 0.91, 1.0].map(|q| histogram.quantile(q)),
            [Some(1), Some(5), Some(10), Some(10)]
        );
        let mut other = Histogram::default();
        other.add(7, 30);
        histogram.merge(&other);
        assert_eq!(histogram.quantile(0.5), Some(7));
        assert_eq!(histogram.quantile(1.0), Some(10));
    }
}
