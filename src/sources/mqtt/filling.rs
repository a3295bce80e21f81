//! Messages become rows.

use super::frame;
use super::inbox::{Inbox, Receipt, Received};
use super::topics::TopicFields;
use crate::clients::mqtt::{Connecting, Incoming, Keeper, Subscription};
use crate::dataflow::{
    Durable, FrameNumber, Journal, Offset, Polled, Position, Refused, Resume, RowSource, SourceError,
    Startup, Upkeep,
};
use crate::event::bytes::Malformed;
use crate::event::{
    BATCH_BYTES, BATCH_ROWS, Batch, Reason, RejectKind, Row, Slot, Span, Unreadable, Value, json,
};
use crate::expr::SourceField;
use crate::formats::Decoder;
use crate::time::Env;
use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

/// Bytes of a message that is too large that its rejection carries.
const SAMPLE: usize = 64 << 10;

/// What goes where besides what the format decodes.
#[derive(Clone, Debug)]
pub struct Placing {
    /// The levels of topics that are fields, and their slots.
    pub levels: Option<(TopicFields, Vec<Slot>)>,
    /// What expressions ask of where an event came from, and its slots.
    pub provided: Vec<(SourceField, Slot)>,
    /// The largest message, in bytes.
    pub max_payload: usize,
}

impl Placing {
    fn needs_topic(&self) -> bool {
        let asked = |(field, _): &(SourceField, Slot)| *field == SourceField::Topic;
        self.levels.is_some() || self.provided.iter().any(asked)
    }
}

/// The one partition of an `mqtt` source.
pub struct Filling {
    connecting: Connecting,
    upkeep: Upkeep,
    inbox: Arc<Inbox>,
    keeper: Option<Keeper>,
    decoder: Box<dyn Decoder>,
    placing: Placing,
    /// Messages at hand, empty between passes.
    messages: Vec<Received>,
    /// Messages that were given and are to be acknowledged.
    given: Vec<Receipt>,
    when: When,
    /// Frames of the journal that an earlier run has not read.
    unread: VecDeque<(FrameNumber, Vec<u8>)>,
    /// The last frame that was given.
    last: FrameNumber,
    said: bool,
    found: Vec<Range<usize>>,
}

/// When messages are acknowledged.
enum When {
    /// When they have gone through the pipeline: when the next are asked for.
    Passed,
    /// When they are durable in the journal, by the inbox.
    Journaled,
    /// When a checkpoint covers them: of what was given, so many at the last that was begun.
    Checkpointed(Cell<usize>),
}

/// What the one partition is called among positions.
const PARTITION: &[u8] = b"mqtt";

impl Filling {
    /// A source that is not connected yet.
    pub fn new(
        connecting: Connecting,
        subscription: Subscription,
        placing: Placing,
        upkeep: Upkeep,
        journal: Option<Arc<Journal>>,
        decoder: Box<dyn Decoder>,
    ) -> Filling {
        let when = if journal.is_some() { When::Journaled } else { When::Passed };
        let inbox = Inbox::new(connecting.who.clone(), subscription, journal);
        Filling {
            connecting,
            upkeep,
            inbox,
            keeper: None,
            decoder,
            placing,
            messages: Vec::new(),
            given: Vec::new(),
            when,
            unread: VecDeque::new(),
            last: FrameNumber(0),
            said: false,
            found: Vec::new(),
        }
    }

    fn failed(&self, reason: &str) -> SourceError {
        SourceError { message: format!("no connection to {}: {reason}", self.connecting.address) }
    }

    /// Says once that somebody wants what there is no place for.
    fn say_what_is_lost(&mut self) {
        let wanted = self.upkeep.durable_is_written && self.upkeep.durable != Durable::No;
        if !std::mem::replace(&mut self.said, true) && wanted && matches!(self.when, When::Passed) {
            let who = &self.connecting.who;
            tracing::warn!("{who}: `durable` has no effect without a data directory: give `--data-dir`");
        }
    }

