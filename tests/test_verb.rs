//! `headwater test`: what passes, what fails and how that looks, what is refused.
//!
//! `tests/test_verb/NAME.yaml` are pipelines with tests. Those with a `.txt` beside them are wrong or fail, as it says;
//! all others pass.

pub mod common;

use common::{Folder, compare_kept, files, none_failed, project, run_in};
use serde_json::{Value, json};

/// A pipeline that passes events on, without tests.
const PASS: &str = "sources: { in: { stdin: {} } }\nsinks: { out: { from: in, stdout: {} } }\n";
/// A test of it that passes.
const GOOD: &str =
    "tests: [{ name: good, steps: [{ send: { in: { a: 1 } } }, { expect: { out: [{ a: 1 }] } }] }]\n";
/// A test of it that fails.
const BAD: &str = "tests: [{ name: bad, steps: [{ expect: { out: [{ a: 1 }] } }] }]\n";

#[test]
fn everything_that_tests_can_say_works() {
    let folder = project("tests/test_verb");
    let passing = files(&folder, "yaml");
    let passing = passing.iter().filter(|file| !file.with_extension("txt").exists());
    let failures = passing.filter_map(|file| {
        let ran = run_in(&folder, &["test", file.file_name().unwrap().to_str().unwrap()]);
        (ran.status != Some(0)).then(|| format!("{}:\n{}{}", file.display(), ran.stdout, ran.stderr))
    });
    none_failed(&failures.collect::<Vec<_>>());
}

#[test]
fn failures_are_shown_side_by_side() {
    let folder = project("tests/test_verb");
    let ran = run_in(&folder, &["test", "failing.yaml"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), ""));
    compare_kept(&folder.join("failing.txt"), &ran.stdout).unwrap();
    let ran = run_in(&folder, &["test", "--format", "json", "failing.yaml"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), ""));
    compare_kept(&folder.join("failing.ndjson"), &ran.stdout).unwrap();
}

#[test]
fn every_fault_is_said_at_once() {
    let folder = project("tests/test_verb");
    let ran = run_in(&folder, &["test", "wrong.yaml"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(78), ""));
    compare_kept(&folder.join("wrong.txt"), &ran.stderr).unwrap();
}

