//! What a function works with besides its arguments.

use crate::event::{Batch, Kind, Row, Span, Value, json};
use crate::expr::types::Type;
use crate::time::Env;
use std::borrow::Cow;
use std::ops::Range;

/// Bytes that one computed text or list may have.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// Bytes that a batch's arena may reach by what is computed.
const MAX_ARENA_BYTES: usize = 256 << 20;

/// Why a value cannot be computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// An argument is of the wrong kind: its place, what it is, and what it should be.
    Wrong(usize, Kind, Type),
    /// Anything else, as a phrase without the function's name.
    Because(Cow<'static, str>),
}

impl From<&'static str> for Failure {
    fn from(text: &'static str) -> Failure {
        Failure::Because(text.into())
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::Because(text.into())
    }
}

/// A value, or why there is none.
pub type Outcome = Result<Value, Failure>;

/// Buffers that are kept from row to row, so that computing text allocates nothing.
#[derive(Default)]
pub(in crate::expr) struct Buffers {
    text: String,
    bytes: Vec<u8>,
}

/// What a function works with besides its arguments.
pub struct Context<'a> {
    /// The batch, for the bytes behind arguments and the row's times.
    pub batch: &'a mut Batch,
    /// Time of day and randomness.
    pub env: &'a mut Env,
    /// The row that is computed.
    pub row: Row,
    pub(in crate::expr) buffers: &'a mut Buffers,
}

impl Context<'_> {
    /// The text of a text or JSON argument.
    #[inline]
    pub fn text(&self, value: Value) -> &str {
        self.batch.text(value)
    }

    /// The text that `fill` writes.
    pub fn write(&mut self, fill: impl FnOnce(&Batch, &mut String) -> Result<(), Failure>) -> Outcome {
        let mut text = std::mem::take(&mut self.buffers.text);
        text.clear();
        let filled = fill(self.batch, &mut text);
        let value = filled.and_then(|()| keep(self.batch, text.as_bytes())).map(Value::text);
        self.buffers.text = text;
        value
    }

    /// The list or map whose JSON text `fill` writes.
    pub fn write_json(&mut self, fill: impl FnOnce(&Batch, &mut Vec<u8>) -> Result<(), Failure>) -> Outcome {
        self.fill(fill, Value::json)
    }

    /// The bytes that `fill` writes.
    pub fn write_bytes(&mut self, fill: impl FnOnce(&Batch, &mut Vec<u8>) -> Result<(), Failure>) -> Outcome {
        self.fill(fill, Value::bytes)
    }

    /// The text that `fill` writes, of ASCII that needs no escaping in JSON.
    pub fn write_ascii(&mut self, fill: impl FnOnce(&Batch, &mut Vec<u8>) -> Result<(), Failure>) -> Outcome {
        self.fill(fill, Value::plain_text)
    }

    fn fill(
        &mut self,
        fill: impl FnOnce(&Batch, &mut Vec<u8>) -> Result<(), Failure>,
        make: fn(Span) -> Value,
    ) -> Outcome {
        let mut bytes = std::mem::take(&mut self.buffers.bytes);
        bytes.clear();
        let filled = fill(self.batch, &mut bytes);
        let value = filled.and_then(|()| keep(self.batch, &bytes)).map(make);
        self.buffers.bytes = bytes;
        value
    }

    /// The part of a text argument in a range of its bytes, which must be character boundaries.
    #[inline]
    pub fn part(&self, of: Value, range: Range<usize>) -> Value {
        let span = of.span();
        let part = Span::new(span.start as usize + range.start, range.len());
        if of.is_plain() { Value::plain_text(part) } else { Value::text(part) }
    }

    /// The part of a text argument that a slice of it is.
    pub fn slice(&self, of: Value, part: &str) -> Value {
        let whole = self.text(of);
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len(), "not a slice of the argument");
        self.part(of, start..start + part.len())
    }
}

/// Keeps what was computed in the batch's arena, within the limits.
pub(in crate::expr) fn keep(batch: &mut Batch, bytes: &[u8]) -> Result<Span, Failure> {
    check_length(bytes.len())?;
    if batch.arena.len() + bytes.len() > MAX_ARENA_BYTES {
        return Err("the batch has no room left".into());
    }
    Ok(batch.store(bytes))
}

/// Refuses values that are too long, before they are built where their length is known.
pub fn check_length(bytes: usize) -> Result<(), Failure> {
    if bytes > MAX_VALUE_BYTES { Err("the result is longer than 1 MiB".into()) } else { Ok(()) }
}

/// Refuses to put a value, as JSON text, into a list that would then be deeper than what can be read back.
pub(in crate::expr) fn check_depth(raw: &[u8]) -> Result<(), Failure> {
    if json::depth(raw) >= json::MAX_DEPTH {
        Err("the result is nested deeper than 127 levels".into())
    } else {
        Ok(())
    }
}

/// Said of results that no value can be.
pub const NOT_FINITE: &str = "the result is not a finite number";

/// The float, unless it is none that a value can be.
#[inline]
pub fn finite(x: f64) -> Outcome {
    if x.is_finite() { Ok(Value::float(x)) } else { Err(NOT_FINITE.into()) }
}
