//! `headwater.yaml`: what is said of a wrong one, and what a process makes of it.
//!
//! `tests/configuration/files/NN-name.yaml` holds one kind of fault (some hold several), the `.txt` beside it what
//! `headwater check` says of it. A name with `warning` in it is accepted with a warning, one with `sound` as it is.

pub mod common;

use common::{Folder, compare_kept, files, headwater, none_failed, project, run_in};
use std::path::Path;

#[test]
fn every_fault_is_explained() {
    let folder = project("tests/configuration/files");
    let failures: Vec<String> =
        files(&folder, "yaml").iter().filter_map(|case| check(&folder, case).err()).collect();
    none_failed(&failures);
}

fn check(folder: &Path, case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_str().unwrap();
    let ran = run_in(folder, &["check", "--config", name, "../pipeline.yaml"]);
    let accepted = name.contains("warning") || name.contains("sound");
    if ran.status != Some(if accepted { 0 } else { 78 }) {
        return Err(format!("{name}: exit status {:?}\n{}", ran.status, ran.stderr));
    }
    if ran.stderr.contains("s3cr3t") {
        return Err(format!("{name}: a secret is shown\n{}", ran.stderr));
    }
    compare_kept(&case.with_extension("txt"), &ran.stderr)
}

const PIPELINE: &str = "\
params: { site: nowhere }
sources: { in: { generate: { fields: { site: \"param('site')\" }, count: 1 } } }
sinks: { out: { from: in, stdout: {} } }
";

#[test]
fn parameters_come_from_the_command_line_then_the_file_then_the_pipeline() {
    let folder = Folder::empty();
    folder.write("p.yaml", PIPELINE);
    let site =
        |arguments: &[&str]| folder.run(&[&["run", "-q", "p.yaml"], arguments].concat()).succeeded().stdout;
    assert_eq!(site(&[]), "{\"site\":\"nowhere\"}\n");
    folder.write("headwater.yaml", "params: { site: berlin }\n");
    folder.write("other.yaml", "params: { site: paris }\n");
    assert_eq!(site(&[]), "{\"site\":\"berlin\"}\n");
    assert_eq!(site(&["--config", "other.yaml"]), "{\"site\":\"paris\"}\n");
    assert_eq!(site(&["--set", "site=rome"]), "{\"site\":\"rome\"}\n");
}

#[test]
fn the_data_directory_comes_from_a_flag_then_a_variable_then_the_file_then_systemd() {
    let folder = Folder::empty();
    folder.write("p.yaml", PIPELINE);
    let made = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = headwater(folder.path(), &[&["run", "-q", "p.yaml"], arguments].concat());
        command.env_remove("STATE_DIRECTORY").envs(variables.iter().copied());
        assert!(command.output().unwrap().status.success());
        let all = ["flag", "variable", "file", "service"].into_iter();
        let made: Vec<&str> = all.filter(|name| folder.path().join(name).exists()).collect();
        made.iter().for_each(|name| std::fs::remove_dir_all(folder.path().join(name)).unwrap());
        made.join(" ")
    };
    let service = ("STATE_DIRECTORY", "service");
    let variable = ("HEADWATER_DATA_DIR", "variable");
    assert_eq!(made(&[], &[]), "");
    assert_eq!(made(&[], &[service]), "service");
    folder.write("headwater.yaml", "data_dir: file\n");
    assert_eq!(made(&[], &[service]), "file");
    assert_eq!(made(&[], &[service, variable]), "variable");
    assert_eq!(made(&["--data-dir", "flag"], &[service, variable]), "flag");
}

#[test]
fn a_configuration_is_no_pipeline() {
    let folder = Folder::empty();
    folder.write("pipelines/p.yaml", PIPELINE);
    folder.write("pipelines/headwater.yaml", "data_dir: file\n");
    assert_eq!(folder.run(&["check", "pipelines"]).stderr, "1 pipeline ok\n");
    let named = folder.run(&["check", "pipelines/headwater.yaml"]);
    assert_eq!(named.status, Some(78));
    assert!(named.stderr.contains("`--config pipelines/headwater.yaml` names it"), "{}", named.stderr);
}

#[test]
fn a_configuration_that_is_not_there_or_wrong_runs_nothing() {
    let folder = Folder::empty();
    folder.write("p.yaml", PIPELINE);
    let missing = folder.run(&["run", "--config", "c.yaml", "p.yaml"]);
    assert_eq!((missing.status, missing.stdout.as_str()), (Some(78), ""));
    assert!(missing.stderr.starts_with("c.yaml: error: cannot be read: "), "{}", missing.stderr);
    folder.write("headwater.yaml", "data_dir: data\nlimts: {}\n");
    folder.write("q.yaml", "sources: {}\n");
    let wrong = folder.run(&["run", "p.yaml", "q.yaml"]);
    assert_eq!((wrong.status, wrong.stdout.as_str()), (Some(78), ""));
    // What is wrong is said of both at once.
    assert!(wrong.stderr.contains("headwater.yaml:2:1: error: unknown key `limts`"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("q.yaml:1:1: error: the pipeline has no source"), "{}", wrong.stderr);
    assert!(!folder.path().join("data").exists());
}

#[test]
fn what_needs_a_data_directory_is_refused_without_one() {
    let folder = Folder::empty();
    folder.write("p.yaml", PIPELINE);
    folder.write("once.yaml", format!("options: {{ delivery: exactly_once }}\n{PIPELINE}"));
    let refused = |arguments: &[&str], status: i32, why: &str| {
        let mut command = headwater(folder.path(), arguments);
        let ran = command.env_remove("STATE_DIRECTORY").output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(status), 0), "{said}");
        assert!(said.contains(why) && said.contains("--data-dir DIR"), "{said}");
    };
    refused(
        &["run", "once.yaml"],
        78,
        "pipeline `once` asks for `exactly_once`, which needs a data directory",
    );
    for flag in ["--fresh", "--strict-recovery", "--accept-duplicates", "--accept-gap"] {
        refused(&["run", flag, "p.yaml"], 2, &format!("`{flag}` means nothing without a data directory"));
    }
    refused(&["run", "--allow-dropped-state", "in", "p.yaml"], 2, "`--allow-dropped-state` means nothing");
    folder.write("headwater.yaml", "snapshots: { every: 1h, to: copies }\n");
    refused(&["run", "p.yaml"], 78, "`snapshots` are copies of a data directory");
    // Only `run` demands one.
    folder.run(&["check", "once.yaml"]).succeeded();
    folder.run(&["explain", "once.yaml"]).succeeded();
}
