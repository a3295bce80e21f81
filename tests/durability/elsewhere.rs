//! State that was lost, copied or carried elsewhere: what goes on from it is exact, or it says what it is not.

use crate::broker::{Broker, free_port};
use crate::common::{Folder, pause, until};
use crate::files::{PURCHASES, events, pipeline};
use crate::process::end;
use crate::victim::{Numbers, Outputs, Victim, outputs, same, undisturbed};
use rustix::process::Signal;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A folder with input and pipeline, and what an undisturbed run puts out.
fn prepared(count: u64) -> (Folder, Outputs) {
    let folder = Folder::empty();
    folder.write("input.ndjson", events(count, 41));
    folder.write("p.yaml", pipeline(PURCHASES, false, 1));
    undisturbed(&folder, &[]);
    let expected = outputs(&folder.path().join("out"));
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    (folder, expected)
}

fn compare(what: &str, folder: &Folder, expected: &Outputs) {
    same(what, expected, &outputs(&folder.path().join("out")), &folder.read("stderr"));
}

/// Kills a run in the middle, once something was put out.
fn killed_in_the_middle(folder: &Folder) {
    let mut victim = Victim::start(folder, &[]);
    until("output", || {
        assert!(!victim.has_ended(), "it was done too soon");
        folder.read("out/results/rows.ndjson").len() > 2_000
    });
    victim.kill();
}

#[test]
fn a_savepoint_goes_on_in_another_directory() {
    let (folder, expected) = prepared(60_000);
    let mut numbers = Numbers(42);
    let mut data = "data".to_owned();
    for round in 0..4 {
        let mut victim = Victim::start(&folder, &["--data-dir", &data]);
        if victim.live(150 + numbers.below(100)) {
            victim.kill();
        }
        let next = format!("data-{round}");
        let savepoint = format!("save-{round}");
        folder.run(&["savepoint", "create", "--data-dir", &data, "p", &savepoint]).succeeded();
        folder.run(&["savepoint", "restore", "--data-dir", &next, &savepoint]).succeeded();
        data = next;
    }
    folder.run(&["run", "--data-dir", &data, "p.yaml"]).succeeded();
    compare("savepoints", &folder, &expected);
}

#[test]
fn a_snapshot_goes_on_where_it_was_taken() {
    let (folder, expected) = prepared(200_000);
    folder.write("headwater.yaml", "instance: gateway\nsnapshots: { every: 100ms, to: copies }\n");
    let mut victim = Victim::start(&folder, &[]);
    until("a snapshot", || {
        assert!(!victim.has_ended(), "it was done too soon");
        let listed = folder.run(&["snapshot", "list", "copies"]);
        listed.status == Some(0) && listed.stdout.contains("epoch")
    });
    victim.kill();
    folder.run(&["snapshot", "restore", "copies", "--data-dir", "restored"]).succeeded();
    folder.run(&["run", "--data-dir", "restored", "p.yaml"]).succeeded();
    compare("a snapshot", &folder, &expected);
}

#[test]
fn a_store_that_is_gone_is_said() {
    let (folder, _) = prepared(60_000);
    killed_in_the_middle(&folder);
    // At the end of a run everything is folded into the store.
    folder.run(&["state", "compact", "--data-dir", "data", "p"]).succeeded();
    let stores = files_below(folder.path().join("data"), "redb");
    assert_eq!(stores.len(), 1, "{stores:?}");
    fs::remove_file(&stores[0]).unwrap();
    let ran = folder.run(&["run", "--data-dir", "data", "p.yaml"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("breaks `exactly_once`"), "{}", ran.stderr);
    let before = folder.read("out/results/rows.ndjson");
    let ran = folder.run(&["run", "--data-dir", "data", "--accept-duplicates", "p.yaml"]).succeeded();
    for said in ["the store is missing", "`exactly_once` does not hold across this start"] {
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    let after = folder.read("out/results/rows.ndjson");
    assert!(after.len() > before.len() && after.starts_with(&before), "it goes on behind what stood there");
    drop(outputs(&folder.path().join("out")));
}

fn files_below(folder: PathBuf, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files_below(path, extension)),
            false if path.extension().is_some_and(|e| e == extension) => found.push(path),
            false => {}
        }
    }
    found
}

#[test]
fn undelivered_output_goes_with_a_savepoint() {
    let port = free_port();
    let listener = format!("listener {port} 127.0.0.1\nallow_anonymous true\n");
    let Some(mut broker) = Broker::prepare(port, &format!("{listener}max_queued_messages 0\n")) else {
        return;
    };
    const COUNT: usize = 5_000;
    let folder = Folder::empty();
    folder.write("input.ndjson", (0..COUNT).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    let url = broker.url();
    let text = format!(
        "options: {{ checkpoint: 50ms }}
sources: {{ in: {{ file: {{ path: input.ndjson, follow: true }} }} }}
sinks: {{ out: {{ from: in, mqtt: {{ url: '{url}', topic: o }} }} }}
"
    );
    folder.write("p.yaml", text);
    let mut victim = Victim::start(&folder, &[]);
    assert!(victim.live(1_500));
    victim.kill();
    folder.run(&["savepoint", "create", "--data-dir", "data", "p", "save"]).succeeded();
    folder.run(&["savepoint", "restore", "--data-dir", "elsewhere", "save"]).succeeded();
    // Nothing of it can come from the input again.
    fs::remove_dir_all(folder.path().join("data")).unwrap();

    broker.run_and_wait();
    let heard = File::create(folder.path().join("heard")).unwrap();
    let mut command = Command::new("mosquitto_sub");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", "o", "-q", "1"]);
    let mut listener = command.stdin(Stdio::null()).stdout(heard).spawn().unwrap();
    pause(500);
    let mut victim = Victim::start(&folder, &["--data-dir", "elsewhere"]);
    let count = || folder.read("heard").lines().collect::<std::collections::BTreeSet<_>>().len();
    let mut passes = 0;
    until("all messages", || {
        passes += 1;
        assert!(victim.live(50), "{}", folder.read("stderr"));
        count() >= COUNT || passes > 200
    });
    let said = victim.stop();
    end(&mut listener, Signal::TERM);
    assert_eq!(count(), COUNT, "{said}");
}
