//! Messages become rows.

use super::frame;
use super::inbox::{Inbox, Receipt, Received};
use super::topics::TopicFields;
use crate::clients::mqtt::{Connecting, Incoming, Keeper, Subscription};
use crate::dataflow::{Journal, Receiver, Refused, SourceError, Startup, Upkeep, set_all, text_at};
use crate::event::bytes::Malformed;
use crate::event::{BATCH_BYTES, BATCH_ROWS, Batch, Slot, Span};
use crate::expr::SourceField;
use crate::time::Timestamp;
use std::ops::Range;
use std::sync::Arc;

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

/// What messages of a broker go through on their way to the worker.
pub struct Subscriber {
    connecting: Connecting,
    upkeep: Upkeep,
    inbox: Arc<Inbox>,
    keeper: Option<Keeper>,
    placing: Placing,
    found: Vec<Range<usize>>,
}

impl Subscriber {
    /// One that is not connected yet.
    pub fn new(
        connecting: Connecting,
        subscription: Subscription,
        placing: Placing,
        upkeep: Upkeep,
        journal: Option<Arc<Journal>>,
    ) -> Subscriber {
        let inbox = Inbox::new(connecting.who.clone(), subscription, journal);
        Subscriber { connecting, upkeep, inbox, keeper: None, placing, found: Vec::new() }
    }

    fn failed(&self, reason: &str) -> SourceError {
        SourceError { message: format!("no connection to {}: {reason}", self.connecting.address) }
    }
}

impl Receiver for Subscriber {
    type Message = Incoming;
    type Receipt = Receipt;

    fn who(&self) -> &str {
        &self.connecting.who
    }

    fn start(&mut self) -> Result<(), SourceError> {
        let started = Keeper::start(self.connecting.clone(), self.upkeep.stale_after, self.inbox.clone());
        let keeper = started.map_err(|reason| self.failed(&reason))?;
        if self.upkeep.startup == Startup::Fail {
            keeper.first_attempt().map_err(|reason| self.failed(&reason))?;
        }
        self.keeper = Some(keeper);
        Ok(())
    }

    fn read(&mut self, done: &mut Vec<Receipt>, into: &mut Vec<Received>, refused: &mut Refused) {
        let tally = self.inbox.read(BATCH_ROWS, BATCH_BYTES, done, into);
        let counted = [("discarded: QoS 0 beyond what is kept", tally.discarded)];
        refused.discarded.extend(counted.into_iter().filter(|(_, count)| *count > 0));
        let noted = [("reconnected", tally.reconnected), ("sessions lost", tally.sessions_lost)];
        refused.noted.extend(noted.into_iter().filter(|(_, count)| *count > 0));
    }

    fn acknowledge(&mut self, done: &mut Vec<Receipt>) {
        self.inbox.acknowledge(done);
    }

    fn is_due(receipt: &Receipt) -> bool {
        receipt.is_due()
    }

    fn thaw(frame: &[u8]) -> Result<(Incoming, Timestamp), Malformed> {
        frame::read(frame)
    }

    fn payload(message: &Incoming) -> &[u8] {
        &message.payload
    }

    fn refusal(&self, message: &Incoming) -> Option<String> {
        let (bytes, most) = (message.payload.len(), self.placing.max_payload);
        (bytes > most).then(|| format!("the message has {bytes} bytes, more than `max_payload` ({most})"))
    }

    fn place(&mut self, message: &Incoming, batch: &mut Batch, rows: Range<u32>) -> Result<(), String> {
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
                    set_all(batch, rows.clone(), *slot, text_at(batch, span));
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
            set_all(batch, rows.clone(), *slot, value);
        }
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            keeper.stop();
        }
    }
}
