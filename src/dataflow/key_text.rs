//! Keys of state as people read them.

use super::saved::{is_own, own_worker};
use crate::event::json::write_value;
use crate::event::{Batch, decode_value};
use std::fmt::Write;

/// A key of a node's state: the fields of a key as a JSON list, and behind them in hexadecimal digits what part of what is
/// kept by it. Where a part reads as further fields it is shown so: nothing in a key says how many there are.
pub fn key_text(key: &[u8]) -> String {
    let mut text = String::new();
    let rest = match key.split_first() {
        Some((_, name)) if is_own(key) => {
            text.push_str(if own_worker(key).is_some() { "of a worker's own" } else { "of every worker" });
            name
        }
        Some((_, fields)) => put_fields(fields, &mut text),
        None => key,
    };
    if !rest.is_empty() {
        text.push_str(" 0x");
    }
    // Writing into a text cannot fail.
    rest.iter().for_each(|byte| _ = write!(text, "{byte:02x}"));
    text
}

/// The fields of a key as a JSON list, given as they are in memory: behind nothing that says whose it is.
pub fn key_fields_text(fields: &[u8]) -> String {
    let mut text = String::new();
    put_fields(fields, &mut text);
    text
}

/// Returns what is behind the fields.
fn put_fields<'a>(mut rest: &'a [u8], into: &mut String) -> &'a [u8] {
    let (mut batch, mut json) = (Batch::new(0, b""), vec![b'[']);
    while let Some((value, behind)) = decode_value(rest, &mut batch) {
        if json.len() > 1 {
            json.push(b',');
        }
        write_value(&batch, value, &mut json);
        rest = behind;
    }
    json.push(b']');
    into.push_str(&String::from_utf8_lossy(&json));
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::Saving;
    use crate::event::{Value, encode_value};
    use crate::state::NodeId;
    use crate::time::{Env, Millis, Random, Timestamp};

    #[test]
    fn keys_are_read_as_they_were_saved() {
        let mut batch = Batch::new(0, b"");
        let text = Value::text(batch.store(b"say \"a\""));
        let mut key = Vec::new();
        for value in [text, Value::int(-3), Value::NULL] {
            encode_value(&batch, value, &mut key);
        }
        let env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
        let mut entries = Vec::new();
        let mut saving = Saving::new(NodeId(1), 2, &env, &mut entries);
        saving.put(&key, &[], |_| {});
        saving.put(&key, &[0xff, 1], |_| {});
        saving.put_own(b"a", |_| {});
        saving.put_shared(b"a", |_| {});
        let texts: Vec<String> = entries.iter().map(|entry| key_text(entry.key.key())).collect();
        let fields = r#"["say \"a\"",-3,null]"#;
        let own = ["of a worker's own 0x0261", "of every worker 0x61"];
        assert_eq!(texts, [fields.to_owned(), format!("{fields} 0xff01"), own[0].into(), own[1].into()]);
        assert_eq!(key_text(&[]), "");
    }
}
