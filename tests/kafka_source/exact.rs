//! Killed at random moments: what comes out is what went in, once each.

use crate::common::{Folder, until};
use crate::servers::kafka::Kafka;
use crate::victim::{Numbers, Victim};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;

/// How many messages go in before each kill.
const EACH: usize = 2_000;
/// Between two messages, in milliseconds of event time.
const STEP: i64 = 100;

fn kills() -> usize {
    std::env::var("DURABILITY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

#[test]
fn kills_lose_and_double_nothing() {
    let Some(mut kafka) = Kafka::start() else { return };
    kafka.create_topic("events", 4, &[]);
    let folder = Folder::empty();
    folder.write(
        "p.yaml",
        format!(
            "options: {{ delivery: exactly_once, checkpoint: 200ms, parallelism: 2 }}\n\
             sources: {{ in: {{ kafka: {{ brokers: '{}', topics: events }}, \
             event_time: {{ field: ts, unit: ms, out_of_order: 5s, idle_after: 2s }} }} }}\n\
             windows: {{ w: {{ from: in, key: [p], tumbling: 10s, \
             aggregate: {{ all: count(*), different: count(DISTINCT n) }} }} }}\n\
             sinks:\n  raw: {{ from: in, file: {{ path: raw }} }}\n  sums: {{ from: w, file: {{ path: sums }} }}\n  \
             late: {{ from: w.late, file: {{ path: late }} }}\n",
            kafka.brokers()
        ),
    );
    let (mut numbers, mut count) = (Numbers(7), 0);
    for kill in 0..kills() {
        produce(&kafka, &mut count);
        let mut victim = Victim::start(&folder, &[]);
        assert!(victim.live(300 + numbers.below(1500)), "it ended by itself");
        if kill == kills() / 2 {
            kafka.kill();
            kafka.start_again();
        }
        victim.kill();
    }
    produce(&kafka, &mut count);
    let victim = Victim::start(&folder, &[]);
    let total = || {
        let text = folder.read("sums");
        let values = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        values.map(|value| value["all"].as_u64().unwrap_or_default() as usize).sum::<usize>()
    };
    until("all windows", || total() >= count);
    let said = victim.stop();
    let mut seen: Vec<usize> = folder.read("raw").lines().map(number).collect();
    seen.sort_unstable();
    assert!(seen == (0..count).collect::<Vec<_>>(), "{} of {count}\n{said}", seen.len());
    assert_eq!((total(), folder.read("late")), (count, String::new()));
}

fn number(line: &str) -> usize {
    serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_u64().unwrap() as usize
}

fn produce(kafka: &Kafka, count: &mut usize) {
    let producer: BaseProducer = kafka.client().create().unwrap();
    for n in *count..*count + EACH {
        let (p, ts) = (n % 4, 1_700_000_000_000 + n as i64 * STEP);
        let payload = format!("{{\"n\":{n},\"p\":{p},\"ts\":{ts}}}");
        let record = BaseRecord::<str, str>::to("events").payload(&payload).partition(p as i32);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    *count += EACH;
}
