//! Triggers: when a window puts out what it has.
//!
//! `plan` is a trigger as it was written, `machine` runs it, `custom` is what plugins add, `firing` is what a pane keeps of it and of what was put out,
//! `clock` is the clock that processing-time triggers go by.

mod clock;
mod custom;
mod firing;
mod machine;
mod plan;
mod scripted;

pub use clock::Clock;
pub use custom::{Custom, CustomTrigger, Held, MAX_STATE, Running, Told, Verdict};
pub use firing::{Firing, Firings, Owed, Shown};
pub use machine::{Machine, Moment};
pub use plan::Trigger;
pub use scripted::PluginTrigger;
