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

    /// Where it stands what an event's source knows of it; none where no source can know.
    fn source_field(&mut self, _field: &SourceField) -> Option<Resolved> {
        None
    }

    /// The id of the instance that runs; a fixed word where none does.
    fn instance(&self) -> &str {
        "instance"
    }
}

/// What a source may know of where an event came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceField {
    /// The topic of a message, the path of a file.
    Topic,
    /// The number of the partition.
    Partition,
    /// The place within the partition.
    Offset,
    /// When the broker or the sender says that the message was made.
    Timestamp,
    /// The key of a message.
    Key,
    /// The header of this name.
    Header(String),
}

impl SourceField {
    /// The type of the cell that holds it.
    pub fn ty(&self) -> Type {
        match self {
            SourceField::Topic | SourceField::Key | SourceField::Header(_) => Type::TEXT,
            SourceField::Partition | SourceField::Offset => Type::INT,
            SourceField::Timestamp => Type::TIMESTAMP,
        }
    }

    /// A name that no user can write, by which it is carried through a pipeline.
    pub fn hidden_name(&self) -> String {
        match self {
            SourceField::Topic => "(source topic)".to_owned(),
            SourceField::Partition => "(source partition)".to_owned(),
            SourceField::Offset => "(source offset)".to_owned(),
            SourceField::Timestamp => "(source timestamp)".to_owned(),
            SourceField::Key => "(source key)".to_owned(),
            SourceField::Header(name) => format!("{HEADER}{name}"),
        }
    }

    /// What a hidden name stands for.
    pub fn hidden(name: &str) -> Option<SourceField> {
        let fixed = [
            SourceField::Topic,
            SourceField::Partition,
            SourceField::Offset,
            SourceField::Timestamp,
            SourceField::Key,
        ];
        let header = || name.strip_prefix(HEADER).map(|header| SourceField::Header(header.to_owned()));
        fixed.into_iter().find(|field| field.hidden_name() == name).or_else(header)
    }
}

const HEADER: &str = "(source header)";

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
