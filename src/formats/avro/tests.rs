use super::*;

const READING: &str = r#"{
    "type": "record", "name": "Reading", "namespace": "plant",
    "fields": [
        { "name": "device", "type": "string" },
        { "name": "at", "type": { "type": "long", "logicalType": "timestamp-micros" } },
        { "name": "value", "type": ["null", "double"], "default": null },
        { "name": "state", "type": { "type": "enum", "name": "State", "symbols": ["ok", "broken"] } },
        { "name": "tags", "type": { "type": "map", "values": "int" } },
        { "name": "parts", "type": { "type": "array", "items": "plant.State" } },
        { "name": "price", "type": { "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2 } },
        { "name": "id", "type": { "type": "fixed", "name": "Id", "size": 2 } },
        { "name": "before", "type": ["null", "Reading"] }
    ]
}"#;

const EVENT: &str = r#"{"device":"ä","at":1700000000123,"value":1.5,"state":"broken","tags":{"a":-1},"parts":["ok","broken"],"price":-12.34,"id":"AQI=","before":{"device":"","at":0,"value":null,"state":"ok","tags":{},"parts":[],"price":0.0,"id":"AAA=","before":null}}"#;

fn avro(framed: Option<u32>) -> Avro {
    Avro::new(Schema::parse(READING).unwrap(), framed).unwrap()
}

#[test]
fn what_was_written_is_read() {
    for framed in [None, Some(258)] {
        let avro = avro(framed);
        let (mut bytes, mut text) = (Vec::new(), Vec::new());
        avro.write(EVENT.as_bytes(), &mut bytes).unwrap();
        assert_eq!(bytes.starts_with(&[0, 0, 0, 1, 2]), framed.is_some());
        avro.to_json(&bytes, &mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), EVENT);
        // In a sequence each ends where the next begins, and a part of one is none yet.
        let twice = [bytes.clone(), bytes.clone()].concat();
        assert_eq!(avro.next(&twice).unwrap(), Some((0..bytes.len(), bytes.len())));
        (0..bytes.len()).for_each(|end| assert_eq!(avro.next(&bytes[..end]).unwrap(), None, "{end}"));
    }
}

/// The example of the specification: an array of longs in a block with its size.
#[test]
fn values_are_as_the_specification_has_them() {
    let schema = r#"{ "type": "record", "name": "T", "fields": [
        { "name": "a", "type": "long" }, { "name": "b", "type": "string" },
        { "name": "c", "type": { "type": "array", "items": "long" } },
        { "name": "d", "type": "float" }, { "name": "e", "type": "boolean" } ] }"#;
    let avro = Avro::new(Schema::parse(schema).unwrap(), None).unwrap();
    let bytes =
        [&[0x36, 0x06][..], b"foo", &[0x03, 0x04, 0x06, 0x36, 0x00], &1.5f32.to_le_bytes(), &[1]].concat();
    let mut text = Vec::new();
    avro.to_json(&bytes, &mut text).unwrap();
    assert_eq!(text, br#"{"a":27,"b":"foo","c":[3,27],"d":1.5,"e":true}"#);
}

#[test]
fn what_does_not_fit_is_told() {
    let avro = avro(None);
    let refusal = |event: &str| avro.write(event.as_bytes(), &mut Vec::new()).unwrap_err();
    assert_eq!(refusal("{}"), "`device`: the schema wants text, not null");
    assert_eq!(
        refusal(&EVENT.replace("\"broken\",\"tags", "\"bad\",\"tags")),
        "`state`: the schema wants one of its symbols, not \"bad\""
    );
    assert_eq!(
        refusal(&EVENT.replace("\"a\":-1", "\"a\":true")),
        "`tags.a`: the schema wants an integer, not true"
    );
    assert_eq!(refusal(&EVENT.replace("\"device\":\"ä\"", "\"x\":1")), "the schema has no field `x`");
    assert!(avro.to_json(&[0xff; 12], &mut Vec::new()).unwrap_err().contains("beyond 64 bits"));
    assert!(avro.to_json(b"\x02a", &mut Vec::new()).unwrap_err().contains("end within"));
    for (schema, why) in [
        ("[", "no JSON"),
        ("\"long\"", "`\"type\": \"record\"`"),
        (
            r#"{"type":"record","name":"A","fields":[{"name":"x","type":"y"}]}"#,
            "field `x`: there is no type `y`",
        ),
    ] {
        let found = Schema::parse(schema).and_then(|schema| Avro::new(schema, None).map(|_| ()));
        assert!(found.as_ref().is_err_and(|found| found.contains(why)), "{schema}: {found:?}");
    }
}

#[test]
fn a_value_within_itself_ends() {
    let schema = r#"{"type":"record","name":"A","fields":[{"name":"a","type":["null","A"]}]}"#;
    let avro = Avro::new(Schema::parse(schema).unwrap(), None).unwrap();
    assert!(avro.to_json(&[2; 100_000], &mut Vec::new()).unwrap_err().contains("too deep"));
    // Nothing takes no bytes, so that there could be any number of it.
    let schema =
        r#"{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}"#;
    let avro = Avro::new(Schema::parse(schema).unwrap(), None).unwrap();
    let many = [0xfe, 0xff, 0xff, 0xff, 0x7f, 0];
    assert!(avro.to_json(&many, &mut Vec::new()).unwrap_err().contains("too long"));
    // Nor may a few bytes become any number of them by way of a type.
    let fields: Vec<String> =
        (0..100).map(|n| format!(r#"{{"name":"{}{n}","type":"null"}}"#, "x".repeat(1000))).collect();
    let schema = format!(
        r#"{{"type":"record","name":"A","fields":[{{"name":"a","type":{{"type":"array","items":
            {{"type":"record","name":"B","fields":[{}]}}}}}}]}}"#,
        fields.join(",")
    );
    let avro = Avro::new(Schema::parse(&schema).unwrap(), None).unwrap();
    let mut text = Vec::new();
    // 100,000 of them, each 100 kB.
    assert!(avro.to_json(&[0xc0, 0x9a, 0x0c, 0], &mut text).unwrap_err().contains("too long"));
    assert!(text.len() < 80 << 20);
}
