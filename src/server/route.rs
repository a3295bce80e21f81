//! What can be asked for: one table, which requests are looked up in and which the OpenAPI document is written from.

use super::answer::Answer;
use super::control::Control;
use super::door::Role;
use super::handlers;
use crate::telemetry;
use hyper::body::Bytes;
use std::collections::BTreeMap;

/// The longest name that is looked for: names of pipelines and nodes are shorter.
const MAX_NAME: usize = 100;

/// Something that can be asked for.
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path; `{name}` stands for a name.
    pub path: &'static str,
    /// Who may.
    pub role: Role,
    /// Its name in programs that are made from the document.
    pub id: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What may stand behind `?`.
    pub query: &'static [Parameter],
    /// What the body says; None where there must be none.
    pub body: Option<BodySpec>,
    /// What comes with status 200.
    pub answer: &'static str,
    /// Its type.
    pub media: &'static str,
    /// What else may come, beside what may of every route.
    pub statuses: &'static [u16],
    /// Who answers.
    pub handler: Handler,
}

/// A parameter of a query.
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub about: &'static str,
    /// Whole numbers that it may be.
    pub range: (u64, u64),
    /// What holds where it is not there.
    pub default: u64,
}

/// A body of JSON.
pub struct BodySpec {
    /// Whether there must be one.
    pub required: bool,
    /// Its JSON Schema.
    pub schema: &'static str,
}

/// Who answers.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Says what is known, at once.
    Known(fn(&Asked, &dyn Control) -> Answer),
    /// Has something done or looked up, which may take a while: few at a time.
    Done(fn(&Asked, &dyn Control) -> Answer),
    /// Keys, line by line.
    Keys,
    /// Events as they come.
    Tap,
}

/// A request that was found in the table.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The names in its path, in order.
    pub names: Vec<String>,
    /// What stands behind `?`: all parameters of the route.
    pub query: BTreeMap<&'static str, u64>,
    /// Its body.
    pub body: Bytes,
}

impl Asked {
    /// The pipeline that the path names.
    pub fn pipeline(&self) -> &str {
        self.names.first().map(String::as_str).unwrap_or_default()
    }

    /// The node that the path names.
    pub fn node(&self) -> &str {
        self.names.get(1).map(String::as_str).unwrap_or_default()
    }
}

const JSON: &str = "application/json";

/// A route for readers that says what is known.
const fn known(
    path: &'static str,
    id: &'static str,
    (summary, answer): (&'static str, &'static str),
    handler: fn(&Asked, &dyn Control) -> Answer,
) -> Route {
    Route {
        method: "GET",
        path,
        role: Role::Reader,
        id,
        summary,
        query: &[],
        body: None,
        answer,
        media: JSON,
        statuses: &[],
        handler: Handler::Known(handler),
    }
}

/// A route for operators that has something done.
const fn done(
    path: &'static str,
    id: &'static str,
    texts: (&'static str, &'static str),
    handler: fn(&Asked, &dyn Control) -> Answer,
) -> Route {
    let route = known(path, id, texts, handler);
    Route {
        method: "POST",
        role: Role::Operator,
        statuses: &[409, 500, 503],
        handler: Handler::Done(handler),
        ..route
    }
}

/// A route for readers that has something looked up.
const fn looked_up(
    path: &'static str,
    id: &'static str,
    texts: (&'static str, &'static str),
    handler: fn(&Asked, &dyn Control) -> Answer,
) -> Route {
    Route { method: "GET", role: Role::Reader, ..done(path, id, texts, handler) }
}

