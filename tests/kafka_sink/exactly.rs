//! Readers of committed records: what they see, and how long they wait.

use crate::common::{Folder, pause, until};
use crate::process::Gateway;
use crate::servers::kafka::Kafka;
use crate::writing::{lines, numbered};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;

/// How far readers of committed records come: the last stable offset of the first partition.
pub fn stable_end(kafka: &Kafka, topic: &str) -> i64 {
    let mut config = kafka.client();
    config.set("group.id", "watch").set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.fetch_watermarks(topic, 0, Duration::from_secs(30)).unwrap().1
}

/// How far records lie there, committed or not.
pub fn end(kafka: &Kafka, topic: &str) -> i64 {
    let consumer: BaseConsumer = kafka.client().set("group.id", "watch").create().unwrap();
    consumer.fetch_watermarks(topic, 0, Duration::from_secs(30)).unwrap().1
}

#[test]
fn a_run_that_follows_adds_what_is_new() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let folder = Folder::empty();
    folder.write("p.yaml", numbered(kafka, &topic, "exactly_once", ""));
    for round in 1..=3 {
        folder.write("input.ndjson", lines(round * 100));
        folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
        let values: Vec<String> = kafka.records(&topic).iter().map(|record| record.text() + "\n").collect();
        assert_eq!(values.concat(), lines(round * 100), "round {round}");
    }
}

/// A pipeline that follows its input.
fn following(kafka: &Kafka, topic: &str, properties: &str) -> String {
    numbered(kafka, topic, "exactly_once", properties)
        .replace("input.ndjson }", "input.ndjson, follow: true }")
}

#[test]
fn what_is_killed_blocks_readers_no_longer_than_it_must() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let folder = Folder::empty();
    folder.write("p.yaml", following(kafka, &topic, ", properties: { transaction.timeout.ms: 3000 }"));
    folder.write("input.ndjson", lines(200_000));
    let mut left_open = 0;
    for round in 0..6 {
        let gateway = Gateway::start(&folder, &[]);
        let before = end(kafka, &topic);
        until("a transaction", || end(kafka, &topic) > before || round > 0);
        pause(round * 7);
        gateway.kill();
        // Nobody starts again: what was open goes by itself.
        left_open += usize::from(stable_end(kafka, &topic) < end(kafka, &topic));
        until("readers go on", || stable_end(kafka, &topic) == end(kafka, &topic));
    }
    eprintln!("{left_open} of 6 kills left a transaction open");
    let gateway = Gateway::start(&folder, &[]);
    until("all", || kafka.records(&topic).len() >= 200_000);
    gateway.stop();
    let values: Vec<String> = kafka.records(&topic).iter().map(|record| record.text() + "\n").collect();
    assert!(values.concat() == lines(200_000), "{} records", values.len());
}

#[test]
fn a_start_settles_what_was_left_open_at_once() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let folder = Folder::empty();
    // Readers would have to wait for ten minutes.
    folder.write("p.yaml", following(kafka, &topic, ", properties: { transaction.timeout.ms: 600000 }"));
    folder.write("input.ndjson", lines(100_000));
    for round in 0..4 {
        let gateway = Gateway::start(&folder, &[]);
        let before = end(kafka, &topic);
        until("a transaction", || end(kafka, &topic) > before || round > 0);
        pause(round * 9);
        gateway.kill();
    }
    let gateway = Gateway::start(&folder, &[]);
    until("all", || kafka.records(&topic).len() >= 100_000);
    gateway.stop();
    until("readers go on", || stable_end(kafka, &topic) == end(kafka, &topic));
    let values: Vec<String> = kafka.records(&topic).iter().map(|record| record.text() + "\n").collect();
    assert!(values.concat() == lines(100_000), "{} records", values.len());
}

#[test]
fn topics_that_events_name_need_a_place_for_the_marker() {
    let Some(kafka) = Kafka::shared() else { return };
    let marker = kafka.topic(1);
    for n in 0..7 {
        kafka.create_topic(&format!("by-user-u{n}"), 1, &[]);
    }
    let folder = Folder::empty();
    folder.write("input.ndjson", lines(700));
    folder.write("p.yaml", numbered(kafka, "'by-user-{user}'", "exactly_once", ""));
    let said = folder.run(&["check", "p.yaml"]).stderr;
    assert!(said.contains("`marker_topic` must name a topic that exists"), "{said}");
    let rest = format!(", marker_topic: {marker}");
    folder.write("p.yaml", numbered(kafka, "'by-user-{user}'", "exactly_once", &rest));
    folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
    for n in 0..7 {
        assert_eq!(kafka.records(&format!("by-user-u{n}")).len(), 100);
    }
    assert!(kafka.records(&marker).is_empty());
}
