//! Nodes that keep something: each `tests/nodes/NAME.yaml` is a pipeline whose own tests say what the node does.

pub mod common;

use common::{files, none_failed, project, run_in};

#[test]
fn nodes_do_what_their_tests_say() {
    let folder = project("tests/nodes");
    let failures = files(&folder, "yaml").into_iter().filter_map(|file| {
        let ran = run_in(&folder, &["test", file.file_name().unwrap().to_str().unwrap()]);
        (ran.status != Some(0)).then(|| format!("{}:\n{}{}", file.display(), ran.stdout, ran.stderr))
    });
    none_failed(&failures.collect::<Vec<_>>());
}
