//! Drives batches through the stages of a plan by plain function calls.
//!
//! Steps of a stage share its batch; a filter only shortens the list of rows. A step that emits fills the batch
//! of another stage, which is driven in place when it is full and when the step returns. Stages form a graph
//! without cycles, so the recursion is as deep as the pipeline is long.

use super::checkpoint::{Loading, StateIds};
use super::dead_letters::DeadLetters;
use super::inlet::Inlet;
use super::rejected::RejectPort;
use super::returned::Returned;
use super::stats::Counters;
use super::tap::{Place, Showing};
use crate::config::Secrets;
use crate::dataflow::{
    Awaits, ColdKeys, MAIN, Next, NodeId, Operator, Output, Port, Pressure, Room, Saving, Signal, StageId,
    StepId, Target,
};
use crate::event::{BATCH_BYTES, Batch, Reason, RejectKind, Row, Unreadable};
use crate::state::{Content, Entry, Overflow, StateError};
use crate::time::{Env, Timestamp};
use std::sync::Arc;

/// Batches a stage keeps at rest.
const MOST_POOLED: usize = 8;

/// A stage at work.
pub struct Stage {
    /// The batch being filled for this stage from upstream.
    filling: Option<Batch>,
    /// Batches at rest, ready to be filled.
    pool: Vec<Batch>,
    slots: usize,
    constants: Vec<u8>,
    roots: Vec<Next>,
    /// Stages that take rows of this one by copying, and which group of their inputs this is.
    joins: Vec<(StageId, usize)>,
    /// How rows of other stages come in; absent where an operator or a source fills the stage.
    inlet: Option<Inlet>,
    watermark: Timestamp,
    ended: bool,
}

impl Stage {
    /// A stage of the given layout whose rows go on to `roots`, and to the `joins` when all else is done.
    pub fn new(
        slots: usize,
        constants: &[u8],
        roots: Vec<Next>,
        joins: Vec<(StageId, usize)>,
        inlet: Option<Inlet>,
    ) -> Stage {
        let constants = constants.to_vec();
        Stage {
            filling: None,
            pool: Vec::new(),
            slots,
            constants,
            roots,
            joins,
            inlet,
            watermark: Timestamp::MIN,
            ended: false,
        }
    }

    fn batch(&mut self) -> Batch {
        self.pool.pop().unwrap_or_else(|| Batch::new(self.slots, &self.constants))
    }
}

/// A step at work.
pub struct Step {
    /// Absent only while the operator itself runs.
    operator: Option<Box<dyn Operator>>,
    node: NodeId,
    outputs: Vec<(Port, Target)>,
    rejected: Option<RejectPort>,
    /// Whether it is the first step of its node, where what comes in is counted.
    first: bool,
    /// Whether it is the last step of its node, where what goes out is counted.
    last: bool,
}

impl Step {
    /// A step of a node. `rejected` is absent where nothing listens to the node's rejects. `first` and `last` tell where
    /// it stands among the steps of its node.
    pub fn new(
        operator: Box<dyn Operator>,
        node: NodeId,
        outputs: Vec<(Port, Target)>,
        rejected: Option<RejectPort>,
        (first, last): (bool, bool),
    ) -> Step {
        Step { operator: Some(operator), node, outputs, rejected, first, last }
    }

    fn target(&self, port: Port) -> Option<&Target> {
        self.outputs.iter().find(|(p, _)| *p == port).map(|(_, target)| target)
    }

    /// The node and port that emitted rows are counted for, if this step counts them.
    fn counted(&self, port: Port) -> Option<(NodeId, Port)> {
        (self.last || port != MAIN).then_some((self.node, port))
    }

    /// What handles the rows of a passing port as the `i`th.
    fn next(&self, port: Port, i: usize) -> Option<Next> {
        match self.target(port) {
            Some(Target::Pass(all)) => all.get(i).copied(),
            _ => None,
        }
    }
}

/// All stages and steps of one worker.
pub struct Driver {
    stages: Vec<Stage>,
    steps: Vec<Step>,
    env: Env,
    /// Texts that no reason may show.
    secrets: Secrets,
    counters: Counters,
    /// Where rejected events go that nobody reads.
    dead_letters: Option<DeadLetters>,
    rows: Vec<Vec<Row>>,
    /// Nodes that are no sources, with what they read.
    reads: Vec<(NodeId, StageId)>,
    /// Those who look on.
    showings: Vec<Showing>,
    /// Why the pipeline is to end, if an operator wants that.
    failure: Option<String>,
}

