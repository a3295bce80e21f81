//! What was deleted before it was read.

use crate::common::Folder;
use crate::process::Running;
use crate::servers::kafka::Kafka;
use crate::{lines, said};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};

fn values(from: i32, to: i32) -> Vec<String> {
    (from..to).map(|n| format!("{{\"n\":{n}}}")).collect()
}

fn run(kafka: &Kafka, topic: &str, folder: Folder) -> Running {
    let text = format!(
        "sources: {{ in: {{ kafka: {{ brokers: '{}', topics: {topic}, \
         properties: {{ topic.metadata.refresh.interval.ms: 200 }} }} }} }}\n\
         sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n",
        kafka.brokers()
    );
    Running::start_in(folder, &text, &["--data-dir", "data"])
}

fn admin(kafka: &Kafka) -> (AdminClient<DefaultClientContext>, tokio::runtime::Runtime) {
    (kafka.client().create().unwrap(), tokio::runtime::Builder::new_current_thread().build().unwrap())
}

#[test]
fn messages_that_retention_took_are_a_loud_gap() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    kafka.produce_values(&topic, &values(0, 10));
    let first = run(kafka, &topic, Folder::empty());
    lines(&first, 10);
    let (_, folder) = first.stop();
    kafka.produce_values(&topic, &values(10, 30));
    let (admin, runtime) = admin(kafka);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(25)).unwrap();
    runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    let second = run(kafka, &topic, folder);
    assert_eq!(lines(&second, 5), values(25, 30));
    said(&second, "15 messages from 10 to 24 were deleted before they were read");
    let (said, _) = second.stop();
    assert!(said.contains("15 gaps") || said.contains("gaps: messages"), "{said}");
}

#[test]
fn a_topic_that_was_made_anew_is_read_from_its_first_message() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    kafka.produce_values(&topic, &values(0, 10));
    let first = run(kafka, &topic, Folder::empty());
    lines(&first, 10);
    let (_, folder) = first.stop();
    let (admin, runtime) = admin(kafka);
    runtime.block_on(admin.delete_topics(&[&topic], &AdminOptions::new())).unwrap();
    let second = run(kafka, &topic, folder);
    said(&second, "there is no topic");
    crate::common::pause(300);
    kafka.create_topic(&topic, 1, &[]);
    kafka.produce_values(&topic, &values(10, 13));
    assert_eq!(lines(&second, 3), values(10, 13));
    said(&second, "it was made anew or has lost messages");
}
