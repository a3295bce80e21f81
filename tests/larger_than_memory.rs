//! State ten times larger than `limits.memory`: what the process holds stays within it, and the rows are those of a run
//! that has room for all.

pub mod common;

use common::{Folder, headwater, wait};
use std::fmt::Write;
use std::process::Stdio;

const MIB: usize = 1 << 20;
/// Keys, each with as many bytes of state as its texts have.
const KEYS: usize = 10_000;
/// So many have next to no state together.
const FEW: usize = 1_000;
const TEXT: usize = 4_000;
/// In MiB: a tenth of the state.
const LIMIT: usize = KEYS * TEXT / MIB / 10 + 1;

const HEAD: &str = "
sources:
  readings: { file: { path: readings.ndjson }, event_time: { field: ts, out_of_order: 1s } }
";

const WINDOWS: &str = "
windows:
  hours: { from: readings, key: [device], tumbling: 1h, aggregate: { n: count(*), notes: collect(note), sum: sum(x) } }
transforms:
  out: { from: hours, select: [device, n, sum, window_start] }
";

const NODES: &str = "
transforms:
  texts: { from: readings, changed: { key: [device], fields: [note] } }
  out: { from: texts, select: [device, x, ts] }
";

const TAIL: &str = "
sinks:
  rows: { from: out, file: { path: rows.ndjson } }
";

/// Every key comes once within an hour, and every fifth of them once more with the same text.
fn readings(keys: usize) -> String {
    let mut text = String::new();
    let begin = 1_700_000_000_000_u64 / 3_600_000 * 3_600_000;
    for (number, key) in (0..keys).chain((0..keys).step_by(5)).enumerate() {
        let (ts, device) = (begin + number as u64 * 250, key * 7919 % keys);
        let note = format!("{device:0>TEXT$}");
        writeln!(text, r#"{{"ts":{ts},"device":"d{device}","x":{key},"note":"{note}"}}"#).unwrap();
    }
    text
}

/// Runs and returns the rows and the most memory that the process had, in bytes.
fn run(nodes: &str, limit: Option<usize>, input: &str) -> (String, usize) {
    let folder = Folder::empty();
    folder.write("p.yaml", format!("{HEAD}{nodes}{TAIL}"));
    folder.write("readings.ndjson", input);
    if let Some(limit) = limit {
        folder.write("headwater.yaml", format!("limits: {{ memory: {limit}MiB }}\n"));
    }
    let mut command = headwater(folder.path(), &["run", "p.yaml", "--data-dir", "state"]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<usize>().ok());
        most = most.max(kib.unwrap_or(0) << 10);
        common::pause(5);
    }
    assert!(wait(&mut child).success());
    (folder.read("rows.ndjson"), most)
}

/// The process may take the limit and what it takes with next to no state, and a tenth more.
fn check(nodes: &str) {
    let input = readings(KEYS);
    let (_, base) = run(nodes, Some(LIMIT), &readings(FEW));
    let (expected, all) = run(nodes, None, &input);
    let (rows, most) = run(nodes, Some(LIMIT), &input);
    println!(
        "{} MiB with {FEW} keys; {} MiB with {KEYS}; {} MiB with them within {LIMIT} MiB",
        base / MIB,
        all / MIB,
        most / MIB
    );
    assert!(rows.lines().count() >= KEYS);
    assert!(rows == expected, "rows differ");
    assert!(most <= (base + LIMIT * MIB) * 11 / 10, "{most} bytes, of which {base} are not state");
}

#[test]
fn windows_stay_within_a_tenth_of_their_state() {
    check(WINDOWS);
}

#[test]
fn nodes_stay_within_a_tenth_of_their_state() {
    check(NODES);
}
