//! Aggregates that are written elsewhere: by plugins.

use super::column::Accumulator;
use super::{AggregateSpec, Argument, Call, Example, ResultType, Takes};
use crate::event::Slot;
use std::fmt;
use std::sync::Arc;

/// An aggregate that a plugin brings along, as data that plans share.
pub trait CustomAggregate: fmt::Debug + Send + Sync {
    /// The name it is called by, in lower case.
    fn name(&self) -> &str;

    /// Where it comes from, for people.
    fn origin(&self) -> &str;

    /// Whether two of its states can become one.
    fn merges(&self) -> bool;

    /// Makes the states of all panes. Arguments stand in these slots.
    fn start(&self, arguments: &[Slot]) -> Box<dyn Accumulator>;
}

/// An aggregate of a plugin in a plan.
#[derive(Clone, Debug)]
pub struct Own {
    /// Which one.
    pub aggregate: Arc<dyn CustomAggregate>,
    /// Where it is put into a pane's row why there is no result; null if there is one.
    pub failed: Slot,
}

/// What stands in a plan for all of them: [`Call::own`] says which one it is. Of what it does nothing is known, so its
/// partial results are never kept combined.
pub static CUSTOM: AggregateSpec = AggregateSpec {
    name: "plugin",
    summary: "an aggregate of a plugin",
    arguments: &[Argument::optional("x", Takes::Any)],
    star: false,
    distinct: None,
    result: ResultType::Any,
    mergeable: false,
    carries: false,
    example: Example { call: "", values: "", result: "" },
    make: |call, _| match &call.own {
        Some(own) => own.aggregate.start(&call.slots),
        // No plan has it without.
        None => (super::count::COUNT.make)(&Call::default(), super::Setup { parts: 1, seed: 0, carry: None }),
    },
};
