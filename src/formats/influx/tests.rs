use super::*;
use crate::event::{Batch, Layer, Row, Slot, Value, View};
use crate::formats::tests::{Decoded, feed, wanted};
use crate::formats::{Encoder, Wanted};
use crate::time::Timestamp;
use proptest::prelude::*;

fn decode(wanted: &Wanted, text: &str) -> Decoded {
    let mut decoder = InfluxDecoder::new(&InfluxOptions::default(), wanted);
    feed(&mut decoder, wanted.fields.len(), text.as_bytes(), &[], usize::MAX)
}

fn whole(text: &str) -> String {
    let decoded = decode(&wanted(&[], true), text);
    assert_eq!(decoded.reasons.len(), 0, "{:?}", decoded.reasons);
    String::from_utf8(decoded.whole.join(&b'\n')).unwrap()
}

#[test]
fn a_line_is_measurement_tags_fields_and_time() {
    let text = "# a comment\n\n  weather,location=us-midwest,season=summer temperature=82,n=5i,u=7u,\
        ok=T,note=\"too \\\"hot\\\" \\x\" 1465839830100400200\r\n";
    let expected = "{\"measurement\":\"weather\",\"location\":\"us-midwest\",\"season\":\"summer\",\
        \"temperature\":82.0,\"n\":5,\"u\":7,\"ok\":true,\"note\":\"too \\\"hot\\\" \\\\x\",\"time\":1465839830100}";
    assert_eq!(whole(text), expected);
    let wanted = wanted(&["time", "season", "n", "measurement", "n.x"], false);
    let rows = decode(&wanted, text).rows;
    assert_eq!(rows, [["@1465839830100", "\"summer\"", "5", "\"weather\"", "null"]]);
    assert_eq!(whole("m v=-1.5e2"), "{\"measurement\":\"m\",\"v\":-150.0,\"time\":null}");
    assert_eq!(whole("m v=1 -1"), "{\"measurement\":\"m\",\"v\":1.0,\"time\":-1}");
}

