//! x86_64: 16 bytes at once everywhere, 32 where AVX2 was found at run time.

use super::{Fault, Prefix, Scanned, Simd, Text, grammar};
use std::arch::x86_64::*;

/// Whether this machine has what [`Avx2`] is compiled for.
pub(crate) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
}

/// The baseline.
#[derive(Clone, Copy)]
pub(crate) struct Sse2;

/// AVX2, BMI1, BMI2.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// A bit for each byte of a prefix, so that bytes behind it can be masked out of a comparison.
#[inline(always)]
fn bits(prefix: &Prefix) -> u64 {
    u64::MAX >> (Prefix::MAX - prefix.len)
}

/// A bit for each of 16 bytes that equals the prefix's there.
#[inline(always)]
unsafe fn equal16(at: *const u8, prefix: &Prefix, from: usize) -> u32 {
    // SAFETY: the caller gives padded text, and `from` is at most 48 into the prefix's 64 bytes.
    unsafe {
        let text = _mm_loadu_si128(at.add(from).cast());
        let expected = _mm_loadu_si128(prefix.bytes.as_ptr().add(from).cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(text, expected)) as u32
    }
}

/// A bit for each of 16 bytes that is a digit: moved so that the digits are the ten lowest signed bytes.
#[inline(always)]
unsafe fn digits16(at: *const u8) -> u32 {
    // SAFETY: the caller gives padded text; SSE2 is always there.
    unsafe {
        let bytes = _mm_loadu_si128(at.cast());
        let moved = _mm_add_epi8(bytes, _mm_set1_epi8((128 - b'0') as i8));
        _mm_movemask_epi8(_mm_cmplt_epi8(moved, _mm_set1_epi8(-128 + 10))) as u32
    }
}

impl Simd for Sse2 {
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn stop(at: *const u8) -> usize {
        // SAFETY: the caller gives padded text; SSE2 is always there.
        unsafe {
            let bytes = _mm_loadu_si128(at.cast());
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            // As signed bytes, what is not ASCII is below the control characters.
            let other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
            let stops = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), other)) as u32;
            (stops | 1 << 16).trailing_zeros() as usize
        }
    }

    #[inline(always)]
    unsafe fn stop_any(at: *const u8) -> usize {
        // SAFETY: the caller gives padded text; SSE2 is always there.
        unsafe {
            let bytes = _mm_loadu_si128(at.cast());
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
            let stops = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control)) as u32;
            (stops | 1 << 16).trailing_zeros() as usize
        }
    }

    #[inline(always)]
    unsafe fn digits(at: *const u8) -> u32 {
        // SAFETY: the caller gives padded text, of which 32 bytes are readable.
        unsafe { digits16(at) | digits16(at.add(16)) << 16 }
    }

    #[inline(always)]
    unsafe fn starts_with(at: *const u8, prefix: &Prefix) -> bool {
        // SAFETY: the caller gives padded text.
        unsafe {
            let mut equal = equal16(at, prefix, 0) as u64;
            if prefix.len > 16 {
                equal |= (equal16(at, prefix, 16) as u64) << 16;
            }
            if prefix.len > 32 {
                equal |= (equal16(at, prefix, 32) as u64) << 32 | (equal16(at, prefix, 48) as u64) << 48;
            }
            bits(prefix) & !equal == 0
        }
    }

    unsafe fn string(at: *const u8) -> Result<Text, Fault> {
        // SAFETY: the caller's promise is passed on.
        unsafe { grammar::string::<Sse2>(at) }
    }

    unsafe fn container<const LINES: bool>(at: *const u8, depth: usize) -> Scanned {
        // SAFETY: the caller's promise is passed on.
        unsafe { grammar::container::<Sse2, LINES>(at, depth) }
    }
}

impl Simd for Avx2 {
    const WIDTH: usize = 32;

    #[inline(always)]
    unsafe fn stop(at: *const u8) -> usize {
        // SAFETY: the caller gives padded text and has seen that AVX2 is there.
        unsafe {
            let bytes = _mm256_loadu_si256(at.cast());
            let quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
            let backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
            // As signed bytes, what is not ASCII is below the control characters.
            let other = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), bytes);
            let stops = _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, backslash), other));
            (stops as u32).trailing_zeros() as usize
        }
    }

    #[inline(always)]
    unsafe fn stop_any(at: *const u8) -> usize {
        // SAFETY: as in `stop`.
        unsafe {
            let bytes = _mm256_loadu_si256(at.cast());
            let quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
            let backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
            let control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
            let stops = _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, backslash), control));
            (stops as u32).trailing_zeros() as usize
        }
    }

    #[inline(always)]
    unsafe fn digits(at: *const u8) -> u32 {
        // SAFETY: as in `stop`.
        unsafe {
            let moved = _mm256_add_epi8(_mm256_loadu_si256(at.cast()), _mm256_set1_epi8((128 - b'0') as i8));
            _mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_set1_epi8(-128 + 10), moved)) as u32
        }
    }

    #[inline(always)]
    unsafe fn starts_with(at: *const u8, prefix: &Prefix) -> bool {
        // SAFETY: the caller gives padded text and has seen that AVX2 is there; the prefix has 64 bytes.
        unsafe {
            let equal32 = |from: usize| {
                let text = _mm256_loadu_si256(at.add(from).cast());
                let expected = _mm256_loadu_si256(prefix.bytes.as_ptr().add(from).cast());
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(text, expected)) as u32
            };
            let bits = bits(prefix);
            let start = bits as u32 & !equal32(0);
            start == 0 && (prefix.len <= 32 || (bits >> 32) as u32 & !equal32(32) == 0)
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2")]
    unsafe fn string(at: *const u8) -> Result<Text, Fault> {
        // SAFETY: the caller's promise is passed on.
        unsafe { grammar::string::<Avx2>(at) }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2")]
    unsafe fn container<const LINES: bool>(at: *const u8, depth: usize) -> Scanned {
        // SAFETY: the caller's promise is passed on.
        unsafe { grammar::container::<Avx2, LINES>(at, depth) }
    }
}