impl Driver {
    /// A driver over stages and steps that refer to each other by their positions.
    pub fn new(stages: Vec<Stage>, steps: Vec<Step>, nodes: usize, env: Env, secrets: Secrets) -> Driver {
        let counters = Counters::new(nodes);
        Driver {
            stages,
            steps,
            env,
            secrets,
            counters,
            dead_letters: None,
            rows: Vec::new(),
            reads: Vec::new(),
            showings: Vec::new(),
            failure: None,
        }
    }

    /// Has watermarks of nodes counted: of each what it reads.
    pub fn watch(&mut self, reads: Vec<(NodeId, StageId)>) {
        self.reads = reads;
    }

    /// Shows events from now on.
    pub fn show(&mut self, showings: Vec<Showing>) {
        self.showings = showings;
    }

    fn shown(&mut self, at: Place, batch: &Batch, rows: &[Row]) {
        self.showings.iter_mut().for_each(|showing| showing.show(at, batch, rows));
    }

    /// Notes how far event time has come at nodes.
    pub fn note_watermarks(&mut self) {
        for (node, stage) in &self.reads {
            self.counters.reached(*node, self.stages[stage.0 as usize].watermark);
        }
    }

    /// Keeps rejected events that nobody reads.
    pub fn keep_dead_letters(&mut self, dead_letters: DeadLetters) {
        self.dead_letters = Some(dead_letters);
    }

    /// Why the pipeline is to end, if an operator wants that. The reason shows no secret.
    pub fn failure(&self) -> Option<String> {
        self.failure.as_ref().map(|why| self.secrets.mask(why).into_owned())
    }

    /// Time of day and randomness for the passes to come.
    pub fn env(&mut self) -> &mut Env {
        &mut self.env
    }

    /// What the nodes counted so far.
    pub fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// An empty batch of the stage's layout.
    pub fn take_batch(&mut self, stage: StageId) -> Batch {
        self.stages[stage.0 as usize].batch()
    }

    /// Gives a batch back for later use.
    pub fn return_batch(&mut self, stage: StageId, mut batch: Batch) {
        batch.clear();
        let pool = &mut self.stages[stage.0 as usize].pool;
        // A batch that had to grow far beyond the usual gives its memory back.
        if pool.len() < MOST_POOLED && batch.arena.capacity() <= 4 * BATCH_BYTES {
            pool.push(batch);
        }
    }

    /// Drives the rows through the stage, then its watermark if that moved.
    pub fn drive(&mut self, stage: StageId, batch: &mut Batch, rows: &[Row]) {
        let watermark = batch.watermark;
        self.drive_rows(stage, batch, rows);
        self.signal(stage, Signal::Watermark(watermark));
    }

    fn drive_rows(&mut self, stage: StageId, batch: &mut Batch, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        self.shown(Place::Stage(stage), batch, rows);
        for i in 0..self.at(stage).roots.len() {
            let next = self.at(stage).roots[i];
            self.go_on(next, batch, rows);
        }
        for i in 0..self.at(stage).joins.len() {
            let (into, group) = self.at(stage).joins[i];
            self.with_inlet(into, |driver, inlet| inlet.take_rows(driver, into, group, batch));
        }
    }

    /// Sends a signal through the stage, behind all rows before it.
    pub fn signal(&mut self, stage: StageId, signal: Signal) {
        if let Signal::Watermark(watermark) = signal {
            if watermark <= self.at(stage).watermark {
                return;
            }
            self.at(stage).watermark = watermark;
        }
        if let (Signal::Flush | Signal::End, Some(letters)) = (signal, &mut self.dead_letters) {
            letters.flush(self.env.elapsed);
        }
        if signal == Signal::End && std::mem::replace(&mut self.at(stage).ended, true) {
            return;
        }
        for i in 0..self.at(stage).roots.len() {
            if let Next::Step(step) = self.at(stage).roots[i] {
                self.signal_step(step, signal);
            }
        }
        for i in 0..self.at(stage).joins.len() {
            let (into, group) = self.at(stage).joins[i];
            self.with_inlet(into, |driver, inlet| inlet.take_signal(driver, into, group, signal));
        }
    }

    /// Whether rows wait in an operator for an answer from outside.
    pub fn waits(&self) -> bool {
        self.steps.iter().any(|step| step.operator.as_ref().is_some_and(|operator| operator.waits()))
    }

