//! The `prometheus` sink: events as samples, by remote write.

mod plan;
mod sample;
mod write;

use crate::clients::http::{AUTH, HEADERS, TIMEOUT};
use crate::clients::tls::TLS;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};
use crate::sinks::columns::COLUMNS;

pub use plan::plan;

/// The registry's entry.
pub static PROMETHEUS: ComponentSpec = ComponentSpec {
    name: "prometheus",
    role: Role::Sink,
    summary: "Writes each event as a sample by Prometheus remote write 1.0: to Prometheus itself (with \
              `--web.enable-remote-write-receiver`), Mimir, Thanos, VictoriaMetrics and others. The time is the event's. \
              Samples of a request are sorted by time, but Prometheus takes none that is older than what it has of the \
              series, unless its `out_of_order_time_window` says so: what it refuses (400) is looked for by halves and leaves \
              by `.rejected`, and the others arrive. Receivers that keep a part of what they refuse may then call \
              samples out of order that they have: a few of those that left may have arrived. At least once: the same sample \
              again changes nothing.",
    short: None,
    options: &[
        OptionSpec::required("url", OptionKind::Text, "The whole URL: `http://host:9090/api/v1/write`."),
        OptionSpec::or(
            "name",
            "{name}",
            OptionKind::Template,
            "The metric: letters, digits, `_` and `:`, no digit first. An event with another is rejected.",
        ),
        OptionSpec::or(
            "value",
            "value",
            OptionKind::Expression,
            "The value: a number, or true and false as 1 and 0. An event without one is rejected.",
        ),
        OptionSpec::optional(
            "labels",
            COLUMNS,
            "Labels: a list of fields, or a map of names and expressions. One that is null or empty is left out.",
        ),
        HEADERS,
        AUTH,
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
    prometheus:
      url: http://localhost:9090/api/v1/write
      name: machine_temperature_celsius
      value: temp
      labels: { machine: machine, hall: upper(hall) }
",
};
