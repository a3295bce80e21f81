//! JSON text without the white space that it was written with.

use super::access::string_end;

/// Appends the value without white space between its parts; what they are is as it was written. `text` is validated
/// JSON.
pub fn write_compact(text: &[u8], into: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'"' | b' ' | b'\t' | b'\n' | b'\r')) {
        let behind = if rest[at] == b'"' { at + string_end(&rest[at..]) } else { at };
        into.extend_from_slice(&rest[..behind]);
        rest = &rest[behind.max(at + 1)..];
    }
    into.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::write_compact;
    use proptest::prelude::*;

    fn compact(text: &str) -> String {
        let mut out = Vec::new();
        write_compact(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn white_space_goes_and_the_rest_stays() {
        assert_eq!(
            compact("{ \"a b\" : [1.50 ,\t\" \\\" \"],\r\n\"ü\":{ } }"),
            r#"{"a b":[1.50," \" "],"ü":{}}"#
        );
        assert_eq!(compact("[]"), "[]");
        // Not JSON: no panic.
        assert_eq!(compact("[\" "), "[\" ");
    }

    proptest! {
        #[test]
        fn pretty_text_becomes_compact(keys in prop::collection::vec(".*", 0..5), n: i64) {
            let inner: Vec<_> = keys.iter().map(|key| serde_json::json!({ key: [key, n] })).collect();
            let value = serde_json::json!({ "list": inner, " ": [] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty), serde_json::to_string(&value).unwrap());
        }
    }
}
