//! What requests look like.

use crate::common::{Folder, project};
use crate::process::Running;
use crate::server::{Server, TAKEN};
use crate::{dead_letters, pipeline, run, taken};

const THREE: [&str; 3] = ["{\"n\":1,\"to\":\"a\"}", "{\"n\":2,\"to\":\"b\"}", "{\"n\":3,\"to\":\"b\"}"];

fn posted(
    options: &str,
    beside: &str,
    path: &str,
    lines: &[&str],
) -> (Vec<(String, String)>, Server, Folder) {
    let server = Server::start(|_, _| TAKEN);
    let (ran, folder) = run(&pipeline(&format!("{}{path}", server.url()), options, beside), lines);
    ran.succeeded();
    (taken(&server), server, folder)
}

#[test]
fn an_event_is_a_request() {
    let (taken, server, _) = posted("auth: { bearer: secret }", "", "/e", &THREE);
    let all: Vec<(String, String)> = THREE.iter().map(|line| ("/e".to_owned(), (*line).to_owned())).collect();
    assert_eq!(taken, all);
    let first = &server.seen()[0];
    assert_eq!((first.method.as_str(), first.headers["content-type"].as_str()), ("POST", "application/json"));
    assert_eq!(first.headers["authorization"], "Bearer secret");
    assert!(first.headers["user-agent"].starts_with("headwater/"));
    assert_eq!(first.headers["host"], format!("127.0.0.1:{}", server.port));
}

#[test]
fn events_of_one_url_and_headers_go_together_in_order() {
    let beside = "batch: { events: 10, every: 20s }";
    let (taken, server, _) =
        posted("body: ndjson\n      method: PUT\n      headers: { X-N: '{to}' }", beside, "/?q=A B", &THREE);
    let lines = |range: std::ops::Range<usize>| THREE[range].join("\n") + "\n";
    assert_eq!(taken, [("/?q=A%20B".to_owned(), lines(0..1)), ("/?q=A%20B".to_owned(), lines(1..3))]);
    let seen = server.seen();
    assert_eq!((seen[0].method.as_str(), seen[1].headers["x-n"].as_str()), ("PUT", "b"));
    assert_eq!(seen[0].headers["content-type"], "application/x-ndjson");
    let (taken, ..) = posted("body: array", beside, "/{to}", &THREE);
    let list = format!("[{}]", THREE[1..].join(","));
    assert_eq!(taken, [("/a".to_owned(), format!("[{}]", THREE[0])), ("/b".to_owned(), list)]);
}

#[test]
fn values_in_a_url_are_encoded_by_where_they_stand() {
    let odd = "{\"to\":\"a/b?c=d&e=ä #\"}";
    let (taken, _, folder) =
        posted("", "", "/in/{to}/x?to={to}&n=1", &[odd, "{\"to\":\"..\"}", "{\"to\":\"..x\"}"]);
    let paths: Vec<&str> = taken.iter().map(|(path, _)| path.as_str()).collect();
    let first = "/in/a%2Fb%3Fc%3Dd%26e%3D%C3%A4%20%23/x?to=a/b%3Fc%3Dd%26e%3D%C3%A4%20%23&n=1";
    assert_eq!(paths, [first, "/in/..x/x?to=..x&n=1"]);
    assert!(dead_letters(&folder).contains("lead elsewhere"));
    // A whole URL is what it is.
    let server = Server::start(|_, _| TAKEN);
    let line = format!("{{\"url\":\"{}/a/b?c=d\"}}", server.url());
    run(&pipeline("{url}", "", ""), &[&line]).0.succeeded();
    assert_eq!(crate::taken(&server)[0].0, "/a/b?c=d");
}

