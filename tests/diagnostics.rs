//! Wrong pipelines and what `headwater check` says about them.
//!
//! `tests/diagnostics/NN-name.yaml` holds one kind of fault (some hold several), the `.txt` beside it the
//! expected standard error. A name with `warning` in it is accepted with a warning.

pub mod common;

use common::{compare_kept, files, none_failed, project, run_in};
use std::path::{Path, PathBuf};

/// How many kinds of fault there must be at least.
const KINDS: usize = 60;

#[test]
fn every_fault_is_explained() {
    let folder = project("tests/diagnostics");
    let cases = files(&folder, "yaml");
    assert!(cases.len() >= KINDS, "{} kinds of fault, wanted are {KINDS}", cases.len());
    let failures: Vec<String> = cases.iter().filter_map(|case| check(&folder, case).err()).collect();
    none_failed(&failures);
}

fn check(folder: &Path, case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_str().unwrap();
    let ran = run_in(folder, &["check", name]);
    let status = if name.contains("warning") { 0 } else { 78 };
    if ran.status != Some(status) {
        return Err(format!("{name}: exit status {:?}, expected {status}\n{}", ran.status, ran.stderr));
    }
    if !ran.stderr.lines().any(|line| has_place(line, name)) {
        return Err(format!("{name}: no line starts with {name}:LINE:COLUMN:\n{}", ran.stderr));
    }
    compare_kept(&case.with_extension("txt"), &ran.stderr)
}

/// What pipelines cannot be together: folders, each with what is said of it in a `.txt` beside it. One without errors
/// says how many pipelines it holds.
#[test]
fn every_fault_of_a_folder_is_explained() {
    let folder = project("tests/diagnostics/folders");
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    let failures = cases.iter().filter_map(|case| {
        let name = case.file_name().unwrap().to_str().unwrap();
        let ran = run_in(&folder, &["check", name]);
        let is_right = ran.status == Some(if ran.stderr.contains("error") { 78 } else { 0 });
        assert!(is_right, "{name}: exit status {:?}\n{}", ran.status, ran.stderr);
        compare_kept(&case.with_extension("txt"), &ran.stderr).err()
    });
    none_failed(&failures.collect::<Vec<_>>());
}

/// Whether a line names a place in the file: `name:line:column: `.
fn has_place(line: &str, name: &str) -> bool {
    let Some((_, place)) = line.split_once(&format!("{name}:")) else { return false };
    let mut numbers = place.splitn(3, ':').map(str::parse::<u32>);
    numbers.next().is_some_and(|line| line.is_ok()) && numbers.next().is_some_and(|column| column.is_ok())
}

#[test]
fn every_expectation_belongs_to_a_pipeline() {
    let texts = files(&project("tests/diagnostics"), "txt");
    let orphans: Vec<String> = texts
        .iter()
        .filter(|text| !text.with_extension("yaml").exists())
        .map(|text| text.display().to_string())
        .collect();
    assert!(orphans.is_empty(), "no pipeline for {orphans:?}");
}

#[test]
fn a_place_is_a_line_and_a_column() {
    assert!(has_place("error: a.yaml:3:14: unknown key", "a.yaml"));
    assert!(!has_place("error: a.yaml: unknown key", "a.yaml"));
    assert!(!has_place("a.yaml:3: unknown key", "a.yaml"));
}
