//! The `mqtt` sink: each event a message of its own.

mod outbox;
mod plan;
mod publishing;

use crate::clients::mqtt::{CLIENT_ID, KEEP_ALIVE, PASSWORD, QOS, URL, USERNAME, VERSION};
use crate::clients::tls::TLS;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};

pub use plan::plan;

/// The registry's entry.
pub static MQTT: ComponentSpec = ComponentSpec {
    name: "mqtt",
    role: Role::Sink,
    summary: "Publishes each event to an MQTT broker, at least once: what is not acknowledged is published again. With a \
              data directory that holds across restarts, but for QoS 0. With version 5 each message of QoS 1 and 2 has a \
              user property `headwater-id`: a message that is published again has the same one, also after a restart. An \
              event that is read and computed again after a crash is a new message with a new id; a subscriber that \
              must know such ones needs an id that the event itself brings along, by `properties`: one named \
              `headwater-id` there takes the place of ours.",
    short: None,
    options: &[
        URL,
        OptionSpec::required("topic", OptionKind::Template, "The topic of each event."),
        VERSION,
        QOS,
        OptionSpec::or(
            "retain",
            "false",
            OptionKind::Boolean,
            "Whether the broker keeps the last message of a topic for those who come later.",
        ),
        OptionSpec::optional(
            "properties",
            OptionKind::Map(&OptionKind::Template),
            "User properties of each message (version 5).",
        ),
        USERNAME,
        PASSWORD,
        CLIENT_ID,
        KEEP_ALIVE,
        TLS,
    ],
    later: &["use"],
    example: "\
sources:
  readings: { stdin: {} }
sinks:
  out:
    from: readings
    mqtt: { url: \"mqtt://localhost:1883\", topic: \"plant/{line}/reading\", properties: { unit: celsius } }
",
};