    /// How many keys of all operators have changed since they were saved.
    pub fn unsaved(&mut self) -> usize {
        let operators = self.steps.iter_mut().filter_map(|step| step.operator.as_mut());
        operators.map(|operator| operator.unsaved()).sum()
    }

    /// Every operator says what of its state changed since this was called last, on the given worker.
    pub fn save(&mut self, worker: usize, ids: &StateIds, entries: &mut Vec<Entry>) {
        for (step, id) in self.steps.iter_mut().zip(&ids.steps) {
            if let (Some(operator), Some(id)) = (&mut step.operator, id) {
                operator.save(&mut Saving::new(*id, worker, &self.env, entries));
            }
        }
        for (stage, id) in self.stages.iter_mut().zip(&ids.inlets) {
            if let (Some(inlet), Some(id)) = (&mut stage.inlet, id) {
                inlet.save(&mut Saving::new(*id, worker, &self.env, entries));
            }
        }
    }

    /// How far event time has come at a stage.
    pub fn watermark(&self, stage: StageId) -> Timestamp {
        self.stages[stage.0 as usize].watermark
    }

    /// What the steps of a node wait for that wait for event time.
    pub fn awaits(&self, node: NodeId) -> Vec<Awaits> {
        let steps = self.steps.iter().filter(|step| step.node == node);
        steps.filter_map(|step| step.operator.as_ref()?.awaits()).collect()
    }

    /// Keys of some steps may leave memory.
    pub fn spill(
        &mut self,
        steps: &[StepId],
        overflow: &Arc<Overflow>,
        pressure: &Arc<Pressure>,
        room: Room,
    ) {
        for step in steps {
            if let Some(operator) = &mut self.steps[step.0 as usize].operator {
                operator.spill(ColdKeys::new(overflow.clone(), pressure.clone(), step.0.into(), room));
            }
        }
    }

    /// Gives operators back what they saved.
    pub fn load(&mut self, loading: &Loading<'_>) -> Result<(), StateError> {
        for (step, id) in self.steps.iter_mut().zip(&loading.ids.steps) {
            if let (Some(operator), Some(id)) = (&mut step.operator, id) {
                loading.node(*id, &mut |saved| operator.load(saved, &self.env))?;
                operator.loaded();
            }
        }
        for (stage, id) in self.stages.iter_mut().zip(&loading.ids.inlets) {
            if let (Some(inlet), Some(id)) = (&mut stage.inlet, id) {
                loading.node(*id, &mut |saved| inlet.load(saved, &self.env))?;
                inlet.loaded();
            }
        }
        Ok(())
    }

    /// Gives the operators of one node back what they saved.
    pub fn load_node(&mut self, node: NodeId, loading: &Loading<'_>) -> Result<(), StateError> {
        let steps = self.steps.iter_mut().zip(&loading.ids.steps).filter(|(step, _)| step.node == node);
        for (step, id) in steps {
            if let (Some(operator), Some(id)) = (&mut step.operator, id) {
                loading.node(*id, &mut |saved| operator.load(saved, &self.env))?;
                operator.loaded();
            }
        }
        Ok(())
    }

    fn at(&mut self, stage: StageId) -> &mut Stage {
        &mut self.stages[stage.0 as usize]
    }

    /// Runs `f` with the inlet of a stage taken out, as what it delivers is driven through this driver.
    pub fn with_inlet(&mut self, stage: StageId, f: impl FnOnce(&mut Driver, &mut Inlet)) {
        if let Some(mut inlet) = self.at(stage).inlet.take() {
            f(self, &mut inlet);
            self.at(stage).inlet = Some(inlet);
        }
    }

    fn go_on(&mut self, next: Next, batch: &mut Batch, rows: &[Row]) {
        match next {
            Next::Step(step) => self.run_step(step, batch, rows),
            Next::Join(stage, input) => {
                if let Some(inlet) = &mut self.at(stage).inlet {
                    inlet.note(input, rows);
                }
            }
        }
    }

