//! The contracts between components and what drives them.

mod addressed;
mod beside;
mod buffer;
mod compute;
mod copy;
mod draft;
mod format;
pub mod formats;
mod framed;
mod history;
mod instance;
mod journal;
mod kept_row;
mod key_fields;
mod keyed_state;
mod keys;
mod operator;
mod order;
mod planning;
mod row_form;
mod saved;
mod scope;
mod shared;
mod sink;
mod source;
mod spec;
mod step;
mod template;
mod timers;
mod timing;
mod unique;
mod upkeep;

pub use addressed::{read_addressed, write_addressed};
pub use beside::beside;
pub use buffer::{Buffer, DELIVERY_OPTIONS, DrainOrder, WhenFull};
pub use compute::ComputePlan;
pub use copy::{Copier, Copies, whole_event};
pub use draft::{Decoding, DecodingId, Draft, Origin, StageDraft, StepDraft, is_hidden};
pub use format::FormatPlan;
pub use framed::Framed;
pub use history::{Gathered, calls_history};
pub use instance::Instance;
pub use journal::{FrameNumber, Journal, OnDurable};
pub use kept_row::{Keeper, KeptRow};
pub use key_fields::{KeyField, key_names};
pub use keyed_state::KeyedState;
pub use keys::{KeyEntry, KeyId, KeyReader, Keys};
pub use operator::{MAIN, Operator, Output, Port, Signal};
pub use order::Lateness;
pub use planning::{Listened, NodePlanner, Ports, TransformSpec};
pub use row_form::RowForm;
pub use saved::{KEYLESS, Saved, Saving, group_of, groups_of, is_own, own_worker, owner_of};
pub use scope::{Binding, Point, Scope, ScopeLayer};
pub use shared::{SharedSink, SinkId, SinkStatus};
pub use sink::{RefusedEvent, Sink, SinkError, SinkPlan, SinkSpec};
pub use source::{
    ByteSource, Handover, Offset, PlannedSource, Polled, Position, Refused, Replay, Resume, RowSource,
    SourceError, SourcePlan, SourceSpec,
};
pub use spec::{Chosen, ComponentSpec, OptionKind, OptionSpec, choose, choose_named, open_options};
pub use step::{Next, NodeId, StageId, StartContext, StepId, StepPlan, Target};
pub use template::{Check, MAX_RENDERED, Template};
pub use timers::Timers;
pub use timing::{TIMING_INSIDE, TIMING_OPTIONS, Timing, TimingPlace};
pub use unique::USUAL_WITHIN;
pub use upkeep::{Durable, Startup, UPKEEP_OPTIONS, USUAL_SYNC, Upkeep};
