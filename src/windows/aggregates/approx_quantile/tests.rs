//! The error on easy and on hostile data.

use super::*;
use crate::time::Random;

fn sketch(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::default();
    values.iter().for_each(|value| sketch.add(*value));
    sketch
}

/// Streams by name.
fn streams() -> Vec<(&'static str, Vec<f64>)> {
    let mut random = Random::seeded(11);
    let mut unit = move || random.unit();
    let mut many =
        |make: &dyn Fn(f64, f64) -> f64| (0..4_000).map(|_| make(unit(), unit())).collect::<Vec<_>>();
    let sign = |u: f64| if u < 0.5 { -1.0 } else { 1.0 };
    let uniform = many(&|u, _| 1_000.0 * u);
    let mut sorted = uniform.clone();
    sorted.sort_by(f64::total_cmp);
    let falling = sorted.iter().rev().copied().collect();
    vec![
        ("uniform", uniform),
        ("sorted", sorted),
        ("falling", falling),
        ("zipf", many(&|u, _| 10_000f64.powf(u).floor())),
        ("all equal", vec![42.5; 500]),
        ("two clusters", many(&|u, v| if u < 0.3 { 1e-6 * (1.0 + v) } else { 1e9 * (1.0 + v) })),
        ("huge range", many(&|u, _| 10f64.powf(30.0 * u - 15.0))),
        ("both signs", many(&|u, v| sign(v) * 10f64.powf(14.0 * u - 7.0))),
        ("with zeros", many(&|u, v| if v < 0.4 { 0.0 } else { 5.0 - 10.0 * u })),
        ("integers", many(&|u, _| (u * 20.0).floor() - 10.0)),
        ("edges", vec![f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -5e-324, 0.0, -0.0, 1.0]),
        ("one", vec![-3.25]),
    ]
}

/// Whether the estimate is within 1 % of the value of that rank.
fn close(estimate: f64, sorted: &[f64], q: f64) -> bool {
    let exact = sorted[(q * (sorted.len() - 1) as f64).floor() as usize];
    (estimate / 2.0 - exact / 2.0).abs() <= (ERROR + 1e-9) * exact.abs() / 2.0
}

#[test]
fn estimates_are_within_one_percent() {
    for (name, values) in streams() {
        let sketch = sketch(&values);
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        for q in (0..=200).map(|i| f64::from(i) / 200.0) {
            let estimate = sketch.quantile(q).expect("has values");
            // The least positive floats have too few digits for 1 %.
            assert!(close(estimate, &sorted, q) || estimate.abs() < 1e-300, "{name}, {q}: {estimate}");
        }
        assert!(sketch.size() <= BUCKETS * size_of::<Bucket>(), "{name}");
    }
}

#[test]
fn merged_sketches_are_those_of_all_values() {
    for (name, values) in streams() {
        let whole = sketch(&values);
        for cut in [0, 1, values.len() / 3, values.len()] {
            let mut merged = sketch(&values[cut..]);
            merged.merge(&sketch(&values[..cut]));
            for q in [0.0, 0.1, 0.5, 0.99, 1.0] {
                assert_eq!(merged.quantile(q), whole.quantile(q), "{name}");
            }
        }
    }
}

/// Over a range that would need 70,000 buckets, those nearest to zero are given up.
#[test]
fn buckets_are_bounded_and_the_greatest_stay_exact() {
    let values: Vec<f64> = (-30_000..30_000).map(|i| 10f64.powf(f64::from(i) / 100.0)).collect();
    for sign in [1.0, -1.0] {
        let values: Vec<f64> = values.iter().map(|value| sign * value).collect();
        let sketch = sketch(&values);
        assert_eq!(sketch.buckets.len(), BUCKETS);
        assert_eq!(sketch.buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 60_000);
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        for q in [0.0, 0.001, 0.01, 0.05] {
            let q = if sign > 0.0 { 1.0 - q } else { q };
            let estimate = sketch.quantile(q).expect("has values");
            assert!(close(estimate, &sorted, q), "{q}");
        }
    }
    assert_eq!(Sketch::default().quantile(0.5), None);
}

#[test]
fn buckets_of_both_signs_go_evenly() {
    let values: Vec<f64> = (-20_000..20_000)
        .flat_map(|i| [1.0, -1.0].map(|sign| sign * 10f64.powf(f64::from(i) / 100.0)))
        .collect();
    let sketch = sketch(&values);
    let negative = sketch.buckets.iter().filter(|bucket| bucket.place < 0).count();
    assert_eq!((sketch.buckets.len(), negative), (BUCKETS, BUCKETS / 2));
}
