//! The options of a `kafka` sink.

use super::KAFKA;
use super::producer::{Batching, Manner, Reporter, Reports};
use super::producing::Producing;
use super::record::Layout;
use super::transacting::Transacting;
use super::transactions::Identity;
use crate::clients::kafka::{Connection, of_topic, read_connection};
use crate::config::{Role, Section, Setting, read};
use crate::dataflow::{NodePlanner, Probed, Sink, SinkPlan, Template};
use crate::time::{Clock, Millis, SystemClock};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, Producer};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a record, where `message.max.bytes` does not say it.
const MOST_BYTES: usize = 1_000_000;
/// What of that is left to a key.
const KEY_BYTES: usize = 1 << 10;
/// How long a transaction may be open, where `transaction.timeout.ms` does not say it.
const TIMEOUT: Millis = Millis(60_000);
/// How long a probe waits for an answer.
const PATIENCE: Millis = Millis(10_000);
/// The longest name of a topic.
const LONGEST_TOPIC: usize = 249;

/// Plans a `kafka` sink.
pub fn plan(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    let section = KAFKA.open(setting);
    let connection = read_connection(planner, &section, Role::Sink);
    let topic =
        section.required("topic", |setting| Template::plan(planner, setting, |text, _| is_topic(text)));
    let key = section.get("key").map(|setting| Template::plan(planner, setting, |_, _| Ok(())));
    let partition = section
        .get("partition")
        .map(|setting| Template::of_expression(planner, setting, |t, _| is_partition(t)));
    let timestamp = section
        .get("timestamp")
        .map(|setting| Template::of_expression(planner, setting, |t, _| is_timestamp(t)));
    let headers = section.get("headers").map_or(Some(Vec::new()), |setting| headers(planner, setting));
    let (compression, acks) = words(&section);
    let marker_topic = section.optional("marker_topic", topic_name);
    let (connection, topic) = (connection?, topic?);
    let (names, values): (Vec<_>, Vec<_>) = headers?.into_iter().unzip();
    let layout = Layout {
        key: key.is_some(),
        partition: partition.is_some(),
        timestamp: timestamp.is_some(),
        headers: names,
    };
    let fixed = topic.fixed().map(str::to_owned);
    let mut address = vec![topic];
    for template in [key, partition, timestamp].into_iter().flatten() {
        address.push(template?);
    }
    address.extend(values);
    let most_bytes = number(&connection, "message.max.bytes").map_or(MOST_BYTES, |bytes| bytes as usize);
    let timeout = number(&connection, "transaction.timeout.ms").map_or(TIMEOUT, Millis);
    let instance = planner.instance.id.clone();
    let id = [instance.as_str(), planner.pipeline, planner.name].map(safe).join("/");
    let carrier = marker_topic.or_else(|| fixed.clone());
    let identity = carrier.map(|carrier| Identity { id, carrier, timeout });
    let manner =
        Manner { connection, layout, preamble: Vec::new(), compression, acks, most_bytes, topic: fixed };
    Some(Box::new(KafkaSinkPlan { manner, address, identity, instance, exactly_once: false }))
}

/// How batches are packed, and who must have a record.
fn words(section: &Section<'_>) -> (&'static str, &'static str) {
    let all = ["none", "gzip", "snappy", "lz4", "zstd"].map(|word| (word, word));
    let compression = section.or("compression", "none", read::word(&all, &[]));
    let all = ["all", "1", "0"].map(|word| (word, word));
    (compression, section.or("acks", "all", read::word(&all, &[])))
}

/// A number among librdkafka's own properties, which was checked by it.
fn number(connection: &Connection, name: &str) -> Option<i64> {
    let last = connection.properties.iter().rev().find(|(known, _)| known == name);
    last.and_then(|(_, value)| value.0.parse().ok())
}

/// A text as a part of a transactional id: what is not safe there is written by its bytes, so that no two are alike.
fn safe(text: &str) -> String {
    let mut safe = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => safe.push(char::from(byte)),
            // Writing to a text cannot fail.
            _ => _ = write!(safe, "%{byte:02X}"),
        }
    }
    safe
}

fn topic_name(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    is_topic(text).map_err(|message| setting.error(message)).ok()?;
    Some(text.to_owned())
}

fn is_topic(text: &str) -> Result<(), &'static str> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match text {
        "" => Err("a topic cannot be empty"),
        "." | ".." => Err("a topic cannot be named like that"),
        _ if text.len() > LONGEST_TOPIC => Err("the name of a topic has at most 249 characters"),
        _ if !text.chars().all(is_safe) => {
            Err("the name of a topic is made of letters, digits, `.`, `_` and `-`")
        }
        _ => Ok(()),
    }
}

fn is_partition(text: &str) -> Result<(), &'static str> {
    let number = text.parse::<i32>().ok().filter(|number| *number >= 0);
    number.map(drop).ok_or("a partition is a whole number from 0")
}

