//! The rows of a table, found by key.

use crate::event::{Batch, Kind, Row, Slot, Value, encode_value};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// What a table holds at one time: it never changes, so that all workers share it.
pub struct TableRows {
    batch: Batch,
    /// Rows by the hashes of their keys.
    index: HashTable<Row>,
    /// The keys of all rows, one behind the other, and where each ends.
    keys: Vec<u8>,
    ends: Vec<usize>,
}

impl TableRows {
    /// The rows of a batch, of which the first columns are the key. `names` are those of the key.
    ///
    /// # Errors
    /// Rows that cannot be told from one another: one without a key, two with the same.
    pub fn new(batch: Batch, names: &[String]) -> Result<TableRows, String> {
        let slots: Vec<Slot> = (0..names.len() as u16).map(Slot).collect();
        let mut rows = TableRows { batch, index: HashTable::new(), keys: Vec::new(), ends: Vec::new() };
        let mut key = MatchKey::default();
        for row in (0..rows.batch.len() as u32).map(Row) {
            if let Some(slot) = slots.iter().find(|slot| rows.batch.get(row, **slot).is_null()) {
                return Err(format!("row {} has no `{}`", row.0 + 1, names[slot.0 as usize]));
            }
            key.read(&rows.batch, row, &slots);
            if let Some(first) = rows.find(&key) {
                let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                let (first, second) = (first.0 + 1, row.0 + 1);
                return Err(format!("rows {first} and {second} have the same {}", listed.join(", ")));
            }
            rows.insert(row, &key);
        }
        Ok(rows)
    }

    fn insert(&mut self, row: Row, key: &MatchKey) {
        self.keys.extend_from_slice(&key.bytes);
        self.ends.push(self.keys.len());
        let (keys, ends) = (&self.keys, &self.ends);
        self.index.insert_unique(key.hash(), row, |row| xxh3_64(key_of(keys, ends, *row)));
    }

    /// The row of a key.
    #[inline]
    pub fn find(&self, key: &MatchKey) -> Option<Row> {
        let same = |row: &Row| key_of(&self.keys, &self.ends, *row) == key.bytes;
        self.index.find(key.hash(), same).copied()
    }

    /// The cells of all rows; slots are those of the table's layout.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = Row> + use<> {
        (0..self.batch.len() as u32).map(Row)
    }
}

fn key_of<'a>(keys: &'a [u8], ends: &[usize], row: Row) -> &'a [u8] {
    let start = row.index().checked_sub(1).map_or(0, |before| ends[before]);
    &keys[start..ends[row.index()]]
}

/// A key as it is looked up. Other than keys of state, values that `=` takes for equal are the same key: `1` and `1.0`.
#[derive(Default)]
pub struct MatchKey {
    bytes: Vec<u8>,
}

impl MatchKey {
    /// Takes the key that stands in these slots of a row. False where one of them is null: a null equals nothing.
    #[inline]
    pub fn read(&mut self, batch: &Batch, row: Row, slots: &[Slot]) -> bool {
        self.bytes.clear();
        slots.iter().all(|slot| {
            let value = batch.get(row, *slot);
            encode_value(batch, as_integer(value), &mut self.bytes);
            !value.is_null()
        })
    }

    fn hash(&self) -> u64 {
        xxh3_64(&self.bytes)
    }
}

/// A float that is a whole number as an integer. Beyond 2^53 neighbours would become equal, so those stay.
fn as_integer(value: Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match (value.kind(), value.as_float()) {
        (Kind::Float, Some(float)) if float.fract() == 0.0 && float.abs() <= EXACT => {
            Value::int(float as i64)
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn batch(cells: &[Value]) -> Batch {
        let mut batch = Batch::new(1, b"ab");
        for value in cells {
            let row = batch.push_row(Timestamp(0), Timestamp(0));
            batch.set(row, Slot(0), *value);
        }
        batch
    }

    fn found(rows: &TableRows, value: Value) -> Option<u32> {
        let mut key = MatchKey::default();
        key.read(&batch(&[value]), Row(0), &[Slot(0)]).then(|| rows.find(&key)).flatten().map(|row| row.0)
    }

    #[test]
    fn what_is_equal_is_found() {
        let text = |start| Value::text(crate::event::Span::new(start, 1));
        let rows = TableRows::new(
            batch(&[Value::int(7), Value::float(0.5), text(0), Value::float(8.0)]),
            &["k".into()],
        );
        let rows = rows.expect("distinct keys");
        assert_eq!(found(&rows, Value::float(7.0)), Some(0));
        assert_eq!(found(&rows, Value::int(8)), Some(3));
        assert_eq!(found(&rows, Value::float(0.5)), Some(1));
        assert_eq!(found(&rows, text(0)), Some(2));
        for none in [text(1), Value::int(9), Value::NULL, Value::bool(true), Value::timestamp(7)] {
            assert_eq!(found(&rows, none), None, "{none:?}");
        }
    }

    #[test]
    fn rows_have_keys_of_their_own() {
        let fault = |cells: &[Value]| TableRows::new(batch(cells), &["k".into()]).err();
        assert_eq!(
            fault(&[Value::int(1), Value::int(2), Value::float(1.0)]).as_deref(),
            Some("rows 1 and 3 have the same `k`")
        );
        assert_eq!(fault(&[Value::int(1), Value::NULL]).as_deref(), Some("row 2 has no `k`"));
    }
}
