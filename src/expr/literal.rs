//! Values that stand in the text of an expression.

use std::fmt;

/// A value that is known at plan time.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A finite float.
    Float(f64),
    /// Text.
    Text(String),
    /// Milliseconds since the epoch, UTC.
    Timestamp(i64),
    /// A list or map as JSON text.
    Json(String),
    /// A number of calendar months, which has no fixed length; only to be added to a timestamp.
    Months(i64),
}

/// As it is written in an expression. What has no literal form is written as the call that makes it.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("NULL"),
            Literal::Bool(true) => f.write_str("TRUE"),
            Literal::Bool(false) => f.write_str("FALSE"),
            Literal::Int(n) => write!(f, "{n}"),
            Literal::Float(x) => write!(f, "{x:?}"),
            Literal::Text(text) => quote(f, text),
            Literal::Json(text) => {
                f.write_str("json_parse(")?;
                quote(f, text)?;
                f.write_str(")")
            }
            Literal::Timestamp(ms) => match jiff::Timestamp::from_millisecond(*ms) {
                Ok(time) => write!(f, "TIMESTAMP '{time}'"),
                Err(_) => write!(f, "CAST({ms} AS TIMESTAMP)"),
            },
            Literal::Months(n) => write!(f, "INTERVAL '{n}' MONTH"),
        }
    }
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "'{}'", text.replace('\'', "''"))
}
