//! Values as YAML, in one line, such that they are read again as what they are.

use crate::config::{Meaning, read};
use serde_json::{Map, Value};

/// Words that other readers of YAML take for truth values.
const TRUTHS: [&str; 6] = ["yes", "no", "on", "off", "true", "false"];

/// A value.
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(self::value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => map(fields),
        other => other.to_string(),
    }
}

/// A map.
pub fn map(fields: &Map<String, Value>) -> String {
    if fields.is_empty() {
        return "{}".to_owned();
    }
    let fields: Vec<String> = fields.iter().map(|(name, value)| field(name, value)).collect();
    format!("{{ {} }}", fields.join(", "))
}

/// A field of a map. What stands in a key is not substituted.
pub fn field(name: &str, value: &Value) -> String {
    let key = if is_plain(name) { name.to_owned() } else { quoted(name) };
    format!("{key}: {}", self::value(value))
}

/// A text, without quotes where nobody can take it for something else.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    // A dollar that would start a substitution is doubled.
    let mut kept = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let special = c == '$' && matches!(chars.peek(), Some('$' | '{'));
        kept.push(c);
        kept.extend(special.then_some('$'));
    }
    quoted(&kept)
}

fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(inner);
    let is_truth = TRUTHS.iter().any(|truth| truth.eq_ignore_ascii_case(text));
    is_word && !is_truth && matches!(read::meaning_of(text), Meaning::Text(_))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => quoted.push_str(&escape(c)),
            c if c.is_control() => quoted.push_str(&escape(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Only characters of the basic plane are escaped.
fn escape(c: char) -> String {
    format!("\\u{:04X}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test::value as read_value;
    use crate::config::{Environment, Faults, FixedEnvironment, SourceFile, read_tests};
    use proptest::prelude::*;
    use serde_json::json;

    /// What a test would read.
    fn read_again(text: &str) -> Value {
        let file = SourceFile::new("t.yaml", format!("tests: [{text}]").into_bytes()).unwrap();
        let faults = Faults::new(file);
        let environment: &dyn Environment = &FixedEnvironment::default();
        let tests = read_tests(&faults, environment, &[]).unwrap_or_else(|| panic!("{text}"));
        let value = read_value(&tests.items().unwrap()[0], &faults);
        let said: Vec<String> = faults.diagnostics().iter().map(ToString::to_string).collect();
        value.unwrap_or_else(|| panic!("{text}: {said:?}"))
    }

    #[test]
    fn values_are_written_as_people_write_them() {
        let event = json!({ "user": "u1", "total": 3.0, "n": -2, "ok": true, "none": null, "of": [1, { "a b": "x y" }] });
        let text = "{ user: u1, total: 3.0, n: -2, ok: true, none: null, of: [1, { \"a b\": \"x y\" }] }";
        assert_eq!(value(&event), text);
        assert_eq!((value(&json!({})), value(&json!([]))), ("{}".to_owned(), "[]".to_owned()));
    }

    #[test]
    fn what_would_be_read_as_something_else_is_quoted() {
        let texts = [
            "",
            "1",
            "1.5",
            "null",
            "~",
            "true",
            "yes",
            "a: b",
            "a, b",
            "- a",
            "#x",
            "${HOME}",
            "$$",
            "$$${x}",
            "{x}",
            "[",
            "'",
            "\"",
            "\\",
            "\n",
            "\u{7f}",
            "\u{85}",
            "\u{feff}x",
            "😀",
            " a ",
            "*a",
            "&a",
            "!a",
            "%",
            "@",
            "`",
        ];
        for text in texts {
            assert_eq!(read_again(&value(&json!({ text: text })))[text], json!(text), "{text:?}");
        }
        for number in [json!(1e16), json!(-0.0), json!(1e300), json!(i64::MIN), json!(0.1), json!(5e-324)] {
            assert_eq!(read_again(&value(&number)), number);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_again(text in "\\PC*|[$\\{\\}:#,'\" a]{0,8}") {
            prop_assert_eq!(read_again(&value(&json!(text.clone()))), json!(text));
        }
    }
}
