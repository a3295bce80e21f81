//! What the tests of all formats share, and those of the simple ones.

use super::json::{JsonEncoder, JsonOutput};
use super::*;
use crate::event::{Batch, Kind, Layer, Path, Row, Slot, Step, Unreadable, Value, View};
use proptest::prelude::*;

pub(super) fn path(text: &str) -> Path {
    let mut path = None;
    for part in text.replace('[', ".[").split('.') {
        let step = match part.strip_prefix('[') {
            Some(index) => Step::Index(index.trim_end_matches(']').parse().unwrap()),
            None => Step::Field(part.to_owned()),
        };
        path = Some(match path {
            None => Path::field(part),
            Some(path) => Path::then(path, step),
        });
    }
    path.unwrap()
}

pub(super) fn wanted(paths: &[&str], whole: bool) -> Wanted {
    let fields = paths.iter().enumerate().map(|(i, p)| (path(p), Slot(i as u16))).collect();
    Wanted { fields, whole }
}

/// Rows and rejected bytes in a form that can be compared.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Decoded {
    pub rows: Vec<Vec<String>>,
    pub whole: Vec<Vec<u8>>,
    pub rejected: Vec<Vec<u8>>,
    pub reasons: Vec<String>,
}

impl Decoded {
    fn add(&mut self, batch: &Batch, unreadable: &[Unreadable]) {
        for cells in batch.cells().chunks(batch.slots().max(1)) {
            self.rows.push(cells.iter().map(|&cell| print(batch, cell)).collect());
        }
        self.whole.extend(batch.raw.iter().map(|raw| batch.arena[raw.range()].to_vec()));
        self.rejected.extend(unreadable.iter().map(|u| batch.arena[u.raw.range()].to_vec()));
        self.reasons.extend(unreadable.iter().map(|u| u.reason.text.to_string()));
    }
}

/// A cell as text that tells kinds apart; lists and maps as `serde_json` reads them.
fn print(batch: &Batch, cell: Value) -> String {
    match cell.kind() {
        Kind::Json => serde_json::from_slice::<serde_json::Value>(batch.bytes(cell))
            .map_or_else(|e| e.to_string(), |v| v.to_string()),
        Kind::Text => {
            let text = str::from_utf8(batch.bytes(cell)).unwrap();
            assert!(!cell.is_plain() || crate::event::json::is_plain(text.as_bytes()), "{text:?}");
            serde_json::Value::from(text).to_string()
        }
        Kind::Bytes => batch.bytes(cell).escape_ascii().to_string(),
        Kind::Float => format!("{:?}", cell.as_float().unwrap()),
        _ => format!("{cell:?}"),
    }
}

/// Feeds the text in blocks that end at the given places, as a source does.
pub(super) fn feed(
    decoder: &mut dyn Decoder,
    slots: usize,
    text: &[u8],
    cuts: &[usize],
    limit: usize,
) -> Decoded {
    let mut decoded = Decoded::default();
    let mut batch = Batch::new(slots, b"constants");
    let (mut read, mut given) = (0, 0);
    for (i, &cut) in cuts.iter().chain([&text.len()]).enumerate() {
        given = cut.max(given);
        let last = i == cuts.len();
        loop {
            let mut unreadable = Vec::new();
            batch.clear();
            let block = batch.store(&text[read..given]);
            let used = decoder.decode(&mut batch, block, last, limit, &mut unreadable);
            decoded.add(&batch, &unreadable);
            read += used;
            if batch.len() < limit {
                break;
            }
        }
    }
    assert_eq!(read, text.len());
    decoded
}

/// All at once.
fn decode(decoder: &mut dyn Decoder, slots: usize, text: &[u8]) -> Decoded {
    feed(decoder, slots, text, &[], usize::MAX)
}

/// Everything that comes in, written again by an encoder of the named fields.
fn rewrite(decoder: &mut dyn Decoder, encoder: &mut dyn Encoder, slots: usize, text: &[u8]) -> Vec<u8> {
    let mut batch = Batch::new(slots, b"");
    let block = batch.store(text);
    decoder.decode(&mut batch, block, true, usize::MAX, &mut Vec::new());
    let mut out = Vec::new();
    encoder.preamble(&mut out);
    for row in 0..batch.len() {
        encoder.encode(&batch, Row(row as u32), &mut out).unwrap();
    }
    out
}

fn view(names: &[&str]) -> View {
    let field = |(i, name): (usize, &&str)| Layer::Field(name.to_string(), Slot(i as u16));
    View { layers: names.iter().enumerate().map(field).collect() }
}

#[test]
fn text_is_a_line() {
    let wanted = wanted(&["line", "line.x", "other"], true);
    let decoded = decode(&mut TextDecoder::new(&wanted), 3, "a\"b\r\n\nü\r\nlast".as_bytes());
    let lines: Vec<&str> = decoded.rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(lines, ["\"a\\\"b\"", "\"\"", "\"ü\"", "\"last\""]);
    assert!(decoded.rows.iter().all(|row| row[1..] == ["null", "null"]));
    assert_eq!(decoded.whole[0], b"{\"line\":\"a\\\"b\"}");
    let decoded = decode(&mut TextDecoder::new(&wanted), 3, b"a\xff\nb");
    assert_eq!((decoded.rejected, decoded.rows.len()), (vec![b"a\xff".to_vec()], 1));
    assert_eq!(decoded.reasons, ["field `line` is not UTF-8"]);
}

