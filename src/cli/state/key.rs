//! Keys of state as people know them: the fields that rows are kept by, or what a worker keeps for itself.

use crate::event::bytes::Reader;
use crate::event::json::write_value;
use crate::event::{Batch, Kind, decode_value};
use crate::watermark::read_key_name;
use serde_json::{Map, Value, json};

/// What bytes begin with that are every worker's, a worker's own, or a key's; as in `dataflow/saved.rs`.
const SHARED: u8 = 0;
const OWN: u8 = 1;
const KEYED: u8 = 2;

/// A key of a node.
#[derive(Debug, PartialEq)]
pub enum ShownKey {
    /// The fields of a key, and the part of what is kept by it. Where a part reads as further fields it is shown so:
    /// nothing in a key says how many there are.
    Fields(Vec<Value>, Vec<u8>),
    /// What a worker keeps for itself, under a name.
    Own(u64, Vec<u8>),
    /// What is every worker's, under a name.
    Shared(Vec<u8>),
    /// Bytes of another form.
    Bytes(Vec<u8>),
}

impl ShownKey {
    /// Reads the bytes of a key, without node and group.
    pub fn read(key: &[u8]) -> ShownKey {
        let mut reader = Reader::new(key);
        match reader.byte() {
            Ok(SHARED) => ShownKey::Shared(key[1..].to_vec()),
            Ok(OWN) => match reader.number() {
                Ok(worker) => ShownKey::Own(worker, key[key.len() - reader.remaining()..].to_vec()),
                Err(_) => ShownKey::Bytes(key.to_vec()),
            },
            Ok(KEYED) => {
                let (fields, part) = fields(&key[1..]);
                ShownKey::Fields(fields, part.to_vec())
            }
            _ => ShownKey::Bytes(key.to_vec()),
        }
    }

    /// Whether it begins with these fields.
    pub fn begins_with(&self, wanted: &[Value]) -> bool {
        matches!(self, ShownKey::Fields(fields, _) if fields.starts_with(wanted)) || wanted.is_empty()
    }

    /// Adds it to an object.
    pub fn put(&self, into: &mut Map<String, Value>) {
        let mut put = |name: &str, value| _ = into.insert(name.to_owned(), value);
        match self {
            ShownKey::Fields(fields, part) => {
                put("key", fields.clone().into());
                if !part.is_empty() {
                    put("part", hex(part).into());
                }
            }
            ShownKey::Own(worker, name) => {
                put("worker", json!(worker));
                match read_key_name(name).map(|(partition, key)| (partition, fields(key))) {
                    Ok((partition, (fields, []))) => {
                        put("partition", readable(partition).into());
                        put("key", fields.into());
                    }
                    _ => put("name", readable(name).into()),
                }
            }
            ShownKey::Shared(name) => put("name", readable(name).into()),
            ShownKey::Bytes(bytes) => put("bytes", hex(bytes).into()),
        }
    }
}

fn fields(mut rest: &[u8]) -> (Vec<Value>, &[u8]) {
    let (mut batch, mut fields) = (Batch::new(0, b""), Vec::new());
    while let Some((value, behind)) = decode_value(rest, &mut batch) {
        let Some(shown) = shown(&batch, value) else { break };
        fields.push(shown);
        rest = behind;
    }
    (fields, rest)
}

/// None if it is no value although it looks like one.
fn shown(batch: &Batch, value: crate::event::Value) -> Option<Value> {
    if value.kind() == Kind::Text {
        return std::str::from_utf8(batch.bytes(value)).ok().map(Value::from);
    }
    let mut text = Vec::new();
    write_value(batch, value, &mut text);
    serde_json::from_slice(&text).ok()
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text as it is, other bytes in hexadecimal digits.
pub fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("0x{}", hex(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::Saving;
    use crate::event::{Value as Cell, encode_value};
    use crate::state::NodeId;
    use crate::time::{Env, Millis, Random, Timestamp};
    use crate::watermark::key_name;

    #[test]
    fn keys_are_shown_as_they_were_saved() {
        let mut batch = Batch::new(0, b"");
        let text = Cell::text(batch.store("d\u{e4}v".as_bytes()));
        let list = Cell::json(batch.store(b"[1, 2]"));
        let mut key = Vec::new();
        for value in [text, Cell::int(-3), Cell::float(1.0), Cell::NULL, Cell::bool(true), list] {
            encode_value(&batch, value, &mut key);
        }
        let env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
        let mut entries = Vec::new();
        let mut saving = Saving::new(NodeId(1), 2, &env, &mut entries);
        saving.put(&key, &[0xff, 1], |_| {});
        saving.put_own(b"clock", |_| {});
        let shown: Vec<ShownKey> = entries.iter().map(|entry| ShownKey::read(entry.key.key())).collect();
        let fields = json!(["d\u{e4}v", -3, 1.0, null, true, [1, 2]]);
        let fields = fields.as_array().unwrap().clone();
        assert!(shown[0].begins_with(&fields[..2]) && !shown[0].begins_with(&fields[1..]));
        assert_eq!(shown[0], ShownKey::Fields(fields, vec![0xff, 1]));
        assert_eq!(shown[1], ShownKey::Own(2, b"clock".to_vec()));
        let mut object = Map::new();
        ShownKey::Own(2, key_name(b"in-1", &key)).put(&mut object);
        let fields = json!(["d\u{e4}v", -3, 1.0, null, true, [1, 2]]);
        assert_eq!(Value::Object(object), json!({ "worker": 2, "partition": "in-1", "key": fields }));
    }
}
