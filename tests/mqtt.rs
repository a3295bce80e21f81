//! The MQTT source and sink against a real broker: mosquitto, one a test, on a port of its own.

pub mod common;

#[path = "mqtt/broker.rs"]
mod broker;
#[path = "mqtt/flow.rs"]
mod flow;
#[path = "mqtt/journal.rs"]
mod journal;
#[path = "mqtt/process.rs"]
mod process;
#[path = "mqtt/restart.rs"]
mod restart;
#[path = "mqtt/secure.rs"]
mod secure;
#[path = "mqtt/session.rs"]
mod session;
#[path = "mqtt/sink.rs"]
mod sink;
#[path = "mqtt/time.rs"]
mod time;
