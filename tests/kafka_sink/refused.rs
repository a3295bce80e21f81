//! Records that a broker never takes: they are told of and kept, and the others arrive.

use crate::common::{Folder, pause};
use crate::process::Gateway;
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

/// A topic refuses every tenth event; they go to a file.
fn with_port(kafka: &Kafka, topic: &str, delivery: &str, workers: usize) -> String {
    format!(
        "options: {{ delivery: {delivery}, checkpoint: 50ms, parallelism: {workers} }}
sources: {{ in: {{ file: {{ path: input.ndjson }} }} }}
sinks:
  small: {{ from: in, kafka: {{ brokers: '{}', topic: {topic} }} }}
  back: {{ from: small.rejected, file: {{ path: back.ndjson }} }}
",
        kafka.brokers()
    )
}

/// The numbers of the events in `back.ndjson`, sorted.
fn returned(folder: &Folder) -> Vec<usize> {
    let mut numbers: Vec<usize> = Vec::new();
    for line in folder.read("back.ndjson").lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&row["kind"], &row["node"]), (&"refused".into(), &"small".into()), "{line}");
        assert!(row["reason"].as_str().unwrap().contains("refuses it"), "{line}");
        let event: serde_json::Value = serde_json::from_str(row["raw"].as_str().unwrap()).unwrap();
        numbers.push(event["n"].as_u64().unwrap() as usize);
    }
    numbers.sort_unstable();
    numbers
}

fn is_large(n: usize) -> bool {
    n % 10 == 3
}

fn input(count: usize) -> String {
    (0..count).map(|n| event(n, if is_large(n) { 3_000 } else { 100 })).collect()
}

#[test]
fn what_is_refused_leaves_by_the_port() {
    let Some(kafka) = Kafka::shared() else { return };
    for (delivery, workers, data) in [
        ("at_least_once", 1, true),
        ("at_least_once", 2, false),
        ("exactly_once", 2, true),
        ("at_least_once", 1, false),
    ] {
        let topic = format!("refusing-{delivery}-{workers}-{data}");
        kafka.create_topic(&topic, 1, &[("max.message.bytes", "2000")]);
        let folder = Folder::empty();
        folder.write("input.ndjson", input(100));
        folder.write("p.yaml", with_port(kafka, &topic, delivery, workers));
        let arguments: &[&str] = if data { &["--data-dir", "data"] } else { &[] };
        // The second run finds nothing new where state is kept.
        let runs = if data { 2 } else { 1 };
        for _ in 0..runs {
            let ran = folder.run(&[&["run", "p.yaml"], arguments].concat()).succeeded();
            let what = format!("{delivery} {workers} {data}: {}", ran.stderr);
            assert_eq!(returned(&folder), (0..100).filter(|n| is_large(*n)).collect::<Vec<_>>(), "{what}");
            let mut found = values(kafka, &topic);
            found.sort_unstable();
            assert_eq!(found, (0..100).filter(|n| !is_large(*n)).collect::<Vec<_>>(), "{what}");
        }
    }
}

#[test]
fn no_kill_loses_or_doubles_what_is_refused() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let folder = Folder::empty();
    let (kills, count) = (crate::kills::kills(6), 20_000);
    folder.write("input.ndjson", (0..count).map(|n| event(n, 10)).collect::<String>());
    // There is but one partition.
    let partition = ", partition: 'if(n % 10 = 3, 5, 0)' }";
    let text = with_port(kafka, &topic, "exactly_once", 1);
    folder.write(
        "p.yaml",
        text.replacen(&format!("topic: {topic} }}"), &format!("topic: {topic}{partition}"), 1),
    );
    let mut numbers = crate::victim::Numbers(31);
    for _ in 0..kills {
        let gateway = Gateway::start(&folder, &[]);
        pause(numbers.below(900));
        gateway.kill();
    }
    let ran = folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
    let mut found = values(kafka, &topic);
    found.sort_unstable();
    assert_eq!(found, (0..count).filter(|n| !is_large(*n)).collect::<Vec<_>>(), "{}", ran.stderr);
    assert_eq!(returned(&folder), (0..count).filter(|n| is_large(*n)).collect::<Vec<_>>(), "{}", ran.stderr);
}
