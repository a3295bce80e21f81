//! Snapshots in directories and in buckets of a real server that speaks S3, one a test, on a port of its own.

pub mod common;

#[path = "snapshots/bucket.rs"]
mod bucket;
#[path = "snapshots/lost.rs"]
mod lost;
#[path = "running/run.rs"]
mod run;
#[path = "snapshots/server.rs"]
mod server;
#[path = "snapshots/state.rs"]
mod state;
#[path = "snapshots/verb.rs"]
mod verb;
