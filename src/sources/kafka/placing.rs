//! What a message says besides its payload, where expressions ask for it.

use crate::clients::kafka::header;
use crate::event::{Batch, Row, Slot, Span, Value, json};
use crate::expr::SourceField;
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use std::ffi::CString;
use std::ops::Range;

/// What expressions ask of where an event came from, and its slots.
#[derive(Clone, Debug, Default)]
pub struct Placing {
    wanted: Vec<(Asked, Slot)>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    Header(CString),
}

impl Placing {
    /// What goes where. No header has a name with a null character in it.
    pub fn new(wanted: Vec<(SourceField, Slot)>) -> Placing {
        let asked = |(field, slot)| {
            let asked = match field {
                SourceField::Topic => Asked::Topic,
                SourceField::Partition => Asked::Partition,
                SourceField::Offset => Asked::Offset,
                SourceField::Timestamp => Asked::Timestamp,
                SourceField::Key => Asked::Key,
                SourceField::Header(name) => Asked::Header(CString::new(name).ok()?),
            };
            Some((asked, slot))
        };
        Placing { wanted: wanted.into_iter().filter_map(asked).collect() }
    }

    /// Sets it in the rows of a message. The topic stands in the arena already.
    ///
    /// # Errors
    /// Why the message is to be rejected.
    pub fn place(
        &self,
        message: &BorrowedMessage<'_>,
        topic: Span,
        batch: &mut Batch,
        rows: Range<u32>,
    ) -> Result<(), String> {
        for (field, slot) in &self.wanted {
            let value = match field {
                Asked::Topic => Value::plain_text(topic),
                Asked::Partition => Value::int(message.partition().into()),
                Asked::Offset => Value::int(message.offset()),
                Asked::Timestamp => match message.timestamp().to_millis() {
                    Some(millis) => Value::timestamp(millis),
                    None => continue,
                },
                Asked::Key => match message.key() {
                    Some(key) => text(batch, key, || "the key of the message is not UTF-8".to_owned())?,
                    None => continue,
                },
                Asked::Header(name) => match header(message, name) {
                    Some(bytes) => text(batch, bytes, || format!("the header {name:?} is not UTF-8"))?,
                    None => continue,
                },
            };
            rows.clone().for_each(|row| batch.set(Row(row), *slot, value));
        }
        Ok(())
    }

    /// Whether somebody asks for the topic.
    pub fn needs_topic(&self) -> bool {
        self.wanted.iter().any(|(field, _)| *field == Asked::Topic)
    }
}

fn text(batch: &mut Batch, bytes: &[u8], why: impl Fn() -> String) -> Result<Value, String> {
    if simdutf8::basic::from_utf8(bytes).is_err() {
        return Err(why());
    }
    let span = batch.store(bytes);
    Ok(if json::is_plain(bytes) { Value::plain_text(span) } else { Value::text(span) })
}
