//! From a plan to motion: workers that step.
//!
//! [`Pipeline::open`] opens sinks and sources and may fail; [`Pipeline::run`] starts one thread a worker and returns when
//! all input has ended or the pipeline was told to stop.

mod alignment;
mod checkpoint;
mod dead_letters;
mod driver;
mod exchange;
mod inlet;
mod inquiry;
mod instruments;
mod intake;
mod merge;
mod options;
mod outage;
mod patient;
mod pipeline;
mod refusals;
mod reins;
mod rejected;
mod returned;
mod start;
mod stats;
mod tables;
mod tap;
mod why;
mod worker;

pub use checkpoint::{
    CheckpointFigures, Coordinator, DURATION_BOUNDS, KeeperFigures, KeeperHandle, Keeping, Rehearsal,
    waits_between_workers,
};
pub use dead_letters::{DeadLetters, SharedDeadLetters};
pub use driver::Driver;
pub use exchange::WorkerId;
pub use inquiry::{Inquirer, WorkerView};
pub use instruments::Instruments;
pub use intake::{Intake, Step};
pub use merge::{Drained, Merge, MergeOrder};
pub use options::RunOptions;
pub use pipeline::{Found, Pipeline, Spilling, Steps};
pub use reins::Reins;
pub use rejected::RejectPort;
pub use start::{decoder, intake, start_driver};
pub use stats::{Counters, NodeCounts};
pub use tap::{Outlook, Taps};
pub use why::{Cause, Facts, Layout, NodeFacts, SourceFacts, kept_watermark, shown_span, shown_time};
pub use worker::{FLUSH_EVERY, Shared, Stepped};
