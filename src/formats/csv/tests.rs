use super::*;
use crate::event::{Batch, Layer, Row, Slot, Value, View};
use crate::formats::tests::{Decoded, feed, wanted};
use crate::formats::{Encoder, Wanted};
use crate::time::Timestamp;
use proptest::prelude::*;

fn decode(options: &CsvOptions, wanted: &Wanted, text: &[u8]) -> Decoded {
    let mut decoder = CsvDecoder::new(options, wanted).unwrap();
    feed(&mut decoder, wanted.fields.len(), text, &[], usize::MAX)
}

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_header_names_the_columns() {
    let text = "\u{feff}a,b,a\r\n1,\"x\n\"\"y\"\"\",\r\n\r\n1,2\n,é,z".as_bytes();
    let decoded = decode(&CsvOptions::default(), &wanted(&["a", "b", "c"], true), text);
    assert_eq!(decoded.rows, [["null", "\"x\\n\\\"y\\\"\"", "null"], ["\"z\"", "\"é\"", "null"]]);
    assert_eq!(decoded.whole[1], "{\"b\":\"é\",\"a\":\"z\"}".as_bytes());
    assert_eq!(decoded.rejected, [b"1,2"]);
    assert_eq!(decoded.reasons, ["expected 3 fields, found 2"]);
}

#[test]
fn messages_have_a_header_each() {
    let wanted = wanted(&["a", "b"], false);
    let mut decoder = CsvDecoder::apart(&CsvOptions::default(), &wanted).unwrap();
    let mut read = |text: &str| feed(&mut decoder, 2, text.as_bytes(), &[], usize::MAX);
    assert_eq!(read("b,a\n1,2\n3,4").rows, [["\"2\"", "\"1\""], ["\"4\"", "\"3\""]]);
    let lone = read("b");
    assert_eq!(lone.rows, Vec::<Vec<String>>::new());
    let reason = "there is a header and no record behind it; without headers: `header: false`";
    assert_eq!((lone.rejected, lone.reasons), (vec![b"b".to_vec()], vec![reason.to_owned()]));
    assert_eq!(read("\u{feff}a\n\"5").rejected.len() + read("\n").reasons.len(), 0);
    assert_eq!(read("a\n6").rows, [["\"6\"", "null"]]);

    let options = CsvOptions { header: false, columns: columns(&["a", "b"]), ..CsvOptions::default() };
    let mut decoder = CsvDecoder::apart(&options, &wanted).unwrap();
    for _ in 0..2 {
        assert_eq!(feed(&mut decoder, 2, b"1,2", &[], usize::MAX).rows, [["\"1\"", "\"2\""]]);
    }
}

#[test]
fn options_say_what_the_header_does_not() {
    let options = CsvOptions {
        header: false,
        delimiter: b';',
        quote: b'\'',
        columns: columns(&["t", "n", "f", "b"]),
        types: vec![
            ("t".to_owned(), FieldType::Timestamp),
            ("n".to_owned(), FieldType::Int),
            ("f".to_owned(), FieldType::Float),
            ("b".to_owned(), FieldType::Bool),
        ],
        null: "-".to_owned(),
    };
    let wanted = wanted(&["t", "n", "f", "b"], false);
    let decoded =
        decode(&options, &wanted, b"1970-01-01T00:00:01Z;'5';1e3;true\n-;-;-;-\n1;x;1;1\n1;1;nan;1\n");
    assert_eq!(decoded.rows, [["@1000", "5", "1000.0", "true"], ["null", "null", "null", "null"]]);
    assert_eq!(
        decoded.reasons,
        ["field `n`: `x` is no 64-bit integer", "field `f`: `nan` is no finite number"]
    );
    let renamed = CsvOptions { header: true, ..options };
    assert_eq!(decode(&renamed, &wanted, b"a;b;c;d\n1;2;3;0\n").rows, [["@1", "2", "3.0", "false"]]);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let error = |options: CsvOptions| CsvDecoder::new(&options, &Wanted::default()).err().unwrap();
    let no_header = CsvOptions { header: false, ..CsvOptions::default() };
    assert_eq!(error(no_header), "format `csv` without a header needs `columns`");
    let same = CsvOptions { delimiter: b'"', ..CsvOptions::default() };
    assert_eq!(error(same), "`delimiter` and `quote` must differ and be no line ends");
    let types = vec![("b".to_owned(), FieldType::Int)];
    let unknown = CsvOptions { columns: columns(&["a"]), types: types.clone(), ..CsvOptions::default() };
    assert_eq!(error(unknown), "`types` names `b`, but there is no such column");
    let decoded = decode(&CsvOptions { types, ..CsvOptions::default() }, &wanted(&["a"], false), b"a\n1\n");
    assert_eq!(decoded.rejected, [b"a", b"1"]);
}

