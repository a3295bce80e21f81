//! Runs that end in good order and are started again: by a signal, at the end of input, with another pipeline.

use crate::common::Folder;
use crate::files::{PURCHASES, SHAPES, disordered, events, pipeline};
use crate::victim::{Numbers, Victim, kills, outputs, same, undisturbed};

/// A folder with input and pipeline, and what an undisturbed run puts out.
fn prepared(pipeline: &str, count: u64) -> (Folder, crate::victim::Outputs) {
    prepared_for(pipeline, &events(count, 21))
}

fn prepared_for(pipeline: &str, input: &[u8]) -> (Folder, crate::victim::Outputs) {
    let folder = Folder::empty();
    folder.write("input.ndjson", input);
    folder.write("p.yaml", pipeline);
    undisturbed(&folder, &[]);
    let expected = outputs(&folder.path().join("out"));
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    (folder, expected)
}

fn compare(what: &str, folder: &Folder, expected: &crate::victim::Outputs) {
    same(what, expected, &outputs(&folder.path().join("out")), &folder.read("stderr"));
}

#[test]
fn a_signal_loses_and_repeats_nothing() {
    let mut numbers = Numbers(22);
    for (workers, delivery) in [(1, "exactly_once"), (1, "at_least_once"), (2, "at_least_once")] {
        let text = pipeline(PURCHASES, false, workers).replace("exactly_once", delivery);
        // A checkpoint is taken at the end alone.
        let text = text.replace("50ms", "1h");
        let (folder, expected) = prepared(&text, 250_000);
        let mut stops = 0;
        for _ in 0..kills().div_ceil(2) {
            let mut victim = Victim::start(&folder, &[]);
            if !victim.live(30 + numbers.below(60)) {
                break;
            }
            victim.stop();
            stops += 1;
        }
        Victim::start(&folder, &[]).succeeded();
        assert!(stops > 1);
        compare(&format!("{delivery}, {workers} workers, {stops} stops"), &folder, &expected);
    }
}

#[test]
fn a_run_that_is_repeated_reads_what_is_new() {
    let (folder, expected) = prepared(&pipeline(PURCHASES, false, 1), 5_000);
    let run = |arguments: &[&str]| {
        let all = [&["run", "--data-dir", "data", "p.yaml"], arguments].concat();
        folder.run(&all).succeeded().stderr
    };
    assert!(!run(&[]).contains("nothing new"));
    compare("the first run", &folder, &expected);
    let said = run(&[]);
    assert!(said.contains("nothing new"), "{said}");
    compare("a run that finds nothing new", &folder, &expected);
    let more = "{\"ts\":1800000000000,\"n\":-1,\"user_id\":\"new\",\"type\":\"purchase\",\"amount\":3}\n";
    std::fs::write(folder.path().join("input.ndjson"), [&*folder.read("input.ndjson"), more].concat())
        .unwrap();
    let said = run(&[]);
    assert!(said.contains(" 1 events in, 1 out") && !said.contains("nothing new"), "{said}");
    let mut more = expected.clone();
    let row = "{\"user_id\":\"new\",\"total\":3,\"count\":1,\"window_start\":1800000000000,\"window_end\":1800000060000}";
    more.get_mut("results").unwrap().push(row.to_owned());
    more.get_mut("results").unwrap().sort_unstable();
    compare("one event more", &folder, &more);
    run(&["--fresh"]);
    let mut twice = more.clone();
    twice.values_mut().for_each(|lines| *lines = [lines.clone(), more["results"].clone()].concat());
    twice.values_mut().for_each(|lines| lines.sort_unstable());
    compare("from the start, behind what there is", &folder, &twice);
    let text = folder.read("p.yaml").replace("rows.ndjson", "rows.ndjson, mode: replace");
    folder.write("p.yaml", text);
    run(&[]);
    compare("`replace` keeps what state goes on from", &folder, &twice);
    run(&["--fresh"]);
    compare("`replace` from the start", &folder, &more);
}

