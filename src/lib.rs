//! Headwater: an edge stream processor.
//!
//! YAML text becomes a located document (`config`), the document becomes a plan (`plan`: pure data), the plan
//! becomes workers that step (`runtime`). Modules are layered, and a layer imports only lower ones:
//!
//! | layer | modules | what |
//! | --- | --- | --- |
//! | 6 | `cli` | the command line |
//! | 5 | `plan`, `runtime`, `server` | document → plan; plan → motion |
//! | 4 | `sources`, `tables`, `transforms`, `windows`, `sinks` | components, a file each |
//! | 3 | `clients` | clients of servers, shared by sources and sinks |
//! | 2 | `dataflow` | the contracts: operator, source, sink |
//! | 1 | `config`, `expr`, `formats`, `lua`, `state`, `telemetry`, `watermark` | text to meaning, bytes to rows, what survives, what is measured, event time; none imports another |
//! | 0 | `event`, `time` | what flows, and when |
//!
//! Start reading at [`event::Batch`], then [`dataflow::Operator`].

pub mod cli;
pub mod clients;
pub mod config;
pub mod dataflow;
pub mod event;
pub mod expr;
pub mod formats;
pub mod lua;
pub mod plan;
pub mod runtime;
pub mod server;
pub mod sinks;
pub mod sources;
pub mod state;
pub mod tables;
pub mod telemetry;
pub mod time;
pub mod transforms;
pub mod watermark;
pub mod windows;
