//! What a window computes. A file a family, one line each in [`ALL`].
//!
//! To add one: write its [`Fold`] and its [`AggregateSpec`], add it to [`ALL`]. The documentation, the planner's
//! checks and the tests of the documented examples follow from the registry.

mod approx_distinct;
mod approx_quantile;
mod budget;
mod by;
mod collect;
mod column;
mod count;
mod custom;
mod delta;
mod distinct;
mod edges;
mod extremes;
mod lasting;
mod lines;
mod logic;
mod moments;
mod near;
mod quantile;
mod scripted;
mod sum;
mod timeline;
mod top;

#[cfg(test)]
mod tests;

pub use budget::HELD_BYTES;
pub use column::{Accumulator, Arrival, Columns, Fold, Frame, PaneId, Settled};
pub use custom::{CUSTOM, CustomAggregate, Own};
pub use near::{Near, events, is_canonical};
pub use scripted::PluginAggregate;

use crate::event::{Reason, RejectKind, Slot, Value, nearest};
use crate::time::Millis;

/// An aggregate as users and the planner know it.
#[derive(Debug)]
pub struct AggregateSpec {
    /// The name it is called by, in lower case.
    pub name: &'static str,
    /// One line of documentation.
    pub summary: &'static str,
    /// What it takes, in order.
    pub arguments: &'static [Argument],
    /// Whether `name(*)` is a call too, without arguments.
    pub star: bool,
    /// What `name(DISTINCT x)` is, where it is anything.
    pub distinct: Option<&'static AggregateSpec>,
    /// What it gives. Without values it gives null, `count` 0.
    pub result: ResultType,
    /// Whether partial results have a fixed size and combine in constant time, so that sliding windows may
    /// keep combinations of slices. (All can be combined somehow: sessions merge.)
    pub mergeable: bool,
    /// Whether it follows a key through time: a window starts with what the key had before it. Every value is kept as
    /// long as a window needs it.
    pub carries: bool,
    /// A call with its result, for documentation and test.
    pub example: Example,
    /// Makes the states of all panes.
    pub make: fn(&Call, Setup) -> Box<dyn Accumulator>,
}

impl AggregateSpec {
    /// How it is called: `` `count(*)` or `count(x)` ``.
    pub fn signature(&self) -> String {
        let written = |(i, argument): (usize, &Argument)| match (i, argument.optional) {
            (0, _) => argument.name.to_owned(),
            (_, false) => format!(", {}", argument.name),
            (_, true) => format!("[, {}]", argument.name),
        };
        let names: String = self.arguments.iter().enumerate().map(written).collect();
        let star = if self.star { format!("`{}(*)` or ", self.name) } else { String::new() };
        format!("{star}`{}({names})`", self.name)
    }
}

/// One argument of an aggregate.
#[derive(Debug)]
pub struct Argument {
    /// Its name in the documentation.
    pub name: &'static str,
    /// What may stand there.
    pub takes: Takes,
    /// Whether it may be left out; only constants behind all others may.
    pub optional: bool,
}

impl Argument {
    /// One that must be given.
    pub const fn required(name: &'static str, takes: Takes) -> Argument {
        Argument { name, takes, optional: false }
    }

    /// One that may be left out.
    pub const fn optional(name: &'static str, takes: Takes) -> Argument {
        Argument { name, takes, optional: true }
    }
}

/// What may stand for an argument. Whatever is not known at plan time is checked for each event, and an event with
/// another value is rejected; null is always allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// An expression of any type.
    Any,
    /// An expression that gives numbers.
    Numbers,
    /// An expression that gives numbers, text, timestamps or booleans, not mixed.
    Ordered,
    /// An expression that gives true or false.
    Booleans,
    /// A number known at plan time, within these limits (inclusive).
    Constant {
        /// The least.
        from: f64,
        /// The greatest.
        to: f64,
    },
    /// A whole number known at plan time, within these limits (inclusive).
    Whole {
        /// The least.
        from: u32,
        /// The greatest.
        to: u32,
    },
}

/// The type of an aggregate's result, nulls aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultType {
    /// An integer.
    Integer,
    /// A float.
    Float,
    /// An integer or a float.
    Number,
    /// The type of the first argument; of integers and floats mixed, a number.
    Argument,
    /// A list.
    List,
    /// Whatever it is.
    Any,
}

