//! Values that outlive the batch they came in.

use super::batch::Batch;
use super::value::{Kind, Span, Value};
use std::cmp::Ordering;

/// An owned value.
#[derive(Clone, Debug)]
pub enum Kept {
    /// A value that is whole in its cell.
    Scalar(Value),
    /// Text, bytes, a list or a map.
    Spanned {
        /// A cell of its kind; where it points to means nothing.
        like: SpannedKind,
        /// The content.
        bytes: Box<[u8]>,
    },
}

/// The kinds of value that lie in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpannedKind {
    /// Text.
    Text,
    /// Text that needs no escaping in JSON.
    PlainText,
    /// Bytes.
    Bytes,
    /// A list or map.
    Json,
}

impl SpannedKind {
    /// The kind of a value, if it is one of these.
    fn of(value: Value) -> Option<SpannedKind> {
        Some(match value.kind() {
            Kind::Text if value.is_plain() => SpannedKind::PlainText,
            Kind::Text => SpannedKind::Text,
            Kind::Bytes => SpannedKind::Bytes,
            Kind::Json => SpannedKind::Json,
            _ => return None,
        })
    }

    fn cell(self, span: Span) -> Value {
        match self {
            SpannedKind::Text => Value::text(span),
            SpannedKind::PlainText => Value::plain_text(span),
            SpannedKind::Bytes => Value::bytes(span),
            SpannedKind::Json => Value::json(span),
        }
    }
}

impl Kept {
    /// A copy of the value.
    pub fn of(batch: &Batch, value: Value) -> Kept {
        match SpannedKind::of(value) {
            Some(like) => Kept::Spanned { like, bytes: batch.bytes(value).into() },
            None => Kept::Scalar(value),
        }
    }

    /// Becomes a copy of the value, in the memory at hand if it fits.
    pub fn replace(&mut self, batch: &Batch, value: Value) {
        match (&mut *self, SpannedKind::of(value)) {
            (Kept::Spanned { like, bytes }, Some(kind)) if bytes.len() == batch.bytes(value).len() => {
                *like = kind;
                bytes.copy_from_slice(batch.bytes(value));
            }
            _ => *self = Kept::of(batch, value),
        }
    }

    /// The value as a cell of a batch.
    pub fn write(&self, batch: &mut Batch) -> Value {
        match self {
            Kept::Scalar(value) => *value,
            Kept::Spanned { like, bytes } => {
                let span = batch.store(bytes);
                like.cell(span)
            }
        }
    }

    /// The value as a cell of its kind, and the bytes that this would point to in a batch.
    pub fn parts(&self) -> (Value, &[u8]) {
        match self {
            Kept::Scalar(value) => (*value, &[]),
            Kept::Spanned { like, bytes } => (like.cell(Span::default()), bytes),
        }
    }

    /// The value to compare.
    pub fn comparable(&self) -> Option<Comparable<'_>> {
        match self {
            Kept::Scalar(value) => Comparable::scalar(*value),
            Kept::Spanned { like: SpannedKind::Text | SpannedKind::PlainText, bytes } => {
                Some(Comparable::Text(bytes))
            }
            Kept::Spanned { .. } => None,
        }
    }
}

/// A value of a kind that has an order.
#[derive(Clone, Copy, Debug)]
pub enum Comparable<'a> {
    /// False before true.
    Bool(bool),
    /// Numbers compare by value.
    Int(i64),
    /// Numbers compare by value; of equal ones integers come first, and -0.0 before 0.0.
    Float(f64),
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// By bytes, which is the order of code points.
    Text(&'a [u8]),
}

impl<'a> Comparable<'a> {
    /// Number of classes.
    pub const CLASSES: usize = 4;

    /// The value to compare; None for null and for kinds without order.
    pub fn of(batch: &'a Batch, value: Value) -> Option<Comparable<'a>> {
        match value.kind() {
            Kind::Text => Some(Comparable::Text(batch.bytes(value))),
            _ => Comparable::scalar(value),
        }
    }

    fn scalar(value: Value) -> Option<Comparable<'static>> {
        if let Some(int) = value.as_int() {
            return Some(Comparable::Int(int));
        }
        let float = value.as_float().map(Comparable::Float);
        float
            .or_else(|| value.as_timestamp().map(Comparable::Timestamp))
            .or_else(|| value.as_bool().map(Comparable::Bool))
    }

    /// Values of one class have an order, those of different ones have none.
    pub fn class(self) -> usize {
        match self {
            Comparable::Int(_) | Comparable::Float(_) => 0,
            Comparable::Text(_) => 1,
            Comparable::Timestamp(_) => 2,
            Comparable::Bool(_) => 3,
        }
    }

    /// What users call the class.
    pub fn class_name(class: usize) -> &'static str {
        ["numbers", "text", "timestamps", "booleans"].get(class).copied().unwrap_or_default()
    }

    /// A total order within a class; classes follow one another.
    pub fn compare(self, other: Comparable) -> Ordering {
        use Comparable::*;
        match (self, other) {
            (Int(a), Int(b)) | (Timestamp(a), Timestamp(b)) => a.cmp(&b),
            (Float(a), Float(b)) => a.total_cmp(&b),
            (Int(a), Float(b)) => int_with_float(a, b),
            (Float(a), Int(b)) => int_with_float(b, a).reverse(),
            (Text(a), Text(b)) => a.cmp(b),
            (Bool(a), Bool(b)) => a.cmp(&b),
            _ => self.class().cmp(&other.class()),
        }
    }
}

/// Compares by exact value, without rounding the integer; an integer precedes the float that equals it.
fn int_with_float(int: i64, float: f64) -> Ordering {
    // 2^63, which is exact; beyond it the truncation below would saturate.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float >= LIMIT {
        return Ordering::Less;
    }
    if float < -LIMIT {
        return Ordering::Greater;
    }
    let whole = float.trunc() as i64;
    int.cmp(&whole).then(if float.fract() < 0.0 { Ordering::Greater } else { Ordering::Less })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_exact_value() {
        let big = (1i64 << 53) + 1;
        assert_eq!(int_with_float(big, big as f64), Ordering::Greater);
        assert_eq!(int_with_float(-1, -1.5), Ordering::Greater);
        assert_eq!(int_with_float(1, 1.5), Ordering::Less);
        assert_eq!(int_with_float(2, 1.5), Ordering::Greater);
        assert_eq!(int_with_float(i64::MAX, 9.3e18), Ordering::Less);
        assert_eq!(int_with_float(i64::MIN, -9.3e18), Ordering::Greater);
        assert_eq!(int_with_float(1, 1.0), Ordering::Less);
    }
}
