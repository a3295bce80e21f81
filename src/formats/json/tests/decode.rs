use super::super::*;
use crate::event::json::scan::Isa;
use crate::event::json::tests::{json_text, only_range};
use crate::event::{Batch, Path, Span, Step};
use crate::formats::tests::{Decoded, feed, path, wanted};
use crate::formats::{Decoder, Wanted};
use proptest::prelude::*;

fn print_expected(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(int) => int.to_string(),
            None => format!("{:?}", n.as_f64().unwrap()),
        },
        other => other.to_string(),
    }
}

fn decode(isa: Isa, options: JsonInput, wanted: &Wanted, text: &[u8]) -> Decoded {
    let mut decoder = JsonDecoder::with(isa, options, wanted);
    feed(&mut decoder, wanted.fields.len(), text, &[text.len()], usize::MAX)
}

/// Rows as text, and rejected lines.
type RowsAndRejected = (Vec<Vec<String>>, Vec<Vec<u8>>);

/// What `serde_json` and the page's rules make of the text; None for a line on which they leave a choice.
fn expected(paths: &[&str], root: Root, text: &[u8]) -> Option<RowsAndRejected> {
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    for line in text.split(|&b| b == b'\n') {
        let blank = line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r'));
        if blank {
            continue;
        }
        let row = |event: &serde_json::Value| -> Vec<String> {
            paths.iter().map(|p| print_expected(lookup(event, &path(p)))).collect()
        };
        match serde_json::from_slice::<serde_json::Value>(line) {
            Ok(event @ serde_json::Value::Object(_)) => rows.push(row(&event)),
            Ok(serde_json::Value::Array(list)) if root == Root::Keep => {
                rows.push(row(&serde_json::json!({ "items": list })));
            }
            Ok(serde_json::Value::Array(list)) if list.iter().all(serde_json::Value::is_object) => {
                rows.extend(list.iter().map(row));
            }
            Ok(serde_json::Value::Array(_)) => return None,
            Err(_) if only_range(line) => return None,
            _ => rejected.push(
                line[..line.len() - line.iter().rev().take_while(|b| b" \t\r".contains(b)).count()].to_vec(),
            ),
        }
    }
    Some((rows, rejected))
}

fn lookup<'a>(event: &'a serde_json::Value, path: &Path) -> &'a serde_json::Value {
    path.steps().iter().fold(event, |value, step| {
        let next = match step {
            Step::Field(name) => value.as_object().and_then(|map| map.get(name)),
            Step::Index(n) => value.as_array().and_then(|list| list.get(*n as usize)),
        };
        next.unwrap_or(&serde_json::Value::Null)
    })
}

const PATHS: [&str; 12] =
    ["a", "b", "c", "a.b", "a.c", "a.b.c", "b[0]", "b[1].a", "d.a.b", "e", "items", "items[0].a"];

fn paths() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(PATHS.to_vec(), 0..6)
}

/// Lines of one shape or two, in which fields are missing now and then.
fn shaped() -> impl Strategy<Value = String> {
    let key = "[a-e]|other|a field with quite a long name, longer than what is compared at once|\\\\u0061";
    let template = || prop::collection::vec((key, prop::sample::select(vec!["", " "])), 1..8);
    let line = (0..2usize, prop::collection::vec((json_text(), 0..10u8), 8), 0..20u8);
    (template(), template(), prop::collection::vec(line, 1..12)).prop_map(|(first, second, lines)| {
        let mut text = String::new();
        for (which, values, end) in lines {
            let template = if which == 0 { &first } else { &second };
            let fields: Vec<String> = template
                .iter()
                .zip(&values)
                .filter(|(_, (_, chance))| *chance > 0)
                .map(|((key, blank), (value, _))| format!("\"{key}\":{blank}{value}"))
                .collect();
            let separator = if template[0].1.is_empty() { "," } else { ", " };
            text.push_str(&format!("{{{}}}", fields.join(separator)));
            text.push_str(if end == 0 { "\r\n" } else { "\n" });
        }
        text
    })
}

/// Bytes that a failure prints as text.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

fn lines() -> impl Strategy<Value = Bytes> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    let any_lines = prop::collection::vec(json_text(), 0..6).prop_map(|lines| lines.join("\n"));
    (prop_oneof![shaped(), any_lines], prop::collection::vec(edit, 0..3)).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, byte, how) in edits {
            let at = at.index(bytes.len() + 1);
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if byte < 20 => bytes.truncate(at),
                2 if at < bytes.len() => _ = bytes.remove(at),
                _ => bytes.insert(at, b"{}[]:,\"\\ \n09-.eEutfna\xe9"[byte as usize % 22]),
            }
        }
        Bytes(bytes)
    })
}

