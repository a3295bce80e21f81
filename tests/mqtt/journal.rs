//! The journal of an MQTT source, against a real broker: what is acknowledged when, and what comes again.

use crate::broker::Broker;
use crate::process::{pass, patiently};
use headwater::config::{Faults, ProcessEnvironment, SourceFile, Surroundings, read_pipeline};
use headwater::dataflow::{Durable, FrameNumber, Journal, Offset, Position, Refused, Resume, RowSource};
use headwater::event::{Batch, Row, Slot};
use headwater::plan::{self, Plan};
use headwater::runtime;
use headwater::time::{Env, Millis, Random, Timestamp};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn planned(broker: &Broker, version: &str, beside: &str) -> Plan {
    let url = broker.url();
    let id = format!("c{}{}", version.len(), beside.len());
    let text = format!(
        "sources: {{ in: {{ mqtt: {{ url: '{url}', topics: [t], client_id: {id}, version: {version} }}{beside} }} }}\n\
         transforms: {{ s: {{ from: in, where: n >= 0 }} }}\n\
         sinks: {{ out: {{ from: s, drop: {{}} }} }}\n"
    );
    let faults = Faults::new(SourceFile::new("p.yaml", text.into()).unwrap());
    let surroundings = Surroundings { environment: &ProcessEnvironment::default(), overrides: &[] };
    let file = read_pipeline(&faults, surroundings).unwrap();
    let surroundings = plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Default::default() };
    plan::plan(&file, &surroundings, &faults).unwrap()
}

/// A run of the source, as far as the source sees it.
struct Run {
    rows: Box<dyn RowSource>,
    journal: Arc<Journal>,
}

impl Run {
    fn start(mut plan: Plan, last: FrameNumber, resume: Resume) -> Run {
        let journal = Arc::new(Journal::behind(last));
        let source = &mut plan.sources[0].plan;
        if matches!(source.durable(), Durable::Journal(_)) {
            source.journal(journal.clone());
        }
        let source = &plan.sources[0];
        let mut rows = source.plan.partition(0, &|| runtime::decoder(&plan, source));
        rows.open().unwrap();
        rows.resume(&Arc::new(resume)).unwrap();
        Run { rows, journal }
    }

    /// Reads so many events: each with its time of ingestion.
    fn read(&mut self, count: usize) -> Vec<(i64, Timestamp)> {
        let mut given = Vec::new();
        patiently(
            || {
                given.extend(self.fill());
                (given.len() >= count).then_some(())
            },
            || "events".to_owned(),
        );
        given
    }

    fn fill(&mut self) -> Vec<(i64, Timestamp)> {
        let (mut batch, mut refused) = (Batch::new(4, b""), Refused::default());
        let mut env = Env { now: Timestamp(0), elapsed: Millis(0), random: Random::seeded(1) };
        self.rows.fill(&mut batch, &mut refused, &mut env).unwrap();
        assert!(refused.unreadable.is_empty());
        let n = |row| (batch.get(Row(row), Slot(0)).as_int().unwrap(), batch.ingested);
        (0..batch.len() as u32).map(n).collect()
    }

    /// Brings what waits into the log.
    fn commit(&self) -> Vec<Vec<u8>> {
        let (frames, last) = self.journal.take();
        self.journal.committed(last, frames.iter().map(Vec::len).sum());
        frames
    }
}

/// Events of which half look alike.
fn lines(count: usize) -> String {
    (0..count).map(|n| format!("{{\"n\":{}}}\n", if n % 2 == 0 { 7 } else { n })).collect()
}

fn numbers(count: usize) -> Vec<i64> {
    (0..count as i64).map(|n| if n % 2 == 0 { 7 } else { n }).collect()
}

fn ns(given: &[(i64, Timestamp)]) -> Vec<i64> {
    given.iter().map(|(n, _)| *n).collect()
}