#[test]
fn batches_are_full_by_events_bytes_or_time() {
    let bodies = |beside: &str| {
        let (taken, ..) = posted("body: ndjson", beside, "", &THREE);
        taken.iter().map(|(_, body)| body.lines().count()).collect::<Vec<_>>()
    };
    assert_eq!(bodies("batch: { events: 2, every: 20s }"), [2, 1]);
    assert_eq!(bodies("batch: { bytes: 30B, every: 20s }"), [1, 1, 1]);
    let server = Server::start(|_, _| TAKEN);
    let lasting = pipeline(&server.url(), "body: ndjson", "batch: { every: 50ms }");
    let lasting = lasting.replace("path: in.ndjson", "path: in.ndjson, follow: true");
    let folder = Folder::empty();
    folder.write("in.ndjson", THREE.join("\n") + "\n");
    let running = Running::start_in(folder, &lasting, &["--data-dir", "data"]);
    server.until_seen(1);
    running.stop();
    let taken: String = taken(&server).into_iter().map(|(_, body)| body).collect();
    assert_eq!(taken, THREE.join("\n") + "\n");
}

#[test]
fn a_template_is_a_body() {
    let body = "body: '{{\"text\": {json_text(to || ''\"'')}, \"n\": {n}}'";
    let (taken, ..) = posted(body, "", "", &THREE[..1]);
    assert_eq!(taken[0].1, "{\"text\": \"a\\\"\", \"n\": 1}");
    let bulk = "headers: { Content-Type: application/x-ndjson }\n      body: \"{{\\\"create\\\": {{}}\\n{{\\\"n\\\": {n}}\\n\"";
    let (taken, ..) = posted(bulk, "batch: { events: 2 }", "/_bulk", &THREE);
    assert_eq!(taken[0].1, "{\"create\": {}}\n{\"n\": 1}\n{\"create\": {}}\n{\"n\": 2}\n");
    assert_eq!(taken.len(), 2);
}

#[test]
fn what_makes_no_request_is_rejected() {
    let (posted_, _, folder) =
        posted("body: '{{\"text\": \"{to}\"}'", "", "/{n}", &["{\"to\":\"x\\\"\",\"n\":1}", THREE[1], "{}"]);
    assert_eq!(posted_, [("/2".to_owned(), "{\"text\": \"b\"}".to_owned())]);
    let dead = dead_letters(&folder);
    assert!(dead.contains("it is not JSON") && dead.contains("`n` is null"), "{dead}");
}

/// The recipe as it stands, but for where readings come from.
#[test]
fn incidents_are_as_pagerduty_wants_them() {
    let server = Server::start(|_, _| TAKEN);
    let recipe = std::fs::read_to_string(project("pipelines/pagerduty.yaml")).unwrap();
    let (before, rest) = recipe.split_once("    mqtt:\n").unwrap();
    let (_, after) = rest.split_once("    event_time: ").unwrap();
    let folder = Folder::empty();
    folder.write(
        "p.yaml",
        format!("{before}    file: {{ path: in.ndjson }}\n    event_time: {after}")
            .replace(", idle_after: 10s", ""),
    );
    let readings = [(1, 85.0), (2, 86.0), (3, 87.5), (10, 70.0), (70, 69.0)];
    let line = |(time, temp): (u32, f64)| {
        format!("{{\"machine\":\"m \\\"1\\\"\",\"time\":{time}000,\"temp\":{temp:?}}}\n")
    };
    folder.write("in.ndjson", readings.map(line).concat());
    let mut command = crate::common::headwater(folder.path(), &["run", "p.yaml", "--data-dir", "data"]);
    command.env("PAGERDUTY_URL", format!("{}/v2/enqueue", server.url())).env("PAGERDUTY_KEY", "R0UT1NG");
    assert!(command.status().unwrap().success());
    let sent: Vec<serde_json::Value> =
        server.taken().iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect();
    let incident = |action: &str, temp: &str| {
        serde_json::json!({
            "routing_key": "R0UT1NG", "event_action": action, "dedup_key": "heat/m \"1\"",
            "payload": { "summary": format!("m \"1\" is at {temp} °C"), "source": "m \"1\"", "severity": "critical" }
        })
    };
    assert_eq!(sent, [incident("trigger", "87.5"), incident("resolve", "69.0")]);
    assert_eq!(server.seen()[0].path, "/v2/enqueue");
}
