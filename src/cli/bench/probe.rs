//! The instruments of a bench: around each operator, source, decoder and sink one that counts and takes the time.

use super::lane::{Lane, Measured, Part, note_wait};
use crate::dataflow::{
    MAIN, NodeId, Operator, Output, Polled, Port, Refused, RowSource, Signal, Sink, SinkError, SinkId,
    SourceError, StepId, Target,
};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, Row, Span, Unreadable};
use crate::formats::Decoder;
use crate::plan::Plan;
use crate::runtime::{Instruments, WorkerId};
use crate::time::{Clock, Env, Millis, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// When the input is to end, if it does not end by itself before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// After so many events, of all sources together.
    pub events: Option<u64>,
    /// After so much time.
    pub time: Option<Millis>,
}

/// All instruments of a run.
pub struct Probe<'a> {
    plan: &'a Plan,
    lanes: Vec<Lane>,
    limit: Arc<Limit>,
    written: Vec<Arc<AtomicU64>>,
}

struct Limit {
    clock: Arc<dyn Clock>,
    events: u64,
    until: u64,
    read: AtomicU64,
}

impl Limit {
    fn is_reached(&self) -> bool {
        self.read.load(Ordering::Relaxed) >= self.events || self.clock.nanos() >= self.until
    }
}

impl<'a> Probe<'a> {
    /// Instruments for a plan; time counts from now.
    pub fn new(plan: &'a Plan, clock: Arc<dyn Clock>, limits: Limits) -> Probe<'a> {
        let parts = plan.draft.steps.len() + 2 * plan.sources.len();
        let until = limits.time.map_or(u64::MAX, |time| clock.nanos() + time.0.max(0) as u64 * 1_000_000);
        Probe {
            plan,
            lanes: (0..plan.parallelism).map(|_| Lane::new(clock.clone(), parts)).collect(),
            written: plan.sinks.iter().map(|_| Arc::new(AtomicU64::new(0))).collect(),
            limit: Arc::new(Limit {
                clock,
                events: limits.events.unwrap_or(u64::MAX),
                until,
                read: AtomicU64::new(0),
            }),
        }
    }

    /// Where a source's reading is measured; its decoder is the next part.
    pub fn reader(&self, source: usize) -> Part {
        Part(self.plan.draft.steps.len() + 2 * source)
    }

    /// Where a source's decoder is measured.
    pub fn decoding(&self, source: usize) -> Part {
        Part(self.reader(source).0 + 1)
    }

    /// What all workers measured.
    pub fn measured(&self) -> Measured {
        let mut measured = Measured::default();
        self.lanes.iter().for_each(|lane| lane.add_to(&mut measured));
        measured
    }

    /// Bytes that each sink was given.
    pub fn written(&self) -> Vec<u64> {
        self.written.iter().map(|bytes| bytes.load(Ordering::Relaxed)).collect()
    }

    /// Whether a sink only counts: results of a bench would bury its figures.
    pub fn only_counts(plan: &Plan, sink: usize) -> bool {
        plan.nodes[plan.sinks[sink].node.0 as usize].kind == "stdout"
    }

    fn source(&self, node: NodeId) -> usize {
        self.plan.sources.iter().position(|source| source.node == node).unwrap_or_default()
    }
}

impl Instruments for Probe<'_> {
    fn operator(&self, worker: WorkerId, step: StepId, operator: Box<dyn Operator>) -> Box<dyn Operator> {
        let outputs = &self.plan.draft.steps[step.0 as usize].outputs;
        let emits = outputs.iter().any(|(port, target)| *port == MAIN && matches!(target, Target::Emit(_)));
        let lane = self.lanes[worker.0 as usize].clone();
        Box::new(TimedOperator { operator, lane, part: Part(step.0 as usize), passes: !emits })
    }

    fn rows(&self, worker: WorkerId, source: NodeId, rows: Box<dyn RowSource>) -> Box<dyn RowSource> {
        let part = self.reader(self.source(source));
        let lane = self.lanes[worker.0 as usize].clone();
        Box::new(TimedSource { rows, lane, part, limit: self.limit.clone() })
    }

    fn decoder(&self, worker: WorkerId, source: NodeId, decoder: Box<dyn Decoder>) -> Box<dyn Decoder> {
        let part = self.decoding(self.source(source));
        Box::new(TimedDecoder { decoder, lane: self.lanes[worker.0 as usize].clone(), part })
    }

    fn sink(&self, sink: SinkId, inner: Box<dyn Sink>) -> Box<dyn Sink> {
        let number = sink.0 as usize;
        let inner = (!Probe::only_counts(self.plan, number)).then_some(inner);
        Box::new(CountedSink { inner, written: self.written[number].clone() })
    }
}

struct TimedOperator {
    operator: Box<dyn Operator>,
    lane: Lane,
    part: Part,
    /// Whether rows that are left over go on, or are written; otherwise only what is emitted counts.
    passes: bool,
}

impl Operator for TimedOperator {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let given = rows.len() as u64;
        let mut out = CountedOutput { out, rows: 0 };
        let begun = self.lane.begin();
        self.operator.process(batch, rows, &mut out);
        let left = if self.passes { rows.len() as u64 } else { 0 };
        self.lane.end(begun, Some(self.part), |gauge| {
            gauge.rows_in += given;
            gauge.rows_out += left + out.rows;
        });
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        let mut out = CountedOutput { out, rows: 0 };
        let begun = self.lane.begin();
        self.operator.signal(signal, &mut out);
        self.lane.end(begun, Some(self.part), |gauge| gauge.rows_out += out.rows);
        if matches!(signal, Signal::Flush | Signal::End) {
            self.lane.flushed();
        }
    }
}

