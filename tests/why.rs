//! `why`: broken set-ups that run in a process of their own, and the cause that it names.

pub mod common;

use common::{Folder, headwater, until, wait};
use serde_json::Value;
use std::process::{Child, Stdio};

/// A pipeline that runs until the value goes.
struct Run(Child);

impl Run {
    fn start(folder: &Folder, timing: &str, between: &str) -> Run {
        let from = if between.is_empty() { "readings" } else { "between" };
        Run::start_reading(folder, timing, between, from, "minutes")
    }

    /// The same with what the window and the sink read from.
    fn start_reading(folder: &Folder, timing: &str, between: &str, from: &str, out: &str) -> Run {
        let pipeline = format!(
            "pipeline: plant
sources:
  readings:
    file: {{ path: 'in/*.ndjson', follow: true }}
    event_time: {{ {timing} }}
{between}
windows:
  minutes:
    from: {from}
    tumbling: 1m
    key: [id]
    aggregate: {{ n: count(*) }}
sinks:
  out: {{ from: {out}, file: {{ path: out.ndjson }} }}
"
        );
        Run::of(folder, pipeline)
    }

    /// Any pipeline.
    fn of(folder: &Folder, pipeline: String) -> Run {
        folder.write("plant.yaml", pipeline);
        let mut command = headwater(folder.path(), &["run", "plant.yaml", "--data-dir", "data"]);
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        Run(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(folder: &Folder, node: &str) -> Value {
    let ran = folder.run(&["why", node, "--data-dir", "data", "--format", "json"]);
    serde_json::from_str(&ran.stdout).unwrap_or_default()
}

/// Waits until the first cause is this one, and returns all that is said, and the same for people.
fn cause(folder: &Folder, code: &str) -> (Value, String) {
    let mut said = Value::Null;
    until(code, || {
        said = ask(folder, "plant.minutes");
        said["causes"][0]["code"] == code
    });
    let text = folder.run(&["why", "plant.minutes", "--data-dir", "data"]).succeeded().stdout;
    (said, text)
}

/// Lines with these times in milliseconds since the epoch, as they stand in files.
fn lines(times: &[i64]) -> String {
    times.iter().map(|ts| format!("{{\"ts\":{ts},\"id\":\"a\",\"temp\":20}}\n")).collect()
}

const NOON: i64 = 1_700_000_040_000;
const SECOND: i64 = 1_000;

#[test]
fn seconds_taken_for_milliseconds() {
    let folder = Folder::empty();
    folder.write("in/a.ndjson", lines(&[1_700_000_040, 1_700_000_100, 1_700_000_200]));
    let _run = Run::start(&folder, "field: ts", "");
    let (said, text) = cause(&folder, "seconds_for_milliseconds");
    assert!(text.starts_with("The latest event time of `readings` is 1970-01-20T"), "{text}");
    assert!(text.contains("Write `unit: s`"), "{text}");
    assert_eq!(said["watermark"], 1_700_000_200);
    assert_eq!(said["earliest"]["key"], serde_json::json!(["a"]));
    assert_eq!(said["earliest"]["window_end"], 1_700_040_000);
    assert_eq!(said["trigger"], "watermark");
}

#[test]
fn a_future_clock() {
    let folder = Folder::empty();
    // In the year 2100.
    folder.write("in/a.ndjson", lines(&[4_102_444_800_000, NOON, NOON + SECOND]));
    let _run = Run::start(&folder, "field: ts, max_ahead: 36525d", "");
    let (said, text) = cause(&folder, "future_clock");
    assert!(text.contains("the clock of a device is wrong"), "{text}");
    assert_eq!(said["causes"][1]["code"], "late");
}

#[test]
fn one_slow_partition() {
    let folder = Folder::empty();
    folder.write("in/fast.ndjson", lines(&[NOON, NOON + 600 * SECOND]));
    folder.write("in/slow.ndjson", lines(&[NOON + 2 * SECOND]));
    let _run = Run::start(&folder, "field: ts, idle_after: 1h", "");
    let (said, text) = cause(&folder, "slow_partition");
    assert!(said["held_by"]["partition"].as_str().unwrap().ends_with("in/slow.ndjson"), "{said}");
    assert_eq!(said["held_by"]["last_event_time"], NOON + 2 * SECOND);
    assert_eq!(said["missing_ms"], 58 * SECOND);
    assert_eq!(said["sources"][0]["partitions"]["holding"], 2);
    assert!(text.contains("slow.ndjson` holds the watermark back"), "{text}");
    let ran = folder.run(&["why", "plant.minute", "--data-dir", "data"]);
    assert!(ran.status == Some(1) && ran.stderr.contains("did you mean `minutes`?"), "{}", ran.stderr);
}

#[test]
fn all_partitions_idle() {
    let folder = Folder::empty();
    folder.write("in/a.ndjson", lines(&[NOON, NOON + SECOND]));
    folder.write("in/b.ndjson", lines(&[NOON]));
    let _run = Run::start(&folder, "field: ts, idle_after: 50ms, when_all_idle: hold", "");
    let (said, text) = cause(&folder, "all_idle");
    assert!(text.contains("`when_all_idle: hold`"), "{text}");
    assert_eq!((&said["sources"][0]["idle"], &said["held_by"]), (&Value::Bool(true), &Value::Null));
}

#[test]
fn null_times() {
    let folder = Folder::empty();
    folder.write("in/a.ndjson", lines(&[NOON, NOON + 600 * SECOND]));
    let _run = Run::start(&folder, "field: time", "");
    let (said, text) = cause(&folder, "unreadable_times");
    assert!(text.contains("rejects all of 2 events: the event time `time` is null or missing"), "{text}");
    assert_eq!(said["path"][0]["rejected"]["time"], 2);
}

#[test]
fn a_filter_that_is_never_true() {
    let folder = Folder::empty();
    folder.write("in/a.ndjson", lines(&[NOON, NOON + 600 * SECOND]));
    let between = "transforms: { between: { from: readings, where: temperature > 10 } }";
    let _run = Run::start(&folder, "field: ts", between);
    let (said, text) = cause(&folder, "filter_never_true");
    assert!(text.starts_with("None of 2 events passes the filter `between`"), "{text}");
    assert_eq!(said["path"][1]["discarded"]["filtered"], 2);
    assert!(text.contains("between: 2 in, 0 out, 2 filtered"), "{text}");
}

#[test]
fn all_events_are_late() {
    let folder = Folder::empty();
    let times: Vec<i64> = (0..20).map(|n| NOON + 6_000 * SECOND - n * 120 * SECOND).collect();
    folder.write("in/a.ndjson", lines(&times));
    let _run = Run::start(&folder, "field: ts", "");
    let (said, text) = cause(&folder, "late");
    assert!(text.contains("19 of 20 events came to `minutes` when their windows were closed"), "{text}");
    assert!(said["path"].as_array().unwrap().iter().any(|node| node["discarded"]["late"] == 19), "{said}");
}

#[test]
fn all_events_are_late_and_somebody_reads_them() {
    let folder = Folder::empty();
    let times: Vec<i64> = (0..20).map(|n| NOON + 6_000 * SECOND - n * 120 * SECOND).collect();
    folder.write("in/a.ndjson", lines(&times));
    let late = "transforms: { tardy: { from: minutes.late, where: 'true' } }";
    let _run = Run::start_reading(&folder, "field: ts", late, "readings", "[minutes, tardy]");
    let (said, text) = cause(&folder, "late");
    assert!(text.contains("19 of 20 events came to `minutes` when their windows were closed"), "{text}");
    let minutes = said["path"].as_array().unwrap().last().unwrap();
    assert_eq!((&minutes["late"], &minutes["discarded"]["late"]), (&19.into(), &Value::Null));
    assert!(text.contains("minutes: 20 in, 0 out, 19 late"), "{text}");
}

#[test]
fn a_trigger_says_what_it_waits_for() {
    let folder = Folder::empty();
    folder.write("in/a.ndjson", lines(&[NOON, NOON + SECOND]));
    let window = |kind: &str| {
        format!(
            "pipeline: plant
sources: {{ readings: {{ file: {{ path: 'in/*.ndjson', follow: true }}, event_time: {{ field: ts }} }} }}
windows: {{ minutes: {{ from: readings, {kind}, accumulation: discarding, aggregate: {{ n: count(*) }} }} }}
sinks: {{ out: {{ from: minutes, drop: {{}} }} }}
"
        )
    };
    let early =
        "tumbling: 1m, trigger: { watermark: { early: { any: [{ count: 5 }, { event_time: 30s }] } } }";
    let run = Run::of(&folder, window(early));
    let (said, text) = cause(&folder, "waits");
    let waits =
        "any of (the end of the window, any of (3 more of 5 events, event time 2023-11-14T22:14:30Z))";
    assert_eq!(said["earliest"]["trigger_waits_for"], waits);
    assert_eq!(said["earliest"]["due"], NOON + 30 * SECOND);
    assert!(text.contains(&format!("its trigger waits for {waits}; the watermark is 29 s before")), "{text}");
    drop(run);
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let _run = Run::of(&folder, window("global: {}, trigger: { count: 5 }"));
    let (_, text) = cause(&folder, "waits");
    assert!(text.starts_with("Nothing is wrong: its trigger waits for 3 more of 5 events"), "{text}");
}

/// Pairs of what is read, each event with itself and others.
const PAIRS: &str = "transforms:
  a: { from: readings, where: temp = 20 }
  b: { from: readings, where: temp < 30 }
  pairs: { join: { left: a, right: b, match: a.id = b.id, within: 1m }, select: { id: a.id } }";

#[test]
fn a_join_that_waits() {
    let check = |near: &str, text: &str, due: i64, window_end: Option<i64>| {
        let folder = Folder::empty();
        folder.write("in/a.ndjson", lines(&[NOON, NOON + 20 * SECOND]));
        let pairs = PAIRS.replace("within: 1m", near);
        let run = Run::start_reading(&folder, "field: ts, idle_after: 1h", &pairs, "pairs", "minutes");
        let mut said = Value::Null;
        until("the join has what waits", || {
            said = ask(&folder, "plant.pairs");
            said["watermark"] == NOON + 20 * SECOND
        });
        let live = folder.run(&["why", "plant.pairs", "--data-dir", "data"]).succeeded().stdout;
        folder.run(&["savepoint", "create", "plant", "sp", "--data-dir", "data"]).succeeded();
        drop(run);
        let kept = folder.run(&["why", "plant.pairs", "plant.yaml", "--savepoint", "sp", "--format", "json"]);
        let kept: Value = serde_json::from_str(&kept.succeeded().stdout).unwrap();
        for said in [&said, &kept] {
            assert_eq!(said["earliest"]["key"], serde_json::json!(["a"]), "{said}");
            assert_eq!(said["missing_ms"], due - NOON - 20 * SECOND, "{said}");
            assert_eq!(said["earliest"]["window_end"].as_i64(), window_end, "{said}");
        }
        assert!(live.contains(text) && live.contains("fires by: watermark"), "{live}");
    };
    let waits = "Nothing is wrong: event time is 40 s before ";
    check("within: 1m", &format!("{waits}what it waits for"), NOON + 60 * SECOND + 1, None);
    let end = NOON + 60 * SECOND;
    check("window: { tumbling: 1m }", &format!("{waits}the end of the window"), end, Some(end));
}

#[test]
fn all_events_come_behind_the_watermark_of_a_join() {
    let folder = Folder::empty();
    let times: Vec<i64> = (0..20).map(|n| NOON + 6_000 * SECOND - n * 120 * SECOND).collect();
    folder.write("in/a.ndjson", lines(&times));
    let _run = Run::start_reading(&folder, "field: ts", PAIRS, "pairs", "minutes");
    let (_, text) = cause(&folder, "late");
    assert!(text.contains("38 of 40 events came to `pairs` behind the watermark: they are late"), "{text}");
    assert!(!text.contains("allowed_lateness"), "{text}");
}

/// What is said without asking a process.
fn kept(folder: &Folder, more: &[&str]) -> Value {
    let arguments = [&["why", "plant.minutes", "--format", "json"], more].concat();
    let ran = folder.run(&arguments).succeeded();
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn what_was_kept_says_the_same() {
    let folder = Folder::empty();
    folder.write("in/fast.ndjson", lines(&[NOON, NOON + 600 * SECOND]));
    folder.write("in/slow.ndjson", lines(&[NOON + 2 * SECOND]));
    let run = Run::start(&folder, "field: ts, idle_after: 1h", "");
    let (live, _) = cause(&folder, "slow_partition");
    folder.run(&["savepoint", "create", "plant", "sp", "--data-dir", "data"]).succeeded();
    // The process answers, whatever is said of files.
    assert!(kept(&folder, &["nowhere.yaml", "--data-dir", "data"])["kept"].is_null());
    let savepoint = kept(&folder, &["plant.yaml", "--savepoint", "sp"]);
    drop(run);
    let stopped = kept(&folder, &["plant.yaml", "--data-dir", "data"]);
    for said in [&savepoint, &stopped] {
        for name in ["watermark", "trigger", "earliest", "missing_ms"] {
            assert_eq!(said[name], live[name], "{name}: {said}");
        }
        assert_eq!(said["causes"][0]["code"], "slow_partition");
        assert_eq!(said["held_by"]["last_event_time"], NOON + 2 * SECOND);
        assert_eq!(said["sources"][0]["partitions"]["holding"], 2);
        assert_eq!((&said["path"], &said["held_by"]["quiet_ms"]), (&Value::Null, &Value::Null));
        assert_eq!(said["kept"]["positions"].as_array().unwrap().len(), 2);
    }
    assert_eq!(
        (&savepoint["kept"]["savepoint"], &stopped["kept"]["savepoint"]),
        (&"sp".into(), &Value::Null)
    );
    let text = folder.run(&["why", "plant.minutes", "plant.yaml", "--savepoint", "sp"]).succeeded().stdout;
    assert!(text.contains("holds the watermark back: it has come to 2023-11-14T22:14:02Z"), "{text}");
    assert!(text.contains("key [\"a\"]; the watermark is 58 s before it fires"), "{text}");
    assert!(text.contains("what was counted, only a process that runs knows"), "{text}");
}

#[test]
fn without_the_pipelines_file_less_is_known() {
    let folder = Folder::empty();
    folder.write("in/a.ndjson", lines(&[NOON, NOON + SECOND]));
    let run = Run::start(&folder, "field: ts, idle_after: 1h", "");
    cause(&folder, "waits");
    folder.run(&["savepoint", "create", "plant", "sp", "--data-dir", "data"]).succeeded();
    drop(run);
    for more in [["--savepoint", "sp"], ["--data-dir", "data"]] {
        let said = kept(&folder, &more);
        assert_eq!(said["sources"], serde_json::json!([{ "name": "readings", "watermark": NOON + SECOND }]));
        assert!(said.get("earliest").is_none() && said.get("causes").is_none(), "{said}");
        assert_eq!(said["kept"]["positions"].as_array().unwrap().len(), 1);
        let text = folder.run(&[&["why", "plant.minutes"][..], &more].concat()).succeeded().stdout;
        assert!(text.contains("is said where the pipeline's file is given"), "{text}");
    }
    let refused = |arguments: &[&str], what: &str| {
        let ran = folder.run(arguments);
        assert!(ran.status == Some(1) && ran.stderr.contains(what), "{}", ran.stderr);
    };
    refused(&["why", "plant.minute", "--savepoint", "sp"], "did you mean `minutes`?");
    refused(&["why", "plan.minutes", "--savepoint", "sp"], "sp is of pipeline `plant`");
    let other = folder.read("plant.yaml").replace("tumbling: 1m", "session: { gap: 1m }");
    folder.write("other.yaml", &other);
    refused(
        &["why", "plant.minutes", "other.yaml", "--savepoint", "sp"],
        "laid out otherwise than in this file",
    );
    folder.write("other.yaml", other.replace("pipeline: plant", "pipeline: planet"));
    refused(&["why", "plant.minutes", "other.yaml", "--savepoint", "sp"], "did you mean `planet`?");
}

#[test]
fn nobody_runs() {
    let folder = Folder::empty();
    let ran = folder.run(&["why", "plant.minutes", "--data-dir", "data"]);
    assert!(ran.status == Some(1) && ran.stderr.contains("no process runs"), "{}", ran.stderr);
    let mut run = headwater(folder.path(), &["why", "plant"]).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(wait(&mut run).code(), Some(2));
}
