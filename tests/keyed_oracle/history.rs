//! Keyed history.

use crate::harness::{Event, check, events, in_order, roll, run};
use headwater::expr::functions::HISTORY;
use headwater::time::Random;
use serde_json::{Value as Json, json};

const SET: &str = "
    set:
      p1: previous(x) OVER (PARTITION BY k)
      p3: previous(x, 3) OVER (PARTITION BY k)
      de: delta(x) OVER (PARTITION BY k)
      hc: had_changed(x) OVER (PARTITION BY k)
      rs: running_sum(x) OVER (PARTITION BY k)
      rc: running_count() OVER (PARTITION BY k)
      lo: running_min(x) OVER (PARTITION BY k)
      hi: running_max(x) OVER (PARTITION BY k)
      av: running_avg(x, 4) OVER (PARTITION BY k)
";

/// Integers, halves (so that sums are exact), nulls, and a text now and then, which cannot be summed up.
fn value(random: &mut Random) -> Json {
    match roll(random, 12) {
        0 => Json::Null,
        1 => json!("text"),
        2..5 => json!(roll(random, 20) as f64 / 2.0 + 0.25),
        _ => json!(roll(random, 6) - 3),
    }
}

fn number(value: &Json) -> Option<f64> {
    value.as_f64()
}

/// A number as an integer if all that it comes from are.
fn typed(number: f64, from: &[&Json]) -> Json {
    if from.iter().all(|value| value.is_i64()) { json!(number as i64) } else { json!(number) }
}

fn expected(events: &[(usize, &Event)]) -> Vec<Json> {
    let mut rows = Vec::new();
    for key in ["a", "b", "c"] {
        let taken: Vec<&(usize, &Event)> =
            events.iter().filter(|(_, event)| event.key == key && !event.x.is_string()).collect();
        for index in 0..taken.len() {
            let x = &taken[index].1.x;
            let back = |n: usize| index.checked_sub(n).map_or(Json::Null, |i| taken[i].1.x.clone());
            let values: Vec<&Json> =
                taken[..=index].iter().map(|(_, event)| &event.x).filter(|x| !x.is_null()).collect();
            let numbers: Vec<f64> = values.iter().filter_map(|value| number(value)).collect();
            let last: Vec<f64> = numbers.iter().rev().take(4).copied().collect();
            let before = values.len().checked_sub(2).map(|i| values[i]);
            let delta = match (number(x), before) {
                (Some(new), Some(old)) => typed(new - number(old).unwrap(), &[x, old]),
                _ => Json::Null,
            };
            let extreme = |better: fn(f64, f64) -> bool| {
                let all = values.iter().copied();
                all.reduce(|a, b| if better(number(b).unwrap(), number(a).unwrap()) { b } else { a })
            };
            let changed = match (number(x), number(&back(1))) {
                (None, None) => false,
                (new, old) => new != old,
            };
            let sum = (!values.is_empty()).then(|| typed(numbers.iter().sum(), &values));
            let mean = (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64);
            rows.push(json!({
                "k": key, "n": taken[index].0, "p1": back(1), "p3": back(3), "de": delta, "hc": changed,
                "rs": sum, "rc": index + 1, "lo": extreme(|b, a| b < a), "hi": extreme(|b, a| b > a),
                "av": mean,
            }));
        }
    }
    rows
}

#[test]
fn histories_are_as_the_oracle_says() {
    for seed in 0..6 {
        let events = events(&mut Random::seeded(seed), 700, value);
        check(SET, &events, &expected(&in_order(&events)), seed);
        let arrived: Vec<(usize, &Event)> = events.iter().enumerate().collect();
        check(&format!("    ordered: false\n{SET}"), &events, &expected(&arrived), seed);
    }
}

#[test]
fn documented_examples_hold() {
    let values = [json!(3), json!(5), Json::Null, json!(4), json!(4)];
    let at = |(i, x): (usize, &Json)| Event { time: i as i64, key: "a", x: x.clone() };
    let events: Vec<Event> = values.iter().enumerate().map(at).collect();
    assert!(!HISTORY.is_empty());
    for function in HISTORY {
        assert!(!function.summary.is_empty() && !function.examples.is_empty(), "{}", function.name);
        for (example, expected) in function.examples {
            let found = run(&format!("    select: {{ r: '{example}' }}"), &events, 1, 1);
            let found: Vec<&Json> = found.iter().map(|row| &row["r"]).collect();
            assert_eq!(serde_json::to_string(&found).unwrap(), *expected, "{example}");
        }
    }
}
