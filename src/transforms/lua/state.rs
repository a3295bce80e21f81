//! What a script keeps for a key.

use crate::dataflow::plugin::from_lua;
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_time};
use crate::event::{Batch, Kept};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes that names and values of a key may have together.
pub(super) const MOST_STATE: usize = 64 << 10;
/// Names that a key may have.
const MOST_NAMES: usize = 1_000;
/// Timers that a key may have.
const MOST_TIMERS: usize = 1_000;

/// Names and values.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    all: BTreeMap<Box<str>, Kept>,
    bytes: usize,
}

/// A name and its new value; None: it is gone.
pub(super) type Change = (Box<str>, Option<Kept>);

fn size(name: &str, value: &Kept) -> usize {
    name.len() + value.parts().1.len() + size_of::<Kept>()
}

impl Values {
    pub(super) fn get(&self, name: &str) -> Option<&Kept> {
        self.all.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Kept)> {
        self.all.iter().map(|(name, value)| (&**name, value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn set(&mut self, name: Box<str>, value: Option<Kept>) {
        let added = value.as_ref().map_or(0, |value| size(&name, value));
        let before = match value {
            Some(value) => self.all.insert(name.clone(), value),
            None => self.all.remove(&name),
        };
        let removed = before.map_or(0, |before| size(&name, &before));
        self.bytes = (self.bytes + added).saturating_sub(removed);
    }

    /// Makes the changes.
    ///
    /// # Errors
    /// A key may not keep so much.
    pub(super) fn apply(&mut self, changes: Vec<Change>) -> Result<(), String> {
        changes.into_iter().for_each(|(name, value)| self.set(name, value));
        if self.bytes > MOST_STATE {
            return Err(format!(
                "the state of a key would have {} bytes, more than {MOST_STATE}",
                self.bytes
            ));
        }
        if self.all.len() > MOST_NAMES {
            return Err(format!("the state of a key would have more than {MOST_NAMES} names"));
        }
        Ok(())
    }
}

/// What is kept of a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    /// The version of the script that made it.
    pub(super) version: u32,
    pub(super) values: Arc<Values>,
    /// When its timers are due.
    pub(super) timers: BTreeSet<Timestamp>,
}

impl Item {
    /// Adds timers.
    ///
    /// # Errors
    /// A key may not have so many.
    pub(super) fn add_timers(&mut self, timers: &[Timestamp]) -> Result<(), String> {
        self.timers.extend(timers);
        if self.timers.len() > MOST_TIMERS {
            return Err(format!("a key would have more than {MOST_TIMERS} timers"));
        }
        Ok(())
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.timers.is_empty()
    }

    pub(super) fn put(&self, into: &mut Vec<u8>) {
        put_number(into, u64::from(self.version));
        put_number(into, self.values.all.len() as u64);
        for (name, value) in &self.values.all {
            put_bytes(into, name.as_bytes());
            value.put(into);
        }
        put_number(into, self.timers.len() as u64);
        self.timers.iter().for_each(|due| put_time(into, *due));
    }

    /// Reads what [`Item::put`] wrote. `version` is the script's.
    ///
    /// # Errors
    /// It is no such thing, or was made by a newer version of the script.
    pub(super) fn take(version: u32, reader: &mut Reader<'_>) -> Result<Item, Malformed> {
        let mut item = Item { version: reader.small()?, ..Item::default() };
        if item.version > version {
            return Err(Malformed("state that a newer version of the script made"));
        }
        let mut values = Values::default();
        for _ in 0..reader.count()? {
            let name = str::from_utf8(reader.bytes(MOST_STATE)?);
            let name = name.map_err(|_| Malformed("a name that is not UTF-8"))?;
            values.set(name.into(), Some(Kept::take(reader)?));
        }
        item.values = Arc::new(values);
        for _ in 0..reader.count()? {
            item.timers.insert(reader.time()?);
        }
        Ok(item)
    }
}

/// A kept value for Lua; the batch is for scratch.
pub(super) fn give_kept(lua: &mlua::Lua, kept: &Kept, scratch: &mut Batch) -> mlua::Result<mlua::Value> {
    scratch.clear();
    let value = kept.write(scratch);
    crate::dataflow::plugin::to_lua(lua, scratch, value)
}

/// A value of Lua to be kept.
pub(super) fn take_kept(value: &mlua::Value, scratch: &mut Batch) -> Result<Kept, String> {
    scratch.clear();
    let value = from_lua(value, scratch)?;
    Ok(Kept::of(scratch, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Value;

    /// Version, names with values, timers. State of older releases must be read: a change of these bytes needs a new form.
    const GOLDEN: &str = "ac02060562797465730802ff0005666c6f617404000000000000f83f03696e7403d704046c69\
        7374090e5b312c7b2278223a6e756c6c7d5d026e6f010474657874060770756d7020c3a4020180a0abfef962";

    #[test]
    fn bytes_stay_what_they_are_and_are_read() {
        let mut batch = Batch::new(0, b"");
        let text = Value::text(batch.store("pump ä".as_bytes()));
        let list = Value::json(batch.store(b"[1,{\"x\":null}]"));
        let raw = Value::bytes(batch.store(b"\xff\x00"));
        let values = [
            ("bytes", raw),
            ("int", Value::int(-300)),
            ("float", Value::float(1.5)),
            ("list", list),
            ("no", Value::bool(false)),
            ("text", text),
        ];
        let mut item = Item { version: 300, ..Item::default() };
        let changes = values.map(|(name, value)| (name.into(), Some(Kept::of(&batch, value))));
        Arc::make_mut(&mut item.values).apply(changes.into()).expect("little");
        item.add_timers(&[Timestamp(1_700_000_000_000), Timestamp(-1)]).expect("few");
        let mut bytes = Vec::new();
        item.put(&mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN, "the form of state has changed");
        let again = Item::take(300, &mut Reader::new(&bytes)).expect("what was put");
        assert_eq!(format!("{again:?}"), format!("{item:?}"));
    }

    #[test]
    fn what_is_kept_comes_back_and_has_a_limit() {
        let mut item = Item { version: 2, ..Item::default() };
        let changes = vec![("n".into(), Some(Kept::Scalar(Value::int(5)))), ("m".into(), None)];
        assert!(Arc::make_mut(&mut item.values).apply(changes).is_ok());
        assert!(item.add_timers(&[Timestamp(7), Timestamp(-3)]).is_ok());
        let mut bytes = Vec::new();
        item.put(&mut bytes);
        let mut reader = Reader::new(&bytes);
        let again = Item::take(2, &mut reader).expect("what was put");
        assert_eq!((reader.remaining(), format!("{again:?}")), (0, format!("{item:?}")));
        assert!(Item::take(1, &mut Reader::new(&bytes)).is_err(), "it is newer");
        for end in 0..bytes.len() {
            assert!(Item::take(2, &mut Reader::new(&bytes[..end])).is_err());
        }
        let mut batch = Batch::new(0, b"");
        let large = Value::text(batch.store(&vec![b'x'; MOST_STATE]));
        let large = vec![("x".into(), Some(Kept::of(&batch, large)))];
        assert!(Arc::make_mut(&mut item.values).apply(large).is_err());
        let many: Vec<Timestamp> = (0..=MOST_TIMERS as i64).map(Timestamp).collect();
        assert!(item.add_timers(&many).is_err());
    }
}
