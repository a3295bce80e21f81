//! What `state` and `savepoint` take.

use clap::{Args, Subcommand, ValueHint};
use std::path::PathBuf;

/// What to do with savepoints.
#[derive(Debug, Subcommand)]
pub enum SavepointVerb {
    /// Writes the state of a pipeline to a file, also while it runs
    Create {
        /// The pipeline's name
        #[arg(value_name = "PIPELINE")]
        pipeline: String,
        /// The file; there must be none of this name
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Makes a savepoint the state of a pipeline, in a data directory that may be new
    Restore {
        /// The savepoint
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The pipeline that goes on from it; absent: the one of which it was taken
        #[arg(value_name = "PIPELINE")]
        pipeline: Option<String>,
        /// Puts it in the place of state that is there, which is lost
        #[arg(long)]
        replace: bool,
    },
    /// Verifies savepoints and says what is in them
    List {
        /// A savepoint, or a directory of them
        #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
        path: PathBuf,
    },
}

/// What to do with state.
#[derive(Debug, Subcommand)]
pub enum StateVerb {
    /// Says what is kept: epochs, nodes with their keys and bytes, positions, output that waits, files
    List(Chosen),
    /// Shows keys of a node with their values
    Get {
        /// The pipeline's name
        #[arg(value_name = "PIPELINE")]
        pipeline: String,
        /// The node, as `state list` calls it
        #[arg(value_name = "NODE")]
        node: String,
        /// The fields of the key as JSON, or text; fewer than it has: all keys that begin so
        #[arg(value_name = "FIELD")]
        key: Vec<String>,
    },
    /// Prints every key with its value, a JSON object a line
    Export {
        /// The pipeline's name
        #[arg(value_name = "PIPELINE")]
        pipeline: String,
    },
    /// Reads and verifies all of it, where no process runs every byte; status 1 if something is wrong. Mends nothing
    Check(Chosen),
    /// Sets aside what is corrupt, as a start would, and says what is lost; where no process runs
    Repair(Chosen),
    /// Gives room that is no longer needed back to the disk
    Compact(Chosen),
}

/// Which pipelines.
#[derive(Debug, Args)]
pub struct Chosen {
    /// The pipeline's name; absent: all
    #[arg(value_name = "PIPELINE")]
    pub pipeline: Option<String>,
}
