//! The floor under the main job: what a program costs that knows the job, validates nothing and does nothing
//! else. Headwater's figures are quoted as ratios to it.
//!
//! An input or output that fails ends the program: it measures, and half a measurement is none.

mod keys;
mod lines;
mod output;
mod scan;

pub use keys::Keys;
pub use lines::each_line;
pub use output::Output;
pub use scan::{fields, float, integer, unquote};
