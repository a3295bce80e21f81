//! A producer of librdkafka: how it is configured, how records are handed to it, and what it reports of them.

use super::record::{Layout, Record};
use crate::clients::kafka::{Connection, Context};
use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, ProducerContext};
use std::error::Error;
use std::sync::Arc;

/// How records are written, whatever the guarantee.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How the connection is made.
    pub connection: Connection,
    /// What stands before each event.
    pub layout: Layout,
    /// What stands before each event within its record: a record is a stream of its own.
    pub preamble: Vec<u8>,
    /// How batches are packed, as librdkafka says it.
    pub compression: &'static str,
    /// Who must have a record before it is acknowledged, as librdkafka says it.
    pub acks: &'static str,
    /// The most bytes of key and event that the library takes.
    pub most_bytes: usize,
    /// The topic, where all events go to one.
    pub topic: Option<String>,
}

/// How many records go to a broker together. A broker that finds a batch too large refuses all of it, though each record
/// by itself may be small enough: then ever fewer are sent together, until it is known which ones it means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batching {
    /// As many as there are, up to what librdkafka or the pipeline says.
    #[default]
    Large,
    /// At most [`SMALL_BATCH`] bytes.
    Small,
    /// Each by itself.
    Single,
}

/// Bytes of a small batch.
const SMALL_BATCH: usize = 32 << 10;

impl Batching {
    /// The next smaller one.
    pub fn smaller(self) -> Batching {
        if self == Batching::Large { Batching::Small } else { Batching::Single }
    }

    /// Whether a record of so many bytes is sent by itself.
    pub fn is_alone(self, bytes: usize) -> bool {
        match self {
            Batching::Large => false,
            Batching::Small => bytes > SMALL_BATCH,
            Batching::Single => true,
        }
    }
}

impl Manner {
    /// The configuration of a producer, without what belongs to its guarantee.
    pub fn config(&self, batching: Batching) -> ClientConfig {
        let mut config = self.connection.config();
        config.set("compression.codec", self.compression).set("acks", self.acks);
        // As Java's clients have it, so that a key is in the same partition whoever writes it.
        config.set("partitioner", "murmur2_random");
        // The sink bounds what is under way.
        config.set("queue.buffering.max.messages", "0").set("queue.buffering.max.kbytes", "1048576");
        config.set("linger.ms", "5");
        // A topic that is not there is said soon; brokers that make topics need some seconds.
        config.set("topic.metadata.propagation.max.ms", "10000");
        self.connection.finish(&mut config);
        match batching {
            Batching::Large => {}
            Batching::Small => _ = config.set("batch.size", SMALL_BATCH.to_string()),
            Batching::Single => _ = config.set("batch.num.messages", "1"),
        }
        config
    }

    /// Hands a record over. It is reported by its number.
    ///
    /// # Errors
    /// It was not taken.
    pub fn send<R: Reports>(
        &self,
        producer: &BaseProducer<Reporter<R>>,
        record: &Record<'_>,
        headers: &[&str],
        number: usize,
    ) -> Result<(), Code> {
        let joined;
        let payload = if self.preamble.is_empty() {
            record.payload
        } else {
            joined = [&self.preamble, record.payload].concat();
            joined.as_slice()
        };
        let mut sent = BaseRecord::with_opaque_to(record.topic, number).payload(payload);
        sent.key = record.key;
        sent.partition = record.partition;
        sent.timestamp = record.timestamp;
        if !headers.is_empty() {
            let new = OwnedHeaders::new_with_capacity(headers.len());
            let named = self.layout.headers.iter().zip(headers);
            let all = named.fold(new, |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
            sent.headers = Some(all);
        }
        producer.send(sent).map_err(|(error, _)| code_of(&error))
    }
}

/// The code of an error.
pub fn code_of(error: &KafkaError) -> Code {
    match error {
        KafkaError::Transaction(error) => error.code(),
        other => other.rdkafka_error_code().unwrap_or(Code::Unknown),
    }
}

/// What a record met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The broker will never take it.
    Refused,
    /// It may be, as it is too large or came together with one that is.
    TooLarge,
    /// Its topic is not there, or not for us, now.
    NoTopic,
    /// It did not arrive; the next time it may.
    Lost,
}

impl Fate {
    /// What an error of a record means. A user that may not write to the one topic that there is can be allowed to; where
    /// events name their topics, one that nobody may write to must not hold up the others.
    pub fn of(code: Code, has_one_topic: bool) -> Fate {
        match code {
            Code::TopicAuthorizationFailed if !has_one_topic => Fate::Refused,
            Code::MessageSizeTooLarge | Code::InvalidMessageSize => Fate::TooLarge,
            Code::InvalidRecord
            | Code::InvalidMessage
            | Code::InvalidTimestamp
            | Code::PolicyViolation
            | Code::InvalidTopic
            | Code::UnknownPartition => Fate::Refused,
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::TopicAuthorizationFailed => {
                Fate::NoTopic
            }
            _ => Fate::Lost,
        }
    }
}

/// Is told what became of records.
pub trait Reports: Send + Sync + 'static {
    /// A record was taken, or why not.
    fn reported(&self, number: usize, outcome: Result<(), Code>);
}

/// Passes on what a producer reports.
pub struct Reporter<R: Reports> {
    context: Context,
    reports: Arc<R>,
}

impl<R: Reports> Reporter<R> {
    /// Passes on to `reports`.
    pub fn new(connection: Connection, reports: Arc<R>) -> Reporter<R> {
        Reporter { context: Context::new(connection), reports }
    }

    /// What is told of its connection.
    pub fn connection(&self) -> &Context {
        &self.context
    }
}

impl<R: Reports> ClientContext for Reporter<R> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, text: &str) {
        self.context.error(error, text);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.context.generate_oauth_token(config)
    }
}

impl<R: Reports> ProducerContext for Reporter<R> {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        self.reports.reported(number, result.as_ref().map(drop).map_err(|(error, _)| code_of(error)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_is_too_large_is_made_smaller() {
        assert!(!Batching::Large.is_alone(1 << 30));
        assert_eq!(Batching::Large.smaller(), Batching::Small);
        assert!(Batching::Small.is_alone(SMALL_BATCH + 1) && !Batching::Small.is_alone(SMALL_BATCH));
        assert_eq!(Batching::Small.smaller(), Batching::Single);
        assert!(Batching::Single.is_alone(1));
    }

    #[test]
    fn only_what_no_waiting_mends_is_refused() {
        assert_eq!(Fate::of(Code::InvalidRecord, true), Fate::Refused);
        assert_eq!(Fate::of(Code::MessageSizeTooLarge, true), Fate::TooLarge);
        assert_eq!(Fate::of(Code::UnknownTopic, false), Fate::NoTopic);
        assert_eq!(Fate::of(Code::TopicAuthorizationFailed, true), Fate::NoTopic);
        assert_eq!(Fate::of(Code::TopicAuthorizationFailed, false), Fate::Refused);
        assert_eq!(Fate::of(Code::BrokerTransportFailure, true), Fate::Lost);
    }
}
