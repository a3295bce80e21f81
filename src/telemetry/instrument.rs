//! The instruments, by the conventions of OpenTelemetry: names, units (UCUM) and what they mean.
//!
//! What tells readings of an instrument apart are pipelines, nodes and words of ours, never anything that comes with events:
//! so there are as many series as there are lines in the pipelines' files.

/// What is measured.
#[derive(Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Its name.
    pub name: &'static str,
    /// How readings behave.
    pub kind: Kind,
    /// `By`, `s`, `1`, or what is counted in braces.
    pub unit: &'static str,
    /// One sentence.
    pub about: &'static str,
}

/// How readings of an instrument behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow, from 0 at the start of the process.
    Counter,
    /// They come and go.
    Gauge,
    /// They are counted by size.
    Histogram,
}

/// A reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Of what.
    pub instrument: &'static Instrument,
    /// What tells it from others.
    pub attributes: Vec<(&'static str, String)>,
    /// What was read.
    pub reading: Reading,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A whole number.
    Whole(u64),
    /// Any number.
    Number(f64),
    /// Of a histogram.
    Spread(Spread),
}

/// How sizes are spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// The largest size of each class but the last, which has no end.
    pub bounds: &'static [f64],
    /// How many were in each class.
    pub counts: Vec<u64>,
    /// What all of them are together.
    pub sum: f64,
}

const fn instrument(name: &'static str, kind: Kind, unit: &'static str, about: &'static str) -> Instrument {
    Instrument { name, kind, unit, about }
}

use Kind::{Counter, Gauge, Histogram};

/// Of a pipeline: whether it runs.
pub static UP: Instrument =
    instrument("headwater.pipeline.up", Gauge, "1", "Whether the pipeline does what it is for: 1, or 0.");
/// Events that came into a node.
pub static RECEIVED_EVENTS: Instrument =
    instrument("headwater.component.received_events", Counter, "{event}", "Events that came in.");
/// Events that left a node.
pub static SENT_EVENTS: Instrument =
    instrument("headwater.component.sent_events", Counter, "{event}", "Events that left by the main port.");
/// Bytes that a source has read.
pub static RECEIVED_BYTES: Instrument =
    instrument("headwater.component.received_bytes", Counter, "By", "Bytes of input that a source has read.");
/// Events that a node has rejected.
pub static ERRORS: Instrument = instrument(
    "headwater.component.errors",
    Counter,
    "{event}",
    "Events that were rejected, by stage (receive, process, send) and kind of error.",
);
/// Events that a node has dropped.
pub static DISCARDED_EVENTS: Instrument = instrument(
    "headwater.component.discarded_events",
    Counter,
    "{event}",
    "Events that were dropped by intent, by reason.",
);
/// Events that came too late for a node.
pub static LATE_EVENTS: Instrument = instrument(
    "headwater.component.late_events",
    Counter,
    "{event}",
    "Events that came too late, whether dropped or given out by the late port.",
);
/// How far event time has come at a node.
pub static WATERMARK: Instrument = instrument(
    "headwater.component.watermark",
    Gauge,
    "s",
    "How far event time has come, since the Unix epoch; absent before the first event and behind the end.",
);
/// The latest event time of a source.
pub static LAST_EVENT_TIME: Instrument = instrument(
    "headwater.component.last_event_time",
    Gauge,
    "s",
    "The latest event time that a source has seen, since the Unix epoch.",
);
/// How much of the time a source's events are worked on.
pub static BUSY_RATIO: Instrument = instrument(
    "headwater.component.busy_ratio",
    Gauge,
    "1",
    "The share of their time that workers spend on a source and what follows from its events.",
);
/// How much of the time a source is not read because what is behind it takes nothing.
pub static BACKPRESSURED_RATIO: Instrument = instrument(
    "headwater.component.backpressured_ratio",
    Gauge,
    "1",
    "The share of their time that workers do not read a source because what is behind it takes nothing.",
);
/// What a source has not read.
pub static LAG_EVENTS: Instrument = instrument(
    "headwater.source.lag_events",
    Gauge,
    "{event}",
    "Events at the source's servers that were not read.",
);
/// What a script's interpreters hold.
pub static PLUGIN_MEMORY: Instrument =
    instrument("headwater.plugin.memory", Gauge, "By", "Bytes that the interpreters of a script hold.");
/// How long a script runs.
pub static PLUGIN_TIME: Instrument = instrument(
    "headwater.plugin.time",
    Counter,
    "s",
    "Time spent in a script, as one of eight calls says that is timed.",
);
/// How often a script is called.
pub static PLUGIN_CALLS: Instrument =
    instrument("headwater.plugin.calls", Counter, "{call}", "How often a script was called.");
/// How often a script goes over its budget.
pub static PLUGIN_BREACHES: Instrument = instrument(
    "headwater.plugin.breaches",
    Counter,
    "{breach}",
    "How often a script went over its budget of memory, instructions or time.",
);
/// How long checkpoints take.
pub static CHECKPOINT_DURATION: Instrument = instrument(
    "headwater.checkpoint.duration",
    Histogram,
    "s",
    "How long checkpoints took, from the request until they were durable.",
);
/// What state takes.
pub static STATE_BYTES: Instrument = instrument(
    "headwater.state.bytes",
    Gauge,
    "By",
    "Bytes that log and store of a pipeline took on the disk at the last checkpoint.",
);
/// What was written of state.
pub static STATE_WRITTEN_BYTES: Instrument = instrument(
    "headwater.state.written_bytes",
    Counter,
    "By",
    "Bytes that were written to the data directory for a pipeline.",
);
/// What waits for its delivery.
pub static BUFFER_BYTES: Instrument = instrument(
    "headwater.buffer.bytes",
    Gauge,
    "By",
    "Bytes of a sink's output that wait in the data directory for their delivery.",
);

/// All of them, in the order in which they are told.
pub static INSTRUMENTS: [&Instrument; 20] = [
    &UP,
    &RECEIVED_EVENTS,
    &SENT_EVENTS,
    &RECEIVED_BYTES,
    &ERRORS,
    &DISCARDED_EVENTS,
    &LATE_EVENTS,
    &WATERMARK,
    &LAST_EVENT_TIME,
    &BUSY_RATIO,
    &BACKPRESSURED_RATIO,
    &LAG_EVENTS,
    &PLUGIN_MEMORY,
    &PLUGIN_TIME,
    &PLUGIN_CALLS,
    &PLUGIN_BREACHES,
    &CHECKPOINT_DURATION,
    &STATE_BYTES,
    &STATE_WRITTEN_BYTES,
    &BUFFER_BYTES,
];
