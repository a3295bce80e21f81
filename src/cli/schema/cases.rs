//! The tests of a pipeline as a schema.

use super::kinds::{of, one_or_list, properties, reference};
use crate::cli::reference::document::{STEPS, TEST, WORDS};
use crate::dataflow::OptionKind;
use serde_json::{Map, Value, json};

/// The section.
pub fn tests() -> Value {
    json!({
        "description": "Run by headwater test: time is virtual, nothing is connected.",
        "type": ["array", "null"],
        "items": reference("test"),
    })
}

/// A test, and a step of one.
pub fn definitions() -> Map<String, Value> {
    let mut known = properties(TEST);
    let steps =
        json!({ "description": "What happens, in order.", "type": "array", "items": reference("step") });
    known.insert("steps".to_owned(), steps);
    let rows = json!({ "type": "array", "items": { "type": "object" } });
    known["tables"]["additionalProperties"] = rows;
    let test = json!({
        "type": "object",
        "properties": known,
        "required": ["name", "steps"],
        "additionalProperties": false,
    });
    [("test".to_owned(), test), ("step".to_owned(), step())].into_iter().collect()
}

fn step() -> Value {
    let mut known: Map<String, Value> = STEPS
        .iter()
        .map(|(action, summary)| {
            let mut schema = takes(action);
            schema["description"] = json!(summary);
            ((*action).to_owned(), schema)
        })
        .collect();
    for key in ["ordered", "exact"] {
        known.insert(key.to_owned(), reference("boolean"));
    }
    let words = WORDS.iter().map(|(word, summary)| json!({ "const": word, "description": summary }));
    let action = json!({
        "type": "object",
        "properties": known,
        "additionalProperties": false,
        "oneOf": STEPS.iter().map(|(action, _)| json!({ "required": [action] })).collect::<Value>(),
        "dependentRequired": { "ordered": ["expect"], "exact": ["expect"] },
    });
    json!({ "anyOf": words.chain([action]).collect::<Value>() })
}

/// What an action takes.
fn takes(action: &str) -> Value {
    let by_name = |value: Value| json!({ "type": "object", "additionalProperties": value });
    let since_epoch = OptionKind::Any(&[OptionKind::Duration, OptionKind::Time]);
    match action {
        "send" => by_name(one_or_list(json!({ "type": ["object", "string"] }))),
        "watermark" => by_name(of(&since_epoch)),
        "advance" => reference("duration"),
        "close" => one_or_list(reference("text")),
        _ => by_name(json!({ "anyOf": [
            { "type": "object" },
            { "type": "array", "items": { "type": "object" } },
        ] })),
    }
}
