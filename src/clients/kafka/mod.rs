//! Kafka, by librdkafka: what source and sink say of a connection, and what is told of it.

mod address;
mod connection;
mod context;
mod native;
mod options;
mod properties;
mod reason;
mod sasl;

pub use connection::Connection;
pub use context::Context;
pub use native::{header, known_end};
pub use options::{BROKERS, SASL, read_connection};
pub use properties::PROPERTIES;
pub use reason::{of_connection, of_group, of_topic, of_transaction};
