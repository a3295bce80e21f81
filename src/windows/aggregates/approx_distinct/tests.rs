//! How far estimates are off, and that merged sketches are those of all values.

use super::*;
use crate::time::Random;

/// The standard error of an estimate, relative.
const ERROR: f64 = 0.01625;

fn sketch(values: impl Iterator<Item = u64>) -> Sketch {
    let mut sketch = Sketch::default();
    values.for_each(|value| sketch.insert(xxh3_64(&value.to_le_bytes())));
    sketch
}

/// Over many streams of different values: no bias, the error that was promised, and none far off.
#[test]
fn estimates_are_within_the_stated_error() {
    for number in [10, 300, 1_000, 1_100, 3_000, 10_000, 12_000, 50_000, 100_000] {
        let mut errors = Vec::new();
        for seed in 0..30u64 {
            let estimate = sketch((0..number).map(|i| i + seed * 1_000_000)).estimate();
            errors.push(estimate / number as f64 - 1.0);
        }
        let error = if number <= 1_000 { 0.001 } else { ERROR };
        let mean = errors.iter().sum::<f64>() / 30.0;
        let spread = (errors.iter().map(|error| error * error).sum::<f64>() / 30.0).sqrt();
        assert!(mean.abs() < 3.0 * error / 30f64.sqrt(), "{number}: bias {mean}");
        assert!(spread < 1.5 * error, "{number}: {spread}");
        assert!(errors.iter().all(|off| off.abs() < 3.5 * error), "{number}: {errors:?}");
    }
}

#[test]
fn how_often_and_in_what_order_values_come_means_nothing() {
    let mut random = Random::seeded(3);
    // Zipf: the value k comes about 1 / k as often as the first.
    let zipf: Vec<u64> = (0..60_000).map(|_| (20_000f64.powf(random.unit())) as u64).collect();
    let mut sorted = zipf.clone();
    sorted.sort_unstable();
    let estimate = sketch(zipf.iter().copied()).estimate();
    assert_eq!(sketch(sorted.iter().copied()).estimate(), estimate);
    sorted.dedup();
    assert_eq!(sketch(sorted.iter().copied()).estimate(), estimate);
    assert!((estimate / sorted.len() as f64 - 1.0).abs() < 3.0 * ERROR);
    assert_eq!(sketch((0..100_000).map(|_| 7)).estimate().round(), 1.0);
}

#[test]
fn merged_sketches_are_those_of_all_values() {
    for (a, b) in
        [(0..500, 300..900), (0..900, 500..1_500), (0..5_000, 4_900..5_100), (0..3_000, 2_000..6_000)]
    {
        let whole = sketch(a.clone().chain(b.clone())).estimate();
        for (first, second) in [(a.clone(), b.clone()), (b, a)] {
            let mut merged = sketch(first);
            merged.merge(&sketch(second));
            assert_eq!(merged.estimate(), whole);
        }
    }
}

#[test]
fn a_sketch_is_small() {
    assert_eq!(sketch(0..10).size(), 40);
    assert!((0..100).all(|i| sketch(0..i * 40).size() <= 4096));
    assert_eq!(sketch(0..50_000).size(), 4096);
}