    /// Gives frames of the journal, of one arrival.
    fn give_unread(&mut self, batch: &mut Batch, refused: &mut Refused) {
        let mut arrived = None;
        while batch.len() < BATCH_ROWS && batch.arena.len() < BATCH_BYTES {
            let Some((_, frame)) = self.unread.front() else { break };
            let message = frame::read(frame);
            if let Ok((_, then)) = &message
                && arrived.is_some_and(|arrived| arrived != *then)
            {
                break;
            }
            let Some((number, frame)) = self.unread.pop_front() else { break };
            self.last = number;
            match message {
                Ok((message, then)) => {
                    arrived = Some(then);
                    batch.ingested = then;
                    self.add(&message, batch, refused);
                }
                Err(Malformed(what)) => {
                    let raw = batch.store(&frame[..frame.len().min(SAMPLE)]);
                    let text = format!("a frame of the journal cannot be read: {what}");
                    refused.unreadable.push(unreadable(batch, raw, text));
                }
            }
        }
    }

    /// Adds the events of a message.
    fn add(&mut self, message: &Incoming, batch: &mut Batch, refused: &mut Refused) {
        let kept = message.payload.len().min(if self.is_too_large(message) { SAMPLE } else { usize::MAX });
        let payload = batch.store(&message.payload[..kept]);
        if self.is_too_large(message) {
            let (bytes, most) = (message.payload.len(), self.placing.max_payload);
            let text = format!("the message has {bytes} bytes, more than `max_payload` ({most})");
            return refused.unreadable.push(unreadable(batch, payload, text));
        }
        let (before, faults) = (batch.len(), refused.unreadable.len());
        self.decoder.decode(batch, payload, true, usize::MAX, &mut refused.unreadable);
        let silent = batch.len() == before && refused.unreadable.len() == faults;
        if silent && message.payload.trim_ascii().is_empty() {
            return refused.unreadable.push(unreadable(batch, payload, "the message is empty"));
        }
        let rows = (before as u32..batch.len() as u32).map(Row);
        if let Err(text) = self.place(message, batch, rows.clone()) {
            let reason = Reason::new(RejectKind::Decode, text);
            refused.rows.extend(rows.map(|row| (row, reason.clone())));
        }
    }

    fn is_too_large(&self, message: &Incoming) -> bool {
        message.payload.len() > self.placing.max_payload
    }

    /// Sets what the topic and the properties of a message say in its rows.
    ///
    /// # Errors
    /// Why the message is to be rejected.
    fn place(
        &mut self,
        message: &Incoming,
        batch: &mut Batch,
        rows: impl Iterator<Item = Row> + Clone,
    ) -> Result<(), String> {
        let Placing { levels, provided, .. } = &self.placing;
        let mut topic = Span::default();
        if self.placing.needs_topic() {
            let text = str::from_utf8(&message.topic).map_err(|_| "the topic is not UTF-8")?;
            topic = batch.store(text.as_bytes());
            if let Some((fields, slots)) = levels {
                if !fields.read(text, &mut self.found) {
                    return Err(format!("the topic `{text}` is not like `{}`", fields.written));
                }
                for (range, slot) in self.found.iter().zip(slots) {
                    let span = Span::new(topic.start as usize + range.start, range.len());
                    set(batch, rows.clone(), *slot, text_at(batch, span));
                }
            }
        }
        for (field, slot) in provided {
            let value = match field {
                SourceField::Topic => text_at(batch, topic),
                SourceField::Header(name) => {
                    let Some((_, text)) = message.properties.iter().find(|(n, _)| n == name) else {
                        continue;
                    };
                    let span = batch.store(text.as_bytes());
                    text_at(batch, span)
                }
                SourceField::Partition | SourceField::Offset | SourceField::Timestamp | SourceField::Key => {
                    continue;
                }
            };
            set(batch, rows.clone(), *slot, value);
        }
        Ok(())
    }
}

fn unreadable(batch: &Batch, raw: Span, text: impl Into<std::borrow::Cow<'static, str>>) -> Unreadable {
    Unreadable::behind(batch, raw, Reason::new(RejectKind::Decode, text))
}

