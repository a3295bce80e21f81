//! A raw event with some of its fields changed: what was not touched is copied as it stands.

use super::encode::name_piece;
use super::fields::Fields;
use super::walk::{Place, Walk, walk_event};
use crate::event::json::scan::{Isa, PAD};
use crate::event::json::{Timestamps, write_value_as};
use crate::event::{Batch, Layer, Path, Row, Slot};

/// What happens to the field of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// It is overwritten where it stands, or appended.
    Set(Slot),
    /// It is not there.
    Drop,
    /// It was dropped and set later: it is appended.
    Append(Slot),
}

/// The changes to a raw event.
pub(super) struct Splice {
    /// By name, in the order in which those that are appended come.
    changes: Vec<(String, Change)>,
    /// `"name":` for each.
    pieces: Vec<Vec<u8>>,
    /// The changed names as a tree, each with its number for a slot.
    fields: Fields,
    walk: Walk,
    /// The raw event at hand as padded text.
    text: Vec<u8>,
    /// Where the changed fields stand in it.
    places: Vec<Place>,
    /// Whether each change was made in its place.
    made: Vec<bool>,
}

impl Splice {
    /// The changes that these layers make to the raw event below them.
    pub fn new(layers: &[Layer]) -> Splice {
        let mut changes: Vec<(String, Change)> = Vec::new();
        for layer in layers {
            let (name, slot) = match layer {
                Layer::Field(name, slot) => (name, Some(*slot)),
                Layer::Without(name) => (name, None),
                Layer::Raw | Layer::Merge(_) => continue,
            };
            let before = changes.iter().position(|(n, _)| n == name);
            let change = match (before.map(|i| changes[i].1), slot) {
                (_, None) => Change::Drop,
                (None | Some(Change::Set(_)), Some(slot)) => Change::Set(slot),
                (Some(_), Some(slot)) => Change::Append(slot),
            };
            match before {
                Some(i) if changes[i].1 == Change::Drop => {
                    changes.remove(i);
                    changes.push((name.clone(), change));
                }
                Some(i) => changes[i].1 = change,
                None => changes.push((name.clone(), change)),
            }
        }
        let pieces = changes.iter().map(|(name, _)| name_piece(name)).collect();
        let numbered = changes.iter().enumerate();
        let paths = numbered.map(|(i, (name, _))| (Path::field(name), Slot(i as u16))).collect::<Vec<_>>();
        Splice {
            made: vec![false; changes.len()],
            changes,
            pieces,
            fields: Fields::new(&paths),
            walk: walk_event(Isa::best()),
            text: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Appends the row's event and a newline. An error, for a raw event that was never checked, says what is wrong
    /// with it, and appends nothing.
    pub fn write(
        &mut self,
        batch: &Batch,
        row: Row,
        timestamps: Timestamps,
        into: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let raw = &batch.arena[batch.raw[row.index()].range()];
        let raw = if raw.is_empty() { b"{}" } else { raw };
        if self.changes.is_empty() {
            into.extend_from_slice(raw);
            into.push(b'\n');
            return Ok(());
        }
        let end = self.find(raw)?;
        self.made.fill(false);
        let mut map = MapWriter::open(into);
        let mut kept = 0;
        for place in &self.places {
            let number = place.number as usize;
            if let (Change::Set(slot), false) = (self.changes[number].1, self.made[number]) {
                self.made[number] = true;
                map.entry(without_separator(&raw[kept..place.value]));
                write_value_as(batch, batch.get(row, slot), timestamps, map.into);
            } else {
                map.entry(without_separator(&raw[kept..place.before]));
            }
            kept = place.end;
        }
        map.entry(without_separator(&raw[kept..end]));
        for (i, (_, change)) in self.changes.iter().enumerate() {
            if let (Change::Set(slot), false) | (Change::Append(slot), _) = (change, self.made[i]) {
                map.entry(&self.pieces[i]);
                write_value_as(batch, batch.get(row, *slot), timestamps, map.into);
            }
        }
        map.close();
        Ok(())
    }

    /// Finds the places of the changed fields in a raw event; returns the end of its last value.
    fn find(&mut self, raw: &[u8]) -> Result<usize, &'static str> {
        self.text.clear();
        self.text.extend_from_slice(raw);
        self.text.extend_from_slice(&[b'\n'; 1 + PAD]);
        self.places.clear();
        // SAFETY: the text ends in a newline with PAD bytes behind it.
        unsafe { (self.walk)(&mut self.fields, self.text.as_ptr(), &mut self.places) }.map_err(|f| f.message)
    }
}

/// Entries of a map without the bracket or comma before the first key.
fn without_separator(entries: &[u8]) -> &[u8] {
    let separator = entries.iter().take_while(|b| matches!(b, b'{' | b',' | b' ' | b'\t' | b'\r'));
    &entries[separator.count()..]
}

/// Writes a map entry by entry.
pub(super) struct MapWriter<'a> {
    pub into: &'a mut Vec<u8>,
    empty: bool,
}

impl MapWriter<'_> {
    /// Opens the map.
    pub fn open(into: &mut Vec<u8>) -> MapWriter<'_> {
        into.push(b'{');
        MapWriter { into, empty: true }
    }

    /// Starts an entry, or several at once, by their text so far; nothing if there is none.
    pub fn entry(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        if !self.empty {
            self.into.push(b',');
        }
        self.empty = false;
        self.into.extend_from_slice(text);
    }

    /// Closes the map and the line.
    pub fn close(self) {
        self.into.extend_from_slice(b"}\n");
    }
}
