//! `was`: nodes that have another name now go on with what was kept under the old one.

pub mod common;

use common::{Folder, Ran, headwater, until, wait};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;

const BEFORE: &str = "
options: { delivery: exactly_once }
sources:
  numbers: { file: { path: in.ndjson }, event_time: { field: n } }
transforms:
  numbered: { from: numbers, set: { seen: running_count() OVER (PARTITION BY k), last: 'previous(n) OVER (PARTITION BY l)' } }
windows:
  fours: { from: numbered, key: [k], count: { size: 4, every: 2 }, aggregate: { all: collect(seen) } }
sinks:
  rows: { from: numbered, file: { path: rows.ndjson } }
  groups: { from: fours, file: { path: groups.ndjson } }
";

/// The same with other names.
const AFTER: &str = "
options: { delivery: exactly_once }
sources:
  input: { was: numbers, file: { path: in.ndjson }, event_time: { field: n } }
transforms:
  counted: { was: [nothing, numbered], from: input, set: { seen: running_count() OVER (PARTITION BY k), last: 'previous(n) OVER (PARTITION BY l)' } }
windows:
  pairs: { was: fours, from: counted, key: [k], count: { size: 4, every: 2 }, aggregate: { all: collect(seen) } }
sinks:
  lines: { was: rows, from: counted, file: { path: rows.ndjson } }
  lists: { was: groups, from: pairs, file: { path: groups.ndjson } }
";

fn input(folder: &Folder, numbers: std::ops::Range<u32>) {
    let line = |n: u32| format!("{{\"n\":{n},\"k\":{},\"l\":{}}}\n", n % 2, n % 3);
    folder.write("in.ndjson", numbers.map(line).collect::<String>());
}

fn run(folder: &Folder, text: &str, data_dir: &str) -> Ran {
    folder.write("p.yaml", text);
    folder.run(&["run", "p.yaml", "--data-dir", data_dir])
}

/// A folder in which half of the input was read under the old names.
fn halfway() -> Folder {
    let folder = Folder::empty();
    input(&folder, 0..9);
    run(&folder, BEFORE, "data").succeeded();
    input(&folder, 0..20);
    folder
}

/// What a run without interruption gives.
fn expected() -> [String; 2] {
    let folder = halfway();
    run(&folder, BEFORE, "data").succeeded();
    outputs(&folder)
}

fn outputs(folder: &Folder) -> [String; 2] {
    [folder.read("rows.ndjson"), folder.read("groups.ndjson")]
}

#[test]
fn state_positions_and_output_go_on_under_another_name() {
    let folder = halfway();
    let ran = run(&folder, AFTER, "data").succeeded();
    for said in [
        "node `input` goes on with what was kept for `numbers`",
        "`counted` goes on with what was kept for `numbered`",
    ] {
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    assert_eq!(outputs(&folder), expected());
    let listed = folder.run(&["state", "list", "--data-dir", "data"]).succeeded().stdout;
    assert!(listed.contains("  counted: ") && listed.contains("  source:input: "), "{listed}");
    assert!(!listed.contains("numbered") && !listed.contains("rows"), "{listed}");
    // From now on nobody need know the old names.
    let ran =
        run(&folder, &AFTER.replace("was: numbers, ", "").replace("was: rows, ", ""), "data").succeeded();
    assert!(ran.stderr.contains("nothing new") && !ran.stderr.contains("goes on with"), "{}", ran.stderr);
}

/// Where nothing is new, the names alone are written.
#[test]
fn a_name_is_kept_though_nothing_else_has_changed() {
    let folder = Folder::empty();
    input(&folder, 0..9);
    run(&folder, BEFORE, "data").succeeded();
    let before = outputs(&folder);
    run(&folder, AFTER, "data").succeeded();
    let listed = folder.run(&["state", "list", "--data-dir", "data"]).succeeded().stdout;
    assert!(listed.contains("  counted: ") && !listed.contains("numbered"), "{listed}");
    assert_eq!(outputs(&folder), before);
}

#[test]
fn a_savepoint_is_gone_on_with_under_another_name() {
    let folder = halfway();
    folder.run(&["savepoint", "create", "--data-dir", "data", "p", "save"]).succeeded();
    folder.run(&["savepoint", "restore", "--data-dir", "elsewhere", "save"]).succeeded();
    run(&folder, AFTER, "elsewhere").succeeded();
    assert_eq!(outputs(&folder), expected());
}

#[test]
fn without_it_or_with_another_shape_state_is_not_touched() {
    let folder = halfway();
    let cases = [
        (AFTER.replace("was: [nothing, numbered], ", ""), "node `numbered` is no longer in the pipeline"),
        (
            AFTER.replace("size: 4, every: 2", "size: 6"),
            "node `fours` is `pairs` now, which keeps state of its own or is laid out",
        ),
    ];
    for (text, said) in cases {
        let ran = run(&folder, &text, "data");
        assert!(ran.status == Some(1) && ran.stderr.contains(said), "{}", ran.stderr);
    }
    run(&folder, AFTER, "data").succeeded();
    assert_eq!(outputs(&folder), expected());
}

#[test]
fn output_that_waits_goes_along() {
    let folder = Folder::empty();
    input(&folder, 0..9);
    // Nobody listens there.
    let text = "
options: { checkpoint: 50ms }
sources: { in: { file: { path: in.ndjson, follow: true } } }
sinks: { SINK from: in, mqtt: { url: 'mqtt://127.0.0.1:1', topic: t } } }
";
    for (name, sink) in [("far", "far: {"), ("farther", "farther: { was: far,")] {
        folder.write("p.yaml", text.replace("SINK", sink));
        let mut command = headwater(folder.path(), &["run", "p.yaml", "--data-dir", "data"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Whoever asks before it runs would take the directory itself.
        until("it runs", || folder.path().join("data/control.sock").exists());
        until("output waits", || {
            let ran = folder.run(&["state", "list", "--data-dir", "data"]);
            waits(&ran.stdout, name)
        });
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        wait(&mut child);
    }
    let listed = folder.run(&["state", "list", "--data-dir", "data"]).succeeded().stdout;
    assert!(waits(&listed, "farther"), "{listed}");
}

/// Whether a chunk waits for that sink.
fn waits(listed: &str, sink: &str) -> bool {
    let mut lines = listed.lines().filter(|line| line.trim_start().starts_with(&format!("sink:{sink}: ")));
    lines.any(|line| line.contains("1 chunks not delivered"))
}
