//! What is answered.

use super::control::Refusal;
use serde_json::{Value, json};

/// An answer: its status and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// What it says.
    pub content: Content,
    /// A header that belongs to the status.
    pub header: Option<(&'static str, String)>,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// JSON, in one line.
    Json(Value),
    /// Text of a type.
    Text(&'static str, String),
}

impl Answer {
    /// All went well.
    pub fn ok(body: Value) -> Answer {
        Answer { status: 200, content: Content::Json(body), header: None }
    }

    /// A text of a type.
    pub fn text(media: &'static str, text: String) -> Answer {
        Answer { status: 200, content: Content::Text(media, text), header: None }
    }

    /// A refusal: `{"error": why}`.
    pub fn error(status: u16, why: impl Into<String>) -> Answer {
        Answer { status, content: Content::Json(json!({ "error": why.into() })), header: None }
    }

    /// Who asks is not known.
    pub fn unauthorized() -> Answer {
        let header = Some(("www-authenticate", "Bearer".to_owned()));
        Answer { header, ..Answer::error(401, "this needs a token: `Authorization: Bearer TOKEN`") }
    }

    /// The path takes other methods.
    pub fn not_allowed(methods: &str) -> Answer {
        let header = Some(("allow", methods.to_owned()));
        Answer { header, ..Answer::error(405, format!("only {methods} is taken here")) }
    }

    /// What came of something that was to be done with a pipeline.
    pub fn of(pipeline: &str, done: Result<Value, Refusal>) -> Answer {
        match done {
            Ok(body) => Answer::ok(body),
            Err(refusal) => Answer::refused(pipeline, refusal),
        }
    }

    /// Why something was not done with a pipeline.
    pub fn refused(pipeline: &str, refusal: Refusal) -> Answer {
        match refusal {
            Refusal::Unknown => Answer::error(404, format!("there is no pipeline `{pipeline}`")),
            Refusal::Missing(why) => Answer::error(404, why),
            Refusal::Conflict(why) => Answer::error(409, why),
            Refusal::Failed(why) => Answer::error(500, why),
        }
    }

    /// It as bytes, with its type.
    pub fn written(&self) -> (&'static str, String) {
        match &self.content {
            Content::Json(body) => ("application/json", format!("{body}\n")),
            Content::Text(media, text) => (media, text.clone()),
        }
    }
}