#[test]
fn raw_is_bytes() {
    let wanted = wanted(&["payload"], true);
    let decoded = decode(&mut RawDecoder::new(&wanted), 1, b"\xff\xfe\r\n\nx");
    assert_eq!(decoded.rows.len(), 3);
    assert_eq!(decoded.whole[0], b"{\"payload\":\"//4N\"}");
}

#[test]
fn text_and_raw_write_what_they_read() {
    let text = b"one\n\n t\"wo\n";
    let mut encoder = TextEncoder::new(&view(&["line"]));
    assert_eq!(rewrite(&mut TextDecoder::new(&wanted(&["line"], false)), &mut encoder, 1, text), text);
    let bytes = b"\xff\r\n\x00\n";
    let mut encoder = RawEncoder::new(&view(&["payload"]));
    assert_eq!(rewrite(&mut RawDecoder::new(&wanted(&["payload"], false)), &mut encoder, 1, bytes), bytes);
    let mut encoder = RawEncoder::new(&View { layers: vec![Layer::Raw] });
    let decoder = &mut json::JsonDecoder::new(json::JsonInput::default(), &wanted(&[], true));
    let out = rewrite(
        decoder,
        &mut encoder,
        0,
        b"{\"payload\":\"a\\nb\"}\n{\"payload\":1e999}\n{\"payload\":[1, 2]}",
    );
    assert_eq!(out, b"a\nb\n1e999\n[1, 2]\n");
}

#[test]
fn null_cannot_be_written_as_text() {
    let mut batch = Batch::new(1, b"");
    let row = batch.push_row(crate::time::Timestamp::MIN, crate::time::Timestamp::MIN);
    let mut out = Vec::new();
    let error = TextEncoder::new(&view(&["line"])).encode(&batch, row, &mut out).unwrap_err();
    assert_eq!(error.text, "format `text` writes the field `line`, which is null");
    assert!(RawEncoder::new(&view(&["line"])).encode(&batch, row, &mut out).is_err());
    assert!(out.is_empty());
    batch.set(row, Slot(0), Value::bool(true));
    TextEncoder::new(&view(&["line"])).encode(&batch, row, &mut out).unwrap();
    assert_eq!(out, b"true\n");
}

fn regex(pattern: &str, types: &[(&str, FieldType)], wanted: &Wanted) -> Result<RegexDecoder, String> {
    let types = types.iter().map(|(name, kind)| (name.to_string(), *kind)).collect();
    RegexDecoder::new(&RegexOptions { pattern: pattern.to_owned(), types }, wanted)
}

#[test]
fn groups_are_fields() {
    let wanted = wanted(&["status", "ip", "user"], true);
    let pattern = r"^(?<ip>\S+) (?:(?<user>\w+) )?(?<status>\d+)$";
    let mut decoder = regex(pattern, &[("status", FieldType::Int)], &wanted).unwrap();
    let decoded = decode(&mut decoder, 3, b"::1 bob 200\r\n::2 404\nno\n::3 99999999999999999999\n\xff 1");
    assert_eq!(decoded.rows, [["200", "\"::1\"", "\"bob\""], ["404", "\"::2\"", "null"]]);
    assert_eq!(decoded.whole[1], b"{\"ip\":\"::2\",\"user\":null,\"status\":404}");
    let reasons = [
        "the line does not match the expression",
        "field `status`: `99999999999999999999` is no 64-bit integer",
        "the line is not UTF-8",
    ];
    assert_eq!(decoded.reasons, reasons);
}

#[test]
fn expressions_are_checked() {
    let error = |pattern, types: &[_]| regex(pattern, types, &Wanted::default()).err().unwrap();
    assert!(error("(", &[]).contains("unclosed group"));
    assert_eq!(error("a", &[]), "the expression has no named group such as `(?<name>…)`");
    let unknown = error("(?<a>.)", &[("b", FieldType::Int)]);
    assert_eq!(unknown, "`types` names `b`, but there is no such column");
}

#[test]
fn unneeded_types_are_not_judged() {
    let mut decoder = regex("(?<a>.)(?<b>.)", &[("a", FieldType::Int)], &wanted(&["b"], false)).unwrap();
    assert_eq!(decode(&mut decoder, 1, b"xy").rows, [["\"y\""]]);
}

#[test]
fn whole_events_of_any_format_are_json() {
    let wanted = wanted(&[], true);
    let mut encoder = JsonEncoder::new(JsonOutput::default(), &View { layers: vec![Layer::Raw] });
    let out = rewrite(&mut TextDecoder::new(&wanted), &mut encoder, 0, b"a\nb");
    assert_eq!(out, b"{\"line\":\"a\"}\n{\"line\":\"b\"}\n");
}

proptest! {
    #[test]
    fn blocks_of_lines_may_end_anywhere(
        text in "[a-c \\r\\n\\xff]{0,40}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        limit in 1..4usize,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).collect();
        cuts.sort();
        let text = text.as_bytes();
        for field in ["line", "payload", "x"] {
            let wanted = wanted(&[field], true);
            let decoder = || -> Box<dyn Decoder> {
                match field {
                    "line" => Box::new(TextDecoder::new(&wanted)),
                    "payload" => Box::new(RawDecoder::new(&wanted)),
                    _ => Box::new(regex("^(?<x>a+)", &[], &wanted).unwrap()),
                }
            };
            let whole = decode(&mut *decoder(), 1, text);
            prop_assert_eq!(whole, feed(&mut *decoder(), 1, text, &cuts, limit));
        }
    }
}
