//! What is known about a value at plan time: the set of kinds that it may have.

use crate::event::Kind;
use std::fmt;

/// A set of kinds. Null is always possible besides; the empty set is the type of a value that is always null.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type(u8);

impl Type {
    /// Always null.
    pub const NULL: Type = Type(0);
    /// Booleans.
    pub const BOOL: Type = Type::of(Kind::Bool);
    /// 64-bit integers.
    pub const INT: Type = Type::of(Kind::Int);
    /// 64-bit floats.
    pub const FLOAT: Type = Type::of(Kind::Float);
    /// Integers and floats.
    pub const NUMBER: Type = Type::INT.or(Type::FLOAT);
    /// Timestamps.
    pub const TIMESTAMP: Type = Type::of(Kind::Timestamp);
    /// Timestamps, or integers that stand for epoch milliseconds.
    pub const TIME: Type = Type::TIMESTAMP.or(Type::INT);
    /// Text.
    pub const TEXT: Type = Type::of(Kind::Text);
    /// Bytes.
    pub const BYTES: Type = Type::of(Kind::Bytes);
    /// Lists and maps.
    pub const JSON: Type = Type::of(Kind::Json);
    /// What can be put into text: everything but bytes, lists and maps.
    pub const SCALAR: Type = Type::BOOL.or(Type::NUMBER).or(Type::TIMESTAMP).or(Type::TEXT);
    /// Nothing is known.
    pub const ANY: Type = Type::SCALAR.or(Type::BYTES).or(Type::JSON);

    /// The type of exactly one kind; for null, [`Type::NULL`].
    pub const fn of(kind: Kind) -> Type {
        match kind {
            Kind::Null => Type(0),
            kind => Type(1 << (kind as u8 - 1)),
        }
    }

    /// Either of two types.
    #[must_use]
    pub const fn or(self, other: Type) -> Type {
        Type(self.0 | other.0)
    }

    /// What both types allow.
    #[must_use]
    pub const fn and(self, other: Type) -> Type {
        Type(self.0 & other.0)
    }

    /// Whether a value of the kind may occur; always so for null.
    #[inline]
    pub const fn has(self, kind: Kind) -> bool {
        let bit = Type::of(kind).0;
        self.0 & bit == bit
    }

    /// Whether every value of this type is one of `other`.
    pub const fn within(self, other: Type) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether some non-null value of this type is one of `other`, or all values are null.
    pub const fn meets(self, other: Type) -> bool {
        self.0 == 0 || self.0 & other.0 != 0
    }

    /// The type as a noun after "is not": `a number`, `text or a timestamp`.
    pub fn noun(self) -> String {
        const NOUNS: [(Type, &str); 9] = [
            (Type::BOOL, "a boolean"),
            (Type::NUMBER, "a number"),
            (Type::INT, "an integer"),
            (Type::FLOAT, "a float"),
            (Type::TIMESTAMP, "a timestamp"),
            (Type::TEXT, "text"),
            (Type::BYTES, "bytes"),
            (Type::JSON, "a list or map"),
            (Type::NULL, ""),
        ];
        let mut rest = self;
        let mut nouns = Vec::new();
        for (ty, noun) in NOUNS {
            if ty != Type::NULL && ty.within(rest) {
                nouns.push(noun);
                rest = Type(rest.0 & !ty.0);
            }
        }
        match nouns.split_last() {
            None => "null".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, firsts)) => format!("{} or {last}", firsts.join(", ")),
        }
    }
}

/// As it stands in a function's documentation: `number`, `text or timestamp`, `any`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Type::ANY {
            return f.write_str("any");
        }
        let noun = self.noun();
        f.write_str(&noun.replace("an ", "").replace("a ", ""))
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
