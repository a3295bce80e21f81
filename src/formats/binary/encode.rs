//! Rows to records.

use super::item::{Item, Notation};
use crate::event::json::{OutOfRange, elements, entries, to_value};
use crate::event::{Batch, Kind, Reason, RejectKind, Row, Slot, Span, Value, View};
use crate::formats::Encoder;
use crate::formats::members::{Members, Source};
use std::marker::PhantomData;

/// Writes a map an event, in as few bytes as the notation allows; bytes and points in time keep their kind.
pub struct BinaryEncoder<N> {
    form: Form,
    notation: PhantomData<N>,
}

/// How the view is best written.
enum Form {
    /// All fields are known: each name as it is written, and its slot.
    Known(Vec<(Box<[u8]>, Slot)>),
    /// Fields come from data.
    Open(Members),
}

impl<N: Notation> BinaryEncoder<N> {
    /// An encoder of events that look like `view`.
    pub fn new(view: &View) -> BinaryEncoder<N> {
        let known = |(name, slot): (&str, Slot)| {
            let mut written = Vec::new();
            put_text::<N>(name.as_bytes(), &mut written);
            (written.into(), slot)
        };
        let form = match view.fields() {
            Some(fields) => Form::Known(fields.into_iter().map(known).collect()),
            None => Form::Open(Members::new(view)),
        };
        BinaryEncoder { form, notation: PhantomData }
    }

    fn write(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), OutOfRange> {
        match &mut self.form {
            Form::Known(fields) => {
                N::put(Item::Map(Some(fields.len() as u64)), &[], into);
                for (name, slot) in fields.iter() {
                    into.extend_from_slice(name);
                    put_value::<N>(batch.get(row, *slot), &batch.arena, into)?;
                }
            }
            Form::Open(members) => {
                members.gather(batch, row);
                N::put(Item::Map(Some(members.iter().count() as u64)), &[], into);
                for (name, value) in members.iter() {
                    put_text::<N>(name, into);
                    match value {
                        Source::Cell(slot) => put_value::<N>(batch.get(row, slot), &batch.arena, into)?,
                        Source::Text(span) => put_json::<N>(&batch.arena[span.range()], into)?,
                    }
                }
            }
        }
        Ok(())
    }
}

impl<N: Notation> Encoder for BinaryEncoder<N> {
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason> {
        let start = into.len();
        self.write(batch, row, into).map_err(|OutOfRange| {
            into.truncate(start);
            Reason::new(RejectKind::Encode, "a number is out of the range of 64-bit floats")
        })
    }

    fn separator(&self) -> &'static [u8] {
        b""
    }
}

fn put_text<N: Notation>(text: &[u8], into: &mut Vec<u8>) {
    N::put(Item::Text(Span::new(0, text.len())), text, into);
}

/// Appends a value whose span lies in `arena`.
fn put_value<N: Notation>(value: Value, arena: &[u8], into: &mut Vec<u8>) -> Result<(), OutOfRange> {
    let item = match value.kind() {
        Kind::Null => Item::Null,
        Kind::Bool => Item::Bool(value.as_bool() == Some(true)),
        Kind::Int => Item::Int(value.as_int().unwrap_or_default()),
        Kind::Float => Item::Float(value.as_float().unwrap_or_default()),
        Kind::Timestamp => Item::Timestamp(value.as_timestamp().unwrap_or_default()),
        Kind::Text => Item::Text(value.span()),
        Kind::Bytes => Item::Bytes(value.span()),
        Kind::Json => return put_json::<N>(&arena[value.span().range()], into),
    };
    N::put(item, arena, into);
    Ok(())
}

/// Appends a value that is there as JSON text, which nests no deeper than JSON may.
fn put_json<N: Notation>(text: &[u8], into: &mut Vec<u8>) -> Result<(), OutOfRange> {
    match text.first() {
        Some(b'{') => {
            N::put(Item::Map(Some(entries(text).count() as u64)), &[], into);
            for (key, value) in entries(text) {
                put_text::<N>(key.as_bytes(), into);
                put_json::<N>(value, into)?;
            }
            Ok(())
        }
        Some(b'[') => {
            N::put(Item::List(Some(elements(text).count() as u64)), &[], into);
            elements(text).try_for_each(|element| put_json::<N>(element, into))
        }
        _ => {
            let mut arena = Vec::new();
            let value = to_value(text, &mut arena)?;
            put_value::<N>(value, &arena, into)
        }
    }
}
