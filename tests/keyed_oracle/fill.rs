//! `fill`.

use crate::harness::{Event, check, events, in_order, roll};
use headwater::time::Random;
use serde_json::{Value as Json, json};

const EVERY: i64 = 20;
const GAP: i64 = 90;

fn expected(events: &[(usize, &Event)]) -> Vec<Json> {
    let mut rows = Vec::new();
    for key in ["a", "b", "c"] {
        let of_key: Vec<&Event> = events.iter().map(|(_, event)| *event).filter(|e| e.key == key).collect();
        // Stretches without a gap that is too long.
        for stretch in of_key.chunk_by(|a, b| b.time - a.time <= GAP) {
            let (first, last) = (stretch[0].time, stretch[stretch.len() - 1].time);
            let known: Vec<&&Event> = stretch.iter().filter(|event| !event.x.is_null()).collect();
            for time in (first..=last + GAP).filter(|time| time % EVERY == 0) {
                let before = known.iter().rev().find(|event| event.time <= time);
                let behind = known.iter().find(|event| event.time > time);
                let here = before.filter(|event| event.time == time);
                rows.push(json!({
                    "k": key, "time": time,
                    "x": before.map(|event| &event.x),
                    "line": here.map_or_else(|| line(time, before, behind), |event| json!(event.x.as_f64())),
                    "here": here.map(|event| &event.x),
                }));
            }
        }
    }
    rows
}

fn line(time: i64, before: Option<&&&Event>, behind: Option<&&&Event>) -> Json {
    let (Some(before), Some(behind)) = (before, behind) else { return Json::Null };
    if behind.time - before.time > GAP {
        return Json::Null;
    }
    let share = (time - before.time) as f64 / (behind.time - before.time) as f64;
    let (from, to) = (before.x.as_f64().unwrap(), behind.x.as_f64().unwrap());
    json!(from + (to - from) * share)
}

#[test]
fn grids_are_as_the_oracle_says() {
    for seed in 0..6 {
        let events = events(&mut Random::seeded(seed), 900, |random| match roll(random, 3) {
            0 => Json::Null,
            1 => json!(roll(random, 100)),
            _ => json!(roll(random, 100) as f64 / 3.0),
        });
        let all = expected(&in_order(&events));
        let cases = [
            ("x", "x: last"),
            ("line", "x: linear"),
            ("here", "x: null"),
            // Rows that wait for one field, or for another, or for both.
            ("line", "n: linear, x: linear"),
        ];
        for (field, fields) in cases {
            let of_field: Vec<Json> = all
                .iter()
                .map(|row| json!({ "k": row["k"], "time": row["time"], "x": row[field] }))
                .collect();
            let fill =
                format!("    fill: {{ key: [k], every: 20ms, max_gap: 90ms, fields: {{ {fields} }} }}");
            check(&fill, &events, &of_field, seed);
        }
    }
}
