//! Sources that go on where they were stopped, seen through the contracts of a planned pipeline.

pub mod common;

use common::Folder;
use headwater::config::{Faults, ProcessEnvironment, SourceFile, Surroundings, read_pipeline};
use headwater::dataflow::{Polled, Position, Refused, Resume, RowSource};
use headwater::event::{Batch, Row, Slot};
use headwater::plan::{self, Plan};
use headwater::time::{Env, Millis, Random, Timestamp};
use std::path::Path;
use std::sync::{Arc, Mutex};

fn planned(text: &str) -> Plan {
    let faults = Faults::new(SourceFile::new("p.yaml", text.into()).unwrap());
    let surroundings = Surroundings { environment: &ProcessEnvironment::default(), overrides: &[] };
    let file = read_pipeline(&faults, surroundings).unwrap();
    let surroundings = plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Default::default() };
    plan::plan(&file, &surroundings, &faults).unwrap()
}

fn started(plan: &Plan, kept: &Option<Position>) -> Box<dyn RowSource> {
    let mut rows = plan.sources[0].plan.partition(0, &|| unreachable!("nothing is decoded"));
    rows.open().unwrap();
    let positions = Mutex::new(kept.iter().cloned().collect());
    let resume = Arc::new(Resume { positions, ..Resume::default() });
    let taken = rows.resume(&resume).unwrap();
    assert_eq!(taken, kept.as_ref().map(|kept| kept.partition.clone()));
    rows
}

fn fill(plan: &Plan, rows: &mut dyn RowSource, elapsed: i64) -> (Polled, Vec<String>) {
    let stage = &plan.draft.stages[plan.sources[0].stage.0 as usize];
    let slots = stage.slots.len();
    let (mut batch, mut refused) = (Batch::new(slots, b""), Refused::default());
    let mut env = Env { now: Timestamp(0), elapsed: Millis(elapsed), random: Random::seeded(9) };
    let polled = rows.fill(&mut batch, &mut refused, &mut env).unwrap();
    let row = |row: u32| {
        (0..slots as u16).map(|slot| format!("{:?} ", batch.get(Row(row), Slot(slot)))).collect::<String>()
    };
    (polled, (0..batch.len() as u32).map(row).collect())
}

const GENERATE: &str = "
sources:
  n:
    generate:
      count: 10000
      seed: 7
      fields:
        n: sequence(5)
        walk: \"CASE WHEN rand() < 0.5 THEN random_walk(20, 1) ELSE random_walk(0, 1) + rand() END\"
        one: pick(1, 2, 3)
sinks: { out: { from: n, drop: {} } }
";

#[test]
fn what_is_made_up_goes_on() {
    let plan = planned(GENERATE);
    let mut expected = Vec::new();
    let mut rows = started(&plan, &None);
    while expected.len() < 10_000 {
        expected.extend(fill(&plan, &mut *rows, 0).1);
    }
    let (mut kept, mut given) = (None, Vec::new());
    for fills in [0, 1, 2, 1, 3, 5, 1] {
        let mut rows = started(&plan, &kept);
        (0..fills).for_each(|_| given.extend(fill(&plan, &mut *rows, 0).1));
        kept = rows.position();
    }
    assert!(given == expected);
    let mut rows = started(&plan, &kept);
    assert_eq!(fill(&plan, &mut *rows, 0), (Polled::End, Vec::new()), "it has come to its end");
    // A greater count goes on.
    let plan = planned(&GENERATE.replace("10000", "10003"));
    assert_eq!(fill(&plan, &mut *started(&plan, &kept), 0).1.len(), 3);
    // Other fields begin anew.
    let plan = planned(&GENERATE.replace("sequence(5)", "sequence(6)"));
    let mut rows = plan.sources[0].plan.partition(0, &|| unreachable!());
    rows.open().unwrap();
    let positions = Mutex::new(kept.into_iter().collect());
    assert_eq!(rows.resume(&Arc::new(Resume { positions, ..Resume::default() })).unwrap(), None);
}

#[test]
fn a_rate_goes_on_without_a_burst_or_a_pause() {
    let plan = planned(&GENERATE.replace("count: 10000", "rate: 10"));
    let mut rows = started(&plan, &None);
    fill(&plan, &mut *rows, 0);
    assert_eq!(fill(&plan, &mut *rows, 10_000).1.len(), 100);
    let kept = rows.position();
    let mut rows = started(&plan, &kept);
    assert_eq!(fill(&plan, &mut *rows, 500_000).1.len(), 1);
    assert_eq!(fill(&plan, &mut *rows, 501_000).1.len(), 10);
}

#[test]
fn standard_input_cannot_be_read_again() {
    let plan = planned("sources: { i: { stdin: {} } }\nsinks: { out: { from: i, drop: {} } }\n");
    assert!(!plan.sources[0].plan.resumes());
}

#[test]
fn an_event_whose_id_was_seen_is_dropped() {
    let folder = Folder::empty();
    for parallelism in [1, 2] {
        let pipeline = format!(
            "options: {{ parallelism: {parallelism} }}\n\
             sources:\n  in:\n    stdin: {{}}\n    event_time: {{ field: t }}\n    id: upper(k)\n    id_within: 1m\n\
             sinks:\n  out: {{ from: in, stdout: {{}} }}\n  bad: {{ from: in.rejected, file: {{ path: bad }} }}\n\
             tests:\n  - name: once\n    steps:\n\
             \x20     - send: {{ in: [{{ k: a1, t: 0 }}, {{ k: a1, t: 0 }}, {{ k: a2, t: 1 }}, {{ k: b1, t: 1 }}] }}\n\
             \x20     - watermark: {{ in: 10m }}\n\
             \x20     - advance: 59s\n\
             \x20     - send: {{ in: [{{ k: a2, t: 600001 }}, {{ n: 9, t: 600001 }}, {{ n: 9, t: 600001 }}] }}\n\
             \x20     - advance: 2s\n\
             \x20     - send: {{ in: [{{ k: b1, t: 600002 }}, {{ k: a2, t: 600003 }}] }}\n\
             \x20     - expect: {{ out: [{{ k: a1, t: 0 }}, {{ k: a2, t: 1 }}, {{ k: b1, t: 1 }}, {{ n: 9 }}, {{ n: 9 }}, {{ k: b1, t: 600002 }}] }}\n"
        );
        folder.write("p.yaml", pipeline);
        folder.run(&["test", "p.yaml"]).succeeded();
    }
    let pipeline =
        "sources: { in: { file: { path: in }, id: n } }\nsinks: { out: { from: in, stdout: {} } }\n";
    folder.write("p.yaml", pipeline);
    folder.write("in", "{\"n\":1}\n{\"n\":2}\n{\"n\":1}\n");
    let ran = folder.run(&["run", "p.yaml"]).succeeded();
    assert_eq!(ran.stdout, "{\"n\":1}\n{\"n\":2}\n");
    assert!(ran.stderr.contains("duplicate"), "{}", ran.stderr);
    assert!(ran.stderr.contains("3 events in, 2 out"), "{}", ran.stderr);
}
