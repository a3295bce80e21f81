//! What an expression is compiled against.

use super::literal::Literal;
use super::types::Type;
use crate::event::{Path, Slot, Span, Step};

/// The fields, constants and parameters that stand behind the names in an expression.
pub trait Scope {
    /// Where a field is found. May note that the field is wanted, and give it a slot.
    ///
    /// # Errors
    /// The field cannot exist.
    fn field(&mut self, path: &Path) -> Result<Resolved, UnknownField>;

    /// Keeps bytes among the constants with which every batch of this stage begins; the same bytes may
    /// get the same place.
    fn constant(&mut self, bytes: &[u8]) -> Span;

    /// The value of a parameter of the pipeline.
    fn param(&self, name: &str) -> Option<Literal>;
}

/// Where a field is found at run time.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The slot.
    pub slot: Slot,
    /// What the slot holds.
    pub ty: Type,
    /// The steps still to be taken, at run time, inside the list or map in the slot.
    pub rest: Vec<Step>,
}

/// The field cannot exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnknownField {
    /// The fields there are, for a suggestion.
    pub candidates: Vec<String>,
    /// Said instead of a suggestion.
    pub hint: Option<String>,
}
