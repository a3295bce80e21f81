//! Nodes and formats as schemas.

use super::kinds::{component, is_enough, of, properties, reference};
use crate::cli::reference::catalog::excluded;
use crate::config::Role;
use crate::dataflow::formats::{FORMATS, FormatSpec, PARSERS};
use crate::dataflow::{ComponentSpec, beside};
use crate::sinks::SINKS;
use crate::sources::SOURCES;
use crate::tables::TABLES;
use crate::transforms::{COMBINABLE, JOIN, TRANSFORMS};
use crate::windows::WINDOWS;
use serde_json::{Map, Value, json};

/// A definition for each role of nodes, and for formats.
pub fn definitions() -> Map<String, Value> {
    let parsers: Vec<&FormatSpec> = FORMATS.iter().chain(PARSERS).collect();
    let defs = [
        ("source", source()),
        ("transform", transform()),
        ("window", window()),
        ("sink", sink()),
        ("table", table()),
        ("format", format(&FORMATS.iter().collect::<Vec<_>>())),
        ("parser", format(&parsers)),
    ];
    defs.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// A node with one of several components, and what may stand beside it.
fn node(role: Role, specs: &[&ComponentSpec], choice: Value) -> Value {
    let mut known = properties(beside(role));
    known.extend(specs.iter().map(|spec| (spec.name.to_owned(), component(spec))));
    let mut schema = json!({ "type": "object", "properties": known, "additionalProperties": false });
    let required = beside(role).iter().filter(|option| option.required).map(|option| option.name);
    schema["required"] = required.collect();
    schema["oneOf"] = choice;
    let without: Vec<(&str, Vec<&str>)> = specs.iter().map(|spec| (spec.name, excluded(spec))).collect();
    exclude(&mut schema, &without);
    schema
}

/// Says which keys cannot stand beside a component.
fn exclude(schema: &mut Value, without: &[(&str, Vec<&str>)]) {
    let excluded = without.iter().filter(|(_, keys)| !keys.is_empty()).map(|(name, keys)| {
        let keys: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
        ((*name).to_owned(), json!({ "properties": keys }))
    });
    let excluded: Map<String, Value> = excluded.collect();
    if !excluded.is_empty() {
        schema["dependentSchemas"] = Value::Object(excluded);
    }
}

/// Exactly one of the names.
fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    names.map(requires).collect()
}

fn requires(name: &str) -> Value {
    json!({ "required": [name] })
}

fn source() -> Value {
    let specs: Vec<&ComponentSpec> = SOURCES.iter().map(|source| source.spec).collect();
    node(Role::Source, &specs, one_of(specs.iter().map(|spec| spec.name)))
}

fn sink() -> Value {
    let specs: Vec<&ComponentSpec> = SINKS.iter().map(|sink| sink.spec).collect();
    node(Role::Sink, &specs, one_of(specs.iter().map(|spec| spec.name)))
}

fn table() -> Value {
    let specs: Vec<&ComponentSpec> = TABLES.iter().map(|table| table.spec).collect();
    let names = specs.iter().map(|spec| spec.name);
    node(Role::Table, &specs, one_of(names.chain(["from"])))
}

fn window() -> Value {
    let specs: Vec<&ComponentSpec> = WINDOWS.iter().map(|window| window.spec).collect();
    node(Role::Window, &specs, one_of(specs.iter().map(|spec| spec.name)))
}

/// One operator, or some of those that may stand together.
fn transform() -> Value {
    let specs: Vec<&ComponentSpec> = TRANSFORMS.iter().map(|transform| transform.spec).collect();
    let (together, alone) = specs.split_at(COMBINABLE.min(specs.len()));
    let together = one_of(together.iter().map(|spec| spec.name));
    let together = json!({ "anyOf": together, "required": ["from"] });
    let alone = alone.iter().map(|spec| match spec.name {
        JOIN => requires(JOIN),
        name => json!({ "required": [name, "from"] }),
    });
    let mut schema = node(Role::Transform, &specs, std::iter::once(together).chain(alone).collect());
    // A join names its inputs itself.
    schema["required"] = json!([]);
    schema
}

/// The name of a format, or a map with one name and its options.
fn format(formats: &[&FormatSpec]) -> Value {
    let besides: Vec<&str> = formats.iter().flat_map(|format| format.beside).copied().collect();
    let mut known: Map<String, Value> = besides.iter().map(|key| ((*key).to_owned(), option(key))).collect();
    known.extend(formats.iter().map(|format| (format.spec.name.to_owned(), component(format.spec))));
    let mut map = json!({ "type": "object", "properties": known, "additionalProperties": false });
    map["oneOf"] = one_of(formats.iter().map(|format| format.spec.name));
    let without = formats.iter().map(|format| {
        let strange = besides.iter().filter(|key| !format.beside.contains(key));
        (format.spec.name, strange.copied().collect())
    });
    exclude(&mut map, &without.collect::<Vec<_>>());
    let named = formats.iter().filter(|format| is_enough(format.spec)).map(|format| format.spec.name);
    json!({ "anyOf": [{ "enum": named.collect::<Value>() }, map, reference("substitution")] })
}

/// What may stand beside a format is an option of another one, which documents it.
fn option(name: &str) -> Value {
    let mut options = FORMATS.iter().flat_map(|format| format.spec.options);
    options.find(|option| option.name == name).map_or(json!(true), |option| of(&option.kind))
}
