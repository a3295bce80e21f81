//! The documented examples, and what all aggregates have in common.

use super::*;
use crate::dataflow::KeyId;
use crate::event::{Batch, Row, json};
use crate::time::{Interval, Timestamp};

const PANE: PaneId = PaneId(2);
const OTHER: PaneId = PaneId(3);
const KEY: KeyId = KeyId(0);

/// What all values lie in, one every millisecond.
fn frame(values: usize) -> Frame {
    Frame { key: KEY, window: Interval { start: Timestamp(0), end: Timestamp(values as i64) } }
}

/// A batch of one slot with these values, at times 0, 1, …
fn batch(values: &[Option<&str>]) -> Batch {
    let mut batch = Batch::new(1, b"");
    for (i, value) in values.iter().enumerate() {
        let row = batch.push_row(Timestamp(i as i64), Timestamp::MIN);
        if let Some(value) = value {
            let cell = json::to_value(value.as_bytes(), &mut batch.arena).expect("valid");
            batch.set(row, Slot(0), cell);
        }
    }
    batch
}

fn make(spec: &AggregateSpec, constants: &[f64]) -> Box<dyn Accumulator> {
    let call = Call { slots: vec![Slot(0)], constants: constants.to_vec(), own: None };
    let mut states = (spec.make)(&call, Setup { parts: 4, seed: 7, carry: None });
    states.reset(PANE);
    states.reset(OTHER);
    states
}

fn arrival(batch: &Batch, row: usize) -> Arrival<'_> {
    Arrival { batch, row: Row(row as u32), time: batch.times[row], order: row as u64 }
}

fn result(states: &mut dyn Accumulator, pane: PaneId, batch: &Batch) -> String {
    let mut out = Batch::new(1, b"");
    let value = states.result(pane, frame(batch.len()), &mut out);
    let mut text = Vec::new();
    json::write_value(&out, value, &mut text);
    String::from_utf8(text).expect("JSON")
}

fn values(list: &str) -> Vec<Option<&str>> {
    let elements = json::elements(list.as_bytes());
    elements.map(|raw| str::from_utf8(raw).ok().filter(|text| *text != "null")).collect()
}

fn specs() -> impl Iterator<Item = &'static AggregateSpec> {
    ALL.iter().copied().chain([&distinct::COUNT_DISTINCT])
}

fn constants(spec: &AggregateSpec) -> Vec<f64> {
    let call = spec.example.call;
    let written = call.trim_end_matches(')').split(',').skip(1);
    written.filter(|argument| argument.trim() != "x").map(|c| c.trim().parse().expect("a number")).collect()
}

#[test]
fn documented_examples_hold() {
    for spec in specs() {
        let batch = batch(&values(spec.example.values));
        let mut states = make(spec, &constants(spec));
        for row in 0..batch.len() {
            assert!(states.check(PANE, &arrival(&batch, row)).is_ok(), "{}", spec.name);
            states.add(PANE, KEY, &arrival(&batch, row));
        }
        assert_eq!(result(&mut *states, PANE, &batch), spec.example.result, "{}", spec.example.call);
        assert!(spec.example.call.starts_with(spec.name), "{}", spec.name);
    }
}

/// However values are spread over two panes, merged they give what one pane gives, and a pane that was reset
/// or never filled gives what no values give.
#[test]
fn parts_merge_to_the_whole() {
    for spec in specs() {
        let batch = batch(&values(spec.example.values));
        for split in 0..1 << batch.len() {
            let mut states = make(spec, &constants(spec));
            for row in 0..batch.len() {
                let pane = if split >> row & 1 == 1 { PANE } else { OTHER };
                states.add(pane, KEY, &arrival(&batch, row));
            }
            states.merge(PANE, OTHER);
            assert_eq!(result(&mut *states, PANE, &batch), spec.example.result, "{} {split:b}", spec.name);
            states.reset(PANE);
            let nothing = if spec.name == "count" { "0" } else { "null" };
            assert_eq!(result(&mut *states, PANE, &batch), nothing, "{}", spec.name);
            assert_eq!(result(&mut *states, PaneId::EMPTY, &batch), nothing, "{}", spec.name);
        }
    }
}

fn refused(name: &str, list: &str) -> String {
    let batch = batch(&values(list));
    let spec = find(name).expect("known");
    let mut states = make(spec, &[0.5]);
    for row in 0..batch.len() {
        match states.check(PANE, &arrival(&batch, row)) {
            Ok(_) => states.add(PANE, KEY, &arrival(&batch, row)),
            Err(reason) => return format!("{row}: {}", reason.text),
        }
    }
    String::new()
}

#[test]
fn what_cannot_be_taken_is_refused() {
    assert_eq!(refused("sum", "[1, \"1\"]"), "1: sum: takes numbers, not text");
    assert_eq!(refused("sum", "[9223372036854775807, 0, 1]"), "2: sum: number overflow");
    assert_eq!(refused("sum", "[1e308, 1e308]"), "1: sum: number overflow");
    assert_eq!(refused("avg", "[9223372036854775807, 9223372036854775807]"), "");
    assert_eq!(refused("avg", "[1e308, 1e308]"), "1: avg: float overflow");
    assert_eq!(refused("stddev", "[true]"), "0: stddev: takes numbers, not boolean");
    assert_eq!(refused("variance", "[1e200, -1e200]"), "1: variance: float overflow");
    assert_eq!(refused("median", "[{}]"), "0: median: takes numbers, not list or map");
    assert_eq!(refused("min", "[1, 2.5, \"x\"]"), "2: min: compares numbers with numbers, not with text");
    assert_eq!(refused("max", "[[1]]"), "0: max: list or map has no order");
    assert_eq!(refused("collect", "[1, \"x\", {}]"), "");
}

