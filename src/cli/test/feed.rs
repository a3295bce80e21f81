//! A source as a test sees it: it gives what the test sends, one event at a time.

use super::case::Payload;
use super::shape::SourceShape;
use crate::dataflow::{Origin, Polled, Refused, RowSource, SourceError};
use crate::event::{Batch, Kind, Path, Row, Slot, Span, Value};
use crate::expr::Type;
use crate::formats::json::{JsonDecoder, JsonInput};
use crate::formats::{Decoder, Wanted};
use crate::plan::{Plan, SourceNode};
use crate::runtime;
use crate::time::Env;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was sent to a source and not read yet.
#[derive(Clone, Default)]
pub struct Queue(Arc<Mutex<Queued>>);

#[derive(Default)]
struct Queued {
    payloads: VecDeque<Payload>,
    closed: bool,
}

impl Queue {
    /// Sends an event.
    pub fn push(&self, payload: Payload) {
        self.lock().payloads.push_back(payload);
    }

    /// Ends the source.
    pub fn close(&self) {
        self.lock().closed = true;
    }

    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a [`Queue`] into the layout that the plan gives the source.
pub struct Feed {
    queue: Queue,
    /// Puts the fields of decoded events into their slots.
    decoded: JsonDecoder,
    /// The source's own format.
    raw: Option<Box<dyn Decoder>>,
    /// Slots of which the type is nothing that JSON has.
    typed: Vec<(Slot, Kind)>,
}

impl Feed {
    /// A feed for a source of the plan.
    pub fn new(plan: &Plan, source: &SourceNode, queue: Queue) -> Feed {
        let wanted = wanted(plan, source);
        let shape = SourceShape::new(plan, source);
        let typed = wanted.fields.iter().filter_map(|(path, slot)| {
            let ty = shape.type_of(path.root()).filter(|_| path.rest().is_empty())?;
            Some((*slot, beyond_json(ty)?))
        });
        Feed {
            queue,
            typed: typed.collect(),
            decoded: JsonDecoder::new(JsonInput::default(), &wanted),
            raw: source.decoding.map(|_| runtime::decoder(plan, source)),
        }
    }

    fn read(&mut self, payload: Payload, batch: &mut Batch, refused: &mut Refused) {
        let mut bytes = match &payload {
            Payload::Decoded(fields) => serde_json::to_vec(fields).unwrap_or_default(),
            Payload::Raw(text) => text.clone().into_bytes(),
        };
        if bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        let block: Span = batch.store(&bytes);
        let decoder: &mut dyn Decoder = match (&payload, &mut self.raw) {
            (Payload::Raw(_), Some(raw)) => &mut **raw,
            _ => &mut self.decoded,
        };
        decoder.decode(batch, block, true, usize::MAX, &mut refused.unreadable);
        if let Payload::Decoded(_) = payload {
            self.give_types(batch);
        }
    }

    /// Makes timestamps of numbers and bytes of text, where the source gives these.
    fn give_types(&self, batch: &mut Batch) {
        for row in (0..batch.len() as u32).map(Row) {
            for &(slot, kind) in &self.typed {
                let value = batch.get(row, slot);
                let typed = match (kind, value.as_int()) {
                    (Kind::Timestamp, Some(ms)) => Value::timestamp(ms),
                    (Kind::Bytes, None) if value.kind() == Kind::Text => Value::bytes(value.span()),
                    _ => value,
                };
                batch.set(row, slot, typed);
            }
        }
    }
}

/// The fields that the plan wants and where they go.
fn wanted(plan: &Plan, source: &SourceNode) -> Wanted {
    if let Some(decoding) = source.decoding {
        let mut wanted = plan.draft.decodings[decoding.0 as usize].wanted.clone();
        let added = source.plan.added_fields().into_iter();
        wanted.fields.extend(added.map(|(name, slot, _)| (Path::field(name), slot)));
        return wanted;
    }
    let fields = match &plan.draft.stages[source.stage.0 as usize].origin {
        Origin::Made { fields, .. } => {
            fields.iter().map(|(name, slot, _)| (Path::field(name.clone()), *slot)).collect()
        }
        _ => Vec::new(),
    };
    Wanted { fields, whole: false }
}

/// What becomes of the number or text that stands for a value of this type in JSON.
fn beyond_json(ty: Type) -> Option<Kind> {
    if ty.has(Kind::Timestamp) && !ty.has(Kind::Int) {
        Some(Kind::Timestamp)
    } else if ty.has(Kind::Bytes) && !ty.has(Kind::Text) {
        Some(Kind::Bytes)
    } else {
        None
    }
}

impl RowSource for Feed {
    fn open(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        _env: &mut Env,
    ) -> Result<Polled, SourceError> {
        let mut queued = self.queue.lock();
        let Some(payload) = queued.payloads.pop_front() else {
            return Ok(if queued.closed { Polled::End } else { Polled::Empty });
        };
        drop(queued);
        self.read(payload, batch, refused);
        Ok(Polled::Data)
    }
}
