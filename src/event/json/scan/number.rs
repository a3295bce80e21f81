//! Numbers over padded text: their end, and what they mean.

use super::super::number::{decimal, slow, whole_number};
use super::{Fault, Scanned, Simd};
use crate::event::Value;

/// The digits of a number without exponent that [`Simd::digits`] shows whole.
struct Short {
    /// Before the point, at least one, at most 19.
    whole: usize,
    /// Behind the point, at least one if there is a point.
    decimals: Option<usize>,
}

impl Short {
    /// The digits from `at` on, if they are a number of this kind.
    #[inline(always)]
    unsafe fn at<S: Simd>(at: *const u8) -> Option<Short> {
        // SAFETY: the window is no wider than the padding, and the byte behind a run of digits is still in it.
        unsafe {
            let digits = S::digits(at);
            let whole = digits.trailing_ones() as usize;
            if whole == 0 || whole > 19 || (whole > 1 && *at == b'0') {
                return None;
            }
            let mut end = whole;
            let mut decimals = None;
            if *at.add(whole) == b'.' {
                let run = (digits >> (whole + 1)).trailing_ones() as usize;
                end += 1 + run;
                decimals = Some(run);
            }
            let exponent = *at.add(end) | 0x20 == b'e';
            (decimals != Some(0) && end < 32 && !exponent).then_some(Short { whole, decimals })
        }
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.whole + self.decimals.map_or(0, |d| d + 1)
    }
}

/// Scans a number without judging its size.
///
/// # Safety
/// `at` is at a minus or digit in padded text, and the instruction set is there.
#[inline(always)]
pub(crate) unsafe fn skip_number<S: Simd>(at: *const u8) -> Scanned {
    // SAFETY: the byte behind a minus is still in the text, as are all that `Short` counts.
    unsafe {
        let digits = at.add((*at == b'-') as usize);
        match Short::at::<S>(digits) {
            Some(short) => Ok(digits.add(short.len())),
            None => number_end(at),
        }
    }
}

/// Scans a number into a cell. (Into it, not returned: a cell that is put together on the stack and copied from
/// there stalls the processor.)
///
/// # Safety
/// `at` is at a minus or digit in padded text, and the instruction set is there.
#[inline(always)]
pub(crate) unsafe fn number<S: Simd>(at: *const u8, cell: &mut Value) -> Scanned {
    // SAFETY: as in `skip_number`; `whole` is between 1 and 19, `decimals` too where it is used.
    unsafe {
        let negative = *at == b'-';
        let digits = at.add(negative as usize);
        let Some(short) = Short::at::<S>(digits) else { return long_number(at, cell) };
        let whole = integer(digits, short.whole);
        let Some(decimals) = short.decimals else {
            let Some(int) = whole_number(negative, whole) else { return long_number(at, cell) };
            *cell = int;
            return Ok(digits.add(short.whole));
        };
        if short.whole + decimals > 19 {
            return long_number(at, cell);
        }
        let mantissa = whole * TENS[decimals] + integer(digits.add(short.whole + 1), decimals);
        let Some(float) = decimal(negative, mantissa, decimals) else { return long_number(at, cell) };
        *cell = float;
        Ok(digits.add(short.len()))
    }
}

const TENS: [u64; 20] = {
    let mut tens = [1; 20];
    let mut i = 1;
    while i < 20 {
        tens[i] = tens[i - 1] * 10;
        i += 1;
    }
    tens
};

/// The number that 1 to 19 digits write.
#[inline(always)]
unsafe fn integer(at: *const u8, digits: usize) -> u64 {
    // SAFETY: the caller has seen that many digits, which are followed by the padding.
    unsafe {
        if digits <= 8 {
            return up_to_eight(at, digits);
        }
        let low = up_to_eight(at.add(digits - 8), 8);
        if digits <= 16 {
            return up_to_eight(at, digits - 8) * TENS[8] + low;
        }
        let middle = up_to_eight(at.add(digits - 16), 8);
        up_to_eight(at, digits - 16) * TENS[16] + middle * TENS[8] + low
    }
}

/// The number that 1 to 8 digits write: all are moved to the high end of a register, then neighbours are joined
/// three times (the SWAR method of Lee and Lemire).
#[inline(always)]
unsafe fn up_to_eight(at: *const u8, digits: usize) -> u64 {
    // SAFETY: 8 bytes from any place in padded text are readable.
    let bytes = unsafe { u64::from_le_bytes(at.cast::<[u8; 8]>().read()) };
    let values = bytes.wrapping_sub(0x3030_3030_3030_3030) << (64 - 8 * digits as u32);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let high = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let low = (pairs >> 16 & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    high.wrapping_add(low) >> 32
}

/// Any number, digit by digit and then by the standard library.
#[cold]
unsafe fn long_number(at: *const u8, cell: &mut Value) -> Scanned {
    // SAFETY: the caller's promise is passed on; all bytes up to the number's end are readable.
    unsafe {
        let end = number_end(at)?;
        let text = std::slice::from_raw_parts(at, end.offset_from_unsigned(at));
        *cell = slow(text).map_err(|_| Fault { at, message: "number out of range" })?;
        Ok(end)
    }
}

/// Any number's end, digit by digit.
#[cold]
unsafe fn number_end(mut at: *const u8) -> Scanned {
    // SAFETY: digits, signs and points are not the terminator, so the byte behind each is in the text.
    unsafe {
        at = at.add((*at == b'-') as usize);
        let zero = *at == b'0';
        let whole = at;
        at = digits(at)?;
        if zero && at.offset_from(whole) > 1 {
            return Err(Fault { at: whole, message: "number with a leading zero" });
        }
        if *at == b'.' {
            at = digits(at.add(1))?;
        }
        if *at | 0x20 == b'e' {
            at = at.add(1);
            at = digits(at.add(matches!(*at, b'+' | b'-') as usize))?;
        }
        Ok(at)
    }
}

/// The place behind at least one digit.
unsafe fn digits(start: *const u8) -> Scanned {
    let mut at = start;
    // SAFETY: as in `number_end`.
    unsafe {
        while (*at).is_ascii_digit() {
            at = at.add(1);
        }
    }
    if at == start { Err(Fault { at, message: "expected a digit" }) } else { Ok(at) }
}
