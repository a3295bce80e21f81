use super::*;
use crate::event::{Batch, Kind, Span, Step, Value};
use proptest::prelude::*;

/// A JSON value with its text, in which white space and escapes vary.
pub(crate) fn json_text() -> impl Strategy<Value = String> {
    let blank = || prop::sample::select(vec!["", "", "", " ", "\t", "  ", "\r"]);
    let string = || {
        let piece = prop_oneof![
            4 => "[a-zA-Z0-9_ ]{0,20}",
            1 => "\\PC{0,6}",
            2 => prop::sample::select(vec![
                "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\u0041", "\\ud83d\\ude00", "\\u0000", "é", "😀", "\\b\\f\\r\\t",
            ]).prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..4).prop_map(|p| {
            let plain = |c: char| c >= ' ' && c != '"';
            let inner: String = p.concat().chars().filter(|&c| plain(c) || c == '"').collect();
            format!("\"{}\"", fix_quotes(&inner))
        })
    };
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        (-1000i64..1000).prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| format!("{f:?}")),
        (0u32..100_000, 0u32..100).prop_map(|(a, b)| format!("{a}.{b:02}")),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?",
    ];
    let leaf = prop_oneof![
        string(),
        number,
        prop::sample::select(vec!["null", "true", "false", "-0", "0", "{}", "[]"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        let list =
            (prop::collection::vec((blank(), inner.clone(), blank()), 0..6), blank()).prop_map(|(v, b)| {
                let all: Vec<String> = v.iter().map(|(a, x, c)| format!("{a}{x}{c}")).collect();
                format!("[{b}{}]", all.join(","))
            });
        let key = prop_oneof![2 => "[a-e]".prop_map(|k| format!("\"{k}\"")), 1 => string()];
        let entry = (blank(), key, blank(), blank(), inner, blank());
        let map = (prop::collection::vec(entry, 0..6), blank()).prop_map(|(v, b)| {
            let all: Vec<String> =
                v.iter().map(|(a, k, c, d, x, e)| format!("{a}{k}{c}:{d}{x}{e}")).collect();
            format!("{{{b}{}}}", all.join(","))
        });
        prop_oneof![list, map]
    })
}

/// Escapes quotes and backslashes that do not belong to an escape.
fn fix_quotes(inner: &str) -> String {
    let mut out = String::new();
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        let escape =
            ["\\n", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\r", "\\t"].iter().find(|e| rest.starts_with(**e));
        let used = match (escape, c) {
            (Some(e), _) => e.len(),
            (None, '\\') if rest.starts_with("\\ud83d\\ude00") => 12,
            (None, '\\') if rest.starts_with("\\u00") => 6,
            (None, '\\' | '"') => {
                out.push('\\');
                1
            }
            _ => c.len_utf8(),
        };
        out.push_str(&rest[..used]);
        rest = &rest[used..];
    }
    out
}

fn oracle(text: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(text).ok()
}

/// Whether `serde_json` refuses the text only because of a number's size.
pub(crate) fn only_range(text: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(text).is_err_and(|e| e.to_string().contains("out of range"))
}

fn same(batch: &Batch, value: Value, expected: &serde_json::Value) -> bool {
    match expected {
        serde_json::Value::Null => value.is_null(),
        serde_json::Value::Bool(b) => value.as_bool() == Some(*b),
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(int) => value.as_int() == Some(int),
            None => value.as_float().map(f64::to_bits) == n.as_f64().map(f64::to_bits),
        },
        serde_json::Value::String(s) => {
            value.kind() == Kind::Text
                && batch.text(value) == s
                && (!value.is_plain() || is_plain(s.as_bytes()))
        }
        _ => value.kind() == Kind::Json && oracle(batch.bytes(value)).as_ref() == Some(expected),
    }
}

#[test]
fn depth_is_limited_as_in_serde_json() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(validate(text.as_bytes()).is_ok(), oracle(text.as_bytes()).is_some(), "{depth}");
        }
    }
    assert!(validate(&b"[".repeat(100_000)).is_err());
}

#[test]
fn faults_say_where() {
    let fault = |text: &[u8]| validate(text).map_err(|f| (f.offset, f.message));
    assert_eq!(fault(b"{\"a\": tru}"), Err((6, "expected a value")));
    assert_eq!(fault(b"\"a\\x\""), Err((2, "invalid escape")));
    assert_eq!(fault(b"\"\\ud800\""), Err((1, "half of a surrogate pair")));
    assert_eq!(fault(b"\"ab\xff\""), Err((3, "text is not UTF-8")));
    assert_eq!(fault(b"1 2"), Err((2, "unexpected text behind the value")));
}

#[test]
fn steps_lead_to_values() {
    let text = br#" {"a": [1, {"b": "x"}, []], "k\u0065y": 2, "a": [ {"b": null} , {"b": "last" } ] } "#;
    let field = |name: &str| Step::Field(name.to_owned());
    assert_eq!(get(text, &[field("a"), Step::Index(1), field("b")]), Some(&b"\"last\""[..]));
    assert_eq!(get(text, &[field("a"), Step::Index(0)]), Some(&b"{\"b\": null}"[..]));
    assert_eq!(get(text, &[field("key")]), Some(&b"2"[..]));
    assert_eq!(get(text, &[field("a"), Step::Index(2)]), None);
    assert_eq!(get(text, &[field("key"), field("b")]), None);
    assert_eq!(get(text, &[Step::Index(0)]), None);
}

