//! Every test of a pipeline passes as well where the process dies after every step and after every event, and goes on
//! from the checkpoint just before.

pub mod common;

use common::{Folder, files, none_failed, project};
use serde_yaml::{Mapping, Value};
use std::fs;
use std::path::Path;

/// What a restart may change: draws of chance, a silence by up to a minute, how long a partition was quiet (see
/// ARCHITECTURE.md); or what goes back behind a checkpoint, and fires at each end of input.
const OTHERWISE: [&str; 5] = [
    "tests/nodes/sample.yaml",
    "tests/nodes/absence.yaml",
    "tests/nodes/absence_expected.yaml",
    "tests/nodes/lua_state.yaml",
    "pipelines/catch-up.yaml",
];
/// Folders of pipelines with tests.
const FOLDERS: [&str; 4] = ["pipelines", "tests/nodes", "tests/windows", "tests/restart"];

#[test]
fn restarts_after_every_step_do_not_show() {
    let mut failures = Vec::new();
    let mut tests = 0;
    for file in FOLDERS.iter().flat_map(|folder| files(&project(folder), "yaml")) {
        if OTHERWISE.iter().any(|other| file.ends_with(other)) {
            continue;
        }
        let Some((text, count)) = restarted(&file) else { continue };
        tests += count;
        let folder = Folder::empty();
        folder.write("pipelines/p.yaml", text);
        for beside in ["pipelines/schemas", "pipelines/data", "plugins"] {
            for path in fs::read_dir(project(beside)).unwrap().map(|e| e.unwrap().path()) {
                let name = path.file_name().unwrap().to_str().unwrap();
                folder.write(&format!("{beside}/{name}"), fs::read(&path).unwrap());
            }
        }
        let ran = folder.run(&["test", "pipelines/p.yaml"]);
        if ran.status != Some(0) {
            failures.push(format!("{}:\n{}{}", file.display(), ran.stdout, ran.stderr));
        }
    }
    assert!(tests > 40, "only {tests} tests were found");
    none_failed(&failures);
}

/// A pipeline's text with a restart after every step of its tests but expectations, and how many tests it has.
fn restarted(file: &Path) -> Option<(String, usize)> {
    let mut pipeline: Value = serde_yaml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let tests = pipeline.get_mut("tests")?.as_sequence_mut()?;
    for test in tests.iter_mut() {
        let steps = test.get_mut("steps").unwrap().as_sequence_mut().unwrap();
        *steps = std::mem::take(steps).into_iter().flat_map(pieces).flat_map(with_restart).collect();
    }
    let count = tests.len();
    Some((serde_yaml::to_string(&pipeline).unwrap(), count))
}

/// A step that sends several events, as one for each.
fn pieces(step: Value) -> Vec<Value> {
    let Some(sent) = step.get("send").and_then(Value::as_mapping) else { return vec![step] };
    let one = |source: &Value, event: Value| {
        let sent = Mapping::from_iter([(source.clone(), Value::Sequence(vec![event]))]);
        Value::Mapping(Mapping::from_iter([("send".into(), Value::Mapping(sent))]))
    };
    let events = |events: &Value| events.as_sequence().cloned().unwrap_or_else(|| vec![events.clone()]);
    sent.iter()
        .flat_map(|(source, all)| events(all).into_iter().map(move |event| one(source, event)))
        .collect()
}

fn with_restart(step: Value) -> Vec<Value> {
    let expects = step.get("expect").is_some();
    if expects { vec![step] } else { vec![step, "checkpoint".into(), "restart".into()] }
}
