//! Clients that number their events while the process is killed: nothing that was answered 202 is lost. `DURABILITY_KILLS`
//! says how often it is killed.

use crate::client::Client;
use crate::common::{Folder, pause, until};
use crate::servers::free_port;
use crate::victim::{Numbers, Victim, outputs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Connections at a time.
const CLIENTS: u64 = 64;
/// How often a request is sent at the most, some milliseconds apart.
const TRIES: usize = 20_000;
/// The longest that a run lives, in milliseconds.
const LONGEST: u64 = 600;

fn kills() -> u64 {
    std::env::var("DURABILITY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn pipeline(port: u16, id: &str) -> String {
    format!(
        "options: {{ delivery: exactly_once, checkpoint: 50ms, parallelism: 2 }}
sources:
  in:
    http: {{ listen: '127.0.0.1:{port}', path: /in }}
    durable: {{ journal: {{ sync: 20ms }} }}
{id}
sinks:
  out: {{ from: in, file: {{ path: out/read/rows.ndjson }} }}
"
    )
}

/// Sends a request until it is answered 202: as often as it takes.
fn insist(client: &mut Option<Client>, port: u16, number: u64) {
    let (headers, body) = (format!("Idempotency-Key: k{number}\r\n"), bodies(number).join("\n"));
    for _ in 0..TRIES {
        if client.is_none() {
            *client = Client::connect(port).ok();
        }
        match client.as_mut().map(|client| client.post(&headers, body.as_bytes())) {
            Some(Ok(answer)) if answer.status == 202 => return,
            Some(Ok(answer)) => assert_eq!(answer.status, 503, "{answer:?}"),
            _ => *client = None,
        }
        pause(5);
    }
    panic!("request {number} is never answered");
}

/// The events of a request: every third has two.
fn bodies(number: u64) -> Vec<String> {
    (0..1 + u64::from(number.is_multiple_of(3)))
        .map(|part| format!("{{\"n\":{number},\"part\":{part}}}"))
        .collect()
}

/// How often each event came out, and how many requests were answered, when the process was killed again and again.
fn received(id: &str) -> (u64, BTreeMap<String, usize>) {
    let (folder, port, mut numbers) = (Folder::empty(), free_port(), Numbers(17));
    folder.write("p.yaml", pipeline(port, id));
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let work = || {
        let mut client = None;
        while !is_over.load(Ordering::Relaxed) {
            insist(&mut client, port, next.fetch_add(1, Ordering::Relaxed));
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(work)).collect();
        for _ in 0..kills() {
            let mut victim = Victim::start(&folder, &[]);
            assert!(victim.live(100 + numbers.below(LONGEST)), "it ended by itself");
            victim.kill();
        }
        is_over.store(true, Ordering::Relaxed);
        // All that are under way are answered by this one, unless it is killed as well.
        let mut victim = Victim::start(&folder, &[]);
        assert!(victim.live(300), "it ended by itself");
        victim.kill();
        let victim = Victim::start(&folder, &[]);
        clients.into_iter().for_each(|client| client.join().unwrap());
        let count = next.load(Ordering::Relaxed);
        let mut passes = 0;
        // What is lost cannot be waited for.
        until("their events", || {
            let text = folder.read("out/read/rows.ndjson");
            pause(50);
            passes += 1;
            let found: BTreeSet<&str> = text.lines().collect();
            passes > 500 || (0..count).all(|number| found.contains(bodies(number)[0].as_str()))
        });
        victim.stop();
    });
    let mut times = BTreeMap::new();
    for line in &outputs(&folder.path().join("out"))["read"] {
        *times.entry(line.clone()).or_default() += 1;
    }
    (next.into_inner(), times)
}

#[test]
fn nothing_that_was_answered_is_lost() {
    let (count, times) = received("");
    let missing: Vec<String> =
        (0..count).flat_map(bodies).filter(|event| !times.contains_key(event)).collect();
    println!("{count} requests at {} kills", kills());
    assert!(missing.is_empty(), "of {count} requests are lost: {missing:?}");
}

#[test]
fn with_keys_nothing_is_doubled_either() {
    let (count, times) = received("    id: source_header('Idempotency-Key')");
    let expected: BTreeMap<String, usize> = (0..count).flat_map(bodies).map(|event| (event, 1)).collect();
    let wrong: Vec<_> =
        expected.keys().chain(times.keys()).filter(|event| times.get(*event) != Some(&1)).collect();
    println!("{count} requests at {} kills", kills());
    assert!(wrong.is_empty(), "of {count} requests are lost or doubled: {wrong:?}");
}
