//! Everything that is in the registries, in the order in which it is documented.

use crate::config::Role;
use crate::dataflow::formats::{FORMATS, PARSERS};
use crate::dataflow::{ComponentSpec, OptionSpec, UPKEEP_OPTIONS, beside};
use crate::expr::Functions;
use crate::expr::functions::{Body, FunctionSpec, HISTORY_VALUES, PANE, PaneFunction};
use crate::sinks::SINKS;
use crate::sources::{GENERATE_FUNCTIONS, SOURCES};
use crate::tables::TABLES;
use crate::transforms::{JOIN, TRANSFORMS};
use crate::windows::WINDOWS;
use crate::windows::aggregates::{self, AggregateSpec, Argument, Takes};
use std::iter::once;

/// The components of a role.
pub struct Shelf {
    /// What they are for.
    pub role: Role,
    /// What several of them are called.
    pub title: &'static str,
    /// The components.
    pub components: Vec<&'static ComponentSpec>,
}

impl Shelf {
    /// What may stand beside a component of this role.
    pub fn beside(&self) -> &'static [OptionSpec] {
        beside(self.role)
    }
}

/// All components, by role.
pub fn shelves() -> [Shelf; 6] {
    let formats = FORMATS.iter().chain(PARSERS).map(|format| format.spec);
    let shelf = |role, title, components| Shelf { role, title, components };
    [
        shelf(Role::Source, "sources", SOURCES.iter().map(|source| source.spec).collect()),
        shelf(Role::Transform, "transforms", TRANSFORMS.iter().map(|transform| transform.spec).collect()),
        shelf(Role::Window, "windows", WINDOWS.iter().map(|window| window.spec).collect()),
        shelf(Role::Sink, "sinks", SINKS.iter().map(|sink| sink.spec).collect()),
        shelf(Role::Table, "tables", TABLES.iter().map(|table| table.spec).collect()),
        shelf(Role::Format, "formats", formats.collect()),
    ]
}

/// What may stand beside a component: what its role allows and it does not exclude.
pub fn beside_of(spec: &ComponentSpec) -> Vec<&'static OptionSpec> {
    let excluded = excluded(spec);
    beside(spec.role).iter().filter(|option| !excluded.contains(&option.name)).collect()
}

/// What cannot stand beside a component though its role allows it.
pub fn excluded(spec: &ComponentSpec) -> Vec<&'static str> {
    let mut excluded = Vec::new();
    let mut unless = |holds: bool, keys: &[&'static str]| {
        if !holds {
            excluded.extend_from_slice(keys);
        }
    };
    match spec.role {
        Role::Source => {
            let upkeep: Vec<&str> = UPKEEP_OPTIONS.iter().map(|option| option.name).collect();
            for source in SOURCES.iter().filter(|source| source.spec.name == spec.name) {
                unless(source.decodes, &["format"]);
                unless(source.connects, &upkeep);
            }
        }
        Role::Window => {
            for window in WINDOWS.iter().filter(|window| window.spec.name == spec.name) {
                unless(window.cut, &["offset", "timezone"]);
                unless(window.ends, &["allowed_lateness", "carry"]);
            }
        }
        Role::Sink => {
            for sink in SINKS.iter().filter(|sink| sink.spec.name == spec.name) {
                unless(sink.encodes, &["format", "delivery", "buffer", "retry"]);
            }
        }
        // It names its inputs itself, and only `select` may stand beside it.
        Role::Transform => {
            unless(spec.name != JOIN, &["from", "ordered", "state_ttl", "where", "set", "drop"]);
        }
        Role::Table => {
            for table in TABLES.iter().filter(|table| table.spec.name == spec.name) {
                unless(table.decodes, &["format"]);
            }
        }
        Role::Format => {}
    }
    excluded
}

/// All components of all roles.
pub fn components() -> Vec<&'static ComponentSpec> {
    shelves().into_iter().flat_map(|shelf| shelf.components).collect()
}

/// Something that an expression can call.
pub struct Callable {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub signature: String,
    /// What it takes.
    pub arguments: Vec<(&'static str, String)>,
    /// What it does.
    pub summary: String,
    /// Calls and what they give.
    pub examples: Vec<Example>,
}

/// A call and what it gives.
pub struct Example {
    /// The call.
    pub call: &'static str,
    /// The values of `x` in the events that it is about, as a JSON list; none for a function of one event.
    pub values: Option<&'static str>,
    /// What it gives, in JSON.
    pub result: &'static str,
}

/// Callables that are documented together.
pub struct FunctionGroup {
    /// The heading.
    pub name: &'static str,
    /// Functions by name, aggregates in the order of their registry.
    pub functions: Vec<Callable>,
}

/// What the group of aggregates is called.
pub const AGGREGATES: &str = "aggregates";

/// What the group of functions is called that ask about a window's pane.
pub const PANES: &str = "panes";

/// All that expressions can call, by group; the last group are the aggregates of windows.
pub fn function_groups() -> Vec<FunctionGroup> {
    let functions = Functions::standard().with(GENERATE_FUNCTIONS);
    let mut groups: Vec<FunctionGroup> = Vec::new();
    // They come by group and name.
    for function in functions.all() {
        let name = function.group.name();
        match groups.last_mut() {
            Some(group) if group.name == name => group.functions.push(of_function(function)),
            _ => groups.push(FunctionGroup { name, functions: vec![of_function(function)] }),
        }
    }
    let aggregates = aggregates::ALL.iter().map(|spec| of_aggregate(spec)).collect();
    groups.push(FunctionGroup { name: PANES, functions: PANE.iter().map(of_pane).collect() });
    groups.into_iter().chain(once(FunctionGroup { name: AGGREGATES, functions: aggregates })).collect()
}

fn of_pane(function: &'static PaneFunction) -> Callable {
    Callable {
        name: function.name,
        signature: format!("`{}()`", function.name),
        arguments: Vec::new(),
        summary: function.summary.to_owned(),
        examples: vec![Example { call: function.example, values: None, result: function.result }],
    }
}

fn of_function(spec: &'static FunctionSpec) -> Callable {
    let values = matches!(spec.body, Body::History(_)).then_some(HISTORY_VALUES);
    let example = |(call, result): &(&'static str, &'static str)| Example { call, values, result };
    Callable {
        name: spec.name,
        signature: format!("`{}`", spec.signature()),
        arguments: spec.args.iter().map(|arg| (arg.name, arg.ty.to_string())).collect(),
        summary: spec.summary.to_owned(),
        examples: spec.examples.iter().map(example).collect(),
    }
}

fn of_aggregate(spec: &'static AggregateSpec) -> Callable {
    let example = &spec.example;
    let example = Example { call: example.call, values: Some(example.values), result: example.result };
    Callable {
        name: spec.name,
        signature: spec.signature(),
        arguments: spec.arguments.iter().map(|argument| (argument.name, takes(argument))).collect(),
        summary: sentence(spec.summary),
        examples: vec![example],
    }
}

fn takes(argument: &Argument) -> String {
    match argument.takes {
        Takes::Any => "any".to_owned(),
        Takes::Numbers => "number".to_owned(),
        Takes::Ordered => "number, text, timestamp or boolean".to_owned(),
        Takes::Booleans => "boolean".to_owned(),
        Takes::Constant { from, to } => format!("constant from {from:.0} to {to:.0}"),
        Takes::Whole { from, to } => format!("whole constant from {from} to {to}"),
    }
}

/// The summaries of aggregates are phrases.
fn sentence(phrase: &str) -> String {
    let mut chars = phrase.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if phrase.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}
