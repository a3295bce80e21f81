//! Nodes that keep something for each key, against oracles that are written down in the simplest way: random events out
//! of order, cut into batches at random, on one worker and on several.

mod fill;
mod forgetting;
mod harness;
mod history;
mod join;
mod restarting;
mod retimed;
mod silence;
mod top_n;
