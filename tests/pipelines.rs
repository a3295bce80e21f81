//! The examples of `pipelines/` do what they say: their own tests pass, and on their data under `pipelines/data/`
//! they put out the rows under `pipelines/expected/`, with one worker and with several.
//!
//! `expected/NAME/stdout.ndjson` is what `NAME.yaml` prints, `expected/NAME/FILE` what it writes to `out/NAME/FILE`.
//! Rows are compared without their order: between keys there is none.

pub mod common;

use common::{Folder, files, none_failed, project, updating};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn their_own_tests_pass() {
    let ran = Folder::empty().run(&["test", project("pipelines").to_str().unwrap()]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
}

/// Tests that pass for the wrong reason would pass here too.
#[test]
fn a_wrong_expectation_fails() {
    let text = fs::read_to_string(project("pipelines/quickstart.yaml")).unwrap();
    let folder = Folder::empty();
    folder.write("wrong.yaml", text.replace("peak: 91.25", "peak: 91.5"));
    assert_eq!(folder.run(&["test", "wrong.yaml"]).status, Some(1));
    folder.write("wrong-too.yaml", text.replace("readings: 2, average: 85.6", "readings: 3"));
    assert_eq!(folder.run(&["test", "wrong-too.yaml"]).status, Some(1));
}

#[test]
fn they_put_out_the_expected_rows() {
    none_failed(&run_all(1));
}

#[test]
fn the_number_of_workers_does_not_show() {
    if !updating() {
        none_failed(&[2, 4].map(run_all).concat());
    }
}

#[test]
fn those_without_an_end_are_valid_too() {
    // One by one: examples are not meant to run together.
    for file in files(&project("pipelines"), "yaml") {
        Folder::empty().run(&["check", file.to_str().unwrap()]).succeeded();
    }
}

fn run_all(workers: u32) -> Vec<String> {
    let expected = fs::read_dir(project("pipelines/expected")).unwrap().map(|entry| entry.unwrap().path());
    expected.flat_map(|folder| run(&folder, workers)).collect()
}

/// Runs a copy of one example with so many workers; returns what differs from the expected rows.
fn run(expected: &Path, workers: u32) -> Vec<String> {
    let name = expected.file_name().unwrap().to_str().unwrap();
    let pipelines = project("pipelines");
    let folder = Folder::empty();
    for beside in ["data", "schemas"] {
        for data in fs::read_dir(pipelines.join(beside)).unwrap().map(|entry| entry.unwrap().path()) {
            let name = data.file_name().unwrap().to_str().unwrap();
            folder.write(&format!("{beside}/{name}"), fs::read(&data).unwrap());
        }
    }
    let text = fs::read_to_string(pipelines.join(format!("{name}.yaml"))).unwrap();
    folder.write("pipeline.yaml", with_workers(&text, workers));
    let ran = folder.run(&["run", "pipeline.yaml", "--data-dir", "state"]);
    if ran.status != Some(0) {
        return vec![format!("{name} with {workers} workers: exit status {:?}\n{}", ran.status, ran.stderr)];
    }
    folder.write(&format!("out/{name}/stdout.ndjson"), ran.stdout);
    let compare = |kept: &PathBuf| compare_rows(kept, &folder, name, workers).err();
    files(expected, "ndjson").iter().filter_map(compare).collect()
}

fn compare_rows(kept: &Path, folder: &Folder, name: &str, workers: u32) -> Result<(), String> {
    let file = kept.file_name().unwrap().to_str().unwrap();
    let actual = folder.read(&format!("out/{name}/{file}"));
    if updating() {
        fs::write(kept, actual).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(kept).unwrap();
    if sorted(&expected) == sorted(&actual) {
        return Ok(());
    }
    Err(format!("{name}/{file} with {workers} workers\nexpected:\n{expected}actual:\n{actual}"))
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// The pipeline's text with the option `parallelism`.
fn with_workers(text: &str, workers: u32) -> String {
    let option = format!("options:\n  parallelism: {workers}\n");
    if text.contains("\noptions:\n") {
        text.replace("\noptions:\n", &format!("\n{option}"))
    } else {
        text.to_string() + &option
    }
}

#[test]
fn workers_are_set_beside_other_options() {
    assert_eq!(with_workers("a: b\n", 2), "a: b\noptions:\n  parallelism: 2\n");
    assert_eq!(with_workers("a:\noptions:\n  c: d\n", 2), "a:\noptions:\n  parallelism: 2\n  c: d\n");
}
