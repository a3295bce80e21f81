//! Rows that wait in a merge, and how far its inputs have come, across restarts.
//!
//! A row that waits is an entry of its own: in an exchange under its key, so that it finds the worker that owns that,
//! else under its worker. Rows that came and went between two checkpoints cost nothing.

use super::{Input, Merge};
use crate::dataflow::{RowForm, Saved, Saving};
use crate::event::bytes::{Malformed, Reader, put_number, put_time};
use crate::event::{Batch, Row, Slot, encode_key, is_key, split_key};
use crate::time::Timestamp;
use std::collections::VecDeque;

/// The name under which the watermarks of inputs are saved.
const WATERMARKS: &[u8] = b"watermarks";
/// What the names of rows begin with that belong to no key.
const ROW: &[u8] = b"row ";
/// More rows than ever arrive at an input.
const MOST_ARRIVED: u64 = 1 << 62;

/// What a merge needs for its rows to outlive it.
pub struct MergeKeeper {
    form: RowForm,
    /// Where the key stands in the rows, in an exchange.
    key: Option<Vec<Slot>>,
    /// Columns of the stage.
    slots: usize,
    /// What arenas of the stage begin with.
    constants: Vec<u8>,
    /// For each input the rows that are part of what was saved, by their numbers.
    saved: Vec<VecDeque<(u64, Name)>>,
    /// The watermarks as they were saved.
    watermarks: Vec<u8>,
    loading: Loading,
}

/// What a row is saved under: a key and the part behind it, or a name and the worker that saved it.
struct Name {
    from: usize,
    key: Box<[u8]>,
    part: Box<[u8]>,
}

#[derive(Default)]
struct Loading {
    rows: Vec<Loaded>,
    /// The merged watermark and those of the inputs.
    watermarks: Option<Vec<Timestamp>>,
}

/// A row that was saved: order is that of fields.
struct Loaded {
    order: (usize, Timestamp, u64),
    row: crate::dataflow::KeptRow,
    name: Name,
}

impl MergeKeeper {
    /// For a merge into a stage of so many columns. `key` is where the key of an exchange stands in its rows.
    pub fn new(form: RowForm, key: Option<Vec<Slot>>, slots: usize, constants: &[u8]) -> MergeKeeper {
        MergeKeeper {
            form,
            key,
            slots,
            constants: constants.to_vec(),
            saved: Vec::new(),
            watermarks: Vec::new(),
            loading: Loading::default(),
        }
    }

    fn batch(&self) -> Batch {
        Batch::new(self.slots, &self.constants)
    }

    /// What the row of an input is saved under.
    fn name(&self, from: usize, (batch, row): (&Batch, Row), (input, number): (usize, u64)) -> Name {
        let (mut key, mut part) = (Vec::new(), Vec::new());
        match &self.key {
            Some(slots) => encode_key(batch, row, slots, &mut key),
            None => part.extend_from_slice(ROW),
        }
        put_number(&mut part, input as u64);
        put_number(&mut part, number);
        Name { from, key: key.into(), part: part.into() }
    }
}

impl Input {
    /// The watermark, but that of the end.
    fn last(&self) -> Timestamp {
        self.before_end.unwrap_or(self.watermark)
    }

    /// Rows that wait, with their numbers.
    fn waiting(&self) -> impl Iterator<Item = (u64, &Batch, Row)> {
        let rows = self
            .pending
            .iter()
            .flat_map(|pending| pending.rows[pending.next..].iter().map(|row| (&pending.batch, *row)));
        (self.left..).zip(rows).map(|(number, (batch, row))| (number, batch, row))
    }
}

impl Merge {
    /// Says what changed since this was called last, or since [`Merge::load`]. What waits is in the layout of the stage.
    pub fn save(&mut self, keeper: &mut MergeKeeper, into: &mut Saving<'_>) {
        keeper.saved.resize_with(self.inputs.len(), VecDeque::new);
        for number in 0..self.inputs.len() {
            self.save_input(number, keeper, into);
        }
        let mut watermarks = Vec::new();
        put_number(&mut watermarks, self.inputs.len() as u64 + 1);
        put_time(&mut watermarks, self.last());
        self.inputs.iter().for_each(|input| put_time(&mut watermarks, input.last()));
        let has_begun = self.inputs.iter().any(|input| input.last() > Timestamp::MIN);
        if has_begun && watermarks != keeper.watermarks {
            into.put_own(WATERMARKS, |value| value.extend_from_slice(&watermarks));
            keeper.watermarks = watermarks;
        }
    }

    /// The merged watermark, but that of the end.
    fn last(&self) -> Timestamp {
        if self.watermark < Timestamp::MAX {
            return self.watermark;
        }
        self.inputs.iter().map(Input::last).min().unwrap_or(Timestamp::MIN)
    }

    fn save_input(&mut self, number: usize, keeper: &mut MergeKeeper, into: &mut Saving<'_>) {
        let (input, mut saved) = (&self.inputs[number], std::mem::take(&mut keeper.saved[number]));
        let me = into.worker();
        if keeper.key.is_none() && saved.iter().any(|(_, name)| name.from != me) {
            // Those of workers that are no more become this one's, and all get new names.
            let mine = saved.drain(..).filter(|(_, name)| name.from == me);
            mine.for_each(|(_, name)| into.remove_own(&name.part));
        }
        while let Some((_, name)) = saved.pop_front_if(|(row, _)| *row < input.left) {
            match keeper.key {
                Some(_) => into.remove(&name.key, &name.part),
                None => into.remove_own(&name.part),
            }
        }
        let known = saved.back().map_or(0, |(row, _)| row + 1);
        for (row_number, batch, row) in input.waiting().filter(|(row, ..)| *row >= known) {
            keeper.form.save(into);
            let form = &keeper.form;
            let name = keeper.name(me, (batch, row), (number, row_number));
            let write = |value: &mut Vec<u8>| {
                put_number(value, me as u64);
                put_time(value, batch.watermarks[row.index()]);
                form.put_row(batch, row, value);
            };
            match keeper.key {
                Some(_) => into.put(&name.key, &name.part, write),
                None => into.put_own(&name.part, write),
            }
            saved.push_back((row_number, name));
        }
        keeper.saved[number] = saved;
    }

