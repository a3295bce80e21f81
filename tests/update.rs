//! `headwater test --update`: what it rewrites, and what it leaves alone.
//!
//! `tests/update/NAME.yaml` fails; the `.txt` beside it is what it becomes.

pub mod common;

use common::{Folder, compare_kept, files, none_failed, project, updating};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A pipeline that passes events on.
const PASS: &str = "sources: { in: { stdin: {} } }\nsinks: { out: { from: in, stdout: {} } }\n";

#[test]
fn failing_files_become_what_is_kept() {
    let failures = files(&project("tests/update"), "yaml");
    none_failed(&failures.iter().filter_map(|file| rewrite(file).err()).collect::<Vec<_>>());
}

fn rewrite(file: &Path) -> Result<(), String> {
    let folder = Folder::empty();
    let name = file.file_name().unwrap().to_str().unwrap();
    folder.write(name, fs::read(file).unwrap());
    if folder.run(&["test", name]).status != Some(1) {
        return Err(format!("{name}: does not fail"));
    }
    let ran = folder.run(&["test", "--update", name]);
    if (ran.status, ran.stderr.as_str()) != (Some(0), "") {
        return Err(format!("{name}:\n{}{}", ran.stdout, ran.stderr));
    }
    let once = folder.read(name);
    compare_kept(&file.with_extension("txt"), &once)?;
    let again = folder.run(&["test", "--update", name]).succeeded();
    assert!(!again.stdout.contains("rewrote"), "{}", again.stdout);
    assert_eq!(folder.read(name), once, "what passes stays as it is");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    Ok(())
}

#[test]
fn tests_beside_their_pipeline_are_rewritten_there() {
    let folder = Folder::empty();
    let test = "# Kept.\r\ntests:\r\n  - name: a\r\n    steps:\r\n      - send: { in: [{ x: 1 }, { x: 2 }] }\r\n      \
                - expect:\r\n          out:\r\n            - { x: 3 }\r\n";
    folder.write("p.yaml", PASS);
    folder.write("p.test.yaml", format!("\u{feff}{test}"));
    let ran = folder.run(&["test", "--update", "."]).succeeded();
    let expected = "./p.test.yaml:7: rewrote what `out` is expected to put out in `a`\n";
    assert!(ran.stdout.starts_with(expected), "{}", ran.stdout);
    assert_eq!(folder.read("p.yaml"), PASS);
    let rewritten = test.replace("- { x: 3 }\r\n", "- { x: 1 }\r\n            - { x: 2 }\r\n");
    assert_eq!(folder.read("p.test.yaml"), format!("\u{feff}{rewritten}"));
}

#[test]
fn programs_are_told_as_well() {
    let folder = Folder::empty();
    folder.write(
        "p.yaml",
        format!("{PASS}tests: [{{ name: a, steps: [{{ expect: {{ out: [{{ x: 1 }}] }} }}] }}]\n"),
    );
    let ran = folder.run(&["test", "--update", "--format", "json", "p.yaml"]).succeeded();
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["rewritten"], &lines[0]["line"]), (&Value::from("out"), &Value::from(3)));
    assert_eq!((&lines[1]["passed"], &lines[2]["failed"]), (&Value::from(true), &Value::from(0)));
    assert!(folder.read("p.yaml").ends_with("[{ expect: { out: [] } }] }]\n"));
}

/// What is not rewritten, and why.
fn refused(text: &str, reason: &str) {
    let folder = Folder::empty();
    folder.write("token", "very-secret-17\n");
    folder.write("p.yaml", text);
    let ran = folder.run(&["test", "--update", "p.yaml"]);
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(reason), "{}", ran.stderr);
    assert_eq!(folder.read("p.yaml"), text);
}

#[test]
fn what_no_step_expects_is_left_to_people() {
    let test = "tests: [{ name: a, steps: [{ send: { in: { x: 1 } } }] }]\n";
    refused(&format!("{PASS}{test}"), "p.yaml:3: not rewritten: no step expects anything of `out`");
}

#[test]
fn secrets_are_not_written_down() {
    let text = "sources: { in: { stdin: {} } }\n\
                transforms: { named: { from: in, set: { token: \"'${file:token}'\" } } }\n\
                sinks: { out: { from: named, stdout: {} } }\n\
                tests: [{ name: a, steps: [{ send: { in: { x: 1 } } }, { expect: { out: [{ token: x }] } }] }]\n";
    refused(text, "p.yaml:4: not rewritten: what came holds a secret");
}

#[test]
fn what_stands_behind_an_alias_is_left_alone() {
    let test = "tests:\n  - name: a\n    steps:\n      - send: { in: &rows [{ x: 1 }] }\n      - expect: { out: *rows }\n      \
                - send: { in: { x: 2 } }\n      - expect: { out: *rows }\n";
    refused(&format!("{PASS}{test}"), "p.yaml:9: not rewritten: its events stand elsewhere, behind an alias");
    let test = "tests:\n  - name: a\n    steps:\n      - expect: { out: [&row { x: 1 }] }\n      - send: { in: { x: 1 } }\n      \
                - expect: { out: [*row] }\n";
    refused(&format!("{PASS}{test}"), "p.yaml: not rewritten: the file could not be read any more");
}

#[cfg(unix)]
#[test]
fn permissions_and_links_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::empty();
    let text = format!("{PASS}tests: [{{ name: a, steps: [{{ expect: {{ out: [{{ x: 1 }}] }} }}] }}]\n");
    let file = folder.write("real.yaml", text);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.yaml", folder.path().join("p.yaml")).unwrap();
    folder.run(&["test", "--update", "p.yaml"]).succeeded();
    assert!(folder.read("real.yaml").contains("out: []"));
    assert!(folder.path().join("p.yaml").is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn every_kept_text_belongs_to_a_file() {
    let orphan = |text: &&std::path::PathBuf| !text.with_extension("yaml").exists();
    let kept = files(&project("tests/update"), "txt");
    assert!(updating() || kept.iter().find(orphan).is_none());
}
