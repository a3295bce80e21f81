//! Text to located documents, with every fault at its place.
//!
//! A file's text ([`SourceFile`]) becomes a tree of [`Node`]s that know where they stand (`yaml`),
//! substitutions are done in its scalars (`substitute`), its structure is read ([`read_pipeline`]), and what
//! its parts mean is read by type ([`Section`], [`read`]). Nothing stops at the first fault: readers report
//! to [`Faults`] and go on, and [`Faults::has_errors`] decides in the end.

mod declaration;
mod delivery;
mod diagnostic;
mod environment;
mod name;
mod node;
mod params;
mod pipeline;
mod process;
pub mod read;
mod render;
mod secrets;
mod section;
mod source;
mod state_ttl;
mod substitute;
pub mod units;
mod within;
mod yaml;

pub use declaration::{Declaration, Input, Role, SIDES};
pub use delivery::{CHECKPOINT, CHECKPOINT_OPTIONS, CHECKPOINTS, Checkpointing, Delivery};
pub use diagnostic::{Diagnostic, Faults, Reported, Severity, suggestion};
pub use environment::{Environment, FixedEnvironment, ProcessEnvironment};
pub use name::is_name;
pub use node::{Content, Entry, Meaning, Node, Style, Written};
pub use params::{Override, Param, ParamValue, unknown_override};
pub use pipeline::{
    PIPELINE_OPTIONS, PipelineFile, PipelineOptions, Surroundings, TOP_LEVEL, read_pipeline, read_tests,
};
pub use process::{
    AUTH, GUARD_IT, LIMITS, LISTEN, Limits, Listen, NOWHERE, PROCESS, ProcessFile, S3, S3Target, SNAPSHOTS,
    Serving, SnapshotTarget, Snapshots, TELEMETRY, TLS, Telemetry, Tokens, is_instance, read_process,
};
pub use read::Snippet;
pub use secrets::Secrets;
pub use section::{Keys, Section, Setting};
pub use source::{MAX_FILE_BYTES, Mark, Place, SourceFile};
pub use state_ttl::StateTtl;
pub use yaml::parse;
