//! Triggers: when a window puts out what it has.
//!
//! `plan` is a trigger as it was written, `machine` runs it, `firing` is what a pane keeps of it and of what was put out,
//! `clock` is the clock that processing-time triggers go by.

mod clock;
mod firing;
mod machine;
mod plan;

pub use clock::Clock;
pub use firing::{Firing, Firings, Shown};
pub use machine::{Machine, Moment};
pub use plan::Trigger;