#[test]
fn a_record_that_is_too_long_is_rejected_however_it_comes() {
    let long = format!("\"{}", "x,\n".repeat(crate::formats::lines::MAX_RECORD / 3 + 100));
    let text = format!("a\n1\n{long}\n2\n");
    let wanted = wanted(&["a"], false);
    let whole = decode(&CsvOptions::default(), &wanted, text.as_bytes());
    assert_eq!(whole.reasons[0], "the record is longer than 16 MiB; only its start is kept");
    assert_eq!(whole.rows.last().unwrap(), &["\"2\""]);
    let cuts: Vec<usize> = (1..9).map(|i| i * 2_000_000).collect();
    let mut decoder = CsvDecoder::new(&CsvOptions::default(), &wanted).unwrap();
    assert_eq!(whole, feed(&mut decoder, 1, text.as_bytes(), &cuts, usize::MAX));
}

#[test]
fn fields_are_quoted_where_they_have_to_be() {
    let mut batch = Batch::new(3, b"");
    let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
    let text = batch.store(b"a,\"b\"\n");
    batch.set(row, Slot(0), Value::text(text));
    batch.set(row, Slot(1), Value::text(Default::default()));
    let layers = vec![
        Layer::Field("x,y".to_owned(), Slot(0)),
        Layer::Field("empty".to_owned(), Slot(1)),
        Layer::Field("null".to_owned(), Slot(2)),
    ];
    let mut encoder = CsvEncoder::new(&CsvOptions::default(), &View { layers }).unwrap();
    let mut out = Vec::new();
    encoder.preamble(&mut out);
    encoder.encode(&batch, row, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "\"x,y\",empty,null\n\"a,\"\"b\"\"\n\",\"\",\n");
}

#[test]
fn columns_choose_from_events_of_any_form() {
    let mut batch = Batch::new(1, b"");
    let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
    batch.raw[0] = batch.store(br#"{"a":"x\u0041","b":[1, 2],"c":1,"gone":1}"#);
    let map = batch.store(br#"{"c":null}"#);
    batch.set(row, Slot(0), Value::json(map));
    let view = View { layers: vec![Layer::Raw, Layer::Merge(Slot(0)), Layer::Without("gone".to_owned())] };
    assert!(CsvEncoder::new(&CsvOptions::default(), &view).is_err());
    let options = CsvOptions {
        columns: columns(&["b", "a", "c", "gone"]),
        null: "NULL".to_owned(),
        ..CsvOptions::default()
    };
    let mut out = Vec::new();
    CsvEncoder::new(&options, &view).unwrap().encode(&batch, Row(0), &mut out).unwrap();
    assert_eq!(out, b"\"[1, 2]\",xA,NULL,NULL\n");
}

proptest! {
    #[test]
    fn blocks_may_end_anywhere(
        text in "(\u{feff})?([ab,\"\r\n]|é){0,60}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        limit in 1..4usize,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).collect();
        cuts.sort();
        let wanted = wanted(&["a", "b", ""], true);
        let whole = decode(&CsvOptions::default(), &wanted, text.as_bytes());
        let mut decoder = CsvDecoder::new(&CsvOptions::default(), &wanted).unwrap();
        prop_assert_eq!(whole, feed(&mut decoder, 3, text.as_bytes(), &cuts, limit));
    }

    #[test]
    fn what_is_written_reads_back(records in prop::collection::vec(("[ab,\"\r\n;é]{0,6}", "\\PC{0,6}"), 0..6)) {
        let options = CsvOptions { null: "\u{0}".to_owned(), ..CsvOptions::default() };
        let layers = ["a", "b"].iter().enumerate().map(|(i, n)| Layer::Field(n.to_string(), Slot(i as u16)));
        let mut encoder = CsvEncoder::new(&options, &View { layers: layers.collect() }).unwrap();
        let mut batch = Batch::new(2, b"");
        let mut text = Vec::new();
        encoder.preamble(&mut text);
        for (a, b) in &records {
            let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
            for (slot, field) in [(Slot(0), a), (Slot(1), b)] {
                let span = batch.store(field.as_bytes());
                batch.set(row, slot, Value::text(span));
            }
            encoder.encode(&batch, row, &mut text).unwrap();
        }
        let decoded = decode(&options, &wanted(&["a", "b"], false), &text);
        let quote = |s: &String| serde_json::to_string(s).unwrap();
        let expected: Vec<Vec<String>> = records.iter().map(|(a, b)| vec![quote(a), quote(b)]).collect();
        prop_assert_eq!(decoded.rows, expected);
    }
}
