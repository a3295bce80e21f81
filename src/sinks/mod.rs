//! Where results go. One file a sink, one line in the registry each.

mod columns;
mod drop;
mod encode;
mod file;
mod http;
mod influx;
mod kafka;
mod mqtt;
mod postgres;
mod prometheus;
mod stdout;
mod writer;

use crate::dataflow::SinkSpec;

pub use drop::DropSink;
pub use encode::{EncodePlan, ForgetPlan};
pub use file::{FileMode, FileSink, FileSinkConfig, Packing, Rotation, SpreadSink};
pub use kafka::transactional;
pub use stdout::StdoutSink;

/// All sinks.
pub const SINKS: &[SinkSpec] = &[
    SinkSpec { spec: &stdout::STDOUT, encodes: true, plan: stdout::plan },
    SinkSpec { spec: &file::FILE, encodes: true, plan: file::plan },
    SinkSpec { spec: &mqtt::MQTT, encodes: true, plan: mqtt::plan },
    SinkSpec { spec: &kafka::KAFKA, encodes: true, plan: kafka::plan },
    SinkSpec { spec: &postgres::POSTGRES, encodes: true, plan: postgres::plan },
    SinkSpec { spec: &http::HTTP, encodes: true, plan: http::plan },
    SinkSpec { spec: &influx::INFLUX, encodes: true, plan: influx::plan },
    SinkSpec { spec: &prometheus::PROMETHEUS, encodes: true, plan: prometheus::plan },
    SinkSpec { spec: &drop::DROP, encodes: false, plan: drop::plan },
];

/// Sinks of the language that this version does not have.
pub const LATER: &[&str] = &["s3", "parquet", "nats", "exec", "email", "clickhouse"];
