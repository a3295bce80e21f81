//! PostgreSQL: how a connection is made, what its errors mean, and the thread that writes rows, each batch in one
//! transaction with the marker that goes with it.

mod asking;
mod connect;
mod job;
mod keeper;
mod lease;
mod options;
mod probe;
mod queue;
mod reason;
mod row;
mod server;
mod session;
mod statement;
mod table;

pub use asking::Asking;
pub use connect::connect;
pub use job::Job;
pub use keeper::start;
pub use options::{PASSWORD, URL, read_server};
pub use probe::probe;
pub use queue::Queue;
pub use server::Server;
pub use statement::Mode;
pub use table::quoted;
