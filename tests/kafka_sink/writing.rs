//! What records look like.

use crate::common::Folder;
use crate::process::Gateway;
use crate::servers::kafka::Kafka;
use crate::servers::records::Record;

/// A file of numbered events goes to a topic.
pub fn numbered(kafka: &Kafka, topic: &str, delivery: &str, rest: &str) -> String {
    format!(
        "options: {{ delivery: {delivery}, checkpoint: 50ms }}
sources: {{ in: {{ file: {{ path: input.ndjson }} }} }}
sinks:
  out:
    from: in
    kafka: {{ brokers: '{}', topic: {topic}{rest} }}
",
        kafka.brokers()
    )
}

/// Lines with numbers.
pub fn lines(count: usize) -> String {
    (0..count)
        .map(|n| {
            format!("{{\"n\":{n},\"user\":\"u{}\",\"ts\":{}}}\n", n % 7, 1_700_000_000_000u64 + n as u64)
        })
        .collect()
}

#[test]
fn records_carry_key_headers_time_and_partition() {
    let Some(kafka) = Kafka::shared() else { return };
    for delivery in ["at_least_once", "exactly_once"] {
        let (keyed, placed) = (kafka.topic(3), kafka.topic(3));
        let folder = Folder::empty();
        folder.write("input.ndjson", lines(20));
        let rest = ", key: '{user}', headers: { unit: cents, n: '{n}' }, timestamp: ts, compression: zstd";
        folder.write("p.yaml", numbered(kafka, &keyed, delivery, rest));
        folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
        let records = kafka.records(&keyed);
        assert_eq!(records.len(), 20, "{delivery}");
        for record in &records {
            let event: serde_json::Value = serde_json::from_str(&record.text()).unwrap();
            assert_eq!(event["user"], record.key_text());
            assert_eq!(record.time, event["ts"].as_i64());
            let headers: Vec<_> =
                record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            assert_eq!(headers, [("unit", &b"cents"[..]), ("n", event["n"].to_string().as_bytes())]);
            // A key always lies in one partition, that of Java's clients.
            assert_eq!(record.partition, (murmur2(record.key_text().as_bytes()) & 0x7fff_ffff) as i32 % 3);
        }
        folder.write("p.yaml", numbered(kafka, &placed, delivery, ", partition: n % 2"));
        folder.run(&["run", "p.yaml", "--data-dir", "other"]).succeeded();
        let records = kafka.records(&placed);
        assert_eq!(records.len(), 20);
        for record in records {
            let event: serde_json::Value = serde_json::from_str(&record.text()).unwrap();
            assert_eq!((event["n"].as_i64().unwrap() % 2) as i32, record.partition);
            assert_eq!(record.key, None);
        }
    }
}

/// The hash by which Java's clients choose a partition, from its published description.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes(word.try_into().unwrap()).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[test]
fn a_topic_may_be_made_later() {
    let Some(kafka) = Kafka::shared() else { return };
    for delivery in ["at_least_once", "exactly_once"] {
        let topic = format!("later-{delivery}");
        let folder = Folder::empty();
        folder.write("input.ndjson", lines(50));
        folder.write("p.yaml", numbered(kafka, &topic, delivery, ""));
        let mut gateway = Gateway::start(&folder, &[]);
        gateway.until_said(&format!("there is no topic `{topic}`"));
        kafka.create_topic(&topic, 1, &[]);
        assert!(gateway.ended().success(), "{}", gateway.said());
        assert_eq!(kafka.records(&topic).len(), 50, "{delivery}: {}", gateway.said());
    }
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let Some(mut kafka) = Kafka::start() else { return };
    let (once, least) = (kafka.topic(1), kafka.topic(1));
    kafka.stop();
    for (delivery, topic) in [("exactly_once", &once), ("at_least_once", &least)] {
        let folder = Folder::empty();
        folder.write("input.ndjson", lines(500));
        folder.write("p.yaml", numbered(&kafka, topic, delivery, ""));
        let mut gateway = Gateway::start(&folder, &[]);
        gateway.until_said("nothing listens there");
        // What was read outlives the process.
        gateway.kill();
        let mut gateway = Gateway::start(&folder, &[]);
        kafka.start_again();
        assert!(gateway.ended().success(), "{}", gateway.said());
        let mut values: Vec<String> = kafka.records(topic).iter().map(Record::text).collect();
        values.dedup();
        assert_eq!(values.len(), 500, "{delivery}: {}", gateway.said());
        kafka.stop();
    }
}
