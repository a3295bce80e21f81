//! Avro (its specification, 1.12): values by a schema, without names or types among them.
//!
//! Written by hand: the usual crate reads into trees, needs many others, and takes a minute to build.

mod read;
mod registered;
mod schema;
mod write;

#[cfg(test)]
mod tests;

use super::transcode::Transcode;
use crate::event::bytes::Reader;
use read::read;
pub use registered::{RegisteredAvro, SchemaRegistry, Sought, Written};
pub use schema::Schema;
use std::ops::Range;

/// Bytes before a value as the serializers of a schema registry write it: a zero, and the number of its schema.
const FRAME: usize = 5;

/// Events by a schema, which is a record.
pub struct Avro {
    schema: Schema,
    /// The number of the schema, where values stand behind it.
    framed: Option<u32>,
}

impl Avro {
    /// Values of that schema; each behind a zero and the number, where there is one.
    ///
    /// # Errors
    /// Why the schema is none of events.
    pub fn new(schema: Schema, framed: Option<u32>) -> Result<Avro, String> {
        if schema.fields().is_none() {
            return Err("events are records: a schema of `\"type\": \"record\"` is needed".to_owned());
        }
        Ok(Avro { schema, framed })
    }

    /// The names of the fields of an event.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().into_iter().flatten()
    }

    /// What stands behind the frame.
    fn unframed<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8], String> {
        let Some(expected) = self.framed else { return Ok(bytes) };
        match bytes.split_first_chunk::<FRAME>() {
            Some(([0, a, b, c, d], rest)) => match u32::from_be_bytes([*a, *b, *c, *d]) {
                number if number == expected => Ok(rest),
                number => Err(format!("it was written by schema {number}, and {expected} is known")),
            },
            _ => Err("it does not begin with a zero and the number of a schema".to_owned()),
        }
    }
}

impl Transcode for Avro {
    fn next(&self, bytes: &[u8]) -> Result<Option<(Range<usize>, usize)>, String> {
        if self.framed.is_some() && bytes.len() < FRAME {
            return Ok(None);
        }
        let mut reader = Reader::new(self.unframed(bytes)?);
        match read(&self.schema, &mut reader, &mut Vec::new()) {
            Ok(()) => {
                let end = bytes.len() - reader.remaining();
                Ok(Some((0..end, end)))
            }
            Err(fault) if fault.is_short => Ok(None),
            Err(fault) => Err(fault.what.into_owned()),
        }
    }

    fn to_json(&self, record: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        let mut reader = Reader::new(self.unframed(record)?);
        read(&self.schema, &mut reader, into).map_err(|fault| fault.what.into_owned())?;
        match reader.remaining() {
            0 => Ok(()),
            more => Err(format!("{more} bytes stand behind the value")),
        }
    }

    fn write(&self, event: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        if let Some(number) = self.framed {
            into.push(0);
            into.extend_from_slice(&number.to_be_bytes());
        }
        write::write(&self.schema, event, into)
    }

    fn write_in_sequence(&self, event: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        self.write(event, into)
    }
}
