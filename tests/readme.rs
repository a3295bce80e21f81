//! The pipelines in README.md are valid, their tests pass, and no example is missing.

pub mod common;

use common::{Folder, files, project};

/// The fenced blocks of YAML.
fn blocks(text: &str) -> Vec<&str> {
    let behind_fence = text.split("```yaml\n").skip(1);
    behind_fence.filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block)).collect()
}

/// Whole pipelines: tests belong to the pipeline that stands before them.
fn pipelines(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for block in blocks(text) {
        match all.last_mut() {
            Some(pipeline) if block.starts_with("tests:") => *pipeline = format!("{pipeline}\n{block}"),
            _ => all.push(block.to_owned()),
        }
    }
    all
}

#[test]
fn its_pipelines_are_right_and_pass_their_tests() {
    let text = std::fs::read_to_string(project("README.md")).unwrap();
    let pipelines = pipelines(&text);
    assert_eq!(pipelines.len(), 2, "one from a file, one from MQTT");
    assert!(pipelines[0].contains("\ntests:"));
    for pipeline in pipelines {
        let folder = Folder::empty();
        folder.write("pipeline.yaml", pipeline);
        let checked = folder.run(&["check", "pipeline.yaml"]);
        assert_eq!((checked.status, checked.stderr.as_str()), (Some(0), "1 pipeline ok\n"));
        let ran = folder.run(&["test", "pipeline.yaml"]);
        assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn it_tells_of_every_example() {
    let text = std::fs::read_to_string(project("README.md")).unwrap();
    for example in files(&project("pipelines"), "yaml") {
        let name = example.file_name().unwrap().to_str().unwrap();
        assert!(text.contains(&format!("(pipelines/{name})")), "{name} is missing");
    }
}

#[test]
fn blocks_are_found() {
    assert_eq!(blocks("a\n```yaml\nb\nc\n```\n```sh\nd\n```\n```yaml\ne\n```"), ["b\nc", "e"]);
}
