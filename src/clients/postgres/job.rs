//! What a connection has to do, as data.

use super::Server;
use super::statement::Mode;
use crate::dataflow::Batching;

/// What is to be written where, and how.
#[derive(Clone, Debug)]
pub struct Job {
    /// The server.
    pub server: Server,
    /// What the marker is kept under: `instance/pipeline/sink`.
    pub name: String,
    /// The table, quoted.
    pub table: String,
    /// How rows are written.
    pub mode: Mode,
    /// The columns that tell rows apart.
    pub key: Vec<String>,
    /// The columns of an event with their types in SQL, where they are known.
    pub columns: Option<Vec<(String, &'static str)>>,
    /// Whether the table is made if it is not there.
    pub creates: bool,
    /// How many rows go together.
    pub batching: Batching,
    /// Whether a marker is kept.
    pub exactly_once: bool,
}
