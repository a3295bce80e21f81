//! Records that a broker never takes: they are told of and kept, and the others arrive.

use crate::common::Folder;
use crate::servers::kafka::Kafka;
use crate::writing::numbered;

fn event(n: usize, bytes: usize) -> String {
    format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(bytes))
}

fn values(kafka: &Kafka, topic: &str) -> Vec<usize> {
    let number =
        |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap()["n"].as_u64().unwrap();
    kafka.records(topic).iter().map(|record| number(record.text()) as usize).collect()
}

#[test]
fn what_a_topic_finds_too_large_goes_and_the_rest_arrives() {
    let Some(kafka) = Kafka::shared() else { return };
    for delivery in ["at_least_once", "exactly_once"] {
        let topic = format!("small-{delivery}");
        kafka.create_topic(&topic, 1, &[("max.message.bytes", "20000")]);
        let folder = Folder::empty();
        // Together most are too large for the topic, by itself each tenth is, and one for any.
        let large = |n: usize| {
            if n == 55 {
                2_000_000
            } else if n % 10 == 3 {
                30_000
            } else {
                700
            }
        };
        folder.write("input.ndjson", (0..100).map(|n| event(n, large(n))).collect::<String>());
        folder.write("p.yaml", numbered(kafka, &topic, delivery, ""));
        let ran = folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
        assert!(ran.stderr.contains(&format!("refuses it for the topic `{topic}`")), "{}", ran.stderr);
        let expected: Vec<usize> = (0..100).filter(|n| n % 10 != 3 && *n != 55).collect();
        let mut found = values(kafka, &topic);
        found.sort_unstable();
        assert_eq!(found, expected, "{delivery}: {}", ran.stderr);
        let rejected = folder.run(&["rejected", "--data-dir", "data", "p"]);
        eprintln!("{}", rejected.stdout.lines().take(3).collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn records_that_a_topic_forbids_go_alone() {
    let Some(kafka) = Kafka::shared() else { return };
    for delivery in ["at_least_once", "exactly_once"] {
        // A compacted topic takes no records without a key; here the partition that is asked for is not there.
        let topic = kafka.topic(2);
        let folder = Folder::empty();
        folder.write("input.ndjson", (0..60).map(|n| event(n, 10)).collect::<String>());
        folder.write("p.yaml", numbered(kafka, &topic, delivery, ", partition: n % 3"));
        let ran = folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
        let mut found = values(kafka, &topic);
        found.sort_unstable();
        let expected: Vec<usize> = (0..60).filter(|n| n % 3 != 2).collect();
        assert_eq!(found, expected, "{delivery}: {}", ran.stderr);
        let compacted = format!("compacted-{delivery}");
        kafka.create_topic(&compacted, 1, &[("cleanup.policy", "compact")]);
        folder.write("p.yaml", numbered(kafka, &compacted, delivery, ""));
        let ran = folder.run(&["run", "p.yaml", "--data-dir", "other"]).succeeded();
        assert!(ran.stderr.contains("refuse"), "{}", ran.stderr);
        assert!(values(kafka, &compacted).is_empty());
    }
}
