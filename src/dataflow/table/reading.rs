//! From the bytes of a file to the rows of a table.

use super::{TableLayout, TableRows};
use crate::dataflow::{FormatPlan, formats};
use crate::event::{Batch, Path, Slot, Span, Unreadable, json};
use crate::formats::Wanted;
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// The most rows of a table.
const MOST_ROWS: usize = 1_000_000;
/// The most columns of one whose format does not fix them.
const MOST_COLUMNS: usize = 1_000;

/// The columns that rows have, each once, in the order in which they come.
///
/// # Errors
/// What cannot be read, or that there is too much of it.
pub fn column_names(format: &dyn FormatPlan, bytes: &[u8]) -> Result<Vec<String>, String> {
    if let Some(known) = format.known_fields() {
        return Ok(known.into_iter().map(|(name, _)| name).collect());
    }
    let batch = decode(format, &Wanted { fields: Vec::new(), whole: true }, 0, bytes.to_vec())?;
    let (mut names, mut seen) = (Vec::new(), BTreeSet::new());
    for raw in &batch.raw {
        for (name, _) in json::entries(&batch.arena[raw.range()]) {
            if !seen.contains(name.as_ref()) {
                seen.insert(name.to_string());
                names.push(name.into_owned());
            }
        }
        if names.len() > MOST_COLUMNS {
            return Err(format!("it has more than {MOST_COLUMNS} columns"));
        }
    }
    Ok(names)
}

/// The wanted columns of all rows.
///
/// # Errors
/// A row that cannot be read, or told from another; too many of them.
pub fn read_rows(format: &dyn FormatPlan, layout: &TableLayout, bytes: Vec<u8>) -> Result<TableRows, String> {
    let fields = layout.columns.iter().zip((0..).map(Slot));
    let fields = fields.map(|(name, slot)| (Path::field(name.clone()), slot)).collect();
    let wanted = Wanted { fields, whole: false };
    TableRows::new(decode(format, &wanted, layout.columns.len(), bytes)?, layout.key())
}

fn decode(format: &dyn FormatPlan, wanted: &Wanted, slots: usize, bytes: Vec<u8>) -> Result<Batch, String> {
    let mut decoder = format.decoder(wanted)?;
    let mut batch = Batch::new(slots, b"");
    batch.arena = bytes;
    let (mut at, end) = (0, batch.arena.len());
    let mut unreadable: Vec<Unreadable> = Vec::new();
    while at < end {
        let block = Span::new(at, end - at);
        let read = decoder.decode(&mut batch, block, true, MOST_ROWS + 1, &mut unreadable);
        if let Some(first) = unreadable.first() {
            return Err(format!("behind row {}: {}", first.rows_before, first.reason.text));
        }
        if batch.len() > MOST_ROWS {
            return Err(format!("it has more than {MOST_ROWS} rows"));
        }
        if read == 0 {
            break;
        }
        at += read;
    }
    Ok(batch)
}

/// The columns of a JSON object, as a batch of one row that holds nothing else of it.
///
/// # Errors
/// It is no JSON object.
pub fn read_answer(columns: &[String], object: &[u8]) -> Result<Batch, String> {
    let no_object = || "the answer is no JSON object".to_owned();
    let object = object.trim_ascii();
    if object.first() != Some(&b'{') || json::validate(object).is_err() {
        return Err(no_object());
    }
    let mut line = Vec::with_capacity(object.len() + 1);
    json::write_compact(object, &mut line);
    line.push(b'\n');
    let fields = columns.iter().zip((0..).map(Slot));
    let fields = fields.map(|(name, slot)| (Path::field(name.clone()), slot)).collect();
    let wanted = Wanted { fields, whole: false };
    let batch = decode(&*formats::json(), &wanted, columns.len(), line)?;
    if batch.len() != 1 {
        return Err(no_object());
    }
    let mut row = Batch::new(columns.len(), b"");
    let only = row.push_row(Timestamp(0), Timestamp::MIN);
    for slot in (0..columns.len() as u16).map(Slot) {
        let value = row.adopt(&batch, batch.get(only, slot));
        row.set(only, slot, value);
    }
    Ok(row)
}