#[test]
fn another_number_of_workers_goes_on() {
    let mut numbers = Numbers(23);
    // Between two ways from worker to worker, rows with the same watermark take turns by worker: order says how many
    // workers there are.
    let shapes =
        SHAPES.replace("total: sum(amount), first: first(n), all: collect(n)", "n: count(*), most: max(n)");
    for (live, job) in [(false, PURCHASES), (true, PURCHASES), (false, &shapes), (true, &shapes)] {
        let text = |workers| pipeline(job, false, workers);
        // What is too late may still be taken where it waited between workers and their number changed.
        let count = if job == PURCHASES { 40_000 } else { 20_000 };
        let (folder, expected) = prepared_for(&text(1), &disordered(count, 21, 4_900));
        for run in 0..kills() {
            folder.write("p.yaml", text([1, 2, 1, 4][run as usize % 4]));
            let mut victim = Victim::start(&folder, &[]);
            if !victim.live(30 + numbers.below(80)) {
                break;
            }
            match live {
                true => victim.kill(),
                false => _ = victim.stop(),
            }
        }
        folder.write("p.yaml", text(1));
        Victim::start(&folder, &[]).succeeded();
        compare(if live { "killed" } else { "stopped" }, &folder, &expected);
    }
}

#[test]
fn a_changed_pipeline_keeps_what_it_can_and_says_what_it_cannot() {
    let text = pipeline(PURCHASES, true, 1);
    let (folder, _) = prepared(&text.replace("follow: true", "follow: false"), 5_000);
    folder.write("p.yaml", &text);
    let mut victim = Victim::start(&folder, &[]);
    assert!(victim.live(300));
    victim.stop();

    let refused = |pipeline: &str, arguments: &[&str]| {
        folder.write("p.yaml", pipeline);
        let ran = folder.run(&[&["run", "--data-dir", "data", "p.yaml"], arguments].concat());
        assert_eq!(ran.status, Some(1), "{}", ran.stderr);
        ran.stderr
    };
    let wider = text.replace("tumbling: 1m", "tumbling: 5m");
    let said = refused(&wider, &[]);
    assert!(said.contains("node `spend` is laid out differently now"), "{said}");
    assert!(said.contains("--allow-dropped-state spend"), "{said}");
    let renamed = text.replace("spend", "paid");
    let said = refused(&renamed, &[]);
    assert!(said.contains("node `spend` is no longer in the pipeline"), "{said}");
    // A refusal changes nothing.
    folder.write("p.yaml", &text);
    let mut victim = Victim::start(&folder, &[]);
    assert!(victim.live(300));
    victim.stop();
    let rows = |folder: &Folder| outputs(&folder.path().join("out"))["results"].len();
    let before = rows(&folder);

    let added = format!(
        "{}  seen_out: {{ from: seen, file: {{ path: out/seen/rows.ndjson }} }}\n",
        wider.replace(
            "sinks:\n",
            "  seen: { from: events, tumbling: 1m, aggregate: { n: count(*) } }\nsinks:\n"
        )
    );
    folder.write("p.yaml", &added);
    let mut victim = Victim::start(&folder, &["--allow-dropped-state", "spend"]);
    let line = |ts: u64, user: &str| {
        format!("{{\"ts\":{ts},\"n\":-1,\"user_id\":\"{user}\",\"type\":\"purchase\",\"amount\":3}}\n")
    };
    let more = line(1_700_900_000_000, "a") + &line(1_701_900_000_000, "b");
    std::fs::write(folder.path().join("input.ndjson"), [&*folder.read("input.ndjson"), &more].concat())
        .unwrap();
    assert!(victim.live(500));
    victim.stop();
    let all = outputs(&folder.path().join("out"));
    // What was open is dropped; the new node has seen what is new.
    assert_eq!((all["results"].len(), all["seen"].len()), (before + 1, 1), "{all:?}");
    assert!(all["seen"][0].starts_with("{\"n\":1,"));
    let mut victim = Victim::start(&folder, &[]);
    assert!(victim.live(300), "state that was dropped is asked for once: {}", folder.read("stderr"));
    victim.stop();
}
