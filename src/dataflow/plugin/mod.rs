//! Where plugins and the rest of a pipeline meet: what scripts register, and how it is called.
//!
//! A script is loaded once while planning, to learn what it registers (`register`). Each place that uses something of it
//! loads it anew, once a worker (`place`): machines are never shared, so what a script does at one place is not seen at
//! another. What lasts (states of panes) is kept outside as bytes (`packed`), so a machine can be thrown away at any time.

mod helpers;
mod packed;
mod place;
mod plugins;
mod register;
mod replacing;
mod scalar;
mod values;

pub use helpers::{helpers, place_in_scripts};
pub use packed::{pack, unpack};
pub use place::Place;
pub use plugins::{Plugins, report_line};
pub use register::{Plugin, RegisterKind, Registered, install, part};
pub use replacing::PluginWatch;
pub use scalar::PluginScalar;
pub use values::{from_lua, text_from_lua, to_lua};
