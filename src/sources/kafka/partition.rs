//! One partition: its messages become rows.

use super::placing::Placing;
use super::shared::{Client, Range, Shared};
use super::topics::Place;
use crate::clients::kafka::{Context, known_end, of_topic};
use crate::dataflow::{Polled, Position, Refused, RowSource, SourceError};
use crate::event::{BATCH_BYTES, BATCH_ROWS, Batch, Reason, RejectKind, Row, Span, Unreadable};
use crate::formats::{Decoder, decode_input};
use crate::time::Env;
use rdkafka::consumer::Consumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use std::cell::Cell;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A larger message is rejected, with so much of it.
const LARGEST: usize = 32 << 20;
/// See [`LARGEST`].
const SAMPLE: usize = 64 << 10;

const TOMBSTONES: &str = "messages without a payload";
const GAPS: &str = "gaps: messages that were deleted before they were read";

/// Reads one partition.
pub struct Reading {
    who: Arc<str>,
    place: Place,
    /// The topic as librdkafka takes it.
    topic: CString,
    shared: Arc<Shared>,
    attached: Option<Attached>,
    taking: Taking,
    /// Whether the next offset does not exist, and another is waited for.
    is_lost: bool,
    /// What was wrong last, which was said.
    said: Option<RDKafkaErrorCode>,
    /// The offset that was last saved, and the one that the group knows.
    saved: Cell<i64>,
    mirrored: i64,
}

/// The queue of messages that were fetched, of one client.
struct Attached {
    generation: u64,
    client: Arc<Client>,
    queue: PartitionQueue<Context>,
}

/// What messages are turned into rows by, and how far.
struct Taking {
    decoder: Box<dyn Decoder>,
    placing: Placing,
    /// The offset of the next message.
    next: i64,
    /// Whether there was nothing behind the last message.
    at_end: bool,
    tombstones: u64,
    has_met_tombstone: bool,
}

impl Reading {
    /// A partition that begins at `next`.
    pub fn new(
        who: Arc<str>,
        (place, next): (Place, i64),
        shared: Arc<Shared>,
        placing: Placing,
        decoder: Box<dyn Decoder>,
    ) -> Reading {
        // No topic has a null character in its name.
        let topic = CString::new(place.topic.as_bytes()).unwrap_or_default();
        let (at_end, tombstones, has_met_tombstone) = (false, 0, false);
        let taking = Taking { decoder, placing, next, at_end, tombstones, has_met_tombstone };
        Reading {
            who,
            place,
            topic,
            shared,
            attached: None,
            taking,
            is_lost: false,
            said: None,
            saved: Cell::new(next),
            mirrored: -1,
        }
    }

    /// Sees that messages come from the present client; returns whether they do.
    fn attach(&mut self) -> bool {
        let generation = self.shared.generation();
        if self.attached.as_ref().is_some_and(|attached| attached.generation == generation) {
            return true;
        }
        self.attached = None;
        let client = self.shared.lock().client.clone();
        self.attached = client.and_then(|client| self.assign(client, generation));
        self.attached.is_some()
    }

    fn assign(&mut self, client: Arc<Client>, generation: u64) -> Option<Attached> {
        // In this order: else the first messages could come to the client's own queue.
        let mut queue = client.split_partition_queue(&self.place.topic, self.place.partition)?;
        let worker = std::thread::current();
        queue.set_nonempty_callback(move || worker.unpark());
        let assigned = self.list().and_then(|list| client.incremental_assign(&list));
        if let Err(error) = assigned {
            tracing::debug!("{}: {}: {error}", self.who, self.shown());
            return None;
        }
        self.taking.at_end = false;
        Some(Attached { generation, client, queue })
    }

    fn list(&self) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(1);
        let next = Offset::Offset(self.taking.next);
        list.add_partition_offset(&self.place.topic, self.place.partition, next)?;
        Ok(list)
    }

    fn shown(&self) -> String {
        format!("partition {} of `{}`", self.place.partition, self.place.topic)
    }

    /// Gives rows of messages that are at hand.
    fn take(&mut self, batch: &mut Batch, refused: &mut Refused) -> Option<KafkaError> {
        let Some(Attached { queue, .. }) = &self.attached else { return None };
        let topic = match self.taking.placing.needs_topic() {
            true => batch.store(self.place.topic.as_bytes()),
            false => Span::default(),
        };
        while batch.len() < BATCH_ROWS && batch.arena.len() < BATCH_BYTES {
            match queue.poll(Duration::ZERO) {
                None => return None,
                Some(Ok(message)) => {
                    if !self.taking.take(&message, topic, batch, refused) {
                        // It is fetched again once it is known how it is read.
                        drop(message);
                        self.detach();
                        return None;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.taking.at_end = true,
                Some(Err(error)) => return Some(error),
            }
        }
        None
    }

    /// Draws the conclusion from an error of this partition.
    fn fail(&mut self, error: &KafkaError) {
        self.taking.at_end = false;
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        match code {
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
                self.is_lost = true;
                self.shared.lock().lost.insert(self.place.clone());
            }
            _ if self.said == Some(code) => {}
            // What the library tries again by itself, and what the client as a whole is told of.
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::TopicAuthorizationFailed => {
                let why = of_topic(code, &self.place.topic, "Read");
                tracing::error!("{}: {}: {why}; it is tried again", self.who, self.shown());
                self.said = Some(code);
            }
            _ => {
                tracing::warn!("{}: {}: {error}; it is tried again", self.who, self.shown());
                self.said = Some(code);
            }
        }
    }

    /// Goes on where the partition begins, if it is known by now where that is; else false.
    fn find_again(&mut self, refused: &mut Refused) -> bool {
        let Some(range) = self.shared.lock().ranges.remove(&self.place) else { return false };
        let Range { low, high } = range;
        let (who, partition, next) = (&self.who, self.shown(), self.taking.next);
        if next < low {
            let count = low - next;
            tracing::error!(
                "{who}: {partition}: {count} messages from {next} to {} were deleted before they were read; goes on \
                 at {low}",
                low - 1
            );
            refused.discarded.push((GAPS, count as u64));
            self.taking.next = low;
        } else if next > high {
            tracing::error!(
                "{who}: {partition}: it ends at {high}, and was read up to {next}: it was made anew or has lost \
                 messages; goes on at its first, {low}"
            );
            refused.noted.push(("partitions made anew", 1));
            self.taking.next = low;
        }
        self.is_lost = false;
        self.detach();
        true
    }

    /// Lets go of what was fetched; it goes on at the next offset.
    fn detach(&mut self) {
        if let Some(Attached { client, .. }) = self.attached.take()
            && let Ok(list) = self.list()
        {
            // An error says that it is not assigned, which is what is wanted.
            let _ = client.incremental_unassign(&list);
        }
    }
}

