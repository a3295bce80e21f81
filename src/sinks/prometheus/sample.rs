//! Samples as text, as Prometheus shows them: `name{label="value"} 1.5 1700000000000`. That is what waits and what dead
//! letters show; a request is made of it when it is sent.

use crate::dataflow::{FormatPlan, Template};
use crate::event::json::{write_float, write_int};
use crate::event::{Batch, Kind, Reason, RejectKind, Row, Slot, Value, View};
use crate::expr::Type;
use crate::formats::{Decoder, Encoder, Wanted};

/// What a sample is made of.
#[derive(Clone, Debug)]
pub struct SamplePlan {
    /// The metric.
    pub name: Template,
    /// Names of labels in their order, with the cells of their values.
    pub labels: Vec<(String, Slot)>,
    /// The cell of the value.
    pub value: Slot,
    /// The cell of the time.
    pub time: Slot,
}

impl FormatPlan for SamplePlan {
    fn describe(&self) -> String {
        "samples".to_owned()
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        None
    }

    fn decoder(&self, _wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Err("samples of a sink are not read".to_owned())
    }

    fn encoder(&self, _view: &View) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(SampleEncoder { plan: self.clone(), name: String::new() }))
    }
}

struct SampleEncoder {
    plan: SamplePlan,
    /// The metric, kept for its allocation.
    name: String,
}

impl SampleEncoder {
    fn write(&self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), String> {
        into.extend_from_slice(self.name.as_bytes());
        let mut opening = b'{';
        for (name, slot) in &self.plan.labels {
            let value = batch.get(row, *slot);
            let content = match value.kind() {
                Kind::Text => batch.bytes(value),
                _ => &[],
            };
            if value.is_null() || (value.kind() == Kind::Text && content.is_empty()) {
                continue;
            }
            into.push(opening);
            opening = b',';
            into.extend_from_slice(name.as_bytes());
            into.extend_from_slice(b"=\"");
            write_label(value, content, into).map_err(|what| format!("the label `{name}` {what}"))?;
            into.push(b'"');
        }
        if opening == b',' {
            into.push(b'}');
        }
        into.push(b' ');
        let value = batch.get(row, self.plan.value);
        match value.kind() {
            Kind::Int => write_float(value.as_int().unwrap_or_default() as f64, into),
            Kind::Float => write_float(value.as_float().unwrap_or_default(), into),
            Kind::Bool => write_float(f64::from(u8::from(value.as_bool() == Some(true))), into),
            Kind::Null => return Err("the value of the sample is null".to_owned()),
            kind => return Err(format!("the value of the sample is {}, not a number", kind.name())),
        }
        into.push(b' ');
        let time = batch.get(row, self.plan.time);
        write_int(time.as_timestamp().ok_or("the event has no time")?, into);
        into.push(b'\n');
        Ok(())
    }
}

impl Encoder for SampleEncoder {
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason> {
        let start = into.len();
        self.name.clear();
        self.plan.name.render(batch, row, &mut self.name)?;
        self.write(batch, row, into).map_err(|what| {
            into.truncate(start);
            Reason::new(RejectKind::Encode, what)
        })
    }
}

/// Appends the value of a label, which is text, with its escapes.
fn write_label(value: Value, content: &[u8], into: &mut Vec<u8>) -> Result<(), &'static str> {
    match value.kind() {
        Kind::Text => {
            for &byte in content {
                match byte {
                    b'\n' => into.extend_from_slice(b"\\n"),
                    b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
                    _ => into.push(byte),
                }
            }
        }
        Kind::Bool => into.extend_from_slice(if value.as_bool() == Some(true) { b"true" } else { b"false" }),
        Kind::Int => write_int(value.as_int().unwrap_or_default(), into),
        Kind::Timestamp => write_int(value.as_timestamp().unwrap_or_default(), into),
        Kind::Float => write_float(value.as_float().unwrap_or_default(), into),
        Kind::Null | Kind::Bytes | Kind::Json => return Err("is no text"),
    }
    Ok(())
}

/// A sample that was written by a [`SamplePlan`].
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name and the labels, as they stand in the text: what tells series apart.
    pub series: String,
    /// The value.
    pub value: f64,
    /// The time, in milliseconds since the epoch.
    pub time: i64,
}

impl Sample {
    /// Reads a sample's text.
    pub fn read(text: &[u8]) -> Option<Sample> {
        let (rest, time) = str::from_utf8(text).ok()?.trim_end().rsplit_once(' ')?;
        let (series, value) = rest.rsplit_once(' ')?;
        Some(Sample { series: series.to_owned(), value: value.parse().ok()?, time: time.parse().ok()? })
    }

    /// The labels of a series, in the order of their names; the metric's name is that of `__name__`.
    pub fn labels(series: &str) -> Option<Vec<(&str, String)>> {
        let (name, mut rest) = series.split_once('{').unwrap_or((series, ""));
        let mut labels = vec![("__name__", name.to_owned())];
        while let Some((name, quoted)) = rest.split_once("=\"") {
            let mut value = String::new();
            let mut letters = quoted.char_indices();
            let end = loop {
                match letters.next()? {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match letters.next()?.1 {
                        'n' => '\n',
                        other => other,
                    }),
                    (_, letter) => value.push(letter),
                }
            };
            labels.push((name, value));
            rest = quoted[end + 1..].trim_start_matches(',');
        }
        labels.sort_by(|a, b| a.0.cmp(b.0));
        Some(labels)
    }
}

/// Whether a text can be the name of a metric.
///
/// # Errors
/// Why not.
pub fn is_metric(text: &str) -> Result<(), &'static str> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(is_letter) {
        return Err("the name of a metric is made of letters, digits, `_` and `:`, no digit first");
    }
    Ok(())
}

/// Whether a text can be the name of a label.
///
/// # Errors
/// Why not.
pub fn is_label(text: &str) -> Result<(), &'static str> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(is_letter) {
        return Err("the name of a label is made of letters, digits and `_`, no digit first");
    }
    if text.starts_with("__") { Err("names that start with `__` are Prometheus' own") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read_as_it_was_written() {
        let mut text = b"m{b=\"".to_vec();
        write_label(Value::text(crate::event::Span::new(0, 0)), "a \"q\\\n, c=\"x\"".as_bytes(), &mut text)
            .unwrap();
        text.extend_from_slice(b"\",X=\"1\"} -1.5e300 -7");
        let sample = Sample::read(&text).unwrap();
        assert_eq!((sample.value, sample.time), (-1.5e300, -7));
        let labels = Sample::labels(&sample.series).unwrap();
        let of = |name: &'static str, value: &str| (name, value.to_owned());
        assert_eq!(labels, [of("X", "1"), of("__name__", "m"), of("b", "a \"q\\\n, c=\"x\"")]);
        assert_eq!(Sample::labels("m:x").unwrap(), [of("__name__", "m:x")]);
        assert_eq!(Sample::read(b"m 1"), None);
    }

    #[test]
    fn names_are_those_of_prometheus() {
        assert!(is_metric("a:b_1").is_ok() && is_label("_a1").is_ok());
        for wrong in ["", "1a", "a-b", "ä", "a b"] {
            assert!(is_metric(wrong).is_err() && is_label(wrong).is_err(), "{wrong}");
        }
        assert!(is_label("__name__").is_err() && is_label("a:b").is_err());
    }
}