/// Panes that are fine each by itself but not together are found out.
#[test]
fn scarce_room_is_noticed() {
    for (name, list) in [
        ("sum", "[5000000000000000000, 5000000000000000000]"),
        ("sum", "[1e308, 1e308]"),
        ("variance", "[1e200, -1e200]"),
        ("max", "[1, \"x\"]"),
    ] {
        let batch = batch(&values(list));
        let mut states = make(find(name).expect("known"), &[]);
        assert!(states.check(PANE, &arrival(&batch, 0)).is_ok());
        states.add(PANE, KEY, &arrival(&batch, 0));
        assert!(states.scarce(Some(&arrival(&batch, 1))), "{name}");
        assert!(states.check_combined(&[OTHER], Some(&arrival(&batch, 1))).is_ok());
        assert!(states.check_combined(&[OTHER, PANE], Some(&arrival(&batch, 1))).is_err());
        states.add(OTHER, KEY, &arrival(&batch, 1));
        assert!(states.scarce(None), "{name}");
        assert!(states.check_combined(&[OTHER, PANE], None).is_err());
        states.reset(PANE);
        states.reset(OTHER);
        assert!(!states.scarce(None), "{name}");
    }
}

#[test]
fn edges_follow_event_time_then_arrival() {
    let mut batch = batch(&values("[\"a\", \"b\", \"c\", \"d\"]"));
    batch.times = [5, 3, 3, 5].map(Timestamp).to_vec();
    for (name, expected) in [("first", "\"b\""), ("last", "\"d\""), ("any", "\"a\"")] {
        let mut states = make(find(name).expect("known"), &[]);
        (0..4).for_each(|row| states.add(PANE, KEY, &arrival(&batch, row)));
        assert_eq!(result(&mut *states, PANE, &batch), expected, "{name}");
    }
}

#[test]
fn names_are_found_and_suggested() {
    assert_eq!(find("SUM").map(|spec| spec.name), Some("sum"));
    assert!(find("summ").is_none());
    assert_eq!(suggest("quantle"), Some("quantile"));
    let mut names: Vec<_> = ALL.iter().map(|spec| spec.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
}

/// What a set, a list or a quantile holds counts until it is released, merged panes included.
#[test]
fn keepers_have_a_budget() {
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    let batch = batch(&[Some(&long)]);
    let mut states = make(find("collect").expect("known"), &[]);
    let mut taken = 0;
    while states.check(PANE, &arrival(&batch, 0)).is_ok() && taken < 1000 {
        states.add(PANE, KEY, &arrival(&batch, 0));
        taken += 1;
    }
    assert!((200..=256).contains(&taken), "{taken}");
    states.reset(PANE);
    assert!(states.check(PANE, &arrival(&batch, 0)).is_ok());
}

/// A pane's state with what is kept by key, as bytes.
fn saved(states: &dyn Accumulator) -> Vec<u8> {
    let mut bytes = Vec::new();
    states.save(PANE, Near { time: Timestamp(1), order: 1 }, &mut bytes);
    states.save_key(KEY, &mut bytes);
    bytes
}

#[test]
fn what_was_loaded_is_as_it_was() {
    let many: Vec<String> = (0..5000).map(|i| format!("{}.5", i * 7 - 9000)).collect();
    let many = format!("[{}]", many.join(","));
    let lists = [
        "[1e300,-1e300]",
        "[9223372036854775807,-9223372036854775807]",
        "[\"b\",null,\"a\"]",
        "[true]",
        &many,
    ];
    for (spec, list) in
        specs().flat_map(|spec| [spec.example.values].into_iter().chain(lists).map(move |l| (spec, l)))
    {
        let batch = batch(&values(list));
        let mut states = make(spec, &constants(spec));
        for row in 0..batch.len() {
            if states.check(PANE, &arrival(&batch, row)).is_ok() {
                states.add(PANE, KEY, &arrival(&batch, row));
            }
        }
        let bytes = saved(&*states);
        let mut loaded = make(spec, &constants(spec));
        let mut reader = crate::event::bytes::Reader::new(&bytes);
        let near = Near { time: Timestamp(1), order: 1 };
        loaded.load(PANE, near, &mut reader).expect("readable");
        loaded.load_key(KEY, &mut reader).expect("readable");
        reader.finish().expect("all was read");
        assert!(saved(&*loaded) == bytes, "{} {list:.60}", spec.name);
        assert_eq!(result(&mut *loaded, PANE, &batch), result(&mut *states, PANE, &batch), "{}", spec.name);
        assert_eq!(loaded.scarce(None), states.scarce(None), "{} {list:.60}", spec.name);
        loaded.reset(PANE);
        assert!(!loaded.scarce(None), "{} {list:.60}", spec.name);
    }
}
