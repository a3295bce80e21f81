//! RFC 8259, token by token, over padded text.

use super::super::escape::{hex4, pair, simple};
use super::super::validate::MAX_DEPTH;
use super::{Fault, Scanned, Simd, skip_number};

/// What a string was found to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    /// The place behind the closing quote.
    pub end: *const u8,
    /// Whether it has no escapes.
    pub plain: bool,
}

/// Skips white space; in lines a newline is none.
///
/// # Safety
/// `at` is in padded text.
#[inline(always)]
pub(crate) unsafe fn blank<const LINES: bool>(mut at: *const u8) -> *const u8 {
    // SAFETY: white space is never the terminator, so the byte behind it is still in the text.
    unsafe {
        while matches!(*at, b' ' | b'\t' | b'\r') || (!LINES && *at == b'\n') {
            at = at.add(1);
        }
    }
    at
}

/// Scans a string from behind its opening quote, with its escapes and UTF-8.
///
/// # Safety
/// `content` is in padded text, and the instruction set is there.
#[inline(always)]
pub(crate) unsafe fn string<S: Simd>(content: *const u8) -> Result<Text, Fault> {
    let (mut at, mut plain, mut ascii) = (content, true, true);
    // SAFETY: `stop` never passes the terminator, which is a control character; an escape is judged before it
    // is stepped over.
    unsafe {
        loop {
            let clear = if ascii { S::stop(at) } else { S::stop_any(at) };
            at = at.add(clear);
            if clear == S::WIDTH {
                continue;
            }
            match *at {
                b'"' => break,
                b'\\' => {
                    at = escape(at)?;
                    plain = false;
                }
                0x80.. => ascii = false,
                _ => return Err(Fault { at, message: "control character or end of line in a string" }),
            }
        }
        if !ascii {
            check_utf8(content, at)?;
        }
        Ok(Text { end: at.add(1), plain })
    }
}

/// Checks that the bytes between the two places are UTF-8.
///
/// # Safety
/// Both are in the same padded text, in this order.
unsafe fn check_utf8(start: *const u8, end: *const u8) -> Result<(), Fault> {
    // SAFETY: all bytes between two places of one text are readable.
    let bytes = unsafe { std::slice::from_raw_parts(start, end.offset_from_unsigned(start)) };
    if simdutf8::basic::from_utf8(bytes).is_ok() {
        return Ok(());
    }
    let valid = str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len);
    Err(Fault { at: start.wrapping_add(valid), message: "text is not UTF-8" })
}

/// The place behind the escape that starts at `at`.
///
/// # Safety
/// `at` is at a backslash in padded text.
unsafe fn escape(at: *const u8) -> Scanned {
    let invalid = Fault { at, message: "invalid escape" };
    // SAFETY: no escape holds the terminator, and one is at most 12 bytes long, less than the padding.
    unsafe {
        let escape = &*at.cast::<[u8; 12]>();
        if escape[1] != b'u' {
            return simple(escape[1]).map(|_| at.add(2)).ok_or(invalid);
        }
        let high = hex4(&escape[2..6]).ok_or(invalid)?;
        if char::from_u32(high).is_some() {
            return Ok(at.add(6));
        }
        let low = if escape[6..8] == *b"\\u" { hex4(&escape[8..]) } else { None };
        match low.and_then(|low| pair(high, low)) {
            Some(_) => Ok(at.add(12)),
            None => Err(Fault { at, message: "half of a surrogate pair" }),
        }
    }
}

/// Scans `true`, `false` or `null`.
///
/// # Safety
/// `at` is in padded text.
#[inline(always)]
pub(crate) unsafe fn literal(at: *const u8) -> Scanned {
    // SAFETY: five bytes are readable, and none of the words holds the terminator.
    unsafe {
        let start = at.cast::<[u8; 4]>().read();
        match &start {
            b"true" | b"null" => Ok(at.add(4)),
            b"fals" if *at.add(4) == b'e' => Ok(at.add(5)),
            _ => Err(Fault { at, message: "expected a value" }),
        }
    }
}

/// Scans one value of any kind inside `depth` containers.
///
/// # Safety
/// `at` is in padded text, and the instruction set is there.
#[inline(always)]
pub(crate) unsafe fn value<S: Simd, const LINES: bool>(at: *const u8, depth: usize) -> Scanned {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        match *at {
            b'"' => {
                let content = at.add(1);
                let clear = S::stop(content);
                if clear < S::WIDTH && *content.add(clear) == b'"' {
                    return Ok(content.add(clear + 1));
                }
                S::string(content).map(|text| text.end)
            }
            b'{' | b'[' => S::container::<LINES>(at, depth),
            b'-' | b'0'..=b'9' => skip_number::<S>(at),
            _ => literal(at),
        }
    }
}

/// Scans a list or map that starts at `at` inside `depth` others. No recursion: what is open is a stack of bits.
///
/// # Safety
/// `at` is at an opening bracket in padded text, and the instruction set is there.
#[inline(always)]
pub(crate) unsafe fn container<S: Simd, const LINES: bool>(mut at: *const u8, depth: usize) -> Scanned {
    let (mut maps, mut open) = (0u128, depth);
    // SAFETY: every step forward is over a byte that was seen to be a bracket, comma or token.
    unsafe {
        'value: loop {
            match *at {
                b'"' => at = string::<S>(at.add(1))?.end,
                bracket @ (b'{' | b'[') => {
                    if open == MAX_DEPTH {
                        return Err(Fault { at, message: "nested too deeply" });
                    }
                    open += 1;
                    maps = maps << 1 | (bracket == b'{') as u128;
                    at = blank::<LINES>(at.add(1));
                    // A closing bracket is handled below.
                    if *at != bracket + 2 {
                        at = if maps & 1 == 1 { key::<S, LINES>(at)? } else { at };
                        continue 'value;
                    }
                }
                b'-' | b'0'..=b'9' => at = skip_number::<S>(at)?,
                _ => at = literal(at)?,
            }
            loop {
                at = blank::<LINES>(at);
                let map = maps & 1 == 1;
                match *at {
                    b',' => {
                        at = blank::<LINES>(at.add(1));
                        at = if map { key::<S, LINES>(at)? } else { at };
                        continue 'value;
                    }
                    b'}' if map => {}
                    b']' if !map => {}
                    _ => return Err(Fault { at, message: "expected `,` or the end of the list or map" }),
                }
                (at, maps, open) = (at.add(1), maps >> 1, open - 1);
                if open == depth {
                    return Ok(at);
                }
            }
        }
    }
}

/// Scans a key with its colon, up to the value.
///
/// # Safety
/// `at` is in padded text, and the instruction set is there.
#[inline(always)]
unsafe fn key<S: Simd, const LINES: bool>(at: *const u8) -> Scanned {
    // SAFETY: the quote and the colon were seen before they are stepped over.
    unsafe {
        if *at != b'"' {
            return Err(Fault { at, message: "expected a key" });
        }
        let at = blank::<LINES>(string::<S>(at.add(1))?.end);
        if *at != b':' {
            return Err(Fault { at, message: "expected `:`" });
        }
        Ok(blank::<LINES>(at.add(1)))
    }
}
