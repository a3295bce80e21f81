//! How a running process is spoken to: HTTP/1.1 on a socket in its data directory, and on an address.
//!
//! A thread with a runtime of its own takes connections (`listen.rs`), reads requests within limits (`serve.rs`), asks whether
//! they may pass (`door.rs`), finds what they ask for (`route.rs`) and asks the process ([`Control`]; `handlers.rs`).

mod answer;
mod client;
mod control;
mod door;
mod handlers;
mod lines;
mod listen;
mod metrics;
mod openapi;
mod route;
mod serve;
mod tap;

pub use client::{Answered, ask, ask_lines, ask_with, watch_lines};
pub use control::{
    CheckpointStats, Checkpointed, Control, NodeStatus, Order, PipelineState, PipelineStatus, Refusal,
    SnapshotStatus, TapLimits, WantedKeys, checkpointed_to_json, snapshots_to_json, status_to_json,
};
pub use door::{Door, Guard, Role};
pub use listen::{Opened, SOCKET, Server};
pub use metrics::{resource, samples};
pub use openapi::document as openapi_document;
pub use route::{ROUTES, Route};
