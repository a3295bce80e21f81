//! aarch64: 16 bytes at once.

use super::{Fault, Prefix, Scanned, Simd, Text, grammar};
use std::arch::aarch64::*;

/// The baseline.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

/// Four bits for each of 16 bytes that are all ones or all zeros.
#[inline(always)]
unsafe fn nibbles(bytes: uint8x16_t) -> u64 {
    // SAFETY: Neon is always there.
    unsafe { vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(bytes), 4)), 0) }
}

/// The number of leading bytes whose nibble is zero.
#[inline(always)]
fn first(nibbles: u64) -> usize {
    (nibbles.trailing_zeros() / 4) as usize
}

impl Simd for Neon {
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn stop(at: *const u8) -> usize {
        // SAFETY: the caller gives padded text; Neon is always there.
        unsafe {
            let bytes = vld1q_u8(at);
            let quote = vceqq_u8(bytes, vdupq_n_u8(b'"'));
            let backslash = vceqq_u8(bytes, vdupq_n_u8(b'\\'));
            // As signed bytes, what is not ASCII is below the control characters.
            let other = vcltq_s8(vreinterpretq_s8_u8(bytes), vdupq_n_s8(0x20));
            first(nibbles(vorrq_u8(vorrq_u8(quote, backslash), other)))
        }
    }

    #[inline(always)]
    unsafe fn stop_any(at: *const u8) -> usize {
        // SAFETY: as in `stop`.
        unsafe {
            let bytes = vld1q_u8(at);
            let quote = vceqq_u8(bytes, vdupq_n_u8(b'"'));
            let backslash = vceqq_u8(bytes, vdupq_n_u8(b'\\'));
            let control = vcltq_u8(bytes, vdupq_n_u8(0x20));
            first(nibbles(vorrq_u8(vorrq_u8(quote, backslash), control)))
        }
    }

    #[inline(always)]
    unsafe fn digits(at: *const u8) -> u32 {
        const WEIGHTS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
        // SAFETY: the caller gives padded text, of which 32 bytes are readable; Neon is always there.
        unsafe {
            let weights = vld1q_u8(WEIGHTS.as_ptr());
            let digits16 = |from: usize| {
                let digit = vcltq_u8(vsubq_u8(vld1q_u8(at.add(from)), vdupq_n_u8(b'0')), vdupq_n_u8(10));
                let bits = vandq_u8(digit, weights);
                vaddv_u8(vget_low_u8(bits)) as u32 | (vaddv_u8(vget_high_u8(bits)) as u32) << 8
            };
            digits16(0) | digits16(16) << 16
        }
    }

    #[inline(always)]
    unsafe fn starts_with(at: *const u8, prefix: &Prefix) -> bool {
        let mut from = 0;
        loop {
            // SAFETY: the caller gives padded text, and the prefix's 64 bytes are whole steps of 16.
            let differ = unsafe {
                let expected = vld1q_u8(prefix.bytes.as_ptr().add(from));
                nibbles(vmvnq_u8(vceqq_u8(vld1q_u8(at.add(from)), expected)))
            };
            let matched = first(differ);
            if prefix.len - from <= 16 {
                return matched >= prefix.len - from;
            }
            if matched < 16 {
                return false;
            }
            from += 16;
        }
    }

    unsafe fn string(at: *const u8) -> Result<Text, Fault> {
        // SAFETY: the caller's promise is passed on.
        unsafe { grammar::string::<Neon>(at) }
    }

    unsafe fn container<const LINES: bool>(at: *const u8, depth: usize) -> Scanned {
        // SAFETY: the caller's promise is passed on.
        unsafe { grammar::container::<Neon, LINES>(at, depth) }
    }
}
