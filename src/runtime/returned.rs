//! What a sink's target has refused, on its way back into the pipeline: it enters by the sink's `.rejected` port, on the
//! first worker, as the input of a source does.
//!
//! Where state is kept, whoever delivers puts it into the log, as a frame of the sink's, before the target goes past it;
//! checkpoints say how far these were read. Elsewhere the worker asks the sink itself.

use super::checkpoint::{ONLY, Part, Reached};
use super::driver::Driver;
use super::rejected::RejectPort;
use crate::dataflow::{
    FrameNumber, NodeId, Offset, Origin, Position, RefusedEvent, SharedSink, StageId, Target,
};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_signed};
use crate::event::{Layer, View};
use crate::plan::Plan;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

const VERSION: u64 = 1;
/// The longest reason that is read back.
const MOST_REASON: usize = 64 << 10;

/// An event that a target has refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// When that was.
    pub at: Timestamp,
    /// What the target said.
    pub reason: String,
    /// The event, as it was encoded.
    pub bytes: Vec<u8>,
}

impl Returned {
    /// As it stands in the log.
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(self.reason.len() + self.bytes.len() + 16);
        put_number(&mut frame, VERSION);
        put_signed(&mut frame, self.at.0);
        put_bytes(&mut frame, &self.reason.as_bytes()[..self.reason.floor_char_boundary(MOST_REASON)]);
        frame.extend_from_slice(&self.bytes);
        frame
    }

    /// Reads that back.
    pub fn decode(frame: &[u8]) -> Result<Returned, Malformed> {
        let mut reader = Reader::new(frame);
        if reader.number()? != VERSION {
            return Err(Malformed("a refused event of a later version"));
        }
        let at = Timestamp(reader.signed()?);
        let reason = String::from_utf8(reader.bytes(MOST_REASON)?.to_vec());
        let reason = reason.map_err(|_| Malformed("a reason that is no text"))?;
        Ok(Returned { at, reason, bytes: reader.take(reader.remaining())?.to_vec() })
    }
}

/// An event, with its number in the log if it is to be read from there again.
type Numbered = (Option<FrameNumber>, Returned);

/// What is durable and was not taken by the worker yet.
#[derive(Clone, Default)]
pub struct ReturnPath(Arc<Mutex<VecDeque<Numbered>>>);

impl ReturnPath {
    /// Adds an event.
    pub fn push(&self, number: Option<FrameNumber>, event: Returned) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((number, event));
    }

    fn take(&self) -> VecDeque<Numbered> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the events of a sink come back.
pub struct ReturnIntake {
    node: NodeId,
    /// Its number among what is read: behind the sources.
    number: usize,
    port: Option<RejectPort>,
    /// Whether some of it may go on to other workers.
    is_shared: bool,
    from: From,
    /// The last frame that was taken.
    last: FrameNumber,
    was_fed: bool,
}

enum From {
    /// Whoever keeps the state.
    Path(ReturnPath),
    /// The sink.
    Sink(SharedSink, Vec<RefusedEvent>),
}

impl ReturnIntake {
    /// Those of all sinks of a plan; `paths` are where they come from where state is kept.
    pub fn of(plan: &Plan, sinks: &[SharedSink], paths: &[ReturnPath]) -> Vec<ReturnIntake> {
        let one = |(number, sink): (usize, &SharedSink)| {
            let node = plan.sinks[number].node;
            let name = &plan.nodes[node.0 as usize].name;
            // Nothing that comes back has cells.
            let view = View { layers: vec![Layer::Raw] };
            let port = plan.rejected.get(&node).map(|stage| RejectPort::new(*stage, name, &view));
            let from = match paths.get(number) {
                Some(path) => From::Path(path.clone()),
                None => From::Sink(sink.clone(), Vec::new()),
            };
            let number = plan.sources.len() + number;
            let is_shared = port.as_ref().is_some_and(|port| is_shared(plan, port.stage()));
            let last = FrameNumber::default();
            ReturnIntake { node, number, port, is_shared, from, last, was_fed: false }
        };
        sinks.iter().enumerate().map(one).collect()
    }

    /// Whether some of what comes back may go on to other workers.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Takes what has come back. Tells whether any of it went on.
    pub fn step(&mut self, driver: &mut Driver) -> bool {
        let at = driver.env().now;
        let mut is_any = false;
        match &mut self.from {
            From::Path(path) => {
                for (number, event) in path.take() {
                    is_any = true;
                    self.last = number.unwrap_or(self.last);
                    self.was_fed |= number.is_some();
                    driver.reject_refused(self.node, self.port.as_mut(), &event, number.is_none());
                }
            }
            From::Sink(sink, taken) => {
                sink.take_refused(taken);
                for RefusedEvent { reason, bytes, .. } in taken.drain(..) {
                    is_any = true;
                    let event = Returned { at, reason, bytes };
                    driver.reject_refused(self.node, self.port.as_mut(), &event, false);
                }
            }
        }
        let Some(port) = self.port.as_ref().filter(|_| is_any) else { return false };
        driver.flush_stage(None, port.stage());
        true
    }

    /// Says how far it was read, where that is news.
    pub fn save(&mut self, part: &mut Part) {
        if std::mem::take(&mut self.was_fed) {
            let position = Position { partition: ONLY.to_vec(), at: Offset::Journal(self.last) };
            part.reached.push(Reached { source: self.number, position, skip: 0, highest: None });
            part.was_fed = true;
        }
    }
}

/// Whether rows of a stage may come to another worker.
fn is_shared(plan: &Plan, from: StageId) -> bool {
    let (stages, mut seen) = (&plan.draft.stages, vec![from]);
    let mut next = 0;
    while let Some(stage) = seen.get(next).copied() {
        next += 1;
        let copies = |origin: &Origin| match origin {
            Origin::Copied(points) => points.iter().any(|point| point.stage == stage),
            _ => false,
        };
        let copied = (0..).map(StageId).zip(stages).filter(|(_, to)| copies(&to.origin)).map(|(to, _)| to);
        let steps = plan.draft.steps.iter().filter(|step| step.stage == stage);
        let emitted = steps.flat_map(|step| {
            let emitted = step.outputs.iter().filter_map(|(_, target)| match target {
                Target::Emit(to) => Some(*to),
                Target::Pass(_) => None,
            });
            emitted.chain(plan.rejected.get(&step.node).copied())
        });
        let found: Vec<StageId> = copied.chain(emitted).filter(|to| !seen.contains(to)).collect();
        seen.extend(found);
    }
    seen.iter().any(|stage| stages[stage.0 as usize].exchange.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        let event = Returned { at: Timestamp(-5), reason: "no \u{e4}".to_owned(), bytes: vec![0, 255] };
        assert_eq!(Returned::decode(&event.encode()), Ok(event.clone()));
        assert!(Returned::decode(&[9]).is_err());
        let long = Returned { reason: "\u{e4}".repeat(MOST_REASON), ..event };
        assert_eq!(Returned::decode(&long.encode()).unwrap().reason.len(), MOST_REASON);
    }
}
