//! `status`: what the process that uses the data directory does.

use super::exit::Exit;
use super::progress::grouped;
use super::remote;
use super::state::list;
use super::terminal::Terminal;
use crate::time::Timestamp;
use serde_json::Value;
use std::path::Path;

/// Shows all pipelines.
///
/// # Errors
/// No process listens, or it does not answer.
pub fn status(data_dir: Option<&Path>, terminal: &Terminal) -> Result<(), Exit> {
    let status = remote::ask(data_dir, "GET", "/api/v1/pipelines")?;
    terminal.print(&match terminal.json {
        true => format!("{status}\n"),
        false => text(&status),
    });
    Ok(())
}

fn text(status: &Value) -> String {
    let mut text: String = status["pipelines"].as_array().into_iter().flatten().map(pipeline).collect();
    let snapshots = &status["snapshots"];
    if !snapshots.is_null() {
        text.push_str(&format!(
            "snapshots to {}: {} taken, {} failed, {} bytes sent\n",
            word(&snapshots["place"]),
            count(&snapshots["taken"]),
            count(&snapshots["failed"]),
            count(&snapshots["sent_bytes"])
        ));
    }
    text
}

fn pipeline(pipeline: &Value) -> String {
    let mut text = format!("{}: {}", word(&pipeline["name"]), word(&pipeline["state"]));
    if let Some(error) = pipeline["error"].as_str() {
        text.push_str(&format!(": {error}"));
    }
    text.push('\n');
    let last = &pipeline["checkpoint"];
    if !last.is_null() {
        text.push_str(&format!(
            "  checkpoint {} at {}, took {} ms, {} bytes\n",
            last["epoch"],
            list::time(Timestamp(last["at"].as_i64().unwrap_or_default())),
            last["duration_ms"],
            count(&last["bytes"])
        ));
    }
    let (written, disk) = (count(&pipeline["written_bytes"]), count(&pipeline["disk_bytes"]));
    text.push_str(&format!("  {written} bytes written, {disk} on the disk\n"));
    let nodes = pipeline["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let width =
        |name: &str| nodes.iter().map(|node| word(&node[name]).chars().count()).max().unwrap_or_default();
    let (names, kinds) = (width("name"), width("kind"));
    for node in nodes {
        let (name, kind) = (word(&node["name"]), word(&node["kind"]));
        let (received, sent) = (count(&node["received"]), count(&node["sent"]));
        text.push_str(&format!("  {name:names$}  {kind:kinds$}  {received} in, {sent} out"));
        for what in ["rejected", "discarded"] {
            if node[what].as_u64() > Some(0) {
                text.push_str(&format!(", {} {what}", count(&node[what])));
            }
        }
        if !node["lag_events"].is_null() {
            text.push_str(&format!(", {} behind", count(&node["lag_events"])));
        }
        if node["held_back"].as_bool() == Some(true) {
            text.push_str(", held back: it is ahead of its group");
        }
        if node["undelivered_bytes"].as_u64() > Some(0) {
            text.push_str(&format!(", {} bytes wait to be delivered", count(&node["undelivered_bytes"])));
        }
        if let Some(why) = node["away"].as_str() {
            text.push_str(&format!(", away: {why}"));
        }
        text.push('\n');
    }
    text
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn count(value: &Value) -> String {
    grouped(value.as_u64().unwrap_or_default())
}