/// All that can be asked for.
pub static ROUTES: &[Route] = &[
    known("/live", "live", ("Whether the process is there at all.", "It is."), handlers::live),
    Route {
        statuses: &[503],
        ..known(
            "/ready",
            "ready",
            ("Whether all pipelines do what they are for.", "They do; 503 says why not."),
            handlers::ready,
        )
    },
    Route {
        media: telemetry::MEDIA_TYPE,
        ..known(
            "/metrics",
            "metrics",
            ("What is measured, as Prometheus takes it.", "Metrics in the text format."),
            handlers::metrics,
        )
    },
    known("/api/v1/openapi.json", "openapi", ("This document.", "The document."), handlers::openapi),
    known(
        "/api/v1/pipelines",
        "pipelines",
        (
            "All pipelines: what they do, and what their nodes have counted.",
            "The pipelines, and what came of snapshots.",
        ),
        handlers::pipelines,
    ),
    known("/api/v1/pipelines/{pipeline}", "pipeline", ("One of them.", "The pipeline."), handlers::pipeline),
    known(
        "/api/v1/pipelines/{pipeline}/plan",
        "plan",
        (
            "The plan: operators as they run, fields decoded, state kept, the guarantee of each path.",
            "What `explain --format json` shows.",
        ),
        handlers::plan,
    ),
    known(
        "/api/v1/pipelines/{pipeline}/components",
        "components",
        ("Its nodes with live figures.", "The nodes."),
        handlers::components,
    ),
    known(
        "/api/v1/pipelines/{pipeline}/checkpoints",
        "checkpoints",
        ("What came of checkpoints.", "The last one, and what was since the start."),
        handlers::checkpoints,
    ),
    known(
        "/api/v1/pipelines/{pipeline}/buffers",
        "buffers",
        ("Output that waits for its delivery.", "A line for each sink with a buffer."),
        handlers::buffers,
    ),
    looked_up(
        "/api/v1/pipelines/{pipeline}/watermarks",
        "watermarks",
        (
            "How far event time has come, and who holds it.",
            "Sources with the partitions that are furthest behind, and nodes.",
        ),
        handlers::watermarks,
    ),
    Route {
        query: &[Parameter {
            name: "limit",
            about: "How many at the most.",
            range: (1, 1_000),
            default: 100,
        }],
        ..looked_up(
            "/api/v1/pipelines/{pipeline}/dead-letters",
            "deadLetters",
            (
                "The last events that were rejected and that no pipeline reads.",
                "The events, and how many are kept.",
            ),
            handlers::dead_letters,
        )
    },
    done(
        "/api/v1/pipelines/{pipeline}/pause",
        "pause",
        (
            "Reads sources no more for now; state is kept, checkpoints go on. A restart of the process resumes.",
            "The pipeline.",
        ),
        handlers::pause,
    ),
    done("/api/v1/pipelines/{pipeline}/resume", "resume", ("Reads on.", "The pipeline."), handlers::resume),
    Route {
        body: Some(BodySpec {
            required: false,
            schema: r#"{"type":"object","additionalProperties":false,"properties":{"drain":{"type":"boolean"}}}"#,
        }),
        statuses: &[400, 409, 500, 503],
        ..done(
            "/api/v1/pipelines/{pipeline}/stop",
            "stop",
            ("Stops a pipeline; windows fire only with `drain`.", "The pipeline, which is about to end."),
            handlers::stop,
        )
    },
    Route {
        query: &[
            Parameter { name: "limit", about: "Events at the most.", range: (1, 1_000_000), default: 1_000 },
            Parameter { name: "rate", about: "Of them a second.", range: (1, 1_000), default: 100 },
            Parameter { name: "seconds", about: "How long at the most.", range: (1, 3_600), default: 60 },
        ],
        media: "text/event-stream",
        handler: Handler::Tap,
        ..looked_up(
            "/api/v1/pipelines/{pipeline}/nodes/{node}/tap",
            "tap",
            (
                "Events that leave a node, as they come.",
                "Server-sent events: JSON of those fields that the pipeline reads; `end` tells how many were not shown.",
            ),
            handlers::live,
        )
    },
    known(
        "/api/v1/configuration",
        "configuration",
        ("What the process and its pipelines were given, without secrets.", "The configuration."),
        handlers::configuration,
    ),
    done(
        "/api/v1/pipelines/{pipeline}/checkpoint",
        "takeCheckpoint",
        ("Takes a checkpoint now.", "The checkpoint, once it is durable."),
        handlers::checkpoint,
    ),
    Route {
        body: Some(BodySpec {
            required: true,
            schema: r#"{"type":"object","required":["file"],"properties":{"file":{"type":"string","pattern":"^/"}}}"#,
        }),
        statuses: &[400, 409, 500, 503],
        ..done(
            "/api/v1/pipelines/{pipeline}/savepoint",
            "takeSavepoint",
            (
                "Takes a checkpoint and writes it to a file of the process' machine.",
                "What is in the savepoint.",
            ),
            handlers::savepoint,
        )
    },
    looked_up(
        "/api/v1/pipelines/{pipeline}/state",
        "state",
        ("What is kept of a pipeline.", "What `state list` shows."),
        handlers::state,
    ),
    Route {
        body: Some(BodySpec {
            required: false,
            schema: r#"{"type":"object","additionalProperties":false,"properties":{"node":{"type":"string"},"key":{"type":"array"}}}"#,
        }),
        role: Role::Reader,
        media: "application/x-ndjson",
        statuses: &[400, 409, 500, 503],
        handler: Handler::Keys,
        ..done(
            "/api/v1/pipelines/{pipeline}/state/keys",
            "keys",
            (
                "Keys with their values, those of a node or that begin with some fields.",
                "A line each, and `{\"end\": how many}` where all came.",
            ),
            handlers::live,
        )
    },
    done(
        "/api/v1/pipelines/{pipeline}/state/check",
        "checkState",
        ("Reads and verifies what is kept of a pipeline.", "What was found."),
        handlers::check,
    ),
    done(
        "/api/v1/pipelines/{pipeline}/state/compact",
        "compactState",
        ("Gives room that is no longer needed back to the disk.", "Bytes before and after."),
        handlers::compact,
    ),
    looked_up(
        "/api/v1/pipelines/{pipeline}/why/{node}",
        "why",
        ("Why a node does not go on.", "Causes, and what is known."),
        handlers::why,
    ),
    done(
        "/api/v1/snapshots",
        "takeSnapshots",
        ("Takes a snapshot of every pipeline now.", "What came of snapshots since the start."),
        handlers::snapshot,
    ),
];