impl Taking {
    /// Adds the events of a message. False if that must wait.
    fn take(
        &mut self,
        message: &BorrowedMessage<'_>,
        topic: Span,
        batch: &mut Batch,
        refused: &mut Refused,
    ) -> bool {
        let offset = message.offset();
        if offset < self.next {
            return true;
        }
        let before = std::mem::replace(&mut self.next, offset + 1);
        self.at_end = false;
        let Some(bytes) = message.payload() else {
            self.tombstones += 1;
            return true;
        };
        let payload = batch.store(&bytes[..if bytes.len() > LARGEST { SAMPLE } else { bytes.len() }]);
        if bytes.len() > LARGEST {
            let text = format!("the message has {} bytes, more than {LARGEST}", bytes.len());
            refused.unreadable.push(unreadable(batch, payload, text));
            return true;
        }
        let (first, faults) = (batch.len(), refused.unreadable.len());
        decode_input(&mut *self.decoder, batch, payload, &mut refused.unreadable);
        if self.decoder.has_left() {
            self.next = before;
            return false;
        }
        let silent = batch.len() == first && refused.unreadable.len() == faults;
        if silent && bytes.trim_ascii().is_empty() {
            refused.unreadable.push(unreadable(batch, payload, "the message is empty"));
            return true;
        }
        let rows = first as u32..batch.len() as u32;
        if let Err(text) = self.placing.place(message, topic, batch, rows.clone()) {
            let reason = Reason::new(RejectKind::Decode, text);
            refused.rows.extend(rows.map(|row| (Row(row), reason.clone())));
        }
        true
    }
}

fn unreadable(batch: &Batch, raw: Span, text: impl Into<std::borrow::Cow<'static, str>>) -> Unreadable {
    Unreadable::behind(batch, raw, Reason::new(RejectKind::Decode, text))
}

impl RowSource for Reading {
    fn open(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn name(&self) -> Option<String> {
        Some(format!("{}/{}", self.place.topic, self.place.partition))
    }

    fn position(&self) -> Option<Position> {
        self.saved.set(self.taking.next);
        Some(self.place.position(self.taking.next))
    }

    fn lag(&self) -> Option<u64> {
        let Some(Attached { client, .. }) = &self.attached else { return None };
        if self.taking.at_end {
            return Some(0);
        }
        let end = known_end(client, &self.topic, self.place.partition)?;
        Some(end.saturating_sub(self.taking.next).max(0) as u64)
    }

    fn checkpointed(&mut self) {
        if self.saved.get() != self.mirrored {
            self.mirrored = self.saved.get();
            self.shared.lock().commits.insert(self.place.clone(), self.mirrored);
        }
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        _env: &mut Env,
    ) -> Result<Polled, SourceError> {
        self.shared.asked.store(true, Ordering::Relaxed);
        if self.is_lost && !self.find_again(refused) {
            return Ok(Polled::Waiting);
        }
        if self.taking.decoder.is_waiting() || !self.attach() {
            return Ok(Polled::Waiting);
        }
        let before = self.taking.next;
        if let Some(error) = self.take(batch, refused) {
            self.fail(&error);
        }
        if self.taking.tombstones > 0 {
            refused.discarded.push((TOMBSTONES, std::mem::take(&mut self.taking.tombstones)));
            if !std::mem::replace(&mut self.taking.has_met_tombstone, true) {
                let (who, partition) = (&self.who, self.shown());
                tracing::warn!("{who}: {partition} has messages without a payload, which are passed over");
            }
        }
        if self.taking.next != before {
            self.shared.arrived.store(true, Ordering::Relaxed);
            self.said = None;
            return Ok(Polled::Data);
        }
        if self.shared.is_gone(&self.place) {
            return Ok(Polled::End);
        }
        let connected = self.attached.as_ref().is_some_and(|it| it.client.context().is_connected());
        Ok(if self.taking.at_end && connected { Polled::Empty } else { Polled::Waiting })
    }
}
