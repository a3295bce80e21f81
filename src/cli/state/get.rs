//! `state get` and `state export`: keys with their values.

use super::super::exit::Exit;
use super::super::terminal::Terminal;
use super::folders::{Folders, said};
use super::key::{ShownKey, hex};
use crate::event::nearest;
use crate::server::{Answered, WantedKeys, ask_lines};
use crate::state::{Node, OnCorruption, StateError, StateView};
use serde_json::{Map, Value, json};
use std::io::{self, BufWriter, Write};
use std::path::Path;

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
    let all: Vec<Node> = state.progress().nodes.values().cloned().collect();
    let wanted = WantedKeys { node: Some(node.to_owned()), key: fields(key) };
    let nodes = chosen(&all, &wanted).map_err(Exit::failed)?;
    let (mut found, mut out) = (false, Lines::new());
    for node in &nodes {
        let visited = state.keyed().node(node.id, &mut |_, key, value| {
            let key = ShownKey::read(key);
            if key.begins_with(&wanted.key) {
                found = true;
                out.line(&shown(&entry(None, &key, value), terminal))?;
            }
            Ok(())
        });
        out.finish(pipeline, visited)?;
    }
    is_there(found, node, &wanted)
}

/// The fields of a key as the shell gave them: what is no JSON is a text whose quotes the shell has taken.
fn fields(key: &[String]) -> Vec<Value> {
    let field = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
    key.iter().map(field).collect()
}

fn shown(entry: &Map<String, Value>, terminal: &Terminal) -> String {
    if terminal.json { Value::Object(entry.clone()).to_string() } else { text(entry) }
}

fn is_there(found: bool, node: &str, wanted: &WantedKeys) -> Result<(), Exit> {
    match found || wanted.key.is_empty() {
        true => Ok(()),
        false => Err(Exit::failed(format!("`{node}` keeps nothing by that key"))),
    }
}

/// The same of a running process. False if none uses the data directory.
///
/// # Errors
/// The same, or it refuses.
pub fn get_live(
    data_dir: &Path,
    pipeline: &str,
    node: &str,
    key: &[String],
    terminal: &Terminal,
) -> Result<bool, Exit> {
    let wanted = WantedKeys { node: Some(node.to_owned()), key: fields(key) };
    let mut found = false;
    let asked = asked_lines(data_dir, pipeline, &wanted, &mut |line| {
        found = true;
        match serde_json::from_str(line) {
            Ok(Value::Object(mut entry)) => {
                entry.remove("node");
                shown(&entry, terminal)
            }
            _ => line.to_owned(),
        }
    })?;
    if asked {
        is_there(found, node, &wanted)?;
    }
    Ok(asked)
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

/// The same of a running process, as of its last checkpoint. False if none uses the data directory.
///
/// # Errors
/// It refuses.
pub fn export_live(data_dir: &Path, pipeline: &str) -> Result<bool, Exit> {
    asked_lines(data_dir, pipeline, &WantedKeys::default(), &mut str::to_owned)
}

/// Prints what a running process says of keys.
fn asked_lines(
    data_dir: &Path,
    pipeline: &str,
    wanted: &WantedKeys,
    print: &mut dyn FnMut(&str) -> String,
) -> Result<bool, Exit> {
    let body = json!({ "node": wanted.node, "key": wanted.key }).to_string();
    let mut out = Lines::new();
    let path = format!("/api/v1/pipelines/{pipeline}/state/keys");
    let asked = ask_lines(data_dir, &path, body, &mut |line| {
        out.line(&print(line)).map_err(|error| error.to_string())
    });
    // The same as at the end of all lines.
    let _ = out.out.flush();
    match asked {
        Err(_) if out.is_closed => Ok(true),
        Err(why) => Err(Exit::failed(why)),
        Ok(None) => Ok(false),
        Ok(Some(Answered { body, .. })) => match body["error"].as_str() {
            Some(why) => Err(Exit::failed(why.to_owned())),
            None => Ok(true),
        },
    }
}

/// Gives the keys that are wanted of a view, as [`export`] prints them, until `each` has enough.
///
/// # Errors
/// There is no such node, or state cannot be read.
pub fn give(
    view: &StateView,
    wanted: &WantedKeys,
    each: &mut dyn FnMut(&Value) -> bool,
) -> Result<(), String> {
    let nodes = chosen(&view.nodes, wanted)?;
    let (ids, mut is_enough): (Vec<_>, _) = (nodes.iter().map(|node| node.id).collect(), false);
    let visited = view.keys(&ids, &mut |key, value| {
        let name = nodes.iter().find(|node| node.id == key.node()).map(|node| node.name.as_str());
        let key = ShownKey::read(key.key());
        is_enough = key.begins_with(&wanted.key) && !each(&Value::Object(entry(name, &key, value)));
        match is_enough {
            true => Err(StateError::disk("giving keys", io::Error::other("nobody takes them"))),
            false => Ok(()),
        }
    });
    if is_enough { Ok(()) } else { visited.map_err(|error| error.to_string()) }
}

/// The nodes of the name that is wanted, of several shapes maybe; all if none is.
fn chosen(all: &[Node], wanted: &WantedKeys) -> Result<Vec<Node>, String> {
    let Some(name) = &wanted.node else { return Ok(all.to_vec()) };
    let found: Vec<Node> = all.iter().filter(|node| node.name == *name).cloned().collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let hint = match nearest(name, all.iter().map(|node| node.name.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`headwater state list` lists them".to_owned(),
    };
    Err(format!("nothing is kept of a node `{name}`; {hint}"))
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
