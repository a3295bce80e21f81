//! What values usually are: their mean and how far they scatter around it, kept value by value.

use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::finite;

/// Mean and scatter of the values so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Baseline {
    /// How many values there were.
    pub(super) count: u64,
    mean: f64,
    /// The sum of squared differences from the mean, or the weighted variance where newer values weigh more.
    scatter: f64,
}

/// How far a value is from what is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Score {
    /// In standard deviations; its sign says on which side.
    Deviations(f64),
    /// All values so far were the same, and this one is another.
    Unlike,
}

impl Baseline {
    /// How far a value is from the mean.
    pub(super) fn score(&self, value: f64, alpha: Option<f64>) -> Score {
        let variance = match alpha {
            Some(_) => self.scatter,
            None => self.scatter / (self.count.max(2) - 1) as f64,
        };
        let (distance, deviation) = (value - self.mean, variance.sqrt());
        match distance / deviation {
            _ if distance == 0.0 => Score::Deviations(0.0),
            score if score.is_finite() => Score::Deviations(score),
            _ => Score::Unlike,
        }
    }

    /// The same with one more value. Without `alpha` all values weigh the same, by the recurrence of B. P. Welford ("Note on a
    /// Method for Calculating Corrected Sums of Squares and Products", Technometrics 4, 1962); else the newest weighs `alpha`
    /// and each older one less by that share (T. Finch, "Incremental calculation of weighted mean and variance", 2009).
    /// None if that is beyond what a float can hold.
    pub(super) fn with(&self, value: f64, alpha: Option<f64>) -> Option<Baseline> {
        let count = self.count.saturating_add(1);
        let distance = value - self.mean;
        let (mean, scatter) = match alpha {
            _ if self.count == 0 => (value, 0.0),
            Some(alpha) => {
                let step = alpha * distance;
                (self.mean + step, (1.0 - alpha) * (self.scatter + distance * step))
            }
            None => {
                let mean = self.mean + distance / count as f64;
                (mean, self.scatter + distance * (value - mean))
            }
        };
        (mean.is_finite() && scatter.is_finite()).then_some(Baseline { count, mean, scatter })
    }

    pub(super) fn put(&self, into: &mut Vec<u8>) {
        put_number(into, self.count);
        if self.count > 0 {
            into.extend_from_slice(&self.mean.to_le_bytes());
            into.extend_from_slice(&self.scatter.to_le_bytes());
        }
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Baseline, Malformed> {
        match reader.number()? {
            0 => Ok(Baseline::default()),
            count => Ok(Baseline { count, mean: finite(reader)?, scatter: finite(reader)? }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64], alpha: Option<f64>) -> Baseline {
        let with = |base: Baseline, value: &f64| base.with(*value, alpha).expect("small numbers");
        values.iter().fold(Baseline::default(), with)
    }

    #[test]
    fn what_never_changed_makes_any_other_value_odd() {
        for alpha in [None, Some(0.1)] {
            let same = of(&[5.0; 40], alpha);
            assert_eq!(same.score(5.0, alpha), Score::Deviations(0.0));
            assert_eq!(same.score(5.1, alpha), Score::Unlike);
        }
        assert_eq!(Baseline::default().with(1e300, None).and_then(|base| base.with(-1e300, None)), None);
    }

    proptest! {
        #[test]
        fn it_is_what_the_definitions_say(values in prop::collection::vec(-1e3..1e3f64, 2..50), alpha in 0.01..0.9f64) {
            let close = |found: Score, wanted: f64| match found {
                Score::Deviations(found) => (found - wanted).abs() <= 1e-6 * wanted.abs().max(1.0),
                Score::Unlike => false,
            };
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
            prop_assume!(variance > 1e-3);
            prop_assert!(close(of(&values, None).score(1234.5, None), (1234.5 - mean) / variance.sqrt()));
            // The first value has what the later ones leave: the weights of all make 1.
            let last = values.len() - 1;
            let weight = |i: usize| (1.0 - alpha).powi((last - i) as i32) * if i == 0 { 1.0 } else { alpha };
            let mean: f64 = values.iter().enumerate().map(|(i, x)| weight(i) * x).sum();
            let variance: f64 = values.iter().enumerate().map(|(i, x)| weight(i) * (x - mean).powi(2)).sum();
            prop_assume!(variance > 1e-3);
            let found = of(&values, Some(alpha)).score(1234.5, Some(alpha));
            prop_assert!(close(found, (1234.5 - mean) / variance.sqrt()), "{found:?}");
        }

        #[test]
        fn it_is_kept_bit_by_bit(values in prop::collection::vec(-1e3..1e3f64, 0..5)) {
            let base = of(&values, None);
            let mut bytes = Vec::new();
            base.put(&mut bytes);
            prop_assert_eq!(Baseline::take(&mut Reader::new(&bytes)).expect("what was put"), base);
        }
    }
}
