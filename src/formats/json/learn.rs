//! The next field of a map: as it was written in the events before, or read by the grammar and remembered.

use super::fields::{Fields, NodeId, Target};
use crate::event::json::scan::{Fault, Portable, Simd, blank};
use crate::event::json::unescape;

/// Expected fields that may be missing in a row before the order counts as changed.
const LOOK_AHEAD: usize = 8;

/// What comes next.
pub(super) enum Found {
    /// A field: its value's place, what to do with it, the place of the next in the shape.
    Field(*const u8, Target, usize),
    /// The map's end: the place behind it.
    End(*const u8),
}

/// Goes on to the next value of a map, or its end.
///
/// # Safety
/// `at` is in padded text, at the opening bracket of a map (`place` 0) or behind a value in it, and the
/// instruction set is there.
#[inline(always)]
pub(super) unsafe fn next_field<S: Simd>(
    fields: &mut Fields,
    node: NodeId,
    place: usize,
    at: *const u8,
) -> Result<Found, Fault> {
    // SAFETY: what compared equal is text, so the place behind it is in it too.
    unsafe {
        match fields.node(node).shape.get(place) {
            Some(expected) if S::starts_with(at, &expected.prefix) => {
                let mut value = at.add(expected.prefix.len());
                // The same bytes as expected, but then white space that was not there before.
                if *value <= b' ' {
                    value = blank::<true>(value);
                }
                Ok(Found::Field(value, expected.target, place + 1))
            }
            _ if *at == b'}' && place > 0 => Ok(Found::End(at.add(1))),
            _ => unexpected::<S>(fields, node, place, at),
        }
    }
}

/// Reads up to the next value or the end of a map by the grammar alone, and remembers how it was written.
///
/// # Safety
/// As for [`next_field`].
#[cold]
unsafe fn unexpected<S: Simd>(
    fields: &mut Fields,
    node: NodeId,
    place: usize,
    start: *const u8,
) -> Result<Found, Fault> {
    // SAFETY: every byte stepped over was seen to be a bracket, comma, colon or quote.
    unsafe {
        if place > 0
            && let Some(found) = missing(fields, node, place, start)
        {
            return Ok(found);
        }
        let mut at = blank::<true>(start);
        match *at {
            b'{' if place == 0 => {}
            b',' if place > 0 => {}
            b'}' if place > 0 => return Ok(Found::End(at.add(1))),
            _ => return Err(Fault { at, message: "expected `,` or `}`" }),
        }
        at = blank::<true>(at.add(1));
        match *at {
            b'"' => {}
            b'}' if place == 0 => return Ok(Found::End(at.add(1))),
            _ => return Err(Fault { at, message: "expected a key" }),
        }
        let name = at.add(1);
        let text = S::string(name)?;
        at = blank::<true>(text.end);
        if *at != b':' {
            return Err(Fault { at, message: "expected `:`" });
        }
        at = blank::<true>(at.add(1));
        let name = std::slice::from_raw_parts(name, text.end.offset_from_unsigned(name) - 1);
        let target = if text.plain { fields.find(node, name) } else { find_escaped(fields, node, name) };
        let written = std::slice::from_raw_parts(start, at.offset_from_unsigned(start));
        Ok(Found::Field(at, target, fields.learn(node, place, written, target)))
    }
}

/// The field at `start` if it is expected a little later.
///
/// # Safety
/// `start` is in padded text.
unsafe fn missing(fields: &Fields, node: NodeId, place: usize, start: *const u8) -> Option<Found> {
    let later = fields.node(node).shape.iter().enumerate().skip(place + 1).take(LOOK_AHEAD);
    for (i, expected) in later {
        // SAFETY: the caller's promise is passed on; what matched is in the text.
        unsafe {
            if Portable::starts_with(start, &expected.prefix) {
                let value = blank::<true>(start.add(expected.prefix.len()));
                return Some(Found::Field(value, expected.target, i + 1));
            }
        }
    }
    None
}

fn find_escaped(fields: &Fields, node: NodeId, name: &[u8]) -> Target {
    let mut unescaped = Vec::with_capacity(name.len());
    unescape(name, &mut unescaped);
    fields.find(node, &unescaped)
}
