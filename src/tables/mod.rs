//! Rows that events are looked up in. One file a kind, one line in the registry each.

mod file;
mod http;
mod postgres;
mod stated;

use crate::dataflow::TableSpec;

pub use stated::Stated;

/// All kinds of table.
pub const TABLES: &[TableSpec] = &[file::FILE, http::HTTP, postgres::POSTGRES];

/// Kinds of the language that this version does not have.
pub const LATER: &[&str] = &[];
