//! A source that messages are pushed to, by a broker or by clients: each is a record by itself, and whoever sent it is told
//! when it is safe.

use super::journal::FrameNumber;
use super::source::{Offset, Polled, Position, Refused, Resume, RowSource, SourceError};
use super::upkeep::{Durable, Upkeep};
use crate::event::bytes::Malformed;
use crate::event::{
    BATCH_BYTES, BATCH_ROWS, Batch, Reason, RejectKind, Row, Slot, Span, Unreadable, Value, json,
};
use crate::formats::{Decoder, decode_input};
use crate::time::{Env, Timestamp};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

/// Bytes of a message that cannot be taken that its rejection carries.
const SAMPLE: usize = 64 << 10;

/// What takes messages in, from whatever thread, and keeps them until they are read.
pub trait Receiver: Send {
    /// A message.
    type Message: Send;
    /// What is needed to acknowledge one.
    type Receipt: Send;

    /// Who receives, for messages.
    fn who(&self) -> &str;

    /// Starts to receive. Called once.
    ///
    /// # Errors
    /// It cannot, and shall not try again.
    fn start(&mut self) -> Result<(), SourceError>;

    /// Acknowledges what was read before, and reads some [`BATCH_ROWS`] messages of about [`BATCH_BYTES`] at the most. The
    /// calling thread is woken when something comes. Where there is a journal, all have arrived together.
    fn read(
        &mut self,
        done: &mut Vec<Self::Receipt>,
        into: &mut Vec<Pushed<Self::Message, Self::Receipt>>,
        refused: &mut Refused,
    );

    /// Acknowledges what was read before.
    fn acknowledge(&mut self, done: &mut Vec<Self::Receipt>);

    /// Whether somebody waits for it. With a journal the receiver acknowledges by itself.
    fn is_due(receipt: &Self::Receipt) -> bool;

    /// The message of a frame of the journal, and when it arrived.
    ///
    /// # Errors
    /// What is wrong with the frame.
    fn thaw(frame: &[u8]) -> Result<(Self::Message, Timestamp), Malformed>;

    /// The bytes that a decoder reads.
    fn payload(message: &Self::Message) -> &[u8];

    /// Why a message is not even decoded.
    fn refusal(&self, _message: &Self::Message) -> Option<String> {
        None
    }

    /// Sets what is known of a message besides its payload in its rows.
    ///
    /// # Errors
    /// Why the message is to be rejected.
    fn place(&mut self, message: &Self::Message, batch: &mut Batch, rows: Range<u32>) -> Result<(), String>;

    /// Receives no more, and lets those who wait know what is known.
    fn stop(&mut self);
}

/// A message that waits.
pub struct Pushed<M, R> {
    /// The message.
    pub message: M,
    /// When it arrived.
    pub arrived: Timestamp,
    /// What is needed to acknowledge it.
    pub receipt: R,
    /// Its number in the journal, if there is one.
    pub frame: FrameNumber,
}

/// The one partition of such a source.
pub struct PushSource<R: Receiver> {
    receiver: R,
    /// What it is called among positions.
    partition: &'static [u8],
    upkeep: Upkeep,
    decoder: Box<dyn Decoder>,
    /// Messages at hand, empty between passes.
    messages: Vec<Pushed<R::Message, R::Receipt>>,
    /// Messages that were given and are to be acknowledged.
    given: Vec<R::Receipt>,
    when: When,
    /// Frames of the journal that an earlier run has not read.
    unread: VecDeque<(FrameNumber, Vec<u8>)>,
    /// The last frame that was given.
    last: FrameNumber,
    said: bool,
}

/// When messages are acknowledged.
enum When {
    /// When they have gone through the pipeline: when the next are asked for.
    Passed,
    /// When they are durable in the journal, by the receiver.
    Journaled,
    /// When a checkpoint covers them: of what was given, so many at the last that was begun.
    Checkpointed(Cell<usize>),
}

impl<R: Receiver> PushSource<R> {
    /// A source that has not started yet; `journaled` says whether its receiver has a journal.
    pub fn new(
        receiver: R,
        partition: &'static [u8],
        upkeep: Upkeep,
        journaled: bool,
        decoder: Box<dyn Decoder>,
    ) -> PushSource<R> {
        let when = if journaled { When::Journaled } else { When::Passed };
        let (messages, given, unread) = (Vec::new(), Vec::new(), VecDeque::new());
        let last = FrameNumber(0);
        PushSource { receiver, partition, upkeep, decoder, messages, given, when, unread, last, said: false }
    }

