//! When a request is answered, and that a stop loses none.

use crate::client::{Client, post};
use crate::common::{Folder, until};
use crate::process::Running;
use crate::servers::free_port;
use crate::{Listener, pipeline};
use std::net::TcpListener;

#[test]
fn what_was_answered_survives_a_kill_however_it_is_kept() {
    for durable in ["journal", "checkpoint"] {
        let (folder, port) = (Folder::empty(), free_port());
        let text = pipeline(port, "", &format!("    durable: {durable}"))
            .replace("stdout: {}", "file: { path: out.ndjson }")
            .replace("sources:", "options: { delivery: exactly_once, checkpoint: 100ms }\nsources:");
        folder.write("p.yaml", text);
        for n in 0..3 {
            let victim = crate::victim::Victim::start(&folder, &[]);
            let mut answer = None;
            until("somebody who listens", || {
                let mut client = Client::connect(port).ok();
                let told = client
                    .as_mut()
                    .and_then(|client| client.post("", format!("{{\"n\":{n}}}").as_bytes()).ok());
                answer = told;
                answer.is_some()
            });
            assert_eq!(answer.unwrap().status, 202);
            victim.kill();
        }
        let victim = crate::victim::Victim::start(&folder, &[]);
        until("all lines", || folder.read("out.ndjson").lines().count() >= 3);
        let said = victim.stop();
        assert_eq!(folder.read("out.ndjson"), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n", "{durable}: {said}");
    }
}

#[test]
fn a_stop_answers_what_it_has_taken() {
    // Nothing is written of itself before the stop.
    let listener = Listener::start("", "    durable: { journal: { sync: 1m } }", &["--data-dir", "data"]);
    let mut client = Client::connect(listener.port).unwrap();
    client.write("POST /in HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n{\"n\":1}").unwrap();
    listener.running.until_lines(1);
    listener.running.stop();
    assert_eq!(client.read().unwrap().status, 202);
}

#[test]
fn an_address_that_is_taken_is_told_once_and_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let running = Running::start(&pipeline(port, "", ""));
    running.until_said(&format!("cannot listen on 127.0.0.1:{port}"));
    drop(taken);
    running.until_said(&format!("listens on http://127.0.0.1:{port}"));
    assert_eq!(post(port, "", "{\"n\":1}").status, 202);
    let (said, _) = running.stop();
    assert_eq!(said.matches("cannot listen").count(), 1, "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let running = Running::start(&pipeline(port, "", "    startup: fail"));
    let (status, said) = running.finish();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("another process, or another source, listens there"), "{said}");
}
