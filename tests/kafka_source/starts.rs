//! Where partitions begin of which no checkpoint knows.

use crate::common::{Folder, pause};
use crate::process::Running;
use crate::servers::kafka::Kafka;
use crate::{lines, said};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

fn pipeline(kafka: &Kafka, topic: &str, more: &str) -> String {
    format!(
        "sources: {{ in: {{ kafka: {{ brokers: '{}', topics: {topic}, {more} }} }} }}\n\
         sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n",
        kafka.brokers()
    )
}

#[test]
fn starts_are_where_they_are_said_to_be() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let producer: BaseProducer = kafka.client().create().unwrap();
    for n in 0..10_i64 {
        let payload = format!("{{\"n\":{n}}}");
        let record =
            BaseRecord::<str, str>::to(&topic).payload(&payload).timestamp(1_700_000_000_000 + n * 1000);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    let group = format!("{topic}-group");
    let consumer: BaseConsumer = kafka.client().set("group.id", &group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(8)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let cases = [
        ("start: earliest".to_owned(), 10),
        (format!("start: committed, group: '{group}'"), 2),
        ("start: committed, group: unknown".to_owned(), 10),
        ("start: { timestamp: 1700000003000 }".to_owned(), 7),
        ("start: { timestamp: '2023-11-14T22:13:24.5Z' }".to_owned(), 5),
        ("start: { offsets: { 0: 9 } }".to_owned(), 1),
        (format!("start: {{ offsets: {{ {topic}/0: 4 }} }}"), 6),
    ];
    let runs: Vec<(Running, usize)> =
        cases.iter().map(|(case, count)| (Running::start(&pipeline(kafka, &topic, case)), *count)).collect();
    for (running, count) in &runs {
        lines(running, *count);
    }
    pause(200);
    runs.iter()
        .for_each(|(running, count)| assert_eq!(running.lines().len(), *count, "{}", running.read("p.yaml")));
}

#[test]
fn the_latest_is_kept_from_the_first_checkpoint_on() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    kafka.produce_values(&topic, &["{\"n\":1}"]);
    let text = format!("options: {{ checkpoint: 100ms }}\n{}", pipeline(kafka, &topic, "start: latest"));
    let first = Running::start_in(Folder::empty(), &text, &["--data-dir", "data"]);
    said(&first, "from 1");
    kafka.produce_values(&topic, &["{\"n\":2}"]);
    assert_eq!(lines(&first, 1), ["{\"n\":2}"]);
    let (_, folder) = first.stop();
    kafka.produce_values(&topic, &["{\"n\":3}"]);
    let second = Running::start_in(folder, &text, &["--data-dir", "data"]);
    assert_eq!(lines(&second, 1), ["{\"n\":3}"]);
}
