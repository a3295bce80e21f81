//! `state list`, and what `savepoint list` shows in the same way.

use super::super::data_dir::pipeline_folder;
use super::super::exit::Exit;
use super::super::remote;
use super::super::terminal::Terminal;
use super::args::Chosen;
use super::folders::Folders;
use super::key::readable;
use crate::state::{
    Checkpoint, Epoch, Incarnation, NodeId, Offset, OnCorruption, SinkProgress, SourceProgress, StateBackend,
    Survey, is_aside,
};
use crate::time::Timestamp;
use serde_json::{Map, Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Lists the state of pipelines.
///
/// # Errors
/// That of one cannot be read.
pub fn list(folders: &Folders, chosen: &Chosen, terminal: &Terminal) -> Result<(), Exit> {
    folders.each(chosen, terminal, |pipeline| {
        let (state, _) = folders.open(pipeline, OnCorruption::Refuse)?;
        let entry = entry(&pipeline_folder(folders.path(), pipeline), pipeline, &state);
        let entry = entry.map_err(|message| Exit::failed(format!("pipeline `{pipeline}`: {message}")))?;
        print(&entry, terminal);
        Ok(())
    })
}

/// The same of a running process. False if none uses the data directory.
///
/// # Errors
/// It refuses, or knows no such pipeline.
pub fn list_live(data_dir: &Path, chosen: &Chosen, terminal: &Terminal) -> Result<bool, Exit> {
    remote::ask_each(data_dir, chosen.pipeline.as_deref(), ("GET", "state"), |_, entry| {
        if let Value::Object(entry) = entry {
            print(&entry, terminal);
        }
        Ok(())
    })
}

fn print(entry: &Map<String, Value>, terminal: &Terminal) {
    terminal.print(&match terminal.json {
        true => format!("{}\n", Value::Object(entry.clone())),
        false => text(entry),
    });
}

/// All that is said of a pipeline's state.
///
/// # Errors
/// It cannot be read.
pub fn entry(folder: &Path, pipeline: &str, state: &StateBackend) -> Result<Map<String, Value>, String> {
    let survey = state.survey().map_err(|error| error.to_string())?;
    let (files, changed) = files(folder).map_err(|error| error.to_string())?;
    let aside: Vec<&String> = files.iter().map(|(name, _)| name).filter(|name| is_aside(name)).collect();
    let mut entry = described(pipeline, state.incarnation(), &state.progress().whole(), &survey);
    entry.insert("changed".to_owned(), json!(time(changed)));
    entry.insert("aside".to_owned(), json!(aside));
    let files = files.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes }));
    entry.insert("files".to_owned(), files.collect());
    Ok(entry)
}

/// The files of a pipeline with their sizes, and when one of them was last written to.
pub fn files(folder: &Path) -> std::io::Result<(Vec<(String, u64)>, Timestamp)> {
    let (mut files, mut changed) = (Vec::new(), Timestamp(0));
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (name, metadata) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata()?);
        if name.starts_with("log-") {
            changed = changed.max(Timestamp(metadata.mtime() * 1_000 + metadata.mtime_nsec() / 1_000_000));
        }
        files.push((name, metadata.len()));
    }
    files.sort_unstable();
    Ok((files, changed))
}

/// State as it stands in a folder or a savepoint.
pub fn described(
    pipeline: &str,
    incarnation: Incarnation,
    progress: &Checkpoint,
    survey: &Survey,
) -> Map<String, Value> {
    let life = |(life, epoch): &(Incarnation, Epoch)| json!({ "life": shown_life(*life), "epoch": epoch.0 });
    let nodes = progress.nodes.iter().map(|node| {
        let found = survey.get(&node.id).copied().unwrap_or_default();
        let watermark = progress.watermarks.iter().find(|(of, _)| *of == node.id);
        json!({
            "name": node.name,
            "shape": format!("{:016x}", node.shape.0),
            "keys": found.keys,
            "bytes": found.bytes,
            "watermark": watermark.map(|(_, watermark)| time(*watermark)),
            "unread": { "frames": found.frames.0, "bytes": found.frames.1 },
            "undelivered": { "chunks": found.chunks.0, "bytes": found.chunks.1 },
            "refused": found.refused,
        })
    });
    let entry = json!({
        "pipeline": pipeline,
        "life": shown_life(incarnation),
        "epoch": progress.epoch.0,
        "lineage": progress.lineage.iter().map(life).collect::<Value>(),
        "nodes": nodes.collect::<Value>(),
        "sources": progress.sources.iter().map(|source| source_entry(progress, source)).collect::<Value>(),
        "sinks": progress.sinks.iter().map(|sink| sink_entry(progress, sink)).collect::<Value>(),
    });
    match entry {
        Value::Object(entry) => entry,
        _ => Map::new(),
    }
}

