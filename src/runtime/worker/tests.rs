use crate::config::{Faults, ProcessEnvironment, SourceFile, Surroundings, read_pipeline};
use crate::dataflow::{NodeId, Polled, Refused, RowSource, Sink, SinkError, SinkId, SourceError};
use crate::event::Batch;
use crate::plan::{self, Plan};
use crate::runtime::{Instruments, Pipeline, WorkerId};
use crate::time::{Env, SystemClock, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const TWO_WORKERS: &str = "
options: { parallelism: 2 }
sources: { n: { generate: { count: 10, fields: { n: sequence() } } } }
windows: { w: { from: n, key: [n], count: { size: 2 }, aggregate: { all: count(*) } } }
sinks: { out: { from: w, drop: {} } }
";

fn planned(text: &str) -> Plan {
    let faults = Faults::new(SourceFile::new("p.yaml", text.into()).unwrap());
    let surroundings = Surroundings { environment: &ProcessEnvironment::default(), overrides: &[] };
    let file = read_pipeline(&faults, surroundings).unwrap();
    let surroundings = plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Default::default() };
    plan::plan(&file, &surroundings, &faults).unwrap()
}

/// Sources that panic when they are read.
struct Faulty;

impl Instruments for Faulty {
    fn rows(&self, _worker: WorkerId, _source: NodeId, _rows: Box<dyn RowSource>) -> Box<dyn RowSource> {
        Box::new(Faulty)
    }
}

impl RowSource for Faulty {
    fn open(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn fill(&mut self, _: &mut Batch, _: &mut Refused, _: &mut Env) -> Result<Polled, SourceError> {
        panic!("as the test wants it")
    }
}

#[test]
fn a_worker_that_panics_ends_its_pipeline_alone() {
    let plan = planned(TWO_WORKERS);
    assert!(plan.draft.stages.iter().any(|stage| stage.exchange.is_some()), "one waits for the other");
    let (clock, stop) = (SystemClock::new(), AtomicBool::new(false));
    let pipeline = Pipeline::open_with(&plan, &clock, &Faulty, None).unwrap();
    let failure = pipeline.run(&clock, &stop, &mut |_| {}).unwrap_err();
    assert!(failure.starts_with("a worker panicked"), "{failure}");
    assert!(!stop.load(Ordering::Relaxed), "other pipelines go on");
}

#[test]
fn a_stop_loses_no_row_between_workers() {
    let plan = planned(
        "
options: { parallelism: 2 }
sources: { n: { generate: { fields: { n: sequence() } } } }
transforms:
  first: { from: n, dedupe: { key: n, within: 1h } }
  second: { from: first, dedupe: { key: { k: n % 1000 }, within: 1ms } }
sinks: { out: { from: second, drop: {} } }
",
    );
    let clock = SystemClock::new();
    for _ in 0..5 {
        let stop = AtomicBool::new(false);
        let pipeline = Pipeline::open(&plan, &clock).unwrap();
        let counts = pipeline.run(&clock, &stop, &mut |counts| {
            stop.store(counts[1].received > 10_000, Ordering::Relaxed);
        });
        let counts = counts.unwrap();
        assert_eq!(counts[0].sent, counts[1].received);
        assert_eq!(counts[1].sent, counts[2].received);
    }
}

/// A server that forgets what it is told has gone through, and a target that is told what comes.
#[derive(Clone, Default)]
struct Ledger {
    given: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
    flushed: Arc<AtomicU64>,
    forgot_too_early: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
    ends: Ends,
}

/// How a target ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Ends {
    #[default]
    Well,
    /// What was taken does not arrive.
    Badly,
    /// Half way, its reader went away.
    Early,
    /// Half way, it failed.
    Failing,
}

impl Ledger {
    /// What was given is acknowledged now.
    fn acknowledge(&self) {
        let kept = self.flushed.load(Ordering::SeqCst) == self.given.load(Ordering::SeqCst);
        self.forgot_too_early.fetch_or(!kept, Ordering::SeqCst);
    }
}

impl Instruments for Ledger {
    fn rows(&self, _worker: WorkerId, _source: NodeId, _rows: Box<dyn RowSource>) -> Box<dyn RowSource> {
        Box::new(self.clone())
    }

    fn sink(&self, _sink: SinkId, _: Box<dyn Sink>) -> Box<dyn Sink> {
        Box::new(self.clone())
    }
}

impl RowSource for Ledger {
    fn open(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn fill(&mut self, batch: &mut Batch, _: &mut Refused, _: &mut Env) -> Result<Polled, SourceError> {
        self.acknowledge();
        batch.push_row(Timestamp(0), Timestamp(0));
        self.given.fetch_add(1, Ordering::SeqCst);
        Ok(Polled::Data)
    }

    fn acknowledges(&self) -> bool {
        true
    }

    fn close(&mut self) {
        self.acknowledge();
        self.closed.store(true, Ordering::SeqCst);
    }
}

impl Sink for Ledger {
    fn open(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.taken.fetch_add(bytes.iter().filter(|byte| **byte == b'\n').count() as u64, Ordering::SeqCst);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        match self.ends {
            Ends::Early if self.taken.load(Ordering::SeqCst) > 50 => return Err(SinkError::Closed),
            Ends::Failing if self.taken.load(Ordering::SeqCst) > 50 => return Err(wanted()),
            _ => {}
        }
        self.flushed.store(self.taken.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok(())
    }

    fn close(&mut self, _stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        if self.ends == Ends::Badly { Err(wanted()) } else { Ok(()) }
    }
}

fn wanted() -> SinkError {
    SinkError::Failed("as the test wants it".to_owned())
}

#[test]
fn what_is_acknowledged_has_arrived() {
    let plan = planned(
        "
sources: { n: { generate: { fields: { n: sequence() } } } }
sinks: { out: { from: n, stdout: {} } }
",
    );
    let clock = SystemClock::new();
    for ends in [Ends::Well, Ends::Badly, Ends::Early, Ends::Failing] {
        let (ledger, stop) = (Ledger { ends, ..Ledger::default() }, AtomicBool::new(false));
        let pipeline = Pipeline::open_with(&plan, &clock, &ledger, None).unwrap();
        let outcome = pipeline.run(&clock, &stop, &mut |counts| {
            stop.store(counts[0].sent > 100, Ordering::Relaxed);
        });
        assert_eq!(outcome.is_err(), matches!(ends, Ends::Badly | Ends::Failing), "{ends:?}");
        assert!(!ledger.forgot_too_early.load(Ordering::SeqCst), "{ends:?}");
        assert_eq!(ledger.closed.load(Ordering::SeqCst), ends == Ends::Well, "{ends:?}");
    }
}
