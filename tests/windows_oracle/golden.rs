//! Bytes of state as they were written once: whoever changes their form must raise the version in the shape's text
//! (`windows/shape.rs`), and keep reading what stands on disks or refuse it.
//!
//! `UPDATE=1 cargo test --test windows_oracle golden` writes the file anew.

use crate::fleet::{Fleet, Store};
use crate::harness::{Step, Val, plan};
use headwater::state::StateKey;
use headwater::time::{Every, Millis};
use headwater::windows::{Accumulation, Gap, Grid, WindowKind, WindowPlan};
use std::fmt::Write;
use std::path::PathBuf;

const ALL: &[&str] = &[
    "rows",
    "sum",
    "avg",
    "min",
    "max",
    "first",
    "last",
    "any",
    "min_by",
    "max_by",
    "stddev",
    "variance",
    "stddev_pop",
    "var_pop",
    "median",
    "quantile",
    "approx_quantile",
    "approx_distinct",
    "count_distinct",
    "collect",
    "collect_distinct",
    "top",
    "bool_and",
    "bool_or",
    "corr",
    "slope",
    "delta",
    "rate",
    "time_in",
    "time_weighted_avg",
];

fn cases() -> Vec<(&'static str, WindowPlan)> {
    let grid = Grid::default;
    let [one, two, ten] = [Millis(1), Millis(2), Millis(10)];
    let case = |kind, names, lateness| plan(kind, names, lateness, Accumulation::Accumulating);
    let few: &[&str] = &["sum", "last", "delta"];
    let (gap, open) = (Gap::Fixed(two), Gap::Slot(crate::harness::GAP));
    vec![
        ("every-aggregate", case(WindowKind::Tumbling { size: ten, grid: grid() }, ALL, 0)),
        ("tumbling", case(WindowKind::Tumbling { size: ten, grid: grid() }, few, 20)),
        ("calendar", case(WindowKind::Calendar { every: Every::Day, grid: grid() }, few, 0)),
        ("slices", case(WindowKind::Sliding { size: ten, every: two, grid: grid() }, few, 0)),
        ("sliding", case(WindowKind::Sliding { size: ten, every: two, grid: grid() }, few, 1)),
        ("steps", case(WindowKind::Cumulate { max: ten, step: two, grid: grid() }, few, 0)),
        ("cumulate", case(WindowKind::Cumulate { max: ten, step: two, grid: grid() }, few, 1)),
        ("session", case(WindowKind::Session { gap: open, max: None }, few, 3)),
        ("bounded-session", case(WindowKind::Session { gap, max: Some(ten) }, few, 0)),
        ("global", case(WindowKind::Global, few, 0)),
        ("count", case(WindowKind::Count { size: 5, every: 2 }, few, 0)),
        ("idle", case(WindowKind::Tumbling { size: one, grid: grid() }, &["delta"], 0)),
    ]
}

fn steps() -> Vec<Step> {
    let values = [Val::Int(7), Val::Half(3), Val::Null, Val::Int(-2), Val::Int(7), Val::Half(-8)];
    let step = |i: i64| Step {
        watermark: i * 2 - 9,
        own: i64::MIN,
        time: i * 2 + [0, -5, 3, -1][i as usize % 4],
        key: (i % 3) as u8,
        x: values[i as usize % values.len()],
        condition: i % 2 == 0,
        gap: 1 + i % 4,
        filtered: false,
    };
    (0..14).map(step).collect()
}

fn drive(fleet: &mut Fleet, steps: &[Step]) {
    for (id, step) in steps.iter().enumerate() {
        fleet.push(id, step);
        fleet.drive(step.watermark);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).expect("hexadecimal"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

#[test]
fn bytes_stay_what_they_are_and_are_read() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/state_format/windows.txt");
    let (before, behind) = (&steps()[..9], &steps()[9..]);
    let mut written = String::new();
    for (name, plan) in cases() {
        let mut fleet = Fleet::new(&plan, 1);
        drive(&mut fleet, before);
        fleet.save();
        for (key, value) in &fleet.store {
            writeln!(written, "{name} {} {}", hex(key.as_bytes()), hex(value)).expect("memory");
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &written).expect("writable");
    }
    let kept = std::fs::read_to_string(&path).expect("there");
    assert_eq!(written, kept, "the form of state has changed");
    for (name, plan) in cases() {
        let mut undisturbed = Fleet::new(&plan, 1);
        drive(&mut undisturbed, before);
        undisturbed.take();
        let mut fleet = Fleet::new(&plan, 1);
        let mut store = Store::new();
        for line in kept.lines() {
            let [case, key, value] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("three words") };
            if case == name {
                let key = StateKey::from_bytes(&bytes(key)).expect("a key");
                store.insert(key, bytes(value).into());
            }
        }
        fleet.store = store;
        fleet.restart(1).expect("readable");
        for fleet in [&mut undisturbed, &mut fleet] {
            drive(fleet, behind);
            fleet.end();
        }
        assert_eq!(format!("{:?}", fleet.take()), format!("{:?}", undisturbed.take()), "{name}");
    }
}
