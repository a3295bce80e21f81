//! Partitions, topics and brokers that turn up later.

use crate::process::Running;
use crate::servers::kafka::Kafka;
use crate::{lines, said};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

/// So that nobody waits for half a minute.
const SOON: &str = "properties: { topic.metadata.refresh.interval.ms: 200 }";

fn pipeline(brokers: &str, what: &str) -> String {
    format!(
        "sources: {{ in: {{ kafka: {{ brokers: '{brokers}', {what}, {SOON} }} }} }}\n\
         transforms: {{ t: {{ from: in, select: {{ n: n, of: source_topic(), p: source_partition() }} }} }}\n\
         sinks: {{ out: {{ from: t, stdout: {{}} }} }}\n"
    )
}

#[test]
fn partitions_that_are_added_are_read_from_their_first_message() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let running = Running::start(&pipeline(&kafka.brokers(), &format!("topics: {topic}, start: latest")));
    said(&running, "from 0");
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let more = NewPartitions::new(&topic, 2);
    runtime.block_on(admin.create_partitions([&more], &AdminOptions::new())).unwrap();
    crate::common::until("the partition is there", || {
        let producer: rdkafka::producer::BaseProducer = kafka.client().create().unwrap();
        let metadata = rdkafka::producer::Producer::client(&producer)
            .fetch_metadata(Some(&topic), std::time::Duration::from_secs(10));
        metadata.is_ok_and(|metadata| metadata.topics()[0].partitions().len() == 2)
    });
    kafka.produce_to(&topic, Some(1), &[("", "{\"n\":1}")]);
    assert_eq!(lines(&running, 1), [format!("{{\"n\":1,\"of\":\"{topic}\",\"p\":1}}")]);
}

#[test]
fn topics_that_match_are_read_and_single_partitions_may_be_chosen() {
    let Some(kafka) = Kafka::shared() else { return };
    for (topic, partitions) in [("line-a", 2), ("line-b", 2), ("other-line-a", 1)] {
        kafka.create_topic(topic, partitions, &[]);
        for partition in 0..partitions {
            kafka.produce_to(topic, Some(partition), &[("", &format!("{{\"n\":{partition}}}"))]);
        }
    }
    let running = Running::start(&pipeline(&kafka.brokers(), "pattern: 'line-.*', partitions: [0]"));
    lines(&running, 2);
    kafka.create_topic("line-c", 2, &[]);
    kafka.produce_to("line-c", Some(1), &[("", "{\"n\":1}")]);
    kafka.produce_to("line-c", Some(0), &[("", "{\"n\":0}")]);
    let of = |topic| format!("{{\"n\":0,\"of\":\"{topic}\",\"p\":0}}");
    assert_eq!(lines(&running, 3), [of("line-a"), of("line-b"), of("line-c")]);
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let Some(mut kafka) = Kafka::start() else { return };
    kafka.create_topic("t", 1, &[]);
    kafka.produce_values("t", &["{\"n\":1}"]);
    kafka.stop();
    let running = Running::start(&pipeline(&kafka.brokers(), "topics: t"));
    said(&running, "no connection to");
    assert!(running.read("stderr").contains("nothing listens there"), "{}", running.read("stderr"));
    kafka.start_again();
    lines(&running, 1);
    // It goes away in mid-run, at once.
    kafka.kill();
    crate::common::until("it is missed", || running.read("stderr").matches("no connection to").count() == 2);
    kafka.start_again();
    kafka.produce_values("t", &["{\"n\":2}", "{\"n\":3}"]);
    lines(&running, 3);
    let connected = || running.read("stderr").matches(": connected to").count();
    crate::common::until("it is back", || connected() == 2);
}
