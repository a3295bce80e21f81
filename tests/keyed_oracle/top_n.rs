//! `top_n`.

use crate::harness::{Event, check, events, roll};
use headwater::time::Random;
use serde_json::{Value as Json, json};

/// The first `places` of all events so far: numbers of events, the foremost first.
fn ranking(events: &[&(usize, &Event)], places: usize) -> Vec<usize> {
    let mut all: Vec<(f64, usize)> =
        events.iter().filter_map(|(number, event)| Some((event.x.as_f64()?, *number))).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.into_iter().take(places).map(|(_, number)| number).collect()
}

fn expected(events: &[Event], places: usize) -> Vec<Json> {
    let numbered: Vec<(usize, &Event)> = events.iter().enumerate().collect();
    let mut rows = Vec::new();
    for key in ["a", "b", "c"] {
        let of_key: Vec<&(usize, &Event)> = numbered.iter().filter(|(_, event)| event.key == key).collect();
        for count in 1..=of_key.len() {
            let before = ranking(&of_key[..count - 1], places);
            let after = ranking(&of_key[..count], places);
            let row = |number: usize, index: usize, retracted: bool| json!({ "k": key, "n": number, "x": events[number].x, "rank": index + 1, "retracted": retracted });
            let changed = |index: usize| before.get(index) != after.get(index);
            for index in (0..before.len()).rev().filter(|index| changed(*index)) {
                rows.push(row(before[index], index, true));
            }
            for index in (0..after.len()).filter(|index| changed(*index)) {
                rows.push(row(after[index], index, false));
            }
        }
    }
    rows
}

#[test]
fn rankings_change_as_the_oracle_says() {
    for seed in 0..6 {
        let events = events(&mut Random::seeded(seed), 500, |random| match roll(random, 8) {
            0 => Json::Null,
            1..5 => json!(roll(random, 1000)),
            _ => json!(roll(random, 1000) as f64 / 2.0),
        });
        for places in [1, 2, 5] {
            let node = format!("    top_n: {{ key: [k], by: x, n: {places} }}");
            check(&node, &events, &expected(&events, places), seed);
        }
    }
}
