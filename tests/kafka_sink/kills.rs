//! Runs and brokers that are killed at random moments: what committed readers see is what an undisturbed run gives.

use crate::common::{Folder, headwater, pause, until};
use crate::process::Gateway;
use crate::servers::kafka::Kafka;
use crate::servers::records::Record;
use crate::victim::{Numbers, same};
use std::collections::BTreeMap;

/// How often runs are killed.
pub fn kills(few: u64) -> u64 {
    std::env::var("DURABILITY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// Purchases in some disorder; the last closes all windows of those before.
fn purchases(count: u64, seed: u64) -> Vec<String> {
    let mut numbers = Numbers(seed);
    let event = |n: u64, ts: u64, user: u64, cents: u64| {
        format!("{{\"ts\":{ts},\"n\":{n},\"user_id\":\"u{user}\",\"type\":\"purchase\",\"amount\":{cents}}}")
    };
    let mut all: Vec<String> = (0..count)
        .map(|n| {
            let ts = 1_700_000_000_000 + n * 50 - numbers.below(4_000);
            event(n, ts, numbers.below(20), numbers.below(10_000))
        })
        .collect();
    all.push(event(count, 1_700_000_000_000 + count * 50 + 600_000, 99, 1));
    all
}

const WINDOW: &str = "
windows:
  spend:
    from: events
    key: [user_id]
    tumbling: 10s
    aggregate: { total: sum(amount), count: count(*) }
";

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.retain(|line| !line.contains("\"u99\""));
    lines.sort_unstable();
    lines
}

/// What an undisturbed run over the same events gives.
fn expected(events: &[String], partitions: usize) -> Vec<String> {
    let folder = Folder::empty();
    for partition in 0..partitions {
        let part = events.iter().enumerate().filter(|(n, _)| n % partitions == partition);
        let text: String = part.map(|(_, line)| format!("{line}\n")).collect();
        folder.write(&format!("in/{partition}.ndjson"), text);
    }
    let text = format!(
        "sources:
  events:
    file: {{ path: 'in/*.ndjson' }}
    event_time: {{ field: ts, unit: ms, out_of_order: 600s }}
{WINDOW}
sinks: {{ out: {{ from: spend, file: {{ path: rows.ndjson }} }} }}
"
    );
    folder.write("p.yaml", text);
    folder.run(&["run", "-q", "p.yaml"]).succeeded();
    sorted(folder.read("rows.ndjson").lines().map(str::to_owned).collect())
}

fn compare(what: &str, expected: &[String], actual: Vec<String>, said: &str) {
    let all = |lines: Vec<String>| BTreeMap::from([("rows".to_owned(), lines)]);
    same(what, &all(expected.to_vec()), &all(sorted(actual)), said);
}

#[test]
fn purchases_from_kafka_to_kafka() {
    let Some(mut kafka) = Kafka::start() else { return };
    let (input, output) = (kafka.topic(2), kafka.topic(2));
    let kills = kills(6);
    let events = purchases(kills * 1_500, 11);
    let expected = expected(&events, 2);
    let folder = Folder::empty();
    let brokers = kafka.brokers();
    folder.write(
        "p.yaml",
        format!(
            "options: {{ delivery: exactly_once, checkpoint: 50ms }}
sources:
  events:
    kafka: {{ brokers: '{brokers}', topics: {input} }}
    event_time: {{ field: ts, unit: ms, out_of_order: 5s, idle_after: 1h }}
{WINDOW}
sinks:
  out: {{ from: spend, kafka: {{ brokers: '{brokers}', topic: {output}, key: '{{user_id}}' }} }}
"
        ),
    );
    let mut numbers = Numbers(12);
    let mut rest = events.as_slice();
    for kill in 0..kills {
        let gateway = Gateway::start(&folder, &[]);
        let (part, left) = rest.split_at(rest.len() / (kills - kill) as usize);
        rest = left;
        for (at, chunk) in part.chunks(500).enumerate() {
            feed(&kafka, &input, chunk, events.len() - left.len() - part.len() + at * 500);
            pause(numbers.below(150));
        }
        if kill % (kills / 5).max(2) == 1 {
            kafka.kill();
            pause(numbers.below(300));
            kafka.start_again();
            pause(numbers.below(1_500));
        }
        gateway.kill();
    }
    feed(&kafka, &input, rest, events.len() - rest.len());
    // The other partition's last event closes its windows.
    feed(&kafka, &input, &events[events.len() - 1..], events.len());
    let gateway = Gateway::start(&folder, &[]);
    let mut passes = 0;
    until("all rows", || {
        passes += 1;
        pause(50);
        sorted(kafka.records(&output).iter().map(Record::text).collect()).len() >= expected.len()
            || passes > 600
    });
    pause(300);
    gateway.stop();
    let rows = kafka.records(&output).iter().map(Record::text).collect();
    compare("Kafka to Kafka", &expected, rows, &folder.read("stderr"));
}

/// Events go to partitions in turn, as in the files of [`expected`].
fn feed(kafka: &Kafka, topic: &str, events: &[String], first: usize) {
    for partition in 0..2 {
        let part = events.iter().enumerate().filter(|(n, _)| (first + n) % 2 == partition as usize);
        let values: Vec<(&str, &str)> = part.map(|(_, line)| ("", line.as_str())).collect();
        kafka.produce_to(topic, Some(partition), &values);
    }
}

#[test]
fn two_sinks_to_one_topic_and_a_file() {
    let Some(kafka) = Kafka::shared() else { return };
    let (input, topic) = ("input.ndjson", kafka.topic(1));
    let folder = Folder::empty();
    let brokers = kafka.brokers();
    let mut left = kills(8);
    let events = purchases(left * 7_500, 21);
    folder.write(input, events.iter().map(|line| format!("{line}\n")).collect::<String>());
    folder.write(
        "p.yaml",
        format!(
            "options: {{ delivery: exactly_once, checkpoint: 50ms, parallelism: 2 }}
sources: {{ events: {{ file: {{ path: {input} }} }} }}
transforms:
  low: {{ from: events, where: amount < 5000, set: {{ side: \"'low'\" }} }}
  high: {{ from: events, where: amount >= 5000, set: {{ side: \"'high'\" }} }}
sinks:
  lows: {{ from: low, kafka: {{ brokers: '{brokers}', topic: {topic} }} }}
  highs: {{ from: high, kafka: {{ brokers: '{brokers}', topic: {topic} }} }}
  all: {{ from: [low, high], file: {{ path: all.ndjson }} }}
"
        ),
    );
    let mut numbers = Numbers(22);
    loop {
        let mut command = headwater(folder.path(), &["run", "p.yaml", "--data-dir", "data"]);
        let log =
            std::fs::File::options().append(true).create(true).open(folder.path().join("stderr")).unwrap();
        let mut child = command.stderr(log).spawn().unwrap();
        if left > 0 {
            left -= 1;
            pause(numbers.below(700));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                continue;
            }
        }
        let status = crate::common::wait(&mut child);
        assert!(status.success(), "{}", folder.read("stderr"));
        break;
    }
    let written: Vec<String> = folder.read("all.ndjson").lines().map(str::to_owned).collect();
    assert_eq!(written.len(), events.len());
    let records: Vec<String> = kafka.records(&topic).iter().map(Record::text).collect();
    compare("two sinks", &sorted(written), records, &folder.read("stderr"));
}
