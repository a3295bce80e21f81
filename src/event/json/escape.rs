//! What stands between the quotes of a JSON string.

/// Whether text can stand between quotes as it is: no quote, backslash or control character.
pub fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|&b| b >= 0x20 && b != b'"' && b != b'\\')
}

/// Appends what the content of a string (without its quotes) means. The content must be valid; where it is
/// not, the replacement character stands in.
pub fn unescape(content: &[u8], into: &mut Vec<u8>) {
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        into.extend_from_slice(&rest[..at]);
        let escape = &rest[at + 1..];
        let (char, used) = match escape.first() {
            Some(b'u') => unicode(escape),
            Some(&letter) => (simple(letter).unwrap_or(char::REPLACEMENT_CHARACTER), 1),
            None => (char::REPLACEMENT_CHARACTER, 0),
        };
        into.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &escape[used..];
    }
    into.extend_from_slice(rest);
}

/// The character that a backslash and `letter` stand for.
pub(super) fn simple(letter: u8) -> Option<char> {
    Some(match letter {
        b'"' | b'\\' | b'/' => letter as char,
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}

/// The character that `uXXXX` (or two of them, for a surrogate pair) stands for, and the bytes that took.
fn unicode(escape: &[u8]) -> (char, usize) {
    let Some(high) = hex4(escape.get(1..5).unwrap_or_default()) else {
        return (char::REPLACEMENT_CHARACTER, 1);
    };
    if let Some(char) = char::from_u32(high) {
        return (char, 5);
    }
    let low = escape.get(5..11).and_then(|e| e.strip_prefix(b"\\u")).and_then(hex4);
    match low.and_then(|low| pair(high, low)) {
        Some(char) => (char, 11),
        None => (char::REPLACEMENT_CHARACTER, 5),
    }
}

/// The character of a surrogate pair; None if the two are no pair.
pub(super) fn pair(high: u32, low: u32) -> Option<char> {
    if !(0xD800..0xDC00).contains(&high) || !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
}

/// The number that exactly four hexadecimal digits write.
pub(super) fn hex4(digits: &[u8]) -> Option<u32> {
    let digits: &[u8; 4] = digits.try_into().ok()?;
    digits.iter().try_fold(0, |sum, &b| Some(sum << 4 | (b as char).to_digit(16)?))
}
