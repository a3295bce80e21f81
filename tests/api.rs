//! The API on an address: who may ask for what, over real connections, for every route there is.

pub mod common;
#[path = "api/exposition.rs"]
mod exposition;
#[path = "control/process.rs"]
mod process;

use headwater::config::Tokens;
use headwater::server::{Opened, ROUTES, Role, Route, Server, openapi_document};
use process::Process;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const READER: &str = "reader-reader-reader";
const OPERATOR: &str = "operator-operator-operator";

/// A server that answers for [`Process`].
struct Served {
    address: SocketAddr,
    _server: Server,
}

/// What came back.
struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Served {
    fn with(tokens: &Tokens) -> Served {
        let opened = Opened::open("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let address = opened.address();
        Served { address, _server: Server::listen(opened, tokens, Arc::new(Process)).unwrap() }
    }

    fn guarded() -> Served {
        let tokens = Tokens { reader: vec![READER.to_owned()], operator: vec![OPERATOR.to_owned()] };
        Served::with(&tokens)
    }

    fn send(&self, bytes: &[u8]) -> Answered {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // Who is refused early may find the connection closed.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answered { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answered {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        self.send(head.as_bytes())
    }
}

fn token(token: &str) -> String {
    format!("Host: gateway.example\r\nAuthorization: Bearer {token}\r\n")
}

/// A path of the route, for a pipeline that runs.
fn path(route: &Route) -> String {
    route.path.replace("{pipeline}", "a").replace("{node}", "in")
}

#[test]
fn without_a_token_there_is_nothing() {
    let served = Served::guarded();
    for route in ROUTES {
        for headers in ["Host: localhost\r\n".to_owned(), token("wrong-wrong-wrong-wrong")] {
            let answered = served.ask(route.method, &path(route), &headers, "");
            assert_eq!(answered.status, 401, "{}", route.id);
            assert!(answered.head.contains("www-authenticate: bearer"), "{}", route.id);
        }
    }
    assert_eq!(served.ask("GET", "/nowhere", "Host: localhost\r\n", "").status, 401);
}

#[test]
fn a_readers_token_changes_nothing() {
    let served = Served::guarded();
    for route in ROUTES {
        let status = served.ask(route.method, &path(route), &token(READER), "").status;
        match route.role {
            Role::Operator => assert_eq!(status, 403, "{}", route.id),
            Role::Reader => assert!(![401, 403].contains(&status), "{}: {status}", route.id),
        }
        let status = served.ask(route.method, &path(route), &token(OPERATOR), "").status;
        assert!(![401, 403, 404, 405].contains(&status), "{}: {status}", route.id);
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let served = Served::guarded();
    assert_eq!(served.ask("GET", "/nowhere", &token(READER), "").status, 404);
    for route in ROUTES {
        for method in ["DELETE", "PATCH", "OPTIONS", "X"] {
            let answered = served.ask(method, &path(route), &token(OPERATOR), "");
            assert_eq!(answered.status, 405, "{method} {}", route.path);
            assert!(answered.head.contains("\r\nallow: "), "{method} {}", route.path);
        }
        if route.path.contains("{pipeline}") {
            let path = route.path.replace("{pipeline}", "none").replace("{node}", "none");
            let body = route.body.as_ref().filter(|body| body.required).map_or("", |_| r#"{"file":"/x"}"#);
            let answered = served.ask(route.method, &path, &token(OPERATOR), body);
            assert_eq!(answered.status, 404, "{}: {}", route.path, answered.body);
        }
    }
}

#[test]
fn garbage_is_the_fault_of_who_sends_it() {
    let served = Served::guarded();
    let bodies = ["{", "[]", "1", "null", r#"{"file":1}"#, r#"{"key":7}"#, "\u{0}\u{1}", r#"{"node":{}}"#];
    for route in ROUTES {
        for body in bodies {
            let answered = served.ask(route.method, &path(route), &token(OPERATOR), body);
            assert!((400..500).contains(&answered.status), "{}: {body}: {}", route.id, answered.status);
            assert!(
                serde_json::from_str::<Value>(&answered.body).unwrap()["error"].is_string(),
                "{}",
                route.id
            );
        }
        let long = "x".repeat(100_000);
        assert_eq!(
            served.ask(route.method, &path(route), &token(OPERATOR), &long).status,
            413,
            "{}",
            route.id
        );
        let query = format!("{}?nothing=%00", path(route));
        assert_eq!(served.ask(route.method, &query, &token(OPERATOR), "").status, 400, "{}", route.id);
    }
    for garbage in [&b"\x16\x03\x01\x00\xff\r\n\r\n"[..], b"GET\r\n\r\n", b"GET /live HTTP/7\r\n\r\n"] {
        let status = served.send(garbage).status;
        assert!(status == 0 || (400..500).contains(&status), "{status}");
    }
    let many = "X-Y: 1\r\n".repeat(200);
    assert_eq!(served.ask("GET", "/live", &many, "").status, 431);
    assert_eq!(served.ask("GET", "/live", &token(READER), "").status, 200);
}

#[test]
fn a_web_page_cannot_drive_a_server_without_tokens() {
    let served = Served::with(&Tokens::default());
    let own = format!("Host: {}\r\n", served.address);
    let checkpoint = "/api/v1/pipelines/a/checkpoint";
    assert_eq!(served.ask("GET", "/live", &own, "").status, 200);
    assert_eq!(served.ask("POST", checkpoint, &own, "").status, 200);
    // A name that was made to lead here.
    assert_eq!(served.ask("GET", "/api/v1/pipelines", "Host: evil.example\r\n", "").status, 403);
    assert_eq!(served.ask("GET", "/api/v1/pipelines", "", "").status, 403);
    // A page from elsewhere.
    let foreign = format!("{own}Origin: https://evil.example\r\n");
    assert_eq!(served.ask("POST", checkpoint, &foreign, "").status, 403);
    let answered = served.ask("GET", "/api/v1/pipelines", &foreign, "");
    assert!(!answered.head.contains("access-control-allow-origin"), "its answers are not for other origins");
    let same = format!("{own}Origin: http://{}\r\n", served.address);
    assert_eq!(served.ask("POST", checkpoint, &same, "").status, 200);
}

#[test]
fn events_come_as_they_leave() {
    let served = Served::guarded();
    let path = "/api/v1/pipelines/a/nodes/in/tap";
    let answered = served.ask("GET", &format!("{path}?limit=2&seconds=1"), &token(READER), "");
    assert!(answered.head.contains("content-type: text/event-stream"), "{}", answered.head);
    for part in ["data: {\"n\":0}\n\n", "data: {\"n\":1}\n\n", "event: end\ndata: {\"missed\":7}\n\n"] {
        assert!(answered.body.contains(part), "{}", answered.body);
    }
    for query in ["limit=0", "limit=x", "rate=1001", "seconds", "other=1", "limit=1&limit="] {
        assert_eq!(served.ask("GET", &format!("{path}?{query}"), &token(READER), "").status, 400, "{query}");
    }
}

#[test]
fn readiness_says_why_not() {
    let served = Served::guarded();
    let answered = served.ask("GET", "/ready", &token(READER), "");
    assert_eq!(answered.status, 503);
    assert!(answered.body.contains("pipeline `b` has failed: the disk is gone"), "{}", answered.body);
}

#[test]
fn the_document_is_answered() {
    let served = Served::guarded();
    let answered = served.ask("GET", "/api/v1/openapi.json", &token(READER), "");
    assert_eq!(serde_json::from_str::<Value>(&answered.body).unwrap(), openapi_document());
    // What it says of itself holds for the answers.
    for route in ROUTES {
        let answered = served.ask(route.method, &path(route), &token(OPERATOR), "");
        let responses = &openapi_document()["paths"][route.path][route.method.to_lowercase()]["responses"];
        assert!(responses[answered.status.to_string()].is_object(), "{}: {}", route.id, answered.status);
    }
}

/// Has Prometheus' own tool look at metrics, where there is one; in CI there is.
fn check_with_promtool(text: &str) {
    let mut command = Command::new("promtool");
    let command = command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has promtool: tests/setup.sh installs it");
        eprintln!("NOT TESTED: there is no `promtool`; tests/setup.sh installs it");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn metrics_are_as_prometheus_takes_them() {
    let served = Served::guarded();
    let answered = served.ask("GET", "/metrics", &token(READER), "");
    assert!(answered.head.contains("content-type: text/plain; version=0.0.4"), "{}", answered.head);
    let families = exposition::read(&answered.body).unwrap();
    let value = |family: &str, labels: &[(&str, &str)]| exposition::value(&families, family, labels);
    let node = [("component", "in"), ("pipeline", "a"), ("kind", "file")];
    assert_eq!(value("headwater_component_received_events_total", &node), Some(3.0));
    assert_eq!(value("headwater_component_received_bytes_total", &node), Some(99.0));
    assert_eq!(value("headwater_component_watermark_seconds", &node), Some(1.5));
    assert_eq!(value("headwater_component_busy_ratio", &node), Some(0.25));
    assert_eq!(value("headwater_source_lag_events", &node), Some(4.0));
    let error = [("component", "in"), ("pipeline", "a"), ("stage", "receive"), ("kind", "decode")];
    assert_eq!(value("headwater_component_errors_total", &error), Some(1.0));
    assert_eq!(value("headwater_checkpoint_duration_seconds_count", &[("pipeline", "a")]), Some(3.0));
    assert_eq!(value("headwater_pipeline_up", &[("pipeline", "b")]), Some(0.0));
    let instance = "gate\\way\"1";
    let version = env!("CARGO_PKG_VERSION");
    let target =
        [("service_name", "headwater"), ("service_version", version), ("service_instance_id", instance)];
    assert_eq!(value("target_info", &target), Some(1.0));
    check_with_promtool(&answered.body);
}

#[test]
fn a_run_answers_where_it_is_told_to() {
    let folder = common::Folder::empty();
    folder.write(
        "p.yaml",
        "sources: { in: { generate: { fields: { n: \"1\" }, rate: 20 } } }
transforms: { told: { from: in, lua: 'function process(event) event.m = event.n return event end' } }
sinks: { out: { from: told, drop: {} } }\n",
    );
    folder.write("headwater.yaml", "auth: { reader: reader-reader-reader }\n");
    let log = folder.path().join("log");
    let mut command = common::headwater(folder.path(), &["run", "--listen", "127.0.0.1:0", "p.yaml"]);
    let mut child = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let url = || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let rest = log.split_once("answers on http://")?.1;
        rest.split_once('\n').map(|(address, _)| address.trim().parse::<SocketAddr>().unwrap())
    };
    common::until("it answers", || url().is_some());
    let ask = |path: &str, headers: &str| {
        let mut stream = TcpStream::connect(url().unwrap()).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("/ready", "Host: localhost\r\n").starts_with("HTTP/1.1 401"));
    assert!(!ask("/ready", &token(READER)).starts_with("HTTP/1.1 401"));
    let metric = |family: &str, node: [(&str, &str); 2]| {
        let answer = ask("/metrics", &token(READER));
        let text = answer.split_once("\r\n\r\n").unwrap().1;
        let labels = [("pipeline", "p"), ("component", node[0].1), ("kind", node[1].1)];
        exposition::value(&exposition::read(text).unwrap(), family, &labels)
    };
    let (source, sink) = ([("", "in"), ("", "generate")], [("", "out"), ("", "drop")]);
    common::until("events are counted", || {
        metric("headwater_component_received_events_total", sink) > Some(3.0)
    });
    common::until("time is shared out", || metric("headwater_component_busy_ratio", source).is_some());
    assert!(metric("headwater_component_busy_ratio", source) < Some(0.9));
    let script = |family: &str| {
        let answer = ask("/metrics", &token(READER));
        let families = exposition::read(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        exposition::value(&families, family, &[("pipeline", "p"), ("script", "told")])
    };
    common::until("calls of a script are told", || script("headwater_plugin_calls_total") > Some(10.0));
    assert!(script("headwater_plugin_memory_bytes") > Some(10_000.0));
    assert!(script("headwater_plugin_time_seconds_total") > Some(0.0));
    assert_eq!(script("headwater_plugin_breaches_total"), Some(0.0));
    assert!(metric("headwater_component_watermark_seconds", sink) > Some(1e9));
    assert!(metric("headwater_component_last_event_time_seconds", source) > Some(1e9));
    check_with_promtool(ask("/metrics", &token(READER)).split_once("\r\n\r\n").unwrap().1);
    // Somebody else is told that it is taken.
    let taken = url().unwrap().to_string();
    let second = folder.run(&["run", "--listen", &taken, "p.yaml"]);
    assert_eq!(second.status, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains(&format!("cannot listen on {taken}")), "{}", second.stderr);
    let open = folder.run(&["run", "--config", "/dev/null", "--listen", "0.0.0.0:0", "p.yaml"]);
    assert_eq!(open.status, Some(78), "{}", open.stderr);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_pipeline_is_paused_resumed_and_stopped() {
    let folder = common::Folder::empty();
    folder.write(
        "p.yaml",
        "sources: { in: { generate: { fields: { n: \"1\" }, rate: 200 } } }\n\
         windows: { all: { from: in, tumbling: 1d, aggregate: { n: count(*) } } }\n\
         sinks: { out: { from: all, file: { path: out.json } } }\n",
    );
    let data = ["--data-dir", "d"];
    let mut child =
        common::headwater(folder.path(), &["run", "-q", "p.yaml", "--data-dir", "d"]).spawn().unwrap();
    let verb = |words: &[&str]| folder.run(&[words, &data, &["--format", "json"]].concat());
    let status = || {
        let said = verb(&["status"]).stdout;
        serde_json::from_str::<Value>(&said).unwrap_or_default()["pipelines"][0].clone()
    };
    let read = || status()["nodes"][0]["received"].as_u64().unwrap_or_default();
    common::until("events come", || read() > 10);
    assert_eq!(verb(&["pause", "p"]).succeeded().stdout, "{\"name\":\"p\",\"state\":\"paused\"}\n");
    // What is under way is counted soon; then nothing more comes.
    common::pause(500);
    let before = read();
    common::pause(500);
    assert_eq!((read(), status()["state"].as_str()), (before, Some("paused")));
    verb(&["resume", "p"]).succeeded();
    let tapped = verb(&["tap", "p.in", "--limit", "3"]).succeeded().stdout;
    let shown = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|event| event.is_object());
    assert_eq!(tapped.lines().filter(|line| shown(line)).count(), 3, "{tapped}");
    assert!(verb(&["tap", "p.inn"]).stderr.contains("did you mean `in`?"));
    common::until("events come again", || read() > before);
    assert!(verb(&["pause", "q"]).stderr.contains("there is no pipeline `q`"));
    let saved = folder.path().join("saved");
    verb(&["stop", "p", "--savepoint", saved.to_str().unwrap()]).succeeded();
    assert_eq!(common::wait(&mut child).code(), Some(0));
    assert!(saved.is_file());
    assert_eq!(folder.read("out.json"), "", "no window fires");
    let mut child =
        common::headwater(folder.path(), &["run", "-q", "p.yaml", "--data-dir", "d"]).spawn().unwrap();
    common::until("events come", || read() > 10);
    verb(&["stop", "p", "--drain"]).succeeded();
    assert_eq!(common::wait(&mut child).code(), Some(0));
    assert!(folder.read("out.json").starts_with("{"), "windows fire");
}
