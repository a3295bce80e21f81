//! `headwater schema` accepts every pipeline that is right, and refuses what no pipeline can be.
//!
//! A validator of others (python3-jsonschema) judges. Texts are read by serde_yaml, as an editor would read them.

pub mod common;

use common::{Folder, files, project};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// A document, and whether the schema must accept it.
struct Case {
    name: String,
    valid: bool,
    document: Value,
}

impl Case {
    fn of_text(name: &str, text: &str) -> Case {
        let document = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Case { name: name.to_owned(), valid: true, document }
    }
}

fn schema() -> String {
    Folder::empty().run(&["schema"]).succeeded().stdout
}

fn schema_of_configurations() -> String {
    Folder::empty().run(&["schema", "--of", "config"]).succeeded().stdout
}

/// A line for each case about which the schema is wrong.
fn judged(cases: &[Case]) -> String {
    judged_by(&schema(), cases)
}

fn judged_by(schema: &str, cases: &[Case]) -> String {
    let folder = Folder::empty();
    let schema = folder.write("schema.json", schema);
    let line = |case: &Case| {
        json!({ "name": case.name, "valid": case.valid, "document": case.document }).to_string() + "\n"
    };
    let documents = folder.write("documents.ndjson", cases.iter().map(line).collect::<String>());
    let script = project("tests/schema/validate.py");
    let ran = Command::new("python3").arg(script).args([schema, documents]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "tests/setup.sh installs what is missing:\n{said}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn examples_and_kept_pipelines_are_accepted() {
    let mut cases = Vec::new();
    for folder in ["pipelines", "tests/plans", "tests/graphs", "tests/test_verb", "tests/nodes", "benches"] {
        // Those with wrong tests, and tests that stand beside their pipeline.
        let odd = |name: &str| name == "wrong.yaml" || name.ends_with(".test.yaml");
        for file in files(&project(folder), "yaml") {
            let name = file.file_name().unwrap().to_str().unwrap();
            if !odd(name) {
                cases.push(Case::of_text(name, &std::fs::read_to_string(&file).unwrap()));
            }
        }
    }
    let listed = Folder::empty().run(&["components", "--format", "json"]).succeeded().stdout;
    for component in listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let name = format!("example of {} {}", component["role"], component["name"]);
        cases.push(Case::of_text(&name, component["example"].as_str().unwrap()));
    }
    assert!(cases.len() > 30, "{} pipelines", cases.len());
    assert_eq!(judged(&cases), "");
}

#[test]
fn a_new_pipeline_is_accepted() {
    let folder = Folder::empty();
    folder.run(&["new", "fresh"]).succeeded();
    assert_eq!(judged(&[Case::of_text("fresh", &folder.read("fresh.yaml"))]), "");
}

#[test]
fn configurations_are_judged_as_check_judges_them() {
    // What only `check` can know: parameters, and what substitutions become.
    let known_by_check = ["13-secrets", "14-params", "15-warning"];
    let folder = project("tests/configuration/files");
    let cases = files(&folder, "yaml").into_iter().filter_map(|file| {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let mut case = Case::of_text(&name, &std::fs::read_to_string(&file).unwrap());
        case.valid = name.contains("sound");
        (!known_by_check.iter().any(|known| name.starts_with(known))).then_some(case)
    });
    let cases: Vec<Case> = cases.collect();
    assert!(cases.len() > 5);
    assert_eq!(judged_by(&schema_of_configurations(), &cases), "");
}

/// The cases of a file of them.
fn listed(file: &str, valid: bool) -> Vec<Case> {
    let text = std::fs::read_to_string(project("tests/schema").join(file)).unwrap();
    let documents: BTreeMap<String, Value> = serde_yaml::from_str(&text).unwrap();
    documents.into_iter().map(|(name, document)| Case { name, valid, document }).collect()
}

#[test]
fn sound_files_are_accepted_and_broken_ones_refused() {
    let cases: Vec<Case> =
        listed("sound.yaml", true).into_iter().chain(listed("broken.yaml", false)).collect();
    assert_eq!(judged(&cases), "");
}

/// What is broken for the schema is broken for `check`, or the schema would be stricter than the language.
#[test]
fn broken_files_are_refused_by_check() {
    let folder = Folder::empty();
    for Case { name, document, .. } in listed("broken.yaml", false) {
        folder.write("p.yaml", document.to_string());
        assert_eq!(folder.run(&["check", "p.yaml"]).status, Some(78), "{name}");
    }
}

#[test]
fn it_says_what_things_are_for() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let file = &schema["$defs"]["sink"]["properties"]["file"];
    assert!(file["description"].as_str().unwrap().starts_with("Writes to a file"));
    assert_eq!(file["properties"]["mode"]["default"], "append");
    assert_eq!(schema["properties"]["options"]["properties"]["parallelism"]["default"], 1);
}
