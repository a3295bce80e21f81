//! Panes as bytes: one entry a key, with all that is kept of it.
//!
//! An entry is written anew when anything of its key has changed. It holds panes as they are, partial combinations
//! included, so that an operator that takes it back goes on bit by bit like the one that wrote it. What can be told from
//! panes (when they are due, which keys are idle) is not in it.

use super::aggregates::{Near, PaneId};
use super::panes::{Pane, Panes, Stage};
use crate::dataflow::{KeyId, Keys, Saving};
use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::time::{Interval, Timestamp};
use std::cell::RefCell;

/// Says which keys changed and are gone.
pub fn save_keys<T: Default>(
    keys: &mut Keys<T>,
    into: &mut Saving<'_>,
    write: &mut dyn FnMut(KeyId, &T, &mut Vec<u8>),
) {
    let into = RefCell::new(into);
    keys.take_changes(
        &mut |gone| into.borrow_mut().remove(gone, b""),
        &mut |key, value| into.borrow_mut().put(key, b"", |bytes| bytes.extend_from_slice(value)),
        &mut |key, entry| into.borrow_mut().put(entry.bytes(), b"", |bytes| write(key, &entry.item, bytes)),
    );
}

/// Adds a key that was saved.
pub fn restore_key<T: Default>(keys: &mut Keys<T>, bytes: &[u8]) -> Result<KeyId, Malformed> {
    match keys.find_bytes(bytes) {
        Some(_) => Err(Malformed("a key that is there twice")),
        None => Ok(keys.restore(bytes)),
    }
}

impl Panes {
    /// Appends a pane and what its aggregates hold.
    pub fn save(&self, pane: PaneId, into: &mut Vec<u8>) {
        let Pane { span, born, stage, .. } = self[pane];
        put_signed(into, span.start.0);
        put_number(into, span.end.0.wrapping_sub(span.start.0) as u64);
        put_number(into, born);
        into.push(match stage {
            Stage::Waiting => 0,
            Stage::Fired => 1,
            Stage::Open => 2,
        });
        self.save_states(pane, Near { time: span.start, order: born }, into);
        self.firings.iter().for_each(|firings| firings.save(pane, into));
    }

    /// Takes back a pane of that key, not linked to anything.
    pub fn load(&mut self, key: KeyId, from: &mut Reader<'_>) -> Result<PaneId, Malformed> {
        let (start, length, born) = (from.signed()?, from.number()?, from.number()?);
        let end = start.checked_add_unsigned(length).ok_or(Malformed("a window beyond the end of time"))?;
        let stage = match from.byte()? {
            0 => Stage::Waiting,
            1 => Stage::Fired,
            2 => Stage::Open,
            _ => return Err(Malformed("a window of no stage that is known")),
        };
        let span = Interval { start: Timestamp(start), end: Timestamp(end) };
        let pane = self.open(Pane { stage, ..Pane::new(span, born, key) });
        self.load_states(pane, Near { time: span.start, order: born }, from)?;
        self.firings.iter_mut().try_for_each(|firings| firings.load(pane, from))?;
        Ok(pane)
    }
}
