//! What is known of a node, for programs and for people.

use crate::dataflow::{OpenPane, key_fields_text};
use crate::runtime::{Cause, Facts, NodeFacts, SourceFacts, shown_span, shown_time};
use crate::time::{Millis, Timestamp};
use crate::watermark::{Hold, HolderView};
use serde_json::{Value, json};

/// As programs read it.
pub fn to_json(pipeline: &str, node: &str, facts: &Facts) -> Value {
    let cause = |cause: Cause| json!({ "code": cause.code, "what": cause.what, "remedy": cause.remedy });
    let is_live = !facts.is_kept;
    json!({
        "pipeline": pipeline,
        "node": node,
        "causes": facts.causes().into_iter().map(cause).collect::<Value>(),
        "now": time(facts.now),
        "watermark": time(facts.watermark),
        "trigger": facts.trigger,
        "earliest": facts.earliest.as_ref().map(pane),
        "missing_ms": facts.missing().map(|missing| missing.0),
        "held_by": facts.holder().map(|(source, name, holder)| holder_json(&source.name, name, holder, is_live)),
        "sources": facts.sources.iter().map(|one| source(one, is_live)).collect::<Value>(),
        // Counts are not kept.
        "path": is_live.then(|| facts.path.iter().map(counted).collect::<Value>()),
    })
}

/// Milliseconds since the epoch; null before the first event and behind the last.
pub fn time(time: Timestamp) -> Option<i64> {
    (time > Timestamp::MIN && time < Timestamp::MAX).then_some(time.0)
}

fn pane(pane: &OpenPane) -> Value {
    json!({
        "key": pane.key.as_deref().map(fields),
        "window_start": pane.window.and_then(|window| time(window.start)),
        "window_end": pane.window.and_then(|window| time(window.end)),
        "due": time(pane.due),
        "trigger_waits_for": pane.trigger,
    })
}

/// The fields of a key.
fn fields(key: &[u8]) -> Value {
    serde_json::from_str(&key_fields_text(key)).unwrap_or_default()
}

/// Who is quiet, and at its end, is only known of a process that runs.
fn holder_json(source: &str, name: &str, holder: &HolderView, is_live: bool) -> Value {
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
        "quiet_ms": is_live.then_some(holder.quiet.0),
    })
}

/// How far a source has come, as programs read it.
pub fn source(source: &SourceFacts, is_live: bool) -> Value {
    let slowest =
        source.slowest.iter().map(|(name, holder)| holder_json(&source.name, name, holder, is_live));
    json!({
        "name": source.name,
        "watermark": time(source.watermark),
        "last_event_time": time(source.highest),
        "live": source.liveness.is_some(),
        "idle": source.is_idle,
        "ended": is_live.then_some(source.has_ended),
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
        "late": node.late,
        "rejected": Value::Object(rejected.collect()),
        "discarded": Value::Object(discarded.collect()),
        "last_reason": counts.samples.back().map(|(reason, _)| reason),
    })
}

/// For people: causes first.
pub fn text(said: &Value) -> String {
    let mut text = String::new();
    for cause in said["causes"].as_array().into_iter().flatten() {
        text.push_str(&format!(
            "{}.\n  {}.\n",
            capital(word(&cause["what"])),
            capital(word(&cause["remedy"]))
        ));
    }
    if said.get("watermark").is_some() {
        text.push_str(&format!("\nwatermark at `{}`: {}\n", word(&said["node"]), at(&said["watermark"])));
        if let Some(trigger) = said["trigger"].as_str() {
            text.push_str(&format!("fires by: {trigger}\n"));
        }
        text.push_str(&earliest(said));
    }
    let held = &said["held_by"];
    if !held.is_null() {
        text.push_str(&format!("held by: {}\n", partition(held)));
    }
    for source in said["sources"].as_array().into_iter().flatten() {
        text.push_str(&source_text(source));
    }
    for node in said["path"].as_array().into_iter().flatten() {
        text.push_str(&format!("  {}: {} in, {} out", word(&node["name"]), node["received"], node["sent"]));
        let late = node["late"].as_u64().unwrap_or_default();
        if late > 0 && node["discarded"]["late"].is_null() {
            text.push_str(&format!(", {late} late"));
        }
        for what in ["discarded", "rejected"] {
            for (why, count) in node[what].as_object().into_iter().flatten() {
                let rejected = if what == "rejected" { " rejected" } else { "" };
                text.push_str(&format!(", {count} {why}{rejected}"));
            }
        }
        text.push('\n');
    }
    text + &kept(said)
}

