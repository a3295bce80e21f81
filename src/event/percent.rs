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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_url_is_encoded() {
        assert_eq!(percent_encode("a/b c+ü~", true), "a/b%20c%2B%C3%BC~");
        assert_eq!(percent_encode("a/b", false), "a%2Fb");
    }
}
