//! The form in which rows that wait are kept across restarts.
//!
//! What of a row is kept follows from what is read further down, which may be another when the pipeline comes back: so a
//! row names its form, and a form its columns by their names. A column that is not there any more is left out, one that
//! has come is null.

use super::Draft;
use super::copy::Copies;
use super::kept_row::KeptRow;
use super::saved::{Saved, Saving};
use super::step::StageId;
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_time};
use crate::event::{Batch, Kept, Row, Slot, Value, put_cell};
use crate::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

/// What the names begin with under which forms are saved.
const NAME: &[u8] = b"form ";

/// Bytes of an event that stands in a batch as a whole.
const MOST_RAW: usize = u32::MAX as usize;

/// The columns of rows that are saved, and those of rows that were.
#[derive(Clone)]
pub struct RowForm {
    /// Its number: a hash of the columns.
    number: u64,
    columns: Vec<String>,
    /// Where each column stands in the stage behind.
    slots: Vec<Slot>,
    /// Whether the whole event is kept.
    whole: bool,
    /// For each form that was saved: where its columns are in this one.
    saved: Vec<(u64, Vec<Option<usize>>)>,
}

impl RowForm {
    /// That of rows that are copied into a stage by one of its inputs.
    pub fn of(draft: &Draft, stage: StageId, copies: &Copies) -> RowForm {
        let (cells, maps) = (copies.cells.iter(), copies.maps.iter());
        let slots: Vec<Slot> = cells.map(|(_, slot)| *slot).chain(maps.map(|(_, slot)| *slot)).collect();
        let names = &draft.stages[stage.0 as usize].slots;
        let columns = slots.iter().map(|slot| names[slot.0 as usize].0.clone()).collect();
        RowForm::new(columns, slots, copies.whole.is_some())
    }

    /// A form of these columns.
    pub fn new(columns: Vec<String>, slots: Vec<Slot>, whole: bool) -> RowForm {
        let mut form = RowForm { number: 0, columns, slots, whole, saved: Vec::new() };
        form.number = xxh3_64(&form.written());
        form
    }

    fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, self.columns.len() as u64);
        self.columns.iter().for_each(|name| put_bytes(&mut bytes, name.as_bytes()));
        bytes
    }

    /// Two of it that know no other: for rows that leave memory and come back.
    pub fn own(&self) -> [RowForm; 2] {
        let saved = vec![(self.number, (0..self.columns.len()).map(Some).collect())];
        let own = RowForm { saved, ..self.clone() };
        [own.clone(), own]
    }

    /// Has the form itself saved, once; to be called before a row is.
    pub fn save(&mut self, saving: &mut Saving<'_>) {
        if self.saved.iter().all(|(number, _)| *number != self.number) {
            let bytes = self.written();
            saving.put_shared(&name(self.number), |into| into.extend_from_slice(&bytes));
            self.saved.push((self.number, (0..self.columns.len()).map(Some).collect()));
        }
    }

    /// Takes back a form, if that is what was saved.
    ///
    /// # Errors
    /// It is a form that cannot be read.
    pub fn load(&mut self, saved: Saved<'_>) -> Result<bool, Malformed> {
        let Saved::Own { name, value, .. } = saved else { return Ok(false) };
        let Some(number) = name.strip_prefix(NAME) else { return Ok(false) };
        let mut number_reader = Reader::new(number);
        let number = number_reader.fixed()?;
        number_reader.finish()?;
        if self.saved.iter().any(|(known, _)| *known == number) {
            return Ok(true);
        }
        let mut reader = Reader::new(value);
        let count = reader.count()?;
        let mut places = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.bytes(value.len())?;
            places.push(self.columns.iter().position(|column| column.as_bytes() == name));
        }
        reader.finish()?;
        self.saved.push((number, places));
        Ok(true)
    }

    /// Appends a row that was kept in this form.
    pub fn put(&self, row: &KeptRow, into: &mut Vec<u8>) {
        self.put_head(row.time, into);
        row.cells.iter().for_each(|cell| cell.put(into));
        put_bytes(into, &row.raw);
    }

    /// Appends a row of a batch of the stage behind.
    pub fn put_row(&self, batch: &Batch, row: Row, into: &mut Vec<u8>) {
        self.put_head(batch.times[row.index()], into);
        for slot in &self.slots {
            let value = batch.get(row, *slot);
            put_cell(into, value, batch.bytes(value));
        }
        put_bytes(into, if self.whole { &batch.arena[batch.raw[row.index()].range()] } else { &[] });
    }

    fn put_head(&self, time: Timestamp, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.number.to_le_bytes());
        put_time(into, time);
    }

    /// Reads a row that was saved in this form or an earlier one.
    ///
    /// # Errors
    /// The bytes are no row of a form that was saved.
    pub fn take(&self, reader: &mut Reader<'_>) -> Result<KeptRow, Malformed> {
        let number = reader.fixed()?;
        let form = self.saved.iter().find(|(known, _)| *known == number);
        let (_, places) = form.ok_or(Malformed("a row of no form that is known"))?;
        let time = reader.time()?;
        let mut cells = vec![Kept::Scalar(Value::NULL); self.columns.len()];
        for place in places {
            let cell = Kept::take(reader)?;
            if let Some(cell_of) = place.and_then(|place| cells.get_mut(place)) {
                *cell_of = cell;
            }
        }
        let raw = reader.bytes(MOST_RAW)?;
        if !raw.is_empty() && crate::event::json::validate(raw).is_err() {
            return Err(Malformed("an event that is no JSON"));
        }
        Ok(KeptRow { time, cells: cells.into(), raw: if self.whole { raw.to_vec() } else { Vec::new() } })
    }

    /// Adds a row to a batch of the stage behind, with its own event time.
    pub fn write(&self, kept: &KeptRow, watermark: Timestamp, into: &mut Batch) -> Row {
        kept.write(self.slots.iter().copied(), self.whole, watermark, into)
    }
}

