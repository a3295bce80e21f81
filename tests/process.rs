//! The process as others see it: signals, pipes, exit statuses, results that depend on events alone.

pub mod common;

use common::{Folder, headwater, wait};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

const LIVE: &str = "
sources:
  readings:
    generate: { rate: 500, fields: { n: sequence() } }
windows:
  all: { from: readings, tumbling: 1d, aggregate: { n: count(*) } }
sinks:
  each: { from: readings, stdout: {} }
  days: { from: all, file: { path: days.ndjson } }
";

/// Late events, sessions, unions of a way that parts and meets again, rejects: whatever could depend on batches.
const SHAPES: &str = "
sources:
  events:
    stdin: {}
    event_time: { field: ts, out_of_order: 3s }
transforms:
  sides:
    from: events
    route: { odd: n % 2 = 1 }
  marked: { from: sides.odd, set: { side: \"'odd'\" } }
  others: { from: sides.rest, set: { side: \"'even'\" } }
  sorted: { from: [marked, others], ordered: true, select: [ts, n] }
windows:
  minutes:
    from: [marked, others]
    key: [device]
    sliding: { size: 20s, every: 5s }
    allowed_lateness: 4s
    accumulation: accumulating
    aggregate: { n: count(*), sum: sum(n), first: first(n), all: collect(side) }
  visits:
    from: [others, marked]
    key: [device]
    session: { gap: 400ms }
    aggregate: { n: count(*), last: last(n) }
  hundreds:
    from: [marked, others]
    count: { size: 100, every: 30 }
    aggregate: { sum: sum(n) }
sinks:
  minutes_out: { from: minutes, file: { path: minutes.ndjson, mode: replace } }
  late_out: { from: [minutes.late, visits.late], file: { path: late.ndjson, mode: replace } }
  visits_out: { from: visits, file: { path: visits.ndjson, mode: replace } }
  hundreds_out: { from: hundreds, file: { path: hundreds.ndjson, mode: replace } }
  sorted_out: { from: sorted, file: { path: sorted.ndjson, mode: replace } }
  unsorted_out: { from: sorted.late, file: { path: unsorted.ndjson, mode: replace } }
  passed: { from: [others, marked, events], stdout: {} }
";

const OUTPUTS: [&str; 6] =
    ["minutes.ndjson", "late.ndjson", "visits.ndjson", "hundreds.ndjson", "sorted.ndjson", "unsorted.ndjson"];

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// Disordered events, some far too late, some unreadable.
fn events(count: u64) -> Vec<u8> {
    let mut numbers = Numbers(7);
    let mut text = String::new();
    for n in 0..count {
        let late = if numbers.below(20) == 0 { 30_000 } else { 4_000 };
        let ts = 100_000 + n * 40 - numbers.below(late);
        let device = numbers.below(5);
        match numbers.below(200) {
            0 => text.push_str("{\"n\": \n"),
            _ => text.push_str(&format!("{{\"n\": {n}, \"device\": \"d{device}\", \"ts\": {ts}}}\n")),
        }
    }
    text.into_bytes()
}

fn start(folder: &Folder, name: &str) -> Child {
    start_all(folder, &[name])
}

/// Everything that a run of [`SHAPES`] puts out when its input comes in the given pieces.
fn outputs(input: &[u8], pieces: impl Iterator<Item = usize>, pause: bool) -> Vec<String> {
    let folder = Folder::empty();
    folder.write("shapes.yaml", SHAPES);
    let mut child = start(&folder, "shapes.yaml");
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let mut rest = input;
    for size in pieces {
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        stdin.write_all(piece).unwrap();
        rest = behind;
        if pause {
            // The worker sees an empty pipe: it ends its batch and flushes.
            std::thread::yield_now();
        }
    }
    stdin.write_all(rest).unwrap();
    drop(stdin);
    assert_eq!(wait(&mut child).code(), Some(0));
    let mut all = vec![reader.join().unwrap()];
    all.extend(OUTPUTS.iter().map(|name| folder.read(name)));
    all
}

#[test]
fn results_do_not_depend_on_how_input_is_cut() {
    let input = events(6_000);
    let whole = outputs(&input, std::iter::empty(), false);
    assert!(whole.iter().all(|text| text.lines().count() > 5), "the input must exercise every output");
    for seed in 1..6 {
        let mut numbers = Numbers(seed);
        let most = [50, 700, 5_000, 40_000][seed as usize % 4];
        let pieces = std::iter::from_fn(move || Some(1 + numbers.below(most) as usize)).take(400);
        let cut = outputs(&input, pieces, seed % 2 == 0);
        for (name, (whole, cut)) in ["stdout"].iter().chain(&OUTPUTS).zip(whole.iter().zip(&cut)) {
            assert!(whole == cut, "{name} differs with seed {seed}");
        }
    }
}

/// Event time and number of each line.
fn places(text: &str) -> Vec<(i64, i64)> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter_map(|event| Some((event["ts"].as_i64()?, event["n"].as_i64()?))).collect()
}

#[test]
fn ordered_events_are_in_order_and_the_late_ones_beside() {
    let input = events(6_000);
    let all = outputs(&input, std::iter::empty(), false);
    let (mut in_time, mut late, mut highest) = (Vec::new(), Vec::new(), 0);
    for place in places(str::from_utf8(&input).unwrap()) {
        // Three seconds behind the highest, as the source says.
        let side = if place.0 < highest - 3_000 { &mut late } else { &mut in_time };
        side.push(place);
        highest = highest.max(place.0);
    }
    // Numbers rise in order of arrival, which is that of events of the same time.
    in_time.sort_unstable();
    assert!(!late.is_empty());
    assert_eq!(places(&all[5]), in_time);
    assert_eq!(places(&all[6]), late);
}

#[test]
fn results_do_not_depend_on_when_the_process_runs() {
    let input = events(6_000);
    let whole = outputs(&input, std::iter::empty(), false);
    let folder = Folder::empty();
    folder.write("shapes.yaml", SHAPES);
    let mut child = start(&folder, "shapes.yaml");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let mut stdout = child.stdout.take().unwrap();
    let mut first = vec![0; 20_000];
    stdout.read_exact(&mut first).unwrap();
    signal(&child, "STOP");
    // The pipes fill up and stay full while the process stands still.
    pause(300);
    signal(&child, "CONT");
    let mut stdout_text = String::from_utf8(first).unwrap();
    stdout.read_to_string(&mut stdout_text).unwrap();
    writer.join().unwrap();
    assert_eq!(wait(&mut child).code(), Some(0));
    assert!(stdout_text == whole[0], "standard output differs");
    for (name, whole) in OUTPUTS.iter().zip(&whole[1..]) {
        assert!(folder.read(name) == *whole, "{name} differs");
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_signal_stops_cleanly_and_fires_no_window() {
    for name in ["INT", "TERM"] {
        let folder = Folder::empty();
        folder.write("live.yaml", LIVE);
        let mut child = start(&folder, "live.yaml");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), r#"{"n":0}"#);
        signal(&child, name);
        assert_eq!(wait(&mut child).code(), Some(0), "{name}");
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        assert!(rest.last().is_none_or(|last| last.ends_with('}')), "the last line is whole");
        assert_eq!(folder.read("days.ndjson"), "");
    }
}

#[test]
fn a_reader_that_goes_away_is_a_clean_end() {
    let folder = Folder::empty();
    folder.write("live.yaml", LIVE);
    let mut child = start(&folder, "live.yaml");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(wait(&mut child).code(), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_missing_input_fails_before_output_is_touched() {
    let folder = Folder::empty();
    folder.write("out.ndjson", "kept\n");
    let pipeline = "
sources: { events: { file: { path: gone.ndjson } } }
sinks: { out: { from: events, file: { path: out.ndjson, mode: replace } } }
";
    folder.write("gone.yaml", pipeline);
    let ran = folder.run(&["run", "gone.yaml"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("gone.ndjson"), "{}", ran.stderr);
    assert_eq!(folder.read("out.ndjson"), "kept\n");
}

/// Live events into a file.
fn live_into(path: &str) -> String {
    format!(
        "sources: {{ n: {{ generate: {{ rate: 500, fields: {{ n: sequence() }} }} }} }}\n\
         sinks: {{ out: {{ from: n, file: {{ path: {path} }} }} }}\n"
    )
}

fn start_all(folder: &Folder, names: &[&str]) -> Child {
    let mut command = headwater(folder.path(), &["run", "-q"]);
    command.args(names).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn said(child: &mut Child) -> String {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

/// Lets real time pass.
#[expect(clippy::disallowed_methods, reason = "a process of its own lives in real time")]
fn pause(millis: u64) {
    std::thread::sleep(std::time::Duration::from_millis(millis));
}

/// Waits until a file is longer than it is now.
fn grows(folder: &Folder, name: &str) -> bool {
    let before = folder.read(name).len();
    (0..200).any(|_| {
        pause(20);
        folder.read(name).len() > before
    })
}

#[test]
fn a_pipeline_that_fails_leaves_the_others_alone() {
    let folder = Folder::empty();
    folder.write("live.yaml", LIVE);
    folder.write("full.yaml", live_into("/dev/full"));
    folder.write(
        "gone.yaml",
        "sources: { a: { file: { path: gone } } }\nsinks: { b: { from: a, drop: {} } }\n",
    );
    let mut child = start_all(&folder, &["full.yaml", "gone.yaml", "live.yaml"]);
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let missing = errors.next().unwrap();
    assert!(missing.starts_with("error: pipeline `gone`: source `a`: cannot open"), "{missing}");
    let full = errors.next().unwrap();
    assert!(full.starts_with("error: pipeline `full`: cannot write to `/dev/full`"), "{full}");
    // Both were told while the third goes on, which then still takes a signal as the first one.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().take(500).all(|line| line.is_ok()));
    signal(&child, "TERM");
    assert_eq!(wait(&mut child).code(), Some(1));
    assert_eq!(errors.next(), None);
}

#[test]
fn a_reader_that_goes_away_ends_only_what_it_reads() {
    let folder = Folder::empty();
    folder.write("live.yaml", LIVE);
    folder.write("other.yaml", live_into("other.ndjson"));
    let mut child = start_all(&folder, &["live.yaml", "other.yaml"]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    pause(1_000);
    assert!(grows(&folder, "other.ndjson"));
    signal(&child, "TERM");
    assert_eq!(wait(&mut child).code(), Some(0));
    assert!(folder.read("other.ndjson").ends_with("}\n"), "the last line is whole");
    assert_eq!(said(&mut child), "");
}

#[test]
fn a_full_pipe_holds_nobody_for_ever() {
    let folder = Folder::empty();
    folder.write("live.yaml", LIVE.replace("rate: 500", "rate: 1000000"));
    let mut child = start(&folder, "live.yaml");
    // The pipe takes some 64 KiB, and nobody reads it.
    pause(1_000);
    signal(&child, "TERM");
    assert_eq!(wait(&mut child).code(), Some(1));
    let said = said(&mut child);
    assert!(said.starts_with("error: pipeline `live` did not stop within 10s of the signal"), "{said}");
    assert!(said.contains("`each`"), "{said}");
}

#[test]
fn output_that_the_last_flush_lost_is_a_failure() {
    let folder = Folder::empty();
    let bounded =
        live_into("/dev/full").replace("generate: { rate: 500, fields: { n: sequence() } }", "stdin: {}");
    folder.write("full.yaml", bounded);
    let mut child = start(&folder, "full.yaml");
    child.stdin.take().unwrap().write_all(b"{\"n\": 1}\n").unwrap();
    assert_eq!(wait(&mut child).code(), Some(1));
    let said = said(&mut child);
    assert!(said.starts_with("error: pipeline `full`: cannot write to `/dev/full`"), "{said}");
}

fn make_pipe(folder: &Folder, name: &str) {
    assert!(Command::new("mkfifo").arg(folder.path().join(name)).status().unwrap().success());
}

#[test]
fn named_pipes_are_opened_without_their_other_end() {
    let folder = Folder::empty();
    make_pipe(&folder, "in");
    make_pipe(&folder, "out");
    let pipeline = "sources: { a: { file: { path: in } } }\nsinks: { b: { from: a, file: { path: out } } }\n";
    folder.write("pipes.yaml", pipeline);
    let mut child = start(&folder, "pipes.yaml");
    pause(300);
    signal(&child, "TERM");
    assert_eq!(wait(&mut child).code(), Some(0));

    let mut child = start(&folder, "pipes.yaml");
    pause(300);
    fs::OpenOptions::new()
        .write(true)
        .open(folder.path().join("in"))
        .unwrap()
        .write_all(b"{\"n\":1}\n")
        .unwrap();
    assert_eq!(folder.read("out"), "{\"n\":1}\n");
    assert_eq!(wait(&mut child).code(), Some(0));
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let folder = Folder::empty();
    folder.write("a.yaml", live_into("same.ndjson"));
    folder.write("b.yaml", live_into("./same.ndjson"));
    let ran = folder.run(&["run", "a.yaml", "b.yaml"]);
    assert_eq!(ran.status, Some(78));
    assert!(
        ran.stderr.contains("sink `out` writes to the same file ./same.ndjson as `out` of pipeline `a`"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("b.yaml:2:10"), "{}", ran.stderr);
    assert_eq!(folder.read("same.ndjson"), "");

    for name in ["c", "d"] {
        folder.write(
            &format!("{name}.yaml"),
            "sources: { a: { stdin: {} } }\nsinks: { b: { from: a, stdout: {} } }\n",
        );
    }
    let ran = folder.run(&["run", "c.yaml", "d.yaml"]);
    assert_eq!(ran.status, Some(78));
    assert!(
        ran.stderr.contains("source `a` reads standard input, as `a` of pipeline `c` does"),
        "{}",
        ran.stderr
    );
    folder.run(&["check", "c.yaml", "d.yaml"]).succeeded();

    let twice =
        "sources: { a: { stdin: {} }, b: { stdin: {} } }\nsinks: { c: { from: [a, b], stdout: {} } }\n";
    folder.write("twice.yaml", twice);
    let ran = folder.run(&["check", "twice.yaml"]);
    assert_eq!(ran.status, Some(78));
    assert!(
        ran.stderr.contains("twice.yaml:1:30")
            && ran.stderr.contains("source `b` reads standard input, as `a` does"),
        "{}",
        ran.stderr
    );
}

#[test]
fn exit_statuses_are_those_of_the_contract() {
    let folder = Folder::empty();
    folder.write("good.yaml", "sources: { a: { stdin: {} } }\nsinks: { b: { from: a, stdout: {} } }\n");
    folder.write("bad.yaml", "sources: { a: { stdn: {} } }\n");
    let statuses = [
        (&["run", "-q", "good.yaml"][..], 0),
        (&["check", "bad.yaml"], 78),
        (&["check", "nowhere.yaml"], 78),
        (&["run"], 2),
        (&["rnu", "good.yaml"], 2),
        (&["run", "--no-such-flag", "good.yaml"], 2),
        (&["run", "--set", "x", "good.yaml"], 2),
        (&["status"], 2),
        (&["top"], 78),
        (&["run", "-q", "--data-dir", "d", "good.yaml"], 0),
        (&["run", "--fresh", "good.yaml"], 2),
        (&["--version"], 0),
    ];
    for (arguments, status) in statuses {
        let ran = folder.run(arguments);
        assert_eq!(ran.status, Some(status), "{arguments:?}: {}", ran.stderr);
        assert!(status == 0 || !ran.stderr.is_empty(), "{arguments:?} says nothing");
    }
}

#[test]
fn the_process_takes_no_huge_pages() {
    let folder = Folder::empty();
    folder.write("live.yaml", LIVE);
    let mut child = start(&folder, "live.yaml");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let enabled = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
    // Kernels before 5.0 do not tell.
    assert!(enabled.is_none_or(|enabled| enabled.trim() == "0"), "{enabled:?}");
    signal(&child, "TERM");
    wait(&mut child);
}

/// Lines of which some are unreadable, some have no time, and of some the time cannot be computed.
fn faulty(seed: u64, padding: &str) -> String {
    let mut numbers = Numbers(seed);
    let lines = (0..3_000).map(|n| match numbers.below(12) {
        0 => format!("{{\"n\": {n}, {padding}\n"),
        1 => format!("{{\"n\": {n}, {padding}\"ts\": null, \"d\": 1}}\n"),
        2 => format!("{{\"n\": {n}, {padding}\"ts\": 1, \"d\": 0}}\n"),
        _ => format!("{{\"n\": {n}, {padding}\"ts\": {}, \"d\": 1}}\n", 100_000 + n * 10 + seed),
    });
    lines.collect()
}

/// What a pipeline passes and rejects of the input, in order: node and number of each event.
fn passed_and_rejected(source: &str, files: &[(&str, String)]) -> Vec<String> {
    let folder = Folder::empty();
    files.iter().for_each(|(name, text)| drop(folder.write(name, text)));
    let pipeline = format!(
        "
sources:
  a:
    {source}
    event_time: {{ expr: ts / d }}
sinks:
  out: {{ from: [a, a.rejected], stdout: {{}} }}
"
    );
    folder.write("a.yaml", pipeline);
    let mut command = headwater(folder.path(), &["run", "-q", "a.yaml"]);
    if let Some(input) = files.iter().find(|(name, _)| *name == "input") {
        let (reader, mut writer) = std::io::pipe().unwrap();
        command.stdin(reader);
        let text = input.1.clone();
        std::thread::spawn(move || text.as_bytes().chunks(900).for_each(|c| writer.write_all(c).unwrap()));
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let number = |line: &str| {
        let start = line.find("\"n\":").or_else(|| line.find("\"n\\\":")).unwrap();
        let digits: String = line[start..]
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        format!("{} {digits}", line.starts_with("{\"reason"))
    };
    String::from_utf8(output.stdout).unwrap().lines().map(number).collect()
}

#[test]
fn rejects_keep_their_place_however_input_is_cut() {
    let (short, long) = (String::new(), " ".repeat(400));
    let one = |padding: &str| passed_and_rejected("file: { path: x }", &[("x", faulty(3, padding))]);
    let whole = one(&short);
    assert_eq!(whole.len(), 3_000);
    assert!(whole.iter().filter(|line| line.starts_with("true")).count() > 300);
    assert!(whole == one(&long), "one file");
    assert!(whole == passed_and_rejected("stdin: {}", &[("input", faulty(3, &short))]), "standard input");
    let two = |padding: &str| {
        let files = [("x", faulty(3, padding)), ("y", faulty(5, padding))];
        passed_and_rejected("file: { path: [x, y] }", &files)
    };
    let whole = two(&short);
    assert_eq!(whole.len(), 6_000);
    assert!(whole == two(&long), "two files");
}

#[test]
fn files_without_event_time_come_one_after_the_other() {
    let folder = Folder::empty();
    let lines =
        |name: &str| (0..3_000).map(|n| format!("{{\"f\":\"{name}\",\"n\":{n}}}\n")).collect::<String>();
    folder.write("x", lines("x"));
    folder.write("y", lines("y"));
    let pipeline = "sources: { a: { file: { path: [y, x] } } }\nsinks: { out: { from: a, stdout: {} } }\n";
    folder.write("a.yaml", pipeline);
    let ran = folder.run(&["run", "-q", "a.yaml"]).succeeded();
    assert!(ran.stdout == lines("y") + &lines("x"));
}

#[test]
fn a_generated_event_is_rejected_once() {
    let folder = Folder::empty();
    let pipeline = "
sources:
  a:
    generate: { count: 10, fields: { t: sequence(), n: 1 / (sequence() % 2) } }
    event_time: { expr: t / (t - t) }
sinks:
  out: { from: a.rejected, stdout: {} }
";
    folder.write("a.yaml", pipeline);
    assert_eq!(folder.run(&["run", "-q", "a.yaml"]).succeeded().stdout.lines().count(), 10);
}

#[test]
fn a_field_is_one_json_value_over_any_number_of_lines() {
    let folder = Folder::empty();
    let lines = [
        r#"{"m":"{\n \"a\": [1,\n2]\n}\n"}"#,
        r#"{"m":"{\"a\":\n1}\n{\"a\":2}"}"#,
        r#"{"m":"{\"a\":\"x\ny\"}"}"#,
        r#"{"m":"{\"a\":3}"}"#,
    ];
    folder.write("x", lines.join("\n"));
    let pipeline = "
sources: { x: { file: { path: x } } }
transforms:
  read: { from: x, parse: { field: m, as: json } }
  a: { from: read, select: { a: a } }
sinks:
  out: { from: a, stdout: {} }
  bad: { from: read.rejected, file: { path: bad, mode: replace } }
";
    folder.write("a.yaml", pipeline);
    let ran = folder.run(&["run", "-q", "a.yaml"]).succeeded();
    assert_eq!(ran.stdout.replace(' ', ""), "{\"a\":[1,2]}\n{\"a\":3}\n");
    assert_eq!(folder.read("bad").lines().count(), 2);
}
