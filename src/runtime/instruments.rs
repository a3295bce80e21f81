//! What may be put around the parts of a pipeline when it is opened: how somebody who measures sees them at work. A run
//! without instruments has nothing in these places and pays nothing for them.

use super::exchange::WorkerId;
use crate::dataflow::{NodeId, Operator, RowSource, Sink, SinkId, StepId};
use crate::formats::Decoder;

/// Each part is given before it is opened or started, and what comes back takes its place.
pub trait Instruments {
    /// An operator of one worker.
    fn operator(&self, _worker: WorkerId, _step: StepId, operator: Box<dyn Operator>) -> Box<dyn Operator> {
        operator
    }

    /// A partition of a source, with the worker that reads it.
    fn rows(&self, _worker: WorkerId, _source: NodeId, rows: Box<dyn RowSource>) -> Box<dyn RowSource> {
        rows
    }

    /// The decoder of such a partition.
    fn decoder(&self, _worker: WorkerId, _source: NodeId, decoder: Box<dyn Decoder>) -> Box<dyn Decoder> {
        decoder
    }

    /// A sink, which all workers share.
    fn sink(&self, _sink: SinkId, sink: Box<dyn Sink>) -> Box<dyn Sink> {
        sink
    }
}

/// Leaves everything as it is.
pub struct Plain;

impl Instruments for Plain {}
