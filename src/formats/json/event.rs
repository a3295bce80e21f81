//! One event: the inner loop of the decoder.
//!
//! A field whose key and surroundings are written as in the event before is recognised by comparing bytes,
//! which also says that the grammar holds there, because the same bytes were judged before. What remains are the
//! values. Only a field that is written differently is read token by token ([`super::learn`]).

use super::fields::{Action, Fields, NodeId, ROOT};
use super::learn::{Found, next_field};
use crate::event::json::scan::{Fault, Scanned, Simd, literal, number, per_isa, skip_number};
use crate::event::json::{get, is_plain, number as number_of, unescape};
use crate::event::{Slot, Span, Value};

/// What scanning the events of a block needs and fills.
pub(super) struct Scan<'a> {
    pub fields: &'a mut Fields,
    /// Maps that are open around the one being read: each with the place in its shape to go on at.
    pub open: &'a mut Vec<(NodeId, usize)>,
    /// Text whose escapes were resolved, which will stand in the arena from `unescaped_at` on.
    pub unescaped: &'a mut Vec<u8>,
    pub unescaped_at: usize,
    /// Where the arena starts.
    pub base: *const u8,
}

/// Scans the event whose opening bracket is at the given place into the cells of its row, and returns the place
/// behind it, or behind the last wanted field if no more is to be checked.
///
/// # Safety
/// The place is in padded text inside the arena, and the instruction set is there.
pub(super) type ScanEvent = unsafe fn(&mut Scan<'_>, *const u8, &mut [Value]) -> Scanned;

per_isa! {
    /// Scanning whole events.
    pub(super) fn whole_event() -> ScanEvent {
        whole(scan: &mut Scan<'_>, at: *const u8, cells: &mut [Value]) -> Scanned
    }
}

per_isa! {
    /// Scanning events up to the last wanted field.
    pub(super) fn touched_event() -> ScanEvent {
        touched(scan: &mut Scan<'_>, at: *const u8, cells: &mut [Value]) -> Scanned
    }
}

#[inline(always)]
unsafe fn whole<S: Simd>(scan: &mut Scan<'_>, at: *const u8, cells: &mut [Value]) -> Scanned {
    // SAFETY: the caller's promise is passed on.
    unsafe { event::<S, true>(scan, at, cells) }
}

#[inline(always)]
unsafe fn touched<S: Simd>(scan: &mut Scan<'_>, at: *const u8, cells: &mut [Value]) -> Scanned {
    // SAFETY: the caller's promise is passed on.
    unsafe { event::<S, false>(scan, at, cells) }
}

/// See [`ScanEvent`].
#[inline(always)]
unsafe fn event<S: Simd, const STRICT: bool>(
    scan: &mut Scan<'_>,
    mut at: *const u8,
    cells: &mut [Value],
) -> Scanned {
    let (mut node, mut place) = (ROOT, 0);
    let mut missing = scan.fields.wanted;
    scan.open.clear();
    // SAFETY: what compared equal or was scanned without a fault is text, so the place behind it is in it too.
    unsafe {
        while STRICT || missing != 0 {
            let target = match next_field::<S>(scan.fields, node, place, at)? {
                Found::Field(value, target, next) => {
                    (at, place) = (value, next);
                    target
                }
                Found::End(end) => {
                    at = end;
                    let Some(outer) = scan.open.pop() else { break };
                    (node, place) = outer;
                    continue;
                }
            };
            let slot = match target.action {
                Action::Skip | Action::Pick(_) => None,
                Action::Store(slot) => Some(slot),
                Action::Enter(inner) => {
                    // Of duplicate keys the last wins: what an earlier map of this name left is forgotten.
                    scan.fields
                        .node(inner)
                        .slots
                        .iter()
                        .for_each(|slot| cells[slot.0 as usize] = Value::NULL);
                    if *at == b'{' {
                        scan.open.push((node, place));
                        (node, place) = (inner, 0);
                        continue;
                    }
                    None
                }
            };
            let start = at;
            at = value::<S>(scan, at, slot, cells)?;
            if let Action::Pick(picks) = target.action {
                scan.pick(picks, start, at, cells)?;
            }
            missing &= !target.bit;
        }
    }
    Ok(at)
}

/// Scans one value, into the slot if there is one.
#[inline(always)]
unsafe fn value<S: Simd>(
    scan: &mut Scan<'_>,
    at: *const u8,
    slot: Option<Slot>,
    cells: &mut [Value],
) -> Scanned {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        let cell = slot.map(|slot| &mut cells[slot.0 as usize]);
        match *at {
            b'"' => {
                let content = at.add(1);
                let clear = S::stop(content);
                let (end, plain) = if clear < S::WIDTH && *content.add(clear) == b'"' {
                    (content.add(clear + 1), true)
                } else {
                    let text = S::string(content)?;
                    (text.end, text.plain)
                };
                if let Some(cell) = cell {
                    let span = scan.span(content, end.sub(1));
                    *cell = if plain { Value::plain_text(span) } else { scan.unescape(span) };
                }
                Ok(end)
            }
            b'-' | b'0'..=b'9' => match cell {
                Some(cell) => number::<S>(at, cell),
                None => skip_number::<S>(at),
            },
            b'{' | b'[' => {
                let end = S::container::<true>(at, scan.open.len() + 1)?;
                if let Some(cell) = cell {
                    *cell = Value::json(scan.span(at, end));
                }
                Ok(end)
            }
            first => {
                let end = literal(at)?;
                if let Some(cell) = cell {
                    *cell = if first == b'n' { Value::NULL } else { Value::bool(first == b't') };
                }
                Ok(end)
            }
        }
    }
}

impl Scan<'_> {
    /// The bytes between two places as a stretch of the arena.
    #[inline(always)]
    fn span(&self, start: *const u8, end: *const u8) -> Span {
        Span::new(start.addr() - self.base.addr(), end.addr() - start.addr())
    }

    /// Text that is written with escapes.
    ///
    /// # Safety
    /// The span lies in the arena.
    #[cold]
    unsafe fn unescape(&mut self, written: Span) -> Value {
        let start = self.unescaped.len();
        // SAFETY: the caller's promise; nothing writes to the arena while it is scanned.
        let content = unsafe {
            std::slice::from_raw_parts(self.base.add(written.start as usize), written.len as usize)
        };
        unescape(content, self.unescaped);
        let text = &self.unescaped[start..];
        let span = Span::new(self.unescaped_at + start, text.len());
        if is_plain(text) { Value::plain_text(span) } else { Value::text(span) }
    }

    /// Takes what is wanted out of a value that was scanned from `start` to `end`.
    ///
    /// # Safety
    /// Both are in the arena.
    #[cold]
    pub(super) unsafe fn pick(
        &mut self,
        picks: u16,
        start: *const u8,
        end: *const u8,
        cells: &mut [Value],
    ) -> Result<(), Fault> {
        // SAFETY: the caller's promise; nothing writes to the arena while it is scanned.
        let text = unsafe { std::slice::from_raw_parts(start, end.offset_from_unsigned(start)) };
        for i in 0..self.fields.picks[picks as usize].len() {
            let (steps, slot) = &self.fields.picks[picks as usize][i];
            let (found, slot) = (get(text, steps), *slot);
            // SAFETY: what was found is part of the text.
            cells[slot.0 as usize] = match found {
                Some(raw) => unsafe { self.cell(raw)? },
                None => Value::NULL,
            };
        }
        Ok(())
    }

    /// The cell for a raw value that was scanned.
    ///
    /// # Safety
    /// It lies in the arena.
    unsafe fn cell(&mut self, raw: &[u8]) -> Result<Value, Fault> {
        let span = self.span(raw.as_ptr(), raw.as_ptr_range().end);
        Ok(match raw.first() {
            Some(b'"') => {
                let content = Span::new(span.start as usize + 1, raw.len() - 2);
                if memchr::memchr(b'\\', raw).is_none() {
                    return Ok(Value::plain_text(content));
                }
                // SAFETY: the caller's promise is passed on.
                unsafe { self.unescape(content) }
            }
            Some(b'[' | b'{') => Value::json(span),
            Some(b't') => Value::bool(true),
            Some(b'f') => Value::bool(false),
            Some(b'n') | None => Value::NULL,
            _ => number_of(raw).map_err(|_| Fault { at: raw.as_ptr(), message: "number out of range" })?,
        })
    }
}