#[test]
fn what_is_not_durable_comes_again_and_what_is_does_not() {
    let Some(broker) = Broker::open() else { return };
    for version in ["5", "3.1.1"] {
        let plan = || planned(&broker, version, "");
        let mut first = Run::start(plan(), FrameNumber(0), Resume::default());
        assert_eq!(first.read(0).len(), 0);
        pass(Duration::from_millis(500));
        // No more than a broker of version 3.1.1 has under way unasked.
        broker.publish_lines("t", &lines(20), "1");
        assert_eq!(ns(&first.read(20)), numbers(20));
        assert_eq!(first.journal.take().0.len(), 20);
        // Killed before the log had it.
        drop(first);

        let mut second = Run::start(plan(), FrameNumber(0), Resume::default());
        let given = second.read(20);
        assert_eq!(ns(&given), numbers(20), "{version}");
        let position = second.rows.position().unwrap();
        assert_eq!(position.at, Offset::Journal(FrameNumber(20)));
        let frames = second.commit();
        pass(Duration::from_millis(300));
        drop(second);

        // It stopped behind the fifth.
        let positions = vec![Position { at: Offset::Journal(FrameNumber(5)), ..position }];
        let unread = (6..).map(FrameNumber).zip(frames.into_iter().skip(5)).collect();
        let (positions, unread) = (Mutex::new(positions), Mutex::new(unread));
        let resume = Resume { positions, unread, ..Resume::default() };
        let mut third = Run::start(plan(), FrameNumber(20), resume);
        assert_eq!(third.rows.position().unwrap().at, Offset::Journal(FrameNumber(5)));
        assert_eq!(third.read(15), given[5..], "the same events, which came when they came");
        pass(Duration::from_millis(500));
        assert_eq!(third.fill(), [], "what was durable was acknowledged");
        broker.publish("t", "{\"n\":99}");
        assert_eq!(ns(&third.read(1)), [99]);
        assert_eq!(third.rows.position().unwrap().at, Offset::Journal(FrameNumber(21)));
        third.commit();
        pass(Duration::from_millis(100));
    }
}

#[test]
fn what_waits_for_the_log_is_acknowledged_on_a_later_connection() {
    let Some(mut broker) = Broker::persistent() else { return };
    let mut run = Run::start(planned(&broker, "5", ""), FrameNumber(0), Resume::default());
    pass(Duration::from_millis(500));
    broker.publish_lines("t", &lines(300), "1");
    assert_eq!(ns(&run.read(300)), numbers(300));
    broker.stop();
    // The log had a part of it while nobody could be told.
    let (frames, _) = run.journal.take();
    run.journal.committed(FrameNumber(100), frames[..100].iter().map(Vec::len).sum());
    broker.run_and_wait();
    pass(Duration::from_millis(1500));
    broker.publish("t", "{\"n\":999}");
    // What the broker says that it repeats is not taken twice. A broker that was started anew does not say so of all.
    let mut given = Vec::new();
    while given.last() != Some(&999) {
        given.extend(ns(&run.read(1)));
    }
    assert!(given.len() <= 201, "what was acknowledged comes again: {given:?}");
    let last = FrameNumber(300 + given.len() as u64);
    let (more, _) = run.journal.take();
    run.journal.committed(last, frames[100..].iter().chain(&more).map(Vec::len).sum());
    pass(Duration::from_millis(300));
    drop(run);
    let mut run = Run::start(planned(&broker, "5", ""), last, Resume::default());
    pass(Duration::from_millis(700));
    assert_eq!(run.fill(), [], "all was acknowledged");
}

#[test]
fn with_checkpoints_what_is_covered_is_acknowledged() {
    let Some(broker) = Broker::open() else { return };
    let plan = || planned(&broker, "5", ", durable: checkpoint");
    let mut run = Run::start(plan(), FrameNumber(0), Resume::default());
    assert!(!run.rows.acknowledges());
    pass(Duration::from_millis(500));
    broker.publish_lines("t", &lines(20), "1");
    run.read(20);
    assert_eq!(run.rows.position(), None);
    broker.publish("t", "{\"n\":99}");
    run.read(1);
    run.rows.checkpointed();
    pass(Duration::from_millis(300));
    drop(run);
    let mut run = Run::start(plan(), FrameNumber(0), Resume::default());
    assert_eq!(ns(&run.read(1)), [99], "what came behind the checkpoint comes again");
}
