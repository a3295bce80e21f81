//! What the text of a column is turned into.

use crate::event::{Span, Value};

/// The type of a column, as `types` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldType {
    /// As it stands.
    #[default]
    Text,
    /// A 64-bit signed integer.
    Int,
    /// A finite 64-bit float.
    Float,
    /// `true`, `false`, `1` or `0`, in any case.
    Bool,
    /// RFC 3339, or milliseconds since the epoch.
    Timestamp,
}

impl FieldType {
    /// The words that users write.
    pub const NAMES: [&str; 5] = ["text", "int", "float", "bool", "timestamp"];

    /// The type of that name.
    pub fn named(name: &str) -> Option<FieldType> {
        Some(match name {
            "text" => FieldType::Text,
            "int" => FieldType::Int,
            "float" => FieldType::Float,
            "bool" => FieldType::Bool,
            "timestamp" => FieldType::Timestamp,
            _ => return None,
        })
    }

    /// The value of some text that lies at `span`; blanks around it do not count but in text. An error says what
    /// it is not.
    pub(super) fn value(self, text: &str, span: Span) -> Result<Value, &'static str> {
        let trimmed = text.trim_ascii();
        match self {
            FieldType::Text => Ok(Value::text(span)),
            FieldType::Int => trimmed.parse().map(Value::int).map_err(|_| "no 64-bit integer"),
            FieldType::Float => match trimmed.parse::<f64>() {
                Ok(float) if float.is_finite() => Ok(Value::float(float)),
                _ => Err("no finite number"),
            },
            FieldType::Bool if trimmed.eq_ignore_ascii_case("true") || trimmed == "1" => {
                Ok(Value::bool(true))
            }
            FieldType::Bool if trimmed.eq_ignore_ascii_case("false") || trimmed == "0" => {
                Ok(Value::bool(false))
            }
            FieldType::Bool => Err("neither true nor false"),
            FieldType::Timestamp => timestamp(trimmed).map(Value::timestamp).ok_or("no RFC 3339 time"),
        }
    }
}

/// Milliseconds since the epoch; finer parts are floored.
fn timestamp(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond().div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: FieldType, text: &str) -> String {
        kind.value(text, Span::default()).map_or_else(str::to_owned, |v| format!("{v:?}"))
    }

    #[test]
    fn text_is_read_as_what_it_is_said_to_be() {
        assert_eq!(read(FieldType::Int, " -5 "), "-5");
        assert_eq!(read(FieldType::Int, "5.0"), "no 64-bit integer");
        assert_eq!(read(FieldType::Float, "5"), "5.0");
        assert_eq!(read(FieldType::Float, "inf"), "no finite number");
        assert_eq!(read(FieldType::Bool, "TRUE"), "true");
        assert_eq!(read(FieldType::Bool, "0"), "false");
        assert_eq!(read(FieldType::Bool, "yes"), "neither true nor false");
        assert_eq!(read(FieldType::Timestamp, "1970-01-01T01:00:01.0005+01:00"), "@1000");
        assert_eq!(read(FieldType::Timestamp, "1969-12-31T23:59:59.9995Z"), "@-1");
        assert_eq!(read(FieldType::Timestamp, "1500"), "@1500");
        assert_eq!(read(FieldType::Timestamp, "noon"), "no RFC 3339 time");
        assert_eq!(FieldType::NAMES.map(FieldType::named).iter().flatten().count(), 5);
    }
}
