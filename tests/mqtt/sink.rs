//! The sink, and the way from sink to source.

use crate::broker::{Broker, free_port};
use crate::common::Folder;
use crate::process::{Running, pass};
use std::time::Duration;

fn publishing(url: &str, count: u32, options: &str) -> String {
    format!(
        "sources: {{ made: {{ generate: {{ count: {count}, fields: {{ n: sequence(), k: \"'k' || CAST(sequence() % 3 AS TEXT)\" }} }} }} }}\n\
         sinks: {{ out: {{ from: made, mqtt: {{ url: '{url}', topic: 'loop/{{k}}', {options} }} }} }}\n"
    )
}

#[test]
fn what_is_published_comes_back() {
    let Some(broker) = Broker::open() else { return };
    for (version, qos) in [("5", 0), ("5", 1), ("5", 2), ("3.1.1", 0), ("3.1.1", 1), ("3.1.1", 2)] {
        let url = broker.url();
        let reading = Running::start(&format!(
            "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: ['loop/+'], qos: {qos}, topic_fields: 'loop/{{topic}}' }}, durable: none }} }}\n\
             transforms: {{ t: {{ from: in, select: {{ n: n, topic: topic, k: k, p: source_header('p') }} }} }}\n\
             sinks: {{ out: {{ from: t, stdout: {{}} }} }}\n"
        ));
        reading.until_connected();
        let properties = if version == "5" { ", properties: { p: '{n * 2}' }" } else { "" };
        // A broker may drop what it cannot hand on at once, where nothing is promised.
        let count = if qos == 0 { 100 } else { 1000 };
        let text = publishing(&url, count, &format!("version: {version}, qos: {qos}{properties}"));
        let (status, said) = Running::start(&text).finish();
        assert_eq!(status, Some(0), "{said}");
        let lines = reading.until_lines(count as usize);
        let line = |n: u32| {
            let p = if version == "5" { format!("\"{}\"", n * 2) } else { "null".to_owned() };
            format!("{{\"n\":{n},\"topic\":\"k{0}\",\"k\":\"k{0}\",\"p\":{p}}}", n % 3)
        };
        let expected: Vec<String> = (0..count).map(line).collect();
        assert_eq!(lines, expected, "{version} {qos}");
    }
}

#[test]
fn each_message_has_an_id_of_its_own() {
    let Some(broker) = Broker::open() else { return };
    let url = broker.url();
    let reading = Running::start(&format!(
        "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: ['loop/+'] }} }} }}\n\
         transforms: {{ t: {{ from: in, select: {{ id: source_header('headwater-id') }} }} }}\n\
         sinks: {{ out: {{ from: t, stdout: {{}} }} }}\n"
    ));
    reading.until_connected();
    for options in ["", "properties: { headwater-id: 'x{n}' }", "qos: 0"] {
        let (status, said) = Running::start(&publishing(&url, 3, options)).finish();
        assert_eq!(status, Some(0), "{said}");
    }
    let lines = reading.until_lines(9);
    let is_ours = |line: &String| line.starts_with(r#"{"id":""#) && line.len() == r#"{"id":""}"#.len() + 18;
    assert!(lines[..3].iter().all(is_ours), "{lines:?}");
    assert!(lines[0] != lines[1] && lines[1] != lines[2], "{lines:?}");
    assert_eq!(lines[3..6], [r#"{"id":"x0"}"#, r#"{"id":"x1"}"#, r#"{"id":"x2"}"#]);
    assert_eq!(lines[6..], [r#"{"id":null}"#; 3]);
}

#[test]
fn a_message_of_csv_has_its_own_header() {
    let Some(broker) = Broker::open() else { return };
    let url = broker.url();
    let reading = Running::start(&format!(
        "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: ['loop/+'] }}, format: csv }} }}\n\
         sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
    ));
    reading.until_connected();
    let (status, said) = Running::start(&publishing(&url, 3, "} , format: { csv: {} ")).finish();
    assert_eq!(status, Some(0), "{said}");
    let expected = [r#"{"n":"0","k":"k0"}"#, r#"{"n":"1","k":"k1"}"#, r#"{"n":"2","k":"k2"}"#];
    assert_eq!(reading.until_lines(3), expected);
}

#[test]
fn topics_that_cannot_be_are_rejected() {
    let Some(broker) = Broker::open() else { return };
    let folder = Folder::empty();
    folder.write("in", "{\"t\":\"a\"}\n{\"t\":\"b+\"}\n{\"t\":\"\"}\n{\"t\":null}\n{\"t\":[1]}\n");
    let url = broker.url();
    let text = format!(
        "sources: {{ in: {{ file: {{ path: in }} }} }}\n\
         sinks: {{ out: {{ from: in, mqtt: {{ url: '{url}', topic: '{{t}}', retain: true }} }} }}\n"
    );
    let running = Running::start_in(folder, &text, &[]);
    let (_, said) = running.finish();
    for reason in ["`+` and `#` cannot stand in it", "a topic cannot be empty", "`t` is null"] {
        assert!(said.contains(reason), "{said}");
    }
    assert!(said.contains("3 rejected by `out`"), "{said}");
}

#[test]
fn an_unreachable_broker_holds_the_pipeline_and_loses_nothing() {
    let Some(mut broker) = Broker::persistent() else { return };
    let url = broker.url();
    let reading = Running::start(&format!(
        "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: ['loop/+'], client_id: r }} }} }}\n\
         sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
    ));
    reading.until_connected();
    broker.stop();
    let running = Running::start(&publishing(&url, 20_000, ""));
    running.until_said("nothing listens there");
    pass(Duration::from_millis(300));
    broker.run_and_wait();
    let (status, said) = running.finish();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("20,000 events in, 20,000 out"), "{said}");
    let mut lines = reading.until_lines(20_000);
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 20_000);
}

#[test]
fn a_stop_without_a_broker_says_what_is_lost() {
    let url = format!("mqtt://127.0.0.1:{}", free_port());
    let running = Running::start(&publishing(&url, 10, ""));
    running.until_said("nothing listens there");
    pass(Duration::from_millis(500));
    let (status, said, _) = running.stop_anyhow();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("has not taken 10 events within 5s of the stop: they are lost"), "{said}");
}

#[test]
fn what_a_broker_forbids_leaves_by_the_port() {
    let port = free_port();
    let listener = format!("listener {port} 127.0.0.1\nallow_anonymous true\nacl_file FOLDER/acl\n");
    let Some(mut broker) = Broker::prepare(port, &listener) else { return };
    broker.folder().write("acl", "topic readwrite loop/k0\ntopic readwrite loop/k1\n");
    broker.run_and_wait();
    for data in [&[][..], &["--data-dir", "data"]] {
        let folder = Folder::empty();
        let text = publishing(&broker.url(), 300, "version: 5, qos: 1");
        let back = "sinks: { back: { from: out.rejected, file: { path: back.ndjson } },";
        folder.write("p.yaml", text.replacen("sinks: {", back, 1));
        let ran = folder.run(&[&["run", "p.yaml"], data].concat()).succeeded();
        let back = folder.read("back.ndjson");
        let number = |line: &str| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((&row["kind"], &row["node"]), (&"refused".into(), &"out".into()), "{line}");
            let event: serde_json::Value = serde_json::from_str(row["raw"].as_str().unwrap()).unwrap();
            event["n"].as_u64().unwrap()
        };
        let numbers: Vec<u64> = back.lines().map(number).collect();
        assert_eq!(numbers, (0..300).filter(|n| n % 3 == 2).collect::<Vec<_>>(), "{}", ran.stderr);
    }
}
