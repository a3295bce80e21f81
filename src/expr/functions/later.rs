//! Names that are no functions here, but that people have reason to expect.

/// Aggregates: they take many events and stand in windows only.
pub const AGGREGATES: &[&str] = &[
    "any",
    "approx_distinct",
    "approx_quantile",
    "avg",
    "bool_and",
    "bool_or",
    "collect",
    "collect_distinct",
    "corr",
    "count",
    "delta",
    "first",
    "last",
    "max",
    "max_by",
    "median",
    "min",
    "min_by",
    "quantile",
    "rate",
    "slope",
    "stddev",
    "stddev_pop",
    "sum",
    "time_in",
    "time_weighted_avg",
    "top",
    "var_pop",
    "variance",
];

/// Functions that make events up.
pub const GENERATORS: &[&str] = &["pick", "random_walk", "sequence"];

/// Functions of the language that this version does not have.
pub const LATER: &[&str] = &["env_name", "h3"];
