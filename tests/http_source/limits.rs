//! What is too much.

use crate::Listener;
use crate::client::{Client, post};
use crate::common::until;

#[test]
fn requests_beyond_the_rate_are_put_off() {
    let listener = Listener::start(", rate_limit: 1, token: t", "", &[]);
    let token = "Authorization: Bearer t\r\n";
    let mut put_off = None;
    // However slow this machine is, one of many comes within a second of another.
    until("a request beyond the rate", || {
        let answer = post(listener.port, token, "{\"n\":1}");
        assert!([202, 429].contains(&answer.status), "{answer:?}");
        put_off = Some(answer).filter(|answer| answer.status == 429);
        put_off.is_some()
    });
    let answer = put_off.unwrap();
    assert!(answer.headers.contains("retry-after: 1\r\n"), "{answer:?}");
    // Who may send nothing costs others nothing.
    (0..20).for_each(|_| assert_eq!(post(listener.port, "", "{}").status, 401));
    until("the next second", || post(listener.port, token, "{\"n\":2}").status == 202);
    listener.running.stop();
}

#[test]
fn what_would_take_too_much_memory_is_put_off() {
    let listener = Listener::start(", max_body: 16MiB", "", &[]);
    let head = |length: usize, more: &str| {
        format!("POST /in HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{more}\r\n")
    };
    let announce = || {
        let mut client = Client::connect(listener.port).unwrap();
        client.write(head(16 << 20, "Expect: 100-continue\r\n")).unwrap();
        let answer = client.read().unwrap();
        (answer.status, answer, client)
    };
    // Each is told to go on, and holds what it has announced.
    let mut waiting: Vec<_> = (0..3).map(|_| announce()).collect();
    assert!(waiting.iter().all(|(status, ..)| *status == 100));
    let (status, answer, _client) = announce();
    assert_eq!(status, 503, "{answer:?}");
    assert!(answer.headers.contains("retry-after: 1\r\n"), "{answer:?}");
    assert_eq!(post(listener.port, "", "{\"n\":1}").status, 202, "it is small");
    // One that goes away makes room.
    waiting.pop();
    until("room", || announce().0 == 100);
    // And one that has sent all is taken.
    let (_, _, client) = &mut waiting[0];
    let body = format!("{{\"n\":2}}{}", " ".repeat((16 << 20) - 7));
    client.write(&body[..1000]).unwrap();
    client.write(&body[1000..]).unwrap();
    assert_eq!(client.read().unwrap().status, 202);
    assert_eq!(listener.lines(2), ["{\"n\":1}", "{\"n\":2}"]);
    listener.running.stop();
}

#[test]
fn heads_have_limits() {
    let listener = Listener::start("", "", &[]);
    let many: String = (0..65).map(|n| format!("h{n}: x\r\n")).collect();
    assert_eq!(post(listener.port, &many, "{}").status, 431);
    let long = format!("long: {}\r\n", "x".repeat(20_000));
    let mut client = Client::connect(listener.port).unwrap();
    // It may be refused before it has arrived.
    let answer = client.post(&long, b"{}");
    assert!(answer.is_err() || answer.unwrap().status == 431);
    assert_eq!(post(listener.port, "", "{}").status, 202);
    listener.running.stop();
}
