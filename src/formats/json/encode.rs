//! Rows to lines of JSON.

use super::merge::Merge;
use super::splice::Splice;
use crate::event::json::{Timestamps, write_string, write_value_as};
use crate::event::{Batch, Layer, Reason, RejectKind, Row, Slot, View};
use crate::formats::Encoder;

/// How JSON is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonOutput {
    /// How points in time are written.
    pub timestamps: Timestamps,
}

/// Writes one map a line. An event that was read from JSON and not changed keeps its own bytes: white space,
/// escapes, numbers of any size and duplicate keys stay as they came. Fields that were set are written compactly
/// in their place, new ones at the end.
pub struct JsonEncoder {
    timestamps: Timestamps,
    form: Form,
}

/// How the view is best written.
enum Form {
    /// All fields are known: what stands before each, and its slot.
    Known(Vec<(Box<[u8]>, Slot)>),
    /// A raw event with some fields changed.
    Splice(Splice),
    /// Maps put together when they are seen.
    Merge(Merge),
}

impl JsonEncoder {
    /// An encoder of events that look like `view`.
    pub fn new(options: JsonOutput, view: &View) -> JsonEncoder {
        let form = match (view.fields(), view.layers.split_first()) {
            (Some(fields), _) => Form::Known(known(&fields)),
            (None, Some((Layer::Raw, changes))) if !changes.iter().any(is_map) => {
                Form::Splice(Splice::new(changes))
            }
            _ => Form::Merge(Merge::new(view)),
        };
        JsonEncoder { timestamps: options.timestamps, form }
    }
}

fn is_map(layer: &Layer) -> bool {
    matches!(layer, Layer::Raw | Layer::Merge(_))
}

/// What stands before each field: a bracket or comma, the name, a colon.
fn known(fields: &[(&str, Slot)]) -> Vec<(Box<[u8]>, Slot)> {
    let piece = |(i, (name, slot)): (usize, &(&str, Slot))| {
        let mut piece = vec![if i == 0 { b'{' } else { b',' }];
        piece.extend_from_slice(&name_piece(name));
        (piece.into(), *slot)
    };
    fields.iter().enumerate().map(piece).collect()
}

/// `"name":`
pub(super) fn name_piece(name: &str) -> Vec<u8> {
    let mut piece = Vec::new();
    write_string(name.as_bytes(), &mut piece);
    piece.push(b':');
    piece
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason> {
        match &mut self.form {
            Form::Known(fields) => {
                for (before, slot) in fields.iter() {
                    into.extend_from_slice(before);
                    write_value_as(batch, batch.get(row, *slot), self.timestamps, into);
                }
                into.extend_from_slice(if fields.is_empty() { b"{}\n" } else { b"}\n" });
            }
            Form::Splice(splice) => splice
                .write(batch, row, self.timestamps, into)
                .map_err(|what| Reason::new(RejectKind::Encode, format!("the event is no JSON: {what}")))?,
            Form::Merge(merge) => merge.write(batch, row, self.timestamps, into),
        }
        Ok(())
    }
}
