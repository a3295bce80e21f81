//! Kafka to Kafka beside a bare loop of librdkafka that does nothing but consume and produce, on one broker in one sitting:
//! time and CPU of what was passed on, and of windows over it (`benches/purchases.yaml`'s job), by both guarantees.
//!
//! `KAFKA_EVENTS` says how many events there are (300,000), `KAFKA_RUNS` how often each is measured (3). Needs Linux and
//! the broker that tests/setup.sh brings.

#[path = "../tests/common/mod.rs"]
pub mod common;
#[path = "../tests/common/servers/mod.rs"]
pub mod servers;

use common::{Folder, headwater, pause};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use servers::kafka::Kafka;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Bytes of a transaction of the bare loop.
const TRANSACTION: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// An event of about 200 bytes; the last one closes the windows.
fn event(n: u64, count: u64) -> String {
    let ts = 1_700_000_000_000 + n * 10 + if n + 1 == count { 600_000 } else { 0 };
    let kind = ["view", "purchase", "cart"][(n % 3) as usize];
    format!(
        "{{\"ts\":{ts},\"n\":{n},\"user_id\":\"u{}\",\"type\":\"{kind}\",\"amount\":{}.25,\"page\":\"{:0>90}\"}}",
        n % 1_000,
        n % 100,
        n
    )
}

/// Consumes and produces, no more. Ends never: whoever measures knows when all is through.
fn bare_loop(brokers: &str, input: &str, output: &str, exactly_once: bool) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let mut reading = config.clone();
    reading
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed");
    let consumer: BaseConsumer = reading.create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(input, 0, Offset::Beginning).unwrap();
    consumer.assign(&partitions).unwrap();
    let mut writing = config;
    writing.set("enable.idempotence", "true").set("linger.ms", "5");
    writing.set("queue.buffering.max.messages", "0");
    if exactly_once {
        writing.set("transactional.id", output);
    }
    let producer: BaseProducer = writing.create().unwrap();
    if exactly_once {
        producer.init_transactions(PATIENCE).unwrap();
    }
    let mut bytes = 0;
    loop {
        let message = consumer.poll(Duration::from_millis(20));
        if let Some(Ok(message)) = &message {
            if exactly_once && bytes == 0 {
                producer.begin_transaction().unwrap();
            }
            let payload = message.payload().unwrap_or_default();
            let mut record = BaseRecord::<[u8], [u8]>::to(output).payload(payload);
            record.key = message.key();
            producer.send(record).map_err(|(error, _)| error).unwrap();
            bytes += payload.len();
        }
        if exactly_once && bytes > 0 && (bytes >= TRANSACTION || message.is_none()) {
            while producer.in_flight_count() > 0 {
                producer.poll(Duration::from_millis(1));
            }
            let offsets = consumer.position().unwrap();
            let group = consumer.group_metadata().unwrap();
            producer.send_offsets_to_transaction(&offsets, &group, PATIENCE).unwrap();
            producer.commit_transaction(PATIENCE).unwrap();
            bytes = 0;
        } else if message.is_none() || bytes >= TRANSACTION {
            producer.poll(Duration::ZERO);
            bytes = 0;
        }
    }
}

/// What a process has used of the CPU so far, in seconds.
fn cpu(child: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // What Linux counts in, on every machine.
    ticks / 100.0
}

/// How many committed records readers could read by now.
fn end(watch: &BaseConsumer, topic: &str) -> i64 {
    watch.fetch_watermarks(topic, 0, PATIENCE).unwrap().1
}

/// Starts a process and waits until its output has come to rest at as many records; its time and CPU in seconds.
#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn measure(kafka: &Kafka, output: &str, least: i64, mut command: Command) -> (f64, f64) {
    let mut config = kafka.client();
    let watch: BaseConsumer =
        config.set("isolation.level", "read_committed").set("group.id", "watch").create().unwrap();
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    while end(&watch, output) < least {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        assert!(start.elapsed() < Duration::from_secs(600), "{} of {least}", end(&watch, output));
        pause(10);
    }
    let measured = (start.elapsed().as_secs_f64(), cpu(&child));
    child.kill().unwrap();
    child.wait().unwrap();
    measured
}

fn pipeline(brokers: &str, input: &str, output: &str, delivery: &str, windows: bool) -> String {
    let job = match windows {
        true => {
            "transforms: { bought: { from: events, where: type = 'purchase' } }
windows:
  spend:
    from: bought
    key: [user_id]
    tumbling: 1m
    aggregate: { total: sum(amount), count: count(*) }
"
        }
        false => "",
    };
    let from = if windows { "spend" } else { "events" };
    format!(
        "options: {{ delivery: {delivery}, checkpoint: 200ms }}
sources:
  events:
    kafka: {{ brokers: '{brokers}', topics: {input} }}
    event_time: {{ field: ts, unit: ms, out_of_order: 5s }}
{job}
sinks: {{ out: {{ from: {from}, kafka: {{ brokers: '{brokers}', topic: {output} }} }} }}
"
    )
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, brokers, input, output, guarantee] = arguments.as_slice()
        && mode == "bare-loop"
    {
        return bare_loop(brokers, input, output, guarantee == "exactly_once");
    }
    let Some(kafka) = Kafka::start() else { return };
    let (count, runs) = (number("KAFKA_EVENTS", 300_000), number("KAFKA_RUNS", 3));
    let input = kafka.topic(1);
    let events: Vec<String> = (0..count).map(|n| event(n, count)).collect();
    kafka.produce_values(&input, &events);
    println!("{count} events of {} bytes; the best of {runs} runs each, interleaved", events[0].len());
    let mut best: Vec<(String, f64, f64)> = Vec::new();
    for _ in 0..runs {
        for guarantee in ["at_least_once", "exactly_once"] {
            for kind in ["bare loop", "pass-through", "purchases"] {
                let (folder, output) = (Folder::empty(), kafka.topic(1));
                let (command, least) = match kind {
                    "bare loop" => {
                        let mut command = Command::new(std::env::current_exe().unwrap());
                        command.args(["bare-loop", &kafka.brokers(), &input, &output, guarantee]);
                        (command, count)
                    }
                    _ => {
                        let windows = kind == "purchases";
                        folder
                            .write("p.yaml", pipeline(&kafka.brokers(), &input, &output, guarantee, windows));
                        let command =
                            headwater(folder.path(), &["run", "-q", "p.yaml", "--data-dir", "data"]);
                        // Each purchaser's row of each whole minute.
                        let rows =
                            if windows { (count * 10 / 60_000).saturating_sub(1) * 333 } else { count };
                        (command, rows)
                    }
                };
                let (time, cpu) = measure(&kafka, &output, least as i64, command);
                let name = format!("{kind}, {guarantee}");
                match best.iter_mut().find(|(known, ..)| *known == name) {
                    Some((_, least_time, least_cpu)) => {
                        (*least_time, *least_cpu) = (least_time.min(time), least_cpu.min(cpu));
                    }
                    None => best.push((name, time, cpu)),
                }
            }
        }
    }
    for (name, time, cpu) in &best {
        let guarantee = name.split(", ").nth(1).unwrap_or_default();
        let bare = best.iter().find(|(known, ..)| *known == format!("bare loop, {guarantee}"));
        let share = bare.map_or(0.0, |(.., bare)| cpu / bare);
        println!(
            "{name:<30} {:>9.0} events/s {:>7.2} s {:>7.2} s CPU {:>6.0} ns/event {share:>5.2} x the bare loop's",
            count as f64 / time,
            time,
            cpu,
            cpu * 1e9 / count as f64
        );
    }
}
