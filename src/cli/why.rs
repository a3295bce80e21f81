//! `why`: why a window does not fire, as the process knows that runs it.

use super::exit::Exit;
use super::remote;
use super::terminal::Terminal;
use crate::dataflow::{OpenPane, key_fields_text};
use crate::runtime::{Cause, Facts, NodeFacts, SourceFacts, shown_span, shown_time};
use crate::time::{Millis, Timestamp};
use crate::watermark::{Hold, HolderView};
use serde_json::{Value, json};
use std::path::Path;

/// Says what keeps a node from going on, `PIPELINE.NODE`.
///
/// # Errors
/// No process listens, or it refuses.
pub fn why(node: &str, data_dir: Option<&Path>, terminal: &Terminal) -> Result<(), Exit> {
    let which = || Exit::usage("which node? `headwater why PIPELINE.NODE`");
    let (pipeline, node) = node.split_once('.').ok_or_else(which)?;
    let path = format!("/api/v1/pipelines/{pipeline}/why/{node}");
    let said = remote::ask(data_dir, "GET", &path)?;
    terminal.print(&match terminal.json {
        true => format!("{said}\n"),
        false => text(&said),
    });
    Ok(())
}

/// As programs read it.
pub fn to_json(pipeline: &str, node: &str, facts: &Facts) -> Value {
    let cause = |cause: Cause| json!({ "code": cause.code, "what": cause.what, "remedy": cause.remedy });
    json!({
        "pipeline": pipeline,
        "node": node,
        "causes": facts.causes().into_iter().map(cause).collect::<Value>(),
        "now": time(facts.now),
        "watermark": time(facts.watermark),
        "trigger": facts.trigger,
        "earliest": facts.earliest.as_ref().map(pane),
        "missing_ms": facts.missing().map(|missing| missing.0),
        "held_by": facts.holder().map(|(source, name, holder)| holder_json(&source.name, name, holder)),
        "sources": facts.sources.iter().map(source).collect::<Value>(),
        "path": facts.path.iter().map(counted).collect::<Value>(),
    })
}

/// Milliseconds since the epoch; null before the first event and behind the last.
fn time(time: Timestamp) -> Option<i64> {
    (time > Timestamp::MIN && time < Timestamp::MAX).then_some(time.0)
}

fn pane(pane: &OpenPane) -> Value {
    json!({
        "key": pane.key.as_deref().map(fields),
        "window_start": pane.window.and_then(|window| time(window.start)),
        "window_end": pane.window.and_then(|window| time(window.end)),
        "due": time(pane.due),
    })
}

/// The fields of a key.
fn fields(key: &[u8]) -> Value {
    serde_json::from_str(&key_fields_text(key)).unwrap_or_default()
}

fn holder_json(source: &str, name: &str, holder: &HolderView) -> Value {
    let state = match holder.hold {
        Hold::Holds => "holds",
        Hold::Idle => "idle",
        Hold::Ended => "ended",
    };
    json!({
        "source": source,
        "partition": name,
        "key": holder.key.as_deref().map(fields),
        "state": state,
        "watermark": time(holder.watermark),
        "last_event_time": time(holder.highest),
        "quiet_ms": holder.quiet.0,
    })
}

fn source(source: &SourceFacts) -> Value {
    let slowest = source.slowest.iter().map(|(name, holder)| holder_json(&source.name, name, holder));
    json!({
        "name": source.name,
        "watermark": time(source.watermark),
        "last_event_time": time(source.highest),
        "live": source.liveness.is_some(),
        "idle": source.is_idle,
        "ended": source.has_ended,
        "waits_for": source.waits_for,
        "partitions": { "holding": source.counts[0], "idle": source.counts[1], "ended": source.counts[2] },
        "slowest": slowest.collect::<Value>(),
    })
}

