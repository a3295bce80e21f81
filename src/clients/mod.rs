//! Clients of servers that sources and sinks share: how a connection is made, kept, and made again.
//!
//! A client owns a thread with a runtime of its own. Nothing above this folder is asynchronous.

pub mod mqtt;
