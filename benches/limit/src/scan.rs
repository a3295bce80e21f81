//! A flat JSON object, walked field by field. Nothing is validated: this is the speed floor, not a parser.

/// Hands each key with its raw value to `visit` until that says stop. The order of fields and white space do not
/// matter; nested values are passed over as raw text. `line` must come from `each_line`: bytes behind its end are
/// read.
#[inline(always)]
pub fn fields<'a>(line: &'a [u8], mut visit: impl FnMut(&'a [u8], &'a [u8]) -> bool) {
    let length = line.len();
    let mut at = 0;
    loop {
        while at < length && line[at] != b'"' {
            at += 1;
        }
        if at >= length {
            return;
        }
        let key = at + 1;
        let key_end = string_end(line, key);
        at = key_end + 1;
        while at < length && matches!(line[at], b' ' | b':' | b'\t') {
            at += 1;
        }
        if at >= length {
            return;
        }
        let value = at;
        at = match line[at] {
            b'"' => string_end(line, at + 1) + 1,
            b'{' | b'[' => nested_end(line, at),
            _ => scalar_end(line, at),
        };
        if !visit(&line[key..key_end], &line[value..at.min(length)]) {
            return;
        }
    }
}

/// Index behind the list or map that starts at `at`.
#[inline(always)]
fn nested_end(line: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < line.len() {
        match line[at] {
            b'"' => at = string_end(line, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    at
}

/// Index of the closing quote of a string whose first byte is at `at`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn string_end(line: &[u8], mut at: usize) -> usize {
    use std::arch::x86_64::*;
    let length = line.len();
    while at < length {
        // SAFETY: at < length, and the bytes of a padding behind the line are readable (see `each_line`).
        let found = unsafe {
            let block = _mm_loadu_si128(line.as_ptr().add(at) as *const __m128i);
            let quote = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'"' as i8));
            let backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'\\' as i8));
            _mm_movemask_epi8(_mm_or_si128(quote, backslash))
        };
        if found == 0 {
            at += crate::lines::PADDING;
            continue;
        }
        at += found.trailing_zeros() as usize;
        if at >= length {
            return length;
        }
        if line[at] == b'"' {
            return at;
        }
        at += 2;
    }
    length
}

/// Index behind a number or literal that starts at `at`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn scalar_end(line: &[u8], mut at: usize) -> usize {
    use std::arch::x86_64::*;
    let length = line.len();
    while at < length {
        // SAFETY: as in `string_end`. Ends are: bytes up to the space, ',' and '}'.
        let found = unsafe {
            let block = _mm_loadu_si128(line.as_ptr().add(at) as *const __m128i);
            let comma = _mm_cmpeq_epi8(block, _mm_set1_epi8(b',' as i8));
            let brace = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'}' as i8));
            let blank = _mm_cmplt_epi8(block, _mm_set1_epi8(b' ' as i8 + 1));
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(comma, brace), blank))
        };
        if found != 0 {
            return (at + found.trailing_zeros() as usize).min(length);
        }
        at += crate::lines::PADDING;
    }
    length
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn string_end(line: &[u8], mut at: usize) -> usize {
    while at < line.len() {
        match line[at] {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    line.len()
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn scalar_end(line: &[u8], mut at: usize) -> usize {
    while at < line.len() && !matches!(line[at], b',' | b'}' | b' ' | b'\t' | b'\r') {
        at += 1;
    }
    at
}

/// Decimal digits to a number.
#[inline]
pub fn integer(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + (digit - b'0') as u64)
}

/// Decimal text to a float: exact below 2^53 with at most 22 decimals, otherwise by the standard parser.
#[inline]
pub fn float(text: &[u8]) -> f64 {
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    let (negative, digits) = if text[0] == b'-' { (true, &text[1..]) } else { (false, text) };
    if digits.len() <= 16 {
        let (mut mantissa, mut point) = (0u64, usize::MAX);
        let mut plain = true;
        for (i, &byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' => mantissa = mantissa * 10 + (byte - b'0') as u64,
                b'.' => point = i,
                _ => plain = false,
            }
        }
        if plain && mantissa < 1 << 53 {
            let decimals = if point == usize::MAX { 0 } else { digits.len() - point - 1 };
            let value = mantissa as f64 / POWERS[decimals];
            return if negative { -value } else { value };
        }
    }
    std::str::from_utf8(text).expect("numbers are ASCII").parse().expect("the events are well-formed")
}

/// A string without its quotes.
#[inline]
pub fn unquote(text: &[u8]) -> &[u8] {
    &text[1..text.len() - 1]
}
