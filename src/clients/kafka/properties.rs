//! librdkafka's own properties: any that it has, but for those that the pipeline says in another way or that would
//! break what it promises.

use crate::clients::hidden::Hidden;
use crate::config::{Role, Section, Setting};
use crate::dataflow::{OptionKind, OptionSpec};
use crate::event::nearest;
use rdkafka::ClientConfig;
use rdkafka::bindings::{rd_kafka_conf_dump, rd_kafka_conf_dump_free};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use std::ffi::CStr;

/// librdkafka's own properties, as an option of a connector.
pub const PROPERTIES: OptionSpec = OptionSpec::optional(
    "properties",
    OptionKind::Map(&OptionKind::Text),
    "Properties of librdkafka, such as `{ client.rack: eu-1 }`; those that the pipeline decides itself are refused.",
);

const BROKERS: &str = "`brokers` says it";
const SASL: &str = "`sasl` says it";
const TLS: &str = "`tls` says it";
const PROGRESS: &str = "checkpoints say how far the source is, and the group follows them";
const GROUP: &str = "partitions are assigned by the source itself, not by the group";
const OWN: &str = "it belongs to the library's caller";
const START: &str = "`start` says where reading begins, and a gap must not be passed over in silence";
const WAITS: &str = "what does not arrive waits, as `buffer` of the sink says";
const DELIVERY: &str = "`delivery` decides it";

/// Properties that are refused, and why. A name that ends with `.` stands for all that start with it.
const REFUSED: &[(&str, &str)] = &[
    ("bootstrap.servers", BROKERS),
    ("metadata.broker.list", BROKERS),
    ("security.protocol", "`tls` and `sasl` say it"),
    ("sasl.", SASL),
    ("enable.sasl.oauthbearer.unsecure.jwt", SASL),
    ("ssl.key.location", TLS),
    ("ssl.certificate.location", TLS),
    ("ssl.ca.location", TLS),
    ("ssl.key.pem", TLS),
    ("ssl.certificate.pem", TLS),
    ("ssl.ca.pem", TLS),
    ("group.id", "`group` says it"),
    ("group.", GROUP),
    ("partition.assignment.strategy", GROUP),
    ("session.timeout.ms", GROUP),
    ("heartbeat.interval.ms", GROUP),
    ("max.poll.interval.ms", GROUP),
    ("enable.auto.commit", PROGRESS),
    ("auto.commit.enable", PROGRESS),
    ("auto.commit.interval.ms", PROGRESS),
    ("enable.auto.offset.store", PROGRESS),
    ("offset.store.", PROGRESS),
    ("auto.offset.reset", START),
    ("enable.partition.eof", "the source needs it to tell an empty partition from a slow one"),
    ("isolation.level", "`isolation` says it"),
    ("transactional.id", DELIVERY),
    ("enable.idempotence", DELIVERY),
    ("enable.gapless.guarantee", DELIVERY),
    ("delivery.report.only.error", DELIVERY),
    ("queuing.strategy", DELIVERY),
    ("message.timeout.ms", WAITS),
    ("delivery.timeout.ms", WAITS),
    ("acks", "`acks` of the sink says it"),
    ("request.required.acks", "`acks` of the sink says it"),
    ("compression.codec", "`compression` of the sink says it"),
    ("compression.type", "`compression` of the sink says it"),
    ("allow.auto.create.topics", "a topic that is missing is reported, not made"),
    ("plugin.library.paths", "one static binary loads no code"),
    ("ssl.engine.", "one static binary loads no code"),
    ("ssl.providers", "one static binary loads no code"),
    ("statistics.interval.ms", OWN),
    ("log.", OWN),
    ("log_level", OWN),
    ("enabled_events", OWN),
    ("internal.", OWN),
    ("interceptors", OWN),
    ("opaque", OWN),
    ("default_topic_conf", OWN),
    ("builtin.features", "it cannot be set"),
];

