//! Where the fields to be changed stand in the text of an event.

use super::fields::{Action, Fields, ROOT};
use super::learn::{Found, next_field};
use crate::event::json::scan::{Fault, Simd, per_isa, value};

/// A field in the text, by offsets from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The slot that stands for the field in the tree.
    pub number: u16,
    /// The end of the value before it, or the map's opening bracket.
    pub before: usize,
    /// Its value.
    pub value: usize,
    /// The end of its value.
    pub end: usize,
}

/// Walks over the map that starts at the given place and appends the places of all fields that have a slot, in
/// order. Returns the end of the last value (0 in an empty map).
///
/// # Safety
/// The place is in padded text, and the instruction set is there.
pub(super) type Walk = unsafe fn(&mut Fields, *const u8, &mut Vec<Place>) -> Result<usize, Fault>;

per_isa! {
    /// Walking over events.
    pub(super) fn walk_event() -> Walk {
        walk(fields: &mut Fields, start: *const u8, places: &mut Vec<Place>) -> Result<usize, Fault>
    }
}

/// See [`Walk`].
#[inline(always)]
unsafe fn walk<S: Simd>(
    fields: &mut Fields,
    start: *const u8,
    places: &mut Vec<Place>,
) -> Result<usize, Fault> {
    let (mut at, mut place) = (start, 0);
    let offset = |at: *const u8| at.addr() - start.addr();
    loop {
        let before = at;
        // SAFETY: what was scanned without a fault is text, so the place behind it is in it too.
        unsafe {
            let Found::Field(start, target, next) = next_field::<S>(fields, ROOT, place, at)? else {
                return Ok(offset(before));
            };
            (at, place) = (value::<S, true>(start, 1)?, next);
            if let Action::Store(slot) = target.action {
                let (before, value, end) = (offset(before), offset(start), offset(at));
                places.push(Place { number: slot.0, before, value, end });
            }
        }
    }
}