    fn run_step(&mut self, step: StepId, batch: &mut Batch, rows: &[Row]) {
        let Some(mut operator) = self.steps[step.0 as usize].operator.take() else {
            unreachable!("stages form no cycle, so a running step is not entered again");
        };
        if self.steps[step.0 as usize].first {
            self.counters.received(self.steps[step.0 as usize].node, rows.len() as u64);
        }
        let mut left = self.rows.pop().unwrap_or_default();
        left.clear();
        left.extend_from_slice(rows);
        let mut context = StepOutput { driver: self, step, passed: Vec::new() };
        operator.process(batch, &mut left, &mut context);
        let passed = std::mem::take(&mut context.passed);
        self.steps[step.0 as usize].operator = Some(operator);
        self.flush_emitted(step);
        self.pass_on(step, MAIN, batch, &left);
        self.rows.push(left);
        for (port, rows) in passed {
            self.pass_on(step, port, batch, &rows);
            self.rows.push(rows);
        }
    }

    fn pass_on(&mut self, step: StepId, port: Port, batch: &mut Batch, rows: &[Row]) {
        if self.steps[step.0 as usize].last {
            self.counters.sent(self.steps[step.0 as usize].node, port, rows.len() as u64);
        }
        if rows.is_empty() {
            return;
        }
        self.shown(Place::Behind(step, port), batch, rows);
        for i in 0.. {
            let Some(next) = self.steps[step.0 as usize].next(port, i) else { break };
            self.go_on(next, batch, rows);
        }
    }

    fn signal_step(&mut self, step: StepId, signal: Signal) {
        let Some(mut operator) = self.steps[step.0 as usize].operator.take() else {
            unreachable!("stages form no cycle, so a running step is not entered again");
        };
        operator.signal(signal, &mut StepOutput { driver: self, step, passed: Vec::new() });
        self.steps[step.0 as usize].operator = Some(operator);
        self.flush_emitted(step);
        for output in 0..self.steps[step.0 as usize].outputs.len() {
            let port = self.steps[step.0 as usize].outputs[output].0;
            for i in 0.. {
                match self.steps[step.0 as usize].next(port, i) {
                    Some(Next::Step(child)) => self.signal_step(child, signal),
                    // Joins get the signal from the stage, once for all places they take rows from.
                    Some(Next::Join(..)) => {}
                    None => break,
                }
            }
        }
        // Only now all steps of the node have had the signal, and have rejected what it made them reject.
        let this = &self.steps[step.0 as usize];
        if let (true, Some(stage)) = (this.last, this.rejected.as_ref().map(RejectPort::stage)) {
            self.signal(stage, signal);
        }
    }

    /// Drives what the step left in batches that are not full.
    fn flush_emitted(&mut self, step: StepId) {
        for port in 0..self.steps[step.0 as usize].outputs.len() {
            let this = &self.steps[step.0 as usize];
            if let (port, Target::Emit(stage)) = &this.outputs[port] {
                let (counted, stage) = (this.counted(*port), *stage);
                self.flush_stage(counted, stage);
            }
        }
        if let Some(stage) = self.steps[step.0 as usize].rejected.as_ref().map(RejectPort::stage) {
            self.flush_stage(None, stage);
        }
    }

    /// Drives what was filled in for the stage so far. `counted` is the port that it left by.
    pub fn flush_stage(&mut self, counted: Option<(NodeId, Port)>, stage: StageId) {
        let Some(mut batch) = self.stages[stage.0 as usize].filling.take() else { return };
        if let Some((node, port)) = counted {
            self.counters.sent(node, port, batch.len() as u64);
        }
        let mut rows = self.rows.pop().unwrap_or_default();
        rows.clear();
        rows.extend((0..batch.len() as u32).map(Row));
        batch.ingested = self.env.now;
        // Rows only: the watermark behind emitted rows comes as the operator's own signal.
        self.drive_rows(stage, &mut batch, &rows);
        self.rows.push(rows);
        self.return_batch(stage, batch);
    }

    /// The batch being filled for a stage, with room for a row.
    pub fn filling(&mut self, counted: Option<(NodeId, Port)>, stage: StageId) -> &mut Batch {
        if self.stages[stage.0 as usize].filling.as_ref().is_some_and(Batch::is_full) {
            self.flush_stage(counted, stage);
        }
        let stage = &mut self.stages[stage.0 as usize];
        if stage.filling.is_none() {
            stage.filling = Some(stage.batch());
        }
        // Put there just above if it was not there before.
        stage.filling.as_mut().expect("the batch being filled")
    }

