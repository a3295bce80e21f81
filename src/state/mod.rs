//! What survives: an append-only log of commits, and a store into which they are folded.
//!
//! A pipeline has one folder. What must not be lost (input frames, checkpoints, output chunks) is appended to the
//! **log**, one sync a commit. From time to time the state in the log is **folded** into the store, a redb file,
//! and segments of the log that nobody needs any more are removed. The layout of the folder and of every record
//! stands in `docs/state-format.md`.

mod backend;
mod check;
mod checkpoint;
mod dead_letters;
pub mod disk;
mod error;
mod journal;
mod keyed;
mod ledger;
pub mod log;
mod memtable;
#[cfg(feature = "simulation")]
pub mod mutation;
mod number;
mod outbox;
mod overflow;
mod piece;
mod progress;
mod recovery;
mod replacement;
mod room;
mod salvage;
pub mod savepoint;
pub mod snapshot;
mod store;
mod survey;
mod view;

pub use crate::event::bytes::Malformed;
pub use backend::{Changes, StateBackend, StateLimits};
pub use check::{CheckReport, check};
pub use checkpoint::{
    CHECKPOINT_VERSION, Checkpoint, Entry, KEY_LIMIT, NAME_LIMIT, PARTITION_LIMIT, POSITION_LIMIT,
    SINK_POSITION_LIMIT, VALUE_LIMIT,
};
pub use dead_letters::{
    Content, DeadLetter, DeadLetterLimits, DeadLetterLog, LetterBuffer, dead_letters_folder,
    read_dead_letters,
};
pub use error::{Remedy, StateError};
pub use journal::Frame;
pub use keyed::{KeyedState, STATE_KEY_HEAD, StateKey, Visit, VisitAll};
pub use ledger::Ledger;
pub use log::{RecordId, RecordKind, RecordPlace};
pub use memtable::Memtable;
pub use number::{
    ChunkNumber, Epoch, Incarnation, KeyGroup, NodeId, RowNumber, SegmentNumber, Sequence, ShapeHash,
};
pub use outbox::{Chunk, Refused};
pub use overflow::{Overflow, OverflowChanges};
pub use piece::{PIECE_BYTES, Piece};
pub use progress::{ChunkId, Node, Offset, Progress, SinkProgress, SourceProgress};
pub use recovery::{OnCorruption, OpenOptions, Recovery, Repair, is_aside, open, open_afresh, set_aside};
pub use store::{Checked, STORE_FILE, STORE_VERSION, Store, StoreMeta};
pub use survey::{NodeSurvey, Survey};
pub use view::StateView;

#[cfg(test)]
pub(in crate::state) mod tests;
