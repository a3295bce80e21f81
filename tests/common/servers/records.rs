//! What tests do with topics: make, fill, read them.

use super::kafka::Kafka;
use crate::common::until;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long the broker may take for one request.
const PATIENCE: Duration = Duration::from_secs(60);

/// A record as it stands in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Where in the partition it is.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; None is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Milliseconds since the epoch.
    pub time: Option<i64>,
}

impl Record {
    /// Its value as text; empty if it has none.
    pub fn text(&self) -> String {
        String::from_utf8(self.value.clone().unwrap_or_default()).unwrap()
    }

    /// Its key as text; empty if it has none.
    pub fn key_text(&self) -> String {
        String::from_utf8(self.key.clone().unwrap_or_default()).unwrap()
    }
}

impl Kafka {
    /// A new topic that no other test has.
    pub fn topic(&self, partitions: i32) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("topic-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.create_topic(&name, partitions, &[]);
        name
    }

    /// Makes a topic, with settings such as `max.message.bytes`.
    pub fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let made = runtime.block_on(admin.create_topics([&topic], &options)).unwrap();
        made[0].as_ref().unwrap();
    }

    /// Adds records with these keys (empty: none) and values, and waits until they are there.
    pub fn produce(&self, topic: &str, records: &[(&str, &str)]) {
        self.produce_to(topic, None, records);
    }

    /// The same to one partition.
    pub fn produce_to(&self, topic: &str, partition: Option<i32>, records: &[(&str, &str)]) {
        // No limit on how many wait.
        let producer: BaseProducer = self.client().set("queue.buffering.max.messages", "0").create().unwrap();
        for (key, value) in records {
            let mut record = BaseRecord::<str, str>::to(topic).payload(value);
            record = if key.is_empty() { record } else { record.key(key) };
            if let Some(partition) = partition {
                record = record.partition(partition);
            }
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Adds values without keys, and waits until they are there.
    pub fn produce_values<T: AsRef<str>>(&self, topic: &str, values: &[T]) {
        let records: Vec<(&str, &str)> = values.iter().map(|value| ("", value.as_ref())).collect();
        self.produce(topic, &records);
    }

    /// Adds records within one transaction, and commits or aborts it.
    pub fn transaction(&self, id: &str, topic: &str, values: &[&str], commit: bool) {
        let producer: BaseProducer = self.client().set("transactional.id", id).create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        for value in values {
            let record = BaseRecord::<str, str>::to(topic).payload(value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        match commit {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => producer.abort_transaction(PATIENCE).unwrap(),
        }
    }

    /// All records whose transactions, if any, have committed, partition by partition.
    pub fn records(&self, topic: &str) -> Vec<Record> {
        self.records_by(topic, "read_committed")
    }

    /// All records, whatever became of their transactions.
    pub fn uncommitted_records(&self, topic: &str) -> Vec<Record> {
        self.records_by(topic, "read_uncommitted")
    }

    fn records_by(&self, topic: &str, isolation: &str) -> Vec<Record> {
        let mut config = self.client();
        config
            .set("group.id", "tests")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.set("isolation.level", isolation).create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let count = metadata.topics()[0].partitions().len();
        let mut partitions = TopicPartitionList::new();
        for partition in 0..count as i32 {
            partitions.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&partitions).unwrap();
        let (mut records, mut ends) = (Vec::new(), vec![false; count]);
        while !ends.iter().all(|ended| *ended) {
            match consumer.poll(PATIENCE).expect("records, or the end of a partition") {
                Ok(message) => records.push(record(&message)),
                Err(KafkaError::PartitionEOF(partition)) => ends[partition as usize] = true,
                // The connection may fail while the broker restarts; the client mends that by itself.
                Err(error) => eprintln!("while reading {topic}: {error}"),
            }
        }
        records.sort_by_key(|record: &Record| (record.partition, record.offset));
        records
    }

    /// The committed values as text, once there are so many.
    pub fn values(&self, topic: &str, count: usize) -> Vec<String> {
        let mut values = Vec::new();
        until(&format!("{count} records in {topic}"), || {
            values = self.records(topic).iter().map(Record::text).collect();
            values.len() >= count
        });
        values
    }

    /// What a group has committed of a topic, by partition; None where it has committed nothing.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> Vec<Option<i64>> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let offsets = consumer.committed_offsets(list, PATIENCE).unwrap();
        let offset = |partition| match offsets.find_partition(topic, partition).unwrap().offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        (0..partitions).map(offset).collect()
    }
}

fn record<M: Message>(message: &M) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        time: message.timestamp().to_millis(),
    }
}
