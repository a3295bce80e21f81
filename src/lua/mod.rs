//! Lua for plugins: an interpreter in a sandbox, with a budget for every call.
//!
//! A [`Machine`] is one interpreter: one [`Script`] at one place on one worker. Nothing is shared between machines, so
//! no script can touch another. What a script may use of memory, instructions and time is its [`Budget`]; what goes
//! wrong is a [`LuaFault`]. This module knows nothing of expressions, pipelines or state: functions for scripts come in
//! as [`Helper`]s, values of other kinds through [`Setup::install`].

mod budget;
mod fault;
pub mod fields;
mod helper;
mod machine;
mod mask;
mod meter;
mod sandbox;
mod script;
mod usage;
mod watch;

pub use budget::Budget;
pub use fault::{FaultKind, LuaFault};
pub use helper::Helper;
pub use machine::{Machine, Setup};
pub use mask::Mask;
pub use script::{MAX_SCRIPT, Script, ScriptError};
pub use usage::{Usage, Used};
pub use watch::{LoadedFile, Watch};
