//! The pipelines in README.md are valid, and its tests pass.

pub mod common;

use common::{Folder, project};

/// The fenced blocks of YAML.
fn blocks(text: &str) -> Vec<&str> {
    let behind_fence = text.split("```yaml\n").skip(1);
    behind_fence.filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block)).collect()
}

#[test]
fn its_pipeline_passes_its_tests() {
    let text = std::fs::read_to_string(project("README.md")).unwrap();
    let blocks = blocks(&text);
    assert_eq!(blocks.len(), 2, "a pipeline and its tests");
    let folder = Folder::empty();
    folder.write("pipeline.yaml", blocks.join("\n"));
    folder.run(&["check", "pipeline.yaml"]).succeeded();
    let ran = folder.run(&["test", "pipeline.yaml"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn blocks_are_found() {
    assert_eq!(blocks("a\n```yaml\nb\nc\n```\n```sh\nd\n```\n```yaml\ne\n```"), ["b\nc", "e"]);
}
