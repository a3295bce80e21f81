//! State of one key, and positions, that are larger than a record; and what is known of partitions that turn up.
//! Pipelines are stepped by hand over real files, under a clock that stands still unless told.

pub mod common;

use common::Folder;
use headwater::config::{self, Faults, ProcessEnvironment, SourceFile, read_pipeline};
use headwater::plan;
use headwater::runtime::{Found, Keeping, Pipeline, Steps};
use headwater::state::disk::{Disk, RealDisk};
use headwater::state::{self, KeyedState, OnCorruption, OpenOptions, StateBackend, StateLimits};
use headwater::time::{Millis, Timestamp, VirtualClock};
use std::fmt::Write as _;
use std::fs::OpenOptions as FileOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Where a pipeline and its files are. `DIR` in its text is the folder.
struct Plant {
    folder: Folder,
    text: String,
    clock: VirtualClock,
}

impl Plant {
    fn new(text: &str) -> Plant {
        let folder = Folder::empty();
        let text = text.replace("DIR", folder.path().to_str().unwrap());
        Plant { folder, text, clock: VirtualClock::new(Timestamp(1_800_000_000_000)) }
    }

    fn state(&self) -> StateBackend {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&self.folder.path().join("state")).unwrap());
        let (limits, on_corruption) = (StateLimits::default(), OnCorruption::Refuse);
        state::open(&disk, &OpenOptions { limits, on_corruption, entropy: 3, now: Timestamp(0) }).unwrap().0
    }

    fn start(&self, workers: usize) -> Steps {
        let faults = Faults::new(SourceFile::new("p.yaml", self.text.clone().into()).unwrap());
        let environment = &ProcessEnvironment::default();
        let file = read_pipeline(&faults, config::Surroundings { environment, overrides: &[] });
        let surroundings =
            plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Default::default() };
        let plan = file.and_then(|file| plan::plan(&file, &surroundings, &faults));
        let mut plan = plan.unwrap_or_else(|| panic!("{:#?}", faults.diagnostics()));
        plan.parallelism = workers;
        let (bytes_per_day, disk_bytes, may_drop, dead_letters) = (None, None, Vec::new(), None);
        let keeping = Keeping {
            backend: self.state(),
            folder: self.folder.path().to_owned(),
            spilling: None,
            on_doubt: headwater::dataflow::OnDoubt::Ask,
            bytes_per_day,
            disk_bytes,
            may_drop,
            dead_letters,
        };
        let found = Found::find(&mut plan, keeping).unwrap();
        Pipeline::open_keeping(&plan, &self.clock, Some(found)).unwrap().into_steps()
    }

    /// Lets a pipeline work for so many rounds, a millisecond each.
    fn work(&self, steps: &mut Steps, rounds: usize) {
        for _ in 0..rounds {
            for worker in 0..steps.workers() {
                steps.step_worker(worker, &self.clock).unwrap();
            }
            steps.step_coordinator(&self.clock).unwrap();
            self.clock.advance(Millis(1));
        }
    }

    /// Lets it work until something holds.
    fn work_until(&self, steps: &mut Steps, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..400 {
            if holds() {
                return;
            }
            self.work(steps, 50);
        }
        panic!("{what} was awaited in vain");
    }

    /// Stops it in good order.
    fn stop(&self, mut steps: Steps) {
        steps.stop();
        while !steps.have_ended() {
            self.work(&mut steps, 1);
        }
        steps.end(&self.clock).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        let file = FileOptions::new().append(true).create(true).open(path);
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }
}

fn largest(state: KeyedState) -> usize {
    let mut largest = 0;
    state
        .all(&mut |_, value| {
            largest = largest.max(value.len());
            Ok(())
        })
        .unwrap();
    largest
}

const COLLECTING: &str = "
options: { delivery: exactly_once, checkpoint: 100ms }
sources:
  events:
    file: { path: DIR/in.ndjson, follow: true }
    event_time: { field: ts, unit: ms }
windows:
  all:
    from: events
    key: [k]
    tumbling: 1h
    aggregate: { texts: collect(text), count: count(*) }
sinks:
  out: { from: all, file: { path: DIR/out.ndjson } }
";

#[test]
fn a_key_that_keeps_more_than_any_record_holds_survives() {
    let plant = Plant::new(COLLECTING);
    let (text, count) = ("x".repeat(4_000), 11_500);
    let mut input = String::new();
    for ts in 0..count {
        writeln!(input, "{{\"ts\":{ts},\"k\":\"a\",\"text\":\"{text}\"}}").unwrap();
    }
    plant.append("in.ndjson", &input);
    let mut steps = plant.start(1);
    plant.work(&mut steps, 300);
    plant.stop(steps);
    let mut state = plant.state();
    let before = largest(state.keyed());
    assert!(before > 40 << 20, "{before}");
    // From the log, from the store, and with another number of workers.
    assert!(state.fold().unwrap());
    assert_eq!(largest(state.keyed()), before);
    drop(state);
    let steps = plant.start(3);
    plant.stop(steps);
    let mut steps = plant.start(2);
    plant.append("in.ndjson", "{\"ts\":7200000,\"k\":\"b\",\"text\":\"end\"}\n");
    let out = plant.folder.path().join("out.ndjson");
    plant.work_until(&mut steps, "the row", || std::fs::metadata(&out).is_ok_and(|out| out.len() > 0));
    plant.stop(steps);
    let row = plant.folder.read("out.ndjson");
    assert_eq!(row.matches(&text).count(), count);
    assert!(row.contains(&format!("\"count\":{count}")) && row.lines().count() == 1);
    assert!(largest(plant.state().keyed()) < 1000, "nothing of it is left");
}

