//! Text as it may stand in a URL.

use std::fmt::Write;

/// Percent-encodes all but letters, digits, `-._~`, and slashes where they are to stay.
pub fn percent_encode(text: &str, keep_slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keep_slashes && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// What stands behind such a text; None if it is no UTF-8, or `%` stands in front of no byte.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match byte {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?
            }
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_url_is_encoded() {
        assert_eq!(percent_encode("a/b c+ü~", true), "a/b%20c%2B%C3%BC~");
        assert_eq!(percent_encode("a/b", false), "a%2Fb");
    }

    #[test]
    fn what_was_encoded_comes_back() {
        assert_eq!(percent_decode("a/b%20c%2b%C3%BC+").as_deref(), Some("a/b c+ü+"));
        for wrong in ["%", "%2", "%zz", "%FF", "%+1"] {
            assert_eq!(percent_decode(wrong), None, "{wrong}");
        }
    }
}
