//! What a live session takes in memory, checkpoints included: the most that a process ever had, beside what it has with next
//! to no sessions, divided by their number.
//!
//! `SESSIONS` says how many (`make sessions`); tables double as they grow, so the few of every test are the million halved
//! four times.

pub mod common;

use common::{Folder, headwater, pause};
use headwater::server::ask;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::{Child, Stdio};

const SESSIONS: usize = 1_000_000 >> 4;
/// With so many there is next to no state.
const FEW: usize = 100;
/// Most bytes of a session beside those of its key.
const MOST: usize = 300;
/// So many may be on their way to the disk at once, which takes its memory however few there are.
const ON_THE_WAY: usize = 1 << 17;
/// How long a key is.
const KEY: usize = 12;

const PIPELINE: &str = "
pipeline: p
options: { checkpoint: 1h }
sources:
  readings: { file: { path: in.ndjson, follow: true }, event_time: { field: ts } }
windows:
  visits: { from: readings, key: [device], session: { gap: 6h }, aggregate: { n: count(*), sum: sum(x) } }
sinks:
  rows: { from: visits, file: { path: rows.ndjson } }
";

/// A process that runs the pipeline.
struct Process {
    folder: Folder,
    child: Child,
    /// Events written so far.
    events: usize,
    keys: usize,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(keys: usize) -> Process {
        let folder = Folder::empty();
        folder.write("p.yaml", PIPELINE);
        folder.write("in.ndjson", "");
        let mut command = headwater(folder.path(), &["run", "p.yaml", "--data-dir", "state"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Process { folder, child, events: 0, keys }
    }

    /// Has as many events read as said, each a millisecond behind the other, and a checkpoint taken.
    fn take(&mut self, events: usize) {
        let mut text = String::new();
        for number in self.events..self.events + events {
            let (ts, device) = (1_700_000_000_000 + number, number % self.keys * 7919 % self.keys);
            writeln!(text, r#"{{"ts":{ts},"device":"dev-{device:08}","x":{}.25}}"#, number % 1000).unwrap();
        }
        let mut file = OpenOptions::new().append(true).open(self.folder.path().join("in.ndjson")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.events += events;
        while self.received() < self.events {
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended");
            pause(20);
        }
        let path = "/api/v1/pipelines/p/checkpoint";
        let done = ask(&self.folder.path().join("state"), "POST", path).unwrap().unwrap();
        assert_eq!(done.status, 200, "{}", done.body);
        // What follows the checkpoint is memory's as well.
        pause(200);
    }

    fn received(&self) -> usize {
        let asked = ask(&self.folder.path().join("state"), "GET", "/api/v1/pipelines");
        let Ok(Some(answered)) = asked else { return 0 };
        let nodes = answered.body["pipelines"][0]["nodes"].as_array().cloned().unwrap_or_default();
        let windows = nodes.iter().find(|node| node["name"] == "visits");
        windows.and_then(|node| node["received"].as_u64()).unwrap_or_default() as usize
    }

    /// A figure that Linux has of the process, in bytes.
    fn figure(&self, name: &str) -> usize {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }
}

#[test]
fn a_session_takes_less_than_its_limit() {
    let sessions = std::env::var("SESSIONS").map_or(SESSIONS, |text| text.parse().unwrap());
    let mut few = Process::start(FEW);
    let mut all = Process::start(sessions);
    let mut peaks = (0, 0);
    for round in ["begun", "all once more", "and again"] {
        few.take(sessions);
        all.take(sessions);
        peaks = (few.figure("VmHWM:"), all.figure("VmHWM:"));
        println!(
            "{sessions} sessions {round}: {} MB now, {} at the most; of these {} with {FEW}: {} bytes a session",
            all.figure("VmRSS:") / 1_000_000,
            peaks.1 / 1_000_000,
            peaks.0 / 1_000_000,
            (peaks.1 - peaks.0) / sessions
        );
    }
    assert!(peaks.1 - peaks.0 <= (MOST + KEY) * sessions.max(ON_THE_WAY));
}
