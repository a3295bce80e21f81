//! What can be asked for: paths and methods, and what each leads to.

use super::control::{Control, Refusal, checkpointed_to_json, status_to_json};
use serde_json::{Value, json};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Whether the process is there at all.
    Live,
    /// All pipelines.
    Pipelines,
    /// A checkpoint of a pipeline, now.
    Checkpoint(String),
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
        ["api", "v1", "pipelines", name, "checkpoint"] if !name.is_empty() && name.len() <= MAX_NAME => {
            ("POST", Route::Checkpoint((*name).to_owned()))
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
pub fn answer(route: &Route, control: &dyn Control) -> Answer {
    match route {
        Route::Live => Answer::ok(json!({ "live": true })),
        Route::Pipelines => {
            let pipelines = control.pipelines();
            Answer::ok(json!({ "pipelines": pipelines.iter().map(status_to_json).collect::<Value>() }))
        }
        Route::Checkpoint(name) => match control.checkpoint(name) {
            Ok(done) => Answer::ok(checkpointed_to_json(&done)),
            Err(Refusal::Unknown) => Answer::error(404, format!("there is no pipeline `{name}`")),
            Err(Refusal::Conflict(why)) => Answer::error(409, why),
            Err(Refusal::Failed(why)) => Answer::error(500, why),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_what_they_name() {
        assert_eq!(route("GET", "/live"), Ok(Route::Live));
        assert_eq!(route("GET", "/api/v1/pipelines"), Ok(Route::Pipelines));
        let checkpoint = Route::Checkpoint("a-1".to_owned());
        assert_eq!(route("POST", "/api/v1/pipelines/a-1/checkpoint"), Ok(checkpoint));
        let status = |method: &str, path: &str| route(method, path).map_err(|answer| answer.status);
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
