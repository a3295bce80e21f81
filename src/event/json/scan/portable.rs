//! Eight bytes at once in a general register, for machines without a better way.

use super::{Fault, Prefix, Scanned, Simd, Text, grammar};

/// See the module.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// The high bit of each byte that stops a string; bits above the lowest one set may be wrong. A byte b is below
/// n if b - n borrows, which also sets the bits of bytes above it (Mycroft 1987).
#[inline(always)]
fn special(bytes: u64) -> u64 {
    let quote = bytes ^ (ONES * b'"' as u64);
    let backslash = bytes ^ (ONES * b'\\' as u64);
    let control = bytes.wrapping_sub(ONES * 0x20);
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    (control & !bytes | zero(quote) | zero(backslash)) & HIGH
}

#[inline(always)]
fn first(high_bits: u64) -> usize {
    (high_bits.trailing_zeros() / 8) as usize
}

impl Simd for Portable {
    const WIDTH: usize = 8;

    #[inline(always)]
    unsafe fn stop(at: *const u8) -> usize {
        // SAFETY: the caller gives padded text, of which 8 bytes are readable.
        let bytes = unsafe { u64::from_le_bytes(at.cast::<[u8; 8]>().read()) };
        first(special(bytes) | bytes & HIGH)
    }

    #[inline(always)]
    unsafe fn stop_any(at: *const u8) -> usize {
        // SAFETY: as in `stop`.
        let bytes = unsafe { u64::from_le_bytes(at.cast::<[u8; 8]>().read()) };
        first(special(bytes))
    }

    #[inline(always)]
    unsafe fn digits(at: *const u8) -> u32 {
        // SAFETY: the caller gives padded text, of which 32 bytes are readable.
        let bytes = unsafe { at.cast::<[u8; 32]>().read() };
        bytes.iter().rev().fold(0, |bits, b| bits << 1 | b.is_ascii_digit() as u32)
    }

    #[inline(always)]
    unsafe fn starts_with(at: *const u8, prefix: &Prefix) -> bool {
        // SAFETY: the caller gives padded text, and a prefix is no longer than the padding.
        let text = unsafe { std::slice::from_raw_parts(at, prefix.len) };
        text == &prefix.bytes[..prefix.len]
    }

    unsafe fn string(at: *const u8) -> Result<Text, Fault> {
        // SAFETY: the caller's promise is passed on.
        unsafe { grammar::string::<Portable>(at) }
    }

    unsafe fn container<const LINES: bool>(at: *const u8, depth: usize) -> Scanned {
        // SAFETY: the caller's promise is passed on.
        unsafe { grammar::container::<Portable, LINES>(at, depth) }
    }
}
