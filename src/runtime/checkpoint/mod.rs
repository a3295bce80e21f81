//! Checkpoints: how state, offsets and output become durable together.
//!
//! **The cut.** Every so often the [`Coordinator`] asks for a checkpoint. Each worker stops reading between two batches, lets
//! what is under way between workers arrive (as often as there are exchanges), and then saves what changed: state by key,
//! how far it has read. The last one to have done so cuts the output of sinks that hold it back, and all go on. So a
//! checkpoint is a cut through the pipeline at which no row is under way, and barriers that travel with the rows, as
//! Flink has them, are not needed: with a few threads of one process stopping is cheaper than aligning.
//!
//! **The commit.** While events flow again, the coordinator makes sinks secure what they were given, and commits all of it
//! as one record of the log with one sync. Only then are senders told, is held output delivered, and does the next
//! checkpoint begin. Where nothing has changed, nothing is written. Where the disk fails or is full, sources are held
//! back and the same commit is tried again; nothing that was gathered is lost.

mod ages;
mod barrier;
mod bell;
mod coordinator;
mod delivery;
mod frames;
mod handle;
mod ids;
mod load;
mod marked;
mod marking;
mod outlet;
mod part;
mod queue;
mod refusing;
mod rehearsal;
mod room;

pub use barrier::Barrier;
pub use bell::Bell;
pub use coordinator::{Coordinating, Coordinator, Keeping};
pub use delivery::Delivery;
pub use frames::{JournalFeed, ONLY};
pub use handle::{CheckpointFigures, DURATION_BOUNDS, KeeperFigures, KeeperHandle};
pub use ids::{StateIds, match_node, match_nodes, waits_between_workers};
pub use load::{Loading, Origins, surplus, workers_before};
pub use outlet::{Outlet, OutletOptions};
pub use part::{Part, Reached};
pub use refusing::ReturnWay;
pub use rehearsal::Rehearsal;