/// Counts the rows that leave by ports other than a passing main one.
struct CountedOutput<'a> {
    out: &'a mut dyn Output,
    rows: u64,
}

impl Output for CountedOutput<'_> {
    fn env(&mut self) -> &mut Env {
        self.out.env()
    }

    fn pass(&mut self, port: Port, rows: &[Row]) {
        self.rows += rows.len() as u64;
        self.out.pass(port, rows);
    }

    fn emit(&mut self, port: Port) -> &mut Batch {
        self.rows += 1;
        self.out.emit(port)
    }

    fn signal(&mut self, port: Port, signal: Signal) {
        self.out.signal(port, signal);
    }

    fn reject(&mut self, batch: &Batch, row: Row, reason: Reason) {
        self.out.reject(batch, row, reason);
    }

    fn discard(&mut self, reason: &'static str, rows: u64) {
        self.out.discard(reason, rows);
    }

    fn fail(&mut self, why: String) {
        self.out.fail(why);
    }
}

struct TimedSource {
    rows: Box<dyn RowSource>,
    lane: Lane,
    part: Part,
    limit: Arc<Limit>,
}

impl RowSource for TimedSource {
    fn open(&mut self) -> Result<(), SourceError> {
        self.rows.open()
    }

    fn gives_rows(&self) -> bool {
        self.rows.gives_rows()
    }

    fn turned_up(&mut self) -> Vec<Box<dyn RowSource>> {
        let timed = |rows| -> Box<dyn RowSource> {
            Box::new(TimedSource {
                rows,
                lane: self.lane.clone(),
                part: self.part,
                limit: self.limit.clone(),
            })
        };
        self.rows.turned_up().into_iter().map(timed).collect()
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        env: &mut Env,
    ) -> Result<Polled, SourceError> {
        self.lane.settle();
        if self.limit.is_reached() {
            return Ok(Polled::End);
        }
        let begun = self.lane.begin();
        let polled = self.rows.fill(batch, refused, env);
        let rows = batch.len() as u64;
        // A source that has nothing at hand waits for it.
        let part = (!matches!(polled, Ok(Polled::Empty | Polled::Waiting))).then_some(self.part);
        self.lane.end(begun, part, |gauge| gauge.rows_out += rows);
        self.lane.read(rows);
        self.limit.read.fetch_add(rows, Ordering::Relaxed);
        polled
    }

    fn acknowledges(&self) -> bool {
        self.rows.acknowledges()
    }

    fn close(&mut self) {
        self.rows.close();
    }
}

struct TimedDecoder {
    decoder: Box<dyn Decoder>,
    lane: Lane,
    part: Part,
}

impl Decoder for TimedDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let before = batch.len();
        let begun = self.lane.begin();
        let consumed = self.decoder.decode(batch, block, last, limit, unreadable);
        self.lane.end(begun, Some(self.part), |gauge| {
            gauge.rows_out += (batch.len() - before) as u64;
            gauge.bytes += consumed as u64;
        });
        consumed
    }

    fn has_left(&self) -> bool {
        self.decoder.has_left()
    }

    fn is_waiting(&self) -> bool {
        self.decoder.is_waiting()
    }

    fn save(&self, into: &mut Vec<u8>) {
        self.decoder.save(into);
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        self.decoder.load(saved)
    }

    fn another(&self) -> Box<dyn Decoder> {
        let decoder = self.decoder.another();
        Box::new(TimedDecoder { decoder, lane: self.lane.clone(), part: self.part })
    }
}

struct CountedSink {
    /// None where nothing is written.
    inner: Option<Box<dyn Sink>>,
    written: Arc<AtomicU64>,
}

impl Sink for CountedSink {
    fn open(&mut self) -> Result<(), SinkError> {
        self.inner.as_mut().map_or(Ok(()), |sink| sink.open())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.inner.as_mut().map_or(Ok(()), |sink| sink.write(bytes))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.inner.as_mut().map_or(Ok(()), |sink| sink.flush())
    }

    fn is_ready(&self) -> bool {
        self.inner.as_ref().is_none_or(|sink| sink.is_ready())
    }

    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        self.inner.as_mut().map_or(Ok(()), |sink| sink.close(stopped))
    }
}

/// A clock that notes how long workers wait.
pub struct WatchedClock(pub Arc<dyn Clock>);

impl Clock for WatchedClock {
    fn wall(&self) -> Timestamp {
        self.0.wall()
    }

    fn elapsed(&self) -> Millis {
        self.0.elapsed()
    }

    fn nanos(&self) -> u64 {
        self.0.nanos()
    }

    fn wait(&self, span: Millis) {
        let before = self.0.nanos();
        self.0.wait(span);
        note_wait(self.0.nanos() - before);
    }

    fn doze(&self, span: Millis) {
        let before = self.0.nanos();
        self.0.doze(span);
        note_wait(self.0.nanos() - before);
    }

    fn synchronised(&self) -> bool {
        self.0.synchronised()
    }

    fn entropy(&self) -> u64 {
        self.0.entropy()
    }
}