/// Properties that only a source has a use for.
const OF_SOURCES: &[&str] = &[
    "queued.min.messages",
    "queued.max.messages.kbytes",
    "fetch.wait.max.ms",
    "fetch.queue.backoff.ms",
    "fetch.message.max.bytes",
    "max.partition.fetch.bytes",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "fetch.error.backoff.ms",
    "check.crcs",
    "coordinator.query.interval.ms",
];

/// Properties that only a sink has a use for.
const OF_SINKS: &[&str] = &[
    "transaction.timeout.ms",
    "queue.buffering.max.messages",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.ms",
    "linger.ms",
    "message.send.max.retries",
    "retries",
    "queue.buffering.backpressure.threshold",
    "batch.num.messages",
    "batch.size",
    "sticky.partitioning.linger.ms",
    "request.timeout.ms",
    "partitioner",
    "compression.level",
    "message.copy.max.bytes",
];

/// Reads the option [`PROPERTIES`] of a source or sink; what cannot be is reported.
pub fn read_properties(section: &Section<'_>, role: Role) -> Vec<(String, Hidden)> {
    let Some(entries) = section.get("properties").and_then(|setting| setting.entries()) else {
        return Vec::new();
    };
    let read = |setting: Setting<'_>| read_property(setting, role);
    entries.into_iter().filter_map(read).collect()
}

fn read_property(setting: Setting<'_>, role: Role) -> Option<(String, Hidden)> {
    let name = setting.name;
    let refused = |(refused, _): &&(&str, &str)| {
        name == *refused || (refused.ends_with('.') && name.starts_with(refused))
    };
    if let Some((_, why)) = REFUSED.iter().find(refused) {
        setting.faults.error(setting.key, format!("the property `{name}` cannot be set here")).hint(*why);
        return None;
    }
    let (others, other) = if role == Role::Source { (OF_SINKS, "sink") } else { (OF_SOURCES, "source") };
    if others.contains(&name) {
        let message = format!("the property `{name}` has a meaning at a {other} only");
        setting.faults.error(setting.key, message);
        return None;
    }
    let Some(value) = setting.node.scalar() else {
        setting.wrong("a text or number");
        return None;
    };
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => Some((name.to_owned(), Hidden(value.to_owned()))),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_INVALID, why, ..)) => {
            setting.error(format!("the property `{name}` cannot be that")).hint(why);
            None
        }
        Err(_) => {
            let names = names();
            let known = names.iter().map(String::as_str).chain(OF_SOURCES.iter().chain(OF_SINKS).copied());
            let reported = setting.faults.error(setting.key, format!("librdkafka has no property `{name}`"));
            reported.hint(match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "its CONFIGURATION.md lists them".to_owned(),
            });
            None
        }
    }
}

/// The names of properties that have a value from the start: most of them.
fn names() -> Vec<String> {
    let Ok(config) = ClientConfig::new().create_native_config() else { return Vec::new() };
    let mut count = 0;
    // SAFETY: the configuration lives until the end of this function; the call gives `count` pointers, name and value
    // in turn, each to a text that ends with a null byte, and they live until they are freed below.
    unsafe {
        let dump = rd_kafka_conf_dump(config.ptr(), &mut count);
        if dump.is_null() {
            return Vec::new();
        }
        let texts = (0..count).step_by(2).map(|number| CStr::from_ptr(*dump.add(number)));
        let names = texts.map(|text| text.to_string_lossy().into_owned()).collect();
        rd_kafka_conf_dump_free(dump, count);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn librdkafka_names_its_properties() {
        let names = names();
        assert!(names.iter().any(|name| name == "socket.timeout.ms"), "{names:?}");
        assert!(names.iter().all(|name| !name.is_empty()));
    }

    #[test]
    fn what_is_listed_exists() {
        let exists = |name: &str| {
            let outcome = ClientConfig::new().set(name, "").create_native_config();
            let unknown = RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
            !matches!(outcome, Err(KafkaError::ClientConfig(res, ..)) if res == unknown)
        };
        let refused = REFUSED.iter().map(|(name, _)| *name).filter(|name| !name.ends_with('.'));
        for name in refused.chain(OF_SOURCES.iter().chain(OF_SINKS).copied()) {
            assert!(exists(name), "{name}");
        }
    }
}
