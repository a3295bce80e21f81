//! Steps that change, choose or multiply events. One file a concept, one line in the registry each.

mod event_time;
mod explode;
mod fields;
mod filter;
mod parse;
mod route;

use crate::dataflow::TransformSpec;

pub use filter::FilterPlan;

/// How many of [`TRANSFORMS`], its first ones, may stand together in one node.
pub const COMBINABLE: usize = 4;

/// All transforms, in the order in which those that stand together run.
pub const TRANSFORMS: &[TransformSpec] = &[
    filter::WHERE,
    fields::SET,
    fields::SELECT,
    fields::DROP,
    event_time::EVENT_TIME,
    parse::PARSE,
    explode::EXPLODE,
    route::ROUTE,
];

/// Transforms of the language that this version does not have.
pub const LATER: &[&str] = &[
    "lua",
    "dedupe",
    "throttle",
    "sample",
    "changed",
    "absence",
    "hysteresis",
    "debounce",
    "fill",
    "top_n",
    "join",
    "lookup",
    "geofence",
    "anomaly",
    "pattern",
    "sql",
];
