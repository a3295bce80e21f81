//! What a client is told.

use crate::Listener;
use crate::client::{Client, gzip, post, send};

#[test]
fn each_refusal_says_what_is_wrong() {
    let listener = Listener::start(", max_body: 1000B, token: sesame", "", &[]);
    let port = listener.port;
    let is = |answer: crate::client::Answer, status: u16, header: &str| {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.headers.contains(header), "{answer:?}");
        assert!(answer.body.starts_with("{\"error\":\"") && answer.body.ends_with("\"}\n"), "{answer:?}");
    };
    let token = "Authorization: Bearer sesame\r\n";
    let with = |headers: &str| format!("{token}{headers}");
    is(send(port, "POST /out HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"), 404, "");
    is(send(port, "POST /in/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"), 404, "");
    is(send(port, "GET /in HTTP/1.1\r\nHost: h\r\n\r\n"), 405, "allow: post\r\n");
    is(post(port, "", "{}"), 401, "www-authenticate: bearer\r\n");
    is(post(port, "Authorization: Bearer sesam\r\n", "{}"), 401, "");
    is(post(port, "Authorization: Basic sesame\r\n", "{}"), 401, "");
    is(post(port, "Authorization: B\r\n", "{}"), 401, "");
    is(post(port, &with("Content-Encoding: br\r\n"), "{}"), 415, "accept-encoding: gzip\r\n");
    is(post(port, token, "x".repeat(1001)), 413, "");
    let packed = with("Content-Encoding: gzip\r\n");
    is(post(port, &packed, gzip("x".repeat(1001).as_bytes())), 413, "");
    is(post(port, &packed, "{}"), 400, "");
    is(post(port, token, ""), 400, "");
    is(post(port, token, " \r\n"), 400, "");
    let chunked = "POST /in HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n";
    let long = "x".repeat(1001);
    is(send(port, &format!("{chunked}{token}\r\n3e9\r\n{long}\r\n0\r\n\r\n")), 413, "");
    assert_eq!(send(port, "what is this\r\n\r\n").status, 400);
    assert_eq!(send(port, &format!("{chunked}{token}\r\n7\r\n{{\"a\":1}}\r\n0\r\n\r\n")).status, 202);
    // The scheme has no case, and what stands behind the path is not looked at.
    let loud = "POST /in?a=b HTTP/1.1\r\nHost: h\r\nauthorization: BEARER sesame\r\nContent-Length: 7\r\n\r\n{\"a\":2}";
    assert_eq!(send(port, loud).status, 202);
    assert_eq!(listener.lines(2), ["{\"a\":1}", "{\"a\":2}"]);
    let (said, folder) = listener.running.stop();
    assert!(!said.contains("sesame"), "{said}");
    assert_eq!(folder.read("rejected.ndjson"), "");
}

#[test]
fn pages_of_a_browser_need_a_token() {
    let page = ["Origin: https://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: Cross-Site\r\n"];
    let open = Listener::start("", "", &[]);
    for header in page {
        let answer = post(open.port, header, "{}");
        assert!(answer.status == 403 && answer.body.contains("token"), "{answer:?}");
    }
    assert_eq!(post(open.port, "Sec-Fetch-Site: none\r\n", "{\"n\":1}").status, 202);
    assert_eq!(open.lines(1), ["{\"n\":1}"]);
    open.running.stop();
    let guarded = Listener::start(", token: sesame", "", &[]);
    let header = format!("Authorization: Bearer sesame\r\n{}", page[0]);
    assert_eq!(post(guarded.port, &header, "{}").status, 202);
    guarded.running.stop();
}

#[test]
fn a_connection_serves_many_requests() {
    let listener = Listener::start("", "", &[]);
    let mut client = Client::connect(listener.port).unwrap();
    for n in 0..5 {
        let answer = client.post("", format!("{{\"n\":{n}}}").as_bytes()).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    }
    // What is answered went through, so it is there.
    assert_eq!(listener.running.lines().len(), 5);
    listener.running.stop();
}

#[test]
fn the_token_may_come_from_outside_and_is_shown_nowhere() {
    let folder = crate::common::Folder::empty();
    folder.write("token", "open-sesame");
    folder.write("p.yaml", crate::pipeline(8088, ", token: '${file:token}'", ""));
    let ran = folder.run(&["explain", "p.yaml"]).succeeded();
    assert!(ran.stdout.contains("http POST http://127.0.0.1:8088/in, with a token"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("open-sesame"));
    let ran = folder.run(&["check", "--connect", "p.yaml"]).succeeded();
    assert!((ran.stdout + &ran.stderr).contains("127.0.0.1:8088 is "));
}