fn source_text(source: &Value) -> String {
    let state = match (source["ended"].as_bool(), source["idle"].as_bool()) {
        (Some(true), _) => ", ended",
        (_, Some(true)) => ", idle",
        _ => "",
    };
    let waits = source["waits_for"].as_str();
    let waits = waits.map_or_else(String::new, |other| format!(", held back until `{other}` is as far"));
    let watermark = at(&source["watermark"]);
    let mut text = format!("source `{}`{state}{waits}: watermark {watermark}", word(&source["name"]));
    let partitions = &source["partitions"];
    if !partitions.is_null() {
        text.push_str(&format!(
            ", last event time {}; {} partitions hold it, {} are idle",
            at(&source["last_event_time"]),
            partitions["holding"],
            partitions["idle"],
        ));
        match source["ended"].is_null() {
            true => text.push_str(" or have ended"),
            false => text.push_str(&format!(", {} have ended", partitions["ended"])),
        }
    }
    text + "\n"
}

/// What is said of state where no process runs.
fn kept(said: &Value) -> String {
    let kept = &said["kept"];
    if kept.is_null() {
        return String::new();
    }
    let mut text = String::new();
    for position in kept["positions"].as_array().into_iter().flatten() {
        let (name, partition) = (word(&position["name"]), word(&position["partition"]));
        text.push_str(&format!("  reads {name} `{partition}` at {}", word(&position["position"])));
        if let Some(time) = position["watermark"].as_str() {
            text.push_str(&format!(", last event time {time}"));
        }
        text.push('\n');
    }
    let of = match kept["savepoint"].as_str() {
        Some(file) => format!("as the savepoint {file} says"),
        None => "as kept when its process last ran".to_owned(),
    };
    text.push_str(&format!(
        "{of}, epoch {} of {}: {} keys of `{}` in {} bytes; what was counted, only a process that runs knows\n",
        kept["epoch"],
        at(&kept["as_of"]),
        kept["keys"],
        word(&said["node"]),
        kept["bytes"],
    ));
    if said.get("watermark").is_none() {
        text.push_str(
            "what is open, by what it fires, and which source holds it back, is said where the pipeline's file is given: \
             `headwater why PIPELINE.NODE PATH`\n",
        );
    }
    text
}

fn earliest(said: &Value) -> String {
    let pane = &said["earliest"];
    if pane.is_null() {
        return "no window is open that has not fired\n".to_owned();
    }
    let mut text = match (pane["window_start"].as_i64(), pane["window_end"].as_i64()) {
        (Some(_), Some(_)) => {
            format!("earliest open window: {} to {}", at(&pane["window_start"]), at(&pane["window_end"]))
        }
        _ => "what is due next: an event that waits, or a timer".to_owned(),
    };
    if !pane["key"].is_null() {
        text.push_str(&format!(", key {}", pane["key"]));
    }
    if let Some(waits) = pane["trigger_waits_for"].as_str() {
        text.push_str(&format!("; its trigger waits for {waits}"));
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
    text.push_str(&format!("; last event time {}", at(&held["last_event_time"])));
    if let Some(quiet) = held["quiet_ms"].as_i64() {
        text.push_str(&format!(", quiet for {}", shown_span(Millis(quiet))));
    }
    text
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
