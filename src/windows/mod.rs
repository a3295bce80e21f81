//! Event-time windows and their aggregates: one operator for all kinds.
//!
//! An event is assigned to windows, each (key, window) is a pane, a pane holds a state for each aggregate, and the
//! watermark makes panes fire. The semantics are those of the Dataflow model (Akidau et al., VLDB 2015).
//!
//! Start reading at [`WindowOperator`]; the kinds are in `fixed`, `slices`, `cumulate`, `session` and
//! `count`. What they
//! share, from the inside out: `aggregates` (states by pane), `panes` (with their aggregates), `timers` (when panes
//! are due), `keyed` (panes by key), `cold` (those
//! that memory has no room for), `queue` (slices that are combined), `emitter` (rows that leave),
//! `stored` and `shape` (what survives a restart).

pub mod aggregates;
mod assigner;
mod cold;
mod count;
mod cumulate;
mod cumulation;
mod emitter;
mod explain;
mod extent;
mod fixed;
mod idle;
mod keyed;
mod kinds;
mod marks;
mod merging;
mod operator;
mod panel;
mod panes;
mod placement;
mod plan;
mod queue;
mod refusal;
mod session;
mod shape;
mod slices;
mod step;
mod stored;
mod timers;
mod triggered;
pub mod triggers;

pub use kinds::{WINDOWS, WindowSpec};
pub use operator::WindowOperator;
pub use plan::{
    Accumulation, Aggregate, CARRY, FiringPlan, Gap, Grid, LATE, LateOutput, MAX_OVERLAP, PANES, PaneOutput,
    WindowKind, WindowPlan,
};
pub use refusal::RefusalPlan;
pub use step::WindowStep;