#[test]
fn names_have_escapes_of_their_own() {
    let text = r#"my\ m\,x=,tag\ a\=b=c\,\ d\e f\,g="a\\b,c d" "#;
    let expected = r#"{"measurement":"my m,x=","tag a=b":"c, d\\e","f,g":"a\\b,c d","time":null}"#;
    assert_eq!(whole(text), expected);
    // Of one name the last wins.
    assert_eq!(whole("m,a=1 a=2,a=3i"), r#"{"measurement":"m","a":3,"time":null}"#);
}

#[test]
fn what_is_no_line_is_refused_alone() {
    let reasons = [
        ("m", "the fields are missing"),
        ("m,a v=1", "a name has no value"),
        ("m,a= v=1", "a name or value is empty"),
        ("m v=", "a name or value is empty"),
        ("m v=1x", "a value is neither a number, a boolean nor a quoted text"),
        ("m v=nan", "a value is neither a number, a boolean nor a quoted text"),
        ("m v=1e999", "a number is out of range"),
        ("m v=9223372036854775808i", "an integer is out of range"),
        ("m v=-1u", "an unsigned integer is out of range"),
        ("m v=1 noon", "the time is no integer"),
        ("m v=\"a\"b", "something stands behind a value"),
        ("m v=\"a", "a text has no end"),
    ];
    for (line, reason) in reasons {
        let decoded = decode(&wanted(&["v"], false), &format!("{line}\nm v=2i\n"));
        assert_eq!(
            (decoded.reasons, decoded.rejected),
            (vec![reason.to_owned()], vec![line.as_bytes().to_vec()])
        );
        assert_eq!(decoded.rows, [["2"]], "{line}");
    }
    let mut decoder = InfluxDecoder::new(&InfluxOptions::default(), &wanted(&["v"], false));
    let decoded = feed(&mut decoder, 1, b"m\xff v=1\nm v=18446744073709551615u", &[], usize::MAX);
    assert_eq!(decoded.reasons, ["the line is not UTF-8"]);
    assert_eq!(decoded.rows, [["1.8446744073709552e19"]]);
}

#[test]
fn a_text_may_hold_line_ends() {
    let decoded = decode(&wanted(&["a", "b"], false), "m a=\"x\ny=\\\"\n\",b=1i\nm b=2i\n");
    let quotes = decode(&wanted(&["t"], false), "m,t=\"a v=1\nm,t=b\" v=2\n");
    assert_eq!(quotes.rows, [["\"\\\"a\""], ["\"b\\\"\""]]);
    assert_eq!(decoded.rows, [["\"x\\ny=\\\"\\n\"", "1"], ["null", "2"]]);
}

fn written(options: &InfluxOptions, event: &str) -> Result<String, String> {
    let mut batch = Batch::new(0, b"");
    let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
    batch.raw[0] = batch.store(event.as_bytes());
    let mut out = b"before ".to_vec();
    let mut encoder = InfluxEncoder::new(options, &View { layers: vec![Layer::Raw] });
    match encoder.encode(&batch, row, &mut out) {
        Ok(()) => Ok(String::from_utf8(out[7..].to_vec()).unwrap()),
        Err(reason) => {
            assert_eq!(out, b"before ");
            Err(reason.text.into_owned())
        }
    }
}

#[test]
fn events_are_written_as_lines() {
    let options = InfluxOptions {
        precision: Precision::Seconds,
        measurement: Measurement::Fixed("my weather".to_owned()),
        tags: vec!["b".to_owned(), "a b".to_owned(), "gone".to_owned(), "empty".to_owned()],
    };
    let event =
        r#"{"a b":"x=,","t":1.0,"n":null,"s":"a\"\\\n","b":7,"i":-3,"ok":true,"empty":"","time":1999}"#;
    let line = "my\\ weather,b=7,a\\ b=x\\=\\, t=1.0,s=\"a\\\"\\\\\n\",i=-3i,ok=true 1\n";
    assert_eq!(written(&options, event).as_deref(), Ok(line));
    let reasons = [
        (r#"{"v":1}"#, "the measurement is null or empty"),
        (r##"{"measurement":"#a","v":1}"##, "a measurement that starts with `#` would be a comment"),
        (r#"{"measurement":"a"}"#, "line protocol needs a field that is neither tag, time nor null"),
        (r#"{"measurement":"a","v":[1]}"#, "field `v` is a list or map, which line protocol cannot write"),
        (r#"{"measurement":"a","v":1,"time":"x"}"#, "field `time` is no time"),
        (r#"{"measurement":"a","v":1,"time":9223372036854775807}"#, "the time is out of range"),
        (r#"{"measurement":"a","v":1e999}"#, "field `v` is a number out of range"),
        (
            r#"{"measurement":"a\nb","v":1}"#,
            "field `measurement` has a line end in a name, tag or measurement",
        ),
        (
            r#"{"measurement":"a","v\\":1}"#,
            "field `v\\` is empty or ends with a backslash, in a name, tag or measurement",
        ),
    ];
    for (event, reason) in reasons {
        assert_eq!(written(&InfluxOptions::default(), event), Err(reason.to_owned()));
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        records in prop::collection::vec(("[a, =]{0,3}[a-c]", "[a-c,= \\\\]{0,3}[xé]", "[a\"\\\\ ,=\n#é]{0,6}", any::<i64>(), any::<i32>()), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        limit in 1..4usize,
    ) {
        let tags = vec!["t,= g".to_owned()];
        let options = InfluxOptions { tags, precision: Precision::Millis, ..InfluxOptions::default() };
        let names = ["measurement", "t,= g", "s = x", "i", "time"];
        let layers = names.iter().enumerate().map(|(i, n)| Layer::Field(n.to_string(), Slot(i as u16)));
        let mut encoder = InfluxEncoder::new(&options, &View { layers: layers.collect() });
        let mut batch = Batch::new(5, b"");
        let mut text = Vec::new();
        let mut expected = Vec::new();
        let quote = |s: &String| serde_json::to_string(s).unwrap();
        for (m, tag, field, int, time) in &records {
            let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
            for (slot, content) in [(Slot(0), m), (Slot(1), tag), (Slot(2), field)] {
                let span = batch.store(content.as_bytes());
                batch.set(row, slot, Value::text(span));
            }
            batch.set(row, Slot(3), Value::int(*int));
            batch.set(row, Slot(4), Value::timestamp((*time).into()));
            encoder.encode(&batch, row, &mut text).unwrap();
            expected.push(vec![quote(m), quote(tag), quote(field), int.to_string(), format!("@{time}")]);
        }
        let wanted = Wanted { fields: names.iter().enumerate().map(|(i, n)| (crate::event::Path::field(*n), Slot(i as u16))).collect(), whole: true };
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).collect();
        cuts.sort();
        let decoded = feed(&mut InfluxDecoder::new(&options, &wanted), 5, &text, &cuts, limit);
        prop_assert_eq!(decoded.reasons, Vec::<String>::new());
        prop_assert_eq!(decoded.rows, expected);
        let _ = Row(0);
    }

    #[test]
    fn blocks_may_end_anywhere(
        text in "(m|[a=,\" \\\\\n1i]){0,60}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        limit in 1..4usize,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).collect();
        cuts.sort();
        let wanted = wanted(&["a", "m"], true);
        let mut decoder = InfluxDecoder::new(&InfluxOptions::default(), &wanted);
        prop_assert_eq!(decode(&wanted, &text), feed(&mut decoder, 2, text.as_bytes(), &cuts, limit));
    }
}
