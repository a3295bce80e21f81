//! What bodies become.

use crate::Listener;
use crate::client::{gzip, post};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[test]
fn a_body_may_hold_many_events() {
    let listener = Listener::start("", "", &[]);
    let bodies: [(&str, &[u8]); 6] = [
        ("", b"{\"n\":1}"),
        ("Content-Type: application/json\r\n", b"[\n  {\"n\":2},\n  {\"n\":3}\n]\n"),
        ("Content-Type: application/x-ndjson\r\n", b"{\"n\":4}\n\n{\"n\":5}\n"),
        ("Content-Encoding: gzip\r\n", &gzip(b"{\"n\":6}\n{\"n\":7}")),
        (FORM, b"n=8&t=x+y%21"),
        // As curl does by itself.
        (FORM, b"{\"n\":9}"),
    ];
    for (headers, body) in bodies {
        assert_eq!(post(listener.port, headers, body).status, 202);
    }
    let mut expected: Vec<String> = (1..10).map(|n| format!("{{\"n\":{n}}}")).collect();
    expected[7] = "{\"n\":\"8\",\"t\":\"x y!\"}".to_owned();
    expected.sort();
    assert_eq!(listener.lines(9), expected);
    listener.running.stop();
}

#[test]
fn what_cannot_be_read_is_rejected_and_nothing_else() {
    let listener = Listener::start("", "", &[]);
    for body in ["{\"n\":1}\n{\"n\":\n{\"n\":2}", "no json", "7"] {
        assert_eq!(post(listener.port, "", body).status, 202);
    }
    assert_eq!(listener.lines(2), ["{\"n\":1}", "{\"n\":2}"]);
    let (_, folder) = listener.running.stop();
    let rejected = folder.read("rejected.ndjson");
    assert_eq!(rejected.lines().count(), 3, "{rejected}");
    assert!(rejected.contains("no json"), "{rejected}");
}

#[test]
fn formats_read_each_body_by_itself() {
    let csv = Listener::start("", "    format: csv", &[]);
    assert_eq!(post(csv.port, "", "a,b\n1,2\n").status, 202);
    assert_eq!(post(csv.port, "", "b,a\n3,4\n5,6").status, 202);
    assert_eq!(csv.lines(3), [r#"{"a":"1","b":"2"}"#, r#"{"b":"3","a":"4"}"#, r#"{"b":"5","a":"6"}"#]);
    csv.running.stop();
    // Only `json` takes forms apart.
    let text = Listener::start("", "    format: text", &[]);
    assert_eq!(post(text.port, FORM, "a=1&b=2").status, 202);
    assert_eq!(post(text.port, "", "second\nthird").status, 202);
    let lines = ["a=1&b=2", "second", "third"].map(|line| format!("{{\"line\":\"{line}\"}}"));
    assert_eq!(text.lines(3), lines);
    text.running.stop();
    // The last line needs no end.
    let lines = Listener::start("", "    format: { regex: '^(?<n>.)$' }", &[]);
    assert_eq!(post(lines.port, "", "1\n2\n3").status, 202);
    assert_eq!(lines.lines(3), [r#"{"n":"1"}"#, r#"{"n":"2"}"#, r#"{"n":"3"}"#]);
    lines.running.stop();
}

#[test]
fn headers_and_path_can_be_asked_for() {
    let transform = "transforms:
  told: { from: in, set: { unit: \"source_header('x-unit')\", path: source_topic(), no: \"source_header('none')\", at: source_offset() } }";
    let folder = crate::common::Folder::empty();
    let port = crate::servers::free_port();
    let text = crate::pipeline(port, "", transform).replace("out: { from: in,", "out: { from: told,");
    let running = crate::process::Running::start_in(folder, &text, &[]);
    running.until_said("listens on");
    assert_eq!(post(port, "X-Unit: mm\r\nX-UNIT: inch\r\n", "[{\"n\":1},{\"n\":2}]").status, 202);
    assert_eq!(post(port, "x-unit: \u{b5}m\r\n", "{\"n\":3}").status, 202);
    assert_eq!(
        running.until_lines(3),
        [
            r#"{"n":1,"unit":"mm, inch","path":"/in","no":null,"at":null}"#,
            r#"{"n":2,"unit":"mm, inch","path":"/in","no":null,"at":null}"#,
            "{\"n\":3,\"unit\":\"\u{b5}m\",\"path\":\"/in\",\"no\":null,\"at\":null}",
        ]
    );
    running.stop();
}

#[test]
fn a_request_that_is_repeated_with_its_key_is_taken_once() {
    let listener = Listener::start("", "    id: source_header('Idempotency-Key')", &["--data-dir", "data"]);
    let key = |key: &str| format!("Idempotency-Key: {key}\r\n");
    for _ in 0..3 {
        assert_eq!(post(listener.port, &key("a"), "[{\"n\":1},{\"n\":1},{\"n\":2}]").status, 202);
    }
    assert_eq!(post(listener.port, &key("b"), "{\"n\":1}").status, 202);
    // Its number in its request is no part of a key.
    assert_eq!(post(listener.port, &key("a2"), "{\"n\":3}").status, 202);
    assert_eq!(post(listener.port, "", "{\"n\":4}\n{\"n\":4}").status, 202);
    let expected = [1, 1, 1, 2, 3, 4, 4].map(|n| format!("{{\"n\":{n}}}"));
    assert_eq!(listener.lines(7), expected);
    let (_, _folder) = listener.running.stop();
}
