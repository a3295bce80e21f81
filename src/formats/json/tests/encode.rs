use super::super::*;
use crate::event::json::tests::{json_text, only_range};
use crate::event::json::{Timestamps, to_value};
use crate::event::{Batch, Layer, Row, Slot, Value, View};
use crate::formats::Encoder;
use crate::time::Timestamp;
use proptest::prelude::*;
use serde_json::Value as Json;

const SLOTS: u16 = 3;

/// A batch of one row with the raw text and the cells for these JSON texts.
fn batch(raw: &str, cells: &[&str]) -> Batch {
    let mut batch = Batch::new(cells.len(), b"");
    let row = batch.push_row(Timestamp(0), Timestamp::MIN);
    batch.raw[0] = batch.store(raw.as_bytes());
    for (i, text) in cells.iter().enumerate() {
        let cell = to_value(text.as_bytes(), &mut batch.arena).unwrap();
        batch.set(row, Slot(i as u16), cell);
    }
    batch
}

fn encode(batch: &Batch, layers: &[Layer]) -> String {
    let mut encoder = JsonEncoder::new(JsonOutput::default(), &View { layers: layers.to_vec() });
    let mut out = Vec::new();
    for _ in 0..2 {
        out.clear();
        encoder.encode(batch, Row(0), &mut out).unwrap();
    }
    let text = String::from_utf8(out).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

fn layers(text: &str) -> Vec<Layer> {
    let layer = |part: &str| match part.split_once('=') {
        Some((name, slot)) => Layer::Field(name.to_owned(), Slot(slot.parse().unwrap())),
        None if part == "raw" => Layer::Raw,
        None if part.starts_with('-') => Layer::Without(part[1..].to_owned()),
        None => Layer::Merge(Slot(part.trim_start_matches('*').parse().unwrap())),
    };
    text.split_whitespace().map(layer).collect()
}

#[test]
fn what_was_not_touched_stays_as_it_is() {
    let raw = r#"{ "a" : 1.50,  "b":"\u00e9", "c": [1 , 1e999], "a" : 2 }"#;
    let batch = batch(raw, &["true", "\"x\""]);
    assert_eq!(encode(&batch, &layers("raw")), raw);
    assert_eq!(encode(&batch, &layers("raw b=0")), r#"{"a" : 1.50,  "b":true,"c": [1 , 1e999], "a" : 2}"#);
    assert_eq!(encode(&batch, &layers("raw -b")), r#"{"a" : 1.50,"c": [1 , 1e999], "a" : 2}"#);
    assert_eq!(
        encode(&batch, &layers("raw a=0 d=1")),
        r#"{"a" : true,"b":"\u00e9", "c": [1 , 1e999],"d":"x"}"#
    );
    assert_eq!(encode(&batch, &layers("raw -a -b -c")), "{}");
    assert_eq!(encode(&batch, &layers("raw -a a=1 -b -c")), r#"{"a":"x"}"#);
    assert_eq!(
        encode(&batch, &layers("raw z=0 y=1 -z z=1")),
        format!("{{{},\"y\":\"x\",\"z\":\"x\"}}", &raw[2..raw.len() - 2])
    );
}

#[test]
fn events_without_raw_text_are_empty_maps() {
    let batch = batch("", &["1"]);
    assert_eq!(encode(&batch, &layers("raw")), "{}");
    assert_eq!(encode(&batch, &layers("raw a=0")), "{\"a\":1}");
    assert_eq!(encode(&batch, &layers("raw *0")), "{}");
    assert_eq!(encode(&batch, &[]), "{}");
}

#[test]
fn a_raw_event_that_was_never_checked_may_be_refused() {
    let batch = batch("{\"b\":1, oops", &["1"]);
    let mut encoder = JsonEncoder::new(JsonOutput::default(), &View { layers: layers("raw a=0") });
    let mut out = Vec::new();
    let reason = encoder.encode(&batch, Row(0), &mut out).unwrap_err();
    assert_eq!(reason.text, "the event is no JSON: expected a key");
    assert!(out.is_empty());
}

#[test]
fn known_fields_are_written_in_order() {
    let batch = batch("", &["3.0", "\"a\\\"\\u0001é\"", "[1, {\"b\":null}]"]);
    let view = layers("x=0 t\"=1 l=2 x=2 -l n=0");
    assert_eq!(encode(&batch, &view), r#"{"x":[1, {"b":null}],"t\"":"a\"\u0001é","n":3.0}"#);
}

#[test]
fn times_are_written_as_asked() {
    let mut batch = batch("", &["1"]);
    batch.set(Row(0), Slot(0), Value::timestamp(1500));
    let view = View { layers: layers("t=0") };
    let mut out = Vec::new();
    for timestamps in [Timestamps::Millis, Timestamps::Rfc3339] {
        JsonEncoder::new(JsonOutput { timestamps }, &view).encode(&batch, Row(0), &mut out).unwrap();
    }
    assert_eq!(out, b"{\"t\":1500}\n{\"t\":\"1970-01-01T00:00:01.5Z\"}\n");
}

fn any_layers() -> impl Strategy<Value = Vec<Layer>> {
    let name = || prop::sample::select(vec!["a", "b", "c", "é", "z"]).prop_map(str::to_owned);
    let layer = prop_oneof![
        4 => (name(), 0..SLOTS).prop_map(|(name, slot)| Layer::Field(name, Slot(slot))),
        2 => name().prop_map(Layer::Without),
        1 => (0..SLOTS).prop_map(|slot| Layer::Merge(Slot(slot))),
    ];
    (any::<bool>(), prop::collection::vec(layer, 0..6)).prop_map(|(raw, mut layers)| {
        if raw {
            layers.insert(0, Layer::Raw);
        }
        layers
    })
}

/// The layers as `serde_json` applies them to an ordered map.
fn expected(raw: &Json, cells: &[Json], layers: &[Layer]) -> String {
    let mut map = serde_json::Map::new();
    let merge = |map: &mut serde_json::Map<String, Json>, other: &Json| {
        for (key, value) in other.as_object().into_iter().flatten() {
            map.insert(key.clone(), value.clone());
        }
    };
    for layer in layers {
        match layer {
            Layer::Raw => merge(&mut map, raw),
            Layer::Merge(slot) => merge(&mut map, &cells[slot.0 as usize]),
            Layer::Field(name, slot) => _ = map.insert(name.clone(), cells[slot.0 as usize].clone()),
            Layer::Without(name) => _ = map.shift_remove(name),
        }
    }
    Json::Object(map).to_string()
}

proptest! {
    #[test]
    fn views_are_ordered_maps(
        raw in json_text(),
        cells in prop::collection::vec(json_text(), SLOTS as usize),
        layers in any_layers(),
    ) {
        let all: Vec<&str> = cells.iter().map(String::as_str).collect();
        prop_assume!(!raw.starts_with('[') && !cells.iter().chain([&raw]).any(|t| only_range(t.as_bytes())));
        let raw = if raw.starts_with('{') { raw } else { format!("{{\"a\":{raw},\"\\u0062\":1}}") };
        let batch = batch(&raw, &all);
        let parse = |text: &String| serde_json::from_str::<Json>(text).unwrap();
        let cells: Vec<Json> = cells.iter().map(parse).collect();
        let written = encode(&batch, &layers);
        prop_assert_eq!(parse(&written).to_string(), expected(&parse(&raw), &cells, &layers), "{}", written);
    }
}
