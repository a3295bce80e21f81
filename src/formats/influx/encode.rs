//! Rows to lines.

use super::{InfluxOptions, Measurement, TIME};
use crate::event::json::{self, write_float, write_int};
use crate::event::{Batch, Kind, Reason, RejectKind, Row, Value, View};
use crate::formats::Encoder;
use crate::formats::members::{Members, Source};

/// Writes a line an event: the measurement, the fields that are tags, all other fields that are not null, and the field
/// `time` in epoch milliseconds, if it is there.
pub struct InfluxEncoder {
    options: InfluxOptions,
    members: Members,
    /// Values that were JSON text, and what texts of them mean.
    scratch: Vec<u8>,
    /// The measurement, the tags in their order, and the fields of the line at hand.
    measurement: Vec<u8>,
    tags: Vec<Vec<u8>>,
    fields: Vec<u8>,
}

/// Why a field cannot be written.
type Fault = &'static str;

impl InfluxEncoder {
    /// An encoder of events that look like `view`.
    pub fn new(options: &InfluxOptions, view: &View) -> InfluxEncoder {
        InfluxEncoder {
            options: options.clone(),
            members: Members::new(view),
            scratch: Vec::new(),
            measurement: Vec::new(),
            tags: vec![Vec::new(); options.tags.len()],
            fields: Vec::new(),
        }
    }

    /// Writes this measurement from now on, where the options give a fixed one.
    pub fn set_measurement(&mut self, text: &str) {
        if let Measurement::Fixed(fixed) = &mut self.options.measurement {
            fixed.clear();
            fixed.push_str(text);
        }
    }

    /// Gathers the parts of a line; returns its time.
    fn gather(&mut self, batch: &Batch, row: Row) -> Result<Option<i64>, String> {
        let InfluxEncoder { options, members, scratch, measurement, tags, fields } = self;
        measurement.clear();
        fields.clear();
        tags.iter_mut().for_each(Vec::clear);
        let named = match &options.measurement {
            Measurement::Fixed(text) => {
                write_name(text.as_bytes(), b", ", measurement)?;
                None
            }
            Measurement::Field(name) => Some(name.as_bytes()),
        };
        let mut time = None;
        members.gather(batch, row);
        for (name, source) in members.iter() {
            let fault = |what: Fault| format!("field `{}` {what}", String::from_utf8_lossy(name));
            scratch.clear();
            let (value, arena) = match source {
                Source::Cell(slot) => (batch.get(row, slot), &batch.arena[..]),
                Source::Text(span) => {
                    let value = json::to_value(&batch.arena[span.range()], scratch);
                    (value.map_err(|_| fault("is a number out of range"))?, &scratch[..])
                }
            };
            let content = &arena[value.span().range()];
            let tag = options.tags.iter().position(|tag| tag.as_bytes() == name);
            if value.is_null() {
            } else if named == Some(name) {
                write_scalar(value, content, b", ", measurement).map_err(fault)?;
            } else if name == TIME.as_bytes() {
                time = Some(value.as_timestamp().or(value.as_int()).ok_or_else(|| fault("is no time"))?);
            } else if let Some(tag) = tag {
                write_scalar(value, content, b",= ", &mut tags[tag]).map_err(fault)?;
            } else {
                fields.push(if fields.is_empty() { b' ' } else { b',' });
                write_name(name, b",= ", fields).map_err(fault)?;
                fields.push(b'=');
                write_field(value, content, fields).map_err(fault)?;
            }
        }
        Ok(time)
    }

    fn write(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), String> {
        let time = self.gather(batch, row)?;
        match self.measurement.first() {
            None => return Err("the measurement is null or empty".to_owned()),
            Some(b'#') => return Err("a measurement that starts with `#` would be a comment".to_owned()),
            Some(_) => {}
        }
        if self.fields.is_empty() {
            return Err("line protocol needs a field that is neither tag, time nor null".to_owned());
        }
        let time = match time {
            Some(ms) => Some(self.options.precision.time_of(ms).ok_or("the time is out of range")?),
            None => None,
        };
        into.extend_from_slice(&self.measurement);
        // A tag without a value is none.
        for (name, value) in self.options.tags.iter().zip(&self.tags).filter(|(_, value)| !value.is_empty()) {
            into.push(b',');
            write_name(name.as_bytes(), b",= ", into)?;
            into.push(b'=');
            into.extend_from_slice(value);
        }
        into.extend_from_slice(&self.fields);
        if let Some(time) = time {
            into.push(b' ');
            write_int(time, into);
        }
        into.push(b'\n');
        Ok(())
    }
}

impl Encoder for InfluxEncoder {
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason> {
        let start = into.len();
        self.write(batch, row, into).map_err(|what| {
            into.truncate(start);
            Reason::new(RejectKind::Encode, what)
        })
    }
}

/// Appends a name, or what stands like one, with its escapes. A backslash at its end would escape what follows.
fn write_name(text: &[u8], escapes: &[u8], into: &mut Vec<u8>) -> Result<(), Fault> {
    if text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err("has a line end in a name, tag or measurement");
    }
    if text.is_empty() || text.ends_with(b"\\") {
        return Err("is empty or ends with a backslash, in a name, tag or measurement");
    }
    for &byte in text {
        if escapes.contains(&byte) {
            into.push(b'\\');
        }
        into.push(byte);
    }
    Ok(())
}

/// Appends the value of a tag, or a measurement: the text of what it is; nothing for an empty text.
fn write_scalar(value: Value, content: &[u8], escapes: &[u8], into: &mut Vec<u8>) -> Result<(), Fault> {
    match value.kind() {
        Kind::Text if content.is_empty() => {}
        Kind::Text => write_name(content, escapes, into)?,
        Kind::Bool => into.extend_from_slice(if value.as_bool() == Some(true) { b"true" } else { b"false" }),
        Kind::Int => write_int(value.as_int().unwrap_or_default(), into),
        Kind::Timestamp => write_int(value.as_timestamp().unwrap_or_default(), into),
        Kind::Float => write_float(value.as_float().unwrap_or_default(), into),
        Kind::Null | Kind::Bytes | Kind::Json => return Err("is no text, so it is no tag or measurement"),
    }
    Ok(())
}

/// Appends the value of a field.
fn write_field(value: Value, content: &[u8], into: &mut Vec<u8>) -> Result<(), Fault> {
    match value.kind() {
        Kind::Int | Kind::Timestamp => {
            write_int(value.as_int().or(value.as_timestamp()).unwrap_or_default(), into);
            into.push(b'i');
        }
        Kind::Float | Kind::Bool => write_scalar(value, content, &[], into)?,
        Kind::Text => {
            into.push(b'"');
            for &byte in content {
                if matches!(byte, b'"' | b'\\') {
                    into.push(b'\\');
                }
                into.push(byte);
            }
            into.push(b'"');
        }
        Kind::Bytes => json::write_base64(content, into),
        Kind::Null | Kind::Json => return Err("is a list or map, which line protocol cannot write"),
    }
    Ok(())
}
