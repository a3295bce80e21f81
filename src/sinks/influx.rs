//! The `influx` sink: events as points of an InfluxDB.

mod line;
mod plan;
mod write;

use crate::clients::http::TIMEOUT;
use crate::clients::tls::TLS;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};
use crate::sinks::columns::COLUMNS;

pub use plan::plan;

/// The registry's entry.
pub static INFLUX: ComponentSpec = ComponentSpec {
    name: "influx",
    role: Role::Sink,
    summary: "Writes each event as a point to InfluxDB: 2, 1.8 and 3, and whatever takes line protocol over HTTP. Values keep \
              their types: integers, floats, booleans, texts; a field that is null is left out, and an event that has none \
              left is rejected, as is one with a list or map. At least once: a point that is written again takes its own \
              place, as series and time are the same. A server that takes nothing is tried again; so it is where the token \
              or the bucket is wrong, which is told. Points that it refuses (400, 413, 422: another type than before, a \
              time outside of what is retained) are looked for by halves and leave by `.rejected`; what it has kept of \
              such a request is written once more, to the same effect.",
    short: None,
    options: &[
        OptionSpec::required(
            "url",
            OptionKind::Text,
            "The server: `http://host:8086`. Without `bucket`, the whole URL that takes lines: `http://host:8428/write`.",
        ),
        OptionSpec::optional("org", OptionKind::Text, "The organisation."),
        OptionSpec::optional("bucket", OptionKind::Text, "The bucket; for 1.8 `database/retention`."),
        OptionSpec::optional(
            "token",
            OptionKind::Text,
            "Proves that we may write there, best as `${file:…}` or `${credential:…}`; for 1.8 `user:password`.",
        ),
        OptionSpec::or(
            "measurement",
            "{measurement}",
            OptionKind::Template,
            "The measurement of each point.",
        ),
        OptionSpec::optional(
            "tags",
            COLUMNS,
            "Tags: a list of fields, or a map of names and expressions. One that is null or empty is left out.",
        ),
        OptionSpec::optional(
            "fields",
            COLUMNS,
            "The same for fields; absent: all fields of the event that measurement, tags and time do not take.",
        ),
        OptionSpec::or("time", "event_time()", OptionKind::Expression, "The time of each point."),
        TIMEOUT,
        TLS,
    ],
    later: &[],
    example: "\
sources:
  readings: { stdin: {} }
sinks:
  out:
    from: readings
    influx:
      url: http://localhost:8086
      org: plant
      bucket: machines
      token: \"${INFLUX_TOKEN:-none}\"
      measurement: \"{line}\"
      tags: [machine]
      fields: { temp: CAST(temp AS DOUBLE), state: state }
    batch: { events: 5000, every: 1s }
",
};
