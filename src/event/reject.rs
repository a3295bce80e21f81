//! Events that cannot go on, and why.

use super::batch::{Batch, Row};
use super::value::Span;
use std::borrow::Cow;

/// The stage of work that an event was rejected in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectKind {
    /// The bytes are not what the format says.
    Decode,
    /// The event has no usable event time, or one too far ahead.
    Time,
    /// An expression could not be computed.
    Expression,
    /// An aggregate cannot take the value.
    Aggregate,
    /// The sink's format or target cannot take the event.
    Encode,
    /// The sink's target did not take it when it was delivered.
    Refused,
}

impl RejectKind {
    /// The word in the `kind` field of a rejected event, and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            RejectKind::Decode => "decode",
            RejectKind::Time => "time",
            RejectKind::Expression => "expression",
            RejectKind::Aggregate => "aggregate",
            RejectKind::Encode => "encode",
            RejectKind::Refused => "refused",
        }
    }
}

/// Why an event was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The stage of work.
    pub kind: RejectKind,
    /// One sentence for a person; names the field or function where it can.
    pub text: Cow<'static, str>,
}

impl Reason {
    /// A reason of the given kind.
    pub fn new(kind: RejectKind, text: impl Into<Cow<'static, str>>) -> Reason {
        Reason { kind, text: text.into() }
    }

    /// An expression that could not be computed.
    pub fn expression(text: impl Into<Cow<'static, str>>) -> Reason {
        Reason::new(RejectKind::Expression, text)
    }
}

/// Rows that a step rejected, in row order of each pass over the batch.
pub type Rejects = Vec<(Row, Reason)>;

/// Input that could not be decoded into an event.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The bytes as they came, in the batch's arena.
    pub raw: Span,
    /// Why.
    pub reason: Reason,
    /// How many rows the batch had before it: its place among them.
    pub rows_before: usize,
}

impl Unreadable {
    /// Input that stands behind all rows that the batch has so far.
    pub fn behind(batch: &Batch, raw: Span, reason: Reason) -> Unreadable {
        Unreadable { raw, reason, rows_before: batch.len() }
    }
}
