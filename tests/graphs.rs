//! A pipeline whose ways part in all notations of `headwater graph`: `tests/graphs/fan-out.*`.

pub mod common;

use common::{compare_kept, none_failed, project, run_in};

/// The notations and the ends of the names of their files.
const NOTATIONS: [(&str, &str); 5] =
    [("text", "txt"), ("json", "json"), ("mermaid", "mmd"), ("dot", "dot"), ("svg", "svg")];

#[test]
fn every_notation_is_as_kept() {
    let failures = NOTATIONS.iter().filter_map(|(notation, end)| {
        let ran =
            run_in(&project("tests/plans"), &["graph", "--format", notation, "fan-out.yaml"]).succeeded();
        compare_kept(&project("tests/graphs").join("fan-out").with_extension(end), &ran.stdout).err()
    });
    none_failed(&failures.collect::<Vec<_>>());
}

#[test]
fn several_pipelines_are_one_document_only_where_the_notation_has_such() {
    let paths = ["everything.yaml", "projection.yaml"];
    for (notation, status) in [("text", 0), ("json", 0), ("dot", 0), ("mermaid", 2), ("svg", 2)] {
        let ran = run_in(&project("tests/plans"), &["graph", "--format", notation, paths[0], paths[1]]);
        assert_eq!(ran.status, Some(status), "{notation}: {}", ran.stderr);
    }
}