    /// Says once that somebody wants what there is no place for.
    fn say_what_is_lost(&mut self) {
        let wanted = self.upkeep.durable_is_written && self.upkeep.durable != Durable::No;
        if !std::mem::replace(&mut self.said, true) && wanted && matches!(self.when, When::Passed) {
            let who = self.receiver.who();
            tracing::warn!("{who}: `durable` has no effect without a data directory: give `--data-dir`");
        }
    }

    /// Gives frames of the journal, of one arrival.
    fn give_unread(&mut self, batch: &mut Batch, refused: &mut Refused) {
        let mut arrived = None;
        while batch.len() < BATCH_ROWS && batch.arena.len() < BATCH_BYTES {
            let Some((_, frame)) = self.unread.front() else { break };
            let message = R::thaw(frame);
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
    fn add(&mut self, message: &R::Message, batch: &mut Batch, refused: &mut Refused) {
        let payload = R::payload(message);
        if let Some(text) = self.receiver.refusal(message) {
            let sample = batch.store(&payload[..payload.len().min(SAMPLE)]);
            return refused.unreadable.push(unreadable(batch, sample, text));
        }
        let stored = batch.store(payload);
        let (before, faults) = (batch.len(), refused.unreadable.len());
        decode_input(&mut *self.decoder, batch, stored, &mut refused.unreadable);
        let silent = batch.len() == before && refused.unreadable.len() == faults;
        if silent && payload.trim_ascii().is_empty() {
            return refused.unreadable.push(unreadable(batch, stored, "the message is empty"));
        }
        let rows = before as u32..batch.len() as u32;
        if let Err(text) = self.receiver.place(message, batch, rows.clone()) {
            let reason = Reason::new(RejectKind::Decode, text);
            refused.rows.extend(rows.map(|row| (Row(row), reason.clone())));
        }
    }
}

fn unreadable(batch: &Batch, raw: Span, text: impl Into<Cow<'static, str>>) -> Unreadable {
    Unreadable::behind(batch, raw, Reason::new(RejectKind::Decode, text))
}

/// The text at a place of a batch's arena, which holds UTF-8 there.
pub fn text_at(batch: &Batch, span: Span) -> Value {
    match json::is_plain(&batch.arena[span.range()]) {
        true => Value::plain_text(span),
        false => Value::text(span),
    }
}

/// Sets a slot in several rows.
pub fn set_all(batch: &mut Batch, rows: Range<u32>, slot: Slot, value: Value) {
    rows.for_each(|row| batch.set(Row(row), slot, value));
}

impl<R: Receiver> RowSource for PushSource<R> {
    fn open(&mut self) -> Result<(), SourceError> {
        self.receiver.start()
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
            let who = self.receiver.who();
            tracing::info!("{who}: {} messages of the journal were not read yet", unread.len());
        }
        self.unread = unread.into();
        let found = from.take(|position| position.partition == self.partition);
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
        is_known.then(|| Position { partition: self.partition.to_vec(), at: Offset::Journal(self.last) })
    }

    fn checkpointed(&mut self) {
        if let When::Checkpointed(covered) = &self.when {
            let covered = covered.take();
            let mut done = self.given.drain(..covered).collect();
            self.receiver.acknowledge(&mut done);
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
        self.receiver.read(done, &mut messages, refused);
        let polled = if messages.is_empty() { Polled::Empty } else { Polled::Data };
        for pushed in messages.drain(..) {
            self.add(&pushed.message, batch, refused);
            match self.when {
                When::Journaled => (self.last, batch.ingested) = (pushed.frame, pushed.arrived),
                _ => self.given.extend(Some(pushed.receipt).filter(R::is_due)),
            }
        }
        self.messages = messages;
        Ok(polled)
    }

    fn acknowledges(&self) -> bool {
        matches!(self.when, When::Passed)
    }

    fn close(&mut self) {
        if matches!(self.when, When::Passed) {
            self.receiver.acknowledge(&mut self.given);
        }
        self.receiver.stop();
    }
}