const SPREADING: &str = "
options: { delivery: exactly_once, checkpoint: 100ms }
sources:
  events: { file: { path: DIR/in.ndjson, follow: true } }
sinks:
  out: { from: events, file: { path: 'DIR/out/{name}.ndjson' } }
";

#[test]
fn a_position_in_more_than_ten_thousand_files_survives() {
    let plant = Plant::new(SPREADING);
    // Names that begin differently, so that a position needs all of each.
    let name = |n: u64| format!("{n:0130}").chars().rev().collect::<String>();
    let count = 11_000;
    let mut input = String::new();
    for n in 0..count {
        writeln!(input, "{{\"name\":\"{}\",\"n\":{n}}}", name(n)).unwrap();
    }
    plant.append("in.ndjson", &input);
    let files = || std::fs::read_dir(plant.folder.path().join("out")).map_or(0, Iterator::count);
    let mut steps = plant.start(1);
    plant.work_until(&mut steps, "a commit", || files() == count as usize);
    // Not in good order: what was committed is written by the next run.
    drop(steps);
    let longest = plant.state().progress().sinks.values().map(|sink| sink.position.len()).max();
    assert!(longest > Some(1 << 20), "{longest:?}");
    let mut steps = plant.start(1);
    plant.append("in.ndjson", &format!("{{\"name\":\"{}\",\"n\":-1}}\n", name(7)));
    let of = |n: u64| plant.folder.read(&format!("out/{}.ndjson", name(n)));
    plant.work_until(&mut steps, "the last line", || of(7).lines().count() == 2);
    plant.stop(steps);
    for n in (0..count).filter(|n| *n != 7) {
        assert_eq!(of(n), format!("{{\"name\":\"{}\",\"n\":{n}}}\n", name(n)));
    }
}

const FOLLOWING: &str = "
options: { delivery: exactly_once, checkpoint: 100ms }
sources:
  events:
    file: { path: 'DIR/in-*.ndjson', follow: true }
    event_time: { field: ts, unit: ms, idle_after: 1h PARTITIONS }
windows:
  w: { from: events, key: [k], tumbling: 10s, aggregate: { count: count(*) } }
sinks:
  out: { from: w, file: { path: DIR/out.ndjson } }
";

/// A file that is found again holds the watermark where it had come to, not at its beginning.
fn a_file_found_again_holds_no_more_than_it_did(partitions: &str) {
    let plant = Plant::new(&FOLLOWING.replace("PARTITIONS", partitions));
    let event = |ts: u32, k: &str| format!("{{\"ts\":{ts},\"k\":\"{k}\"}}\n");
    plant.append("in-1.ndjson", &event(40_000, "a"));
    plant.append("in-2.ndjson", &(event(1_000, "b") + &event(1_000, "c")));
    let mut steps = plant.start(1);
    plant.work(&mut steps, 300);
    plant.stop(steps);
    assert_eq!(plant.folder.read("out.ndjson"), "");
    let mut steps = plant.start(1);
    plant.append("in-2.ndjson", &(event(35_000, "b") + &event(36_000, "c")));
    plant.work_until(&mut steps, "a window", || plant.folder.read("out.ndjson").lines().count() == 2);
    plant.stop(steps);
}

#[test]
fn a_file_that_is_found_again_holds_no_more_than_it_did() {
    a_file_found_again_holds_no_more_than_it_did("");
    a_file_found_again_holds_no_more_than_it_did(", partition_by: [k]");
}

/// Of many keys of `partition_by`, a checkpoint writes those alone that have changed.
#[test]
fn a_checkpoint_writes_only_the_keys_whose_watermark_moved() {
    let plant = Plant::new(&FOLLOWING.replace("PARTITIONS", ", partition_by: [k]").replace("key: [k], ", ""));
    let mut input = String::new();
    for n in 0..3_000 {
        writeln!(input, "{{\"ts\":1,\"k\":\"device-{n}\"}}").unwrap();
    }
    plant.append("in-1.ndjson", &input);
    let mut steps = plant.start(1);
    plant.work(&mut steps, 400);
    plant.stop(steps);
    let written = |text: &str| {
        plant.append("in-1.ndjson", text);
        let log = |folder: &Path| -> u64 {
            let files = std::fs::read_dir(folder.join("state")).unwrap().map(|file| file.unwrap());
            let logs = files.filter(|file| file.file_name().to_string_lossy().starts_with("log-"));
            logs.map(|file| file.metadata().unwrap().len()).sum()
        };
        let before = log(plant.folder.path());
        let mut steps = plant.start(1);
        plant.work(&mut steps, 400);
        plant.stop(steps);
        log(plant.folder.path()) - before
    };
    let one = written("{\"ts\":2,\"k\":\"device-7\"}\n");
    assert!(one < 5_000, "{one}");
    let again = written("{\"ts\":3,\"k\":\"device-7\"}\n");
    assert!(again < 5_000, "{again}");
}
