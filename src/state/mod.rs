//! What survives: an append-only log of commits, and a store into which they are folded.
//!
//! A pipeline has one folder. What must not be lost (input frames, checkpoints, output chunks) is appended to the
//! **log**, one sync a commit. From time to time the state in the log is **folded** into the store, a redb file,
//! and segments of the log that nobody needs any more are removed. The layout of the folder and of every record
//! stands in `docs/state-format.md`.

mod bytes;
pub mod disk;
mod error;
pub mod log;
mod number;

pub use bytes::Malformed;
pub use error::{Remedy, StateError};
pub use number::{ChunkNumber, Epoch, Incarnation, KeyGroup, NodeId, SegmentNumber, Sequence, ShapeHash};
