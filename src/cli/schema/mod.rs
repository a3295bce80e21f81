//! `schema`: the JSON Schema (draft 2020-12) of a pipeline's file or of `headwater.yaml`, from the registries. It says what can stand where;
//! what `check` alone can know (names of nodes, expressions, types) is left to it.

mod cases;
mod kinds;
mod nodes;

use super::args::Document;
use super::reference::configuration::PROCESS;
use super::reference::document::HEAD;
use super::terminal::Terminal;
use crate::config::Role;
use serde_json::{Map, Value, json};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Prints the schema.
pub fn schema(of: Document, terminal: &Terminal) {
    let schema = match of {
        Document::Pipeline => pipeline(),
        Document::Config => configuration(),
    };
    terminal.print(&format!("{schema:#}\n"));
}

/// The schema of `headwater.yaml`.
fn configuration() -> Value {
    let mut schema = kinds::options(PROCESS);
    schema["$schema"] = json!(DRAFT);
    schema["title"] = json!("The configuration of a Headwater process");
    schema["description"] = json!("headwater.yaml in the working directory, or --config FILE.");
    schema["$defs"] = Value::Object(kinds::definitions());
    schema
}

/// The schema of a pipeline's file.
fn pipeline() -> Value {
    let mut properties: Map<String, Value> = kinds::properties(HEAD);
    properties.insert("sources".to_owned(), section(Role::Source, "Where events come from."));
    properties.insert("transforms".to_owned(), section(Role::Transform, "What changes events one by one."));
    properties.insert("windows".to_owned(), section(Role::Window, "What gathers events by time."));
    properties.insert("sinks".to_owned(), section(Role::Sink, "Where results go."));
    properties.insert("tables".to_owned(), section(Role::Table, "Rows by key that events are looked up in."));
    properties.insert("tests".to_owned(), cases::tests());
    let mut defs = kinds::definitions();
    defs.extend(nodes::definitions());
    defs.extend(cases::definitions());
    json!({
        "$schema": DRAFT,
        "title": "A Headwater pipeline",
        "description": "headwater check FILE says what is wrong with one, headwater run FILE runs it.",
        "type": "object",
        "properties": properties,
        "required": ["sources", "sinks"],
        "additionalProperties": false,
        "$defs": defs,
    })
}

/// Names with their nodes.
fn section(role: Role, description: &str) -> Value {
    let node = json!({ "$ref": format!("#/$defs/{}", role.noun()) });
    let mut section = json!({
        "description": description,
        "type": "object",
        "propertyNames": { "$ref": "#/$defs/name" },
        "additionalProperties": node,
    });
    match role {
        Role::Source | Role::Sink => section["minProperties"] = json!(1),
        _ => section["type"] = json!(["object", "null"]),
    }
    section
}
