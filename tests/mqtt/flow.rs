//! Messages go through: versions, qualities of service, transports, topics, and what is no event.

use crate::broker::{Broker, free_port};
use crate::common::Folder;
use crate::process::Running;

fn passing(broker: &Broker, options: &str) -> Running {
    let url = broker.url();
    Running::start(&format!(
        "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: [t/#], {options} }}, durable: none }} }}\n\
         sinks: {{ out: {{ from: in, stdout: {{}} }}, bad: {{ from: in.rejected, file: {{ path: bad }} }} }}\n"
    ))
}

#[test]
fn both_versions_carry_all_qualities_of_service() {
    let Some(broker) = Broker::open() else { return };
    for version in ["5", "3.1.1"] {
        for qos in ["0", "1", "2"] {
            let running = passing(&broker, &format!("version: {version}, qos: {qos}"));
            running.until_connected();
            let lines: String = (0..500).map(|n| format!("{{\"n\":{n}}}\n")).collect();
            broker.publish_lines("t/a", &lines, qos);
            let mut seen = running.until_lines(500);
            // Of QoS 0 nothing promises the order, and nothing else.
            seen.sort_by_key(String::len);
            assert_eq!(seen.join("\n") + "\n", lines, "{version} {qos}");
            let (said, _) = running.stop();
            assert!(said.contains("500 events in, 500 out"), "{said}");
        }
    }
}

