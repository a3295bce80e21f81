//! What can be asked for: paths and methods, and what each leads to.

use super::control::{Control, Refusal, WantedKeys, checkpointed_to_json, snapshots_to_json, status_to_json};
use serde_json::{Value, json};
use std::path::Path;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Whether the process is there at all.
    Live,
    /// All pipelines.
    Pipelines,
    /// A checkpoint of a pipeline, now.
    Checkpoint(String),
    /// The same as a file: the body is `{"file": "/where/it/goes"}`.
    Savepoint(String),
    /// What is kept of a pipeline.
    State(String),
    /// Keys of it with their values, a line each: the body is `{"node": "name", "key": [fields]}` or empty.
    Keys(String),
    /// What is kept of a pipeline verified, now.
    Check(String),
    /// Room that it no longer needs given back, now.
    Compact(String),
    /// Why a node of a pipeline does not go on.
    Why(String, String),
    /// Snapshots of all pipelines, now.
    Snapshots,
}

impl Route {
    /// Whether a body belongs to it.
    pub fn takes_body(&self) -> bool {
        matches!(self, Route::Savepoint(_) | Route::Keys(_))
    }
}

/// An answer: its status and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// JSON, in one line.
    pub body: Value,
    /// The method that the path takes, where another was used.
    pub allow: Option<&'static str>,
}

impl Answer {
    fn ok(body: Value) -> Answer {
        Answer { status: 200, body, allow: None }
    }

    /// A refusal: `{"error": why}`.
    pub fn error(status: u16, why: impl Into<String>) -> Answer {
        Answer { status, body: json!({ "error": why.into() }), allow: None }
    }
}

/// The longest name that is looked for: names of pipelines are shorter.
const MAX_NAME: usize = 100;

/// Finds what a request asks for.
///
/// # Errors
/// The answer where there is nothing of the kind.
pub fn route(method: &str, path: &str) -> Result<Route, Answer> {
    let parts: Vec<&str> = path.split('/').skip(1).take(8).collect();
    let (takes, route) = match parts.as_slice() {
        ["live"] => ("GET", Route::Live),
        ["api", "v1", "pipelines"] => ("GET", Route::Pipelines),
        ["api", "v1", "snapshots"] => ("POST", Route::Snapshots),
        ["api", "v1", "pipelines", name, what] if !name.is_empty() && name.len() <= MAX_NAME => {
            let name = (*name).to_owned();
            match *what {
                "checkpoint" => ("POST", Route::Checkpoint(name)),
                "savepoint" => ("POST", Route::Savepoint(name)),
                "state" => ("GET", Route::State(name)),
                _ => return Err(Answer::error(404, "there is nothing of this name")),
            }
        }
        ["api", "v1", "pipelines", name, "why", node]
            if !name.is_empty() && name.len() <= MAX_NAME && !node.is_empty() && node.len() <= MAX_NAME =>
        {
            ("GET", Route::Why((*name).to_owned(), (*node).to_owned()))
        }
        ["api", "v1", "pipelines", name, "state", what] if !name.is_empty() && name.len() <= MAX_NAME => {
            let name = (*name).to_owned();
            match *what {
                "keys" => ("POST", Route::Keys(name)),
                "check" => ("POST", Route::Check(name)),
                "compact" => ("POST", Route::Compact(name)),
                _ => return Err(Answer::error(404, "there is nothing of this name")),
            }
        }
        _ => return Err(Answer::error(404, "there is nothing of this name")),
    };
    match method == takes {
        true => Ok(route),
        false => {
            Err(Answer { allow: Some(takes), ..Answer::error(405, format!("only {takes} is taken here")) })
        }
    }
}

