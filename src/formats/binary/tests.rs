use super::*;
use crate::event::{Batch, Layer, Row, Slot, Value, View};
use crate::formats::json::{JsonDecoder, JsonInput};
use crate::formats::tests::{Decoded, feed, wanted};
use crate::formats::{Decoder, Encoder, Wanted};
use crate::time::Timestamp;
use proptest::prelude::*;

fn decode<N: Notation>(wanted: &Wanted, bytes: &[u8]) -> Decoded {
    feed(&mut BinaryDecoder::<N>::new(wanted), wanted.fields.len(), bytes, &[], usize::MAX)
}

fn message<N: Notation>(wanted: &Wanted, bytes: &[u8]) -> Decoded {
    feed(&mut BinaryDecoder::<N>::of_messages(wanted), wanted.fields.len(), bytes, &[], usize::MAX)
}

/// The value as the field `v` of a map, read: the cell, and the whole event.
fn value<N: Notation>(map: &[u8], bytes: &[u8]) -> Result<(String, String), String> {
    let decoded = decode::<N>(&wanted(&["v"], true), &[map, bytes].concat());
    match (decoded.rows.first(), decoded.reasons.first()) {
        (Some(row), None) => Ok((row[0].clone(), String::from_utf8(decoded.whole[0].clone()).unwrap())),
        (None, Some(reason)) => Err(reason.clone()),
        other => panic!("{other:?}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// What is read of hexadecimal bytes, where it is no error: the cell, and how it stands in JSON.
fn each<N: Notation>(map: &[u8], cases: &[(&str, &str, &str)]) {
    for (bytes, cell, json) in cases {
        let (found, whole) = value::<N>(map, &hex(bytes)).unwrap();
        assert_eq!((found.as_str(), whole), (*cell, format!("{{\"v\":{json}}}")), "{bytes}");
    }
}

#[test]
fn messagepack_is_read_as_its_specification_says() {
    let map = &[0x81, 0xa1, b'v'];
    each::<Msgpack>(
        map,
        &[
            ("7f", "127", "127"),
            ("e0", "-32", "-32"),
            ("c0", "null", "null"),
            ("c3", "true", "true"),
            ("a3 61 22 62", r#""a\"b""#, r#""a\"b""#),
            ("d9 01 61", "\"a\"", "\"a\""),
            ("c4 02 ff 00", "\\xff\\x00", "\"/wA=\""),
            ("c7 02 05 ff 00", "\\xff\\x00", "\"/wA=\""),
            ("cb 3ff8000000000000", "1.5", "1.5"),
            ("ca 3fc00000", "1.5", "1.5"),
            ("cd ffff", "65535", "65535"),
            ("cf 7fffffffffffffff", "9223372036854775807", "9223372036854775807"),
            ("cf ffffffffffffffff", "1.8446744073709552e19", "1.8446744073709552e+19"),
            ("d3 8000000000000000", "-9223372036854775808", "-9223372036854775808"),
            ("92 01 81 05 a1 78", "[1,{\"5\":\"x\"}]", "[1,{\"5\":\"x\"}]"),
            ("d6 ff 00000001", "@1000", "1000"),
            ("d7 ff ee6b27fc 00000001", "@1999", "1999"),
            ("c7 0c ff 3b9ac9ff ffffffffffffffff", "@-1", "-1"),
            ("80", "{}", "{}"),
        ],
    );
    let errors = [
        ("cb 7ff8000000000000", "a number is infinite or none at all (NaN)"),
        ("a1 ff", "a text is not UTF-8"),
        ("81 c0 01", "a key is neither text nor an integer"),
        ("c7 0c ff ffffffff 0000000000000000", "a time out of range"),
        ("d4 ff 00", "a timestamp that is neither 4, 8 nor 12 bytes long"),
        ("c1", "no MessagePack: the byte 0xc1, which is never used; what follows cannot be read"),
        ("db ffffffff", "no MessagePack: a text or bytes longer than 16 MiB; what follows cannot be read"),
    ];
    for (bytes, reason) in errors {
        assert_eq!(value::<Msgpack>(map, &hex(bytes)), Err(reason.to_owned()), "{bytes}");
    }
}

#[test]
fn cbor_is_read_as_its_specification_says() {
    let map = &[0xa1, 0x61, b'v'];
    // From appendix A of RFC 8949.
    each::<Cbor>(
        map,
        &[
            ("17", "23", "23"),
            ("1b 000000e8d4a51000", "1000000000000", "1000000000000"),
            ("1b ffffffffffffffff", "1.8446744073709552e19", "1.8446744073709552e+19"),
            ("c2 49 010000000000000000", "1.8446744073709552e19", "1.8446744073709552e+19"),
            ("c3 49 010000000000000000", "-1.8446744073709552e19", "-1.8446744073709552e+19"),
            ("c2 41 05", "5", "5"),
            ("3b ffffffffffffffff", "-1.8446744073709552e19", "-1.8446744073709552e+19"),
            ("38 63", "-100", "-100"),
            ("f9 8000", "-0.0", "-0.0"),
            ("f9 3c00", "1.0", "1.0"),
            ("f9 7bff", "65504.0", "65504.0"),
            ("f9 0001", "5.960464477539063e-8", "5.960464477539063e-8"),
            ("f9 c400", "-4.0", "-4.0"),
            ("fb 3ff199999999999a", "1.1", "1.1"),
            ("f4", "false", "false"),
            ("f7", "null", "null"),
            ("c0 74 323031332d30332d32315432303a30343a30305a", "@1363896240000", "1363896240000"),
            ("c1 1a 514b67b0", "@1363896240000", "1363896240000"),
            ("c1 fb 41d452d9ec200000", "@1363896240500", "1363896240500"),
            ("c1 fb 3ff0041893 74bc6a", "@1001", "1001"),
            ("d8 20 61 61", "\"a\"", "\"a\""),
            ("44 01020304", "\\x01\\x02\\x03\\x04", "\"AQIDBA==\""),
            ("62 c3bc", "\"ü\"", "\"ü\""),
            ("83 01 82 02 03 82 04 05", "[1,[2,3],[4,5]]", "[1,[2,3],[4,5]]"),
            ("5f 42 0102 43 030405 ff", "\\x01\\x02\\x03\\x04\\x05", "\"AQIDBAU=\""),
            ("7f 65 7374726561 64 6d696e67 ff", "\"streaming\"", "\"streaming\""),
            ("9f 01 82 02 03 9f 04 05 ff ff", "[1,[2,3],[4,5]]", "[1,[2,3],[4,5]]"),
            ("bf 61 61 01 61 62 9f 02 03 ff ff", "{\"a\":1,\"b\":[2,3]}", "{\"a\":1,\"b\":[2,3]}"),
            ("a2 01 02 20 04", "{\"1\":2,\"-1\":4}", "{\"1\":2,\"-1\":4}"),
        ],
    );
    let errors = [
        ("f9 7c00", "a number is infinite or none at all (NaN)"),
        ("f0", "a simple value without a meaning"),
        ("c0 61 61", "a time that is not written by RFC 3339"),
        ("a1 f5 01", "a key is neither text nor an integer"),
        ("1c", "no CBOR: a length that is not defined; what follows cannot be read"),
        ("1f", "no CBOR: an indefinite length where there is none; what follows cannot be read"),
        ("ff", "no CBOR: a break where there is nothing to end; what follows cannot be read"),
        ("bf 01 ff", "no CBOR: a break where there is nothing to end; what follows cannot be read"),
        ("7f 01 ff", "no CBOR: a piece of text or bytes that is something else; what follows cannot be read"),
    ];
    for (bytes, reason) in errors {
        assert_eq!(value::<Cbor>(map, &hex(bytes)), Err(reason.to_owned()), "{bytes}");
    }
}

#[test]
fn a_sequence_is_events_and_what_is_none_is_refused_alone() {
    let wanted = wanted(&["a", "b.c", "l[1]", "l[1].x", "a.z"], false);
    // {a: 1, b: {c: 2}, b: 3}, 5, [{a: 4}, 6, {}], {l: [7, {x: 8}]}, {a: text that is none}, {b: {c: 9}}
    let bytes = hex("83 a161 01 a162 81 a163 02 a162 03  05  93 81 a161 04 06 80  81 a16c 92 07 81 a178 08
        81 a161 a1ff  81 a162 81 a163 09");
    let decoded = decode::<Msgpack>(&wanted, &bytes);
    let rows = [
        ["1", "null", "null", "null", "null"],
        ["4", "null", "null", "null", "null"],
        ["null", "null", "null", "null", "null"],
        ["null", "null", "{\"x\":8}", "8", "null"],
        ["null", "9", "null", "null", "null"],
    ];
    assert_eq!(decoded.rows, rows);
    assert_eq!(decoded.reasons, ["the value is no map", "the value is no map", "a text is not UTF-8"]);
    assert_eq!(decoded.rejected, [hex("05"), hex("06"), hex("81 a161 a1ff")]);
}

#[test]
fn what_is_not_read_is_not_judged() {
    let decoded = decode::<Msgpack>(&wanted(&["a"], false), &hex("82 a161 01 a162 a1ff"));
    assert_eq!(decoded.rows, [["1"]]);
}

#[test]
fn where_records_end_is_lost_once() {
    let wanted = wanted(&["a"], false);
    let decoded = decode::<Msgpack>(&wanted, &hex("81 a161 01 c1 81 a161 02"));
    assert_eq!((decoded.rows.len(), decoded.reasons.len()), (1, 1));
    let decoded = decode::<Cbor>(&wanted, &hex("a1 6161 01 a1 6161"));
    assert_eq!(decoded.rows.len(), 1);
    assert_eq!(decoded.reasons, ["no CBOR: it ends within a value; what follows cannot be read"]);
    let deep = vec![0x91; 200];
    let reason = "no MessagePack: lists and maps nested too deep; what follows cannot be read";
    assert_eq!(decode::<Msgpack>(&wanted, &deep).reasons, [reason]);
}

#[test]
fn a_message_is_one_value() {
    let wanted = wanted(&["a"], false);
    assert_eq!(message::<Msgpack>(&wanted, &hex("81 a161 01")).rows, [["1"]]);
    assert_eq!(message::<Msgpack>(&wanted, &hex("92 81 a161 01 81 a161 02")).rows, [["1"], ["2"]]);
    let reasons = message::<Msgpack>(&wanted, &hex("81 a161 01 c0")).reasons;
    assert_eq!(reasons, ["the message is no MessagePack: bytes stand behind the value"]);
    let mut decoder = BinaryDecoder::<Cbor>::of_messages(&wanted);
    assert_eq!(feed(&mut decoder, 1, b"\x1f", &[], 9).rows.len(), 0);
    assert_eq!(feed(&mut decoder, 1, &hex("a1 6161 01"), &[], 9).rows, [["1"]], "each message starts anew");
}

#[test]
fn kinds_survive_writing() {
    let mut batch = Batch::new(5, b"");
    let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
    let bytes = batch.store(b"\xff");
    let list = batch.store(br#"[1, {"a\n": "b"}, 1.5, null]"#);
    let cells = [
        Value::timestamp(-1),
        Value::bytes(bytes),
        Value::json(list),
        Value::int(i64::MIN),
        Value::timestamp(1 << 43),
    ];
    cells.into_iter().enumerate().for_each(|(i, cell)| batch.set(row, Slot(i as u16), cell));
    batch.raw[0] = batch.store(br#"{"a":1,"gone":2}"#);
    let names = ["a", "b", "c", "d", "e"];
    let fields = names.iter().enumerate().map(|(i, n)| Layer::Field(n.to_string(), Slot(i as u16)));
    let known = View { layers: fields.clone().collect() };
    let gone = [Layer::Without("gone".to_owned())];
    let open = View { layers: [Layer::Raw].into_iter().chain(gone).chain(fields).collect() };
    let expected =
        ["@-1", "\\xff", "[1,{\"a\\n\":\"b\"},1.5,null]", "-9223372036854775808", "@8796093022208"];
    for view in [known, open] {
        let (mut msgpack, mut cbor) = (Vec::new(), Vec::new());
        BinaryEncoder::<Msgpack>::new(&view).encode(&batch, row, &mut msgpack).unwrap();
        BinaryEncoder::<Cbor>::new(&view).encode(&batch, row, &mut cbor).unwrap();
        let wanted = wanted(&names, true);
        let (msgpack, cbor) = (decode::<Msgpack>(&wanted, &msgpack), decode::<Cbor>(&wanted, &cbor));
        assert_eq!(msgpack.rows, [expected]);
        assert_eq!(cbor, msgpack);
        assert!(msgpack.whole[0].starts_with(b"{\"a\":-1,\"b\":"));
    }
}

#[test]
fn a_number_that_no_float_holds_cannot_be_written() {
    let mut batch = Batch::new(0, b"");
    let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
    batch.raw[0] = batch.store(b"{\"a\":[1e999]}");
    let mut out = b"before".to_vec();
    let mut encoder = BinaryEncoder::<Cbor>::new(&View { layers: vec![Layer::Raw] });
    let reason = encoder.encode(&batch, row, &mut out).unwrap_err();
    assert_eq!(reason.text, "a number is out of the range of 64-bit floats");
    assert_eq!(out, b"before");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        (-300i64..300).prop_map(serde_json::Value::from),
        prop::num::f64::NORMAL.prop_map(serde_json::Value::from),
        "\\PC{0,40}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..20)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Lines of JSON, written again by an encoder.
fn rewrite(encoder: &mut dyn Encoder, text: &str) -> Vec<u8> {
    let mut batch = Batch::new(0, b"");
    let block = batch.store(text.as_bytes());
    let wanted = Wanted { fields: Vec::new(), whole: true };
    let mut decoder = JsonDecoder::new(JsonInput::default(), &wanted);
    decoder.decode(&mut batch, block, true, usize::MAX, &mut Vec::new());
    let mut out = Vec::new();
    (0..batch.len()).for_each(|row| encoder.encode(&batch, Row(row as u32), &mut out).unwrap());
    out
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        events in prop::collection::vec(prop::collection::btree_map("[a-d]", json(), 0..5), 0..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        limit in 1..4usize,
    ) {
        let lines: String = events.iter().map(|e| serde_json::to_string(e).unwrap() + "\n").collect();
        let view = View { layers: vec![Layer::Raw] };
        let wanted = wanted(&["a", "b.a", "c[0]", "d"], true);
        let input = JsonInput::default();
        let expected = feed(&mut JsonDecoder::new(input, &wanted), 4, lines.as_bytes(), &[], usize::MAX);
        let mut written = [Vec::new(), Vec::new()];
        written[0] = rewrite(&mut BinaryEncoder::<Msgpack>::new(&view), &lines);
        written[1] = rewrite(&mut BinaryEncoder::<Cbor>::new(&view), &lines);
        for (i, bytes) in written.iter().enumerate() {
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
            cuts.sort();
            let mut decoder: Box<dyn Decoder> = match i {
                0 => Box::new(BinaryDecoder::<Msgpack>::new(&wanted)),
                _ => Box::new(BinaryDecoder::<Cbor>::new(&wanted)),
            };
            let decoded = feed(&mut *decoder, 4, bytes, &cuts, limit);
            prop_assert_eq!(&decoded.rows, &expected.rows);
            prop_assert_eq!(decoded.reasons.len(), 0);
            for (whole, expected) in decoded.whole.iter().zip(&events) {
                let whole: serde_json::Value = serde_json::from_slice(whole).unwrap();
                prop_assert_eq!(whole, serde_json::to_value(expected).unwrap());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
        cuts.sort();
        let wanted = wanted(&["a", "b.a", "a[1]"], true);
        let whole = decode::<Msgpack>(&wanted, &bytes);
        let pieces = feed(&mut BinaryDecoder::<Msgpack>::new(&wanted), 3, &bytes, &cuts, 2);
        prop_assert_eq!((whole.rows, whole.reasons), (pieces.rows, pieces.reasons));
        let whole = decode::<Cbor>(&wanted, &bytes);
        let pieces = feed(&mut BinaryDecoder::<Cbor>::new(&wanted), 3, &bytes, &cuts, 2);
        prop_assert_eq!((whole.rows, whole.reasons), (pieces.rows, pieces.reasons));
    }
}
