//! Clients of servers that sources and sinks share: how a connection is made, kept, and made again.
//!
//! A client owns a thread with a runtime of its own, or blocks the one that calls it. Nothing above this folder is
//! asynchronous.

mod backlog;
pub mod certificates;
pub mod hidden;
pub mod http;
pub mod http_server;
pub mod kafka;
pub mod keeper;
pub mod mqtt;
pub mod otlp;
pub mod postgres;
pub mod registry;
pub mod s3;
pub mod tls;
