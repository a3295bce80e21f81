//! What routes answer: each asks the process and puts what it says into words of HTTP.

use super::answer::Answer;
use super::control::{
    Control, Order, PipelineState, PipelineStatus, WantedKeys, checkpointed_to_json, snapshots_to_json,
    status_to_json,
};
use super::metrics;
use super::openapi;
use super::route::Asked;
use crate::telemetry;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn live(_: &Asked, _: &dyn Control) -> Answer {
    Answer::ok(json!({ "live": true }))
}

pub(super) fn ready(_: &Asked, control: &dyn Control) -> Answer {
    let mut reasons: Vec<String> = control.pipelines().iter().flat_map(reasons_of).collect();
    if !control.knows_the_time() {
        reasons.push("the clock is not set: the time of day is not known".to_owned());
    }
    let status = if reasons.is_empty() { 200 } else { 503 };
    Answer { status, ..Answer::ok(json!({ "ready": reasons.is_empty(), "reasons": reasons })) }
}

/// Why a pipeline does not do what it is for.
fn reasons_of(pipeline: &PipelineStatus) -> Vec<String> {
    let name = &pipeline.name;
    let mut reasons = Vec::new();
    match &pipeline.state {
        PipelineState::Running | PipelineState::Ended | PipelineState::Stopping => {}
        PipelineState::Paused => reasons.push(format!("pipeline `{name}` is paused")),
        PipelineState::Starting => {
            reasons.push(format!("pipeline `{name}` has not started: its tables are not loaded"));
        }
        PipelineState::Failed(why) => reasons.push(format!("pipeline `{name}` has failed: {why}")),
    }
    let away = pipeline.nodes.iter().filter_map(|node| Some((node, node.away.as_ref()?)));
    reasons.extend(
        away.map(|(node, why)| format!("sink `{}` of pipeline `{name}` takes nothing: {why}", node.name)),
    );
    reasons
}

pub(super) fn metrics(_: &Asked, control: &dyn Control) -> Answer {
    let text = telemetry::text(&metrics::resource(control), &metrics::samples(control));
    Answer::text(telemetry::MEDIA_TYPE, text)
}

pub(super) fn openapi(_: &Asked, _: &dyn Control) -> Answer {
    Answer::ok(openapi::document())
}

pub(super) fn pipelines(_: &Asked, control: &dyn Control) -> Answer {
    Answer::ok(json!({
        "pipelines": control.pipelines().iter().map(status_to_json).collect::<Value>(),
        "snapshots": control.snapshots().as_ref().map(snapshots_to_json),
    }))
}

pub(super) fn pipeline(asked: &Asked, control: &dyn Control) -> Answer {
    of_one(asked, control, status_to_json)
}

/// What is said of the pipeline that the path names.
fn of_one(asked: &Asked, control: &dyn Control, say: impl FnOnce(&PipelineStatus) -> Value) -> Answer {
    let all = control.pipelines();
    let found = all.iter().find(|status| status.name == asked.pipeline());
    let unknown = || Answer::error(404, format!("there is no pipeline `{}`", asked.pipeline()));
    found.map_or_else(unknown, |status| Answer::ok(say(status)))
}

pub(super) fn plan(asked: &Asked, control: &dyn Control) -> Answer {
    Answer::of(asked.pipeline(), control.plan(asked.pipeline()))
}

pub(super) fn components(asked: &Asked, control: &dyn Control) -> Answer {
    of_one(asked, control, |status| json!({ "components": status_to_json(status)["nodes"] }))
}

pub(super) fn checkpoints(asked: &Asked, control: &dyn Control) -> Answer {
    of_one(asked, control, |status| {
        let all = status.checkpoints.as_ref().map(|all| {
            let classes = all.durations.counts.iter().enumerate();
            let class =
                |(number, count)| json!({ "up_to_s": all.durations.bounds.get(number), "count": count });
            json!({
                "written": all.written, "failures": all.failures, "took_s": all.durations.sum,
                "durations": classes.map(class).collect::<Value>(),
            })
        });
        let last = status.checkpoint.as_ref().map(checkpointed_to_json);
        json!({ "last": last, "since_start": all, "written_bytes": status.written_bytes, "disk_bytes": status.disk_bytes })
    })
}

pub(super) fn buffers(asked: &Asked, control: &dyn Control) -> Answer {
    of_one(asked, control, |status| {
        let buffers = status.nodes.iter().filter(|node| node.undelivered_bytes.is_some()).map(|node| {
            json!({
                "sink": node.name, "undelivered_bytes": node.undelivered_bytes, "given_up_bytes": node.given_up_bytes,
                "away": node.away,
            })
        });
        json!({ "buffers": buffers.collect::<Value>() })
    })
}

pub(super) fn watermarks(asked: &Asked, control: &dyn Control) -> Answer {
    Answer::of(asked.pipeline(), control.watermarks(asked.pipeline()))
}

pub(super) fn dead_letters(asked: &Asked, control: &dyn Control) -> Answer {
    let most = asked.query.get("limit").copied().unwrap_or_default();
    Answer::of(asked.pipeline(), control.dead_letters(asked.pipeline(), most as usize))
}

