//! The functions that expressions can call: one registry, a file for each group.

mod bytes;
mod cached;
mod conditional;
mod context;
mod convert;
mod format;
pub mod geo;
mod hash;
mod history;
mod ids;
mod json;
mod later;
mod list;
mod map;
mod math;
mod pane;
mod parts;
mod pattern;
mod plugin;
mod round;
mod source;
mod spec;
mod strftime;
mod text;
mod time;

pub use cached::Cached;
pub(super) use context::{Buffers, check_depth, keep};
pub use context::{Context, Failure, MAX_VALUE_BYTES, NOT_FINITE, Outcome, check_length, finite};
pub use convert::{constant_text, parse_number, short, write_scalar};
pub use history::EXAMPLE_VALUES as HISTORY_VALUES;
pub use history::FUNCTIONS as HISTORY;
pub use later::{AGGREGATES, GENERATORS, LATER};
pub use pane::{PANE, PaneFunction};
pub use plugin::PluginFunction;
pub use spec::{
    Arg, Body, Count, Form, FunctionSpec, Group, History, Instance, Made, Make, Returns, arg, optional,
    repeated,
};

use std::collections::BTreeMap;
use std::sync::Arc;

/// All groups of functions that every expression can call.
const STANDARD: &[&[FunctionSpec]] = &[
    math::FUNCTIONS,
    text::FUNCTIONS,
    pattern::FUNCTIONS,
    parts::FUNCTIONS,
    time::FUNCTIONS,
    json::FUNCTIONS,
    list::FUNCTIONS,
    bytes::FUNCTIONS,
    hash::FUNCTIONS,
    ids::FUNCTIONS,
    geo::FUNCTIONS,
    conditional::FUNCTIONS,
    source::FUNCTIONS,
    history::FUNCTIONS,
];

/// Functions by name.
#[derive(Clone, Debug)]
pub struct Functions {
    by_name: BTreeMap<&'static str, &'static FunctionSpec>,
    plugins: BTreeMap<String, Arc<dyn PluginFunction>>,
}

impl Functions {
    /// The functions that every expression can call.
    pub fn standard() -> Functions {
        let all = STANDARD.iter().copied().flatten();
        let by_name = all.map(|function| (function.name, function)).collect();
        Functions { by_name, plugins: BTreeMap::new() }
    }

    /// These functions and further ones, which hide those of the same name.
    pub fn with(mut self, further: &'static [FunctionSpec]) -> Functions {
        self.by_name.extend(further.iter().map(|function| (function.name, function)));
        self
    }

    /// Adds a function of a plugin, whose name must not be taken.
    pub fn add(&mut self, function: Arc<dyn PluginFunction>) {
        self.plugins.insert(function.name().to_owned(), function);
    }

    /// A function of a plugin by its lower-case name.
    pub fn plugin(&self, name: &str) -> Option<&Arc<dyn PluginFunction>> {
        self.plugins.get(name)
    }

    /// The names of all functions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().copied().chain(self.plugins.keys().map(String::as_str))
    }

    /// A function of the registry by its lower-case name.
    pub fn get(&self, name: &str) -> Option<&'static FunctionSpec> {
        self.by_name.get(name).copied()
    }

    /// All functions of the registry, by group and name.
    pub fn all(&self) -> Vec<&'static FunctionSpec> {
        let mut all: Vec<_> = self.by_name.values().copied().collect();
        all.sort_by_key(|function| (function.group, function.name));
        all
    }
}
