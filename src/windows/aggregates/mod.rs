//! What a window computes. A file a family, one line each in [`ALL`].
//!
//! To add one: write its [`Fold`] and its [`AggregateSpec`], add it to [`ALL`]. The documentation, the planner's
//! checks and the tests of the documented examples follow from the registry.

mod budget;
mod collect;
mod column;
mod count;
mod distinct;
mod edges;
mod extremes;
mod moments;
mod quantile;
mod sum;

#[cfg(test)]
mod tests;

pub use budget::HELD_BYTES;
pub use column::{Accumulator, Arrival, Columns, Fold, PaneId};

use crate::event::{Reason, RejectKind, Slot, Value, nearest};

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
    /// A call with its result, for documentation and test.
    pub example: Example,
    /// Makes the states of all panes.
    pub make: fn(&Call, Setup) -> Box<dyn Accumulator>,
}

impl AggregateSpec {
    /// How it is called: `` `count(*)` or `count(x)` ``.
    pub fn signature(&self) -> String {
        let names: Vec<&str> = self.arguments.iter().map(|argument| argument.name).collect();
        let star = if self.star { format!("`{}(*)` or ", self.name) } else { String::new() };
        format!("{star}`{}({})`", self.name, names.join(", "))
    }
}

/// One argument of an aggregate.
#[derive(Debug)]
pub struct Argument {
    /// Its name in the documentation.
    pub name: &'static str,
    /// What may stand there.
    pub takes: Takes,
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
    /// A number known at plan time, within these limits (inclusive).
    Constant {
        /// The least.
        from: f64,
        /// The greatest.
        to: f64,
    },
}

/// The type of an aggregate's result, nulls aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultType {
    /// An integer.
    Integer,
    /// A float.
    Float,
    /// The type of the first argument; of integers and floats mixed, a number.
    Argument,
    /// A list.
    List,
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
}

impl Call {
    /// The slot of the first argument; the planner gives each aggregate the arguments of its specification.
    fn slot(&self) -> Slot {
        self.slots.first().copied().unwrap_or(Slot(0))
    }
}

/// What the states of an aggregate are made for.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The most panes that one result combines.
    pub parts: usize,
    /// Where hashes start from.
    pub seed: u64,
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
    &moments::STDDEV,
    &moments::VARIANCE,
    &moments::STDDEV_POP,
    &moments::VAR_POP,
    &quantile::MEDIAN,
    &quantile::QUANTILE,
    &collect::COLLECT,
    &collect::COLLECT_DISTINCT,
];

/// Aggregates of the language that this version does not have.
pub const LATER: &[&str] = &[
    "approx_distinct",
    "approx_quantile",
    "bool_and",
    "bool_or",
    "corr",
    "delta",
    "max_by",
    "min_by",
    "rate",
    "slope",
    "time_in",
    "time_weighted_avg",
    "top",
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

/// An event that `name` cannot take for its value's kind.
fn refusal(name: &'static str, value: Value) -> Reason {
    Reason::new(RejectKind::Aggregate, format!("{name}: takes numbers, not {}", value.kind().name()))
}

/// An event with which `name` would leave the range of its type.
fn overflow(name: &'static str, what: &'static str) -> Reason {
    Reason::new(RejectKind::Aggregate, format!("{name}: {what} overflow"))
}