#[test]
fn nothing_panics_on_what_is_not_valid() {
    for text in [
        &b"["[..],
        b"{",
        b"{\"",
        b"{\"a\"",
        b"{\"a\":",
        b"[,",
        b"\"",
        b"\"\\",
        b"[\"a\\",
        b"]",
        b"",
        b"{1:2}",
    ] {
        elements(text).for_each(drop);
        entries(text).for_each(drop);
        let mut arena = text.to_vec();
        let _ = value_at(&mut arena, Span::new(0, text.len()));
        let _ = to_value(text, &mut arena);
        let _ = get(text, &[Step::Field("a".to_owned()), Step::Index(0)]);
    }
    let mut out = Vec::new();
    unescape(br"a\ud800b\udc00\ud83d\u0041\u12\x\", &mut out);
    assert!(str::from_utf8(&out).is_ok());
}

#[test]
fn bytes_are_base64() {
    let cases = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("\u{ff}\u{fe}", "w7/Dvg=="),
    ];
    for (plain, encoded) in cases {
        let mut out = Vec::new();
        write_base64(plain.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("\"{encoded}\""));
    }
}

#[test]
fn times_are_numbers_or_rfc_3339() {
    let batch = Batch::new(0, b"");
    let write = |ms, form| {
        let mut out = Vec::new();
        write_value_as(&batch, Value::timestamp(ms), form, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(write(-1, Timestamps::Millis), "-1");
    assert_eq!(write(1_767_225_600_250, Timestamps::Rfc3339), "\"2026-01-01T00:00:00.25Z\"");
    assert_eq!(write(i64::MAX, Timestamps::Rfc3339), i64::MAX.to_string());
}

proptest! {
    #[test]
    fn valid_is_what_serde_json_reads(text in json_text()) {
        prop_assert_eq!(validate(text.as_bytes()).is_ok(), oracle(text.as_bytes()).is_some() || only_range(text.as_bytes()));
    }

    #[test]
    fn mutations_are_judged_as_by_serde_json(
        text in json_text(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte, how) in edits {
            let at = at.index(bytes.len() + 1);
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, b"{}[]:,\"\\ \n09-.eEutfna\xe9"[byte as usize % 22]),
            }
        }
        let accepted = validate(&bytes).is_ok();
        for isa in super::scan::Isa::all() {
            prop_assert_eq!(super::validate::validate_with(isa, &bytes), validate(&bytes));
        }
        prop_assert_eq!(accepted, oracle(&bytes).is_some() || (accepted && only_range(&bytes)), "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn values_are_those_of_serde_json(text in json_text()) {
        let Some(expected) = oracle(text.as_bytes()) else { return Ok(()) };
        let mut batch = Batch::new(0, b"");
        let copied = to_value(text.as_bytes(), &mut batch.arena).unwrap();
        prop_assert!(same(&batch, copied, &expected), "{copied:?} {text}");
        let span = batch.store(text.as_bytes());
        let in_place = value_at(&mut batch.arena, span).unwrap();
        prop_assert!(same(&batch, in_place, &expected), "{in_place:?} {text}");
        let mut written = Vec::new();
        write_value(&batch, in_place, &mut written);
        prop_assert_eq!(oracle(&written), Some(expected));
    }

    #[test]
    fn parts_are_those_of_serde_json(text in json_text()) {
        match oracle(text.as_bytes()) {
            Some(serde_json::Value::Array(list)) => {
                let parts: Vec<_> = elements(text.as_bytes()).map(|e| oracle(e).unwrap()).collect();
                prop_assert_eq!(parts, list);
            }
            Some(serde_json::Value::Object(map)) => {
                let parts: serde_json::Map<_, _> =
                    entries(text.as_bytes()).map(|(k, v)| (k.into_owned(), oracle(v).unwrap())).collect();
                prop_assert_eq!(&parts, &map);
                for (key, value) in &map {
                    let found = get(text.as_bytes(), &[Step::Field(key.clone())]).and_then(oracle);
                    prop_assert_eq!(found.as_ref(), Some(value));
                }
            }
            None => prop_assert!(only_range(text.as_bytes())),
            Some(_) => {
                prop_assert_eq!(elements(text.as_bytes()).count() + entries(text.as_bytes()).count(), 0);
            }
        }
    }

    #[test]
    fn strings_and_floats_are_written_as_by_serde_json(text in any::<String>(), float in any::<f64>()) {
        let mut out = Vec::new();
        write_string(text.as_bytes(), &mut out);
        prop_assert_eq!(&out, &serde_json::to_vec(&text).unwrap());
        out.clear();
        write_float(float, &mut out);
        prop_assert_eq!(&out, &serde_json::to_vec(&float).unwrap());
    }
}
