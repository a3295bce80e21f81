//! Nodes that keep something: each `tests/nodes/NAME.yaml` is a pipeline whose own tests say what the node does.

pub mod common;

use common::{Folder, files, none_failed, project, run_in};

#[test]
fn nodes_do_what_their_tests_say() {
    let folder = project("tests/nodes");
    let failures = files(&folder, "yaml").into_iter().filter_map(|file| {
        let ran = run_in(&folder, &["test", file.file_name().unwrap().to_str().unwrap()]);
        (ran.status != Some(0)).then(|| format!("{}:\n{}{}", file.display(), ran.stdout, ran.stderr))
    });
    none_failed(&failures.collect::<Vec<_>>());
}

/// Nodes that keep something by key, each behind a source of two files and beside one that puts events in order.
const KEYED: &str = r#"
options: { parallelism: WORKERS }
sources:
  in: { file: { path: [a.ndjson, b.ndjson] }, event_time: { field: t, out_of_order: 2s } }
transforms:
  once: { from: in, dedupe: { key: [k], within: 3s } }
  calm: { from: in, throttle: { key: [k], every: 3s } }
  last: { from: in, throttle: { key: [k], every: 3s, keep: last } }
  moved: { from: in, changed: { key: { half: k / 2 }, fields: [x], deadband: 20, at_least_every: 1m } }
  alarms: { from: in, hysteresis: { key: [k], value: x, raise: { above: 80, times: 2 }, clear: { below: 60, for: 1s } } }
  spells: { from: in, debounce: { key: [k], where: x > 20, for: 2s } }
  sorted_calm: { from: in, ordered: true, throttle: { key: [k], every: 3s } }
  sorted_alarms: { from: in, ordered: true, hysteresis: { key: [k], value: x, raise: { above: 80 }, clear: { below: 60 } } }
  few: { from: in, sample: { fraction: 0.3, key: [k] } }
windows:
  counted: { from: [last, spells], key: [k], tumbling: 10s, aggregate: { rows: count(*), xs: sum(x) } }
sinks:
"#;

const OUTPUTS: [&str; 10] =
    ["once", "calm", "last", "moved", "alarms", "spells", "sorted_calm", "sorted_alarms", "few", "counted"];

/// A line an event; times go on by up to 100 ms and back by up to 2 s.
fn events(seed: u64) -> String {
    let mut state = seed;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut now = 10_000;
    let mut line = |_| {
        now += draw(100);
        format!("{{\"t\":{},\"k\":{},\"x\":{}}}\n", now - draw(2_000), draw(20), draw(100))
    };
    (0..3000).map(&mut line).collect()
}

#[test]
fn workers_that_share_keys_make_no_difference() {
    let run = |workers: &str| {
        let folder = Folder::empty();
        folder.write("a.ndjson", events(1));
        folder.write("b.ndjson", events(2));
        let sinks =
            OUTPUTS.map(|name| format!("  to_{name}: {{ from: {name}, file: {{ path: {name}.out }} }}\n"));
        folder.write("p.yaml", KEYED.replace("WORKERS", workers) + &sinks.concat());
        folder.run(&["run", "p.yaml"]).succeeded();
        OUTPUTS.map(|name| {
            let mut lines: Vec<String> =
                folder.read(&format!("{name}.out")).lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        })
    };
    let alone = run("1");
    for workers in ["2", "4"] {
        for ((name, alone), shared) in OUTPUTS.iter().zip(&alone).zip(run(workers)) {
            assert!(alone.len() > 20, "{name} put out {} lines", alone.len());
            assert_eq!(*alone, shared, "{name} with {workers} workers");
        }
    }
}