pub(super) fn configuration(_: &Asked, control: &dyn Control) -> Answer {
    Answer::ok(control.configuration())
}

pub(super) fn pause(asked: &Asked, control: &dyn Control) -> Answer {
    told(asked, control, Order::Pause)
}

pub(super) fn resume(asked: &Asked, control: &dyn Control) -> Answer {
    told(asked, control, Order::Resume)
}

pub(super) fn stop(asked: &Asked, control: &dyn Control) -> Answer {
    match drains(&asked.body) {
        Some(true) => told(asked, control, Order::Drain),
        Some(false) => told(asked, control, Order::Stop),
        None => Answer::error(400, r#"the body must be {"drain": true} or {"drain": false}, or empty"#),
    }
}

/// Tells a pipeline something, and says how it is then.
fn told(asked: &Asked, control: &dyn Control, order: Order) -> Answer {
    match control.tell(asked.pipeline(), order) {
        Ok(()) => pipeline(asked, control),
        Err(refusal) => Answer::refused(asked.pipeline(), refusal),
    }
}

/// Whether a body asks for windows to fire.
fn drains(body: &[u8]) -> Option<bool> {
    if body.is_empty() {
        return Some(false);
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let body = body.as_object().filter(|body| body.keys().all(|key| key == "drain"))?;
    body.get("drain").map_or(Some(false), Value::as_bool)
}

pub(super) fn checkpoint(asked: &Asked, control: &dyn Control) -> Answer {
    let done = control.checkpoint(asked.pipeline());
    Answer::of(asked.pipeline(), done.map(|done| checkpointed_to_json(&done)))
}

pub(super) fn savepoint(asked: &Asked, control: &dyn Control) -> Answer {
    match file(&asked.body) {
        Some(file) => Answer::of(asked.pipeline(), control.savepoint(asked.pipeline(), Path::new(&file))),
        None => Answer::error(400, r#"the body must be {"file": PATH} with a path from the root"#),
    }
}

pub(super) fn state(asked: &Asked, control: &dyn Control) -> Answer {
    Answer::of(asked.pipeline(), control.state(asked.pipeline()))
}

pub(super) fn check(asked: &Asked, control: &dyn Control) -> Answer {
    Answer::of(asked.pipeline(), control.check(asked.pipeline()))
}

pub(super) fn compact(asked: &Asked, control: &dyn Control) -> Answer {
    Answer::of(asked.pipeline(), control.compact(asked.pipeline()))
}

pub(super) fn why(asked: &Asked, control: &dyn Control) -> Answer {
    Answer::of(asked.pipeline(), control.why(asked.pipeline(), asked.node()))
}

pub(super) fn snapshot(_: &Asked, control: &dyn Control) -> Answer {
    Answer::of("", control.snapshot().map(|status| snapshots_to_json(&status)))
}

/// Which keys a body asks for.
///
/// # Errors
/// The answer where it says nothing of the kind.
pub(super) fn wanted_keys(body: &[u8]) -> Result<WantedKeys, Answer> {
    if body.is_empty() {
        return Ok(WantedKeys::default());
    }
    let wrong = || Answer::error(400, r#"the body must be {"node": NAME, "key": [FIELDS]}"#);
    let body: Value = serde_json::from_slice(body).map_err(|_| wrong())?;
    let is_known = |name: &String| ["node", "key"].contains(&name.as_str());
    if !body.as_object().is_some_and(|body| body.keys().all(is_known)) {
        return Err(wrong());
    }
    let node = match &body["node"] {
        Value::Null => None,
        Value::String(name) => Some(name.clone()),
        _ => return Err(wrong()),
    };
    let key = match &body["key"] {
        Value::Null => Vec::new(),
        Value::Array(fields) => fields.clone(),
        _ => return Err(wrong()),
    };
    Ok(WantedKeys { node, key })
}

/// The file that a body names. Where whoever asks works is not where this process does, so it begins at the root.
fn file(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["file"].as_str().filter(|file| file.starts_with('/')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_from_the_root() {
        assert_eq!(file(br#"{"file":"/a/b"}"#).as_deref(), Some("/a/b"));
        for wrong in [&b""[..], b"{}", b"[]", br#"{"file":"a"}"#, br#"{"file":1}"#] {
            assert_eq!(file(wrong), None);
        }
    }

    #[test]
    fn keys_are_asked_for_by_node_and_fields() {
        let wanted = |body: &[u8]| wanted_keys(body).map_err(|answer| answer.status);
        assert_eq!(wanted(b""), Ok(WantedKeys::default()));
        let some = WantedKeys { node: Some("n".to_owned()), key: vec![json!(1), json!("a")] };
        assert_eq!(wanted(br#"{"node":"n","key":[1,"a"]}"#), Ok(some));
        for wrong in [&b"1"[..], b"[]", br#"{"node":1}"#, br#"{"key":1}"#, b"{"] {
            assert_eq!(wanted(wrong), Err(400));
        }
    }
}
