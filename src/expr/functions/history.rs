//! Keyed history: functions of a key's events so far.
//!
//! A program over a batch knows nothing of earlier events, so a step before it computes them: see
//! `crate::dataflow::history`.

use super::spec::{Arg, Body, FunctionSpec, Group, History, Returns, arg, optional};
use crate::expr::types::Type;

const X: &[Arg] = &[arg("x", Type::ANY)];
const NUMBER: &[Arg] = &[arg("x", Type::NUMBER)];
const ORDERED: &[Arg] = &[arg("x", Type::SCALAR)];

const fn new(name: &'static str, args: &'static [Arg], returns: Returns, history: History) -> FunctionSpec {
    FunctionSpec::new(Group::History, name, args, returns, Body::History(history)).with_nulls().volatile()
}

/// The values of `x` in the events of one key `k`, one behind the other, for which examples give theirs.
pub const EXAMPLE_VALUES: &str = "[3, 5, null, 4, 4]";

/// The functions of this group. The results of an example are those for the events with [`EXAMPLE_VALUES`].
pub const FUNCTIONS: &[FunctionSpec] = &[
    new("previous", &[arg("x", Type::ANY), optional("n", Type::INT)], Returns::AsFirst, History::Previous)
        .doc(
            "The value that `x` had in the key's previous event, or `n` events ago (1 to 10000, a constant, default \
             1); null where there was none.",
            &[
                ("previous(x) OVER (PARTITION BY k)", "[null,3,5,null,4]"),
                ("previous(x, 2) OVER (PARTITION BY k)", "[null,null,3,5,null]"),
            ],
        ),
    new("delta", NUMBER, Returns::AsFirst, History::Delta).doc(
        "By how much `x` has changed since the key's last value of it; null for the first, and for null, which is \
         skipped.",
        &[("delta(x) OVER (PARTITION BY k)", "[null,2,null,-1,0]")],
    ),
    new("had_changed", X, Returns::Is(Type::BOOL), History::HadChanged).doc(
        "Whether `x` is another than in the key's previous event, as `x IS DISTINCT FROM previous(x)`; a first value \
         is a change.",
        &[("had_changed(x) OVER (PARTITION BY k)", "[true,true,true,true,false]")],
    ),
    new("running_sum", NUMBER, Returns::AsFirst, History::RunningSum).doc(
        "The sum of the key's values so far: an integer of integers, a float as soon as one is. Nulls are skipped; \
         null before the first value.",
        &[("running_sum(x) OVER (PARTITION BY k)", "[3,8,8,12,16]")],
    ),
    new("running_count", &[], Returns::Is(Type::INT), History::RunningCount).doc(
        "The number of the key's events so far, this one included.",
        &[("running_count() OVER (PARTITION BY k)", "[1,2,3,4,5]")],
    ),
    new("running_min", ORDERED, Returns::AsFirst, History::RunningMin).doc(
        "The least of the key's values so far. Nulls are skipped.",
        &[("running_min(x) OVER (PARTITION BY k)", "[3,3,3,3,3]")],
    ),
    new("running_max", ORDERED, Returns::AsFirst, History::RunningMax).doc(
        "The greatest of the key's values so far. Nulls are skipped.",
        &[("running_max(x) OVER (PARTITION BY k)", "[3,5,5,5,5]")],
    ),
    new(
        "running_avg",
        &[arg("x", Type::NUMBER), arg("n", Type::INT)],
        Returns::Is(Type::FLOAT),
        History::RunningAvg,
    )
    .doc(
        "The mean of the key's last `n` values (1 to 10000, a constant), a float. Nulls are skipped and not counted; \
         null before the first value.",
        &[("running_avg(x, 2) OVER (PARTITION BY k)", "[3.0,4.0,4.0,4.5,4.0]")],
    ),
];
