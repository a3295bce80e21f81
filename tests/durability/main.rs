//! The built binary, killed by `kill -9` at random moments and started again, on real files and against a real broker:
//! what comes out in the end is what comes out of an undisturbed run. `DURABILITY_KILLS` says how often each case is
//! killed (`make durability N=200`).

#[path = "../common/mod.rs"]
pub mod common;

#[path = "../mqtt/broker.rs"]
pub mod broker;
#[path = "../mqtt/process.rs"]
pub mod process;

mod elsewhere;
mod files;
mod full;
mod graceful;
mod idle;
mod mqtt;
mod victim;
