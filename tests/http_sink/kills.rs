//! The process killed at random moments: nothing is lost, and what is sent again says so. `DURABILITY_KILLS` says how
//! often.

use crate::common::{Folder, pause, until};
use crate::server::{Answer, Server, TAKEN};
use crate::victim::{Numbers, Victim};
use crate::{pipeline, taken};
use std::collections::BTreeMap;

/// How often a run is killed.
fn kills() -> u64 {
    std::env::var("DURABILITY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

const OPTIONS: &str = "body: ndjson\n      idempotency_header: Idempotency-Key";

/// A pipeline that is checkpointed often.
fn lasting(url: &str, beside: &str) -> String {
    format!("options: {{ checkpoint: 20ms }}\n{}", pipeline(url, OPTIONS, beside))
}

fn write_lines(folder: &Folder, count: u64) {
    let lines: String = (0..count).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    folder.write("in.ndjson", lines);
}

#[test]
fn a_request_that_is_sent_again_after_a_crash_is_the_same() {
    // Nothing is answered before the process was killed once.
    let server = Server::start(|_, before| if before == 0 { Answer::Silence } else { TAKEN });
    let folder = Folder::empty();
    write_lines(&folder, 25);
    folder.write("p.yaml", lasting(&server.url(), "batch: { events: 10, every: 20s }"));
    let victim = Victim::start(&folder, &[]);
    server.until_seen(1);
    // A checkpoint holds what was not answered.
    let kept = || {
        let held = folder.run(&["state", "list", "--data-dir", "data", "--format", "json"]);
        held.stdout.contains("out")
    };
    until("a checkpoint", kept);
    pause(300);
    victim.kill();
    Victim::start(&folder, &[]).succeeded();
    let seen = server.seen();
    assert_eq!(seen.len(), 4, "{seen:?}");
    let key = |n: usize| seen[n].headers["idempotency-key"].clone();
    assert_eq!((key(0), seen[0].text()), (key(1), seen[1].text()));
    assert!(key(1) != key(2) && key(2) != key(3));
    let all: String = taken(&server).into_iter().map(|(_, body)| body).collect();
    assert_eq!(all, folder.read("in.ndjson"));
}

#[test]
fn nothing_is_lost_however_often_it_is_killed() {
    let server = Server::start(|_, before| match before % 7 {
        3 => Answer::Of(503, "", ""),
        5 => Answer::Cut,
        _ => TAKEN,
    });
    let folder = Folder::empty();
    let count = 4_000 * kills();
    write_lines(&folder, count);
    folder.write("p.yaml", lasting(&server.url(), "batch: { events: 100, every: 10ms }"));
    let (mut numbers, mut killed) = (Numbers(5), 0);
    for _ in 0..kills() {
        let mut victim = Victim::start(&folder, &[]);
        if !victim.live(60 + numbers.below(150)) {
            break;
        }
        victim.kill();
        killed += 1;
    }
    Victim::start(&folder, &[]).succeeded();
    let mut times: BTreeMap<u64, u32> = BTreeMap::new();
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    for seen in server.seen() {
        let (key, body) = (seen.headers["idempotency-key"].clone(), seen.text());
        if seen.status == 202 {
            for line in body.lines() {
                *times.entry(line["{\"n\":".len()..line.len() - 1].parse().unwrap()).or_default() += 1;
            }
        }
        assert_eq!(*bodies.entry(key).or_insert(body.clone()), body, "one id, one request");
    }
    let missing = (0..count).filter(|n| !times.contains_key(n)).count();
    let doubled: u32 = times.values().map(|times| times - 1).sum();
    println!("{killed} kills, {doubled} of {count} came again");
    assert_eq!(missing, 0, "of {count} after {killed} kills");
    assert!(killed > 0);
}

#[test]
fn what_waits_is_not_read_for_other_headers() {
    let server = Server::start(|_, before| if before == 0 { Answer::Silence } else { TAKEN });
    let folder = Folder::empty();
    write_lines(&folder, 3);
    let lasting = |options: &str| {
        folder.write(
            "p.yaml",
            pipeline(&server.url(), options, "").replace("file: {", "file: { follow: true,"),
        );
    };
    lasting("headers: { X-A: 'a{n}', X-B: 'b{n}' }");
    let victim = Victim::start(&folder, &[]);
    server.until_seen(1);
    victim.stop();
    lasting("headers: { X-B: 'b{n}', X-A: 'a{n}' }");
    let ran = folder.run(&["run", "p.yaml", "--data-dir", "data"]);
    assert!(
        ran.status != Some(0) && ran.stderr.contains("node `out` is laid out differently now"),
        "{}",
        ran.stderr
    );
    lasting("headers: { X-A: 'a{n}', X-B: 'b{n}', X-C: same }");
    let victim = Victim::start(&folder, &[]);
    let seen = server.until_seen(4);
    victim.stop();
    let told: Vec<_> =
        seen[1..].iter().map(|seen| (&seen.headers["x-a"][..], &seen.headers["x-b"][..])).collect();
    assert_eq!(told, [("a0", "b0"), ("a1", "b1"), ("a2", "b2")]);
}
