//! Values as tests write them in YAML: events and points in time.

use super::case::Payload;
use super::shape::SourceShape;
use crate::config::{Faults, Meaning, Node, Setting, units};
use crate::event::Kind;
use crate::expr::Type;
use crate::time::Timestamp;
use serde_json::{Map, Number, Value};

/// A point in time: milliseconds since the epoch, a duration since the epoch, or RFC 3339.
pub fn time(setting: Setting<'_>) -> Option<Timestamp> {
    let written = match (setting.node.meaning(), setting.node.scalar()) {
        (Meaning::Int(ms), _) => Some(Timestamp(ms)),
        (_, Some(text)) => units::duration(text).map(|since| Timestamp(0) + since).or(units::time(text)).ok(),
        _ => None,
    };
    if written.is_none() {
        let reported = setting.wrong("a time");
        reported
            .hint("write `2026-03-01T08:00:00Z`, or what has passed since the epoch: `60s`, or milliseconds");
    }
    written
}

/// An event that comes in by a source: a map is decoded already, a text is what the source reads.
pub fn payload(setting: Setting<'_>, source: &SourceShape) -> Option<Payload> {
    match setting.node.meaning() {
        Meaning::Map(entries) => {
            let fields = entries.iter().map(|entry| {
                let value = sent_value(Setting::of(entry, setting.faults), source)?;
                Some((entry.key.clone(), value))
            });
            all(fields).map(Payload::Decoded)
        }
        Meaning::Text(_) if source.makes => {
            let reported = setting.wrong("a map");
            reported.hint(format!("`{}` makes events itself: it reads no payloads", source.name));
            None
        }
        Meaning::Text(text) => Some(Payload::Raw(text.to_owned())),
        _ => {
            let reported = setting.wrong("an event");
            reported.hint("a map is a decoded event, a text in quotes a raw payload");
            None
        }
    }
}

/// A field of a decoded event, of the type that the source gives it.
fn sent_value(setting: Setting<'_>, source: &SourceShape) -> Option<Value> {
    let ty = source.type_of(setting.name);
    if ty.is_none() {
        let message = format!("events of `{}` have no field `{}`", source.name, setting.name);
        setting.faults.unknown(setting.key, message, setting.name, source.names());
    }
    typed(setting, ty?)
}

/// A value as the type wants it. A timestamp is milliseconds and bytes are text here; the feed makes them what they are.
fn typed(setting: Setting<'_>, ty: Type) -> Option<Value> {
    let natural = value(setting.node, setting.faults)?;
    let written = setting.node.scalar().map(|text| Value::String(text.to_owned()));
    let fit = match &natural {
        Value::Null => Some(Value::Null),
        Value::Bool(_) if ty.has(Kind::Bool) => Some(natural),
        Value::Array(_) | Value::Object(_) if ty.has(Kind::Json) => Some(natural),
        Value::Number(number) if number.is_i64() && ty.has(Kind::Int) => Some(natural),
        Value::Number(number) if ty.has(Kind::Float) => number.as_f64().and_then(float),
        Value::Number(number) if number.is_i64() && ty.has(Kind::Timestamp) => Some(natural),
        Value::String(_) if ty.has(Kind::Text) || ty.has(Kind::Bytes) => Some(natural),
        Value::String(text) if ty.has(Kind::Timestamp) => {
            units::time(text).ok().map(|time| Value::from(time.0))
        }
        // A format whose fields are text gives text for everything.
        _ if ty.has(Kind::Text) => written,
        _ => None,
    };
    if fit.is_none() {
        setting.wrong(&ty.noun());
    }
    fit
}

fn float(number: f64) -> Option<Value> {
    Number::from_f64(number).map(Value::Number)
}

/// A value of an event. Reports numbers that events cannot hold.
pub fn value(node: &Node, faults: &Faults) -> Option<Value> {
    match node.meaning() {
        Meaning::Null => Some(Value::Null),
        Meaning::Bool(value) => Some(Value::Bool(value)),
        Meaning::Int(value) => Some(Value::from(value)),
        Meaning::Float(value) => {
            let number = float(value);
            if number.is_none() {
                faults.error(node, "events hold no infinity and no NaN");
            }
            number
        }
        Meaning::Text(text) => Some(Value::String(text.to_owned())),
        Meaning::List(items) => {
            let items: Vec<Option<Value>> = items.iter().map(|item| value(item, faults)).collect();
            items.into_iter().collect::<Option<_>>().map(Value::Array)
        }
        Meaning::Map(entries) => {
            let fields = entries.iter().map(|entry| Some((entry.key.clone(), value(&entry.value, faults)?)));
            all(fields).map(Value::Object)
        }
    }
}

/// Reads all, so that every fault is reported, and returns them if none was faulty.
fn all(fields: impl Iterator<Item = Option<(String, Value)>>) -> Option<Map<String, Value>> {
    let fields: Vec<Option<(String, Value)>> = fields.collect();
    fields.into_iter().collect()
}
