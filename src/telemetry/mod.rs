//! What is measured: the instruments, and how their readings are told.

mod instrument;
pub mod otlp;
mod prometheus;

pub use instrument::{
    BACKPRESSURED_RATIO, BUFFER_BYTES, BUSY_RATIO, CHECKPOINT_DURATION, DISCARDED_EVENTS, ERRORS,
    INSTRUMENTS, Instrument, Kind, LAG_EVENTS, LAST_EVENT_TIME, LATE_EVENTS, PLUGIN_BREACHES, PLUGIN_CALLS,
    PLUGIN_MEMORY, PLUGIN_TIME, RECEIVED_BYTES, RECEIVED_EVENTS, Reading, SENT_EVENTS, STATE_BYTES,
    STATE_WRITTEN_BYTES, Sample, Spread, UP, WATERMARK,
};
pub use prometheus::{MEDIA_TYPE, text};
