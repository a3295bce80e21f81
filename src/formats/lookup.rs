//! One named field of an event, for formats that do not write all of them.

use crate::event::json::{self, write_float, write_int};
use crate::event::{Batch, Kind, Layer, Row, Slot, Step, Value, View};

/// Where the field of a name is found, in the order in which to look.
pub(super) struct Lookup {
    places: Vec<Place>,
    path: [Step; 1],
    scratch: Vec<u8>,
}

enum Place {
    Cell(Slot),
    /// In the map in a slot.
    Map(Slot),
    /// In the raw event.
    Raw,
}

/// How bytes are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BytesAs {
    Base64,
    Themselves,
}

impl Lookup {
    /// Where `name` is found in events that look like `view`.
    pub fn new(view: &View, name: &str) -> Lookup {
        let mut places = Vec::new();
        for layer in view.layers.iter().rev() {
            match layer {
                Layer::Raw => places.push(Place::Raw),
                Layer::Merge(slot) => places.push(Place::Map(*slot)),
                Layer::Field(n, slot) if n == name => {
                    places.push(Place::Cell(*slot));
                    break;
                }
                Layer::Without(n) if n == name => break,
                Layer::Field(..) | Layer::Without(_) => {}
            }
        }
        Lookup { places, path: [Step::Field(name.to_owned())], scratch: Vec::new() }
    }

    /// Appends the field of a row: text as it is, a list or map as JSON, anything else as JSON writes it.
    /// Returns whether there is a value that is not null.
    pub fn write(&mut self, batch: &Batch, row: Row, bytes: BytesAs, into: &mut Vec<u8>) -> bool {
        for place in &self.places {
            let map = match place {
                Place::Cell(slot) => return write(batch.get(row, *slot), &batch.arena, bytes, into),
                Place::Map(slot) => batch.get(row, *slot).span(),
                Place::Raw => batch.raw[row.index()],
            };
            if let Some(raw) = json::get(&batch.arena[map.range()], &self.path) {
                self.scratch.clear();
                return match json::to_value(raw, &mut self.scratch) {
                    Ok(value) => write(value, &self.scratch, bytes, into),
                    // A number that no float holds is still text.
                    Err(_) => {
                        into.extend_from_slice(raw);
                        true
                    }
                };
            }
        }
        false
    }
}

/// Appends a value whose span lies in `arena`; returns whether it is not null.
fn write(value: Value, arena: &[u8], bytes: BytesAs, into: &mut Vec<u8>) -> bool {
    let content = &arena[value.span().range()];
    match value.kind() {
        Kind::Null => return false,
        Kind::Bool => into.extend_from_slice(if value.as_bool() == Some(true) { b"true" } else { b"false" }),
        Kind::Int => write_int(value.as_int().unwrap_or_default(), into),
        Kind::Timestamp => write_int(value.as_timestamp().unwrap_or_default(), into),
        Kind::Float => write_float(value.as_float().unwrap_or_default(), into),
        Kind::Bytes if bytes == BytesAs::Base64 => json::base64(content, into),
        Kind::Text | Kind::Json | Kind::Bytes => into.extend_from_slice(content),
    }
    true
}