fn shown_life(incarnation: Incarnation) -> String {
    format!("{:016x}", incarnation.0)
}

fn name_of(progress: &Checkpoint, node: NodeId) -> String {
    let found = progress.nodes.iter().find(|known| known.id == node);
    found.map_or_else(|| format!("node {node}"), |node| node.name.clone())
}

/// How far a partition of a source was read.
pub fn source_entry(progress: &Checkpoint, source: &SourceProgress) -> Value {
    let position = match &source.offset {
        Offset::Replay(offset) => readable(offset),
        Offset::Journal(frame) => format!("frame {}.{}", frame.sequence, frame.index),
        Offset::Gone => "gone".to_owned(),
    };
    json!({
        "name": name_of(progress, source.node),
        "partition": readable(&source.partition),
        "position": position,
        "watermark": source.watermark.map(time),
    })
}

fn sink_entry(progress: &Checkpoint, sink: &SinkProgress) -> Value {
    let delivered = sink.delivered.map(|chunk| format!("{}.{}", chunk.epoch, chunk.number));
    json!({
        "name": name_of(progress, sink.node),
        "delivered": delivered,
        "position": readable(&sink.position),
    })
}

/// A time of day, as RFC 3339.
pub fn time(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.0) {
        Ok(shown) => shown.to_string(),
        // Watermarks before the first and behind the last event.
        Err(_) => format!("{} ms", time.0),
    }
}

/// For people: a heading, and a line each.
pub fn text(entry: &Map<String, Value>) -> String {
    let word = |of: &Value, name: &str| match &of[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let head = Value::Object(entry.clone());
    let mut text =
        format!("{}: epoch {}, life {}", word(&head, "pipeline"), head["epoch"], word(&head, "life"));
    for name in ["changed", "taken", "instance"] {
        if entry.contains_key(name) {
            text.push_str(&format!(", {name} {}", word(&head, name)));
        }
    }
    text.push('\n');
    let list = |name: &str| head[name].as_array().cloned().unwrap_or_default();
    for life in list("lineage") {
        text.push_str(&format!("  comes from life {} up to epoch {}\n", word(&life, "life"), life["epoch"]));
    }
    for node in list("nodes") {
        text.push_str(&format!("  {}: {}\n", word(&node, "name"), node_text(&node)));
    }
    for source in list("sources") {
        let (name, partition) = (word(&source, "name"), word(&source, "partition"));
        text.push_str(&format!("  reads {name} `{partition}` at {}", word(&source, "position")));
        if let Some(watermark) = source["watermark"].as_str() {
            text.push_str(&format!(", watermark {watermark}"));
        }
        text.push('\n');
    }
    for sink in list("sinks") {
        let delivered = sink["delivered"].as_str().map_or("nothing yet".to_owned(), |c| format!("chunk {c}"));
        let (name, position) = (word(&sink, "name"), word(&sink, "position"));
        text.push_str(&format!("  delivers {name}: {delivered}, position {position}\n"));
    }
    for file in list("files") {
        text.push_str(&format!("  {} bytes in {}\n", file["bytes"], word(&file, "name")));
    }
    for name in list("aside") {
        text.push_str(&format!("  set aside: {}\n", name.as_str().unwrap_or_default()));
    }
    text
}

fn node_text(node: &Value) -> String {
    let count = |of: &Value| of.as_u64().unwrap_or_default();
    let mut text = format!("{} keys, {} bytes", node["keys"], node["bytes"]);
    if let Some(watermark) = node["watermark"].as_str() {
        text.push_str(&format!(", watermark {watermark}"));
    }
    let waiting = [
        (&node["unread"]["frames"], "frames not read", &node["unread"]["bytes"]),
        (&node["undelivered"]["chunks"], "chunks not delivered", &node["undelivered"]["bytes"]),
    ];
    for (number, what, bytes) in waiting {
        if count(number) > 0 {
            text.push_str(&format!(", {number} {what} ({bytes} bytes)"));
        }
    }
    if count(&node["refused"]) > 0 {
        text.push_str(&format!(", {} rows refused", node["refused"]));
    }
    text.push_str(&format!(", shape {}", node["shape"].as_str().unwrap_or_default()));
    text
}