/// Finds what a request asks for, with the names in its path.
///
/// # Errors
/// The answer where there is nothing of the kind.
pub fn find(method: &str, path: &str) -> Result<(&'static Route, Vec<String>), Answer> {
    let on_path: Vec<_> = ROUTES.iter().filter_map(|route| Some((route, names(route.path, path)?))).collect();
    if on_path.is_empty() {
        return Err(Answer::error(404, "there is nothing of this name"));
    }
    let methods: Vec<&str> = on_path.iter().map(|(route, _)| route.method).collect();
    let found = on_path.into_iter().find(|(route, _)| route.method == method);
    found.ok_or_else(|| Answer::not_allowed(&methods.join(", ")))
}

/// The names in a path, if it is of that form.
fn names(form: &str, path: &str) -> Option<Vec<String>> {
    let (mut form, mut path) = (form.split('/'), path.split('/'));
    let mut names = Vec::new();
    loop {
        match (form.next(), path.next()) {
            (None, None) => return Some(names),
            (Some(form), Some(part)) if form.starts_with('{') => {
                let is_name = !part.is_empty() && part.len() <= MAX_NAME;
                is_name.then(|| names.push(part.to_owned()))?;
            }
            (Some(form), Some(part)) if form == part => {}
            _ => return None,
        }
    }
}

impl Route {
    /// Reads what stands behind `?`.
    ///
    /// # Errors
    /// The answer where it says something else than it may.
    pub fn read_query(&self, query: Option<&str>) -> Result<BTreeMap<&'static str, u64>, Answer> {
        let mut read: BTreeMap<&'static str, u64> =
            self.query.iter().map(|parameter| (parameter.name, parameter.default)).collect();
        for part in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let Some(parameter) = self.query.iter().find(|parameter| parameter.name == name) else {
                return Err(match self.query.is_empty() {
                    true => Answer::error(400, "nothing here takes a query"),
                    false => Answer::error(400, "there is no such parameter here"),
                });
            };
            let (least, most) = parameter.range;
            let value = value.parse().ok().filter(|value| (least..=most).contains(value));
            let wrong = || Answer::error(400, format!("`{name}` is a whole number from {least} to {most}"));
            read.insert(parameter.name, value.ok_or_else(wrong)?);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_what_they_name() {
        let found = |method: &str, path: &str| {
            find(method, path).map(|(route, names)| (route.id, names)).map_err(|answer| answer.status)
        };
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(found("GET", "/live"), Ok(("live", vec![])));
        assert_eq!(
            found("POST", "/api/v1/pipelines/a-1/checkpoint"),
            Ok(("takeCheckpoint", named(&["a-1"])))
        );
        assert_eq!(found("GET", "/api/v1/pipelines/a/why/n"), Ok(("why", named(&["a", "n"]))));
        assert_eq!(found("GET", "/api/v1/pipelines/a/why/"), Err(404));
        assert_eq!(found("GET", "/api/v1/pipelines/a/state/compact"), Err(405));
        for path in ["", "/", "/liv", "/live/", "//live", "/api/v1/pipelines//checkpoint"] {
            assert_eq!(found("GET", path), Err(404), "{path}");
        }
        assert_eq!(found("POST", &format!("/api/v1/pipelines/{}/checkpoint", "a".repeat(101))), Err(404));
        let wrong = find("DELETE", "/live").err().unwrap();
        assert_eq!((wrong.status, wrong.header), (405, Some(("allow", "GET".to_owned()))));
    }

    #[test]
    fn every_route_is_told_from_the_others() {
        for route in ROUTES {
            let same = |other: &&Route| {
                (other.method, other.path) == (route.method, route.path) || other.id == route.id
            };
            assert_eq!(ROUTES.iter().filter(same).count(), 1, "{}", route.id);
            let changes = route.role == Role::Operator;
            assert!(!changes || route.method != "GET", "{}: reading changes nothing", route.id);
            if let Some(body) = &route.body {
                assert!(serde_json::from_str::<serde_json::Value>(body.schema).is_ok(), "{}", route.id);
            }
        }
    }
}
