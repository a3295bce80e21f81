//! `snapshot list` and `snapshot restore`.

use super::server::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use super::state::{commit, keyed, open_state, take};
use crate::common::{Folder, headwater};
use headwater::state::snapshot::{FolderTarget, SnapshotTarget};
use std::process::{Command, Output};

const FIRST: &str = "20270115T080000.000Z";
const SECOND: &str = "20270115T080000.001Z";

/// A directory with state, and with two snapshots of it in `copies`.
fn with_snapshots(target: Option<&mut dyn SnapshotTarget>) -> Folder {
    let folder = Folder::empty();
    let mut own = FolderTarget::new(&folder.path().join("copies"));
    let target = target.unwrap_or(&mut own);
    let mut state = open_state(&folder.path().join("state"));
    for time in 0..2 {
        commit(&mut state, 50);
        take(&mut state, time, target, &mut |_| {}).unwrap();
    }
    folder
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn one_command_brings_state_back() {
    let folder = with_snapshots(None);
    let listed = folder.run(&["snapshot", "list", "copies"]).succeeded().stdout;
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with(&format!("{FIRST}  gateway  machines  epoch 1  ")), "{listed}");
    assert!(lines[1].starts_with(&format!("{SECOND}  gateway  machines  epoch 2  ")), "{listed}");
    assert!(lines.len() == 2 && listed.ends_with(" bytes\n"), "{listed}");
    let json =
        folder.run(&["snapshot", "list", "copies@20270115T080000.001Z", "--format", "json"]).succeeded();
    assert!(json.stdout.starts_with(
        r#"{"time":"20270115T080000.001Z","instance":"gateway","pipeline":"machines","epoch":2,"#
    ));
    assert_eq!(json.stdout.lines().count(), 1);

    let restored = folder.run(&["snapshot", "restore", "copies", "--data-dir", "new"]).succeeded();
    assert_eq!(restored.stdout, format!("`machines` is restored from the snapshot of {SECOND}, epoch 2\n"));
    assert_eq!(folder.read("new/instance"), "gateway\n");
    let state = open_state(&folder.path().join("new/pipelines/machines"));
    assert_eq!(keyed(&state), keyed(&open_state(&folder.path().join("state"))));
    drop(state);

    let again = folder.run(&["snapshot", "restore", "copies", "--data-dir", "new"]);
    assert_eq!(again.status, Some(1));
    assert!(
        again.stderr.contains("there is state of `machines` already: move `new/pipelines/machines` away")
    );

    let first = format!("copies@{FIRST}");
    folder.run(&["snapshot", "restore", &first, "--data-dir", "old"]).succeeded();
    assert_eq!(open_state(&folder.path().join("old/pipelines/machines")).epoch().0, 1);
}

#[test]
fn what_cannot_be_restored_is_said() {
    let folder = with_snapshots(None);
    let fails = |arguments: &[&str], status: i32, message: &str| {
        let ran = folder.run(arguments);
        assert!(ran.status == Some(status) && ran.stderr.contains(message), "{}", ran.stderr);
    };
    fails(&["snapshot", "restore", "copies"], 2, "`snapshot restore` needs --data-dir DIR");
    fails(&["snapshot", "list", "nowhere"], 1, "there is no directory `nowhere`");
    fails(&["snapshot", "list", "s3://plant/x"], 2, "a bucket needs AWS_ACCESS_KEY_ID in the environment");
    let other = ["snapshot", "restore", "copies", "--pipeline", "other", "--data-dir", "new"];
    fails(&other, 1, "there is no whole snapshot to be restored");
    // The newest is torn: the one before is taken, and that is said.
    folder.write(&format!("copies/snapshots/gateway/machines/{SECOND}"), "{");
    let ran = folder.run(&["snapshot", "restore", "copies", "--data-dir", "new"]).succeeded();
    assert!(ran.stderr.contains("is damaged: it is not whole: left out"), "{}", ran.stderr);
    assert!(ran.stdout.contains(FIRST));
    // A part is missing: nothing gets a name.
    std::fs::remove_dir_all(folder.path().join("copies/parts")).unwrap();
    fails(&["snapshot", "restore", "copies", "--data-dir", "bad"], 1, "reading parts/gateway/machines/");
    assert!(!folder.path().join("bad/pipelines/machines").exists());
}

#[test]
fn a_bucket_is_read_over_tls() {
    let Some(server) = Server::start_secure() else { return };
    let Some(plain) = Server::start() else { return };
    let mut target = plain.target();
    let folder = with_snapshots(Some(&mut target));
    copy(&plain, &server);
    let place = format!("s3://{BUCKET}/backup/site 1+2");
    let run = |arguments: &[&str], trusted: bool| {
        let mut command: Command = headwater(folder.path(), arguments);
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command.env("AWS_ENDPOINT_URL", server.endpoint());
        if trusted {
            command.env("SSL_CERT_FILE", server.folder.path().join("ca.pem"));
        }
        said(&command.output().unwrap())
    };
    let (status, _, stderr) = run(&["snapshot", "list", &place], false);
    assert!(status == Some(1) && stderr.contains("certificate"), "{stderr}");
    let (status, stdout, stderr) = run(&["snapshot", "restore", &place, "--data-dir", "new"], true);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains(SECOND), "{stdout}");
    assert_eq!(open_state(&folder.path().join("new/pipelines/machines")).epoch().0, 2);
}

/// Gives a server what another keeps.
fn copy(from: &Server, to: &Server) {
    let copied = Command::new("cp").arg("-r").arg(from.kept().join("backup")).arg(to.kept()).status();
    assert!(copied.unwrap().success());
}