fn is_timestamp(text: &str) -> Result<(), &'static str> {
    let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
    number.map(drop).ok_or("a timestamp is milliseconds since the epoch, and not before it")
}

fn headers(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Vec<(String, Template)>> {
    let planned = setting.entries()?.into_iter().map(|entry| {
        if entry.name.contains('\0') {
            entry.faults.error(entry.key, "the name of a header cannot hold null characters");
            return None;
        }
        Some((entry.name.to_owned(), Template::plan(planner, entry, |_, _| Ok(()))?))
    });
    planned.collect::<Vec<_>>().into_iter().collect()
}

#[derive(Debug)]
struct KafkaSinkPlan {
    manner: Manner,
    /// The topic, and what else the layout names.
    address: Vec<Template>,
    /// Under which name transactions can be made.
    identity: Option<Identity>,
    instance: String,
    exactly_once: bool,
}

impl SinkPlan for KafkaSinkPlan {
    fn describe(&self) -> String {
        let topic = self.address.first().map(Template::written).unwrap_or_default();
        let how = match (&self.identity, self.exactly_once, self.manner.acks) {
            (Some(identity), true, _) => format!("transactions as {}", identity.id),
            (_, _, "all") => "idempotent".to_owned(),
            (_, _, acks) => format!("acks {acks}"),
        };
        format!("kafka {topic} at {}, {how}", self.manner.connection.shown_brokers())
    }

    fn address(&self) -> &[Template] {
        &self.address
    }

    fn layout(&self) -> Vec<&str> {
        self.manner.layout.names()
    }

    fn takes_messages(&self) -> bool {
        true
    }

    fn delivers_exactly_once(&self) -> bool {
        self.why_not_exactly_once().is_none()
    }

    fn why_not_exactly_once(&self) -> Option<&'static str> {
        match &self.identity {
            _ if self.manner.acks != "all" => Some("that needs `acks: all`"),
            None => Some("its `topic` is a template, so `marker_topic` must name a topic that exists"),
            Some(_) => None,
        }
    }

    fn keeps_marker(&self) -> bool {
        true
    }

    fn deliver_exactly_once(&mut self) {
        self.exactly_once = true;
    }

    fn most_event_bytes(&self) -> Option<usize> {
        let key = if self.manner.layout.key { KEY_BYTES } else { 0 };
        Some(self.manner.most_bytes.saturating_sub(key))
    }

    /// Without an acknowledgement nobody knows whether a record has arrived.
    fn is_lasting(&self) -> bool {
        self.manner.acks != "0"
    }

    fn refuses(&self) -> bool {
        true
    }

    fn probe(&self) -> Option<Probed> {
        Some(probe(&self.manner))
    }

    fn sink(&self, preamble: Vec<u8>) -> Box<dyn Sink> {
        let manner = Manner { preamble, ..self.manner.clone() };
        match self.identity.clone().filter(|_| self.exactly_once) {
            Some(identity) => Box::new(Transacting::new(manner, identity, self.instance.clone())),
            None => Box::new(Producing::new(manner)),
        }
    }
}

/// Nobody writes during a probe.
struct Silent;

impl Reports for Silent {
    fn reported(&self, _number: usize, _outcome: Result<(), Code>) {}
}

/// Asks the brokers for the topic.
fn probe(manner: &Manner) -> Probed {
    let (clock, slice) = (SystemClock::new(), Duration::from_millis(500));
    let reporter = Reporter::new(manner.connection.clone(), Arc::new(Silent));
    let config = manner.config(Batching::default());
    let producer: BaseProducer<Reporter<Silent>> =
        config.create_with_context(reporter).map_err(|error| error.to_string())?;
    let brokers = manner.connection.shown_brokers();
    loop {
        producer.poll(Duration::from_millis(100));
        let context = producer.context().connection();
        match producer.client().fetch_metadata(manner.topic.as_deref(), slice) {
            Ok(metadata) => {
                let Some(name) = &manner.topic else { return Ok(format!("{brokers} answers")) };
                let found = metadata.topics().iter().find(|topic| topic.name() == name);
                let error = found.and_then(MetadataTopic::error).map(Code::from);
                return match (found, error) {
                    (Some(topic), None) => {
                        Ok(format!("{brokers}: topic `{name}`, partitions: {}", topic.partitions().len()))
                    }
                    (_, code) => {
                        let code = code.unwrap_or(Code::UnknownTopicOrPartition);
                        Err(format!("{brokers}: {}", of_topic(code, name, "Write")))
                    }
                };
            }
            Err(error) => {
                producer.poll(Duration::from_millis(100));
                let why = context.trouble();
                if why.is_some() || clock.elapsed() > PATIENCE {
                    return Err(format!("{brokers}: {}", why.unwrap_or_else(|| error.to_string())));
                }
            }
        }
    }
}
