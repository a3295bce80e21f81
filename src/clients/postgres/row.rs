//! Events become rows: a text a column, which the server reads as a value of the column's type.

use super::table::{Form, Table};
use crate::event::json::{elements, entries, unescape};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// A row: columns by their number, in order, each with its value; None is null. Columns that are not there get their
/// default.
pub type Row = Vec<(usize, Option<String>)>;

/// The row of an event, which is a JSON map.
///
/// # Errors
/// Why the table cannot take it.
pub fn row(table: &Table, event: &[u8]) -> Result<Row, String> {
    let mut row = Row::new();
    for (name, value) in entries(event) {
        let at = table.place(&name).ok_or_else(|| format!("there is no column `{name}`"))?;
        let column = &table.columns[at];
        let value = value_of(value, column.form).map_err(|why| format!("column `{name}`: {why}"))?;
        row.push((at, value));
    }
    // Of a name that comes twice the last counts.
    row.reverse();
    row.sort_by_key(|(at, _)| *at);
    row.dedup_by_key(|(at, _)| *at);
    if row.is_empty() { Err("the event has no fields".to_owned()) } else { Ok(row) }
}

/// The text of a JSON value for a column.
fn value_of(json: &[u8], form: Form) -> Result<Option<String>, &'static str> {
    if json == b"null" {
        return Ok(None);
    }
    let written = || String::from_utf8_lossy(json).into_owned();
    let text = match (form, json.first()) {
        (Form::Json, _) => written(),
        (Form::Array, Some(b'[')) => {
            let mut array = String::new();
            write_array(json, &mut array);
            array
        }
        (Form::Bytes, Some(b'"')) => hex(&text_of(json))?,
        (_, Some(b'"')) => text_of(json),
        (Form::Time, Some(b'-' | b'0'..=b'9')) => time(&written())?,
        (Form::Integer, _) => whole(written()),
        _ => written(),
    };
    if text.contains('\0') && form != Form::Json {
        return Err("a null character cannot stand in text");
    }
    Ok(Some(text))
}

/// What a JSON string means.
fn text_of(json: &[u8]) -> String {
    let content = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(json);
    let mut text = Vec::with_capacity(content.len());
    unescape(content, &mut text);
    String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A float without a fraction is a whole number: `3.0`.
fn whole(mut text: String) -> String {
    if let Some(length) = text.strip_suffix(".0").map(str::len) {
        text.truncate(length);
    }
    text
}

/// Milliseconds since the epoch as a point in time.
fn time(millis: &str) -> Result<String, &'static str> {
    let millis = whole(millis.to_owned()).parse::<i64>().ok();
    let time = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    Ok(time.ok_or("a number must be milliseconds since the epoch")?.to_string())
}

/// Base64 as the server's hexadecimal digits.
fn hex(base64: &str) -> Result<String, &'static str> {
    let bytes = STANDARD.decode(base64).map_err(|_| "bytes must be written as base64")?;
    let mut hex = "\\x".to_owned();
    for byte in bytes {
        // Writing into a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

/// A JSON list as an array: `{"a",NULL,{1,2}}`.
fn write_array(json: &[u8], into: &mut String) {
    into.push('{');
    for (n, element) in elements(json).enumerate() {
        if n > 0 {
            into.push(',');
        }
        match element.first() {
            Some(b'[') => write_array(element, into),
            _ if element == b"null" => into.push_str("NULL"),
            first => {
                let is_text = first == Some(&b'"');
                let text =
                    if is_text { text_of(element) } else { String::from_utf8_lossy(element).into_owned() };
                into.push('"');
                for c in text.chars() {
                    if matches!(c, '"' | '\\') {
                        into.push('\\');
                    }
                    into.push(c);
                }
                into.push('"');
            }
        }
    }
    into.push('}');
}

#[cfg(test)]
mod tests {
    use super::super::table::Column;
    use super::*;

    fn column(name: &str, form: Form) -> Column {
        Column { name: name.to_owned(), ty: String::new(), form }
    }

    fn table() -> Table {
        let columns = vec![
            column("id", Form::Integer),
            column("at", Form::Time),
            column("name", Form::Text),
            column("all", Form::Json),
            column("raw", Form::Bytes),
            column("tags", Form::Array),
        ];
        Table::new("t", columns)
    }

    fn written(event: &str) -> Result<Vec<(usize, String)>, String> {
        let row = row(&table(), event.as_bytes())?;
        Ok(row.into_iter().map(|(at, value)| (at, value.unwrap_or("NULL".to_owned()))).collect())
    }

    #[test]
    fn values_are_written_as_their_columns_want_them() {
        let event = r#"{"name":"a\"ü","id":3.0,"at":1500,"all":{"x":[1]},"raw":"AP8=","tags":["a",null,"b\"\\",[2]]}"#;
        let want = [
            (0, "3"),
            (1, "1970-01-01T00:00:01.5Z"),
            (2, "a\"ü"),
            (3, r#"{"x":[1]}"#),
            (4, "\\x00ff"),
            (5, r#"{"a",NULL,"b\"\\",{"2"}}"#),
        ];
        assert_eq!(written(event).unwrap(), want.map(|(at, text)| (at, text.to_owned())));
        let event = r#"{"all":"text","name":true,"id":null,"at":"2024-01-01"}"#;
        let want = [(0, "NULL"), (1, "2024-01-01"), (2, "true"), (3, "\"text\"")];
        assert_eq!(written(event).unwrap(), want.map(|(at, text)| (at, text.to_owned())));
        assert_eq!(written(r#"{"id":1,"id":2}"#).unwrap(), [(0, "2".to_owned())]);
    }

    #[test]
    fn what_no_column_takes_is_refused_with_its_name() {
        let refused = [
            (r#"{"other":1}"#, "there is no column `other`"),
            (r#"{"raw":"?"}"#, "column `raw`: bytes must be written as base64"),
            (r#"{"at":1.5}"#, "column `at`: a number must be milliseconds since the epoch"),
            (r#"{"name":"a\u0000"}"#, "column `name`: a null character cannot stand in text"),
            ("{}", "the event has no fields"),
        ];
        for (event, why) in refused {
            assert_eq!(written(event), Err(why.to_owned()), "{event}");
        }
    }
}
