//! MQTT in and out, against a real broker: none is lost, and doubled is only what the guarantee says.

use crate::broker::Broker;
use crate::common::{Folder, pause, until};
use crate::process::{Running, end};
use crate::victim::{Numbers, Victim, kills, outputs};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};

/// Messages that the broker has under way at the most.
const IN_FLIGHT: usize = 20;
/// The longest that a run lives, in milliseconds.
const LONGEST: u64 = 400;

/// Each kill costs time in which messages come: a quarter of what files take.
fn some_kills() -> u64 {
    kills().div_ceil(4).max(10)
}

fn reading(url: &str, id: &str) -> String {
    format!(
        "options: {{ delivery: exactly_once, checkpoint: 50ms }}
sources:
  in:
    mqtt: {{ url: '{url}', topics: [t], client_id: reading, receive_maximum: {IN_FLIGHT} }}
    durable: {{ journal: {{ sync: 20ms }} }}
{id}
transforms:
  read: {{ from: in, select: {{ v: v, n: source_header('n') }} }}
sinks:
  out: {{ from: read, file: {{ path: out/read/rows.ndjson }} }}
"
    )
}

/// Publishes messages of which half look alike, each with its number as a property.
fn publishing(url: &str, count: usize) -> Running {
    Running::start(&format!(
        "sources: {{ made: {{ generate: {{ count: {count}, rate: 800, fields: {{ n: sequence() }} }} }} }}
transforms:
  payload: {{ from: made, set: {{ payload: \"'{{\\\"v\\\":' || CAST(CASE WHEN n % 2 = 0 THEN -1 ELSE n END AS TEXT) || '}}'\" }} }}
sinks:
  out:
    from: payload
    mqtt: {{ url: '{url}', topic: t, properties: {{ n: '{{n}}' }} }}
    format: raw
"
    ))
}

/// How often each message arrived, by its number, when the reader was killed again and again.
fn received(id: &str) -> Option<(usize, BTreeMap<usize, usize>)> {
    let broker = Broker::persistent()?;
    let (url, folder, mut numbers) = (broker.url(), Folder::empty(), Numbers(11));
    folder.write("p.yaml", reading(&url, id));
    let first = Victim::start(&folder, &[]);
    until("the session", || folder.read("stderr").contains("connected to"));
    pause(200);
    first.kill();
    let count = some_kills() as usize * 300;
    let publisher = publishing(&url, count);
    for _ in 0..some_kills() {
        let mut victim = Victim::start(&folder, &[]);
        assert!(victim.live(50 + numbers.below(LONGEST)), "it ended by itself");
        victim.kill();
    }
    let (status, said) = publisher.finish();
    assert_eq!(status, Some(0), "{said}");
    let mut victim = Victim::start(&folder, &[]);
    let (mut last, mut quiet) = (0, 0);
    // What is never to come cannot be waited for.
    until("nothing more comes", || {
        let now = folder.read("out/read/rows.ndjson").len();
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
        assert!(victim.live(50));
        quiet > 30
    });
    let said = victim.stop();
    let mut times = BTreeMap::new();
    for line in &outputs(&folder.path().join("out"))["read"] {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let n: usize = row["n"].as_str().unwrap().parse().unwrap();
        let v = if n.is_multiple_of(2) { -1 } else { n as i64 };
        assert_eq!(row["v"].as_i64(), Some(v));
        *times.entry(n).or_default() += 1;
    }
    let missing: Vec<usize> = (0..count).filter(|n| !times.contains_key(n)).collect();
    assert!(
        missing.is_empty(),
        "of {count} messages {} are lost: {:?}\n{said}",
        missing.len(),
        &missing[..missing.len().min(20)]
    );
    Some((count, times))
}

#[test]
fn messages_in_none_lost_and_doubled_only_what_was_in_flight() {
    let Some((count, times)) = received("") else { return };
    let doubled = times.values().map(|times| times - 1).sum::<usize>();
    println!("{doubled} of {count} messages were doubled at {} kills", some_kills());
    assert!(doubled <= some_kills() as usize * IN_FLIGHT, "{doubled} doubled");
}

#[test]
fn messages_in_with_ids_none_lost_and_none_doubled() {
    let Some((_, times)) = received("    id: source_header('n')") else { return };
    let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
}

#[test]
fn explain_says_what_these_tests_show() {
    let folder = Folder::empty();
    for (id, promise) in [
        ("", "QoS 1: none lost; doubled only what was in flight at a crash"),
        ("    id: source_header('n')", "QoS 1: none lost, none doubled (within 1h)"),
    ] {
        folder.write("p.yaml", reading("mqtt://localhost", id));
        let ran = folder.run(&["explain", "--data-dir", "data", "p.yaml"]).succeeded();
        assert!(ran.stdout.contains(promise), "{}", ran.stdout);
    }
}

/// Somebody who is told all, once for each time that it was published.
struct Listener(Child);

impl Listener {
    fn to(broker: &Broker, file: &File) -> Listener {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-t", "o", "-q", "1"]);
        command.args(["-i", "listener", "-c"]).stdin(Stdio::null()).stdout(file.try_clone().unwrap());
        Listener(command.spawn().unwrap())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        end(&mut self.0, Signal::TERM);
    }
}

#[test]
fn messages_out_none_lost() {
    let Some(broker) = Broker::persistent() else { return };
    let (folder, mut numbers) = (Folder::empty(), Numbers(13));
    let heard = File::create(folder.path().join("heard")).unwrap();
    let _listener = Listener::to(&broker, &heard);
    until("the subscription", || broker.folder().read("log").contains("listener"));
    pause(300);
    let count = some_kills() as usize * 2_000;
    folder.write("input.ndjson", (0..count).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    let url = broker.url();
    folder.write(
        "p.yaml",
        format!(
            "options: {{ checkpoint: 50ms }}
sources: {{ in: {{ file: {{ path: input.ndjson }} }} }}
sinks: {{ out: {{ from: in, mqtt: {{ url: '{url}', topic: o }} }} }}
"
        ),
    );
    let mut killed = 0;
    for _ in 0..some_kills() {
        let mut victim = Victim::start(&folder, &[]);
        if !victim.live(50 + numbers.below(150)) {
            break;
        }
        victim.kill();
        killed += 1;
    }
    Victim::start(&folder, &[]).succeeded();
    println!("{killed} kills");
    assert!(killed > some_kills() / 2, "it was done too soon");
    let numbers = || {
        let text = folder.read("heard");
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["n"].as_u64();
        let mut numbers: Vec<u64> = text.lines().filter_map(line).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    let mut passes = 0;
    until("all messages", || {
        passes += 1;
        pause(100);
        numbers().len() == count || passes > 100
    });
    let heard = numbers();
    let missing: Vec<u64> = (0..count as u64).filter(|n| heard.binary_search(n).is_err()).collect();
    assert!(
        missing.is_empty(),
        "{} of {count} are missing: {:?}",
        missing.len(),
        &missing[..missing.len().min(20)]
    );
}