    /// Counts input that a source could not decode and sends it to the source's `.rejected` port.
    pub fn reject_unreadable(
        &mut self,
        node: NodeId,
        port: Option<&mut RejectPort>,
        batch: &Batch,
        what: &Unreadable,
    ) {
        self.counters.rejected(node, &what.reason, &batch.arena[what.raw.range()]);
        if let Some(port) = port {
            let now = self.env.now;
            port.write_unreadable(batch, what, now, self.filling(None, port.stage()));
        } else if let Some(letters) = &mut self.dead_letters {
            let raw = Content::Raw(&batch.arena[what.raw.range()]);
            letters.note(&self.env, node, &what.reason, raw);
        }
    }

    /// Counts what a sink's target has refused and sends it to the sink's `.rejected` port. `is_kept` tells that it was put
    /// among the dead letters before, if nobody reads that.
    pub fn reject_refused(
        &mut self,
        node: NodeId,
        port: Option<&mut RejectPort>,
        Returned { at, reason, bytes }: &Returned,
        is_kept: bool,
    ) {
        let reason = &self.masked(&Reason::new(RejectKind::Refused, reason.clone()));
        self.counters.rejected(node, reason, bytes);
        if let Some(port) = port {
            let watermark = self.at(port.stage()).watermark;
            port.write_refused(bytes, reason, *at, watermark, self.filling(None, port.stage()));
        } else if let Some(letters) = self.dead_letters.as_mut().filter(|_| !is_kept) {
            letters.note(&self.env, node, reason, Content::Raw(bytes));
        }
    }

    /// A reason without secrets: it may quote literals, which may have come from a secret file.
    fn masked(&self, reason: &Reason) -> Reason {
        let text = self.secrets.mask(&reason.text).into_owned();
        Reason::new(reason.kind, text)
    }

    /// The same for a row that has cells, such as one without an event time.
    pub fn reject_row(
        &mut self,
        node: NodeId,
        port: Option<&mut RejectPort>,
        batch: &Batch,
        row: Row,
        reason: &Reason,
    ) {
        let reason = &self.masked(reason);
        self.counters.rejected(node, reason, &batch.arena[batch.raw[row.index()].range()]);
        if let Some(port) = port {
            let now = self.env.now;
            port.write_row(batch, row, reason, now, self.filling(None, port.stage()));
        } else if let Some(letters) = &mut self.dead_letters {
            let event = &batch.arena[batch.raw[row.index()].range()];
            let content = if event.is_empty() { Content::Unknown } else { Content::Event(event) };
            letters.note(&self.env, node, reason, content);
        }
    }

    /// Drives on what was rejected so far, then the signal, behind a source's `.rejected` port.
    pub fn signal_rejected(&mut self, port: &RejectPort, signal: Signal) {
        self.flush_stage(None, port.stage());
        self.signal(port.stage(), signal);
    }
}

/// What an operator sees of the driver while it runs.
struct StepOutput<'a> {
    driver: &'a mut Driver,
    step: StepId,
    passed: Vec<(Port, Vec<Row>)>,
}

impl StepOutput<'_> {
    fn this(&mut self) -> &mut Step {
        &mut self.driver.steps[self.step.0 as usize]
    }

    fn emitted(&mut self, port: Port) -> Option<StageId> {
        match self.this().target(port) {
            Some(Target::Emit(stage)) => Some(*stage),
            _ => None,
        }
    }
}

impl Output for StepOutput<'_> {
    fn env(&mut self) -> &mut Env {
        &mut self.driver.env
    }

    fn pass(&mut self, port: Port, rows: &[Row]) {
        let mut copy = self.driver.rows.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(rows);
        self.passed.push((port, copy));
    }

    fn emit(&mut self, port: Port) -> &mut Batch {
        let counted = self.this().counted(port);
        // The contract of `emit`: operators emit only to ports that they know to be connected.
        let stage = self.emitted(port).expect("an emitting port");
        self.driver.filling(counted, stage)
    }

    fn signal(&mut self, port: Port, signal: Signal) {
        let counted = self.this().counted(port);
        if let Some(stage) = self.emitted(port) {
            self.driver.flush_stage(counted, stage);
            self.driver.signal(stage, signal);
        }
    }

    fn reject(&mut self, batch: &Batch, row: Row, reason: Reason) {
        let node = self.this().node;
        let mut port = self.this().rejected.take();
        self.driver.reject_row(node, port.as_mut(), batch, row, &reason);
        self.this().rejected = port;
    }

    fn discard(&mut self, reason: &'static str, rows: u64) {
        let node = self.this().node;
        self.driver.counters.discarded(node, reason, rows);
    }

    fn fail(&mut self, why: String) {
        self.driver.failure.get_or_insert(why);
    }
}
