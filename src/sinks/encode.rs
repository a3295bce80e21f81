//! The step that every sink that takes bytes stands behind: encodes events and writes them in chunks.

use crate::dataflow::{
    FormatPlan, Operator, Output, SharedSink, Signal, SinkId, StartContext, StepPlan, Template,
    write_addressed,
};
use crate::event::{Batch, Reason, RejectKind, Row, View};
use crate::formats::Encoder;
use std::sync::Arc;

/// Encoded bytes gathered before they are written, unless a flush comes first.
const CHUNK: usize = 64 << 10;

/// Takes events and forgets them.
#[derive(Debug)]
pub struct ForgetPlan;

impl StepPlan for ForgetPlan {
    fn describe(&self) -> String {
        "drop".to_owned()
    }

    fn start(&self, _context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Forget)
    }
}

struct Forget;

impl Operator for Forget {
    fn process(&mut self, _batch: &mut Batch, _rows: &mut Vec<Row>, _out: &mut dyn Output) {}
}

/// Encodes events in a format and writes them to a sink.
#[derive(Debug)]
pub struct EncodePlan {
    /// The sink.
    pub sink: SinkId,
    /// What it is, for `explain`.
    pub target: String,
    /// The format.
    pub format: Arc<dyn FormatPlan>,
    /// How events look where they enter.
    pub view: View,
    /// The texts of each event's address; none where all events go to one place.
    pub address: Vec<Template>,
    /// Whether each event is a message by itself; then it has an address.
    pub messages: bool,
    /// The most bytes of an encoded event; what is longer is rejected.
    pub most_bytes: Option<usize>,
}

impl StepPlan for EncodePlan {
    fn describe(&self) -> String {
        format!("{} as {}", self.target, self.format.describe())
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let encoder = match self.messages {
            true => self.format.message_encoder(&self.view),
            false => self.format.encoder(&self.view),
        };
        // Formats that cannot encode are refused when the pipeline is planned.
        let encoder = encoder.expect("a format that encodes");
        Box::new(Encode {
            surplus: if self.messages { encoder.separator().len() } else { 0 },
            encoder,
            sink: context.sink(self.sink),
            texts: vec![String::new(); self.address.len()],
            address: self.address.clone(),
            most_bytes: self.most_bytes.unwrap_or(usize::MAX),
            chunk: Vec::new(),
        })
    }
}

struct Encode {
    encoder: Box<dyn Encoder>,
    /// Bytes that are taken off again behind an event.
    surplus: usize,
    sink: SharedSink,
    address: Vec<Template>,
    /// The rendered address of an event, kept for its allocations.
    texts: Vec<String>,
    most_bytes: usize,
    chunk: Vec<u8>,
}

impl Encode {
    /// Adds an event to the chunk, behind its address where it has one.
    fn encode(&mut self, batch: &Batch, row: Row) -> Result<(), Reason> {
        let (start, most) = (self.chunk.len(), self.most_bytes);
        if self.address.is_empty() {
            self.encoder.encode(batch, row, &mut self.chunk)?;
            return fits(self.chunk.len() - start, most).inspect_err(|_| self.chunk.truncate(start));
        }
        for (template, text) in self.address.iter().zip(&mut self.texts) {
            text.clear();
            template.render(batch, row, text)?;
        }
        write_addressed(&self.texts, &mut self.chunk, |into| {
            let start = into.len();
            self.encoder.encode(batch, row, into)?;
            into.truncate(into.len() - self.surplus);
            fits(into.len() - start, most)
        })
    }

    fn write_chunk(&mut self) {
        if !self.chunk.is_empty() {
            self.sink.write(&self.chunk);
            self.chunk.clear();
        }
    }
}

/// Whether the target takes an event of so many bytes.
fn fits(bytes: usize, most: usize) -> Result<(), Reason> {
    let too_long = || format!("the event has {bytes} bytes, and its target takes {most} at the most");
    if bytes <= most { Ok(()) } else { Err(Reason::new(RejectKind::Encode, too_long())) }
}

impl Operator for Encode {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let mut rejects = Vec::new();
        rows.retain(|&row| {
            let outcome = self.encode(batch, row);
            if self.chunk.len() >= CHUNK {
                self.write_chunk();
            }
            outcome.map_err(|reason| rejects.push((row, reason))).is_ok()
        });
        for (row, reason) in rejects {
            out.reject(batch, row, reason);
        }
    }

    fn signal(&mut self, signal: Signal, _out: &mut dyn Output) {
        if matches!(signal, Signal::Flush | Signal::End) {
            self.write_chunk();
            self.sink.flush();
        }
    }
}
