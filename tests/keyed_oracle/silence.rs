//! `absence`, by tests with random steps in virtual time.

use crate::harness::roll;
use headwater::time::Random;
use std::fmt::Write;
use std::process::Command;

const AFTER: i64 = 30;
const KEYS: [&str; 3] = ["a", "b", "c"];

/// A test of random steps, and what is to be expected of them.
fn case(random: &mut Random) -> String {
    let mut steps = String::new();
    let mut now = 0;
    let mut seen: [Option<i64>; 3] = [None; 3];
    let mut silent = [false; 3];
    for _ in 0..60 {
        let mut said = Vec::new();
        for _ in 0..roll(random, 3) {
            let key = roll(random, 3) as usize;
            writeln!(steps, "      - send: {{ in: [{{ t: 1, k: {} }}] }}", KEYS[key]).unwrap();
            if let Some(last) = seen[key].replace(now).filter(|_| std::mem::take(&mut silent[key])) {
                said.push(format!("{{ k: {}, state: back, last_seen: {} }}", KEYS[key], last * 1000));
            }
        }
        let span = 1 + roll(random, 25);
        writeln!(steps, "      - advance: {span}s").unwrap();
        for second in now + 1..=now + span {
            for key in 0..3 {
                if let Some(last) = seen[key].filter(|last| second - last >= AFTER && !silent[key]) {
                    silent[key] = true;
                    said.push(format!("{{ k: {}, state: silent, last_seen: {} }}", KEYS[key], last * 1000));
                }
            }
        }
        now += span;
        writeln!(steps, "      - {{ expect: {{ node: [{}] }}, exact: true }}", said.join(", ")).unwrap();
    }
    steps
}

#[test]
fn silences_are_as_the_oracle_says() {
    let mut random = Random::seeded(3);
    let mut text = format!(
        "sources: {{ in: {{ stdin: {{}}, event_time: {{ field: t }} }} }}\n\
         transforms: {{ node: {{ from: in, absence: {{ key: [k], after: {AFTER}s }} }} }}\n\
         sinks: {{ out: {{ from: node, drop: {{}} }} }}\ntests:\n"
    );
    for number in 0..5 {
        let steps = case(&mut random);
        write!(text, "  - name: case {number}\n    now: 0s\n    ignore: [out]\n    steps:\n{steps}").unwrap();
    }
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("silence.yaml");
    std::fs::write(&file, text).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_headwater")).arg("test").arg(&file).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
}
