//! Steps that change, choose or multiply events. One file a concept, one line in the registry each.

mod absence;
mod anomaly;
mod answers;
mod baseline;
mod changed;
mod deadband;
mod debounce;
mod dedupe;
mod event_time;
mod expected;
mod explode;
mod fields;
mod fill;
mod filter;
mod geofence;
mod hysteresis;
mod join;
mod lookup;
mod lua;
mod parse;
mod retain;
mod route;
mod sample;
mod spacing;
mod spans;
mod threshold;
mod throttle;
mod top_n;
mod zones;

#[cfg(test)]
mod tests;

use crate::dataflow::TransformSpec;

pub use filter::FilterPlan;

/// How many of [`TRANSFORMS`], its first ones, may stand together in one node.
pub const COMBINABLE: usize = 4;

/// The transform that has two inputs; `select` may stand beside it.
pub const JOIN: &str = "join";

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
    dedupe::DEDUPE,
    throttle::THROTTLE,
    sample::SAMPLE,
    changed::CHANGED,
    hysteresis::HYSTERESIS,
    debounce::DEBOUNCE,
    absence::ABSENCE,
    fill::FILL,
    top_n::TOP_N,
    join::SPEC,
    lookup::LOOKUP,
    geofence::GEOFENCE,
    anomaly::ANOMALY,
    lua::LUA,
];

/// Transforms of the language that this version does not have.
pub const LATER: &[&str] = &["pattern", "sql"];
