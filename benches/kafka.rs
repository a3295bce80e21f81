//! Kafka beside a bare loop over the same library, with a real broker on the same machine: processor time for a message.
//!
//! `cargo bench --bench kafka`, with the number of messages as an argument (a million if none is given). What is bare
//! polls a consumer and looks at each payload; what is ours decodes each message as JSON and lets it go.

#[path = "../tests/common/mod.rs"]
pub mod common;
#[path = "../tests/common/servers/mod.rs"]
pub mod servers;

use common::{Folder, headwater, until};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use rustix::process::{Pid, Signal, kill_process};
use servers::kafka::Kafka;
use std::fs;
use std::time::Duration;

const TOPIC: &str = "load";
const PARTITIONS: i32 = 4;
const RUNS: usize = 3;

fn main() {
    let messages = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000);
    let Some(kafka) = Kafka::start() else { return };
    kafka.create_topic(TOPIC, PARTITIONS, &[]);
    fill(&kafka, messages);
    for run in 1..=RUNS {
        let before = seconds("self");
        bare(&kafka, messages);
        let bare = seconds("self") - before;
        let ours = ours(&kafka, messages);
        let each = |seconds: f64| seconds * 1e6 / messages as f64;
        println!(
            "run {run}: bare {:.2} µs a message, ours {:.2} µs, {:.2} times as much",
            each(bare),
            each(ours),
            ours / bare
        );
    }
}

fn fill(kafka: &Kafka, messages: i64) {
    let mut config = kafka.client();
    let producer: BaseProducer = config.set("linger.ms", "20").create().unwrap();
    for n in 0..messages {
        let payload = format!(
            "{{\"n\":{n},\"user_id\":\"user-{}\",\"type\":\"purchase\",\"amount\":{}.5,\"ts\":{}}}",
            n % 1000,
            n % 100,
            1_700_000_000_000 + n
        );
        let partition = (n % i64::from(PARTITIONS)) as i32;
        let mut record = BaseRecord::<str, str>::to(TOPIC).payload(&payload).partition(partition);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

/// Reads all messages by the library alone.
fn bare(kafka: &Kafka, messages: i64) {
    let mut config = kafka.client();
    config.set("group.id", "bare").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut count, mut bytes) = (0, 0);
    while count < messages {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            bytes += message.payload().map_or(0, <[u8]>::len);
            count += 1;
        }
    }
    assert!(bytes > 0);
}

/// Lets the program read all messages; returns the seconds that its threads took.
fn ours(kafka: &Kafka, messages: i64) -> f64 {
    let folder = Folder::empty();
    let last = messages - i64::from(PARTITIONS);
    folder.write(
        "p.yaml",
        format!(
            "sources: {{ in: {{ kafka: {{ brokers: '{}', topics: {TOPIC} }} }} }}\n\
             transforms: {{ last: {{ from: in, where: n >= {last} }} }}\n\
             sinks:\n  out: {{ from: in, drop: {{}} }}\n  end: {{ from: last, stdout: {{}} }}\n",
            kafka.brokers()
        ),
    );
    let out = folder.path().join("stdout");
    let mut command = headwater(folder.path(), &["run", "-q", "p.yaml"]);
    let mut child = command.stdout(fs::File::create(&out).unwrap()).spawn().unwrap();
    until("all messages", || folder.read("stdout").lines().count() as i32 == PARTITIONS);
    let seconds = seconds(&child.id().to_string());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    seconds
}

/// The processor time of a process and all its threads so far.
fn seconds(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}
