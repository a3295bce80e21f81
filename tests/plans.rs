//! Pipelines and the plan that `headwater explain` shows of them: `tests/plans/NAME.yaml`, `NAME.txt`.

pub mod common;

use common::{Folder, compare_kept, files, none_failed, project, run_in};
use std::path::Path;

#[test]
fn every_plan_is_as_explained() {
    let folder = project("tests/plans");
    let cases = files(&folder, "yaml");
    assert!(!cases.is_empty());
    let failures: Vec<String> = cases.iter().filter_map(|case| check(&folder, case).err()).collect();
    none_failed(&failures);
}

fn check(folder: &Path, case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_str().unwrap();
    let ran = run_in(folder, &["explain", name]);
    if ran.status != Some(0) {
        return Err(format!("{name}: exit status {:?}\n{}", ran.status, ran.stderr));
    }
    let json = run_in(folder, &["explain", "--format", "json", name]).stdout;
    if !json.starts_with("{\"pipeline\":") || json.lines().count() != 1 {
        return Err(format!("{name}: not one line of JSON:\n{json}"));
    }
    compare_kept(&case.with_extension("txt"), &ran.stdout)
}

#[test]
fn no_secret_is_explained() {
    let folder = Folder::empty();
    folder.write("token", "s3cr3t-token\n");
    folder.write(
        "p.yaml",
        "sources: { in: { stdin: {} } }\n\
         transforms:\n  known:\n    from: in\n    where: token = '${file:token}'\n\
         sinks: { out: { from: known, stdout: {} } }\n",
    );
    for format in ["text", "json"] {
        let explained = folder.run(&["explain", "--format", format, "p.yaml"]).succeeded().stdout;
        assert!(explained.contains("where token = '***'"), "{explained}");
        assert!(!explained.contains("s3cr3t"), "{explained}");
    }
}

#[test]
fn notations_of_graphs_explain_nothing() {
    let folder = project("tests/plans");
    assert_eq!(run_in(&folder, &["explain", "--format", "svg", "everything.yaml"]).status, Some(2));
}
