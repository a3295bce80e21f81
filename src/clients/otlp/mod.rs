//! What is measured and said, given to a collector by OTLP over HTTP.
//!
//! A thread of its own asks for readings on an interval and posts them; nothing waits for it. What it cannot get rid of is
//! read anew later (readings are whole since the start) or waits in a queue with a limit.

mod exporter;
mod route;
mod settings;

pub use exporter::{Exporter, Readings};
pub use settings::{Gathering, Settings, Target};
