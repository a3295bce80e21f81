//! The Kafka sink against a real broker: what it writes, what becomes of it when processes and brokers are killed, and
//! what it says. `DURABILITY_KILLS` says how often runs are killed (a few if it does not).

#[path = "../common/mod.rs"]
pub mod common;
#[path = "../common/servers/mod.rs"]
pub mod servers;
#[path = "../durability/victim.rs"]
pub mod victim;

mod doubt;
mod exactly;
mod fencing;
mod kills;
mod process;
mod refused;
mod secure;
mod slow;
mod writing;
