//! How a running process is spoken to: HTTP/1.1 on a socket in its data directory.
//!
//! One thread with a runtime of its own takes connections (`listen.rs`), reads requests within limits (`serve.rs`), finds
//! what they ask for (`route.rs`) and asks the process ([`Control`]). What it answers is JSON.

mod client;
mod control;
mod lines;
mod listen;
mod route;
mod serve;

pub use client::{Answered, ask, ask_lines, ask_with};
pub use control::{
    Checkpointed, Control, NodeStatus, PipelineState, PipelineStatus, Refusal, SnapshotStatus, WantedKeys,
    checkpointed_to_json, snapshots_to_json, status_to_json,
};
pub use listen::{SOCKET, Server};