fn text_at(batch: &Batch, span: Span) -> Value {
    match json::is_plain(&batch.arena[span.range()]) {
        true => Value::plain_text(span),
        false => Value::text(span),
    }
}

fn set(batch: &mut Batch, rows: impl Iterator<Item = Row>, slot: Slot, value: Value) {
    rows.for_each(|row| batch.set(row, slot, value));
}

impl RowSource for Filling {
    fn open(&mut self) -> Result<(), SourceError> {
        let started = Keeper::start(self.connecting.clone(), self.upkeep.stale_after, self.inbox.clone());
        let keeper = started.map_err(|reason| self.failed(&reason))?;
        if self.upkeep.startup == Startup::Fail {
            keeper.first_attempt().map_err(|reason| self.failed(&reason))?;
        }
        self.keeper = Some(keeper);
        Ok(())
    }

    fn resume(&mut self, from: &Arc<Resume>) -> Result<Option<Vec<u8>>, SourceError> {
        if self.upkeep.durable == Durable::Checkpoint {
            self.when = When::Checkpointed(Cell::new(0));
        }
        if !matches!(self.when, When::Journaled) {
            return Ok(None);
        }
        let unread = std::mem::take(&mut *from.unread.lock().unwrap_or_else(PoisonError::into_inner));
        if !unread.is_empty() {
            let who = &self.connecting.who;
            tracing::info!("{who}: {} messages of the journal were not read yet", unread.len());
        }
        self.unread = unread.into();
        let found = from.take(|position| position.partition == PARTITION);
        if let Some(Offset::Journal(last)) = found.as_ref().map(|found| &found.at) {
            self.last = *last;
        }
        Ok(found.map(|found| found.partition))
    }

    fn position(&self) -> Option<Position> {
        if let When::Checkpointed(covered) = &self.when {
            covered.set(self.given.len());
        }
        let is_known = matches!(self.when, When::Journaled) && self.last != FrameNumber(0);
        is_known.then(|| Position { partition: PARTITION.to_vec(), at: Offset::Journal(self.last) })
    }

    fn checkpointed(&mut self) {
        if let When::Checkpointed(covered) = &self.when {
            let covered = covered.take();
            let mut done = self.given.drain(..covered).collect();
            self.inbox.acknowledge(&mut done);
        }
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        _env: &mut Env,
    ) -> Result<Polled, SourceError> {
        self.say_what_is_lost();
        if !self.unread.is_empty() {
            self.give_unread(batch, refused);
            return Ok(Polled::Data);
        }
        let mut messages = std::mem::take(&mut self.messages);
        let (mut nothing, passed) = (Vec::new(), matches!(self.when, When::Passed));
        let done = if passed { &mut self.given } else { &mut nothing };
        let tally = self.inbox.read(BATCH_ROWS, BATCH_BYTES, done, &mut messages);
        let counted = [("discarded: QoS 0 beyond what is kept", tally.discarded)];
        refused.discarded.extend(counted.into_iter().filter(|(_, count)| *count > 0));
        let noted = [("reconnected", tally.reconnected), ("sessions lost", tally.sessions_lost)];
        refused.noted.extend(noted.into_iter().filter(|(_, count)| *count > 0));
        let polled = if messages.is_empty() { Polled::Empty } else { Polled::Data };
        for received in messages.drain(..) {
            match self.when {
                When::Journaled => (self.last, batch.ingested) = (received.frame, received.arrived),
                _ => self.given.extend(Some(received.receipt).filter(Receipt::is_due)),
            }
            self.add(&received.message, batch, refused);
        }
        self.messages = messages;
        Ok(polled)
    }

    fn acknowledges(&self) -> bool {
        matches!(self.when, When::Passed)
    }

    fn close(&mut self) {
        if matches!(self.when, When::Passed) {
            self.inbox.acknowledge(&mut self.given);
        }
        if let Some(mut keeper) = self.keeper.take() {
            keeper.stop();
        }
    }
}