/// Does what is asked for. May wait.
pub fn answer(route: &Route, body: &[u8], control: &dyn Control) -> Answer {
    let (pipeline, done) = match route {
        // It is answered by lines.
        Route::Keys(name) => (name.as_str(), Err(Refusal::Unknown)),
        Route::Check(name) => (name.as_str(), control.check(name)),
        Route::Compact(name) => (name.as_str(), control.compact(name)),
        Route::Live => ("", Ok(json!({ "live": true }))),
        Route::Pipelines => ("", Ok(all(control))),
        Route::Checkpoint(name) => {
            (name.as_str(), control.checkpoint(name).map(|done| checkpointed_to_json(&done)))
        }
        Route::Savepoint(name) => match file(body) {
            Some(file) => (name.as_str(), control.savepoint(name, Path::new(&file))),
            None => {
                return Answer::error(400, r#"the body must be {"file": PATH} with a path from the root"#);
            }
        },
        Route::State(name) => (name.as_str(), control.state(name)),
        Route::Why(name, node) => (name.as_str(), control.why(name, node)),
        Route::Snapshots => ("", control.snapshot().map(|status| snapshots_to_json(&status))),
    };
    match done {
        Ok(body) => Answer::ok(body),
        Err(refusal) => refused(pipeline, refusal),
    }
}

/// Why something was not done with a pipeline.
pub fn refused(pipeline: &str, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unknown => Answer::error(404, format!("there is no pipeline `{pipeline}`")),
        Refusal::Conflict(why) => Answer::error(409, why),
        Refusal::Failed(why) => Answer::error(500, why),
    }
}

/// Which keys a body asks for.
///
/// # Errors
/// The answer where it says nothing of the kind.
pub fn wanted_keys(body: &[u8]) -> Result<WantedKeys, Answer> {
    if body.is_empty() {
        return Ok(WantedKeys::default());
    }
    let wrong = || Answer::error(400, r#"the body must be {"node": NAME, "key": [FIELDS]}"#);
    let body: Value = serde_json::from_slice(body).map_err(|_| wrong())?;
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
    if body.is_object() { Ok(WantedKeys { node, key }) } else { Err(wrong()) }
}

fn all(control: &dyn Control) -> Value {
    let pipelines = control.pipelines();
    json!({
        "pipelines": pipelines.iter().map(status_to_json).collect::<Value>(),
        "snapshots": control.snapshots().as_ref().map(snapshots_to_json),
    })
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

    #[test]
    fn paths_lead_to_what_they_name() {
        assert_eq!(route("GET", "/live"), Ok(Route::Live));
        assert_eq!(route("GET", "/api/v1/pipelines"), Ok(Route::Pipelines));
        let checkpoint = Route::Checkpoint("a-1".to_owned());
        assert_eq!(route("POST", "/api/v1/pipelines/a-1/checkpoint"), Ok(checkpoint));
        let status = |method: &str, path: &str| route(method, path).map_err(|answer| answer.status);
        assert_eq!(route("POST", "/api/v1/pipelines/a/savepoint"), Ok(Route::Savepoint("a".to_owned())));
        assert_eq!(route("GET", "/api/v1/pipelines/a/state"), Ok(Route::State("a".to_owned())));
        assert_eq!(route("POST", "/api/v1/snapshots"), Ok(Route::Snapshots));
        assert_eq!(route("POST", "/api/v1/pipelines/a/state/keys"), Ok(Route::Keys("a".to_owned())));
        let why = Route::Why("a".to_owned(), "n".to_owned());
        assert_eq!(route("GET", "/api/v1/pipelines/a/why/n"), Ok(why));
        assert_eq!(status("GET", "/api/v1/pipelines/a/why/"), Err(404));
        assert_eq!(status("GET", "/api/v1/pipelines/a/state/compact"), Err(405));
        assert_eq!(status("POST", "/api/v1/pipelines/a/state/other"), Err(404));
        for path in
            ["", "/", "/liv", "/live/", "//live", "/api/v1/pipelines//checkpoint", "/api/v1/pipelines/a"]
        {
            assert_eq!(status("GET", path), Err(404), "{path}");
        }
        assert_eq!(status("POST", &format!("/api/v1/pipelines/{}/checkpoint", "a".repeat(101))), Err(404));
        let wrong = route("DELETE", "/live").unwrap_err();
        assert_eq!((wrong.status, wrong.allow), (405, Some("GET")));
        assert_eq!(route("GET", "/api/v1/pipelines/a/checkpoint").unwrap_err().allow, Some("POST"));
    }
}
