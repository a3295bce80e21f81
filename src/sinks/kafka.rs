//! The `kafka` sink: each event a record.

mod committer;
mod outbox;
mod plan;
mod producer;
mod producing;
mod queue;
mod record;
mod transacting;
mod transactions;

use crate::clients::kafka::{BROKERS, PROPERTIES, SASL};
use crate::clients::tls::TLS;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};

pub use plan::plan;

/// The machine that decides what goes into transactions, for whoever drives it with a target of their own.
pub mod transactional {
    pub use super::committer::{Committer, Naming, Next, Refusal, Transactions, Trouble};
    pub use super::queue::{Delivered, TransactionQueue};
}

/// The registry's entry.
pub static KAFKA: ComponentSpec = ComponentSpec {
    name: "kafka",
    role: Role::Sink,
    summary: "Writes each event as a record to Kafka. At least once by an idempotent producer: what is not acknowledged is \
              kept and sent again. Exactly once by transactions: each holds whole chunks of a checkpoint, and with them, as \
              the metadata of an offset that a consumer group of the sink's own commits, how far output has come; so the \
              broker tells after a crash what has arrived, and readers with `isolation.level: read_committed` see each \
              event once. The transactional id, which is the group as well, is `instance/pipeline/sink`: each gateway needs \
              an `instance` of its own, and where the cluster has ACLs the user needs Write and Describe on that id, Read \
              on that group, and Read beside Write on the topic. A transaction is open for a few seconds at the most, and \
              one that was cut off is ended by the next start, else after `transaction.timeout.ms`. Events that the broker \
              refuses for good leave by `.rejected`. Keys lie in the same partitions as with Java's clients.",
    short: None,
    options: &[
        BROKERS,
        OptionSpec::required("topic", OptionKind::Template, "The topic of each event."),
        OptionSpec::optional(
            "key",
            OptionKind::Template,
            "The key of each record: equal keys go to one partition. Absent: none.",
        ),
        OptionSpec::optional(
            "partition",
            OptionKind::Expression,
            "The partition of each record, from 0. Absent: by the key, or any.",
        ),
        OptionSpec::optional("headers", OptionKind::Map(&OptionKind::Template), "Headers of each record."),
        OptionSpec::optional(
            "timestamp",
            OptionKind::Expression,
            "The timestamp of each record, or its milliseconds since the epoch. Absent: when it is written.",
        ),
        OptionSpec::or(
            "compression",
            "none",
            OptionKind::Word(&["none", "gzip", "snappy", "lz4", "zstd"]),
            "How batches are packed.",
        ),
        OptionSpec::or(
            "acks",
            "all",
            OptionKind::Word(&["all", "1", "0"]),
            "Who has a record when it is acknowledged: all replicas that are in sync, their leader, or nobody. Only with \
             `all` nothing is lost when a broker goes.",
        ),
        OptionSpec::optional(
            "marker_topic",
            OptionKind::Text,
            "Under `exactly_once`: a topic that exists, for whose partition 0 the sink's group commits how far output has \
             come; nothing is written to it. Needed where `topic` is a template; absent: the topic.",
        ),
        TLS,
        SASL,
        PROPERTIES,
    ],
    later: &["use"],
    example: "\
sources:
  spend: { stdin: {} }
sinks:
  out:
    from: spend
    kafka: { brokers: \"localhost:9092\", topic: results, key: \"{user}\", headers: { unit: cents }, compression: zstd }
",
};