    /// Takes back a part of what was saved; [`Merge::loaded`] follows.
    ///
    /// # Errors
    /// The bytes are none of that.
    pub fn load(&self, keeper: &mut MergeKeeper, saved: Saved<'_>) -> Result<(), Malformed> {
        if keeper.form.load(saved)? {
            return Ok(());
        }
        match saved {
            Saved::Own { mine, moved, name: WATERMARKS, value } if mine || moved => {
                self.load_watermarks(keeper, moved, value)
            }
            Saved::Own { mine: false, .. } => Ok(()),
            Saved::Own { name, value, .. } => {
                let part = name.strip_prefix(ROW).filter(|_| keeper.key.is_none());
                let part = part.ok_or(Malformed("nothing that is kept of a union"))?;
                self.load_row(keeper, (&[], part, name), value)
            }
            Saved::Keyed { key, value } => {
                let fields =
                    keeper.key.as_ref().map(Vec::len).ok_or(Malformed("a union keeps nothing by key"))?;
                let split = split_key(key, fields).filter(|(key, _)| is_key(key, fields));
                let (key, part) = split.ok_or(Malformed("no key of this exchange"))?;
                self.load_row(keeper, (key, part, part), value)
            }
        }
    }

    /// Takes back how far inputs had come. Where rows of other workers come in now, that is as far as all had come.
    fn load_watermarks(&self, keeper: &mut MergeKeeper, moved: bool, value: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(value);
        let count = reader.count()?;
        let mut watermarks = (0..count).map(|_| reader.time()).collect::<Result<Vec<_>, _>>()?;
        reader.finish()?;
        if watermarks.is_empty() {
            return Err(Malformed("no watermarks"));
        }
        if watermarks.len() != self.inputs.len() + 1 || (moved && keeper.key.is_some()) {
            // Whoever sends may be as far back as any of those before.
            let least = watermarks[1..].iter().min().copied().unwrap_or(watermarks[0]);
            watermarks.resize(1, least);
            watermarks.resize(self.inputs.len() + 1, least);
        }
        if !moved {
            keeper.watermarks = value.to_vec();
        }
        let known = keeper.loading.watermarks.get_or_insert_with(|| watermarks.clone());
        known.iter_mut().zip(&watermarks).for_each(|(known, other)| *known = (*known).min(*other));
        Ok(())
    }

    /// Reads a row that was saved under a key (or none), with these numbers, as a part of this name.
    fn load_row(
        &self,
        keeper: &mut MergeKeeper,
        (key, numbers, part): (&[u8], &[u8], &[u8]),
        value: &[u8],
    ) -> Result<(), Malformed> {
        let name = |from| Name { from, key: key.into(), part: part.into() };
        let (mut part, mut reader) = (Reader::new(numbers), Reader::new(value));
        let (input, number) = (part.number()? as usize, part.number()?);
        part.finish()?;
        if number > MOST_ARRIVED {
            return Err(Malformed("no number of a row"));
        }
        let from = reader.number()? as usize;
        let watermark = reader.time()?;
        let row = keeper.form.take(&mut reader)?;
        reader.finish()?;
        // A worker that is no more is stood for by another.
        let order = (input % self.inputs.len().max(1), watermark, number);
        keeper.loading.rows.push(Loaded { order, row, name: name(from) });
        Ok(())
    }

    /// All has been loaded: rows wait again as they did.
    pub fn loaded(&mut self, keeper: &mut MergeKeeper) {
        let Loading { mut rows, watermarks } = std::mem::take(&mut keeper.loading);
        let watermarks = watermarks.unwrap_or_default();
        keeper.saved.resize_with(self.inputs.len(), VecDeque::new);
        let next = rows.iter().map(|row| row.order.2 + 1).max().unwrap_or_default();
        self.inputs.iter_mut().for_each(|input| input.left = next);
        rows.sort_by_key(|row| row.order);
        // Where workers have changed, in this start or in one before, what comes behind may be of one that was not so far.
        for row in &mut rows {
            let least = watermarks.get(row.order.0 + 1).copied().unwrap_or(Timestamp::MIN);
            row.order.1 = row.order.1.min(least);
        }
        for input in 0..self.inputs.len() {
            let behind = rows.split_off(rows.partition_point(|row| row.order.0 <= input));
            self.restore(input, std::mem::replace(&mut rows, behind), next, keeper);
        }
        self.watermark = watermarks.first().copied().unwrap_or(Timestamp::MIN);
        for (input, watermark) in watermarks.iter().skip(1).enumerate() {
            self.advance(input, *watermark);
        }
    }

    /// Rows of one input wait again.
    fn restore(&mut self, input: usize, rows: Vec<Loaded>, first: u64, keeper: &mut MergeKeeper) {
        let mut batch = keeper.batch();
        for (number, loaded) in (first..).zip(rows) {
            if batch.is_full() {
                self.push_all(input, std::mem::replace(&mut batch, keeper.batch()));
            }
            keeper.form.write(&loaded.row, loaded.order.1, &mut batch);
            keeper.saved[input].push_back((number, loaded.name));
        }
        self.push_all(input, batch);
    }

    fn push_all(&mut self, input: usize, batch: Batch) {
        let rows = (0..batch.len() as u32).map(Row).collect();
        self.push(input, batch, rows);
    }
}