fn name(number: u64) -> Vec<u8> {
    [NAME, &number.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Entry, NodeId};
    use crate::time::{Env, Millis, Random};

    fn form(columns: &[&str]) -> RowForm {
        let slots = (0..columns.len() as u16).map(Slot).collect();
        RowForm::new(columns.iter().map(|name| (*name).to_owned()).collect(), slots, true)
    }

    fn saved(form: &mut RowForm) -> Vec<Entry> {
        let env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
        let mut entries = Vec::new();
        form.save(&mut Saving::new(NodeId(1), 0, &env, &mut entries));
        entries
    }

    fn load(form: &mut RowForm, entry: &Entry, workers: usize) {
        let value = entry.value.as_deref().unwrap();
        let saved = Saved::read(entry.key.group(), entry.key.key(), value, (0, workers)).unwrap().unwrap();
        assert_eq!(form.load(saved), Ok(true));
    }

    #[test]
    fn columns_are_found_by_name() {
        let mut old = form(&["a", "b", "c"]);
        let entries = saved(&mut old);
        assert_eq!((entries.len(), saved(&mut old).len()), (1, 0));
        let mut batch = Batch::new(3, b"");
        let row = batch.push_row(Timestamp(5), Timestamp(0));
        batch.raw[row.index()] = batch.store(b"{}");
        (0..3).for_each(|i| batch.set(row, Slot(i), Value::int(i64::from(i))));
        let mut bytes = Vec::new();
        old.put_row(&batch, row, &mut bytes);
        let mut new = form(&["c", "d", "a"]);
        assert!(new.take(&mut Reader::new(&bytes)).is_err());
        load(&mut new, &entries[0], 1);
        load(&mut new, &entries[0], 2);
        let kept = new.take(&mut Reader::new(&bytes)).unwrap();
        let mut again = Batch::new(3, b"");
        let row = new.write(&kept, Timestamp(1), &mut again);
        let ints: Vec<Option<i64>> = (0..3).map(|i| again.get(row, Slot(i)).as_int()).collect();
        assert_eq!(ints, [Some(2), None, Some(0)]);
        assert_eq!((again.times[0], again.watermarks[0]), (Timestamp(5), Timestamp(1)));
        assert_eq!(&again.arena[again.raw[0].range()], b"{}");
        // The new form is another, and is saved when the first row of it is.
        assert_eq!(saved(&mut new).len(), 1);
        let mut bytes_again = Vec::new();
        old.put(&old.take(&mut Reader::new(&bytes)).unwrap(), &mut bytes_again);
        assert_eq!(bytes, bytes_again);
    }

    #[test]
    fn broken_rows_are_refused() {
        let mut form = form(&["a"]);
        saved(&mut form);
        let row = KeptRow {
            time: Timestamp(1),
            cells: vec![Kept::Scalar(Value::int(7))].into(),
            raw: b"[]".to_vec(),
        };
        let mut bytes = Vec::new();
        form.put(&row, &mut bytes);
        assert!(form.take(&mut Reader::new(&bytes)).is_ok());
        for end in 0..bytes.len() {
            assert!(form.take(&mut Reader::new(&bytes[..end])).is_err());
        }
    }
}
