//! `headwater bench`: what it counts must be right, whatever the machine's speed.

pub mod common;

use common::Folder;
use serde_json::Value;

const PIPELINE: &str = "\
sources:
  events: { file: { path: [a.ndjson, b.ndjson] }, event_time: { field: ts } }
transforms:
  even: { from: events, where: n % 2 = 0 }
windows:
  sums: { from: even, key: [k], tumbling: 1s, aggregate: { total: sum(n) } }
sinks:
  results: { from: sums, stdout: {} }
  kept: { from: even, file: { path: kept.ndjson, mode: replace } }
";

/// Runs a bench and reads its figures.
fn figures(folder: &Folder, arguments: &[&str]) -> Value {
    let arguments = [&["bench", "--format", "json"], arguments].concat();
    let ran = folder.run(&arguments).succeeded();
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Rows in and out of the operator that does something.
fn rows(figures: &Value, does: &str) -> (Option<u64>, u64) {
    let lines = figures["operators"].as_array().unwrap();
    let line = lines.iter().find(|line| line["does"].as_str().unwrap().starts_with(does)).unwrap();
    (line["rows_in"].as_u64(), line["rows_out"].as_u64().unwrap())
}

#[test]
fn what_went_through_is_counted() {
    let folder = Folder::empty();
    folder.write("p.yaml", PIPELINE);
    let line = |n: usize| format!("{{\"n\":{n},\"k\":\"k{}\",\"ts\":{}}}\n", n % 3, n * 10);
    let a: String = (0..3_000).map(line).collect();
    let b: String = (3_000..5_000).map(line).collect();
    folder.write("a.ndjson", &a);
    folder.write("b.ndjson", format!("{b}no JSON\n"));
    let figures = figures(&folder, &["p.yaml"]);
    assert_eq!(figures["events"], 5_001, "{figures:#}");
    assert_eq!(figures["bytes_read"], a.len() + b.len() + "no JSON\n".len());
    assert_eq!(rows(&figures, "file"), (None, 5_000));
    assert_eq!(rows(&figures, "decode json"), (None, 5_000));
    assert_eq!(rows(&figures, "where"), (Some(5_000), 2_500));
    assert_eq!(rows(&figures, "tumbling"), (Some(2_500), 150));
    assert_eq!(rows(&figures, "standard output"), (Some(150), 150));
    let notes = figures["notes"].to_string();
    assert!(notes.contains("counted and not written") && notes.contains("`events` rejected 1"), "{notes}");
    let shares = figures["operators"].as_array().unwrap().iter().chain([&figures["engine"]]);
    let whole: f64 = shares.map(|line| line["share"].as_f64().unwrap()).sum();
    assert!((whole - 1.0).abs() < 1e-9, "{whole}");
    let written = folder.read("kept.ndjson");
    assert_eq!(written.lines().count(), 2_500, "files are written as in a run");
}

#[test]
fn input_that_never_ends_is_ended_and_its_windows_fire() {
    let folder = Folder::empty();
    folder.write(
        "p.yaml",
        "sources: { numbers: { generate: { rate: 1, fields: { n: sequence() } }, event_time: { field: n } } }\n\
         windows: { w: { from: numbers, tumbling: 1s, aggregate: { n: count(*) } } }\n\
         sinks: { out: { from: w, drop: {} } }\n",
    );
    let by_events = figures(&folder, &["--events", "3000", "p.yaml"]);
    let events = by_events["events"].as_u64().unwrap();
    assert!((3_000..5_000).contains(&events), "{events}");
    assert_eq!(rows(&by_events, "tumbling"), (Some(events), events.div_ceil(1_000)));
    let by_time = figures(&folder, &["--for", "50ms", "p.yaml"]);
    assert!(by_time["events"].as_u64().unwrap() > 0 && by_time["seconds"].as_f64().unwrap() < 30.0);
    let text = folder.run(&["bench", "--events", "1", "p.yaml"]).succeeded().stdout;
    for part in ["throughput", "CPU", "memory", "latency", "between operators", "rate of `numbers`"] {
        assert!(text.contains(part), "no {part}:\n{text}");
    }
}

#[test]
fn one_pipeline_is_measured() {
    let folder = Folder::empty();
    folder.write("a.yaml", PIPELINE);
    folder.write("b.yaml", PIPELINE);
    assert_eq!(folder.run(&["bench", "."]).status, Some(2));
    assert_eq!(folder.run(&["bench", "--for", "10", "a.yaml"]).status, Some(2));
    assert_eq!(folder.run(&["bench", "a.yaml"]).status, Some(1), "the input is missing");
}
