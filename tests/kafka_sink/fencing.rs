//! Two gateways on one broker.

use crate::common::{Folder, until};
use crate::process::Gateway;
use crate::servers::kafka::Kafka;
use crate::writing::{lines, numbered};
use std::fs::File;
use std::io::Write;

/// A gateway of that name whose input is followed.
fn gateway(kafka: &Kafka, topic: &str, instance: &str) -> Folder {
    let folder = Folder::empty();
    folder.write("headwater.yaml", format!("instance: {instance}\n"));
    folder.write("input.ndjson", lines(1_000));
    let text = numbered(kafka, topic, "exactly_once", "");
    folder.write("p.yaml", text.replace("input.ndjson }", "input.ndjson, follow: true }"));
    folder
}

fn append(folder: &Folder, text: &str) {
    let mut file = File::options().append(true).open(folder.path().join("input.ndjson")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_second_copy_of_an_instance_shuts_the_first_out() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let (first, second) = (gateway(kafka, &topic, "twin"), gateway(kafka, &topic, "twin"));
    let mut one = Gateway::start(&first, &[]);
    until("the first delivers", || kafka.records(&topic).len() >= 1_000);
    let other = Gateway::start(&second, &["--fresh"]);
    until("the second delivers", || kafka.records(&topic).len() >= 2_000);
    // It hears of it when it has something to write.
    append(&first, "{\"n\":-1}\n");
    let status = one.ended();
    assert_eq!(status.code(), Some(78), "{}", one.said());
    for said in
        ["another copy of instance `twin`", "`out` of `p`", "an `instance` of its own in headwater.yaml"]
    {
        assert!(one.said().contains(said), "{}", one.said());
    }
    append(&second, "{\"n\":-2}\n");
    until("the second goes on", || kafka.records(&topic).len() >= 2_001);
    other.stop();
    assert_eq!(kafka.records(&topic).len(), 2_001);
}

#[test]
fn two_instances_share_a_pipeline_file() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let (first, second) = (gateway(kafka, &topic, "one"), gateway(kafka, &topic, "other"));
    let (one, other) = (Gateway::start(&first, &[]), Gateway::start(&second, &[]));
    for round in 1..4 {
        until("both deliver", || kafka.records(&topic).len() >= 2_000 + (round - 1) * 2);
        append(&first, "{\"n\":-1}\n");
        append(&second, "{\"n\":-2}\n");
    }
    until("both deliver", || kafka.records(&topic).len() >= 2_006);
    one.stop();
    other.stop();
    assert_eq!(kafka.records(&topic).len(), 2_006);
}
