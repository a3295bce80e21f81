//! One form for all texts of one value, so that equal lists and maps are one key.

use super::{elements, entries, number, unescape, write_float, write_int, write_string};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Appends the value in its one form: no white space, map entries sorted by key (of duplicates the last), numbers and
/// strings as they are written by default. `text` is validated JSON.
pub fn write_canonical(text: &[u8], into: &mut Vec<u8>) {
    match text.first() {
        Some(b'[') => {
            into.push(b'[');
            for (i, element) in elements(text).enumerate() {
                separate(i, into);
                write_canonical(element, into);
            }
            into.push(b']');
        }
        Some(b'{') => {
            let sorted: BTreeMap<Cow<'_, str>, &[u8]> = entries(text).collect();
            into.push(b'{');
            for (i, (key, value)) in sorted.iter().enumerate() {
                separate(i, into);
                write_string(key.as_bytes(), into);
                into.push(b':');
                write_canonical(value, into);
            }
            into.push(b'}');
        }
        Some(b'"') => {
            let mut content = Vec::new();
            unescape(text.get(1..text.len() - 1).unwrap_or_default(), &mut content);
            write_string(&content, into);
        }
        _ => write_scalar(text, into),
    }
}

fn separate(i: usize, into: &mut Vec<u8>) {
    if i > 0 {
        into.push(b',');
    }
}

/// A number in its one form; `true`, `false`, `null` and numbers beyond all range as they are.
fn write_scalar(text: &[u8], into: &mut Vec<u8>) {
    let value = text.first().filter(|first| **first == b'-' || first.is_ascii_digit()).map(|_| number(text));
    match value {
        Some(Ok(value)) => match (value.as_int(), value.as_float()) {
            (Some(int), _) => write_int(int, into),
            (_, Some(float)) => write_float(float, into),
            _ => into.extend_from_slice(text),
        },
        _ => into.extend_from_slice(text),
    }
}

#[cfg(test)]
mod tests {
    use super::write_canonical;

    #[test]
    fn texts_of_one_value_have_one_form() {
        let same = [
            (r#"{ "b" : [1, 2.50] ,"a":{"x":null} }"#, r#"{"a":{"x":null},"b":[1,2.5]}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            ("[\"\\u0041\", true , 1E2]", r#"["A",true,100.0]"#),
            ("[ ]", "[]"),
            ("[1e999]", "[1e999]"),
        ];
        for (text, want) in same {
            let mut form = Vec::new();
            write_canonical(text.as_bytes(), &mut form);
            assert_eq!(String::from_utf8_lossy(&form), want);
        }
    }
}
