//! Windows keyed by `partition_by`: what each device gets is what it would get if it were alone.

pub mod common;

use common::Folder;
use headwater::time::Random;
use proptest::prelude::*;

const PIPELINE: &str = "
options: { parallelism: WORKERS }
sources:
  readings: { file: { path: INPUT }, event_time: { field: ts, out_of_order: 20msBY } }
transforms:
  some: { from: readings, where: v <> 3 }
  renamed: { from: some, set: { v: v * 2 }, drop: [n] }
  chosen: { from: renamed, select: { dev: device, v: v, ts: ts } }
windows:
  tumbling: { from: chosen, key: [dev], tumbling: 50ms, aggregate: &a { n: count(*), sum: sum(v), first: first(ts), d: delta(v) } }
  finer: { from: some, key: { v: v, device: device }, tumbling: 50ms, aggregate: *a }
  lenient: { from: some, key: device, tumbling: 50ms, allowed_lateness: 30ms, accumulation: accumulating, aggregate: *a }
  sliding: { from: some, key: device, sliding: { size: 60ms, every: 20ms }, aggregate: *a }
  cumulate: { from: some, key: device, cumulate: { max: 80ms, step: 20ms }, aggregate: *a }
  session: { from: some, key: device, session: { gap: 8ms }, aggregate: *a }
  short: { from: some, key: device, session: { gap: 12ms, max: 40ms }, aggregate: *a }
  counted: { from: some, key: device, tumbling: 50ms, trigger: { watermark: { early: { count: 3 } } }, accumulation: retracting, aggregate: *p }
  timed: { from: some, key: device, sliding: { size: 60ms, every: 20ms }, trigger: { event_time: 7ms }, accumulation: accumulating, aggregate: *p }
  visits: { from: some, key: device, session: { gap: 8ms }, trigger: { any: [watermark, { all: [{ count: 2 }, { event_time: 5ms }] }] }, accumulation: retracting, aggregate: *p }
sinks:
";
/// The end of input takes each key as far as its own last window, so behind that a `finer` key is not as far as its device;
/// and it gives up what waits for late events as of the last window of all.
const WINDOWS: [&str; 10] =
    ["tumbling", "lenient", "sliding", "cumulate", "session", "short", "finer", "counted", "timed", "visits"];

/// What a run over that input gives, by window, in any order.
fn run(folder: &Folder, name: &str, input: &str, workers: usize, by: &str, kept: bool) -> Vec<Vec<String>> {
    let mut text = PIPELINE.replace("&a {", "{").replace("WORKERS", &workers.to_string());
    text = text.replace("*a", "{ n: count(*), sum: sum(v), first: first(ts), d: delta(v) }");
    text = text.replace(
        "*p",
        "{ n: count(*), sum: sum(v), i: pane_index(), t: pane_timing(), last: is_last_pane() }",
    );
    text = text.replace("INPUT", input).replace("BY", by);
    for window in WINDOWS {
        for (port, place) in [("", "on"), (".late", "late")] {
            text += &format!(
                "  {window}_{place}: {{ from: {window}{port}, file: {{ path: {name}.{window}.{place} }} }}\n"
            );
        }
    }
    let pipeline = format!("{name}.yaml");
    folder.write(&pipeline, text);
    let data = format!("{name}.data");
    let arguments: &[&str] = if kept { &["--data-dir", &data] } else { &[] };
    folder.run(&[&["run", &pipeline, "-q"], arguments].concat()).succeeded();
    let outputs = WINDOWS.iter().flat_map(|window| [format!("{window}.on"), format!("{window}.late")]);
    outputs
        .map(|output| {
            let mut lines: Vec<String> =
                folder.read(&format!("{name}.{output}")).lines().map(str::to_owned).collect();
            lines.sort();
            lines
        })
        .collect()
}

/// Events of devices, each behind its own time by chance, and some devices far behind others.
fn events(random: &mut Random, devices: usize, count: usize) -> Vec<(usize, String)> {
    let mut at: Vec<i64> = (0..devices).map(|device| 1_000 + 400 * (device as i64 % 3)).collect();
    (0..count)
        .map(|n| {
            let roll = random.bits();
            // The last one begins when the others are half through.
            let most = if n * 2 < count { devices - 1 } else { devices };
            let device = (roll >> 8) as usize % most.max(1);
            at[device] += (roll >> 16) as i64 % 12;
            let ts = at[device] - (roll >> 32) as i64 % 32;
            let v = (roll >> 40) % 5;
            (device, format!("{{\"device\":\"d{device}\",\"ts\":{ts},\"v\":{v},\"n\":{n}}}\n"))
        })
        .collect()
}

fn of(events: &[(usize, String)], device: Option<usize>) -> String {
    let is_of = |(of, _): &&(usize, String)| device.is_none_or(|device| *of == device);
    events.iter().filter(is_of).map(|(_, line)| line.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4) })]
    #[test]
    fn each_device_is_as_if_alone(seed in 0u64..1_000_000) {
        let (folder, mut random) = (Folder::empty(), Random::seeded(seed));
        let kept = seed % 2 == 0;
        let (devices, count) = (4, 600);
        let all = events(&mut random, devices, count);
        // With state, in two runs, of which the second goes on behind the end of the first.
        let cuts = if kept { vec![count * 2 / 3, count] } else { vec![count] };
        let both = |name: &str, device: Option<usize>, workers: usize, by: &str| {
            let input = format!("{name}.ndjson");
            let mut result = Vec::new();
            for cut in &cuts {
                folder.write(&input, of(&all[..*cut], device));
                result = run(&folder, name, &input, workers, by, kept);
            }
            result
        };
        let mut expected: Vec<Vec<String>> = vec![Vec::new(); 2 * WINDOWS.len()];
        for device in 0..devices {
            let alone = both(&format!("alone{device}"), Some(device), 1, "");
            expected.iter_mut().zip(alone).for_each(|(sum, part)| sum.extend(part));
        }
        expected.iter_mut().for_each(|lines| lines.sort());
        for workers in [1, 2, 4] {
            let together = both(&format!("all{workers}"), None, workers, ", partition_by: [device]");
            for (place, (together, expected)) in together.iter().zip(&expected).enumerate() {
                let window = WINDOWS[place / 2];
                let missing: Vec<_> = expected.iter().filter(|line| !together.contains(line)).collect();
                let surplus: Vec<_> = together.iter().filter(|line| !expected.contains(line)).collect();
                let same = together == expected || kept && ["finer", "lenient"].contains(&window);
                prop_assert!(same, "{workers} workers, {window}: missing {missing:?}, surplus {surplus:?}");
            }
        }
    }
}
