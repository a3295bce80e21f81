//! What comes out, of one run and of several.

use crate::common::Folder;
use crate::process::Running;
use crate::servers::kafka::Kafka;
use crate::{lines, said};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;

#[test]
fn runs_go_on_where_checkpoints_are_and_the_group_follows() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(3);
    let brokers = kafka.brokers();
    let values =
        |from: usize, to: usize| -> Vec<String> { (from..to).map(|n| format!("{{\"n\":{n}}}")).collect() };
    kafka.produce_values(&topic, &values(0, 50));
    let pipeline = format!(
        "sources: {{ in: {{ kafka: {{ brokers: '{brokers}', topics: {topic}, group: '{topic}-group' }} }} }}\n\
         sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
    );
    let run = |folder| Running::start_in(folder, &pipeline, &["--data-dir", "data"]);
    let first = run(Folder::empty());
    lines(&first, 50);
    let (_, folder) = first.stop();
    let ends: i64 = kafka.committed(&format!("{topic}-group"), &topic, 3).into_iter().flatten().sum();
    assert_eq!(ends, 50);
    kafka.produce_values(&topic, &values(50, 60));
    let second = run(folder);
    assert_eq!(lines(&second, 10), {
        let mut expected = values(50, 60);
        expected.sort();
        expected
    });
    let status = second.place();
    crate::common::until("its status is that of its end", || {
        let told = crate::common::run_in(&status, &["status", "--data-dir", "data"]).stdout;
        told.contains(", 0 behind")
    });
    let (_, folder) = second.stop();
    // Another number of workers shares the partitions otherwise.
    kafka.produce_values(&topic, &values(60, 70));
    let third = Running::start_in(
        folder,
        &format!("options: {{ parallelism: 2 }}\n{pipeline}"),
        &["--data-dir", "data"],
    );
    assert_eq!(lines(&third, 10).len(), 10);
    third.stop();
}

#[test]
fn what_a_message_says_besides_its_payload() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let producer: BaseProducer = kafka.client().create().unwrap();
    let header =
        |name, value: &'static str| OwnedHeaders::new().insert(Header { key: name, value: Some(value) });
    let record = BaseRecord::<str, str>::to(&topic).payload("[{\"n\":1},{\"n\":2}]").key("k\u{e4}");
    let record = record
        .timestamp(1_700_000_000_000)
        .headers(header("unit", "old").insert(Header { key: "unit", value: Some("mm") }));
    producer.send(record).map_err(|(error, _)| error).unwrap();
    // No payload; a key that is no text; no JSON; nothing.
    producer.send(BaseRecord::<str, str>::to(&topic).key("gone")).map_err(|(error, _)| error).unwrap();
    let bytes = BaseRecord::<[u8], str>::to(&topic).payload("{\"n\":3}").key(&[0xff, 0xfe]);
    producer.send(bytes).map_err(|(error, _)| error).unwrap();
    for payload in ["{", ""] {
        producer
            .send(BaseRecord::<str, str>::to(&topic).payload(payload))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    kafka.produce(&topic, &[("", "{\"n\":4}")]);
    let running = Running::start(&format!(
        "sources: {{ in: {{ kafka: {{ brokers: '{}', topics: {topic} }}, event_time: {{ expr: source_timestamp() }} }} }}\n\
         transforms: {{ t: {{ from: in, set: {{ k: source_key(), p: source_partition(), o: source_offset(), \
         u: \"source_header('unit')\", of: source_topic(), at: event_time() }} }} }}\n\
         sinks: {{ out: {{ from: t, file: {{ path: out }} }}, bad: {{ from: in.rejected, stdout: {{}} }} }}\n",
        kafka.brokers()
    ));
    let rejected = lines(&running, 3).join("\n");
    assert!(rejected.contains("the key of the message is not UTF-8"), "{rejected}");
    assert!(rejected.contains("the message is empty"), "{rejected}");
    crate::common::until("three events", || running.read("out").lines().count() == 3);
    let out = running.read("out");
    let first = format!(
        "{{\"n\":1,\"k\":\"k\u{e4}\",\"p\":0,\"o\":0,\"u\":\"mm\",\"of\":\"{topic}\",\"at\":1700000000000}}"
    );
    assert_eq!(out.lines().next(), Some(first.as_str()));
    assert!(out.lines().nth(1).unwrap().starts_with("{\"n\":2,"), "{out}");
    let last = out.lines().nth(2).unwrap();
    assert!(last.starts_with("{\"n\":4,\"k\":null,\"p\":0,\"o\":5,\"u\":null"), "{out}");
    said(&running, "has messages without a payload");
    let (said, _) = running.stop();
    assert!(said.contains("messages without a payload"), "{said}");
}

#[test]
fn only_committed_messages_are_read_unless_all_are_wanted() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    kafka.transaction("reading", &topic, &["{\"n\":1}"], true);
    kafka.transaction("reading", &topic, &["{\"n\":2}"], false);
    kafka.transaction("reading", &topic, &["{\"n\":3}"], true);
    let run = |isolation: &str| {
        Running::start(&format!(
            "sources: {{ in: {{ kafka: {{ brokers: '{}', topics: {topic}{isolation} }} }} }}\n\
             sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n",
            kafka.brokers()
        ))
    };
    let committed = run("");
    assert_eq!(lines(&committed, 2), ["{\"n\":1}", "{\"n\":3}"]);
    let all = run(", isolation: read_uncommitted");
    assert_eq!(lines(&all, 3), ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
    assert_eq!(committed.lines().len(), 2);
}
