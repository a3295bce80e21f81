//! Whether bytes are one JSON value.

use super::scan::{Isa, PAD, Scanned, Simd, blank, per_isa, value};
use std::cell::RefCell;

/// Lists and maps inside one another, the outermost counted: as deep as `serde_json` goes.
pub const MAX_DEPTH: usize = 127;

/// Bytes of scratch space that a thread keeps.
const KEPT: usize = 1 << 20;

/// Where and why bytes are no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonFault {
    /// Bytes before the place.
    pub offset: usize,
    /// What is wrong there.
    pub message: &'static str,
}

/// Checks that `bytes` are exactly one JSON value with white space around it at most: grammar, UTF-8, escapes,
/// surrogate pairs, depth. Numbers may be of any size.
pub fn validate(bytes: &[u8]) -> Result<(), JsonFault> {
    validate_with(Isa::best(), bytes)
}

pub(super) fn validate_with(isa: Isa, bytes: &[u8]) -> Result<(), JsonFault> {
    thread_local! {
        static PADDED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    PADDED.with_borrow_mut(|padded| {
        padded.clear();
        padded.extend_from_slice(bytes);
        padded.resize(bytes.len() + 1 + PAD, 0);
        let start = padded.as_ptr();
        // SAFETY: the text ends in a NUL and PAD bytes, and `isa` is one that this machine has.
        let end = unsafe { only_value_for(isa)(start) };
        let offset = |at: *const u8| at.addr() - start.addr();
        let fault = match end {
            Ok(end) if offset(end) == bytes.len() => None,
            Ok(at) => Some(JsonFault { offset: offset(at), message: "unexpected text behind the value" }),
            Err(fault) => Some(JsonFault { offset: offset(fault.at), message: fault.message }),
        };
        if padded.capacity() > KEPT {
            *padded = Vec::new();
        }
        fault.map_or(Ok(()), Err)
    })
}

per_isa! {
    /// [`only_value`] for an instruction set.
    fn only_value_for() -> unsafe fn(*const u8) -> Scanned {
        only_value(start: *const u8) -> Scanned
    }
}

/// The place behind the first value and the white space around it.
///
/// # Safety
/// `start` is the start of padded text, and the instruction set is there.
#[inline(always)]
unsafe fn only_value<S: Simd>(start: *const u8) -> Scanned {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        let end = value::<S, false>(blank::<false>(start), 0)?;
        Ok(blank::<false>(end))
    }
}
