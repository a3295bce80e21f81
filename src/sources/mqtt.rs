//! The `mqtt` source: messages of a broker, each a record by itself.

mod filling;
mod frame;
mod inbox;
mod plan;
mod topics;
mod unsettled;

use crate::clients::mqtt::{CLIENT_ID, KEEP_ALIVE, PASSWORD, QOS, URL, USERNAME, VERSION};
use crate::clients::tls::TLS;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};

pub use plan::plan;

/// The registry's entry.
pub static MQTT: ComponentSpec = ComponentSpec {
    name: "mqtt",
    role: Role::Source,
    summary: "Subscribes to topics of an MQTT broker. A message is acknowledged when it is safe in the journal, or \
              as `durable` says; while the pipeline is behind, the broker holds messages back.",
    short: None,
    options: &[
        URL,
        OptionSpec::required(
            "topics",
            OptionKind::OneOrList(&OptionKind::Text),
            "Topic filters; `+` stands for one level, `#` at the end for all further ones.",
        ),
        VERSION,
        QOS,
        USERNAME,
        PASSWORD,
        CLIENT_ID,
        OptionSpec::optional(
            "clean_start",
            OptionKind::Boolean,
            "Whether the broker forgets what came while we were away; absent: only where neither a data directory nor \
             `client_id` lets it know us again.",
        ),
        OptionSpec::optional(
            "session_expiry",
            OptionKind::Duration,
            "How long the broker keeps messages for us while we are away (version 5); absent: a day, or not at all with \
             a clean start.",
        ),
        KEEP_ALIVE,
        OptionSpec::or(
            "receive_maximum",
            "1024",
            OptionKind::Integer,
            "How many messages the broker may have sent that are not acknowledged (version 5).",
        ),
        OptionSpec::or(
            "max_payload",
            "1MiB",
            OptionKind::Size,
            "A larger message is rejected; one that is 16 times as large is not taken from the broker.",
        ),
        OptionSpec::optional(
            "shared_group",
            OptionKind::Text,
            "Subscribes as one of a group among whom the broker deals messages out.",
        ),
        OptionSpec::optional(
            "topic_fields",
            OptionKind::Text,
            "What levels of the topic mean: `site/{site}/device/{device}` adds two fields. A message with another topic \
             is rejected.",
        ),
        TLS,
    ],
    later: &["use"],
    example: "\
sources:
  plant:
    mqtt: { url: \"mqtt://localhost:1883\", topics: [plant/+/temperature], topic_fields: \"plant/{line}/temperature\" }
    event_time: { field: ts, out_of_order: 5s }
sinks:
  out: { from: plant, stdout: {} }
",
};
