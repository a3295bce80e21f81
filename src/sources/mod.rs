//! Where events come from. One file a source, one line in the registry each.

mod descriptor;
mod file;
mod generate;
mod http;
mod kafka;
mod mqtt;
mod stdin;

use crate::dataflow::SourceSpec;

pub use file::{Compression, FileSource, FileSourceConfig, Start};
pub use generate::FUNCTIONS as GENERATE_FUNCTIONS;
pub use stdin::StdinSource;

/// All sources.
pub const SOURCES: &[SourceSpec] = &[
    SourceSpec { spec: &file::FILE, decodes: true, connects: false, plan: file::plan },
    SourceSpec { spec: &stdin::STDIN, decodes: true, connects: false, plan: stdin::plan },
    SourceSpec { spec: &mqtt::MQTT, decodes: true, connects: true, plan: mqtt::plan },
    SourceSpec { spec: &kafka::KAFKA, decodes: true, connects: true, plan: kafka::plan },
    SourceSpec { spec: &http::HTTP, decodes: true, connects: true, plan: http::plan },
    SourceSpec { spec: &generate::GENERATE, decodes: false, connects: false, plan: generate::plan },
];

/// Sources of the language that this version does not have.
pub const LATER: &[&str] = &["nats", "modbus", "opcua", "syslog", "exec", "postgres_cdc", "s3"];
