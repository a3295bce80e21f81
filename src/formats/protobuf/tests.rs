use super::*;

/// What `protoc` made of the schema of the examples.
const DESCRIPTORS: &[u8] = include_bytes!("../../../pipelines/schemas/plant.pb");

fn reading() -> Protobuf {
    Protobuf::new(DESCRIPTORS, "plant.v1.Reading").unwrap()
}

const EVENT: &str = r#"{"device":"ä","ts":9007199254740993,"celsius":1.5,"state":"BROKEN","tags":["a","b"],"note":"","calibrated":"2024-01-02T03:04:05.006Z"}"#;

#[test]
fn what_was_written_is_read() {
    let reading = reading();
    let (mut bytes, mut text) = (Vec::new(), Vec::new());
    reading.write(EVENT.as_bytes(), &mut bytes).unwrap();
    reading.to_json(&bytes, &mut text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), EVENT);
    let mut sequence = Vec::new();
    reading.write_in_sequence(EVENT.as_bytes(), &mut sequence).unwrap();
    let (record, behind) = reading.next(&sequence).unwrap().unwrap();
    assert_eq!((&sequence[record], behind), (&bytes[..], sequence.len()));
    (0..sequence.len()).for_each(|end| assert_eq!(reading.next(&sequence[..end]).unwrap(), None, "{end}"));
}

#[test]
fn what_is_not_set_is_its_default() {
    let mut text = Vec::new();
    reading().to_json(&[], &mut text).unwrap();
    let expected = r#"{"device":"","ts":0,"celsius":0.0,"state":"OK","tags":[]}"#;
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn what_does_not_fit_is_told() {
    let reading = reading();
    let refusal = |event: &str| reading.write(event.as_bytes(), &mut Vec::new()).unwrap_err();
    assert!(refusal(r#"{"celsius":"warm"}"#).contains("plant.v1.Reading"));
    assert!(refusal(r#"{"x":1}"#).contains('x'));
    assert!(
        reading
            .to_json(&[0x0a, 0x05, b'a'], &mut Vec::new())
            .unwrap_err()
            .contains("are no `plant.v1.Reading`")
    );
    assert!(reading.to_json(&vec![0; (4 << 20) + 1], &mut Vec::new()).unwrap_err().contains("4194305 bytes"));
    assert!(reading.next(&[0xff; 12]).is_err());
    let missing = Protobuf::new(DESCRIPTORS, "Reading").err().unwrap();
    assert!(missing.contains("but ") && missing.contains("plant.v1.Reading"), "{missing}");
    assert!(Protobuf::new(b"nothing", "Reading").err().unwrap().contains("no descriptor set"));
}
