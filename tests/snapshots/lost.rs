//! A machine that is lost while a pipeline runs, and another that goes on from its snapshots.

use super::run::{COUNTING, Run, assert_whole, count, status};
use super::server::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use crate::common::{Folder, until};

/// Runs with snapshots, loses the machine, and goes on from the last on another.
fn lose_and_restore(folder: &Folder) {
    folder.write("counting.yaml", COUNTING);
    let run = Run::start(folder, &["--data-dir", "data"]);
    until("some are taken", || count(&status(folder, "data")["snapshots"]["taken"]) > 1);
    let now = folder.run(&["snapshot", "create", "--data-dir", "data"]).succeeded().stdout;
    assert!(now.starts_with("what runs is copied to "), "{now}");
    run.kill();
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let listed = folder.run(&["snapshot", "list"]).succeeded().stdout;
    let last = listed.lines().last().unwrap();
    assert!(last.contains("  counting  epoch "), "{listed}");
    let time = format!("@{}", last.split_once(' ').unwrap().0);
    let restored = folder.run(&["snapshot", "restore", &time, "--data-dir", "other"]).succeeded();
    assert!(
        restored.stdout.starts_with("`counting` is restored from the snapshot of "),
        "{}",
        restored.stdout
    );
    Run::start(folder, &["--data-dir", "other"]).end(folder);
    assert_whole(folder);
}

#[test]
fn a_lost_machine_is_brought_back_from_a_directory() {
    let folder = Folder::empty();
    folder.write("headwater.yaml", "snapshots: { every: 1s, to: copies }\n");
    lose_and_restore(&folder);
}

#[test]
fn a_lost_machine_is_brought_back_from_a_bucket() {
    let Some(server) = Server::start() else { return };
    let folder = Folder::empty();
    let (endpoint, bucket) = (format!("http://127.0.0.1:{}", server.port), BUCKET);
    folder.write(
        "headwater.yaml",
        format!(
            "snapshots:\n  every: 1s\n  to:\n    s3:\n      bucket: {bucket}\n      prefix: copies\n      \
             endpoint: '{endpoint}'\n      access_key: {ACCESS_KEY}\n      secret_key: '{SECRET_KEY}'\n"
        ),
    );
    lose_and_restore(&folder);
}
