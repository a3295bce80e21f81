//! The entries of a map that is being written: in order, of equal keys the last value in the place of the first.

use super::context::{Failure, check_length};
use crate::event::json;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Keys with values that are still to be written.
pub(super) struct Entries<'a, V> {
    entries: Vec<(Cow<'a, str>, V)>,
    places: BTreeMap<Cow<'a, str>, usize>,
}

impl<V> Default for Entries<'_, V> {
    fn default() -> Self {
        Entries { entries: Vec::new(), places: BTreeMap::new() }
    }
}

impl<'a, V> Entries<'a, V> {
    /// Adds an entry, or changes the value of the one with this key.
    pub(super) fn set(&mut self, key: Cow<'a, str>, value: V) {
        match self.places.get(&key) {
            Some(place) => self.entries[*place].1 = value,
            None => {
                self.places.insert(key.clone(), self.entries.len());
                self.entries.push((key, value));
            }
        }
    }

    /// The entries in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Cow<'a, str>, V)> {
        self.entries.iter()
    }

    /// The entries in order, to keep.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (Cow<'a, str>, V)> {
        self.entries.into_iter()
    }

    /// Appends the map as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>, value: impl Fn(&V, &mut Vec<u8>)) -> Result<(), Failure> {
        out.push(b'{');
        for (i, (key, of)) in self.entries.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            json::write_string(key.as_bytes(), out);
            out.push(b':');
            value(of, out);
            check_length(out.len())?;
        }
        out.push(b'}');
        Ok(())
    }
}
