//! Kinds of options as schemas.

use crate::config::{Meaning, read};
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};
use serde_json::{Map, Value, json};

const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";
const SIZE: &str = "^[0-9]+([kKMGT]?B|[KMGT]iB)$";
const TIME: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}";
const NAME: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,99}$";

/// A reference to a definition.
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A scalar, or a text with `${…}` in it.
fn or_substitution(scalar: Value) -> Value {
    json!({ "anyOf": [scalar, reference("substitution")] })
}

/// What several kinds have in common.
pub fn definitions() -> Map<String, Value> {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let defs = json!({
        "name": pattern(NAME),
        "substitution": {
            "description": "${VAR}, ${VAR:-default}, ${VAR:?message}, ${file:path}, ${credential:name}, ${param:name}",
            "type": "string",
            "pattern": "\\$\\{[^}]*\\}",
        },
        "text": { "type": "string" },
        "expression": {
            "description": "An SQL expression.",
            "type": ["string", "number", "boolean", "null"],
        },
        "boolean": or_substitution(json!({ "type": "boolean" })),
        "integer": or_substitution(json!({ "type": "integer" })),
        "number": or_substitution(json!({ "type": "number" })),
        "duration": or_substitution(pattern(DURATION)),
        "size": or_substitution(pattern(SIZE)),
        "time": {
            "description": "RFC 3339, or milliseconds since the epoch.",
            "anyOf": [{ "type": "integer" }, pattern(TIME), reference("substitution")],
        },
        "trigger": trigger(),
    });
    match defs {
        Value::Object(defs) => defs,
        _ => Map::new(),
    }
}

/// When a window gives its result.
fn trigger() -> Value {
    let one = |name: &str, kind: Value| json!({ "type": "object", "properties": { name: kind }, "required": [name], "additionalProperties": false });
    let list = || json!({ "type": "array", "items": reference("trigger"), "minItems": 1 });
    let phases = json!({
        "type": ["object", "null"],
        "properties": { "early": reference("trigger"), "late": reference("trigger") },
        "additionalProperties": false,
    });
    let until = json!({
        "type": "object",
        "properties": { "do": reference("trigger"), "until": reference("trigger") },
        "required": ["do", "until"],
        "additionalProperties": false,
    });
    let plugin = json!({ "anyOf": [{ "type": "string" }, {
        "type": "object",
        "properties": {
            "script": { "type": "string" },
            "name": { "type": "string" },
            "reads": { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
        },
        "additionalProperties": false,
    }] });
    let forms = [
        json!({ "const": "watermark" }),
        one("watermark", phases),
        one("processing_time", reference("duration")),
        one("event_time", reference("duration")),
        one("count", reference("integer")),
        one("any", list()),
        one("all", list()),
        one("each", list()),
        one("repeat", reference("trigger")),
        one("once", reference("trigger")),
        one("lua", plugin),
        until,
    ];
    json!({ "description": "When a window gives its result.", "anyOf": forms })
}

/// Options as properties.
pub fn properties(options: &[OptionSpec]) -> Map<String, Value> {
    options.iter().map(|option| (option.name.to_owned(), property(option))).collect()
}

fn property(option: &OptionSpec) -> Value {
    let mut schema = of(&option.kind);
    schema["description"] = json!(option.summary);
    if let Some(default) = option.default {
        schema["default"] = literal(&option.kind, default);
    }
    schema
}

/// A default as a value.
fn literal(kind: &OptionKind, default: &str) -> Value {
    let number = match kind {
        OptionKind::Boolean => return json!(default == "true"),
        OptionKind::Integer | OptionKind::Number => default.parse::<serde_json::Number>().ok(),
        _ => None,
    };
    number.map_or_else(|| json!(default), Value::Number)
}

/// The names of those that must be given.
fn required(options: &[OptionSpec]) -> Vec<&'static str> {
    options.iter().filter(|option| option.required).map(|option| option.name).collect()
}

/// A map of options; where none must be given, nothing is one too.
pub fn options(options: &[OptionSpec]) -> Value {
    let required = required(options);
    let mut schema = json!({
        "type": if required.is_empty() { json!(["object", "null"]) } else { json!("object") },
        "properties": properties(options),
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A schema for a kind.
pub fn of(kind: &OptionKind) -> Value {
    match kind {
        OptionKind::Text | OptionKind::Template | OptionKind::Path => reference("text"),
        OptionKind::Expression => reference("expression"),
        OptionKind::Boolean => reference("boolean"),
        OptionKind::Integer => reference("integer"),
        OptionKind::Number => reference("number"),
        OptionKind::Duration => reference("duration"),
        OptionKind::Size => reference("size"),
        OptionKind::Time => reference("time"),
        OptionKind::Format => reference("format"),
        OptionKind::Parser => reference("parser"),
        OptionKind::Trigger => reference("trigger"),
        OptionKind::Word(words) => or_substitution(json!({ "enum": self::words(words) })),
        OptionKind::List(kind) => json!({ "type": "array", "items": of(kind) }),
        OptionKind::OneOrList(kind) => one_or_list(of(kind)),
        OptionKind::Map(kind) => json!({ "type": "object", "additionalProperties": of(kind) }),
        OptionKind::Options(inner) => options(inner),
        OptionKind::Any(kinds) => json!({ "anyOf": kinds.iter().map(of).collect::<Value>() }),
    }
}

/// One item, or a list of them.
pub fn one_or_list(item: Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
}

/// Words; one that YAML reads as a number, truth value or null may stand without quotes.
fn words(words: &[&'static str]) -> Vec<Value> {
    let unquoted = words.iter().filter_map(|word| match read::meaning_of(word) {
        Meaning::Null => Some(Value::Null),
        Meaning::Bool(value) => Some(json!(value)),
        Meaning::Int(value) => Some(json!(value)),
        Meaning::Float(value) => Some(json!(value)),
        _ => None,
    });
    words.iter().map(|word| json!(word)).chain(unquoted).collect()
}

/// What stands under a component's name.
pub fn component(spec: &ComponentSpec) -> Value {
    let mut schema = match (&spec.short, spec.options.is_empty()) {
        (Some(short), true) => of(short),
        (Some(short), false) => json!({ "anyOf": [of(short), options(spec.options)] }),
        (None, _) => options(spec.options),
    };
    schema["description"] = json!(spec.summary);
    schema
}

/// Whether a component's name says all that must be said.
pub fn is_enough(spec: &ComponentSpec) -> bool {
    let is_short_only = spec.short.is_some() && spec.options.is_empty();
    !is_short_only && required(spec.options).is_empty()
}
