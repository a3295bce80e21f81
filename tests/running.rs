//! A process that runs, asked over its socket: what it does, and savepoints.

pub mod common;

#[path = "running/run.rs"]
mod run;

use common::{Folder, until};
use run::{COUNTING, Run, assert_whole, count, status};
use serde_json::Value;

fn pipeline(folder: &Folder) -> Value {
    status(folder, "data")["pipelines"][0].clone()
}

#[test]
fn a_process_says_what_it_does() {
    let folder = Folder::empty();
    folder.write("counting.yaml", COUNTING);
    let run = Run::start(&folder, &["--data-dir", "data"]);
    until("it has come some way", || {
        let seen = pipeline(&folder);
        count(&seen["checkpoint"]["epoch"]) > 2 && count(&seen["nodes"][0]["sent"]) > 100
    });
    let seen = pipeline(&folder);
    assert_eq!(
        (&seen["name"], &seen["state"], &seen["error"]),
        (&"counting".into(), &"running".into(), &Value::Null)
    );
    assert!(count(&seen["written_bytes"]) > 1_000 && count(&seen["disk_bytes"]) > 1_000, "{seen}");
    assert_eq!(
        (&seen["nodes"][0]["name"], &seen["nodes"][0]["kind"]),
        (&"numbers".into(), &"generate".into())
    );
    assert!(
        seen["nodes"][0]["undelivered_bytes"].is_null() && seen["nodes"][2]["undelivered_bytes"].is_u64()
    );
    let text = folder.run(&["status", "--data-dir", "data"]).succeeded().stdout;
    assert!(
        text.starts_with("counting: running\n  checkpoint ") && text.contains("  numbers   generate  "),
        "{text}"
    );
    let listed = folder.run(&["state", "list", "--data-dir", "data"]).succeeded().stdout;
    assert!(listed.contains("hundreds: ") && listed.contains("delivers sink:each: chunk "), "{listed}");
    let checked = folder.run(&["state", "check", "--data-dir", "data"]).succeeded().stdout;
    assert!(checked.starts_with("counting: ok: ") && checked.contains(" segments of the log"), "{checked}");
    // Just behind a hundred there is nothing.
    until("there is something of a hundred", || {
        let got = folder.run(&["state", "get", "counting", "hundreds", "--data-dir", "data"]).succeeded();
        got.stdout.lines().any(|line| line.starts_with("key [] = 0x"))
    });
    let exported = folder.run(&["state", "export", "counting", "--data-dir", "data"]).succeeded().stdout;
    let of =
        |node: &str| exported.lines().filter(|line| line.contains(&format!("\"node\":\"{node}\""))).count();
    assert!(of("hundreds") > 1 && exported.lines().all(|line| line.starts_with('{')), "{exported}");
    let wrong = folder.run(&["state", "get", "counting", "hundred", "--data-dir", "data"]);
    assert!(wrong.stderr.contains("did you mean `hundreds`?"), "{}", wrong.stderr);
    let wrong = folder.run(&["state", "export", "other", "--data-dir", "data"]);
    assert!(wrong.stderr.contains("there is no pipeline `other`"), "{}", wrong.stderr);
    let compacted = folder.run(&["state", "compact", "--data-dir", "data"]).succeeded().stdout;
    assert!(compacted.starts_with("counting: ") && compacted.ends_with(" now\n"), "{compacted}");
    let busy = folder.run(&["state", "repair", "--data-dir", "data"]);
    assert!(
        busy.status == Some(1) && busy.stderr.contains("a process uses this state: stop it first"),
        "{}",
        busy.stderr
    );
    let none = folder.run(&["snapshot", "create", "--data-dir", "data"]);
    assert!(
        none.stderr.contains("the process takes no snapshots: `snapshots` in headwater.yaml"),
        "{}",
        none.stderr
    );
    run.end(&folder);
    assert_whole(&folder);
    let gone = folder.run(&["status", "--data-dir", "data"]);
    assert_eq!(gone.status, Some(1));
    assert!(gone.stderr.contains("no process runs with the data directory `data`"), "{}", gone.stderr);
    assert_eq!(folder.run(&["status"]).status, Some(2));
}

#[test]
fn a_savepoint_is_taken_while_it_runs_and_gone_on_from_elsewhere() {
    let folder = Folder::empty();
    folder.write("counting.yaml", COUNTING);
    let run = Run::start(&folder, &["--data-dir", "data"]);
    until("it has come some way", || count(&pipeline(&folder)["nodes"][0]["sent"]) > 300);
    let unknown = folder.run(&["savepoint", "create", "counts", "x", "--data-dir", "data"]);
    assert!(
        unknown.status == Some(1) && unknown.stderr.contains("there is no pipeline `counts`"),
        "{}",
        unknown.stderr
    );
    let made = folder.run(&["savepoint", "create", "counting", "one", "--data-dir", "data"]).succeeded();
    assert!(made.stderr.starts_with("wrote one: "), "{}", made.stderr);
    let again = folder.run(&["savepoint", "create", "counting", "one", "--data-dir", "data"]);
    assert!(again.status == Some(1) && again.stderr.contains("it is there already"), "{}", again.stderr);
    run.kill();
    let listed = folder.run(&["savepoint", "list", "one", "--format", "json"]).succeeded();
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert!(listed["text"].is_string() && count(&listed["epoch"]) > 1, "{listed}");
    folder.run(&["savepoint", "restore", "one", "--data-dir", "other"]).succeeded();
    Run::start(&folder, &["--data-dir", "other"]).end(&folder);
    assert_whole(&folder);
}

#[test]
fn a_directory_that_may_not_grow_holds_the_input_back_and_loses_nothing() {
    let folder = Folder::empty();
    folder.write("counting.yaml", COUNTING);
    folder.write("headwater.yaml", "limits: { disk: 1KB }\n");
    let run = Run::start(&folder, &["--data-dir", "data"]);
    until("it is said", || folder.read("log").contains("of the 1000 that `limits.disk` leaves it"));
    let sent = count(&pipeline(&folder)["nodes"][0]["sent"]);
    common::pause(300);
    assert!(count(&pipeline(&folder)["nodes"][0]["sent"]) <= sent + 100 && sent < 1_000);
    run.kill();
    folder.write("headwater.yaml", "limits: { disk: 64MiB }\n");
    Run::start(&folder, &["--data-dir", "data"]).end(&folder);
    assert_whole(&folder);
}
