//! `align`: sources wait for each other, and nothing but that changes.

pub mod common;

use common::{Folder, headwater, pause, until};
use headwater::config::{Faults, ProcessEnvironment, SourceFile, Surroundings, read_pipeline};
use headwater::plan::{self, Plan};
use headwater::runtime::Pipeline;
use headwater::time::{Random, SystemClock};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

fn planned(text: &str) -> Plan {
    let faults = Faults::new(SourceFile::new("p.yaml", text.into()).unwrap());
    let surroundings = Surroundings { environment: &ProcessEnvironment::default(), overrides: &[] };
    let file = read_pipeline(&faults, surroundings).unwrap();
    let surroundings = plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Default::default() };
    plan::plan(&file, &surroundings, &faults).unwrap_or_else(|| panic!("{:?}", faults.diagnostics()))
}

/// How far the sources of a join drift apart, at the most that is seen: `fast` has an event every 100 ms, `slow` every
/// 1 ms, and both give as many as they can.
fn drift(align: &str) -> i64 {
    let plan = planned(&format!(
        "
sources:
  fast: {{ generate: {{ fields: {{ n: sequence(), ts: sequence() * 100 }} }}, event_time: {{ field: ts{align} }} }}
  slow: {{ generate: {{ fields: {{ n: sequence(), ts: sequence() }} }}, event_time: {{ field: ts{align} }} }}
transforms:
  both: {{ join: {{ left: fast, right: slow, match: fast.n = slow.n, within: 1s }} }}
sinks: {{ out: {{ from: both, drop: {{}} }} }}
"
    ));
    let (clock, stop) = (SystemClock::new(), AtomicBool::new(false));
    let mut most = 0;
    let run = Pipeline::open(&plan, &clock).unwrap().run(&clock, &stop, &mut |counts| {
        let [fast, slow] = [0, 1].map(|source| counts[source].sent as i64);
        most = most.max(fast * 100 - slow);
        stop.store(slow > 20_000, Ordering::Relaxed);
    });
    run.unwrap();
    most
}

#[test]
fn what_a_join_has_to_keep_is_bounded() {
    // Ten seconds, and the batch with which that is passed: some thousand events.
    let most = drift(", align: { group: all, max_drift: 10s }");
    assert!(most <= 10_000 + 2_000 * 100, "{most}");
    assert!(drift("") > 1_000_000, "without it there is no bound");
}

const BOUNDED: &str = "
options: { parallelism: WORKERS }
sources:
  one: { file: { path: 'one/*.ndjson' }, event_time: { field: ts, out_of_order: 20msALIGN } }
  other: { file: { path: 'other/*.ndjson' }, event_time: { field: ts, out_of_order: 5msALIGN } }
windows:
  counts: { from: [one, other], key: [k], tumbling: 50ms, aggregate: { n: count(*), first: first(ts) } }
sinks: { out: { from: counts, file: { path: OUT } }, late: { from: counts.late, file: { path: LATE } } }
";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(6) })]
    #[test]
    fn bounded_input_gives_the_same(seed in 0u64..1_000_000, drift in 1u32..300) {
        let (folder, mut random) = (Folder::empty(), Random::seeded(seed));
        for (source, files) in [("one", 3), ("other", 2)] {
            for file in 0..files {
                let mut at = (random.bits() % 3_000) as i64;
                let lines: String = (0..random.bits() % 2_500).map(|_| {
                    at += (random.bits() % 4) as i64;
                    let ts = at - (random.bits() % 30) as i64;
                    format!("{{\"ts\":{ts},\"k\":{}}}\n", random.bits() % 5)
                }).collect();
                folder.write(&format!("{source}/{file}.ndjson"), lines);
            }
        }
        let mut results = Vec::new();
        for workers in [1, 2, 4] {
            for align in [String::new(), format!(", align: {{ group: g, max_drift: {drift}ms }}")] {
                let name = format!("{workers}{}", align.is_empty());
                let text = BOUNDED.replace("WORKERS", &workers.to_string()).replace("ALIGN", &align);
                let text = text.replace("OUT", &format!("{name}.out")).replace("LATE", &format!("{name}.late"));
                folder.write("p.yaml", text);
                folder.run(&["run", "p.yaml", "-q"]).succeeded();
                results.push([folder.read(&format!("{name}.out")), folder.read(&format!("{name}.late"))].map(|text| {
                    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                    lines.sort();
                    lines
                }));
            }
        }
        for result in &results[1..] {
            prop_assert_eq!(result, &results[0]);
        }
    }
}

/// A pipeline that runs until the value goes.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(times: std::ops::Range<i64>) -> String {
    times.map(|second| format!("{{\"ts\":{}}}\n", second * 1_000)).collect()
}

fn asked(folder: &Folder, arguments: &[&str]) -> Value {
    let ran = folder.run(&[arguments, &["--data-dir", "data", "--format", "json"]].concat());
    serde_json::from_str(&ran.stdout).unwrap_or_default()
}

#[test]
fn what_is_held_is_not_idle_and_goes_on() {
    let folder = Folder::empty();
    folder.write(
        "plant.yaml",
        "
sources:
  fast:
    file: { path: 'fast/*.ndjson', follow: true }
    event_time: { field: ts, idle_after: 50ms, align: { group: g, max_drift: 1m } }
  slow:
    file: { path: 'slow/*.ndjson', follow: true }
    event_time: { field: ts, idle_after: 1h, align: { group: g, max_drift: 1m } }
windows: { minutes: { from: [fast, slow], tumbling: 1m, aggregate: { n: count(*) } } }
sinks: { out: { from: minutes, file: { path: out.ndjson } } }
",
    );
    folder.write("fast/a.ndjson", lines(0..600));
    folder.write("slow/a.ndjson", "");
    let mut command = headwater(folder.path(), &["run", "plant.yaml", "--data-dir", "data"]);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let _run = Run(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let fast = || asked(&folder, &["why", "plant.minutes"])["sources"][0].clone();
    until("it is held", || fast()["waits_for"] == "slow");
    for _ in 0..5 {
        pause(50);
        assert_eq!((&fast()["idle"], &fast()["waits_for"]), (&Value::Bool(false), &Value::from("slow")));
    }
    let text = folder.run(&["why", "plant.minutes", "--data-dir", "data"]).succeeded().stdout;
    assert!(text.contains("source `fast`, held back until `slow` is as far: "), "{text}");
    until("status says so", || {
        asked(&folder, &["status"])["pipelines"][0]["nodes"][0]["held_back"] == Value::Bool(true)
    });
    // What comes meanwhile stays where it is.
    folder.write("fast/a.ndjson", lines(0..700));
    pause(100);
    assert_eq!(fast()["last_event_time"], 599_000);
    folder.write("slow/a.ndjson", lines(0..590));
    until("it goes on", || fast()["last_event_time"] == 699_000);
    until("all windows have fired that both have passed", || folder.read("out.ndjson").lines().count() >= 9);
}