/// A documented call: the values of `x` in order of arrival as a JSON list, and the JSON result.
#[derive(Debug)]
pub struct Example {
    /// The call, over a field `x`.
    pub call: &'static str,
    /// The values of `x`.
    pub values: &'static str,
    /// What the call gives.
    pub result: &'static str,
}

/// The arguments of one call.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Where the arguments that are expressions stand in the input, in order.
    pub slots: Vec<Slot>,
    /// The arguments that are constants, in order.
    pub constants: Vec<f64>,
    /// The plugin's aggregate, if it is one.
    pub own: Option<Own>,
}

impl Call {
    /// The slot of the first argument; the planner gives each aggregate the arguments of its specification.
    fn slot(&self) -> Slot {
        self.slots.first().copied().unwrap_or(Slot(0))
    }

    /// The slots of the first two arguments.
    fn two_slots(&self) -> [Slot; 2] {
        [self.slot(), self.slots.get(1).copied().unwrap_or(self.slot())]
    }
}

/// What the states of an aggregate are made for.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The most panes that one result combines.
    pub parts: usize,
    /// Where hashes start from.
    pub seed: u64,
    /// How old what a window starts with may be at its start; None: windows start with nothing.
    pub carry: Option<Millis>,
}

/// All aggregates, in the order of their documentation.
pub const ALL: &[&AggregateSpec] = &[
    &count::COUNT,
    &sum::SUM,
    &moments::AVG,
    &extremes::MIN,
    &extremes::MAX,
    &edges::FIRST,
    &edges::LAST,
    &edges::ANY,
    &by::MIN_BY,
    &by::MAX_BY,
    &moments::STDDEV,
    &moments::VARIANCE,
    &moments::STDDEV_POP,
    &moments::VAR_POP,
    &quantile::MEDIAN,
    &quantile::QUANTILE,
    &approx_quantile::APPROX_QUANTILE,
    &approx_distinct::APPROX_DISTINCT,
    &collect::COLLECT,
    &collect::COLLECT_DISTINCT,
    &top::TOP,
    &logic::BOOL_AND,
    &logic::BOOL_OR,
    &lines::CORR,
    &lines::SLOPE,
    &delta::DELTA,
    &delta::RATE,
    &lasting::TIME_IN,
    &lasting::TIME_WEIGHTED_AVG,
];

/// The aggregate of this name, whatever its case.
pub fn find(name: &str) -> Option<&'static AggregateSpec> {
    ALL.iter().find(|spec| spec.name.eq_ignore_ascii_case(name)).copied()
}

/// The aggregate that a person who wrote this name probably meant.
pub fn suggest(name: &str) -> Option<&'static str> {
    nearest(name, ALL.iter().map(|spec| spec.name))
}

/// The number in a cell; `None` for null.
fn number(name: &'static str, value: Value) -> Result<Option<f64>, Reason> {
    match value.as_number() {
        None if value.is_null() => Ok(None),
        None => Err(refusal(name, value)),
        number => Ok(number),
    }
}

/// A float as a cell. Events that would lead beyond its range are rejected, with one exception: where parts of a window
/// cancel each other out as a whole, at some 10^308, a part can overflow unseen, and the result is null.
fn finite(float: f64) -> Value {
    if float.is_finite() { Value::float(float) } else { Value::NULL }
}

/// The truth in a cell; `None` for null.
fn truth(name: &'static str, value: Value) -> Result<Option<bool>, Reason> {
    match value.as_bool() {
        None if !value.is_null() => {
            let text = format!("{name}: takes true or false, not {}", value.kind().name());
            Err(Reason::new(RejectKind::Aggregate, text))
        }
        truth => Ok(truth),
    }
}

/// An event that `name` cannot take for its value's kind.
fn refusal(name: &'static str, value: Value) -> Reason {
    Reason::new(RejectKind::Aggregate, format!("{name}: takes numbers, not {}", value.kind().name()))
}

/// An event with which `name` would leave the range of its type.
fn overflow(name: &'static str, what: &'static str) -> Reason {
    Reason::new(RejectKind::Aggregate, format!("{name}: {what} overflow"))
}
