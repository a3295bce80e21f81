//! Event time as it comes with events: read from them, assigned to rows, and how far it has come.

mod assign;
mod reader;
mod tournament;
mod tracker;

pub use assign::{EventTime, TimeAssigner};
pub use reader::{
    BEYOND_CALENDAR, EARLIEST, LATEST, TimeForm, TimePattern, TimeReader, TimeUnit, parse_rfc3339,
};
pub use tournament::Tournament;
pub use tracker::{
    Hold, HolderView, KeyMark, LONGEST_POLL_GAP, Liveness, Partition, Progress, TOO_FAR_AHEAD, TrackerView,
    WatermarkTracker, WhenAllIdle, key_name, read_key_name,
};