proptest! {
    #[test]
    fn lines_are_read_as_by_serde_json(Bytes(text) in lines(), paths in paths(), keep in any::<bool>()) {
        let root = if keep { Root::Keep } else { Root::Explode };
        let options = JsonInput { root, ..JsonInput::default() };
        let all: Vec<Decoded> =
            Isa::all().into_iter().map(|isa| decode(isa, options, &wanted(&paths, true), &text)).collect();
        prop_assert_eq!(&all[0], &all[1]);
        prop_assert_eq!(&all[0], &all[2]);
        if let Some((rows, rejected)) = expected(&paths, root, &text) {
            if !paths.is_empty() {
                prop_assert_eq!(&all[0].rows, &rows);
            }
            prop_assert_eq!(all[0].whole.len(), rows.len());
            prop_assert_eq!(&all[0].rejected, &rejected);
        }
        for whole in &all[0].whole {
            prop_assert!(whole[0] == 123 && crate::event::json::validate(whole).is_ok());
        }
    }

    #[test]
    fn blocks_may_end_anywhere(
        Bytes(text) in lines(),
        paths in paths(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        limit in 1..5usize,
    ) {
        let wanted = wanted(&paths, true);
        let whole = decode(Isa::best(), JsonInput::default(), &wanted, &text);
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).collect();
        cuts.sort();
        let mut decoder = JsonDecoder::new(JsonInput::default(), &wanted);
        prop_assert_eq!(whole, feed(&mut decoder, paths.len(), &text, &cuts, limit));
    }

    #[test]
    fn touched_agrees_on_what_is_valid(Bytes(text) in lines(), paths in paths()) {
        let wanted = wanted(&paths, true);
        let touched = JsonInput { validate: Validate::Touched, ..JsonInput::default() };
        for isa in Isa::all() {
            let touched = decode(isa, touched, &wanted, &text);
            let strict = decode(isa, JsonInput::default(), &wanted, &text);
            if strict.rejected.is_empty() && !paths.is_empty() && !has_duplicates(&text) {
                prop_assert_eq!(&touched, &strict);
            }
        }
    }
}

fn has_duplicates(text: &[u8]) -> bool {
    text.split(|&b| b == b'\n').any(|line| {
        let mut keys: Vec<_> = crate::event::json::entries(line).map(|(key, _)| key).collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        keys.len() < all || crate::event::json::entries(line).any(|(_, value)| has_duplicates(value))
    })
}

fn strict(paths: &[&str], text: &str) -> Decoded {
    decode(Isa::best(), JsonInput::default(), &wanted(paths, false), text.as_bytes())
}

#[test]
fn of_duplicate_keys_the_last_wins() {
    let decoded = strict(&["pos.lat", "pos.lon", "a"], "{\"pos\":{\"lat\":1},\"pos\":5,\"a\":1,\"a\":2}\n");
    assert_eq!(decoded.rows, [["null", "null", "2"]]);
    let decoded = strict(&["pos.lat", "pos.lon"], "{\"pos\":{\"lat\":1},\"pos\":{\"lon\":2}}");
    assert_eq!(decoded.rows, [["null", "2"]]);
    let decoded = strict(&["pos", "pos.lat", "pos.lat[0]"], "{\"pos\":{\"lat\":1},\"pos\":{\"lat\":[7]}}");
    assert_eq!(decoded.rows, [["{\"lat\":[7]}", "[7]", "7"]]);
}

#[test]
fn a_shape_never_hides_a_fault() {
    let first = "{\"a\":1,\"b\":2}\n{\"b\":1,\"a\":2}\n";
    for second in [
        "{\"a\":1\"b\":2}",
        "{\"a\":1{\"b\":2}",
        "{,\"a\":1}",
        "{\"a\":1,}",
        "{\"a\":1,\"b\":2}}",
        "{\"a\":1,\"b\":2",
        "{\"a\":}",
    ] {
        let decoded = strict(&["a", "b"], &format!("{first}{second}\n{first}"));
        assert_eq!(decoded.rejected, [second.as_bytes()], "{second}");
        assert_eq!(decoded.rows.len(), 4);
    }
}

