//! State that is gone while a topic is ahead: nobody guesses.

use crate::common::Folder;
use crate::servers::kafka::Kafka;
use crate::writing::{lines, numbered};
use std::fs;

/// A topic that holds a hundred events of a state that was deleted then.
fn prepared(kafka: &Kafka) -> (Folder, String) {
    let topic = kafka.topic(1);
    let folder = Folder::empty();
    folder.write("headwater.yaml", format!("instance: gateway-{topic}\n"));
    folder.write("input.ndjson", lines(100));
    folder.write("p.yaml", numbered(kafka, &topic, "exactly_once", ""));
    folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
    assert_eq!(kafka.records(&topic).len(), 100);
    fs::remove_dir_all(folder.path().join("data")).unwrap();
    (folder, topic)
}

#[test]
fn a_topic_that_is_ahead_of_deleted_state_stops_and_asks() {
    let Some(kafka) = Kafka::shared() else { return };
    let (folder, topic) = prepared(kafka);
    for _ in 0..2 {
        let ran = folder.run(&["run", "p.yaml", "--data-dir", "data"]);
        assert_eq!(ran.status, Some(1), "{}", ran.stderr);
        for said in ["output that this state knows nothing of", "--accept-duplicates", "--accept-gap"] {
            assert!(ran.stderr.contains(said), "{}", ran.stderr);
        }
        assert_eq!(kafka.records(&topic).len(), 100);
    }
    let ran = folder.run(&["run", "p.yaml", "--data-dir", "data", "--accept-duplicates"]).succeeded();
    assert!(ran.stderr.contains("delivered, as was accepted"), "{}", ran.stderr);
    assert_eq!(kafka.records(&topic).len(), 200);
    // From here on there is no doubt any more.
    folder.write("input.ndjson", lines(130));
    folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
    assert_eq!(kafka.records(&topic).len(), 230);
}

#[test]
fn a_gap_that_is_accepted_leaves_out_what_waits() {
    let Some(kafka) = Kafka::shared() else { return };
    let (folder, topic) = prepared(kafka);
    let ran = folder.run(&["run", "p.yaml", "--data-dir", "data"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    // What the run before has committed waits, and is left out; what is read from now on is not.
    folder.write("input.ndjson", lines(130));
    let ran = folder.run(&["run", "p.yaml", "--data-dir", "data", "--accept-gap"]).succeeded();
    assert!(ran.stderr.contains("left out, as was accepted"), "{}", ran.stderr);
    assert_eq!(kafka.records(&topic).len(), 130, "{}", ran.stderr);
}

#[test]
fn fresh_accepts_what_is_there() {
    let Some(kafka) = Kafka::shared() else { return };
    let (folder, topic) = prepared(kafka);
    folder.run(&["run", "p.yaml", "--data-dir", "data", "--fresh"]).succeeded();
    assert_eq!(kafka.records(&topic).len(), 200);
}
