//! `event_time` inside a pipeline, and other nodes by key that hold events: the same with and without restarts.

use crate::harness::{check_restarts, events, roll};
use headwater::time::Random;
use serde_json::json;

#[test]
fn what_restarts_puts_out_the_same() {
    let nodes = [
        "    event_time: { field: x, unit: ms, out_of_order: 20ms, partition_by: [k] }",
        "    event_time: { field: x, unit: ms, out_of_order: 5ms }",
        "    throttle: { key: [k], every: 30ms, keep: last }",
        "    debounce: { key: [k], where: x > 300, for: 20ms }",
        "    ordered: true\n    changed: { key: [k], fields: [x], deadband: 100 }",
        "    ordered: true\n    dedupe: { within: 40ms }",
        "    sample: { fraction: 0.5, key: [k] }",
    ];
    for seed in 0..4 {
        let events = events(&mut Random::seeded(seed), 700, |random| json!(roll(random, 1000)));
        for node in nodes {
            check_restarts(node, &events, seed);
        }
    }
}
