//! Files in, files out, exactly once: the rows of an undisturbed run, however often the process was killed.

use crate::common::{Folder, pause, until};
use crate::victim::{Numbers, Outputs, Victim, kills, outputs, same, undisturbed, whole_outputs};
use std::fs::File;
use std::io::Write;

/// The longest that a run lives, in milliseconds.
const LONGEST: u64 = 120;
/// Events of a bounded input.
const EVENTS: u64 = 30_000;

/// The job of benches/purchases.yaml.
pub const PURCHASES: &str = "
transforms:
  bought: { from: events, where: type = 'purchase' }
windows:
  spend:
    from: bought
    key: [user_id]
    tumbling: 1m
    aggregate: { total: sum(amount), count: count(*) }
sinks:
  results: { from: spend, file: { path: out/results/rows.ndjson } }
";

/// Sessions, their late events, order, doubles, and files that events choose or that are put aside.
pub const SHAPES: &str = "
transforms:
  once: { from: events, dedupe: { key: [n], within: 10s } }
  sorted: { from: once, ordered: true, select: [ts, n, user_id] }
windows:
  visits:
    from: once
    key: [user_id]
    session: { gap: 2s }
    allowed_lateness: 1s
    accumulation: accumulating
    aggregate: { total: sum(amount), first: first(n), all: collect(n) }
sinks:
  visits_out: { from: visits, file: { path: 'out/visits/{user_id}.ndjson' } }
  late_out: { from: visits.late, file: { path: out/late/rows.ndjson } }
  sorted_out: { from: sorted, file: { path: out/sorted/rows.ndjson, rotate: { size: 200KB } } }
  packed_out: { from: once, file: { path: 'out/packed/{type}.ndjson', rotate: { size: 100KB, compress: zstd } } }
";

