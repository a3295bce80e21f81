//! Servers that are away, slow, or refuse.

use crate::common::{Folder, until};
use crate::process::Running;
use crate::server::{Answer, Server, TAKEN};
use crate::{dead_letters, pipeline, run, taken};
use std::time::Duration;

/// Events with their numbers.
fn lines(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":{n}}}")).collect()
}

fn run_lines(pipeline: &str, count: usize) -> (crate::Ran, Folder) {
    let lines = lines(count);
    run(pipeline, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The numbers that were taken, in order.
fn numbers(server: &Server) -> Vec<usize> {
    let all = taken(server).into_iter().map(|(_, body)| body).collect::<String>();
    all.lines().map(|line| line["{\"n\":".len()..line.len() - 1].parse().unwrap()).collect()
}

const TEN: &str = "batch: { events: 10, every: 20s }";

#[test]
fn what_passes_is_sent_again_in_order() {
    let server = Server::start(|_, before| match before {
        0 => Answer::Of(500, "", "out of order"),
        1 => Answer::Cut,
        2 => Answer::Of(503, "connection: close\r\n", ""),
        4 => Answer::Of(408, "", ""),
        _ => TAKEN,
    });
    let (ran, folder) = run_lines(&pipeline(&server.url(), "body: ndjson", TEN), 25);
    let said = ran.succeeded().stderr;
    assert_eq!(numbers(&server), (0..25).collect::<Vec<_>>());
    assert!(said.contains("it answers 500 Internal Server Error: out of order"), "{said}");
    assert!(said.contains("takes requests again, after"), "{said}");
    assert!(dead_letters(&folder).is_empty());
}

#[test]
fn a_server_may_ask_us_to_wait() {
    let server = Server::start(|_, before| match before {
        0 => Answer::Of(429, "retry-after: 1\r\n", ""),
        _ => TAKEN,
    });
    run_lines(&pipeline(&server.url(), "body: ndjson", TEN), 3).0.succeeded();
    let seen = server.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(990));
    assert_eq!(numbers(&server), [0, 1, 2]);
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for() {
    let server = Server::start(|_, before| if before == 0 { Answer::Silence } else { TAKEN });
    let options = "body: ndjson\n      timeout: 300ms";
    let said = run_lines(&pipeline(&server.url(), options, TEN), 12).0.succeeded().stderr;
    assert!(said.contains("no answer within 0.3 s"), "{said}");
    assert_eq!(numbers(&server), (0..12).collect::<Vec<_>>());
}

#[test]
fn one_that_is_refused_takes_no_other_with_it() {
    let is_bad = |body: &str| body.contains(":7}") || body.contains(":13}");
    let server = Server::start(move |seen, _| match is_bad(&seen.text()) {
        true => Answer::Of(400, "", "a number is bad"),
        false => TAKEN,
    });
    let (ran, folder) = run_lines(&pipeline(&server.url(), "body: ndjson", TEN), 25);
    let said = ran.succeeded().stderr;
    assert_eq!(numbers(&server), (0..25).filter(|n| ![7, 13].contains(n)).collect::<Vec<_>>());
    let dead = dead_letters(&folder);
    assert!(
        dead.contains("{\"n\":7}") && dead.contains("{\"n\":13}") && !dead.contains("{\"n\":8}"),
        "{dead}"
    );
    assert!(dead.contains("refuses the event: it answers 400 Bad Request: a number is bad"), "{dead}");
    assert!(said.contains("a number is bad"), "{said}");
}

/// A wrong token, a wrong path and a redirect are faults of ours: nothing is thrown away for them.
#[test]
fn what_is_wrong_with_us_is_told_until_it_is_mended() {
    for (status, header, text) in [
        (401, "", "it answers 401 Unauthorized: who are you"),
        (404, "", "it answers 404 Not Found: who are you"),
        (302, "location: /login\r\n", "it answers 302 Found to /login; redirects are not followed"),
    ] {
        let server = Server::start(move |_, before| match before {
            0..5 => Answer::Of(status, header, "who are you"),
            _ => TAKEN,
        });
        let options =
            "body: ndjson\n      auth: { basic: { username: plant, password: \"${SECRET:-very-secret}\" } }";
        let folder = Folder::empty();
        folder.write("in.ndjson", lines(12).join("\n") + "\n");
        let running =
            Running::start_in(folder, &pipeline(&server.url(), options, TEN), &["--data-dir", "data"]);
        running.until_said(text).until_said("takes requests again");
        let (code, said) = running.finish();
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(numbers(&server), (0..12).collect::<Vec<_>>());
        assert_eq!(server.seen()[0].headers["authorization"], "Basic cGxhbnQ6dmVyeS1zZWNyZXQ=");
        assert!(!said.contains("secret") && !said.contains("cGxhbnQ6"), "{said}");
        assert_eq!(said.matches(text).count(), 1, "once is enough: {said}");
    }
}

#[test]
fn somewhere_of_many_places_that_is_not_there_holds_nobody_up() {
    let server = Server::start(|seen, _| match seen.path.as_str() {
        "/1" => Answer::Of(404, "", ""),
        _ => TAKEN,
    });
    let (ran, folder) = run_lines(&pipeline(&(server.url() + "/{n}"), "", ""), 3);
    ran.succeeded();
    assert_eq!(taken(&server).iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["/0", "/2"]);
    assert!(dead_letters(&folder).contains("{\"n\":1}"));
}

#[test]
fn tries_may_come_to_an_end() {
    let server = Server::start(|_, _| Answer::Of(500, "", ""));
    let text = pipeline(&server.url(), "", "").replace("max: 50ms", "max: 50ms, attempts: 3");
    let (ran, _) = run_lines(&text, 1);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("it was tried 3 times again, as `retry` says"), "{}", ran.stderr);
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn a_stop_waits_for_nobody_who_is_away() {
    let folder = Folder::empty();
    folder.write("in.ndjson", lines(5).join("\n") + "\n");
    // Nobody listens on a port that was free just now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = pipeline(&format!("http://127.0.0.1:{port}"), "body: ndjson", "");
    let running = Running::start_in(folder, &text, &["--data-dir", "data"]);
    running.until_said("nothing listens there");
    let (_, folder) = running.stop();
    let server = Server::start(|_, _| TAKEN);
    let text = text.replace(&port.to_string(), &server.port.to_string());
    let running = Running::start_in(folder, &text, &["--data-dir", "data"]);
    until("what was kept", || numbers(&server) == [0, 1, 2, 3, 4]);
    assert_eq!(running.finish().0, Some(0));
}

#[test]
fn looking_at_a_server_sends_it_nothing() {
    let server = Server::start(|_, _| TAKEN);
    let folder = Folder::empty();
    folder.write("p.yaml", pipeline(&server.url(), "", ""));
    folder.write("in.ndjson", "");
    let found = folder.run(&["check", "--connect", "p.yaml"]).succeeded().stderr;
    assert!(found.contains(&format!("sink `out`: {} can be reached", server.url())), "{found}");
    assert!(server.seen().is_empty());
    folder.write("p.yaml", pipeline("https://127.0.0.1:1", "", ""));
    let found = folder.run(&["check", "--connect", "p.yaml"]);
    assert_eq!(found.status, Some(1));
    assert!(
        found.stderr.contains("no connection to https://127.0.0.1:1: nothing listens there"),
        "{}",
        found.stderr
    );
    folder.write("p.yaml", pipeline(&server.url().replace("http:", "https:"), "", ""));
    let found = folder.run(&["check", "--connect", "p.yaml"]);
    assert!(
        found.status == Some(1) && found.stderr.contains("no connection to https://"),
        "{}",
        found.stderr
    );
}

/// As Elasticsearch's bulk answers: well received, but for some.
#[test]
fn a_success_may_tell_of_each_event() {
    let server = Server::start(|_, before| match before {
        0 => Answer::Of(
            200,
            "",
            "{\"errors\":true,\"items\":[{\"create\":{\"status\":201}},{\"create\":{\"status\":429,\"error\":{\"type\":\"full\"}}},\
             {\"create\":{\"status\":400,\"error\":{\"type\":\"bad\",\"reason\":\"no number\"}}}]}",
        ),
        _ => Answer::Of(200, "", "{\"errors\":false,\"items\":[]}"),
    });
    let (ran, folder) = run_lines(&pipeline(&server.url(), "body: ndjson", "batch: { events: 3 }"), 4);
    let said = ran.succeeded().stderr;
    let bodies: Vec<String> = taken(&server).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, ["{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n", "{\"n\":1}\n", "{\"n\":3}\n"]);
    let dead = dead_letters(&folder);
    assert!(dead.contains("{\"n\":2}") && dead.contains("400 bad: no number"), "{dead}");
    assert!(said.contains("429 full") && said.contains("takes requests again"), "{said}");
}
