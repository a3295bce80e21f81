//! The contracts between components and what drives them.

mod addressed;
mod ages;
mod arrival;
mod batching;
mod beside;
mod buffer;
mod cold;
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
mod key_text;
mod keyed_state;
mod keys;
mod marker;
mod operator;
mod order;
mod own_watermark;
mod planning;
pub mod plugin;
mod present;
mod push;
mod retry;
mod row_form;
mod saved;
mod scope;
mod shared;
mod sides;
mod sink;
mod source;
mod spec;
mod step;
mod table;
mod template;
mod timers;
mod timing;
mod unique;
mod upkeep;

pub use addressed::{read_addressed, write_addressed};
pub use ages::Ages;
pub use arrival::{UnderWay, await_arrival};
pub use batching::{BATCH, Batching};
pub use beside::beside;
pub use buffer::{Buffer, DELIVERY_OPTIONS, DrainOrder, WhenFull};
pub use cold::{ColdKeys, ColdTable, Due, Pressure, Room, Standing, ordered};
pub use compute::ComputePlan;
pub use copy::{Copier, Copies, whole_event};
pub use draft::{Decoding, DecodingId, Draft, Origin, StageDraft, StepDraft, is_hidden};
pub use format::FormatPlan;
pub use framed::Framed;
pub use history::{Gathered, calls_history};
pub use instance::Instance;
pub use journal::{FrameNumber, Journal, OnAppend, OnDurable};
pub use kept_row::{Keeper, KeptRow};
pub use key_fields::{KeyField, key_names};
pub use key_text::{key_fields_text, key_text};
pub use keyed_state::{Codec, KeyedState};
pub use keys::{KeyEntry, KeyId, KeyReader, Keys};
pub use marker::{Marked, Marker, OnDoubt};
pub use operator::{Awaits, MAIN, OpenPane, Operator, Output, Port, Signal};
pub use order::Lateness;
pub use own_watermark::Partitioned;
pub use planning::{Listened, NodePlanner, Ports, TransformSpec};
pub use push::{PushSource, Pushed, Receiver, set_all, text_at};
pub use retry::{RETRY_OPTION, Retry};
pub use row_form::RowForm;
pub use saved::{KEYLESS, Saved, Saving, group_of, groups_of, is_own, own_key, own_worker, owner_of};
pub use scope::{Binding, Point, Scope, ScopeLayer};
pub use shared::{SharedSink, SinkId, SinkStatus};
pub use sink::{RefusedEvent, Sink, SinkError, SinkPlan, SinkSpec, Syncing};
pub use source::{
    ByteSource, Handover, Offset, PlannedSource, Polled, Position, Probed, Refused, Replay, Resume,
    RowSource, SourceError, SourcePlan, SourceSpec,
};
pub use spec::{Chosen, ComponentSpec, OptionKind, OptionSpec, choose, choose_named, open_options};
pub use step::{Next, NodeId, StageId, StartContext, StepId, StepPlan, Target};
pub use table::{
    Address, Answer, AskedTable, MatchKey, OpenTable, SharedTable, TableDraft, TableHead, TableId,
    TableKeeper, TableLayout, TablePlan, TableRows, TableSpec, TableView, column_names, read_rows,
};
pub use template::{Check, Escape, MAX_RENDERED, Template};
pub use timers::Timers;
pub use timing::{Align, TIMING_INSIDE, TIMING_OPTIONS, Timing, TimingPlace};
pub use unique::USUAL_WITHIN;
pub use upkeep::{Durable, Startup, UPKEEP_OPTIONS, Upkeep};