/// Scripts that keep something for a key, and set timers.
const SCRIPTS: &str = "
transforms:
  counted:
    from: events
    lua:
      key: [user_id]
      script: |
        function process(event)
          event.count = (state.get('n') or 0) + 1
          state.set('n', event.count)
          return event
        end
  minutes:
    from: events
    lua:
      key: [user_id]
      script: |
        function process(event)
          state.set('seen', (state.get('seen') or 0) + 1)
          timer.at(event.ts // 60000 * 60000 + 60000)
        end
        function on_timer(key, time)
          local seen = state.get('seen')
          state.delete('seen')
          return { user = key, minute = time, seen = seen }
        end
sinks:
  counted_out: { from: counted, file: { path: out/counted/rows.ndjson } }
  minutes_out: { from: minutes, file: { path: out/minutes/rows.ndjson } }
";

/// A pipeline over `input`, which ends or is followed.
pub fn pipeline(rest: &str, follow: bool, workers: u32) -> String {
    format!(
        "options: {{ delivery: exactly_once, checkpoint: 50ms, parallelism: {workers} }}
sources:
  events:
    file: {{ path: input.ndjson, follow: {follow} }}
    event_time: {{ field: ts, unit: ms, out_of_order: 5s }}
{rest}"
    )
}

/// Disordered events, some far too late, some there twice; the last one closes all windows of those before.
pub fn events(count: u64, seed: u64) -> Vec<u8> {
    disordered(count, seed, 20_000)
}

/// The same; those that are furthest behind are so by that many milliseconds.
pub fn disordered(count: u64, seed: u64, furthest: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let mut text = String::new();
    for n in 0..count {
        let late = if numbers.below(50) == 0 { furthest } else { 4_000 };
        let ts = 1_700_000_000_000 + n * 20 - numbers.below(late);
        let (user, cents) = (numbers.below(40), numbers.below(10_000));
        let kind = ["view", "purchase", "cart"][numbers.below(3) as usize];
        let n = if numbers.below(30) == 0 { n / 2 } else { n };
        text += &format!(
            "{{\"ts\":{ts},\"n\":{n},\"user_id\":\"u{user}\",\"type\":\"{kind}\",\"amount\":{}.{:02}}}\n",
            cents / 100,
            cents % 100
        );
    }
    let end = 1_700_000_000_000 + count * 20 + 600_000;
    text += &format!("{{\"ts\":{end},\"n\":-1,\"user_id\":\"last\",\"type\":\"purchase\",\"amount\":1}}\n");
    text.into_bytes()
}

/// Kills runs over a whole file until one of them comes to its end, and begins again until there were enough kills.
fn bounded(rest: &str, workers: u32, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut killed = 0;
    while killed < kills() {
        let folder = Folder::empty();
        folder.write("input.ndjson", events(EVENTS, seed + killed));
        folder.write("p.yaml", pipeline(rest, false, workers));
        undisturbed(&folder, &[]);
        let expected = outputs(&folder.path().join("out"));
        std::fs::remove_dir_all(folder.path().join("out")).unwrap();
        let before = killed;
        loop {
            let mut victim = Victim::start(&folder, &[]);
            if killed >= kills() {
                victim.succeeded();
            }
            if !victim.live(numbers.below(LONGEST)) {
                break;
            }
            victim.kill();
            killed += 1;
        }
        let what = format!("{workers} workers, seed {seed}, {} kills", killed - before);
        same(&what, &expected, &outputs(&folder.path().join("out")), &folder.read("stderr"));
    }
}

/// Kills runs that follow a file while it grows.
fn growing(rest: &str, workers: u32, seed: u64) {
    let mut numbers = Numbers(seed);
    let folder = Folder::empty();
    // What is too late may still be taken where workers on live input have not all said how far they are.
    let furthest = if workers == 1 { 20_000 } else { 4_900 };
    let input = disordered(kills() * 1_200, seed, furthest);
    folder.write("input.ndjson", &input);
    folder.write("p.yaml", pipeline(rest, false, workers));
    undisturbed(&folder, &[]);
    let expected = without_last(outputs(&folder.path().join("out")));
    drop(folder);

    let folder = Folder::empty();
    folder.write("p.yaml", pipeline(rest, true, workers));
    folder.write("input.ndjson", "");
    let mut file = File::options().append(true).open(folder.path().join("input.ndjson")).unwrap();
    let mut rest_of_input = &*input;
    for _ in 0..kills() {
        let mut victim = Victim::start(&folder, &[]);
        let mut span = numbers.below(LONGEST);
        while span > 0 {
            // Lines are torn between two writes.
            let size = (numbers.below(20_000) as usize).min(rest_of_input.len());
            file.write_all(&rest_of_input[..size]).unwrap();
            rest_of_input = &rest_of_input[size..];
            let step = span.min(1 + numbers.below(20));
            assert!(victim.live(step), "it ended by itself:\n{}", folder.read("stderr"));
            span -= step;
        }
        victim.kill();
    }
    file.write_all(rest_of_input).unwrap();
    let mut victim = Victim::start(&folder, &[]);
    let count = |all: &Outputs| all.values().map(Vec::len).sum::<usize>();
    let mut passes = 0;
    until("all rows", || {
        passes += 1;
        let done = whole_outputs(&folder.path().join("out"))
            .is_ok_and(|now| count(&without_last(now)) >= count(&expected));
        // Where rows are missing the comparison says which.
        !victim.live(20) || done || passes > 1_000
    });
    pause(200);
    victim.stop();
    let what = format!("{workers} workers, seed {seed}, a growing file");
    let actual = without_last(outputs(&folder.path().join("out")));
    same(&what, &expected, &actual, &folder.read("stderr"));
}

/// What the last event does only where input ends.
fn without_last(mut outputs: Outputs) -> Outputs {
    outputs.values_mut().for_each(|lines| lines.retain(|line| !line.contains("\"last\"")));
    outputs
}

#[test]
fn what_scripts_keep_survives() {
    bounded(SCRIPTS, 1, 51);
    bounded(SCRIPTS, 2, 52);
}

#[test]
fn purchases_on_a_bounded_file() {
    bounded(PURCHASES, 1, 1);
}

#[test]
fn purchases_on_a_bounded_file_by_two_workers() {
    bounded(PURCHASES, 2, 2);
}

#[test]
fn purchases_on_a_growing_file() {
    growing(PURCHASES, 1, 3);
}

#[test]
fn purchases_on_a_growing_file_by_two_workers() {
    growing(PURCHASES, 2, 4);
}

#[test]
fn sessions_order_and_doubles_on_a_bounded_file() {
    bounded(SHAPES, 1, 5);
}

#[test]
fn sessions_order_and_doubles_on_a_bounded_file_by_two_workers() {
    bounded(SHAPES, 2, 6);
}

#[test]
fn sessions_order_and_doubles_on_a_growing_file() {
    // By one worker: on live input workers take rows from one another as they come.
    growing(SHAPES, 1, 7);
}
