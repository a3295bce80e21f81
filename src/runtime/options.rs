//! What a run is told beside its pipelines.

use crate::config::{Limits, Snapshots};
use std::path::PathBuf;

/// What a run is told beside its pipelines: plain data from the command line and `headwater.yaml`.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Where what must last is kept; None: in memory.
    pub data_dir: Option<PathBuf>,
    /// State of earlier runs is left behind.
    pub fresh: bool,
    /// State that is damaged ends the run, in place of being set aside.
    pub strict_recovery: bool,
    /// Where it is unknown whether output arrived, it is written again.
    pub accept_duplicates: bool,
    /// Where it is unknown whether output arrived, it is not written again.
    pub accept_gap: bool,
    /// Nodes whose state may be dropped where it no longer fits them.
    pub allow_dropped_state: Vec<String>,
    /// What may be used.
    pub limits: Limits,
    /// Copies of the state while it runs.
    pub snapshots: Option<Snapshots>,
}
