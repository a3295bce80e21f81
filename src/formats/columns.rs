//! Named pieces of text to the cells of a row: what every format but JSON ends in.

use super::Wanted;
use super::types::FieldType;
use crate::event::json::{write_string, write_value};
use crate::event::{Batch, Slot, Span, Value};
use crate::time::Timestamp;

/// The columns of a format, and what becomes of each.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    columns: Vec<Column>,
    whole: bool,
    /// The values of the row at hand.
    values: Vec<Value>,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: FieldType,
    slots: Vec<Slot>,
    /// `"name":`; empty if a later column of the same name takes its place.
    piece: Vec<u8>,
}

impl Columns {
    /// The columns of these names. Of columns with one name the last counts. An error names a type that belongs to
    /// no column.
    pub fn new(names: &[String], types: &[(String, FieldType)], wanted: &Wanted) -> Result<Columns, String> {
        if let Some((name, _)) = types.iter().find(|(name, _)| !names.contains(name)) {
            return Err(format!("`types` names `{name}`, but there is no such column"));
        }
        let column = |(i, name): (usize, &String)| {
            let last = !names[i + 1..].contains(name);
            let kind = types.iter().find(|(n, _)| n == name).map(|(_, kind)| *kind).unwrap_or_default();
            let here = wanted.fields.iter().filter(|(p, _)| last && p.root() == name && p.rest().is_empty());
            let slots = here.map(|(_, slot)| *slot).collect();
            let mut piece = Vec::new();
            if last {
                write_string(name.as_bytes(), &mut piece);
                piece.push(b':');
            }
            Column { name: name.clone(), kind, slots, piece }
        };
        let columns: Vec<Column> = names.iter().enumerate().map(column).collect();
        Ok(Columns { values: vec![Value::NULL; columns.len()], columns, whole: wanted.whole })
    }

    /// The one column of a format that has no choice.
    pub fn of_one(name: &str, wanted: &Wanted) -> Columns {
        let columns = Columns::new(&[name.to_owned()], &[], wanted);
        columns.unwrap_or_else(|_| unreachable!("only types are refused"))
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// Adds the row whose texts lie at the given places of the arena; None is null. An error says which text is
    /// not what it should be, and adds nothing.
    pub fn add_row(
        &mut self,
        batch: &mut Batch,
        place: impl Fn(&Batch, usize) -> Option<Span>,
    ) -> Result<(), String> {
        for (i, column) in self.columns.iter().enumerate() {
            if column.slots.is_empty() && !self.whole {
                continue;
            }
            self.values[i] = match place(batch, i) {
                Some(span) => column.value(&batch.arena[span.range()], span)?,
                None => Value::NULL,
            };
        }
        self.finish_row(batch);
        Ok(())
    }

    /// Adds the row of one column that holds bytes.
    pub fn add_bytes(&mut self, batch: &mut Batch, bytes: Span) {
        self.values.fill(Value::bytes(bytes));
        self.finish_row(batch);
    }

    fn finish_row(&mut self, batch: &mut Batch) {
        let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
        for (column, value) in self.columns.iter().zip(&self.values) {
            column.slots.iter().for_each(|slot| batch.set(row, *slot, *value));
        }
        if self.whole {
            let mut text = Vec::new();
            self.write_whole(batch, &mut text);
            batch.raw[row.index()] = batch.store(&text);
        }
    }

    /// Appends the row at hand as a JSON map.
    fn write_whole(&self, batch: &Batch, text: &mut Vec<u8>) {
        let mut before = b'{';
        for (column, value) in self.columns.iter().zip(&self.values) {
            if !column.piece.is_empty() {
                text.push(std::mem::replace(&mut before, b','));
                text.extend_from_slice(&column.piece);
                write_value(batch, *value, text);
            }
        }
        text.extend_from_slice(if before == b'{' { b"{}" } else { b"}" });
    }
}

impl Column {
    fn value(&self, bytes: &[u8], span: Span) -> Result<Value, String> {
        let text = str::from_utf8(bytes).map_err(|_| format!("field `{}` is not UTF-8", self.name))?;
        self.kind.value(text, span).map_err(|what| {
            let start: String = text.chars().take(40).collect();
            format!("field `{}`: `{start}` is {what}", self.name)
        })
    }
}