#[test]
fn numbers_are_judged_where_they_are_read() {
    let text = "{\"a\":1e999,\"b\":1}\n{\"a\":1,\"b\":[1e999]}\n{\"b\":{\"c\":1e999}}";
    assert_eq!(strict(&["b"], text).rows.len(), 3);
    let decoded = strict(&["a"], text);
    assert_eq!(decoded.rows.len(), 2);
    assert_eq!(decoded.reasons, ["number out of range at column 6"]);
    assert_eq!(strict(&["b[0]"], text).rejected.len(), 1);
}

#[test]
fn what_is_no_event_is_rejected() {
    let text =
        " \t\r\n\n1\n\"a\"\nnull\n[{\"a\":1}, 2 ,{\"a\":3}]\n[]\n[{\"a\":1}\n\u{feff}{\"a\":4}\n{\"a\":5}";
    let decoded = strict(&["a"], text);
    assert_eq!(decoded.rows, [["1"], ["3"], ["5"]]);
    let rejected: Vec<_> = decoded.rejected.iter().map(|r| str::from_utf8(r).unwrap()).collect();
    assert_eq!(rejected, ["1", "\"a\"", "null", "2", "[{\"a\":1}", "\u{feff}{\"a\":4}"]);
    assert_eq!(decoded.reasons[0], "the value is no map");
    assert_eq!(decoded.reasons[4], "expected `,` or the end of the list or map at column 9");
}

#[test]
fn a_kept_list_is_the_field_items() {
    let options = JsonInput { root: Root::Keep, ..JsonInput::default() };
    let decoded = decode(
        Isa::best(),
        options,
        &wanted(&["items", "items[1].a"], true),
        b"[1, {\"a\":\"\\n\"}]\n{\"items\":[]}",
    );
    assert_eq!(decoded.rows, [["[1,{\"a\":\"\\n\"}]", "\"\\n\""], ["[]", "null"]]);
    assert_eq!(decoded.whole, [b"{\"items\":[1, {\"a\":\"\\n\"}]}".to_vec(), b"{\"items\":[]}".to_vec()]);
}

#[test]
fn more_fields_than_bits_are_all_found() {
    let names: Vec<String> = (0..100).map(|i| format!("f{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text: String = names.iter().rev().map(|n| format!(",\"{n}\":\"{n}\"")).collect();
    for validate in [Validate::Strict, Validate::Touched] {
        let options = JsonInput { validate, ..JsonInput::default() };
        let decoded =
            decode(Isa::best(), options, &wanted(&names, false), format!("{{{}}}", &text[1..]).as_bytes());
        assert!(decoded.rows[0].iter().zip(&names).all(|(cell, name)| *cell == format!("\"{name}\"")));
    }
}

#[test]
fn a_line_that_is_too_long_is_rejected_however_it_comes() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(crate::formats::lines::MAX_RECORD));
    let text = format!("{{\"a\":1}}\n{long}\n{{\"a\":2}}\n");
    let wanted = wanted(&["a"], false);
    let whole = decode(Isa::best(), JsonInput::default(), &wanted, text.as_bytes());
    assert_eq!((whole.rows.len(), whole.rejected.len()), (2, 1));
    let cuts: Vec<usize> = (1..33).map(|i| i * 500_000).chain([long.len() + 8]).collect();
    let mut decoder = JsonDecoder::new(JsonInput::default(), &wanted);
    assert_eq!(whole, feed(&mut decoder, 1, text.as_bytes(), &cuts, usize::MAX));
    let just_fits = format!("{{\"a\":\"{}\"}}\n", "x".repeat(crate::formats::lines::MAX_RECORD - 8));
    assert_eq!(strict(&["a"], &just_fits).rows.len(), 1);
}

#[test]
fn blocks_before_and_behind_stay_as_they_are() {
    let mut batch = Batch::new(1, b"");
    batch.store(b"before");
    let block = batch.store(b"{\"a\":\"\\u0041\"}\n{\"a\":\"b\"}");
    batch.store(b"{\"behind\":1}\n");
    let mut decoder = JsonDecoder::new(JsonInput::default(), &wanted(&["a"], false));
    let used = decoder.decode(&mut batch, block, true, 10, &mut Vec::new());
    assert_eq!(used, block.len as usize);
    assert_eq!(batch.cells().iter().map(|&c| batch.text(c)).collect::<Vec<_>>(), ["A", "b"]);
    assert!(batch.arena.starts_with(b"before{\"a\":\"\\u0041\"}\n{\"a\":\"b\"}{\"behind\":1}\n"));
    assert_eq!(decoder.decode(&mut batch, Span::default(), true, 10, &mut Vec::new()), 0);
}
