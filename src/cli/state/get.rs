//! `state get` and `state export`: keys with their values.

use super::super::exit::Exit;
use super::super::terminal::Terminal;
use super::folders::{Folders, said};
use super::key::{ShownKey, hex};
use crate::event::nearest;
use crate::state::{Node, OnCorruption, StateBackend, StateError};
use serde_json::{Map, Value};
use std::io::{self, BufWriter, Write};

/// Shows keys of a node.
///
/// # Errors
/// There is no such pipeline or node, or none of its keys is wanted.
pub fn get(
    folders: &Folders,
    pipeline: &str,
    node: &str,
    key: &[String],
    terminal: &Terminal,
) -> Result<(), Exit> {
    let (state, _) = folders.open(pipeline, OnCorruption::Refuse)?;
    let nodes = nodes(&state, node)?;
    // What is no JSON is a text whose quotes the shell has taken.
    let field = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
    let wanted: Vec<Value> = key.iter().map(field).collect();
    let mut found = false;
    let mut out = Lines::new();
    for node in &nodes {
        let visited = state.keyed().node(node.id, &mut |_, key, value| {
            let key = ShownKey::read(key);
            if key.begins_with(&wanted) {
                found = true;
                let entry = entry(None, &key, value);
                out.line(&if terminal.json { Value::Object(entry).to_string() } else { text(&entry) })?;
            }
            Ok(())
        });
        out.finish(pipeline, visited)?;
    }
    match found || wanted.is_empty() {
        true => Ok(()),
        false => Err(Exit::failed(format!("`{node}` keeps nothing by that key", node = nodes[0].name))),
    }
}

/// Prints all keys of all nodes.
///
/// # Errors
/// There is no such pipeline, or its state cannot be read.
pub fn export(folders: &Folders, pipeline: &str) -> Result<(), Exit> {
    let (state, _) = folders.open(pipeline, OnCorruption::Refuse)?;
    let mut out = Lines::new();
    let visited = state.keyed().all(&mut |key, value| {
        let known = state.progress().nodes.get(&key.node());
        let name = known.map_or_else(|| format!("node {}", key.node()), |node| node.name.clone());
        out.line(&Value::Object(entry(Some(&name), &ShownKey::read(key.key()), value)).to_string())
    });
    out.finish(pipeline, visited)
}

/// Those of a name: of several shapes there may be several.
fn nodes(state: &StateBackend, name: &str) -> Result<Vec<Node>, Exit> {
    let all = state.progress().nodes.values();
    let found: Vec<Node> = all.clone().filter(|node| node.name == name).cloned().collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let hint = match nearest(name, all.map(|node| node.name.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`headwater state list` lists them".to_owned(),
    };
    Err(Exit::failed(format!("nothing is kept of a node `{name}`; {hint}")))
}

fn entry(node: Option<&str>, key: &ShownKey, value: &[u8]) -> Map<String, Value> {
    let mut entry = Map::new();
    node.iter().for_each(|node| _ = entry.insert("node".to_owned(), Value::from(*node)));
    key.put(&mut entry);
    entry.insert("value".to_owned(), hex(value).into());
    entry
}

fn text(entry: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in entry.iter().filter(|(name, _)| *name != "value") {
        text.push_str(&format!("{name} {value} "));
    }
    text + "= 0x" + entry.get("value").and_then(Value::as_str).unwrap_or_default()
}

/// Standard output by the line.
struct Lines {
    out: BufWriter<io::Stdout>,
    /// Whoever read has gone away, which is no fault of ours.
    is_closed: bool,
}

impl Lines {
    fn new() -> Lines {
        Lines { out: BufWriter::new(io::stdout()), is_closed: false }
    }

    fn line(&mut self, line: &str) -> Result<(), StateError> {
        writeln!(self.out, "{line}").map_err(|error| {
            self.is_closed = true;
            StateError::disk("writing to standard output", error)
        })
    }

    fn finish(&mut self, pipeline: &str, visited: Result<(), StateError>) -> Result<(), Exit> {
        // The same.
        let _ = self.out.flush();
        match visited {
            Err(error) if !self.is_closed => Err(Exit::failed(said(pipeline, &error))),
            _ => Ok(()),
        }
    }
}
