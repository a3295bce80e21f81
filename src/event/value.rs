//! The 16-byte cell that every field of an event lives in.

/// A stretch of bytes in a batch's arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// A span of `len` bytes from `start`. Arenas are limited to 4 GiB, so both fit.
    #[inline]
    pub fn new(start: usize, len: usize) -> Span {
        debug_assert!(start + len <= u32::MAX as usize);
        Span { start: start as u32, len: len as u32 }
    }

    /// The span as a range of indexes.
    #[inline]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// No value; a missing field reads as null.
    Null,
    /// True or false.
    Bool,
    /// A 64-bit signed integer.
    Int,
    /// A finite 64-bit float.
    Float,
    /// Milliseconds since the epoch, UTC.
    Timestamp,
    /// UTF-8 text in the arena.
    Text,
    /// Bytes in the arena.
    Bytes,
    /// A list or map as JSON text in the arena; never a scalar.
    Json,
}

impl Kind {
    /// The word users know the kind by, as `type_of` prints it for scalars.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "boolean",
            Kind::Int => "integer",
            Kind::Float => "float",
            Kind::Timestamp => "timestamp",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
            Kind::Json => "list or map",
        }
    }
}

/// A copyable cell. Scalars are held in place; text, bytes and JSON are a [`Span`] of the arena of
/// the batch that the cell belongs to, so a cell means nothing without its batch.
#[derive(Clone, Copy)]
pub struct Value {
    bits: u64,
    len: u32,
    kind: Kind,
    plain: bool,
}

const _: () = assert!(size_of::<Value>() == 16);

impl Value {
    /// The null value.
    pub const NULL: Value = Value::of(Kind::Null, 0);

    const fn of(kind: Kind, bits: u64) -> Value {
        Value { bits, len: 0, kind, plain: false }
    }

    /// A boolean.
    #[inline]
    pub const fn bool(v: bool) -> Value {
        Value::of(Kind::Bool, v as u64)
    }

    /// An integer.
    #[inline]
    pub const fn int(v: i64) -> Value {
        Value::of(Kind::Int, v as u64)
    }

    /// A float. Callers reject NaN and infinity before they come here.
    #[inline]
    pub const fn float(v: f64) -> Value {
        Value::of(Kind::Float, v.to_bits())
    }

    /// A time in milliseconds since the epoch.
    #[inline]
    pub const fn timestamp(ms: i64) -> Value {
        Value::of(Kind::Timestamp, ms as u64)
    }

    #[inline]
    fn spanned(kind: Kind, span: Span) -> Value {
        Value { bits: span.start as u64, len: span.len, kind, plain: false }
    }

    /// Text; the span must hold UTF-8.
    #[inline]
    pub fn text(span: Span) -> Value {
        Value::spanned(Kind::Text, span)
    }

    /// Text known to need no escaping in JSON (no quote, backslash or control character).
    #[inline]
    pub fn plain_text(span: Span) -> Value {
        Value { plain: true, ..Value::spanned(Kind::Text, span) }
    }

    /// Bytes.
    #[inline]
    pub fn bytes(span: Span) -> Value {
        Value::spanned(Kind::Bytes, span)
    }

    /// A list or map as valid JSON text without surrounding white space.
    #[inline]
    pub fn json(span: Span) -> Value {
        Value::spanned(Kind::Json, span)
    }

    /// What the cell holds.
    #[inline]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Whether the cell is null.
    #[inline]
    pub fn is_null(self) -> bool {
        self.kind == Kind::Null
    }

    /// Whether this is text known to need no escaping in JSON.
    #[inline]
    pub fn is_plain(self) -> bool {
        self.plain
    }

    /// The boolean, if it is one.
    #[inline]
    pub fn as_bool(self) -> Option<bool> {
        (self.kind == Kind::Bool).then_some(self.bits != 0)
    }

    /// The integer, if it is one.
    #[inline]
    pub fn as_int(self) -> Option<i64> {
        (self.kind == Kind::Int).then_some(self.bits as i64)
    }

    /// The float, if it is one (integers are not).
    #[inline]
    pub fn as_float(self) -> Option<f64> {
        (self.kind == Kind::Float).then_some(f64::from_bits(self.bits))
    }

    /// The time in epoch milliseconds, if it is one.
    #[inline]
    pub fn as_timestamp(self) -> Option<i64> {
        (self.kind == Kind::Timestamp).then_some(self.bits as i64)
    }

    /// An integer or float as a float.
    #[inline]
    pub fn as_number(self) -> Option<f64> {
        match self.kind {
            Kind::Int => Some(self.bits as i64 as f64),
            Kind::Float => Some(f64::from_bits(self.bits)),
            _ => None,
        }
    }

    /// Where text, bytes or JSON stand in the arena; an empty span for scalars.
    #[inline]
    pub fn span(self) -> Span {
        match self.kind {
            Kind::Text | Kind::Bytes | Kind::Json => Span { start: self.bits as u32, len: self.len },
            _ => Span::default(),
        }
    }

    /// The same value with its span moved to `start`; scalars are unchanged.
    #[inline]
    pub fn moved_to(self, start: usize) -> Value {
        match self.kind {
            Kind::Text | Kind::Bytes | Kind::Json => Value { bits: start as u64, ..self },
            _ => self,
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            Kind::Null => write!(f, "null"),
            Kind::Bool => write!(f, "{}", self.bits != 0),
            Kind::Int => write!(f, "{}", self.bits as i64),
            Kind::Float => write!(f, "{:?}", f64::from_bits(self.bits)),
            Kind::Timestamp => write!(f, "@{}", self.bits as i64),
            _ => write!(f, "{:?}[{}+{}]", self.kind, self.bits, self.len),
        }
    }
}