fn counted(node: &NodeFacts) -> Value {
    let counts = &node.counts;
    let rejected = counts.rejected.iter().map(|(kind, count)| (kind.name().to_owned(), json!(count)));
    let discarded = counts.discarded.iter().map(|(why, count)| ((*why).to_owned(), json!(count)));
    json!({
        "name": node.name,
        "kind": node.kind,
        "received": counts.received,
        "sent": counts.sent,
        "rejected": Value::Object(rejected.collect()),
        "discarded": Value::Object(discarded.collect()),
        "last_reason": counts.samples.back().map(|(reason, _)| reason),
    })
}

/// For people: causes first.
fn text(said: &Value) -> String {
    let mut text = String::new();
    for cause in said["causes"].as_array().into_iter().flatten() {
        text.push_str(&format!(
            "{}.\n  {}.\n",
            capital(word(&cause["what"])),
            capital(word(&cause["remedy"]))
        ));
    }
    text.push_str(&format!("\nwatermark at `{}`: {}\n", word(&said["node"]), at(&said["watermark"])));
    if let Some(trigger) = said["trigger"].as_str() {
        text.push_str(&format!("fires by: {trigger}\n"));
    }
    text.push_str(&earliest(said));
    let held = &said["held_by"];
    if !held.is_null() {
        text.push_str(&format!("held by: {}\n", partition(held)));
    }
    for source in said["sources"].as_array().into_iter().flatten() {
        let state = match (source["ended"].as_bool(), source["idle"].as_bool()) {
            (Some(true), _) => ", ended",
            (_, Some(true)) => ", idle",
            _ => "",
        };
        let waits = source["waits_for"].as_str();
        let waits = waits.map_or_else(String::new, |other| format!(", held back until `{other}` is as far"));
        let partitions = &source["partitions"];
        text.push_str(&format!(
            "source `{}`{state}{waits}: watermark {}, last event time {}; {} partitions hold it, {} are idle, {} have ended\n",
            word(&source["name"]),
            at(&source["watermark"]),
            at(&source["last_event_time"]),
            partitions["holding"],
            partitions["idle"],
            partitions["ended"],
        ));
    }
    for node in said["path"].as_array().into_iter().flatten() {
        text.push_str(&format!("  {}: {} in, {} out", word(&node["name"]), node["received"], node["sent"]));
        for what in ["discarded", "rejected"] {
            for (why, count) in node[what].as_object().into_iter().flatten() {
                let rejected = if what == "rejected" { " rejected" } else { "" };
                text.push_str(&format!(", {count} {why}{rejected}"));
            }
        }
        text.push('\n');
    }
    text
}

fn earliest(said: &Value) -> String {
    let pane = &said["earliest"];
    if pane.is_null() {
        return "no window is open that has not fired\n".to_owned();
    }
    let mut text = "earliest open window: ".to_owned();
    match (pane["window_start"].as_i64(), pane["window_end"].as_i64()) {
        (Some(_), Some(_)) => {
            text.push_str(&format!("{} to {}", at(&pane["window_start"]), at(&pane["window_end"])));
        }
        _ => text.push_str("of unknown bounds"),
    }
    if !pane["key"].is_null() {
        text.push_str(&format!(", key {}", pane["key"]));
    }
    if let Some(missing) = said["missing_ms"].as_i64() {
        text.push_str(&format!("; the watermark is {} before it fires", shown_span(Millis(missing))));
    }
    text + "\n"
}

fn partition(held: &Value) -> String {
    let mut text = format!("{} of `{}`", word(&held["partition"]), word(&held["source"]));
    if !held["key"].is_null() {
        text.push_str(&format!(", key {}", held["key"]));
    }
    let quiet = shown_span(Millis(held["quiet_ms"].as_i64().unwrap_or_default()));
    format!("{text}; last event time {}, quiet for {quiet}", at(&held["last_event_time"]))
}

fn at(time: &Value) -> String {
    time.as_i64().map_or_else(|| "none".to_owned(), |ms| shown_time(Timestamp(ms)))
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
