//! The constants of an `IN` list, prepared for the search.

use super::compare::{equal, numeric};
use super::types::Type;
use crate::event::{Kind, Value};
use std::cmp::Ordering;

/// A set of constants.
#[derive(Clone, Default)]
pub(super) struct Members {
    /// In order.
    texts: Vec<Box<[u8]>>,
    /// Numbers and times in order.
    numbers: Vec<Value>,
    others: Vec<Value>,
    /// Whether null is among them.
    pub(super) null: bool,
}

impl Members {
    /// Adds a constant; `bytes` is its text.
    pub(super) fn add(&mut self, value: Value, bytes: &[u8]) {
        match value.kind() {
            Kind::Null => self.null = true,
            Kind::Text => {
                if let Err(place) = self.text_place(bytes) {
                    self.texts.insert(place, bytes.into());
                }
            }
            Kind::Int | Kind::Float | Kind::Timestamp => {
                let place = self.place(value).unwrap_or_else(|place| place);
                self.numbers.insert(place, value);
            }
            _ => self.others.push(value),
        }
    }

    fn text_place(&self, bytes: &[u8]) -> Result<usize, usize> {
        self.texts.binary_search_by(|member| (**member).cmp(bytes))
    }

    fn place(&self, value: Value) -> Result<usize, usize> {
        self.numbers.binary_search_by(|member| numeric(*member, value).unwrap_or(Ordering::Equal))
    }

    /// Whether a value that is not null equals one of the constants.
    #[inline]
    pub(super) fn contains(&self, value: Value, arena: &[u8]) -> bool {
        match value.kind() {
            Kind::Text => self.text_place(&arena[value.span().range()]).is_ok(),
            kind if Type::NUMBER.or(Type::TIMESTAMP).has(kind) => self.place(value).is_ok(),
            _ => self.others.iter().any(|member| equal(*member, value, arena)),
        }
    }
}