#[test]
fn a_websocket_carries_messages() {
    let (port, web) = (free_port(), free_port());
    let config = format!(
        "allow_anonymous true\nlistener {port} 127.0.0.1\nlistener {web} 127.0.0.1\nprotocol websockets\n"
    );
    let Some(broker) = Broker::start(port, web, &config) else { return };
    for version in ["5", "3.1.1"] {
        let running = Running::start(&format!(
            "sources: {{ in: {{ mqtt: {{ url: 'ws://127.0.0.1:{web}/mqtt', topics: a, version: {version} }} }} }}\n\
             sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
        ));
        running.until_connected();
        broker.publish("a", r#"{"n":1}"#);
        assert_eq!(running.until_lines(1), [r#"{"n":1}"#]);
    }
}

#[test]
fn topics_and_properties_become_fields() {
    let Some(broker) = Broker::open() else { return };
    let url = broker.url();
    let running = Running::start(&format!(
        "sources:\n  in:\n    mqtt: {{ url: '{url}', topics: ['site/#'], topic_fields: 'site/{{site}}/{{device}}' }}\n\
         transforms:\n  warm:\n    from: in\n    where: n > 0 AND site <> 'x'\n    set:\n      \
         topic: source_topic()\n      unit: source_header('unit')\n      none: source_key()\n\
         windows: {{ w: {{ from: warm, key: [device], count: {{ size: 2 }}, aggregate: {{ last: last(topic), \
         of: last(source_header('unit')) }} }} }}\n\
         sinks:\n  out: {{ from: warm, stdout: {{}} }}\n  counted: {{ from: w, file: {{ path: counted }} }}\n  \
         bad: {{ from: in.rejected, file: {{ path: bad }} }}\n"
    ));
    running.until_connected();
    let property = ["-V", "5", "-D", "publish", "user-property", "unit", "°C"];
    broker.publish_with("site/berlin/7", r#"{"site":"other","n":1}"#, &property);
    broker.publish("site/hamburg/7", r#"{"n":2}"#);
    broker.publish("site/hamburg", r#"{"n":3}"#);
    broker.publish("site/ä\"b/8", "{\n\"n\": 4}");
    let expected = [
        r#"{"site":"berlin","n":1,"device":"7","topic":"site/berlin/7","unit":"°C","none":null}"#,
        r#"{"n":2,"site":"hamburg","device":"7","topic":"site/hamburg/7","unit":null,"none":null}"#,
        r#"{ "n": 4,"site":"ä\"b","device":"8","topic":"site/ä\"b/8","unit":null,"none":null}"#,
    ];
    let seen = running.until_lines(3);
    assert_eq!(seen[..2], expected[..2]);
    assert_eq!(seen[2].replace(' ', ""), expected[2].replace(' ', ""));
    let (_, folder) = running.stop();
    let counted = folder.read("counted");
    assert!(counted.contains(r#""device":"7","last":"site/hamburg/7","of":"°C""#), "{counted}");
    let bad = folder.read("bad");
    assert!(bad.contains("the topic `site/hamburg` is not like `site/{site}/{device}`"), "{bad}");
}

#[test]
fn what_is_no_event_is_rejected_and_the_rest_goes_on() {
    let Some(broker) = Broker::open() else { return };
    broker.publish_with("t/kept", r#"{"n":0}"#, &["-r"]);
    let running = passing(&broker, "max_payload: 1KiB");
    running.until_connected();
    broker.publish("t/a", "");
    broker.publish("t/a", "{\"n\":1");
    broker.publish("t/a", &format!("{{\"n\":\"{}\"}}", "x".repeat(2000)));
    broker.publish("t/a", "[{\"n\":2},{\"n\":3}]");
    broker.publish("t/a", "\u{1}");
    broker.publish("t/a", r#"{"n":4}"#);
    let seen = running.until_lines(4);
    assert_eq!(seen, [r#"{"n":0}"#, r#"{"n":2}"#, r#"{"n":3}"#, r#"{"n":4}"#]);
    let (_, folder) = running.stop();
    let bad = folder.read("bad");
    let reasons: Vec<&str> = bad.lines().filter_map(|line| line.split('"').nth(3)).collect();
    assert_eq!(reasons.len(), 4, "{bad}");
    assert_eq!(reasons[0], "the message is empty");
    assert_eq!(reasons[2], "the message has 2008 bytes, more than `max_payload` (1024)");
}

#[test]
fn raw_messages_may_hold_any_bytes() {
    let Some(broker) = Broker::open() else { return };
    let url = broker.url();
    let running = Running::start(&format!(
        "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: a }}, format: raw }} }}\n\
         sinks: {{ out: {{ from: in, stdout: {{}} }}, bad: {{ from: in.rejected, file: {{ path: bad }} }} }}\n"
    ));
    running.until_connected();
    broker.publish_with("a", "", &["-q", "1"]);
    let file = broker.folder().write("bytes", b"\0\n\xff\n");
    let port = broker.port.to_string();
    let mut command = std::process::Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-t", "a", "-q", "1", "-f"]).arg(file);
    assert!(command.status().unwrap().success());
    let seen = running.until_lines(2);
    assert_eq!(seen, [r#"{"payload":""}"#, r#"{"payload":"AAr/Cg=="}"#]);
}

#[test]
fn a_shared_subscription_deals_messages_out() {
    let Some(broker) = Broker::open() else { return };
    let two = [passing(&broker, "shared_group: g"), passing(&broker, "shared_group: g")];
    two.iter().for_each(|running| _ = running.until_connected());
    let lines: String = (0..400).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    broker.publish_lines("t/a", &lines, "1");
    let counts = || two.iter().map(|running| running.lines().len()).collect::<Vec<_>>();
    let all = || (counts().iter().sum::<usize>() >= 400).then(counts);
    let counts = crate::process::patiently(all, || format!("{:?}", counts()));
    assert_eq!(counts.iter().sum::<usize>(), 400);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn a_wrong_password_is_said_and_never_shown() {
    let port = free_port();
    let config = format!("listener {port} 127.0.0.1\nallow_anonymous false\npassword_file FOLDER/users\n");
    let Some(mut broker) = Broker::prepare(port, &config) else { return };
    let users = broker.folder().write("users", "");
    let mut command = std::process::Command::new("mosquitto_passwd");
    assert!(command.args(["-b"]).arg(&users).args(["anna", "right-secret"]).status().unwrap().success());
    broker.run_and_wait();
    let running = passing(&broker, "username: anna, password: wrong-secret");
    running.until_said("the broker refuses the connection: not authorised; are `username`");
    let (said, _) = running.stop();
    assert!(!said.contains("wrong-secret"), "{said}");
    assert_eq!(said.matches("no connection").count(), 1, "once a change: {said}");
    passing(&broker, "username: anna, password: right-secret").until_connected();
}

const TESTED: &str = "
sources:
  in: { mqtt: { url: mqtt://nowhere, topics: ['a/+'], topic_fields: 'a/{line}' } }
transforms:
  t: { from: in, set: { where: source_topic(), who: instance() } }
sinks:
  out: { from: t, stdout: {} }
tests:
  - name: topics are fields of decoded events
    steps:
      - send: { in: [{ n: 1, line: b }] }
      - expect: { out: [{ n: 1, line: b, where: null, who: instance }] }
";

#[test]
fn tests_of_pipelines_need_no_broker() {
    let folder = Folder::empty();
    folder.write("p.yaml", TESTED);
    let ran = folder.run(&["test", "p.yaml"]).succeeded();
    assert!(ran.stdout.contains("1 passed") || ran.stderr.contains("1 passed"), "{ran:?}");
}

#[test]
fn files_have_paths_in_place_of_topics() {
    let folder = Folder::empty();
    folder.write("a", "{\"n\":1}\n");
    folder.write("b", "{\"n\":2}\n");
    let text = "sources: { in: { file: { path: [a, b] } }, made: { generate: { count: 1, fields: { n: 3 } } } }\n\
                transforms: { t: { from: [in, made], select: { n: n, from: source_topic(), at: source_offset() } } }\n\
                sinks: { out: { from: t, stdout: {} } }\n";
    folder.write("p.yaml", text);
    let ran = folder.run(&["run", "p.yaml"]).succeeded();
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    let expected = [
        r#"{"n":1,"from":"a","at":null}"#,
        r#"{"n":2,"from":"b","at":null}"#,
        r#"{"n":3,"from":null,"at":null}"#,
    ];
    assert_eq!(lines, expected);
}
