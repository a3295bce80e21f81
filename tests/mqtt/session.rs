//! What happens when the broker or the program is away.

use crate::broker::{Broker, free_port};
use crate::common::Folder;
use crate::process::{Running, pass};
use std::time::Duration;

fn pipeline(url: &str, beside: &str) -> String {
    format!(
        "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: [t] }}{beside} }} }}\n\
         sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
    )
}

#[test]
fn a_broker_that_comes_later_is_awaited() {
    let port = free_port();
    let config = format!("listener {port} 127.0.0.1\nallow_anonymous true\n");
    let Some(mut broker) = Broker::prepare(port, &config) else { return };
    let running = Running::start(&pipeline(&broker.url(), ""));
    running.until_said("nothing listens there; next attempt in");
    broker.run_and_wait();
    running.until_connected();
    broker.publish("t", r#"{"n":1}"#);
    running.until_lines(1);
    let (said, _) = running.stop();
    assert_eq!(said.matches("nothing listens").count(), 1, "once a change: {said}");
}

#[test]
fn with_startup_fail_a_broker_that_is_away_ends_the_run() {
    let url = format!("mqtt://127.0.0.1:{}", free_port());
    let (status, said) = Running::start(&pipeline(&url, ", startup: fail")).finish();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("source `in`: no connection to mqtt://127.0.0.1"), "{said}");
    let Some(broker) = Broker::open() else { return };
    let running = Running::start(&pipeline(&broker.url(), ", startup: fail"));
    running.until_connected();
}

#[test]
fn with_a_data_directory_nothing_is_missed_meanwhile() {
    let Some(broker) = Broker::open() else { return };
    let text = pipeline(&broker.url(), ", durable: none");
    let arguments = ["--data-dir", "data"];
    let running = Running::start_in(Folder::empty(), &text, &arguments);
    running.until_connected();
    broker.publish("t", r#"{"n":1}"#);
    running.until_lines(1);
    let (said, folder) = running.stop();
    assert!(said.contains("a new session"), "{said}");
    broker.publish("t", r#"{"n":2}"#);
    broker.publish("t", r#"{"n":3}"#);
    let running = Running::start_in(folder, &text, &arguments);
    running.until_said("the session goes on");
    // What was read before the stop was acknowledged and does not come again.
    assert_eq!(running.until_lines(2), [r#"{"n":2}"#, r#"{"n":3}"#]);
    let id = running.read("data/instance");
    assert_eq!(id.trim().len(), 16, "{id}");
    let second = Running::start_in(Folder::empty(), &text, &["--data-dir", "data"]);
    second.until_connected();
    assert_ne!(second.read("data/instance"), id);
}

#[test]
fn one_configuration_in_two_processes_gets_all_twice() {
    let Some(broker) = Broker::open() else { return };
    let text = pipeline(&broker.url(), "");
    let without = [Running::start(&text), Running::start(&text)];
    let with = [1, 2].map(|_| Running::start_in(Folder::empty(), &text, &["--data-dir", "data"]));
    let all: Vec<&Running> = without.iter().chain(&with).collect();
    all.iter().for_each(|running| _ = running.until_connected());
    let lines: String = (0..100).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    broker.publish_lines("t", &lines, "1");
    for running in all {
        assert_eq!(running.until_lines(100).join("\n") + "\n", lines);
        assert_eq!(running.read("stderr").matches("connected to").count(), 1, "nobody was sent away");
    }
}

#[test]
fn a_connection_that_brings_nothing_is_made_anew() {
    let Some(broker) = Broker::open() else { return };
    let running = Running::start(&pipeline(&broker.url(), ", stale_after: 1s"));
    running.until_said("connecting anew to").until_said("nothing has come for 1s");
    running.until_said("the broker has no session of us");
    pass(Duration::from_millis(200));
    let (said, _) = running.stop();
    assert!(said.contains("reconnected at `in`"), "{said}");
}

#[test]
fn a_session_that_outlives_the_connection_brings_each_message_once() {
    let Some(mut broker) = Broker::persistent() else { return };
    for (version, qos) in [("5", "1"), ("5", "2"), ("3.1.1", "2")] {
        let url = broker.url();
        let id = format!("c{}{qos}", version.len());
        let running = Running::start(&format!(
            "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: [t], client_id: {id}, version: {version}, qos: {qos} }}, durable: none }} }}\n\
             sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
        ));
        running.until_connected();
        let lines = |from: u32| (from..from + 300).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>();
        broker.publish_lines("t", &lines(0), qos);
        running.until_lines(300);
        broker.stop();
        running.until_said("no connection to");
        broker.run_and_wait();
        running.until_said("the session goes on");
        broker.publish_lines("t", &lines(300), qos);
        assert_eq!(running.until_lines(600).join("\n") + "\n", lines(0) + &lines(300), "{version} {qos}");
        running.stop();
    }
}

#[test]
fn a_pipeline_that_stands_still_keeps_its_connection() {
    let Some(broker) = Broker::open() else { return };
    let (url, nowhere) = (broker.url(), format!("mqtt://127.0.0.1:{}", free_port()));
    let text = |qos: u8| {
        format!(
            "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: [t], qos: {qos}, keep_alive: 5s }} }} }}\n\
             sinks: {{ out: {{ from: in, mqtt: {{ url: '{nowhere}', topic: t }} }} }}\n"
        )
    };
    let [certain, uncertain] = [Running::start(&text(1)), Running::start(&text(0))];
    certain.until_connected();
    uncertain.until_connected();
    let lines: String = (0..40_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    broker.publish_lines("t", &lines, "1");
    uncertain.until_said("come faster than they can be handled: discarding");
    // A broker gives a client up after one and a half times its keep-alive.
    pass(Duration::from_secs(9));
    for running in [certain, uncertain] {
        let (status, said, _) = running.stop_anyhow();
        assert_eq!(status.code(), Some(1), "what is unacknowledged is said to be lost: {said}");
        assert_eq!(said.matches("connected to").count(), 1, "{said}");
        assert!(said.matches("discarding").count() <= 1, "{said}");
    }
}
