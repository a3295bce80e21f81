//! The `kafka` source: partitions of topics, each read from an offset that a checkpoint keeps.

mod discovery;
mod finder;
mod keeper;
mod kept;
mod looking;
mod partition;
mod placing;
mod plan;
mod probe;
mod shared;
mod topics;

use crate::clients::kafka::{BROKERS, PROPERTIES, SASL};
use crate::clients::tls::TLS;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};

pub use plan::plan;

/// The registry's entry.
pub static KAFKA: ComponentSpec = ComponentSpec {
    name: "kafka",
    role: Role::Source,
    summary: "Reads topics of Apache Kafka. Each partition goes on at the offset that the last checkpoint has, and has \
              a watermark of its own. A message without a payload (a tombstone) is counted and passed over.",
    short: None,
    options: &[
        BROKERS,
        OptionSpec::optional(
            "topics",
            OptionKind::OneOrList(&OptionKind::Text),
            "What is read; this or `pattern`.",
        ),
        OptionSpec::optional(
            "pattern",
            OptionKind::Text,
            "A regular expression of whole names: all topics that match are read, also those that turn up later; names \
             that begin with two underscores are Kafka's own and never match.",
        ),
        OptionSpec::optional(
            "partitions",
            OptionKind::List(&OptionKind::Integer),
            "The only partitions of each topic that are read; absent: all, also those that are added later.",
        ),
        OptionSpec::optional(
            "group",
            OptionKind::Text,
            "The consumer group that is told how far checkpoints are, for tools that show the lag; absent: \
             `<instance>/<pipeline>/<node>`.",
        ),
        OptionSpec::or(
            "start",
            "earliest",
            OptionKind::Any(&[
                OptionKind::Word(&["earliest", "latest", "committed"]),
                OptionKind::Options(topics::START_OPTIONS),
            ]),
            "Where partitions begin of which no checkpoint knows: their first message, behind their last, where the \
             group is (else the first), at a time, or at offsets. A partition that turns up later begins at its first.",
        ),
        OptionSpec::or(
            "isolation",
            "read_committed",
            OptionKind::Word(&["read_committed", "read_uncommitted"]),
            "Whether messages of transactions are read that are open or were given up.",
        ),
        TLS,
        SASL,
        PROPERTIES,
    ],
    later: &["use"],
    example: "\
sources:
  events:
    kafka: { brokers: \"localhost:9092\", topics: [events], group: purchases }
    event_time: { field: ts, out_of_order: 5s }
transforms:
  known: { from: events, set: { user: source_key(), partition: source_partition() } }
sinks:
  out: { from: known, stdout: {} }
",
};