#[test]
fn a_wrong_pipeline_and_its_wrong_tests_are_said_together() {
    let folder = Folder::empty();
    folder.write("p.yaml", PASS.replace("from: in", "from: inn"));
    folder.write("p.test.yaml", "tests: [{ name: a, steps: [{ sent: 1 }] }]\n");
    folder.write("good.yaml", format!("{PASS}{GOOD}"));
    let ran = folder.run(&["test", "."]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(78), ""));
    assert!(ran.stderr.contains("p.yaml:2:23: error: there is no node `inn`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("p.test.yaml:1:30: error: unknown key `sent` in the step"), "{}", ran.stderr);
}

/// An example that reads one file: pipeline, source, file, and which sink writes which of the expected files.
type Example = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const RUNS: [Example; 3] = [
    ("purchases", "events", "purchases.ndjson", &[("results", "stdout"), ("too_late", "too-late")]),
    ("sensors", "messages", "sensors.ndjson", &[("results", "stdout")]),
    ("energy-per-day", "readings", "meters.csv", &[("results", "stdout"), ("too_late", "too-late")]),
];

#[test]
fn a_test_gives_the_rows_of_a_run() {
    let examples = project("pipelines");
    let read = |name: &str| std::fs::read_to_string(examples.join(name)).unwrap();
    for (name, source, data, sinks) in RUNS {
        let folder = Folder::empty();
        let text = read(&format!("{name}.yaml"));
        let (pipeline, _) = text.split_once("\ntests:").unwrap();
        folder.write(&format!("{name}.yaml"), format!("{pipeline}\n"));
        let lines: Vec<String> = read(&format!("data/{data}")).lines().map(str::to_owned).collect();
        let rows = sinks.iter().map(|(sink, file)| {
            let lines = read(&format!("expected/{name}/{file}.ndjson"));
            let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            ((*sink).to_owned(), Value::from(rows))
        });
        let rows: serde_json::Map<String, Value> = rows.collect();
        let steps =
            json!([{ "send": { source: lines } }, { "close": source }, { "expect": rows, "exact": true }]);
        let case = json!({ "name": "run", "auto_watermark": true, "ignore": "unreadable", "steps": steps });
        folder.write(&format!("{name}.test.yaml"), json!({ "tests": [case] }).to_string());
        let ran = folder.run(&["test", "."]);
        assert_eq!(ran.status, Some(0), "{name}:\n{}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_directory_is_tested_file_by_file() {
    let folder = Folder::empty();
    folder.write("a/good.yaml", format!("{PASS}{GOOD}"));
    folder.write("a/none.yaml", PASS);
    folder.write("a/two.yml", format!("{PASS}{GOOD}"));
    folder.write("a/two.test.yml", GOOD);
    let ran = folder.run(&["test", "a"]).succeeded();
    let report = "a/good.yaml  1 passed\na/none.yaml  no tests\na/two.yml    2 passed\n\
                  3 tests passed, 1 file without tests\n";
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), (report, ""));
    assert_eq!(folder.run(&["-q", "test", "a"]).succeeded().stdout, "");
    let sum = "{\"files\":3,\"passed\":3,\"failed\":0,\"without_tests\":[\"a/none.yaml\"]}\n";
    let ran = folder.run(&["--format", "json", "test", "a"]).succeeded();
    assert!(ran.stdout.ends_with(sum), "{}", ran.stdout);
    assert_eq!(folder.run(&["test", "a/none.yaml"]).succeeded().stdout, "a/none.yaml  no tests\nno tests\n");
    folder.write("a/two.test.yml", BAD);
    assert_eq!(folder.run(&["test", "a"]).status, Some(1));
}

#[test]
fn a_test_file_is_tested_without_the_tests_in_its_pipeline() {
    let folder = Folder::empty();
    folder.write("p.yaml", format!("{PASS}{BAD}"));
    folder.write("p.test.yaml", GOOD);
    let ran = folder.run(&["test", "-v", "p.test.yaml"]).succeeded();
    assert_eq!(ran.stdout, "p.yaml  1 passed\n  ok   good\n1 test passed\n");
    assert_eq!(folder.run(&["test", "p.yaml", "p.yaml"]).stdout.lines().last(), Some("1 of 2 tests failed"));
    folder.write("lone.test.yaml", GOOD);
    for path in ["lone.test.yaml", "."] {
        let ran = folder.run(&["test", path]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(78), ""));
        assert!(
            ran.stderr.contains("the pipeline that it tests, `lone.yaml`, is not beside it"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn parameters_come_from_the_command_line_and_from_tests() {
    let folder = Folder::empty();
    let text = "params: { least: 5, gap: 1m }\n\
                sources: { in: { stdin: {}, event_time: { field: t } } }\n\
                windows: { w: { from: in, tumbling: \"${param:gap}\", aggregate: { n: count(*) } } }\n\
                transforms: { big: { from: w, where: n >= param('least') } }\n\
                sinks: { out: { from: big, stdout: {} } }\n\
                tests:\n  - name: a\n    params: PARAMS\n    steps:\n      - send: { in: [{ t: 1 }, { t: 2 }] }\n      \
                - close: in\n      - expect: { out: [{ n: 2 }] }\n";
    folder.write("p.yaml", text.replace("PARAMS", "{ least: 2 }"));
    folder.run(&["test", "p.yaml"]).succeeded();
    folder.run(&["test", "p.yaml", "--set", "least=9"]).succeeded();
    folder.write("p.yaml", text.replace("PARAMS", "{ }"));
    assert_eq!(folder.run(&["test", "p.yaml"]).status, Some(1));
    folder.run(&["test", "p.yaml", "--set", "least=1"]).succeeded();
    assert_eq!(folder.run(&["test", "p.yaml", "--set", "lest=1"]).status, Some(2));
    folder.write("p.yaml", text.replace("PARAMS", "{ gap: never }"));
    let ran = folder.run(&["test", "p.yaml"]);
    assert_eq!(ran.status, Some(78));
    assert!(
        ran.stderr.contains("p.yaml:8:5: error: test `a` cannot run: with its parameters"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("p.yaml:3:37: error: expected a duration"), "{}", ran.stderr);
}

#[test]
fn secrets_are_not_shown() {
    let folder = Folder::empty();
    let token = "sources: { in: { stdin: {} } }\n\
                 transforms: { named: { from: in, set: { token: \"'${file:token}'\" } } }\n\
                 sinks: { out: { from: named, stdout: {} } }\n\
                 tests: [{ name: a, steps: [{ send: { in: { a: 1 } } }] }]\n";
    folder.write("p.yaml", token);
    folder.write("token", "very-secret-17\n");
    for format in ["text", "json"] {
        let ran = folder.run(&["test", "p.yaml", "--format", format]);
        assert_eq!(ran.status, Some(1));
        assert!(ran.stdout.contains("\"token\":\"***\""), "{}", ran.stdout);
        assert!(!ran.stdout.contains("very-secret"), "{}", ran.stdout);
    }
}

#[test]
fn colours_are_only_for_terminals() {
    let folder = Folder::empty();
    folder.write("p.yaml", format!("{PASS}{BAD}"));
    let plain = folder.run(&["test", "p.yaml"]).stdout;
    let painted = folder.run(&["test", "p.yaml", "--color", "always"]).stdout;
    assert!(!plain.contains('\x1b') && painted.contains("\x1b[31m"), "{painted}");
    let bare = ["\x1b[31m", "\x1b[32m", "\x1b[1m", "\x1b[2m", "\x1b[0m"];
    assert_eq!(bare.iter().fold(painted, |text, tone| text.replace(tone, "")), plain);
}
